import type { ColumnDef } from "@tanstack/react-table";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { useQuery } from "@tanstack/react-query";
import type { AnySummary } from "../api/client";
import { sessionQuery, useRuns, useSessionEnd, type RunFilter } from "../api/queries";
import { Tags } from "../components/keys";
import { DataTable } from "../components/table";
import { Badge, Empty, ErrorNote, Link, useKey, useNow } from "../components/ui";
import { ago, between, instant, moment, plural, type Time } from "../lib/format";
import { groupOf, tagsOf, titleOf } from "../lib/lone";
import { RUN_STATES, active, failureHint, rankRatio, rankTrouble, runTone } from "../lib/states";
import { entityPath, navigate, pagePath, projectPath, useSearch } from "../router";

const to = (run: AnySummary) => pagePath(run.entity, run.project, run.id);

/** When it began and when it ended: SDK runs begin when they are made. */
function times(run: AnySummary): { from: Time; until: Time } {
  return run.kind === "sdk" ? { from: run.createdAt, until: run.endedAt } : { from: run.startedAt ?? run.createdAt, until: run.endedAt };
}

type Column = ColumnDef<AnySummary>;

function columns(now: number, inProject: boolean): Column[] {
  const all: Column[] = [
    {
      id: "state",
      header: "State",
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
      meta: { width: "minmax(150px, 2fr)" },
      cell: ({ row: { original: run } }) => {
        const { title, id } = titleOf(run);
        return (
          <span className="two">
            <Link to={to(run)} className="strong">
              {title}
            </Link>
            {title === id ? null : <small>{id}</small>}
          </span>
        );
      },
    },
    {
      id: "kind",
      header: "Kind",
      meta: { width: "40px" },
      cell: ({ row: { original: run } }) => (
        <span className="muted" title={run.kind === "sdk" ? "What one wandb.init() made" : "A workload: all its ranks and attempts"}>
          {run.kind === "sdk" ? "SDK" : "Run"}
        </span>
      ),
    },
    {
      id: "project",
      header: "Project",
      meta: { width: "minmax(90px, 1fr)" },
      cell: ({ row: { original: run } }) => (
        <>
          <Link to={entityPath(run.entity)} className="quietlink">
            <span className="muted">{run.entity}</span>
          </Link>
          <span className="muted">/</span>
          <Link to={projectPath(run.entity, run.project)} className="quietlink">
            {run.project}
          </Link>
        </>
      ),
    },
    {
      id: "ranks",
      header: "Ranks",
      meta: { width: "88px" },
      cell: ({ row: { original: run } }) =>
        run.kind === "sdk" ? (
          <span className="muted">–</span>
        ) : (
          <span>
            <span className="num">{rankRatio(run.ranks)}</span>
            {rankTrouble(run.ranks) ? <small className="bad"> {rankTrouble(run.ranks)}</small> : null}
          </span>
        ),
    },
    {
      id: "group",
      header: "Group",
      meta: { width: "minmax(56px, 0.6fr)" },
      cell: ({ row: { original: run } }) => groupOf(run) || <span className="muted">–</span>,
    },
    {
      id: "tags",
      header: "Tags",
      meta: { width: "minmax(64px, 0.8fr)" },
      cell: ({ row: { original: run } }) => (
        <span title={tagsOf(run).join(", ")}>
          <Tags tags={tagsOf(run).slice(0, 8)} />
        </span>
      ),
    },
    {
      id: "workload",
      header: "Workload",
      meta: { width: "minmax(90px, 1.1fr)" },
      cell: ({ row: { original: run } }) => {
        if (run.kind === "sdk") return run.host ? <span title={run.host}>{run.host}</span> : <span className="muted">–</span>;
        return run.workload?.name ? (
          <span title={`${run.workload.kind ?? ""} ${run.namespace}/${run.workload.name}`}>
            <span className="muted">{run.workload.kind} </span>
            {run.workload.name}
          </span>
        ) : (
          <span className="muted">–</span>
        );
      },
    },
    {
      id: "started",
      header: "Started",
      meta: { width: "94px" },
      cell: ({ row: { original: run } }) => <time title={moment(times(run).from)}>{ago(times(run).from, now)}</time>,
    },
    {
      id: "duration",
      header: "Duration",
      meta: { width: "68px" },
      cell: ({ row: { original: run } }) => <span className="num">{instant(times(run).from) === null || (run.kind === "run" && !run.startedAt) ? "–" : between(times(run).from, times(run).until, now)}</span>,
    },
    {
      id: "failure",
      header: "What failed first",
      meta: { width: "minmax(118px, 1fr)" },
      cell: ({ row: { original: run } }) =>
        run.kind === "sdk" ? (
          <span className="bad">{run.exitCode ? `exit code ${run.exitCode}` : ""}</span>
        ) : (
          <span className="bad" title={run.failure?.message ?? ""}>
            {failureHint(run.failure)}
          </span>
        ),
    },
  ];
  return inProject ? all.filter((column) => column.id !== "project") : all;
}

