import { useEffect, useMemo, useRef, useState } from "react";
import uPlot from "uplot";
import type { SeriesData, SeriesLine } from "../api/client";
import { aligned, closest, envelope, lineColour, lineNames, valueAt, type Aligned } from "../lib/chartdata";
import { clockLabels, duration, metric } from "../lib/format";

/** Lines up to this many have a band of their own and an entry in the legend; more share one band. */
const NAMED = 16;
const HEIGHT = 190;
const [MINUTE, HOUR, DAY] = [60, 3600, 86_400];
/** Steps of a time axis, in seconds: whole parts of a minute, an hour, a day. */
const SECONDS = [
  ...[1, 2, 5, 10, 15, 30],
  ...[1, 2, 5, 10, 15, 30].map((count) => count * MINUTE),
  ...[1, 2, 3, 6, 12].map((count) => count * HOUR),
  ...[1, 2, 7, 14, 28, 91, 182, 365].map((count) => count * DAY),
];

interface Theme {
  dark: boolean;
  text: string;
  grid: string;
  band: string;
  resolve: (colour: string) => string;
}

function theme(element: HTMLElement): Theme {
  const style = getComputedStyle(element);
  const named = (name: string) => style.getPropertyValue(name).trim();
  return {
    dark: matchMedia("(prefers-color-scheme: dark)").matches,
    text: named("--muted"),
    grid: named("--grid"),
    band: named("--band"),
    resolve: (colour) => {
      const match = /^var\((--[\w-]+)\)$/.exec(colour);
      return match?.[1] ? named(match[1]) : colour;
    },
  };
}

interface Props {
  data: SeriesData;
  range: [number, number] | null;
  zoom: (range: [number, number] | null) => void;
  syncKey: string;
  /** The line (lineName) under the pointer, on whichever chart of the page: it is bright on all of them. */
  focus: string | null;
  setFocus: (line: string | null) => void;
  /** The vertical axis is a logarithm; every value is positive. */
  log?: boolean;
  /** Smallest and largest value are what was measured, and stand as faint lines behind a smoothed one. */
  faint?: boolean;
  /** Which colour of how many a line has; without: its place in the data. */
  slot?: (line: SeriesLine) => readonly [number, number];
}

