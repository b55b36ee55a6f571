import { describe, expect, it } from "vitest";
import type { Lines } from "../src/api/client";
import { MAX_LINES, appended, findLine, fromWholeLine, opened, prepended, resume } from "../src/lib/logwindow";

/** Lines of ten bytes each from `first` to before `stop` (in lines). */
function answer(first: number, stop: number, change: Partial<Lines> = {}): Lines {
  const lines = Array.from({ length: stop - first }, (_, index) => ({ offset: (first + index) * 10, text: `line ${first + index}` }));
  return { generation: 0, start: first * 10, end: stop * 10, lines, partial: false, ...change };
}

describe("a log window", () => {
  it("goes on where it ended", () => {
    const window = appended(opened(answer(0, 3)), answer(3, 5));
    expect(window.lines.map((line) => line.offset)).toEqual([0, 10, 20, 30, 40]);
    expect(resume(window)).toEqual({ from: 50, seen: 50 });
  });

  it("reads an unfinished line again and replaces it", () => {
    const unfinished = opened(answer(0, 2, { partial: true, end: 14 }));
    expect(resume(unfinished)).toEqual({ from: 10, seen: 14 });
    const window = appended(unfinished, { generation: 0, start: 10, end: 20, lines: [{ offset: 10, text: "whole" }], partial: false });
    expect(window.lines.map((line) => line.text)).toEqual(["line 0", "whole"]);
    expect(window.partial).toBe(false);
  });

  it("keeps what it has when a wait ends without news", () => {
    const window = opened(answer(0, 2, { partial: true, end: 14 }));
    const same = appended(window, { generation: 0, start: 14, end: 14, lines: [], partial: false });
    expect(same.lines).toEqual(window.lines);
    expect(resume(same)).toEqual({ from: 10, seen: 14 });
  });

  it("says by how many lines the view must move when earlier ones come", () => {
    const window = prepended(opened(answer(5, 8)), answer(2, 5));
    expect(window.start).toBe(20);
    expect(window.shifted).toBe(3);
    expect(window.lines).toHaveLength(6);
  });

  it("drops no line twice and takes none twice when answers overlap", () => {
    expect(appended(opened(answer(0, 4)), answer(2, 6)).lines).toHaveLength(6);
    expect(prepended(opened(answer(4, 6)), answer(2, 5)).lines.map((line) => line.offset)).toEqual([20, 30, 40, 50]);
  });

  it("is bounded at both ends, and knows where it was cut", () => {
    const forward = appended(opened(answer(0, MAX_LINES)), answer(MAX_LINES, MAX_LINES + 10));
    expect(forward.lines).toHaveLength(MAX_LINES);
    expect(forward.start).toBe(100);
    expect(forward.shifted).toBe(-10);
    const backward = prepended(opened(answer(10, MAX_LINES + 10)), answer(0, 10));
    expect(backward.lines).toHaveLength(MAX_LINES);
    expect(backward.end).toBe(MAX_LINES * 10);
    expect(resume(backward).from).toBe(MAX_LINES * 10);
  });

  it("begins anew with a newer generation", () => {
    const window = appended(opened(answer(0, 3)), answer(0, 1, { generation: 1 }));
    expect(window.generation).toBe(1);
    expect(window.lines).toHaveLength(1);
  });

  it("leaves out the rest of a line it was thrown into", () => {
    const cut = answer(0, 3, { start: 4 });
    expect(fromWholeLine(cut).lines.map((line) => line.text)).toEqual(["line 1", "line 2"]);
    expect(fromWholeLine(answer(0, 3)).lines).toHaveLength(3);
  });
});

describe("searching", () => {
  const texts = ["alpha", "Beta", "gamma", "beta"];

  it("goes forward and back, around the ends, whatever the case", () => {
    expect(findLine(texts, "beta", -1, 1)).toBe(1);
    expect(findLine(texts, "beta", 1, 1)).toBe(3);
    expect(findLine(texts, "beta", 3, 1)).toBe(1);
    expect(findLine(texts, "beta", 1, -1)).toBe(3);
  });

  it("says when there is nothing", () => {
    expect(findLine(texts, "delta", 0, 1)).toBe(-1);
    expect(findLine(texts, "", 0, 1)).toBe(-1);
    expect(findLine([], "a", 0, 1)).toBe(-1);
  });
});
