import { useCallback, useMemo, useRef, useState } from "react";
import type { CustomChart, MediaItem, MediaKey, SdkRun } from "../../api/client";
import { fileAddress, useFileText, useMedia, useMediaKeys, useTable } from "../../api/sdk";
import { useVisible } from "../../components/chartspanel";
import { Figure } from "../../components/figure";
import { Empty, ErrorNote, useKey } from "../../components/ui";
import { histogram, plotlyFigure, presetFigure } from "../../lib/figure";
import { integer, plural } from "../../lib/format";
import { sections } from "../../lib/sections";
import { useSearch } from "../../router";

/** Everything that is no number: the newest of each key, and every step of it. */
export function MediaTab({ run }: { run: SdkRun }) {
  const [search, change] = useSearch();
  const wanted = search.get("key") ?? "";
  const keys = useMediaKeys(run);
  const box = useRef<HTMLInputElement>(null);
  useKey("/", useCallback(() => box.current?.focus(), []));
  const items = keys.data?.items ?? [];
  const tables = new Set(run.charts.map((chart) => chart.table));
  const needle = wanted.toLowerCase();
  const shown = items.filter((item) => !tables.has(item.key) && item.key.toLowerCase().includes(needle));
  const charts = run.charts.filter((chart) => chart.key.toLowerCase().includes(needle));
  return (
    <>
      <div className="toolbar">
        <label>
          <span className="sr">Filter by key</span>
          <input ref={box} type="search" placeholder="Filter by key  ( / )" value={wanted} onChange={(event) => change({ key: event.target.value })} />
        </label>
        <span className="muted">{plural(shown.length + charts.length, "key")}</span>
      </div>
      <ErrorNote error={keys.error} />
      {keys.isPending ? <Empty title="Loading…" /> : null}
      {keys.data && items.length === 0 && run.charts.length === 0 ? (
        <Empty title="Nothing to show was logged.">Images, tables, histograms, sound, film, HTML and plots that the training code logs appear here.</Empty>
      ) : null}
      {charts.length > 0 ? (
        <section className="chartgroup">
          <h2>Custom charts</h2>
          <div className="medias">
            {charts.map((chart) => (
              <ChartCard key={chart.key} run={run} chart={chart} />
            ))}
          </div>
        </section>
      ) : null}
      {sections(shown).map((section) => (
        <section key={section.name} className="chartgroup">
          <h2>{section.name === "Charts" ? "Media" : section.name}</h2>
          <div className="medias">
            {section.items.map((item) => (
              <MediaCard key={item.key} run={run} item={item} />
            ))}
          </div>
        </section>
      ))}
    </>
  );
}

function MediaCard({ run, item }: { run: SdkRun; item: MediaKey }) {
  const [card, visible] = useVisible<HTMLElement>();
  const [step, setStep] = useState<number | null>(null);
  const media = useMedia(run, item.key, step, visible);
  const steps = media.data?.steps ?? [];
  const at = media.data?.step ?? null;
  const index = at === null ? steps.length - 1 : steps.indexOf(at);
  const wide = item.kind === "table" || item.kind === "html" || item.kind === "plotly";
  return (
    <article className={`card media${wide ? " wide" : ""}`} ref={card} aria-label={item.key}>
      <header>
        <h3 title={item.key}>{item.key}</h3>
        <div className="aside muted">{at === null ? "" : `step ${integer(at)}`}</div>
      </header>
      <ErrorNote error={media.error} />
      {steps.length > 1 ? (
        <input
          type="range"
          aria-label={`Step of ${item.key}`}
          min={0}
          max={steps.length - 1}
          value={Math.max(0, index)}
          onChange={(event) => {
            const chosen = Number(event.target.value);
            setStep(chosen === steps.length - 1 ? null : (steps[chosen] ?? null));
          }}
        />
      ) : null}
      <div className="mediabody">
        {media.data ? media.data.items.map((each, order) => <Shown key={`${each.path ?? ""}${order}`} run={run} item={each} name={item.key} />) : <p className="quiet">Loading…</p>}
      </div>
    </article>
  );
}

function Shown({ run, item, name }: { run: SdkRun; item: MediaItem; name: string }) {
  const caption = item.caption ? <figcaption>{item.caption}</figcaption> : null;
  if (item.kind === "histogram") {
    return item.bins && item.values && item.values.length > 0 ? <Figure drawing={histogram(item.bins, item.values)} label={`Histogram of ${name}`} /> : <p className="quiet">This histogram is empty.</p>;
  }
  if (!item.path) return <p className="quiet">This kind of value ({item.kind}) has nothing to show here.</p>;
  const source = fileAddress(run, item.path, "media");
  switch (item.kind) {
    case "image":
      return (
        <figure className="image">
          <a href={source} target="_blank" rel="noreferrer">
            <img src={source} alt={item.caption ?? name} loading="lazy" width={item.width ?? undefined} height={item.height ?? undefined} />
          </a>
          {caption}
        </figure>
      );
    case "audio":
      return (
        <figure>
          <audio controls preload="none" src={source} />
          {caption}
        </figure>
      );
    case "video":
      return (
        <figure className="image">
          {item.path.toLowerCase().endsWith(".gif") ? <img src={source} alt={item.caption ?? name} loading="lazy" /> : <video controls preload="metadata" src={source} />}
          {caption}
        </figure>
      );
    case "html":
      return <Page run={run} path={item.path} name={name} />;
    case "table":
      return <Table run={run} path={item.path} />;
    case "plotly":
      return <Plotly run={run} path={item.path} name={name} />;
    default:
      return (
        <p className="quiet">
          <a href={fileAddress(run, item.path)} download>
            Download {item.path.split("/").at(-1)}
          </a>
          {item.caption ? ` · ${item.caption}` : ""}
        </p>
      );
  }
}

