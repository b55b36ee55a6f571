import { describe, expect, it } from "vitest";
import type { ProjectUse, RunSummary, SdkRunSummary } from "../src/api/client";
import { configOf, groupOf, tagsOf, titleOf } from "../src/lib/lone";
import { newestFirst } from "../src/lib/projects";

const SDK = { kind: "sdk", id: "x1", displayName: "proud-otter", group: "ablation", tags: ["amp", "b"] } as SdkRunSummary;
const RUN = { kind: "run", id: "resnet-7f3a9c21", name: "resnet", displayName: "", group: "", tags: ["b"], sdk: null } as unknown as RunSummary;

describe("a Run with one SDK run", () => {
  it("is called as its author said, else as the training code did, else as its workload", () => {
    expect(titleOf({ ...RUN, displayName: "ResNet-50", sdk: SDK })).toEqual({ title: "ResNet-50", id: "resnet" });
    expect(titleOf({ ...RUN, sdk: SDK })).toEqual({ title: "proud-otter", id: "resnet" });
    expect(titleOf({ ...RUN, displayName: "resnet", sdk: SDK })).toEqual({ title: "proud-otter", id: "resnet" });
    expect(titleOf(RUN)).toEqual({ title: "resnet", id: "resnet" });
    expect(titleOf(SDK)).toEqual({ title: "proud-otter", id: "x1" });
  });

  it("has the tags of both, and the group of either", () => {
    expect(tagsOf({ ...RUN, sdk: SDK })).toEqual(["b", "amp"]);
    expect(tagsOf(RUN)).toEqual(["b"]);
    expect(groupOf({ ...RUN, sdk: SDK })).toBe("ablation");
    expect(groupOf({ ...RUN, group: "own", sdk: SDK })).toBe("own");
    expect(groupOf(RUN)).toBe("");
  });

  it("ran with what the training code says", () => {
    expect(configOf({ config: { lr: 0.1, nodes: 4 } }, { config: { lr: 0.2, seed: 1 } })).toEqual({ lr: 0.2, nodes: 4, seed: 1 });
    expect(configOf({ config: { lr: 0.1 } }, undefined)).toEqual({ lr: 0.1 });
  });
});

describe("projects", () => {
  it("stand by what was heard of last, those without runs behind", () => {
    const made = (name: string, activeAt: number | null, createdAt = 1) => ({ name, activeAt, createdAt }) as ProjectUse;
    const sorted = newestFirst([made("empty", null, 2), made("old", 10), made("emptier", null, 3), made("new", 20), made("b", 10), made("a", 10)]);
    expect(sorted.map((project) => project.name)).toEqual(["new", "a", "b", "old", "emptier", "empty"]);
  });
});