export function RunsPage() {
  useEffect(() => {
    document.title = "Runs · Outrider";
  }, []);
  return (
    <main id="main" className="page">
      <RunTable
        heading={
          <>
            <h1>Runs</h1>
            <EntityLinks />
          </>
        }
        fixed={{}}
        none={
          <Empty title="No runs yet.">
            Annotate a pod template with <code>outrider.dev/inject: &quot;true&quot;</code>, <code>kubectl apply</code> a Run, or log in with the W&amp;B client (
            <code>WANDB_BASE_URL</code> is this address): it appears here by itself.
          </Empty>
        }
      />
    </main>
  );
}

/** To the projects of the entities in which one has a role. */
function EntityLinks() {
  const entities = useQuery(sessionQuery).data?.user.entities ?? [];
  return entities.length === 0 ? null : (
    <nav aria-label="Projects" className="entities">
      <span>Projects of</span>
      {entities.map((entity) => (
        <Link key={entity} to={entityPath(entity)}>
          {entity}
        </Link>
      ))}
    </nav>
  );
}

/** Both kinds of runs in one table, with its filters in the page's address. `fixed`: what the page itself decides. */
export function RunTable({ heading, fixed, none }: { heading: React.ReactNode; fixed: Partial<RunFilter>; none: React.ReactNode }) {
  const [search, change] = useSearch();
  const chosen = {
    state: search.get("state") ?? "",
    project: search.get("project") ?? "",
    entity: search.get("entity") ?? "",
    q: search.get("q") ?? "",
    kind: search.get("kind") ?? "",
    sweep: "",
  };
  const filter: RunFilter = { ...chosen, ...fixed };
  const runs = useRuns(filter);
  useSessionEnd(runs.error);
  const rows = useMemo(() => runs.data?.pages.flatMap((page) => page.items) ?? [], [runs.data]);
  const now = useNow(true);
  const inProject = fixed.project !== undefined;
  const shown = useMemo(() => columns(now, inProject), [now, inProject]);
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = runs;
  const more = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [hasNextPage, isFetchingNextPage, fetchNextPage]);
  const filtered = Object.values(chosen).some(Boolean);
  const box = useRef<HTMLInputElement>(null);
  useKey("/", useCallback(() => box.current?.focus(), []));
  const going = rows.filter((run) => active(run.state)).length;

  return (
    <>
      <div className="pagehead">
        {heading}
        {runs.data ? (
          <span className="muted">
            {plural(rows.length, "run")}
            {hasNextPage ? " and more" : ""} · {going} active
          </span>
        ) : null}
        <span className="grow" />
        <Typed box={box} label="Filter by name, id or group" placeholder="Name, id, group  ( / )" value={chosen.q} set={(q) => change({ q })} />
        {inProject ? null : <Typed label="Project" placeholder="Project" value={chosen.project} set={(project) => change({ project })} narrow />}
        <label>
          <span className="sr">Kind</span>
          <select value={chosen.kind} onChange={(event) => change({ kind: event.target.value })}>
            <option value="">Any kind</option>
            <option value="run">Runs</option>
            <option value="sdk">SDK runs</option>
          </select>
        </label>
        <label>
          <span className="sr">State</span>
          <select value={chosen.state} onChange={(event) => change({ state: event.target.value })}>
            <option value="">Any state</option>
            {RUN_STATES.map((state) => (
              <option key={state}>{state}</option>
            ))}
          </select>
        </label>
        {filtered ? (
          <button type="button" onClick={() => change({ state: null, project: null, entity: null, q: null, kind: null })}>
            Clear
          </button>
        ) : null}
      </div>
      <ErrorNote error={runs.error} />
      <DataTable
        label="Runs"
        rows={rows}
        columns={shown}
        rowKey={(run) => `${run.kind}/${run.entity}/${run.project}/${run.id}`}
        onEnd={more}
        onOpen={(run) => navigate(to(run))}
        minWidth={1160}
        sortable={false}
        empty={runs.isPending ? <Empty title="Loading…" /> : filtered ? <Empty title="No run matches these filters." /> : none}
      />
    </>
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
