import { describe, expect, it } from "vitest";
import { factsOf } from "../src/lib/facts";
import { flattened } from "../src/lib/flatten";
import { entityPath, pagePath, place, projectPath, sweepPath } from "../src/router";

const lines = (...events: unknown[]) => events.map((event, index) => ({ offset: index, text: typeof event === "string" ? event : JSON.stringify(event) }));

describe("facts of a container", () => {
  it("reads them from the rider's events", () => {
    const facts = factsOf(
      lines(
        { type: "container.start", argv: ["torchrun", "train.py"], cwd: "/app" },
        {
          type: "container.info",
          cpu: { model: "EPYC", count: 48 },
          cgroup: { version: 2, memoryLimitBytes: 1024 },
          python: { version: "3.11", packages: { torch: "2.9" } },
          git: { commit: "abc", dirty: true },
          gpus: [{ model: "H100" }, { model: "H100" }],
        },
      ),
    );
    expect(facts).toMatchObject({
      argv: "torchrun train.py",
      cwd: "/app",
      cpu: "48 x EPYC",
      memoryLimitBytes: 1024,
      python: "3.11",
      packages: [["torch", "2.9"]],
      git: "abc (with local changes)",
      gpus: ["H100", "H100"],
    });
  });

  it("takes nothing from lines that are broken or lie about their types", () => {
    expect(factsOf(lines("{", { type: "rank.start" }))).toBeNull();
    expect(factsOf(lines({ type: "container.info", cpu: [], gpus: "all", python: { packages: { a: 1 } }, git: null }))).toMatchObject({
      gpus: [],
      packages: [],
      git: undefined,
    });
    expect(factsOf(lines("null", "[]", "3"))).toBeNull();
  });
});

describe("config", () => {
  it("is shown as dotted keys in its own order", () => {
    expect(flattened({ lr: 0.1, model: { name: "r50", layers: [3, 4], norm: null }, tags: [] })).toEqual([
      { key: "lr", value: "0.1" },
      { key: "model.name", value: "r50" },
      { key: "model.layers", value: "[3,4]" },
      { key: "model.norm", value: "null" },
      { key: "tags", value: "[]" },
    ]);
  });

  it("is bounded", () => {
    expect(flattened(Object.fromEntries(Array.from({ length: 9000 }, (_, index) => [`k${index}`, index])))).toHaveLength(5000);
  });
});

describe("addresses", () => {
  it("know the pages", () => {
    expect(place("/")).toEqual({ page: "runs" });
    expect(place("/vision/resnet/runs/vision.resnet-1")).toEqual({ page: "run", entity: "vision", project: "resnet", run: "vision.resnet-1" });
    expect(place("/a%2Fb/c/runs/d")).toMatchObject({ entity: "a/b" });
    expect(place("/a/b/runs/%")).toMatchObject({ page: "nowhere" });
    expect(place("/a/b")).toEqual({ page: "project", entity: "a", project: "b" });
    expect(place("/a/b%20c/")).toEqual({ page: "project", entity: "a", project: "b c" });
    expect(place("/a/b/sweeps/s1")).toEqual({ page: "sweep", entity: "a", project: "b", sweep: "s1" });
    expect(place("/a/b/c/d")).toMatchObject({ page: "nowhere" });
    expect(place("/a/b/runs")).toMatchObject({ page: "nowhere" });
    expect(place("/login")).toEqual({ page: "runs" });
  });

  it("lead to what they were made for, whatever its name", () => {
    for (const name of ["digits", "projects", "workspace", "runs", "a b/c", "50%", "ä"]) {
      expect(place(entityPath(name))).toEqual({ page: "entity", entity: name });
      expect(place(projectPath("a", name))).toEqual({ page: "project", entity: "a", project: name });
      expect(place(sweepPath("a", name, "s"))).toEqual({ page: "sweep", entity: "a", project: name, sweep: "s" });
      expect(place(pagePath("a", name, "r"))).toEqual({ page: "run", entity: "a", project: name, run: "r" });
    }
  });

  it("of entities and projects are those that the W&B client prints", () => {
    for (const path of ["/a", "/a/", "/a/projects"]) expect(place(path)).toEqual({ page: "entity", entity: "a" });
    for (const path of ["/a/b", "/a/b/workspace"]) expect(place(path)).toEqual({ page: "project", entity: "a", project: "b" });
  });
});
