/** Smoothing and logarithms for charts. Pure. */

import type { SeriesData, SeriesLine } from "../api/client";

type Value = number | string;

/** The exponential moving average with weight `weight` (0 to 1) on the past, without the pull towards 0 at the beginning. */
export function smoothed(values: readonly Value[], weight: number): Value[] {
  if (weight <= 0) return [...values];
  let last = 0;
  let seen = 0;
  return values.map((value) => {
    if (typeof value !== "number" || !Number.isFinite(value)) return value;
    last = last * weight + (1 - weight) * value;
    seen += 1;
    return last / (1 - weight ** seen);
  });
}

/** Only what a logarithm has: everything else becomes a gap. */
function positive(values: readonly Value[]): Value[] {
  return values.map((value) => (typeof value === "number" && value <= 0 ? "NaN" : value));
}

/** The data as it is drawn: the smoothed mean is the line, what was measured stays behind it. */
export function prepared(data: SeriesData, weight: number, log: boolean): SeriesData {
  if (weight <= 0 && !log) return data;
  const line = (each: SeriesLine): SeriesLine => {
    const mean = weight > 0 ? smoothed(each.mean, weight) : each.mean;
    return (log ? { ...each, mean: positive(mean), min: positive(each.min), max: positive(each.max) } : { ...each, mean }) as SeriesLine;
  };
  return { ...data, lines: data.lines.map(line) };
}
