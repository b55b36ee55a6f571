/** States of Runs and ranks as words and tones. The word is always shown; colour only helps. Pure. */

import type { Failure, Rank, RankCounts } from "../api/client";

export type Tone = "wait" | "start" | "run" | "stop" | "good" | "bad" | "warn" | "violet";

export const RUN_STATES = [
  "Queued",
  "Pending",
  "Starting",
  "Running",
  "Stopping",
  "Preempting",
  "Finished",
  "Failed",
  "Crashed",
  "Killed",
  "Preempted",
] as const;

const TONES: Record<string, Tone> = {
  Queued: "wait",
  Pending: "wait",
  Starting: "start",
  Running: "run",
  Stopping: "stop",
  Preempting: "stop",
  Finished: "good",
  Failed: "bad",
  Crashed: "bad",
  Killed: "warn",
  Preempted: "violet",
};

export function runTone(state: string): Tone {
  return TONES[state] ?? "wait";
}

const OVER = new Set(["Finished", "Failed", "Crashed", "Killed", "Preempted"]);

/** Whether the Run may still change by itself. */
export function active(state: string): boolean {
  return !OVER.has(state);
}

/** "4/4": ranks that run or have succeeded, of those expected (none yet while the workload is not known). */
export function rankRatio(counts: RankCounts): string {
  const here = counts.running + counts.succeeded;
  return counts.expected ? `${here}/${counts.expected}` : here > 0 ? String(here) : "–";
}

export function rankTrouble(counts: RankCounts): string {
  const parts: string[] = [];
  if (counts.failed) parts.push(`${counts.failed} failed`);
  if (counts.lost) parts.push(`${counts.lost} lost`);
  return parts.join(", ");
}

/** "rank 3 OOMKilled": what a list has room for. */
export function failureHint(failure: Failure | null | undefined): string {
  if (!failure) return "";
  const who = failure.rank === null || failure.rank === undefined ? (failure.container ?? failure.pod ?? "") : `rank ${failure.rank}`;
  return [who, failure.reason ?? "failed"].filter(Boolean).join(" ");
}

/** "Rank 3 OOMKilled on pod X, node Y": what happened, to which object, where. */
export function failureSentence(failure: Failure): string {
  const rank = failure.rank;
  const who = rank === null || rank === undefined ? (failure.container ? `Container ${failure.container}` : "The workload") : `Rank ${rank}`;
  const where = [failure.pod ? `pod ${failure.pod}` : "", failure.node ? `node ${failure.node}` : ""].filter(Boolean).join(", ");
  return `${who} ${failure.reason ?? "failed"}${where ? ` on ${where}` : ""}`;
}

const SIGNALS: Record<number, string> = {
  1: "SIGHUP",
  2: "SIGINT",
  3: "SIGQUIT",
  4: "SIGILL",
  6: "SIGABRT",
  7: "SIGBUS",
  8: "SIGFPE",
  9: "SIGKILL",
  11: "SIGSEGV",
  13: "SIGPIPE",
  14: "SIGALRM",
  15: "SIGTERM",
};

export function signalName(signal: number): string {
  return SIGNALS[signal] ?? `signal ${signal}`;
}

export type RankState = "running" | "succeeded" | "failed" | "stopped" | "unknown";

/** A rank's end as one word. SIGTERM is a stop that somebody asked for, not a failure of the rank's own. */
export function rankState(rank: Rank): RankState {
  if (rank.state === "running") return "running";
  if (rank.state === "unknown") return "unknown";
  if (rank.signal !== null) return rank.signal === 15 ? "stopped" : "failed";
  if (rank.exitCode === null) return "unknown";
  return rank.exitCode === 0 ? "succeeded" : "failed";
}

export const RANK_TONES: Record<RankState, Tone> = {
  running: "run",
  succeeded: "good",
  failed: "bad",
  stopped: "warn",
  unknown: "wait",
};

/** "exit 137", "SIGKILL, 1 OOM kill", "". */
export function rankEnd(rank: Rank): string {
  const parts: string[] = [];
  if (rank.signal !== null) parts.push(signalName(rank.signal));
  else if (rank.exitCode !== null) parts.push(`exit ${rank.exitCode}`);
  if (rank.oomKills > 0) parts.push(`${rank.oomKills} OOM kill${rank.oomKills === 1 ? "" : "s"}`);
  return parts.join(", ");
}
