/** Keys in sections by their prefix: `train/loss` and `train/acc` stand together, as W&B shows them. Pure. */

export interface Section<T> {
  name: string;
  items: T[];
}

/** What stands before the last slash; keys without one are in the section "Charts". */
export function sectionOf(key: string): string {
  const at = key.lastIndexOf("/");
  return at > 0 ? key.slice(0, at) : "Charts";
}

/** The first part of a system metric's name: `gpu.0.temp` is in `gpu`. */
export function systemSection(key: string): string {
  const bare = key.startsWith("system.") ? key.slice("system.".length) : key;
  return bare.split(".", 1)[0] ?? bare;
}

/** Sections in the order of their names, "Charts" first. */
export function sections<T extends { key: string }>(items: readonly T[], of: (key: string) => string = sectionOf): Section<T>[] {
  const found = new Map<string, T[]>();
  for (const item of items) {
    const name = of(item.key);
    const list = found.get(name);
    if (list) list.push(item);
    else found.set(name, [item]);
  }
  const rank = (name: string) => (name === "Charts" ? 0 : 1);
  return [...found].map(([name, list]) => ({ name, items: list })).sort((a, b) => rank(a.name) - rank(b.name) || a.name.localeCompare(b.name));
}

/** The horizontal axis of one chart. */
export interface Axis {
  x: "step" | "time" | "relative" | "metric";
  xKey: string;
}

/** An axis as it stands in the page's address: "", "step", "time", "relative" or "metric:<key>". */
export function axisOf(text: string, item: { kind: string; x?: string | null | undefined }): Axis {
  if (item.kind === "system") return { x: text === "time" ? "time" : "relative", xKey: "" };
  if (text.startsWith("metric:")) return { x: "metric", xKey: text.slice("metric:".length) };
  if (text === "step" || text === "time" || text === "relative") return { x: text, xKey: "" };
  return item.x ? { x: "metric", xKey: item.x } : { x: "step", xKey: "" };
}

export function axisName(axis: Axis): string {
  return { step: "step", time: "time", relative: "relative time", metric: axis.xKey }[axis.x];
}