/** HTML from a run: in a frame with an origin of its own, its scripts only if one asks for them. */
function Page({ run, path, name }: { run: SdkRun; path: string; name: string }) {
  const [scripts, setScripts] = useState(false);
  return (
    <div className="htmlmedia">
      <iframe
        key={String(scripts)}
        title={name}
        sandbox={scripts ? "allow-scripts" : ""}
        referrerPolicy="no-referrer"
        loading="lazy"
        src={fileAddress(run, path, scripts ? "scripts" : "page")}
      />
      <div className="toolbar">
        <button type="button" aria-pressed={scripts} onClick={() => setScripts(!scripts)} title="They run in a frame of their own that sees nothing of the tracker">
          {scripts ? "Without its scripts" : "Run its scripts"}
        </button>
        <a href={fileAddress(run, path)} download>
          Download
        </a>
      </div>
    </div>
  );
}

const ROWS = 25;

function Table({ run, path }: { run: SdkRun; path: string }) {
  const [first, setFirst] = useState(0);
  const table = useTable(run, path, first, ROWS);
  if (!table.data) return table.error ? <ErrorNote error={table.error} /> : <p className="quiet">Loading…</p>;
  const { columns, rows, total } = table.data;
  return (
    <>
      <div className="tablescroll" tabIndex={0}>
        <table className="plain logged">
          <thead>
            <tr>
              <th scope="col" className="num muted">
                #
              </th>
              {columns.map((column, index) => (
                <th scope="col" key={index}>
                  {column}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row, index) => (
              <tr key={table.data.first + index}>
                <td className="num muted">{integer(table.data.first + index + 1)}</td>
                {row.map((cell, at) => (
                  <td key={at} className={typeof cell === "number" ? "num" : ""}>
                    <Cell run={run} value={cell} />
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <div className="toolbar">
        <button type="button" disabled={first === 0} onClick={() => setFirst(Math.max(0, first - ROWS))} aria-label="Previous rows">
          ‹
        </button>
        <span className="muted">
          {total === 0 ? "no rows" : `rows ${integer(table.data.first + 1)}–${integer(table.data.first + rows.length)} of ${integer(total)}`}
        </span>
        <button type="button" disabled={first + ROWS >= total} onClick={() => setFirst(first + ROWS)} aria-label="Next rows">
          ›
        </button>
        <a href={fileAddress(run, path)} download>
          Download
        </a>
      </div>
      <ErrorNote error={table.error} />
    </>
  );
}

function Cell({ run, value }: { run: SdkRun; value: unknown }) {
  if (value === null || value === undefined) return <span className="muted">–</span>;
  if (typeof value === "object") {
    const { _type: type, path, caption } = value as Record<string, unknown>;
    if (type === "image-file" && typeof path === "string") {
      return <img className="cellimage" src={fileAddress(run, path, "media")} alt={typeof caption === "string" ? caption : ""} loading="lazy" />;
    }
    return <code>{JSON.stringify(value)}</code>;
  }
  return typeof value === "string" ? value : JSON.stringify(value);
}

const MAX_PLOT = 4 << 20;

function Plotly({ run, path, name }: { run: SdkRun; path: string; name: string }) {
  const file = useFileText(run, path, MAX_PLOT);
  const drawing = useMemo(() => {
    try {
      return file.data === undefined ? null : plotlyFigure(JSON.parse(file.data));
    } catch {
      return null; // cut at the limit, or no JSON at all: the raw text below is what there is
    }
  }, [file.data]);
  return (
    <>
      <ErrorNote error={file.error} />
      {drawing ? <Figure drawing={drawing} label={`Plot ${name}`} /> : null}
      {file.data !== undefined && !drawing ? <p className="quiet">This kind of Plotly figure is not drawn here.</p> : null}
      <details className="raw">
        <summary>Raw</summary>
        <pre tabIndex={0}>{file.data?.slice(0, 20_000)}</pre>
      </details>
      <a href={fileAddress(run, path)} download>
        Download
      </a>
    </>
  );
}

const CHART_ROWS = 1000;

function ChartCard({ run, chart }: { run: SdkRun; chart: CustomChart }) {
  const [card, visible] = useVisible<HTMLElement>();
  const media = useMedia(run, chart.table, null, visible);
  const path = media.data?.items[0]?.path ?? null;
  const table = useTable(run, path ?? "", 0, CHART_ROWS, path !== null);
  const drawing = useMemo(() => (table.data ? presetFigure(chart, table.data) : null), [chart, table.data]);
  return (
    <article className="card media wide" ref={card} aria-label={chart.key}>
      <header>
        <h3 title={chart.key}>{chart.key}</h3>
        <div className="aside muted">{chart.preset}</div>
      </header>
      <ErrorNote error={media.error ?? table.error} />
      <div className="mediabody">
        {drawing ? <Figure drawing={drawing} label={chart.key} /> : null}
        {path !== null && (drawing ? (
          <details className="raw">
            <summary>Table</summary>
            <Table run={run} path={path} />
          </details>
        ) : (
          <Table run={run} path={path} />
        ))}
      </div>
    </article>
  );
}
