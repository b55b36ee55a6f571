/** The lines of a chart as uPlot's aligned columns. Pure. */

import type { SeriesLine } from "../api/client";

export type Column = (number | null | undefined)[];

export interface Aligned {
  x: number[];
  /** One of each a line, in the order of the lines; undefined = no bucket there, null = no finite value. */
  mean: Column[];
  min: Column[];
  max: Column[];
}

/** More columns than pixels help nobody, and 1 000 lines of their own x would need a million cells each. */
export const MAX_COLUMNS = 1200;

const finite = (value: number | string | undefined): number | null => (typeof value === "number" && Number.isFinite(value) ? value : null);

/** Lines on one x axis: their own x values where these are few, else `MAX_COLUMNS` equal bins. */
export function aligned(lines: readonly SeriesLine[]): Aligned {
  const own = new Set<number>();
  for (const line of lines) for (const x of line.x) own.add(x);
  const sorted = [...own].sort((a, b) => a - b);
  const grid = sorted.length <= MAX_COLUMNS ? sorted : bins(sorted[0] ?? 0, sorted.at(-1) ?? 0);
  const at = sorted.length <= MAX_COLUMNS ? exact(grid) : binned(grid);
  const columns = lines.map((line) => place(line, grid.length, at));
  return { x: grid, mean: columns.map((c) => c.mean), min: columns.map((c) => c.min), max: columns.map((c) => c.max) };
}

function bins(low: number, high: number): number[] {
  const width = (high - low) / (MAX_COLUMNS - 1);
  return Array.from({ length: MAX_COLUMNS }, (_, index) => low + index * width);
}

function exact(grid: readonly number[]): (x: number) => number {
  const index = new Map(grid.map((x, i) => [x, i]));
  return (x) => index.get(x) ?? 0;
}

function binned(grid: readonly number[]): (x: number) => number {
  const low = grid[0] ?? 0;
  const width = (grid[1] ?? low + 1) - low || 1;
  return (x) => Math.min(grid.length - 1, Math.max(0, Math.round((x - low) / width)));
}

function place(line: SeriesLine, length: number, at: (x: number) => number): { mean: Column; min: Column; max: Column } {
  const mean: Column = new Array<undefined>(length).fill(undefined);
  const min: Column = new Array<undefined>(length).fill(undefined);
  const max: Column = new Array<undefined>(length).fill(undefined);
  line.x.forEach((x, index) => {
    const cell = at(x);
    // Two buckets in one bin: the band covers both, the line takes the later.
    mean[cell] = finite(line.mean[index]);
    min[cell] = lower(min[cell], finite(line.min[index]));
    max[cell] = upper(max[cell], finite(line.max[index]));
  });
  return { mean, min, max };
}

function lower(a: number | null | undefined, b: number | null): number | null {
  return a === null || a === undefined ? b : b === null ? a : Math.min(a, b);
}

function upper(a: number | null | undefined, b: number | null): number | null {
  return a === null || a === undefined ? b : b === null ? a : Math.max(a, b);
}

/** The smallest and largest value over all lines at each x: the band behind a thousand ranks. */
export function envelope(data: Aligned): { min: Column; max: Column } {
  const min: Column = [];
  const max: Column = [];
  for (let cell = 0; cell < data.x.length; cell += 1) {
    let low: number | null = null;
    let high: number | null = null;
    for (let line = 0; line < data.mean.length; line += 1) {
      low = lower(low, data.min[line]?.[cell] ?? null);
      high = upper(high, data.max[line]?.[cell] ?? null);
    }
    min.push(low);
    max.push(high);
  }
  return { min, max };
}

/** The line whose value at column `cell` (or the nearest filled one before it) is closest to `value`; -1 if none has any. */
export function closest(data: Aligned, cell: number, value: number): number {
  let best = -1;
  let distance = Number.POSITIVE_INFINITY;
  for (let line = 0; line < data.mean.length; line += 1) {
    const here = valueAt(data, line, cell);
    if (here === null) continue;
    const away = Math.abs(here - value);
    if (away < distance) [best, distance] = [line, away];
  }
  return best;
}

/** A line's value at a column; between its own buckets, the one before. */
export function valueAt(data: Aligned, line: number, cell: number): number | null {
  const column = data.mean[line];
  for (let at = cell; column && at >= 0 && at > cell - 60; at -= 1) {
    const value = column[at];
    if (value !== undefined) return value;
  }
  return null;
}

/** How many buckets a line to ask for: all lines together stay near 60 000. */
export function bucketsFor(lines: number): number {
  return Math.max(60, Math.min(400, Math.floor(60_000 / Math.max(1, lines))));
}

const FEW = 8;

/** A line's colour: a fixed palette for few, a ramp over the ranks for many. */
export function lineColour(index: number, count: number, dark: boolean): string {
  if (count <= FEW) return `var(--line-${index % FEW})`;
  const part = count > 1 ? index / (count - 1) : 0;
  const hue = 265 - 235 * part;
  return dark ? `hsl(${hue.toFixed(0)} 62% 66%)` : `hsl(${hue.toFixed(0)} 58% 42%)`;
}

/** What lines are called: their labels, with the attempt where a label stands for several lines. */
export function lineNames(lines: readonly SeriesLine[]): string[] {
  const times = new Map<string, number>();
  for (const line of lines) times.set(line.label, (times.get(line.label) ?? 0) + 1);
  const seen = new Map<string, number>();
  return lines.map((line) => {
    const name = (times.get(line.label) ?? 0) > 1 ? `${line.label}, attempt ${line.attempt ?? "?"}` : line.label;
    const before = seen.get(name) ?? 0;
    seen.set(name, before + 1);
    return before === 0 ? name : `${name} (${before + 1})`;
  });
}
