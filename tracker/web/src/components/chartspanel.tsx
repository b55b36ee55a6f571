import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import type { SeriesData, SeriesLine } from "../api/client";
import { bucketsFor } from "../lib/chartdata";
import { integer, metric, plural } from "../lib/format";
import { axisName, axisOf, sectionOf, sections, systemSection, type Axis } from "../lib/sections";
import { prepared } from "../lib/smooth";
import { useSearch } from "../router";
import { Chart } from "./chart";
import { Empty, ErrorNote, useKey } from "./ui";

export interface ChartItem {
  key: string;
  kind: "system" | "user";
  lines: number;
  points?: number;
  last: number | string | null;
  x?: string | null | undefined;
  hidden?: boolean;
}

export interface ChartQuery {
  key: string;
  x: Axis["x"];
  xKey: string;
  points: number;
  from: number | null;
  to: number | null;
}

export interface ChartSource {
  /** Names what is read, for the cache. */
  id: string;
  read: (query: ChartQuery, signal: AbortSignal) => Promise<SeriesData>;
  /** Milliseconds between two reads of a chart that is seen. */
  interval: number;
  slot?: (line: SeriesLine) => readonly [number, number];
}

type Zoom = { axis: string; range: [number, number] } | null;

const AXES = [
  ["", "As defined"],
  ["step", "Step"],
  ["relative", "Relative time"],
  ["time", "Time"],
] as const;

/** One chart a key, in sections; one axis, one smoothing and one zoom for all of them. */
export function ChartsPanel({ items, source, pending, error, empty }: { items: readonly ChartItem[]; source: ChartSource; pending: boolean; error: Error | null; empty: React.ReactNode }) {
  const [search, change] = useSearch();
  const wanted = search.get("key") ?? "";
  const x = search.get("x") ?? "";
  const log = search.get("y") === "log";
  const smooth = Math.min(0.99, Math.max(0, Number(search.get("smooth") ?? 0) || 0));
  const all = search.get("hidden") === "show";
  const [zoom, setZoom] = useState<Zoom>(null);
  const [focus, setFocus] = useState<string | null>(null);
  const box = useRef<HTMLInputElement>(null);
  useKey("/", useCallback(() => box.current?.focus(), []));
  const needle = wanted.toLowerCase();
  const hidden = items.filter((item) => item.hidden).length;
  const shown = items.filter((item) => item.key.toLowerCase().includes(needle) && (all || !item.hidden));
  const metrics = items.filter((item) => item.kind === "user").map((item) => item.key);
  const groups = [
    ...sections(shown.filter((item) => item.kind === "user"), sectionOf).map((group) => ({ ...group, id: `user/${group.name}` })),
    ...sections(shown.filter((item) => item.kind === "system"), systemSection).map((group) => ({ name: `System: ${group.name}`, items: group.items, id: `system/${group.name}` })),
  ];
  return (
    <>
      <div className="toolbar">
        <label>
          <span className="sr">Filter by key</span>
          <input ref={box} type="search" placeholder="Filter by key  ( / )" value={wanted} onChange={(event) => change({ key: event.target.value })} />
        </label>
        <span className="muted">{shown.length === items.length ? plural(items.length, "key") : `${shown.length} of ${plural(items.length, "key")}`}</span>
        {hidden > 0 ? (
          <button type="button" aria-pressed={all} onClick={() => change({ hidden: all ? null : "show" })} title="define_metric(hidden=True)">
            {all ? "Without hidden ones" : `Show ${integer(hidden)} hidden`}
          </button>
        ) : null}
        <span className="grow" />
        {zoom ? (
          <button type="button" onClick={() => setZoom(null)}>
            Show all of it
          </button>
        ) : (
          <span className="muted">Drag to zoom</span>
        )}
        <label>
          <span className="name">Smoothing</span>
          <input type="range" className="smooth" min={0} max={0.99} step={0.01} value={smooth} onChange={(event) => change({ smooth: Number(event.target.value) > 0 ? event.target.value : null })} />
          <span className="num smoothed">{smooth.toFixed(2)}</span>
        </label>
        <button type="button" aria-pressed={log} onClick={() => change({ y: log ? null : "log" })}>
          Log scale
        </button>
        <label>
          <span className="name">X</span>
          <select
            className="axis"
            aria-label="Horizontal axis"
            value={x}
            onChange={(event) => {
              setZoom(null);
              change({ x: event.target.value });
            }}
          >
            {AXES.map(([value, name]) => (
              <option key={value} value={value}>
                {name}
              </option>
            ))}
            {metrics.length > 0 ? (
              <optgroup label="Metric">
                {metrics.map((key) => (
                  <option key={key} value={`metric:${key}`}>
                    {key}
                  </option>
                ))}
              </optgroup>
            ) : null}
          </select>
        </label>
      </div>
      <ErrorNote error={error} />
      {pending ? <Empty title="Loading…" /> : null}
      {!pending && items.length === 0 ? empty : null}
      {groups.map((group) => (
        <ChartSection key={group.id} id={group.id} name={group.name} count={group.items.length}>
          {group.items.map((item) => (
            <ChartCard
              key={`${item.kind}/${item.key}`}
              source={source}
              item={item}
              axis={axisOf(x, item)}
              zoom={zoom}
              setZoom={setZoom}
              focus={focus}
              setFocus={setFocus}
              smooth={smooth}
              log={log}
            />
          ))}
        </ChartSection>
      ))}
    </>
  );
}