/** One key, one line a rank: mean as line, min to max as band. Drag zooms every chart of the page, double click goes back. */
export function Chart({ data, range, zoom, syncKey, focus, setFocus, log = false, faint = false, slot }: Props) {
  const holder = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [cell, setCell] = useState<number | null>(null);
  const columns = useMemo(() => aligned(data.lines), [data]);
  const labels = useMemo(() => lineNames(data.lines), [data]);
  const current = useRef({ columns, labels, zoom, range, setFocus });
  useEffect(() => {
    current.current = { columns, labels, zoom, range, setFocus };
  }, [columns, labels, zoom, range, setFocus]);
  const dark = useDark();
  const slots = useMemo(() => data.lines.map((line, index) => slot?.(line) ?? ([index, data.lines.length] as const)), [data, slot]);
  const colour = (index: number) => lineColour(slots[index]?.[0] ?? index, slots[index]?.[1] ?? labels.length, dark);
  const shape = `${data.x}|${log}|${faint}|${labels.map((label, index) => `${label}:${colour(index)}`).join("|")}`;

  useEffect(() => {
    const element = holder.current;
    if (!element) return undefined;
    const now = current.current;
    const look = theme(element);
    const colours = labels.map((_, index) => look.resolve(colour(index)));
    const options: uPlot.Options = {
      width: element.clientWidth,
      height: HEIGHT,
      padding: [10, 18, 0, 0],
      ...drawn(colours, look, faint),
      cursor: {
        sync: { key: syncKey, setSeries: false },
        drag: { x: true, y: false, setScale: false },
        points: { show: false },
      },
      legend: { show: false },
      // The library's enum is for its own files only: 3 is its logarithm.
      // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment
      scales: { x: { time: data.x === "time", range: (_, low, high) => current.current.range ?? spread(low, high) }, ...(log ? { y: { distr: 3 } } : {}) },
      axes: axes(look, data.x),
      hooks: {
        setSelect: [
          (u) => {
            if (u.select.width > 4) current.current.zoom([u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x")]);
            u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          },
        ],
        setCursor: [
          (u) => {
            const { left = -1, top = -1, idx } = u.cursor;
            const at = left < 0 ? null : (idx ?? null);
            setCell(at);
            // The other charts' cursors follow this one's: only the pointer's own chart says which line is meant.
            if (!u.over.matches(":hover")) return;
            const line = at === null ? -1 : closest(current.current.columns, at, u.posToVal(top, "y"));
            current.current.setFocus(current.current.labels[line] ?? null);
          },
        ],
      },
    };
    const made = new uPlot(options, rows(now.columns), element);
    plot.current = made;
    const reset = () => current.current.zoom(null);
    made.over.addEventListener("dblclick", reset);
    const left = () => current.current.setFocus(null);
    made.over.addEventListener("mouseleave", left);
    const resized = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }));
    resized.observe(element);
    return () => {
      resized.disconnect();
      made.destroy();
      plot.current = null;
    };
    // `shape` stands for labels and x; new points come by setData below.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [shape, syncKey, dark]);

  useEffect(() => {
    plot.current?.setData(rows(columns));
  }, [columns, range]);

  const bright = focus === null ? -1 : labels.indexOf(focus);
  const named = labels.length <= NAMED;
  useEffect(() => {
    const u = plot.current;
    if (!u) return;
    u.series.forEach((series, index) => {
      if (index > 0 && index <= labels.length) series.alpha = bright < 0 || index - 1 === bright ? 1 : named ? 0.45 : 0.2;
    });
    u.redraw(false);
  }, [bright, named, labels.length]);

  return (
    <>
      <div className="plot" ref={holder} role="img" aria-label={`${data.key}: ${labels.length} lines`} />
      <div className="legend" aria-live="off">
        {named ? (
          labels.map((label, index) => (
            <span key={label} className={`entry${bright === index ? " on" : ""}`}>
              <i style={{ background: colour(index) }} aria-hidden="true" />
              {label}
              {cell === null ? null : <b>{metric(valueAt(columns, index, cell))}</b>}
            </span>
          ))
        ) : (
          <span className="entry on">
            {bright >= 0 && cell !== null ? (
              <>
                <i style={{ background: colour(bright) }} aria-hidden="true" />
                {labels[bright]}
                <b>{metric(valueAt(columns, bright, cell))}</b>
              </>
            ) : (
              `${labels.length} lines; point at one to see whose it is`
            )}
          </span>
        )}
      </div>
    </>
  );
}

function spread(low: number | null, high: number | null): [number, number] {
  if (low === null || high === null) return [0, 1];
  return low === high ? [low - 1, high + 1] : [low, high];
}

/** x, then the means, then (few lines) each line's min and max, or (many) the envelope of all. */
function rows(columns: Aligned): uPlot.AlignedData {
  const named = columns.mean.length <= NAMED;
  const around = named ? null : envelope(columns);
  const bounds = around ? [around.min, around.max] : columns.min.flatMap((min, index) => [min, columns.max[index] ?? []]);
  return [columns.x, ...columns.mean, ...bounds] as uPlot.AlignedData;
}

function drawn(colours: string[], look: Theme, faint: boolean): Pick<uPlot.Options, "series" | "bands"> {
  const named = colours.length <= NAMED;
  const means: uPlot.Series[] = colours.map((stroke) => ({ stroke, width: named ? 1.6 : 1, spanGaps: true, points: { show: false } }));
  const hidden: uPlot.Series = { width: 0, spanGaps: true, points: { show: false } };
  const thin = (stroke: string): uPlot.Series => (faint ? { ...hidden, width: 1, stroke: faded(stroke, "40") } : hidden);
  const bounds = named ? colours.flatMap((stroke) => [thin(stroke), thin(stroke)]) : [hidden, hidden];
  const first = 1 + colours.length;
  const bands: uPlot.Band[] = named
    ? colours.map((colour, index) => ({ series: [first + 2 * index + 1, first + 2 * index], fill: faded(colour) }))
    : [{ series: [first + 1, first], fill: look.band }];
  return { series: [{}, ...means, ...bounds.map((each) => ({ ...each }))], bands };
}

function faded(colour: string, alpha = "26"): string {
  return colour.startsWith("#") ? `${colour}${alpha}` : colour.replace(/^hsl\((.*)\)$/, `hsl($1 / ${(parseInt(alpha, 16) / 255).toFixed(2)})`);
}

function axes(look: Theme, x: SeriesData["x"]): uPlot.Axis[] {
  const time = x === "time";
  const label = (value: number) => (x === "relative" ? duration(value).replace(/\.0s$/, "s") : metric(value));
  const line = { stroke: look.text, grid: { stroke: look.grid, width: 1 }, ticks: { show: false }, font: "11px Inter, system-ui, sans-serif" };
  return [
    { ...line, size: 24, grid: { show: false }, space: 66, ...(time ? { incrs: SECONDS } : {}), values: (_u, values) => (time ? clockLabels(values) : values.map(label)) },
    // On a logarithmic axis the library leaves gaps between the labels that it wants.
    { ...line, size: 52, space: 32, values: (_u, values) => values.map((v: number | null) => (v === null ? "" : metric(v))) },
  ];
}

function useDark(): boolean {
  const [dark, setDark] = useState(() => matchMedia("(prefers-color-scheme: dark)").matches);
  useEffect(() => {
    const media = matchMedia("(prefers-color-scheme: dark)");
    const changed = () => setDark(media.matches);
    media.addEventListener("change", changed);
    return () => media.removeEventListener("change", changed);
  }, []);
  return dark;
}
