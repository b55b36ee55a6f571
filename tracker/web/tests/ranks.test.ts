import { describe, expect, it } from "vitest";
import type { Rank } from "../src/api/client";
import { attempts, lostBytes, newestPerRank, tally, units, unitName } from "../src/lib/ranks";
import { active, failureHint, failureSentence, rankEnd, rankRatio, rankState, rankTrouble } from "../src/lib/states";

function rank(change: Partial<Rank>): Rank {
  return {
    rank: 0,
    nodeRank: 0,
    localRank: 0,
    worldSize: 4,
    role: "rank",
    attempt: 1,
    restart: 0,
    source: "11111111-2222",
    pod: "p",
    node: "n",
    container: "train",
    start: 0,
    pid: 7,
    state: "running",
    exitCode: null,
    signal: null,
    oomKills: 0,
    startedAt: 1,
    endedAt: null,
    lastSeen: 2,
    streams: [],
    ...change,
  };
}

describe("the state of a rank", () => {
  it.each([
    [{ state: "running" as const }, "running"],
    [{ state: "exited" as const, exitCode: 0 }, "succeeded"],
    [{ state: "exited" as const, exitCode: 1 }, "failed"],
    [{ state: "exited" as const, signal: 9 }, "failed"],
    [{ state: "exited" as const, signal: 15 }, "stopped"],
    [{ state: "exited" as const }, "unknown"],
    [{ state: "unknown" as const, exitCode: 0 }, "unknown"],
  ])("%j is %s", (change, state) => {
    expect(rankState(rank(change))).toBe(state);
  });

  it("tells how it ended", () => {
    expect(rankEnd(rank({ exitCode: 137 }))).toBe("exit 137");
    expect(rankEnd(rank({ signal: 9, oomKills: 1 }))).toBe("SIGKILL, 1 OOM kill");
    expect(rankEnd(rank({ signal: 42 }))).toBe("signal 42");
    expect(rankEnd(rank({}))).toBe("");
  });
});

describe("folding ranks x attempts x restarts", () => {
  const all = [
    rank({ rank: 1, attempt: 1, state: "exited", exitCode: 1 }),
    rank({ rank: 0, attempt: 1, state: "exited", signal: 15 }),
    rank({ rank: 1, attempt: 2, restart: 0, state: "exited", exitCode: 1 }),
    rank({ rank: 1, attempt: 2, restart: 1 }),
    rank({ rank: 0, attempt: 2, restart: 1 }),
    rank({ rank: null, attempt: 2, role: "launcher" }),
  ];

  it("puts the newest attempt first, ranks in order, unknown last, the newest restart first", () => {
    expect(units(all).map((unit) => [unit.attempt, unit.rank, unit.restart])).toEqual([
      [2, 0, 1],
      [2, 1, 1],
      [2, 1, 0],
      [2, null, 0],
      [1, 0, 0],
      [1, 1, 0],
    ]);
  });

  it("gives each its own key", () => {
    const keys = units(all).map((unit) => unit.key);
    expect(new Set(keys).size).toBe(all.length);
    expect(keys[0]).toBe("2.1.0");
  });

  it("shows one unit a rank: the newest restart of the attempt", () => {
    expect(newestPerRank(units(all), 2).map((unit) => [unit.rank, unit.restart])).toEqual([
      [0, 1],
      [1, 1],
    ]);
    expect(newestPerRank(units(all), 7)).toEqual([]);
  });

  it("puts stdout before stderr before the rest", () => {
    const streams = ["events", "stderr", "other", "stdout"].map((kind, id) => ({ id, kind, end: 0, lostBytes: 0 }));
    expect(units([rank({ streams })])[0]?.streams.map((stream) => stream.kind)).toEqual(["stdout", "stderr", "events", "other"]);
  });

  it("lists attempts oldest first", () => {
    expect(attempts(all)).toEqual([1, 2]);
  });

  it("counts states", () => {
    expect(tally(newestPerRank(units(all), 1))).toEqual({ running: 0, succeeded: 0, failed: 1, stopped: 1, unknown: 0 });
  });

  it("sums what was lost, and names what has no rank", () => {
    const streams = [1, 2].map((id) => ({ id, kind: "stdout", end: 5, lostBytes: 10 * id }));
    expect(lostBytes(rank({ streams }))).toBe(30);
    expect(unitName(rank({ rank: null, role: "launcher" }))).toBe("launcher (train)");
    expect(unitName(rank({ rank: null }))).toBe("train (rank unknown)");
  });
});

describe("a run in a row of a table", () => {
  it("counts ranks that run or succeeded", () => {
    expect(rankRatio({ expected: 4, running: 1, succeeded: 3, failed: 0, lost: 0 })).toBe("4/4");
    expect(rankRatio({ expected: null, running: 2, succeeded: 0, failed: 0, lost: 0 })).toBe("2");
    expect(rankRatio({ expected: 0, running: 0, succeeded: 0, failed: 0, lost: 0 })).toBe("–");
    expect(rankTrouble({ expected: 4, running: 2, succeeded: 0, failed: 1, lost: 1 })).toBe("1 failed, 1 lost");
  });

  it("says what failed first", () => {
    const failure = { rank: 3, reason: "OOMKilled", pod: "X", node: "Y", lastWords: [] };
    expect(failureHint(failure)).toBe("rank 3 OOMKilled");
    expect(failureSentence(failure)).toBe("Rank 3 OOMKilled on pod X, node Y");
    expect(failureHint(null)).toBe("");
    expect(failureSentence({ reason: "ImagePullBackOff", container: "train", lastWords: [] })).toBe("Container train ImagePullBackOff");
  });

  it("knows which states can still change", () => {
    expect(active("Preempting")).toBe(true);
    expect(active("Preempted")).toBe(false);
  });
});
