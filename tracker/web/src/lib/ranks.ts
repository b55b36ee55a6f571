/** All ranks x attempts x restarts of a Run, folded for people. Pure. */

import type { Rank } from "../api/client";
import { rankState, type RankState } from "./states";

export interface Unit extends Rank {
  /** Names the record in addresses: attempt.restart.rank, "?" where unknown; then source, container and start. */
  key: string;
}

/** Attempts in order, newest last; unknown (null) attempts are left out. */
export function attempts(ranks: readonly Rank[]): number[] {
  const found = new Set<number>();
  for (const rank of ranks) if (rank.attempt !== null) found.add(rank.attempt);
  return [...found].sort((a, b) => a - b);
}

const part = (value: number | null) => (value === null ? "?" : String(value));

export function unitKey(rank: Rank): string {
  const known = rank.rank !== null;
  const base = `${part(rank.attempt)}.${part(rank.restart)}.${known ? String(rank.rank) : "?"}`;
  return known ? base : `${base}.${rank.source.slice(0, 8)}.${rank.container ?? ""}.${part(rank.start)}.${part(rank.pid)}`;
}

/** Streams as people look for them. */
const KINDS = ["stdout", "stderr", "user", "events", "metrics"];

function worth(kind: string): number {
  const at = KINDS.indexOf(kind);
  return at < 0 ? KINDS.length : at;
}

const order = (value: number | null) => value ?? Number.POSITIVE_INFINITY;

/** Newest attempt first, then rank (unknown last), then the newest restart first. */
export function units(ranks: readonly Rank[]): Unit[] {
  return ranks
    .map((rank) => ({ ...rank, key: unitKey(rank), streams: [...rank.streams].sort((a, b) => worth(a.kind) - worth(b.kind)) }))
    .sort(
      (a, b) =>
        compare(order(b.attempt), order(a.attempt)) ||
        compare(order(a.rank), order(b.rank)) ||
        compare(order(b.restart), order(a.restart)) ||
        compare(a.source, b.source) ||
        compare(order(b.start), order(a.start)),
    );
}

function compare<T extends number | string>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** One unit a rank: its newest restart in that attempt. Launchers and unknown ranks are left out. */
export function newestPerRank(list: readonly Unit[], attempt: number | null): Unit[] {
  const newest = new Map<number, Unit>();
  for (const unit of list) {
    if (unit.rank === null || unit.role !== "rank" || unit.attempt !== attempt) continue;
    const known = newest.get(unit.rank);
    if (!known || (unit.restart ?? 0) > (known.restart ?? 0)) newest.set(unit.rank, unit);
  }
  return [...newest.values()].sort((a, b) => (a.rank ?? 0) - (b.rank ?? 0));
}

export function tally(list: readonly Rank[]): Record<RankState, number> {
  const counts: Record<RankState, number> = { running: 0, succeeded: 0, failed: 0, stopped: 0, unknown: 0 };
  for (const rank of list) counts[rankState(rank)] += 1;
  return counts;
}

export function lostBytes(rank: Rank): number {
  return rank.streams.reduce((sum, stream) => sum + stream.lostBytes, 0);
}

export function unitName(unit: Rank): string {
  if (unit.rank !== null) return `rank ${unit.rank}`;
  return unit.role === "launcher" ? `launcher${unit.container ? ` (${unit.container})` : ""}` : `${unit.container ?? "container"} (rank unknown)`;
}
