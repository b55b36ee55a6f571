/** Nested config as dotted keys, in the order given. Pure. */

export interface Entry {
  key: string;
  value: string;
}

const MAX_ENTRIES = 5000;

export function flattened(value: unknown): Entry[] {
  const made: Entry[] = [];
  walk("", value, made, 0);
  return made;
}

/** Values in the order of their names, without the client's own clock, and with things that are shown elsewhere (images, tables …) as a word. */
export function folded(values: Record<string, unknown>): Record<string, unknown> {
  const word = (value: unknown): unknown => {
    if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
    const type = (value as Record<string, unknown>)["_type"];
    return typeof type === "string" ? `(${type})` : value;
  };
  return Object.fromEntries(
    Object.entries(values)
      .filter(([key]) => key !== "_timestamp" && key !== "_wandb")
      .sort(([a], [b]) => a.localeCompare(b))
      .map(([key, value]) => [key, word(value)]),
  );
}

function walk(key: string, value: unknown, made: Entry[], depth: number): void {
  if (made.length >= MAX_ENTRIES) return;
  const leaf = value === null || typeof value !== "object" || depth > 12 || empty(value) || (Array.isArray(value) && value.every(isLeaf));
  if (leaf) {
    if (key !== "") made.push({ key, value: typeof value === "string" ? value : JSON.stringify(value) });
    return;
  }
  for (const [name, inner] of Object.entries(value)) walk(key === "" ? name : `${key}.${name}`, inner, made, depth + 1);
}

function empty(value: object): boolean {
  return Object.keys(value).length === 0;
}

function isLeaf(value: unknown): boolean {
  return value === null || typeof value !== "object";
}
