/** Small figures from what training code logged: histograms, the presets of wandb.plot, Plotly's simple traces. Pure. */

import type { CustomChart, TableRows } from "../api/client";

export interface Trace {
  name: string;
  mode: "line" | "points" | "bars";
  x: (number | string)[];
  y: number[];
  /** Bars only: right edges, where bars have a width of their own. */
  to?: number[];
}

export interface Figure {
  title: string;
  xTitle: string;
  yTitle: string;
  traces: Trace[];
}

const MAX_TRACES = 50;
const MAX_POINTS = 20_000;

type Loose = Record<string, unknown>;
const object = (value: unknown): Loose => (value !== null && typeof value === "object" && !Array.isArray(value) ? (value as Loose) : {});
const text = (value: unknown): string => (typeof value === "string" ? value : "");
const isNumber = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);

export function histogram(bins: readonly number[], values: readonly number[]): Figure {
  return { title: "", xTitle: "", yTitle: "", traces: [{ name: "", mode: "bars", x: bins.slice(0, -1), y: [...values], to: bins.slice(1) }] };
}

/** A chart of wandb.plot from its table; null where the preset is not one that is drawn here. */
export function presetFigure(chart: CustomChart, table: TableRows): Figure | null {
  const column = (part: string): unknown[] | null => {
    const name = text(chart.fields[part]) || part;
    const at = table.columns.indexOf(name);
    return at < 0 ? null : table.rows.map((row) => row[at]);
  };
  const label = (part: string) => text(chart.fields[part]) || part;
  const title = text(chart.texts["title"]);
  const preset = chart.preset.replace(/\/v\d+$/, "");
  const figure = (x: string, y: string, traces: Trace[]): Figure | null => (traces.length > 0 ? { title, xTitle: x, yTitle: y, traces } : null);
  if (preset === "wandb/bar") {
    const [names, values] = [column("label"), column("value")];
    return names && values ? figure(label("label"), label("value"), [trace("", "bars", names.map(String), values)]) : null;
  }
  if (preset === "wandb/histogram") {
    const values = column("value")?.filter(isNumber);
    return values && values.length > 0 ? figure(label("value"), "count", [counted(values)]) : null;
  }
  if (preset === "wandb/scatter" || preset === "wandb/line" || preset === "wandb/area-under-curve" || preset === "wandb/lineseries") {
    const series = preset === "wandb/lineseries";
    const [x, y] = [column(series ? "step" : "x"), column(series ? "lineVal" : "y")];
    const group = column(series ? "lineKey" : preset === "wandb/line" ? "stroke" : "class");
    if (!x || !y) return null;
    return figure(text(chart.texts["xname"]) || label(series ? "step" : "x"), series ? "" : label("y"), grouped(group, x, y, preset === "wandb/scatter" ? "points" : "line"));
  }
  return null;
}

function grouped(group: unknown[] | null, x: unknown[], y: unknown[], mode: Trace["mode"]): Trace[] {
  const rows = new Map<string, [unknown[], unknown[]]>();
  x.forEach((value, index) => {
    const name = group ? String(group[index]) : "";
    const found = rows.get(name) ?? [[], []];
    found[0].push(value);
    found[1].push(y[index]);
    rows.set(name, found);
  });
  return [...rows].slice(0, MAX_TRACES).map(([name, [xs, ys]]) => trace(name, mode, xs, ys));
}

/** Points that have a place: a number up, and a number or a name across. */
function trace(name: string, mode: Trace["mode"], x: unknown[], y: unknown[]): Trace {
  const made: Trace = { name, mode, x: [], y: [] };
  for (let at = 0; at < Math.min(y.length, MAX_POINTS); at += 1) {
    const [across, up] = [x[at], y[at]];
    if (!isNumber(up) || !(isNumber(across) || typeof across === "string")) continue;
    made.x.push(across);
    made.y.push(up);
  }
  return made;
}

/** Values in 20 equal bins. */
function counted(values: readonly number[], bins = 20): Trace {
  const low = values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const high = values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const width = (high - low) / bins || 1;
  const counts = new Array<number>(bins).fill(0);
  for (const value of values) {
    const at = Math.min(bins - 1, Math.floor((value - low) / width));
    counts[at] = (counts[at] ?? 0) + 1;
  }
  const edges = Array.from({ length: bins + 1 }, (_, index) => low + index * width);
  return { name: "", mode: "bars", x: edges.slice(0, -1), y: counts, to: edges.slice(1) };
}

