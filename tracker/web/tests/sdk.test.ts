import { describe, expect, it } from "vitest";
import type { CustomChart, SeriesData, TableRows } from "../src/api/client";
import { across, histogram, placeOf, plotlyFigure, presetFigure, ticks, upward } from "../src/lib/figure";
import { folded } from "../src/lib/flatten";
import { axisOf, sectionOf, sections, systemSection } from "../src/lib/sections";
import { prepared, smoothed } from "../src/lib/smooth";

describe("sections", () => {
  it("stand on what is before the last slash, as a/b/c is in a/b", () => {
    expect(sectionOf("a/b/c")).toBe("a/b");
    expect(sectionOf("loss")).toBe("Charts");
    expect(sectionOf("/odd")).toBe("Charts");
  });

  it("come in order, those without a prefix first", () => {
    const items = ["val/acc", "train/loss", "lr", "train/acc"].map((key) => ({ key }));
    expect(sections(items).map((section) => [section.name, section.items.map((item) => item.key)])).toEqual([
      ["Charts", ["lr"]],
      ["train", ["train/loss", "train/acc"]],
      ["val", ["val/acc"]],
    ]);
  });

  it("of system metrics are devices", () => {
    expect(systemSection("system.gpu.0.memoryAllocated")).toBe("gpu");
    expect(systemSection("system.cpu")).toBe("cpu");
    expect(systemSection("system.disk./.usageGB")).toBe("disk");
  });
});

describe("the axis of a chart", () => {
  it("is what define_metric said, unless one chose another", () => {
    expect(axisOf("", { kind: "user", x: "epoch" })).toEqual({ x: "metric", xKey: "epoch" });
    expect(axisOf("", { kind: "user", x: null })).toEqual({ x: "step", xKey: "" });
    expect(axisOf("step", { kind: "user", x: "epoch" })).toEqual({ x: "step", xKey: "" });
    expect(axisOf("metric:a/b", { kind: "user" })).toEqual({ x: "metric", xKey: "a/b" });
    expect(axisOf("<script>", { kind: "user" })).toEqual({ x: "step", xKey: "" });
  });

  it("of a system metric is time: it has no step", () => {
    expect(axisOf("step", { kind: "system" })).toEqual({ x: "relative", xKey: "" });
    expect(axisOf("metric:epoch", { kind: "system" })).toEqual({ x: "relative", xKey: "" });
    expect(axisOf("time", { kind: "system" })).toEqual({ x: "time", xKey: "" });
  });
});

describe("smoothing", () => {
  it("leaves a constant where it is, from the first point on", () => {
    for (const value of smoothed([5, 5, 5, 5], 0.9)) expect(value).toBeCloseTo(5);
  });

  it("of weight 0.5 is the debiased mean of powers of two", () => {
    const [first, second] = smoothed([1, 4], 0.5);
    expect(first).toBeCloseTo(1);
    expect(second).toBeCloseTo((0.25 * 1 + 0.5 * 4) / 0.75);
  });

  it("passes over what is no number", () => {
    expect(smoothed([1, "NaN", 1], 0.5)[1]).toBe("NaN");
    expect(smoothed([1, "NaN", 1], 0.5)[2]).toBeCloseTo(1);
  });

  const data = { key: "k", x: "step", lines: [{ label: "a", rank: null, nodeRank: null, attempt: null, x: [0, 1], min: [-1, 2], max: [0, 3], mean: [-0.5, 2.5] }] } as SeriesData;

  it("keeps what was measured behind the line", () => {
    const drawn = prepared(data, 0.5, false);
    expect(drawn.lines[0]?.min).toEqual([-1, 2]);
    expect(drawn.lines[0]?.mean).not.toEqual([-0.5, 2.5]);
  });

  it("drops what a logarithm does not have", () => {
    expect(prepared(data, 0, true).lines[0]).toMatchObject({ min: ["NaN", 2], max: ["NaN", 3], mean: ["NaN", 2.5] });
  });
});

const chart = (preset: string, fields: Record<string, string>, texts: Record<string, string> = {}): CustomChart => ({ key: "k", preset, table: "k_table", fields, texts });
const table = (columns: string[], rows: TableRows["rows"]): TableRows => ({ columns, rows, first: 0, total: rows.length });

describe("figures", () => {
  it("draw the bar preset of wandb.plot", () => {
    const figure = presetFigure(chart("wandb/bar/v0", { label: "l", value: "v" }, { title: "T" }), table(["l", "v"], [["a", 1], ["b", 2]]));
    expect(figure).toMatchObject({ title: "T", xTitle: "l", yTitle: "v", traces: [{ mode: "bars", x: ["a", "b"], y: [1, 2] }] });
  });

  it("draw a precision-recall curve, a line a class", () => {
    const rows = [["cat", 0.5, 1], ["cat", 1, 0.5], ["dog", 0.2, 0.9]];
    const figure = presetFigure(chart("wandb/area-under-curve/v0", { x: "recall", y: "precision", class: "class" }), table(["class", "recall", "precision"], rows));
    expect(figure?.traces.map((trace) => [trace.name, trace.x, trace.y])).toEqual([
      ["cat", [0.5, 1], [1, 0.5]],
      ["dog", [0.2], [0.9]],
    ]);
  });

  it("leave presets that are not known to the table", () => {
    expect(presetFigure(chart("me/mine", { x: "x" }), table(["x"], [[1]]))).toBeNull();
    expect(presetFigure(chart("wandb/bar/v0", { label: "nosuch", value: "v" }), table(["v"], [[1]]))).toBeNull();
  });

  it("draw Plotly's scatter, also with packed numbers", () => {
    const packed = { dtype: "f8", bdata: btoa(String.fromCharCode(...new Uint8Array(new Float64Array([1, 2.5]).buffer))) };
    const figure = plotlyFigure({ data: [{ type: "scatter", mode: "markers", x: packed, y: [3, 4], name: "s" }], layout: { title: { text: "T" } } });
    expect(figure).toMatchObject({ title: "T", traces: [{ name: "s", mode: "points", x: [1, 2.5], y: [3, 4] }] });
  });

  it("survive what is no figure", () => {
    for (const odd of [null, 1, [], {}, { data: {} }, { data: [{ type: "surface", z: [[1]] }] }, { data: [null, "x", { y: { bdata: "%%", dtype: "f8" } }] }]) expect(plotlyFigure(odd)).toBeNull();
  });

  it("count a histogram from its edges", () => {
    const figure = histogram([0, 1, 3], [4, 2]);
    expect(figure.traces[0]).toMatchObject({ x: [0, 1], to: [1, 3], y: [4, 2] });
    expect(upward(figure).low).toBeLessThanOrEqual(0);
    expect(placeOf(across(figure), 3)).toBeLessThanOrEqual(1);
  });

  it("have round ticks within their ends", () => {
    expect(ticks({ low: 0, high: 1, names: null }, 5)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
    expect(ticks({ low: -3, high: 7, names: null }, 5)).toEqual([-2, 0, 2, 4, 6]);
  });
});

describe("a summary", () => {
  it("says of media only what they are", () => {
    expect(folded({ b: { _type: "image-file", path: "x" }, a: { max: 1 } })).toEqual({ a: { max: 1 }, b: "(image-file)" });
  });
});
