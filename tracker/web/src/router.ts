import { useCallback, useMemo, useSyncExternalStore } from "react";

export type Place =
  | { page: "runs" }
  | { page: "entity"; entity: string }
  | { page: "project"; entity: string; project: string }
  | { page: "sweep"; entity: string; project: string; sweep: string }
  | { page: "run"; entity: string; project: string; run: string }
  | { page: "nowhere"; path: string };

/** `/<entity>/projects` lists the projects; a project of that name has its page at `/<entity>/projects/workspace` alone. */
const LIST = "projects";

export function entityPath(entity: string): string {
  return `/${encodeURIComponent(entity)}`;
}

export function projectPath(entity: string, project: string): string {
  return `${entityPath(entity)}/${encodeURIComponent(project)}${project === LIST ? "/workspace" : ""}`;
}

export function sweepPath(entity: string, project: string, sweep: string): string {
  return `${entityPath(entity)}/${encodeURIComponent(project)}/sweeps/${encodeURIComponent(sweep)}`;
}

export function pagePath(entity: string, project: string, run: string): string {
  return `${entityPath(entity)}/${encodeURIComponent(project)}/runs/${encodeURIComponent(run)}`;
}

/** What a path shows. Pure. */
export function place(path: string): Place {
  if (path === "/" || path === "" || path === "/login") return { page: "runs" };
  const match = /^\/([^/]+)(?:\/([^/]+)(?:\/(?:(runs|sweeps)\/([^/]+)|(workspace)))?)?\/?$/.exec(path);
  if (!match) return { page: "nowhere", path };
  try {
    const [entity = "", project = "", kind = "", id = "", workspace = ""] = match.slice(1).map((part: string | undefined) => decodeURIComponent(part ?? ""));
    if (kind === "runs") return { page: "run", entity, project, run: id };
    if (kind === "sweeps") return { page: "sweep", entity, project, sweep: id };
    return project === "" || (project === LIST && workspace === "") ? { page: "entity", entity } : { page: "project", entity, project };
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
