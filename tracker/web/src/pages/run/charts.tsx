import { useCallback, useMemo, useRef, useState } from "react";
import type { Run, Series } from "../../api/client";
import { useSeries, useSeriesData, type RunName } from "../../api/queries";
import { Chart } from "../../components/chart";
import { useVisible } from "../../components/chartspanel";
import { Empty, ErrorNote, useKey } from "../../components/ui";
import { bucketsFor } from "../../lib/chartdata";
import { integer, metric, plural } from "../../lib/format";
import { useSearch } from "../../router";

type X = "time" | "step";
type Range = [number, number] | null;

export function ChartsTab({ name, run }: { name: RunName; run: Run }) {
  const [search, change] = useSearch();
  const x: X = search.get("x") === "step" ? "step" : "time";
  const wanted = search.get("key") ?? "";
  const [range, setRange] = useState<Range>(null);
  const [focus, setFocus] = useState<string | null>(null);
  const series = useSeries(name, run);
  const box = useRef<HTMLInputElement>(null);
  useKey("/", useCallback(() => box.current?.focus(), []));
  const items = series.data?.items ?? [];
  const needle = wanted.toLowerCase();
  const shown = items.filter((item) => item.key.toLowerCase().includes(needle));
  const groups = (["user", "system"] as const)
    .map((kind) => ({ kind, items: shown.filter((item) => item.kind === kind) }))
    .filter((group) => group.items.length > 0);
  const setX = (next: X) => {
    setRange(null);
    change({ x: next === "step" ? "step" : null });
  };
  return (
    <>
      <div className="toolbar">
        <label>
          <span className="sr">Filter by key</span>
          <input ref={box} type="search" placeholder="Filter by key  ( / )" value={wanted} onChange={(event) => change({ key: event.target.value })} />
        </label>
        <span className="muted">
          {shown.length === items.length ? plural(items.length, "key") : `${shown.length} of ${plural(items.length, "key")}`}
        </span>
        <span className="grow" />
        {range ? (
          <button type="button" onClick={() => setRange(null)}>
            Show all of it
          </button>
        ) : (
          <span className="muted">Drag to zoom every chart</span>
        )}
        <div className="group" role="group" aria-label="Horizontal axis">
          <button type="button" aria-pressed={x === "time"} onClick={() => setX("time")}>
            Time
          </button>
          <button type="button" aria-pressed={x === "step"} onClick={() => setX("step")}>
            Step
          </button>
        </div>
      </div>
      <ErrorNote error={series.error} />
      {series.isPending ? <Empty title="Loading…" /> : null}
      {series.data && items.length === 0 ? (
        <Empty title="No metrics yet.">System metrics come by themselves every few seconds; training code adds its own through Outrider&#39;s user files.</Empty>
      ) : null}
      {groups.map((group) => (
        <section key={group.kind} className="chartgroup">
          <h2>{group.kind === "user" ? "From training code" : "System"}</h2>
          <div className="charts">
            {group.items.map((item) => (
              <ChartCard key={`${item.kind}/${item.scope}/${item.key}`} name={name} run={run} item={item} x={x} range={range} zoom={setRange} focus={focus} setFocus={setFocus} />
            ))}
          </div>
        </section>
      ))}
    </>
  );
}

interface CardProps {
  name: RunName;
  run: Run;
  item: Series;
  x: X;
  range: Range;
  zoom: (range: Range) => void;
  focus: string | null;
  setFocus: (line: string | null) => void;
}

function ChartCard({ name, run, item, x, range, zoom, focus, setFocus }: CardProps) {
  const [card, visible] = useVisible<HTMLElement>();
  const query = useMemo(
    () => ({ key: item.key, x, points: bucketsFor(item.lines), from: range?.[0] ?? null, to: range?.[1] ?? null }),
    [item.key, item.lines, x, range],
  );
  const data = useSeriesData(name, query, run, visible);
  const filled = data.data?.lines.some((line) => line.x.length > 0);
  return (
    <article className="card chart" ref={card} aria-label={item.key}>
      <header>
        <h3 title={item.key}>{item.key}</h3>
        <div className="aside muted" title={`${integer(item.points)} points, newest value ${metric(item.last)}`}>
          {item.scope} · {plural(item.lines, "line")}
        </div>
      </header>
      <ErrorNote error={data.error} />
      {data.data && filled ? (
        <Chart data={data.data} range={range} zoom={zoom} syncKey={`${run.id}/${x}`} focus={focus} setFocus={setFocus} />
      ) : (
        <p className="quiet plotless">{data.isPending ? "Loading…" : range ? "No points in this range." : x === "step" ? "These points have no step." : "No points yet."}</p>
      )}
    </article>
  );
}
