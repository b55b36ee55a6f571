/** A Run and the one SDK run that its pods made are shown as one: what each of them says of it. Pure. */

import type { AnySummary, Run, RunSummary, SdkRun } from "../api/client";

type Known = Pick<RunSummary, "displayName" | "name" | "group" | "tags" | "sdk">;

/** What its author called the Run; else what the training code calls itself; else its name, which a Run that nobody called otherwise repeats. */
export function runTitle(run: Known): string {
  const given = run.displayName === run.name ? "" : run.displayName;
  return given || run.sdk?.displayName || run.name;
}

export function titleOf(run: AnySummary): { title: string; id: string } {
  return run.kind === "sdk" ? { title: run.displayName || run.id, id: run.id } : { title: runTitle(run), id: run.name };
}

export function groupOf(run: AnySummary): string {
  return run.group || (run.kind === "run" && run.sdk?.group) || "";
}

/** The tags of both, each once. */
export function tagsOf(run: AnySummary): string[] {
  return [...new Set([...run.tags, ...(run.kind === "run" ? (run.sdk?.tags ?? []) : [])])];
}

/** What the training code says it ran with counts: the workload's author may have meant otherwise. */
export function configOf(run: Pick<Run, "config">, sdk: Pick<SdkRun, "config"> | undefined): Record<string, unknown> {
  return { ...run.config, ...sdk?.config };
}