/** Scatter, line, bar and histogram traces of a Plotly figure; null if it has none of them. */
export function plotlyFigure(value: unknown): Figure | null {
  const { data, layout } = object(value);
  if (!Array.isArray(data)) return null;
  const traces = data.slice(0, MAX_TRACES).flatMap((each) => plotlyTrace(object(each)));
  if (traces.length === 0) return null;
  const said = object(layout);
  return { title: titled(said["title"]), xTitle: titled(object(said["xaxis"])["title"]), yTitle: titled(object(said["yaxis"])["title"]), traces };
}

function titled(value: unknown): string {
  return text(value) || text(object(value)["text"]);
}

function plotlyTrace(each: Loose): Trace[] {
  const type = text(each["type"]) || "scatter";
  const name = text(each["name"]);
  const y = column(each["y"]);
  if (type === "histogram") {
    const values = column(each["x"]).filter(isNumber);
    return values.length > 0 ? [{ ...counted(values), name }] : [];
  }
  if (type !== "scatter" && type !== "scattergl" && type !== "bar") return [];
  const own = column(each["x"]);
  const x = own.length > 0 ? own : y.map((_, index) => index);
  const mode = type === "bar" ? "bars" : text(each["mode"]) === "markers" ? "points" : "line";
  const made = trace(name, mode, x, y);
  return made.x.length > 0 ? [made] : [];
}

/** A list, or Plotly's packed form of one: base64 of little-endian numbers. */
function column(value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  const { bdata, dtype } = object(value);
  if (typeof bdata !== "string" || typeof dtype !== "string") return [];
  let raw: string;
  try {
    raw = atob(bdata);
  } catch {
    return []; // no base64: nothing to draw
  }
  const view = new DataView(Uint8Array.from(raw, (char) => char.charCodeAt(0)).buffer);
  const reader = READERS[dtype];
  if (!reader) return [];
  const [size, read] = reader;
  return Array.from({ length: Math.min(MAX_POINTS, Math.floor(view.byteLength / size)) }, (_, index) => read(view, index * size));
}

const READERS: Record<string, [number, (view: DataView, at: number) => number]> = {
  f8: [8, (view, at) => view.getFloat64(at, true)],
  f4: [4, (view, at) => view.getFloat32(at, true)],
  i4: [4, (view, at) => view.getInt32(at, true)],
  u4: [4, (view, at) => view.getUint32(at, true)],
  i2: [2, (view, at) => view.getInt16(at, true)],
  u2: [2, (view, at) => view.getUint16(at, true)],
  i1: [1, (view, at) => view.getInt8(at)],
  u1: [1, (view, at) => view.getUint8(at)],
};

/** A value's place between the ends of an axis, 0 to 1. */
export interface Scale {
  low: number;
  high: number;
  /** Names across instead of numbers, in the order in which they came. */
  names: string[] | null;
}

export function across(figure: Figure): Scale {
  const values = figure.traces.flatMap((each) => [...each.x, ...(each.to ?? [])]);
  if (values.some((value) => typeof value === "string")) {
    const names = [...new Set(values.map(String))];
    return { low: -0.5, high: names.length - 0.5, names };
  }
  return { ...extent(values as number[], 0.02), names: null };
}

export function upward(figure: Figure): Scale {
  const values = figure.traces.flatMap((each) => each.y);
  const bars = figure.traces.some((each) => each.mode === "bars");
  return { ...extent(bars ? [0, ...values] : values, 0.05), names: null };
}

function extent(values: readonly number[], margin: number): { low: number; high: number } {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low > high) return { low: 0, high: 1 };
  const room = (high - low) * margin || 0.5;
  return { low: low - room, high: high + room };
}

export function placeOf(scale: Scale, value: number | string): number {
  const at = scale.names ? scale.names.indexOf(String(value)) : Number(value);
  return (at - scale.low) / (scale.high - scale.low);
}

/** About `count` round numbers between the ends. */
export function ticks(scale: Scale, count: number): number[] {
  const rough = (scale.high - scale.low) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((each) => each * power >= rough) ?? 10) * power;
  const made: number[] = [];
  for (let at = Math.ceil(scale.low / step) * step; at <= scale.high && made.length < 50; at += step) made.push(Number(at.toPrecision(12)));
  return made;
}
