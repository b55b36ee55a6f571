import { useCallback, useMemo, useSyncExternalStore } from "react";

export type Place =
  | { page: "runs" }
  | { page: "project"; entity: string; project: string }
  | { page: "sweep"; entity: string; project: string; sweep: string }
  | { page: "run"; entity: string; project: string; run: string }
  | { page: "nowhere"; path: string };

/** What a path shows. Pure. */
export function place(path: string): Place {
  if (path === "/" || path === "") return { page: "runs" };
  const match = /^\/([^/]+)\/([^/]+)(?:\/(runs|sweeps)\/([^/]+))?\/?$/.exec(path);
  if (!match) return { page: "nowhere", path };
  try {
    const [entity = "", project = "", kind = "", id = ""] = match.slice(1).map((part: string | undefined) => decodeURIComponent(part ?? ""));
    if (kind === "runs") return { page: "run", entity, project, run: id };
    return kind === "sweeps" ? { page: "sweep", entity, project, sweep: id } : { page: "project", entity, project };
  } catch {
    return { page: "nowhere", path }; // a % that is no escape
  }
}

const CHANGED = "outrider:navigated";

function subscribe(changed: () => void): () => void {
  window.addEventListener("popstate", changed);
  window.addEventListener(CHANGED, changed);
  return () => {
    window.removeEventListener("popstate", changed);
    window.removeEventListener(CHANGED, changed);
  };
}

export function navigate(to: string, how: "push" | "replace" = "push"): void {
  if (to === location.pathname + location.search) return;
  if (how === "push") history.pushState(null, "", to);
  else history.replaceState(null, "", to);
  window.dispatchEvent(new Event(CHANGED));
}

export function usePlace(): Place {
  const path = useSyncExternalStore(subscribe, () => location.pathname);
  return useMemo(() => place(path), [path]);
}

/** The address' search part as state: filters and tabs are links that can be sent. */
export function useSearch(): [URLSearchParams, (change: Record<string, string | null>, how?: "push" | "replace") => void] {
  const text = useSyncExternalStore(subscribe, () => location.search);
  const search = useMemo(() => new URLSearchParams(text), [text]);
  const change = useCallback((changes: Record<string, string | null>, how: "push" | "replace" = "replace") => {
    const next = new URLSearchParams(location.search);
    for (const [key, value] of Object.entries(changes)) {
      if (value === null || value === "") next.delete(key);
      else next.set(key, value);
    }
    const rest = next.toString();
    navigate(location.pathname + (rest ? `?${rest}` : ""), how);
  }, []);
  return [search, change];
}