function ChartSection({ id, name, count, children }: { id: string; name: string; count: number; children: React.ReactNode }) {
  const [open, setOpen] = useState(true);
  return (
    <section className="chartgroup" aria-labelledby={`section-${id}`}>
      <h2 id={`section-${id}`}>
        <button type="button" className="aslink" aria-expanded={open} onClick={() => setOpen(!open)}>
          {name}
        </button>{" "}
        <span className="muted">{count}</span>
      </h2>
      {open ? <div className="charts">{children}</div> : null}
    </section>
  );
}

interface CardProps {
  source: ChartSource;
  item: ChartItem;
  axis: Axis;
  zoom: Zoom;
  setZoom: (zoom: Zoom) => void;
  focus: string | null;
  setFocus: (line: string | null) => void;
  smooth: number;
  log: boolean;
}

function ChartCard({ source, item, axis, zoom, setZoom, focus, setFocus, smooth, log }: CardProps) {
  const [card, visible] = useVisible<HTMLElement>();
  const name = `${axis.x}:${axis.xKey}`;
  const range = zoom?.axis === name ? zoom.range : null;
  const query: ChartQuery = { key: item.key, x: axis.x, xKey: axis.xKey, points: bucketsFor(item.lines), from: range?.[0] ?? null, to: range?.[1] ?? null };
  const data = useQuery({
    queryKey: ["chart", source.id, query],
    queryFn: ({ signal }) => source.read(query, signal),
    enabled: visible,
    refetchInterval: source.interval,
    placeholderData: keepPreviousData,
  });
  const drawn = useMemo(() => (data.data ? prepared(data.data, smooth, log) : undefined), [data.data, smooth, log]);
  const filled = drawn?.lines.some((line) => line.x.length > 0);
  return (
    <article className="card chart" ref={card} aria-label={item.key}>
      <header>
        <h3 title={item.key}>{item.key}</h3>
        <div className="aside muted" title={item.points === undefined ? "" : `${integer(item.points)} points, newest value ${metric(item.last)}`}>
          {axisName(axis)}
        </div>
      </header>
      <ErrorNote error={data.error} />
      {drawn && filled ? (
        <Chart
          data={drawn}
          range={range}
          zoom={(next) => setZoom(next ? { axis: name, range: next } : null)}
          syncKey={`${source.id}/${name}`}
          focus={focus}
          setFocus={setFocus}
          log={log}
          faint={smooth > 0}
          {...(source.slot ? { slot: source.slot } : {})}
        />
      ) : (
        <p className="quiet plotless">{data.isPending ? "Loading…" : range ? "No points in this range." : axis.x === "metric" ? `No row has both this and ${axis.xKey}.` : axis.x === "step" ? "These points have no step." : "No points yet."}</p>
      )}
    </article>
  );
}

/** Whether the element is on the screen: only charts that are seen are read again. */
export function useVisible<T extends Element>(): [React.RefObject<T | null>, boolean] {
  const element = useRef<T>(null);
  const [visible, setVisible] = useState(false);
  useEffect(() => {
    const target = element.current;
    if (!target) return undefined;
    const observer = new IntersectionObserver((entries) => setVisible(entries.some((entry) => entry.isIntersecting)), { rootMargin: "200px" });
    observer.observe(target);
    return () => observer.disconnect();
  }, []);
  return [element, visible];
}
