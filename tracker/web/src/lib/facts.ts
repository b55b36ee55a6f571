/** What a pod's events stream says about its containers. Pure. */

import type { Line } from "../api/client";

export interface Facts {
  os?: string | undefined;
  kernel?: string | undefined;
  arch?: string | undefined;
  cpu?: string | undefined;
  memoryBytes?: number | undefined;
  memoryLimitBytes?: number | undefined;
  cpuLimit?: number | undefined;
  python?: string | undefined;
  packages: [string, string][];
  git?: string | undefined;
  gpus: string[];
  argv?: string | undefined;
  cwd?: string | undefined;
  hostname?: string | undefined;
}

type Loose = Record<string, unknown>;

const text = (value: unknown): string | undefined => (typeof value === "string" && value !== "" ? value : undefined);
const number = (value: unknown): number | undefined => (typeof value === "number" && Number.isFinite(value) ? value : undefined);
const object = (value: unknown): Loose => (value !== null && typeof value === "object" && !Array.isArray(value) ? (value as Loose) : {});

/** Facts of the events among these lines; null if they hold neither `container.start` nor `container.info`. */
export function factsOf(lines: readonly Line[]): Facts | null {
  let found: Facts | null = null;
  for (const line of lines) {
    if (!line.text) continue;
    let event: Loose;
    try {
      event = object(JSON.parse(line.text));
    } catch {
      continue; // a line cut by a crash; the rest still tells
    }
    if (event["type"] === "container.start") {
      const argv = Array.isArray(event["argv"]) ? event["argv"].filter((each) => typeof each === "string").join(" ") : undefined;
      found = { ...(found ?? { packages: [], gpus: [] }), argv, cwd: text(event["cwd"]), hostname: text(event["hostname"]) };
    }
    if (event["type"] === "container.info") found = { ...(found ?? { packages: [], gpus: [] }), ...info(event) };
  }
  return found;
}

function info(event: Loose): Partial<Facts> & { packages: [string, string][]; gpus: string[] } {
  const cpu = object(event["cpu"]);
  const cgroup = object(event["cgroup"]);
  const python = object(event["python"]);
  const git = object(event["git"]);
  const commit = text(git["commit"]);
  const count = number(cpu["count"]);
  const gpus = Array.isArray(event["gpus"]) ? event["gpus"].map((gpu) => text(object(gpu)["model"])) : [];
  return {
    os: text(event["os"]),
    kernel: text(event["kernel"]),
    arch: text(event["arch"]),
    cpu: [count === undefined ? undefined : `${count} x`, text(cpu["model"])].filter(Boolean).join(" ") || undefined,
    memoryBytes: number(event["memoryBytes"]),
    memoryLimitBytes: number(cgroup["memoryLimitBytes"]),
    cpuLimit: number(cgroup["cpuLimit"]),
    python: [text(python["version"]), text(python["path"])].filter(Boolean).join(" · ") || undefined,
    packages: Object.entries(object(python["packages"])).flatMap(([name, version]): [string, string][] =>
      typeof version === "string" ? [[name, version]] : [],
    ),
    git: commit ? commit + (git["dirty"] === true ? " (with local changes)" : "") : undefined,
    gpus: gpus.filter((model) => model !== undefined),
  };
}
