import type { components } from "./schema";

type Schemas = components["schemas"];
export type Run = Schemas["Run"];
export type RunSummary = Schemas["RunSummary"];
export type AnyRun = Run | SdkRun;
export type AnySummary = RunSummary | SdkRunSummary;
export type AnyRunList = Schemas["AnyRunList"];
export type SdkRun = Schemas["SdkRun"];
export type SdkRunSummary = Schemas["SdkRunSummary"];
export type SdkRunList = Schemas["SdkRunList"];
export type RunEdit = Schemas["RunEdit"];
export type CustomChart = Schemas["CustomChart"];
export type MediaKey = Schemas["MediaKeyEntry"];
export type MediaList = Schemas["MediaList"];
export type MediaData = Schemas["MediaData"];
export type MediaItem = Schemas["MediaEntry"];
export type TableRows = Schemas["TableRows"];
export type Console = Schemas["Console"];
export type AlertList = Schemas["AlertList"];
export type Project = Schemas["Project"];
export type ProjectUse = Schemas["ProjectUse"];
export type ProjectList = Schemas["ProjectList"];
export type ProjectSeriesList = Schemas["ProjectSeriesList"];
export type Failure = Schemas["Failure"];
export type Rank = Schemas["Rank"];
export type RankList = Schemas["RankList"];
export type RankCounts = Schemas["RankCounts"];
export type Series = Schemas["Series"];
export type SeriesList = Schemas["SeriesList"];
export type SeriesData = Schemas["SeriesData"];
export type SeriesLine = Schemas["SeriesLine"];
export type FileEntry = Schemas["FileEntry"];
export type FileList = Schemas["FileList"];
export type Stream = Schemas["Stream"];
export type StreamList = Schemas["StreamList"];
export type Line = Schemas["Line"];
export type Lines = Schemas["Lines"];
export type SessionAnswer = Schemas["SessionAnswer"];

/** An answer that is no success. `status` 0: no answer at all. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

type Query = Record<string, string | number | readonly string[] | null | undefined>;

export function address(path: string, query: Query = {}): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value === null || value === undefined || value === "") continue;
    if (typeof value === "object") value.forEach((each) => search.append(key, each));
    else search.set(key, String(value));
  }
  const text = search.toString();
  return text ? `${path}?${text}` : path;
}

async function failure(response: Response): Promise<ApiError> {
  try {
    const body = (await response.json()) as Partial<Schemas["ErrorAnswer"]>;
    if (body.error) return new ApiError(response.status, body.error.code, body.error.message);
  } catch {
    // Not ours: a proxy's page. The status below says what is known.
  }
  return new ApiError(response.status, "http", `The tracker answered ${response.status} ${response.statusText}.`);
}

async function send(path: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, { credentials: "same-origin", ...init });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new ApiError(0, "unreachable", "The tracker does not answer. What is shown may be old; retrying.");
  }
  if (!response.ok) throw await failure(response);
  return response;
}

export async function get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  const response = await send(address(path, query), { headers: { Accept: "application/json" }, ...(signal ? { signal } : {}) });
  return (await response.json()) as T;
}

/** A call that changes something: JSON from our own pages, as the tracker demands. */
export async function change(method: "POST" | "PATCH", path: string, body: unknown = {}): Promise<void> {
  await send(path, { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}

export async function login(key: string): Promise<SessionAnswer> {
  const response = await send("/api/v1/session", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ key }),
  });
  return (await response.json()) as SessionAnswer;
}

export async function logout(): Promise<void> {
  await send("/api/v1/session", { method: "DELETE", headers: { "Content-Type": "application/json" } });
}

/** The API's address of a run; `url` is its page, "/<entity>/<project>/runs/<run>". */
export function runPath(entity: string, project: string, run: string): string {
  return ["/api/v1/runs", entity, project, run].map((part, index) => (index ? encodeURIComponent(part) : part)).join("/");
}
