import type { ColumnDef } from "@tanstack/react-table";
import { useEffect, useMemo } from "react";
import { ApiError, type ProjectUse } from "../api/client";
import { useProjects, useSessionEnd } from "../api/queries";
import { Crumbs } from "../components/crumbs";
import { DataTable } from "../components/table";
import { Empty, ErrorNote, Link, NothingHere, useNow } from "../components/ui";
import { ago, integer, moment, plural } from "../lib/format";
import { VISIBILITIES, newestFirst } from "../lib/projects";
import { navigate, projectPath } from "../router";

const to = (project: ProjectUse) => projectPath(project.entity, project.name);

function columns(now: number): ColumnDef<ProjectUse>[] {
  return [
    {
      id: "name",
      header: "Project",
      accessorFn: (project) => project.name,
      meta: { width: "minmax(160px, 2fr)" },
      cell: ({ row: { original: project } }) => (
        <span className="two" title={project.description}>
          <Link to={to(project)} className="strong">
            {project.name}
          </Link>
          {project.description ? <small>{project.description}</small> : null}
        </span>
      ),
    },
    {
      id: "visibility",
      header: "Visibility",
      accessorFn: (project) => project.visibility,
      meta: { width: "100px" },
      cell: ({ row: { original: project } }) => <span title={VISIBILITIES[project.visibility]?.who ?? ""}>{VISIBILITIES[project.visibility]?.name ?? project.visibility}</span>,
    },
    {
      id: "access",
      header: "You may",
      accessorFn: (project) => project.mayWrite,
      meta: { width: "100px" },
      cell: ({ row: { original: project } }) => (project.mayWrite ? "log and edit" : <span className="muted">look</span>),
    },
    {
      id: "runs",
      header: "Runs",
      accessorFn: (project) => project.runs,
      meta: { width: "90px", align: "right" },
      cell: ({ row: { original: project } }) => <Count of={project.runs} />,
    },
    {
      id: "sdk",
      header: "SDK runs",
      accessorFn: (project) => project.sdkRuns,
      meta: { width: "90px", align: "right" },
      cell: ({ row: { original: project } }) => <Count of={project.sdkRuns} />,
    },
    {
      id: "active",
      header: "Last activity",
      accessorFn: (project) => project.activeAt ?? 0,
      meta: { width: "120px" },
      cell: ({ row: { original: project } }) => <time title={moment(project.activeAt)}>{ago(project.activeAt, now)}</time>,
    },
    {
      id: "created",
      header: "Made",
      accessorFn: (project) => project.createdAt,
      meta: { width: "120px" },
      cell: ({ row: { original: project } }) => <time title={moment(project.createdAt)}>{ago(project.createdAt, now)}</time>,
    },
  ];
}

function Count({ of }: { of: number }) {
  return <span className={of > 0 ? "num" : "num muted"}>{integer(of)}</span>;
}

/** The projects of a team or a user, as far as they are the reader's to see. */
export function EntityPage({ entity }: { entity: string }) {
  const list = useProjects(entity);
  useSessionEnd(list.error);
  useEffect(() => {
    document.title = `${entity} · Outrider`;
  }, [entity]);
  const now = useNow(true);
  const rows = useMemo(() => newestFirst(list.data?.pages.flatMap((page) => page.items) ?? []), [list.data]);
  const shown = useMemo(() => columns(now), [now]);
  // The newest may stand on any page: they come by name.
  const { hasNextPage, isFetching, fetchNextPage } = list;
  useEffect(() => {
    if (hasNextPage && !isFetching) void fetchNextPage();
  }, [hasNextPage, isFetching, fetchNextPage]);
  if (list.error instanceof ApiError && list.error.status === 404) {
    return <NothingHere title="There is no such entity, or nothing of it is yours to see." />;
  }
  return (
    <main id="main" className="page">
      <header className="runhead">
        <Crumbs />
        <div className="title">
          <h1>{entity}</h1>
          {list.data ? <span className="muted">{plural(rows.length, "project")}</span> : null}
          <span className="grow" />
          <Link to={`/?entity=${encodeURIComponent(entity)}`}>All its runs</Link>
        </div>
      </header>
      <ErrorNote error={list.error} />
      <DataTable
        label="Projects"
        rows={rows}
        columns={shown}
        rowKey={(project) => project.name}
        onOpen={(project) => navigate(to(project))}
        minWidth={820}
        empty={list.isPending ? <Empty title="Loading…" /> : <Empty title="No projects yet.">A project is made by its first run.</Empty>}
      />
    </main>
  );
}
