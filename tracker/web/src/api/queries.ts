import { keepPreviousData, queryOptions, useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { active } from "../lib/states";
import {
  ApiError,
  get,
  type AnyRun,
  type AnyRunList,
  runPath,
  type FileList,
  type Lines,
  type ProjectList,
  type RankList,
  type Run,
  type SeriesData,
  type SeriesList,
  type SessionAnswer,
  type Stream,
  type StreamList,
} from "./client";

export interface RunName {
  entity: string;
  project: string;
  run: string;
}

export const sessionQuery = queryOptions({
  queryKey: ["session"],
  queryFn: async ({ signal }): Promise<SessionAnswer | null> => {
    try {
      return await get<SessionAnswer>("/api/v1/session", {}, signal);
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) return null;
      throw error;
    }
  },
  staleTime: 60_000,
});

/** A call that says 401 means the session is over: ask again who we are, which shows the login page. */
export function useSessionEnd(error: unknown): void {
  const client = useQueryClient();
  const ended = error instanceof ApiError && error.status === 401;
  useEffect(() => {
    if (ended) void client.invalidateQueries({ queryKey: ["session"] });
  }, [ended, client]);
}

export interface RunFilter {
  state: string;
  project: string;
  entity: string;
  q: string;
  kind: string;
  sweep: string;
}

export function useRuns(filter: RunFilter) {
  return useInfiniteQuery({
    queryKey: ["runs", filter],
    queryFn: ({ pageParam, signal }) => get<AnyRunList>("/api/v1/runs", { ...filter, limit: 100, cursor: pageParam }, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.next,
    // Every loaded page is read again, so fewer pages may be read oftener.
    refetchInterval: (query) => 1000 * Math.max(1, query.state.data?.pages.length ?? 1),
    placeholderData: keepPreviousData,
  });
}

export function useProjects(entity: string) {
  return useInfiniteQuery({
    queryKey: ["projects", entity],
    queryFn: ({ pageParam, signal }) => get<ProjectList>(`/api/v1/projects/${encodeURIComponent(entity)}`, { limit: 200, cursor: pageParam }, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.next,
    refetchInterval: (query) => 5000 * Math.max(1, query.state.data?.pages.length ?? 1),
  });
}

export const live = (run: { state: string } | undefined, fast: number, slow = 15_000) => (run === undefined || active(run.state) ? fast : slow);

/** `kind`: which of the two is wanted where a Run and an SDK run have one address; null: the Run. */
export function useRun({ entity, project, run }: RunName, kind: string | null) {
  return useQuery({
    queryKey: ["run", entity, project, run, kind],
    queryFn: ({ signal }) => get<AnyRun>(runPath(entity, project, run), { kind }, signal),
    refetchInterval: (query) => live(query.state.data, 1000, 5000),
  });
}

export function useRanks({ entity, project, run }: RunName, record: Run | undefined) {
  return useQuery({
    queryKey: ["ranks", entity, project, run],
    queryFn: ({ signal }) => get<RankList>(`${runPath(entity, project, run)}/ranks`, {}, signal),
    // A thousand ranks are half a megabyte: they come less often.
    refetchInterval: (query) => live(record, (query.state.data?.items.length ?? 0) > 128 ? 3000 : 1000, 5000),
  });
}

export function useStreams({ entity, project, run }: RunName, record: Run | undefined) {
  return useQuery({
    queryKey: ["streams", entity, project, run],
    queryFn: ({ signal }) => get<StreamList>(`${runPath(entity, project, run)}/streams`, {}, signal),
    refetchInterval: live(record, 5000),
  });
}

export function useSeries({ entity, project, run }: RunName, record: Run | undefined) {
  return useQuery({
    queryKey: ["series", entity, project, run],
    queryFn: ({ signal }) => get<SeriesList>(`${runPath(entity, project, run)}/series`, {}, signal),
    refetchInterval: live(record, 2000),
  });
}

export interface ChartQuery {
  key: string;
  x: "time" | "step";
  points: number;
  from: number | null;
  to: number | null;
}

export function useSeriesData({ entity, project, run }: RunName, chart: ChartQuery, record: Run | undefined, visible: boolean) {
  return useQuery({
    queryKey: ["data", entity, project, run, chart],
    queryFn: ({ signal }) => get<SeriesData>(`${runPath(entity, project, run)}/series/data`, { ...chart }, signal),
    enabled: visible,
    // A thousand lines are megabytes: they come less often.
    refetchInterval: (query) => live(record, (query.state.data?.lines.length ?? 0) > 64 ? 10_000 : 2000),
    placeholderData: keepPreviousData,
  });
}

export function useFiles({ entity, project, run }: RunName, record: Run | undefined) {
  return useQuery({
    queryKey: ["files", entity, project, run],
    queryFn: ({ signal }) => get<FileList>(`${runPath(entity, project, run)}/files`, {}, signal),
    refetchInterval: live(record, 3000),
  });
}

export function useStream(id: number | null) {
  return useQuery({
    queryKey: ["stream", id],
    queryFn: ({ signal }) => get<Stream>(`/api/v1/streams/${id ?? 0}`, {}, signal),
    enabled: id !== null,
    refetchInterval: 2000,
  });
}

export interface LinesQuery {
  from?: number;
  before?: number;
  last?: number;
  limit?: number;
  wait?: number;
  seen?: number;
  generation?: number;
}

export function readLines(stream: number, query: LinesQuery, signal?: AbortSignal): Promise<Lines> {
  return get<Lines>(`/api/v1/streams/${stream}/lines`, { ...query }, signal);
}
