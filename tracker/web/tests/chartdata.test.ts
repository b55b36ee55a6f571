import { describe, expect, it } from "vitest";
import type { SeriesLine } from "../src/api/client";
import { MAX_COLUMNS, aligned, bucketsFor, closest, envelope, lineColour, lineNames, valueAt } from "../src/lib/chartdata";

function line(x: number[], mean: (number | "NaN")[], spread = 1): SeriesLine {
  const move = (by: number) => mean.map((value) => (typeof value === "number" ? value + by : value));
  return { label: "rank", rank: 0, nodeRank: 0, attempt: 1, x, mean, min: move(-spread), max: move(spread) };
}

describe("chart columns", () => {
  it("puts lines of different x on one axis and leaves holes open", () => {
    const data = aligned([line([1, 3], [10, 30]), line([2, 3], [20, 31])]);
    expect(data.x).toEqual([1, 2, 3]);
    expect(data.mean).toEqual([
      [10, undefined, 30],
      [undefined, 20, 31],
    ]);
  });

  it("shows a value that is no number as a gap", () => {
    expect(aligned([line([1, 2], [5, "NaN"])]).mean).toEqual([[5, null]]);
  });

  it("bounds the columns of many lines, and keeps their extremes", () => {
    const lines = Array.from({ length: 200 }, (_, rank) =>
      line(
        Array.from({ length: 50 }, (_, index) => index * 10 + rank / 200),
        Array.from({ length: 50 }, () => rank),
      ),
    );
    const data = aligned(lines);
    expect(data.x).toHaveLength(MAX_COLUMNS);
    expect(data.x[0]).toBe(0);
    expect(data.x.at(-1)).toBeCloseTo(490 + 199 / 200);
    expect(data.mean[199]?.filter((value) => value !== undefined)).toEqual(new Array(50).fill(199));
    const around = envelope(data);
    expect(around.min[0]).toBe(-1);
    expect(Math.max(...around.max.map((value) => value ?? 0))).toBe(200);
  });

  it("tells whose line is nearest to the pointer", () => {
    const data = aligned([line([1, 2], [10, 10]), line([1, 2], [20, 20])]);
    expect(closest(data, 1, 18)).toBe(1);
    expect(closest(data, 1, 11)).toBe(0);
    expect(closest(aligned([]), 0, 1)).toBe(-1);
  });

  it("reads a line between its own points as its last value", () => {
    const data = aligned([line([1, 3], [10, 30]), line([2], [20])]);
    expect(valueAt(data, 0, 1)).toBe(10);
    expect(valueAt(data, 1, 0)).toBeNull();
  });

  it("asks for fewer buckets the more lines there are", () => {
    expect(bucketsFor(1)).toBe(400);
    expect(bucketsFor(1024)).toBe(60);
    expect(bucketsFor(300)).toBe(200);
  });

  it("tells the attempts of one rank apart", () => {
    const lines = [1, 2].map((attempt) => ({ ...line([1], [1]), label: "rank 3", attempt }));
    expect(lineNames(lines)).toEqual(["rank 3, attempt 1", "rank 3, attempt 2"]);
    expect(lineNames([line([1], [1])])).toEqual(["rank"]);
    expect(new Set(lineNames([...lines, ...lines])).size).toBe(4);
  });

  it("gives few lines fixed colours and many a ramp", () => {
    expect(lineColour(3, 4, false)).toBe("var(--line-3)");
    expect(lineColour(0, 1000, false)).not.toBe(lineColour(999, 1000, false));
  });
});
