import { useEffect, useMemo, useRef, useState } from "react";
import uPlot from "uplot";
import type { SeriesData } from "../api/client";
import { aligned, closest, envelope, lineColour, valueAt, type Aligned } from "../lib/chartdata";
import { clockLabels, metric } from "../lib/format";

/** Lines up to this many have a band of their own and an entry in the legend; more share one band. */
const NAMED = 16;
const HEIGHT = 190;

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

interface Hover {
  /** -1: the pointer is on another chart of the page. */
  line: number;
  cell: number;
}

interface Props {
  data: SeriesData;
  range: [number, number] | null;
  zoom: (range: [number, number] | null) => void;
  syncKey: string;
}

/** One key, one line a rank: mean as line, min to max as band. Drag zooms every chart of the page, double click goes back. */
export function Chart({ data, range, zoom, syncKey }: Props) {
  const holder = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [hover, setHover] = useState<Hover | null>(null);
  const columns = useMemo(() => aligned(data.lines), [data]);
  const current = useRef({ columns, zoom, range });
  useEffect(() => {
    current.current = { columns, zoom, range };
  }, [columns, zoom, range]);
  const labels = data.lines.map((line) => line.label);
  const shape = `${data.x}|${labels.join("|")}`;
  const dark = useDark();

  useEffect(() => {
    const element = holder.current;
    if (!element) return undefined;
    const now = current.current;
    const look = theme(element);
    const colours = labels.map((_, index) => look.resolve(lineColour(index, labels.length, look.dark)));
    const options: uPlot.Options = {
      width: element.clientWidth,
      height: HEIGHT,
      padding: [10, 18, 0, 0],
      ...drawn(colours, look),
      cursor: {
        sync: { key: syncKey, setSeries: false },
        drag: { x: true, y: false, setScale: false },
        points: { show: false },
      },
      legend: { show: false },
      scales: { x: { time: data.x === "time", range: (_, low, high) => current.current.range ?? spread(low, high) } },
      axes: axes(look, data.x === "time"),
      hooks: {
        setSelect: [
          (u) => {
            if (u.select.width > 4) current.current.zoom([u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x")]);
            u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          },
        ],
        setCursor: [(u) => setHover(hovered(u, current.current.columns))],
      },
    };
    const made = new uPlot(options, rows(now.columns), element);
    plot.current = made;
    const reset = () => current.current.zoom(null);
    made.over.addEventListener("dblclick", reset);
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

  const line = hover ? data.lines[hover.line] : undefined;
  const named = labels.length <= NAMED;
  useEffect(() => {
    const u = plot.current;
    if (!u) return;
    u.series.forEach((series, index) => {
      if (index > 0 && index <= labels.length) series.alpha = hover === null || hover.line < 0 || index - 1 === hover.line ? 1 : named ? 0.55 : 0.25;
    });
    u.redraw(false);
    // Only another line changes what is bright.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [hover?.line, named, labels.length]);

  return (
    <>
      <div className="plot" ref={holder} role="img" aria-label={`${data.key}: ${labels.length} lines`} />
      <div className="legend" aria-live="off">
        {named ? (
          labels.map((label, index) => (
            <span key={`${label}/${data.lines[index]?.attempt ?? ""}`} className={`entry${hover?.line === index ? " on" : ""}`}>
              <i style={{ background: lineColour(index, labels.length, dark) }} aria-hidden="true" />
              {label}
              {hover ? <b>{metric(valueAt(columns, index, hover.cell))}</b> : null}
            </span>
          ))
        ) : (
          <span className="entry on">
            {line && hover ? (
              <>
                <i style={{ background: lineColour(hover.line, labels.length, dark) }} aria-hidden="true" />
                {line.label}
                <b>{metric(valueAt(columns, hover.line, hover.cell))}</b>
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

function hovered(u: uPlot, columns: Aligned): Hover | null {
  const cell = u.cursor.idx;
  const { left = -1, top = -1 } = u.cursor;
  if (cell === null || cell === undefined || left < 0) return null;
  return { line: top < 0 ? -1 : closest(columns, cell, u.posToVal(top, "y")), cell };
}

/** x, then the means, then (few lines) each line's min and max, or (many) the envelope of all. */
function rows(columns: Aligned): uPlot.AlignedData {
  const named = columns.mean.length <= NAMED;
  const around = named ? null : envelope(columns);
  const bounds = around ? [around.min, around.max] : columns.min.flatMap((min, index) => [min, columns.max[index] ?? []]);
  return [columns.x, ...columns.mean, ...bounds] as uPlot.AlignedData;
}

function drawn(colours: string[], look: Theme): Pick<uPlot.Options, "series" | "bands"> {
  const named = colours.length <= NAMED;
  const means: uPlot.Series[] = colours.map((stroke) => ({ stroke, width: named ? 1.6 : 1, spanGaps: true, points: { show: false } }));
  const hidden: uPlot.Series = { width: 0, spanGaps: true, points: { show: false } };
  const bounds = named ? colours.flatMap(() => [hidden, hidden]) : [hidden, hidden];
  const first = 1 + colours.length;
  const bands: uPlot.Band[] = named
    ? colours.map((colour, index) => ({ series: [first + 2 * index + 1, first + 2 * index], fill: faded(colour) }))
    : [{ series: [first + 1, first], fill: look.band }];
  return { series: [{}, ...means, ...bounds.map((each) => ({ ...each }))], bands };
}

function faded(colour: string): string {
  return colour.startsWith("#") ? `${colour}26` : colour.replace(/^hsl\((.*)\)$/, "hsl($1 / 0.15)");
}

function axes(look: Theme, time: boolean): uPlot.Axis[] {
  const line = { stroke: look.text, grid: { stroke: look.grid, width: 1 }, ticks: { show: false }, font: "11px Inter, system-ui, sans-serif" };
  return [
    { ...line, size: 24, grid: { show: false }, space: 76, values: (_u, values) => (time ? clockLabels(values) : values.map((v) => metric(v))) },
    { ...line, size: 52, space: 32, values: (_u, values) => values.map((v) => metric(v)) },
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
