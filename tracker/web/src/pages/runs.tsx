import type { ColumnDef } from "@tanstack/react-table";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { pagePath, type RunSummary } from "../api/client";
import { useRuns, useSessionEnd } from "../api/queries";
import { DataTable } from "../components/table";
import { Badge, Empty, ErrorNote, Link, useKey, useNow } from "../components/ui";
import { ago, between, instant, moment, plural } from "../lib/format";
import { RUN_STATES, active, failureHint, rankRatio, rankTrouble, runTone } from "../lib/states";
import { navigate, useSearch } from "../router";

const to = (run: RunSummary) => pagePath(run.entity, run.project, run.id);

function columns(now: number): ColumnDef<RunSummary>[] {
  return [
    {
      id: "state",
      header: "State",
      accessorFn: (run) => run.state,
      meta: { width: "108px" },
      cell: ({ row: { original: run } }) => (
        <Badge tone={runTone(run.state)} live={active(run.state)}>
          {run.state}
        </Badge>
      ),
    },
    {
      id: "name",
      header: "Name",
      accessorFn: (run) => run.displayName ?? run.name,
      meta: { width: "minmax(180px, 2fr)" },
      cell: ({ row: { original: run } }) => (
        <span className="two">
          <Link to={to(run)} className="strong">
            {run.displayName || run.name}
          </Link>
          {run.displayName && run.displayName !== run.name ? <small>{run.name}</small> : null}
        </span>
      ),
    },
    {
      id: "project",
      header: "Project",
      accessorFn: (run) => `${run.entity}/${run.project}`,
      meta: { width: "minmax(100px, 1fr)" },
      cell: ({ row: { original: run } }) => (
        <span title={`${run.entity}/${run.project}`}>
          <span className="muted">{run.entity}/</span>
          {run.project}
        </span>
      ),
    },
    {
      id: "ranks",
      header: "Ranks",
      accessorFn: (run) => run.ranks.expected ?? 0,
      meta: { width: "100px" },
      cell: ({ row: { original: run } }) => (
        <span>
          <span className="num">{rankRatio(run.ranks)}</span>
          {rankTrouble(run.ranks) ? <small className="bad"> {rankTrouble(run.ranks)}</small> : null}
        </span>
      ),
    },
    {
      id: "attempt",
      header: "Attempt",
      accessorFn: (run) => run.attempt ?? 0,
      meta: { width: "58px" },
      cell: ({ row: { original: run } }) => <span className="num">{run.attempt ?? "–"}</span>,
    },
    {
      id: "workload",
      header: "Workload",
      accessorFn: (run) => run.workload?.kind ?? "",
      meta: { width: "minmax(120px, 1.4fr)" },
      cell: ({ row: { original: run } }) =>
        run.workload?.name ? (
          <span title={`${run.workload.kind ?? ""} ${run.namespace}/${run.workload.name}`}>
            <span className="muted">{run.workload.kind} </span>
            {run.workload.name}
          </span>
        ) : (
          <span className="muted">–</span>
        ),
    },
    {
      id: "started",
      header: "Started",
      accessorFn: (run) => instant(run.startedAt ?? run.createdAt) ?? 0,
      meta: { width: "104px" },
      cell: ({ row: { original: run } }) => <time title={moment(run.startedAt ?? run.createdAt)}>{ago(run.startedAt ?? run.createdAt, now)}</time>,
    },
    {
      id: "duration",
      header: "Duration",
      accessorFn: (run) => (instant(run.endedAt) ?? now) - (instant(run.startedAt) ?? now),
      meta: { width: "76px" },
      cell: ({ row: { original: run } }) => <span className="num">{between(run.startedAt, run.endedAt, now)}</span>,
    },
    {
      id: "failure",
      header: "What failed first",
      accessorFn: (run) => failureHint(run.failure),
      meta: { width: "minmax(130px, 1.1fr)" },
      cell: ({ row: { original: run } }) => (
        <span className="bad" title={run.failure?.message ?? ""}>
          {failureHint(run.failure)}
        </span>
      ),
    },
  ];
}

export function RunsPage() {
  const [search, change] = useSearch();
  const filter = {
    state: search.get("state") ?? "",
    project: search.get("project") ?? "",
    entity: search.get("entity") ?? "",
    q: search.get("q") ?? "",
  };
  const runs = useRuns(filter);
  useSessionEnd(runs.error);
  const rows = useMemo(() => runs.data?.pages.flatMap((page) => page.items) ?? [], [runs.data]);
  const now = useNow(true);
  const shown = useMemo(() => columns(now), [now]);
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = runs;
  const more = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [hasNextPage, isFetchingNextPage, fetchNextPage]);
  const filtered = Object.values(filter).some(Boolean);
  const box = useRef<HTMLInputElement>(null);
  useKey("/", useCallback(() => box.current?.focus(), []));
  useEffect(() => {
    document.title = "Runs · Outrider";
  }, []);
  const going = rows.filter((run) => active(run.state)).length;

  return (
    <main id="main" className="page">
      <div className="pagehead">
        <h1>Runs</h1>
        {runs.data ? (
          <span className="muted">
            {plural(rows.length, "run")}
            {hasNextPage ? " and more" : ""} · {going} active
          </span>
        ) : null}
        <span className="grow" />
        <Typed box={box} label="Filter by name or id" placeholder="Name or id  ( / )" value={filter.q} set={(q) => change({ q })} />
        <Typed label="Project" placeholder="Project" value={filter.project} set={(project) => change({ project })} narrow />
        <label>
          <span className="sr">State</span>
          <select value={filter.state} onChange={(event) => change({ state: event.target.value })}>
            <option value="">Any state</option>
            {RUN_STATES.map((state) => (
              <option key={state}>{state}</option>
            ))}
          </select>
        </label>
        {filtered ? (
          <button type="button" onClick={() => change({ state: null, project: null, entity: null, q: null })}>
            Clear
          </button>
        ) : null}
      </div>
      <ErrorNote error={runs.error} />
      <DataTable
        label="Runs"
        rows={rows}
        columns={shown}
        rowKey={(run) => run.id}
        onEnd={more}
        onOpen={(run) => navigate(to(run))}
        minWidth={1136}
        sortable={false}
        empty={
          runs.isPending ? (
            <Empty title="Loading…" />
          ) : filtered ? (
            <Empty title="No run matches these filters." />
          ) : (
            <Empty title="No runs yet.">
              Annotate a pod template with <code>outrider.dev/inject: &quot;true&quot;</code>, or <code>kubectl apply</code> a Run: it appears here by itself.
            </Empty>
          )
        }
      />
    </main>
  );
}

/** A field whose text goes into the address a moment after typing stops. */
function Typed(props: {
  label: string;
  placeholder: string;
  value: string;
  set: (value: string) => void;
  narrow?: boolean;
  box?: React.RefObject<HTMLInputElement | null>;
}) {
  const { value, set } = props;
  const [text, setText] = useState(value);
  const sent = useRef(value);
  useEffect(() => {
    // The address changed by other means than this field: back, clear.
    if (value !== sent.current) {
      sent.current = value;
      setText(value);
    }
  }, [value]);
  useEffect(() => {
    if (text === sent.current) return undefined;
    const timer = setTimeout(() => {
      sent.current = text;
      set(text);
    }, 200);
    return () => clearTimeout(timer);
  }, [text, set]);
  return (
    <label>
      <span className="sr">{props.label}</span>
      <input
        ref={props.box}
        type="search"
        className={props.narrow ? "narrow" : ""}
        placeholder={props.placeholder}
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => event.key === "Escape" && event.currentTarget.blur()}
      />
    </label>
  );
}
