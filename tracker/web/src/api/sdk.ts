/** What the pages of SDK runs and projects ask. */

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import type { ChartQuery, ChartSource } from "../components/chartspanel";
import {
  address,
  get,
  runPath,
  type AlertList,
  type Console,
  type FileList,
  type Line,
  type Lines,
  type MediaData,
  type MediaList,
  type Project,
  type ProjectSeriesList,
  type SdkRun,
  type SdkRunSummary,
  type SdkRunList,
  type SeriesData,
  type SeriesList,
  type TableRows,
} from "./client";
import { live, type LinesQuery, type RunName } from "./queries";

type Which = Pick<SdkRunSummary, "entity" | "project" | "id" | "state">;

export function sdkPath(run: Pick<Which, "entity" | "project" | "id">): string {
  return runPath(run.entity, run.project, run.id);
}

const key = (what: string, run: Which, ...more: unknown[]) => ["sdk", what, run.entity, run.project, run.id, ...more];
/** Doors that a Run at the same address would answer first. */
const SDK = { kind: "sdk" };

export function useSdkRunsOf({ entity, project, run }: RunName, record: { state: string }) {
  return useQuery({
    queryKey: ["sdkruns", entity, project, run],
    queryFn: ({ signal }) => get<SdkRunList>(`${runPath(entity, project, run)}/sdk`, {}, signal),
    refetchInterval: live(record, 3000),
  });
}

/** The SDK run that is shown as a Run, in full; none where `name` is null. */
export function useLoneRun(name: Pick<SdkRunSummary, "entity" | "project" | "id"> | null) {
  return useQuery({
    queryKey: ["run", name?.entity, name?.project, name?.id, "sdk"],
    queryFn: ({ signal }) => get<SdkRun>(name ? sdkPath(name) : "", SDK, signal),
    enabled: name !== null,
    refetchInterval: (query) => live(query.state.data, 1000, 5000),
  });
}

export function useSdkSeries(run: SdkRun) {
  return useQuery({
    queryKey: key("series", run),
    queryFn: ({ signal }) => get<SeriesList>(`${sdkPath(run)}/series`, SDK, signal),
    refetchInterval: live(run, 2000),
  });
}

/** The charts of one run. */
export function sdkSource(run: SdkRun): ChartSource {
  return {
    id: `${run.entity}/${run.project}/${run.id}`,
    interval: live(run, 2000),
    read: (query: ChartQuery, signal) => get<SeriesData>(`${sdkPath(run)}/series/data`, { ...query, ...SDK }, signal),
  };
}

export function useSdkFiles(run: SdkRun) {
  return useQuery({
    queryKey: key("files", run),
    queryFn: ({ signal }) => get<FileList>(`${sdkPath(run)}/files`, SDK, signal),
    refetchInterval: live(run, 3000),
  });
}

export function useMediaKeys(run: SdkRun) {
  return useQuery({
    queryKey: key("media", run),
    queryFn: ({ signal }) => get<MediaList>(`${sdkPath(run)}/media`, {}, signal),
    refetchInterval: live(run, 3000),
  });
}

export function useMedia(run: SdkRun, name: string, step: number | null, visible: boolean) {
  return useQuery({
    queryKey: key("mediadata", run, name, step),
    queryFn: ({ signal }) => get<MediaData>(`${sdkPath(run)}/media/data`, { key: name, step }, signal),
    enabled: visible,
    refetchInterval: step === null ? live(run, 3000) : false,
    placeholderData: keepPreviousData,
  });
}

export function useTable(run: SdkRun, name: string, first: number, limit: number, enabled = true) {
  return useQuery({
    queryKey: key("table", run, name, first, limit),
    queryFn: ({ signal }) => get<TableRows>(`${sdkPath(run)}/table`, { name, first, limit }, signal),
    enabled,
    staleTime: 60_000,
    placeholderData: keepPreviousData,
  });
}

export function useAlerts(run: SdkRun) {
  return useQuery({
    queryKey: key("alerts", run),
    queryFn: ({ signal }) => get<AlertList>(`${sdkPath(run)}/alerts`, {}, signal),
    refetchInterval: live(run, 5000),
  });
}

/** A run file's bytes; `show`: for an element of ours instead of for saving. */
export function fileAddress(run: Pick<Which, "entity" | "project" | "id">, name: string, show?: "media" | "page" | "scripts"): string {
  return address(`${sdkPath(run)}/files/content`, { name, show });
}

/** A small text file of a run. */
export function useFileText(run: SdkRun, name: string, most: number) {
  return useQuery({
    queryKey: key("text", run, name),
    queryFn: async ({ signal }) => {
      const response = await fetch(fileAddress(run, name), { credentials: "same-origin", signal, headers: { Range: `bytes=0-${most - 1}` } });
      if (!response.ok) throw new Error(`The tracker answered ${response.status} for ${name}.`);
      return response.text();
    },
    staleTime: 60_000,
  });
}

/** A line of the console as the log view draws it: `offset` is its number. */
export type ConsoleLine = Line & { level?: string | null; label?: string | null };

/** Lines before the end that are read again each time: progress bars write themselves anew. */
const REWRITTEN = 200;

/** The console of one writer of a run, for the log view. `writers` is told who prints. */
export function consoleReader(run: Which, client: string, writers: (list: Console["writers"]) => void) {
  let version = -1;
  return async (query: LinesQuery, signal?: AbortSignal): Promise<Lines> => {
    const { from, before, last, limit, wait } = query;
    const following = wait !== undefined && from !== undefined;
    const start = from === undefined ? undefined : following ? Math.max(0, from - REWRITTEN) : from;
    const asked = { client, from: start, before, last, limit, ...(following ? { wait, seen: version } : {}) };
    const answer = await get<Console>(`${sdkPath(run)}/console`, asked, signal);
    if (following || last !== undefined) version = answer.version;
    writers(answer.writers);
    const lines = answer.lines.map((line): ConsoleLine => ({ offset: line.number, text: line.text, ts: line.ts, level: line.level, label: line.label }));
    return { generation: answer.branch, start: answer.start, end: answer.end, lines, partial: false };
  };
}

export function useProject(entity: string, project: string) {
  return useQuery({
    queryKey: ["project", entity, project],
    queryFn: ({ signal }) => get<Project>(projectApi(entity, project), {}, signal),
  });
}

const projectApi = (entity: string, project: string) => `/api/v1/projects/${encodeURIComponent(entity)}/${encodeURIComponent(project)}`;

export function useProjectSeries(entity: string, project: string, runs: readonly string[], busy: boolean) {
  return useQuery({
    queryKey: ["project", "series", entity, project, runs],
    queryFn: ({ signal }) => get<ProjectSeriesList>(`${projectApi(entity, project)}/series`, { run: runs }, signal),
    enabled: runs.length > 0,
    refetchInterval: busy ? 3000 : 15_000,
    placeholderData: keepPreviousData,
  });
}

/** Charts over several runs of a project: a run keeps its colour on all of them. */
export function projectSource(entity: string, project: string, runs: readonly string[], colours: readonly string[], busy: boolean): ChartSource {
  return {
    id: `${entity}/${project}?${runs.join("&")}`,
    interval: busy ? 3000 : 15_000,
    slot: (line) => [Math.max(0, colours.indexOf(line.run ?? "")), colours.length],
    read: (query, signal) => get<SeriesData>(`${projectApi(entity, project)}/series/data`, { ...query, run: runs }, signal),
  };
}
