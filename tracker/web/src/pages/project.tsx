import { useCallback, useEffect, useMemo } from "react";
import { ApiError, type SdkRunSummary } from "../api/client";
import { useRuns, useSessionEnd } from "../api/queries";
import { projectSource, useProject, useProjectSeries } from "../api/sdk";
import { ChartsPanel } from "../components/chartspanel";
import { Crumbs } from "../components/crumbs";
import { Tabs, type Tab } from "../components/tabs";
import { Badge, Empty, ErrorNote, Link, NothingHere, useKey } from "../components/ui";
import { lineColour } from "../lib/chartdata";
import { plural } from "../lib/format";
import { active, runTone } from "../lib/states";
import { pagePath, useSearch } from "../router";
import { RunTable } from "./runs";

type TabId = "runs" | "charts";
const TABS: Tab<TabId>[] = [
  { id: "runs", label: "Runs" },
  { id: "charts", label: "Charts" },
];

function Head({ entity, project, children }: { entity: string; project: string; children: React.ReactNode }) {
  return (
    <header className="runhead">
      <Crumbs entity={entity} />
      <div className="title">
        <h1>{project}</h1>
        {children}
      </div>
    </header>
  );
}

/** A project: its runs, and charts over several of them. */
export function ProjectPage({ entity, project }: { entity: string; project: string }) {
  const [search, change] = useSearch();
  const tab: TabId = search.get("tab") === "charts" ? "charts" : "runs";
  const found = useProject(entity, project);
  useSessionEnd(found.error);
  useEffect(() => {
    document.title = `${project} · Outrider`;
  }, [project]);
  const choose = useCallback((id: TabId) => change({ tab: id === "runs" ? null : id }, "push"), [change]);
  useKey("1", useCallback(() => choose("runs"), [choose]));
  useKey("2", useCallback(() => choose("charts"), [choose]));
  if (found.error instanceof ApiError && found.error.status === 404) {
    return <NothingHere title="There is no such project, or it is not yours to see." />;
  }
  return (
    <main id="main" className="page">
      <Head entity={entity} project={project}>
        {found.data ? <span className="muted">{found.data.visibility}</span> : null}
      </Head>
      {found.data?.description ? <p className="notes">{found.data.description}</p> : null}
      <ErrorNote error={found.error} />
      <Tabs tabs={TABS} chosen={tab} choose={choose} />
      <div className={`panel panel-${tab}`} role="tabpanel" id="tabpanel" aria-labelledby={`tab-${tab}`}>
        {tab === "runs" ? <RunTable heading={null} fixed={{ entity, project }} none={<Empty title="No runs in this project yet." />} /> : <Together entity={entity} project={project} />}
      </div>
    </main>
  );
}

/** How many of the newest runs are drawn until one chooses, and how many may be. */
const FIRST = 10;
const MOST = 50;

function Together({ entity, project }: { entity: string; project: string }) {
  const [search, change] = useSearch();
  const list = useRuns({ entity, project, state: "", q: "", kind: "sdk", sweep: "" });
  const runs = useMemo(() => (list.data?.pages.flatMap((page) => page.items) ?? []).filter((run): run is SdkRunSummary => run.kind === "sdk"), [list.data]);
  const asked = search.get("runs");
  const names = useMemo(() => runs.slice(0, MOST).map((run) => run.id), [runs]);
  const chosen = useMemo(() => (asked === null ? names.slice(0, FIRST) : asked.split(",").filter((name) => names.includes(name))), [asked, names]);
  const busy = runs.some((run) => active(run.state) && chosen.includes(run.id));
  const series = useProjectSeries(entity, project, chosen, busy);
  const source = useMemo(() => projectSource(entity, project, chosen, names, busy), [entity, project, chosen, names, busy]);
  const toggle = (name: string) => {
    const next = chosen.includes(name) ? chosen.filter((each) => each !== name) : names.filter((each) => each === name || chosen.includes(each));
    change({ runs: next.join(",") || "-" });
  };
  return (
    <div className="together">
      <aside aria-label="Runs on the charts">
        <p className="muted">
          {chosen.length} of {plural(names.length, "run")}
        </p>
        <ul>
          {runs.slice(0, MOST).map((run, index) => (
            <li key={run.id}>
              <label>
                <input type="checkbox" checked={chosen.includes(run.id)} onChange={() => toggle(run.id)} />
                <i style={{ background: lineColour(index, names.length, matchMedia("(prefers-color-scheme: dark)").matches) }} aria-hidden="true" />
                <span className="sr">Show </span>
                <Link to={pagePath(entity, project, run.id)}>{run.displayName}</Link>
              </label>
              {active(run.state) ? <Badge tone={runTone(run.state)}>{run.state}</Badge> : null}
            </li>
          ))}
        </ul>
      </aside>
      <div className="drawn">
        <ChartsPanel
          items={chosen.length > 0 ? (series.data?.items ?? []) : []}
          source={source}
          pending={list.isPending || (chosen.length > 0 && series.isPending)}
          error={list.error ?? series.error}
          empty={<Empty title={chosen.length > 0 ? "These runs have no metrics." : "Choose runs to draw them over each other."} />}
        />
      </div>
    </div>
  );
}

/** A sweep's address: the runs that it made. */
export function SweepPage({ entity, project, sweep }: { entity: string; project: string; sweep: string }) {
  useEffect(() => {
    document.title = `Sweep ${sweep} · Outrider`;
  }, [sweep]);
  return (
    <main id="main" className="page">
      <Head entity={entity} project={project}>
        <span className="muted">sweep {sweep}</span>
      </Head>
      <RunTable heading={null} fixed={{ entity, project, sweep }} none={<Empty title="This sweep has no runs that are yours to see." />} />
    </main>
  );
}
