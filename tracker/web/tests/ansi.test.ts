import { describe, expect, it } from "vitest";
import { marked, spans, stripped } from "../src/lib/ansi";

const ESC = "\u001b";

describe("ANSI text", () => {
  it("keeps plain text as one span without a class", () => {
    expect(spans("loss 0.31")).toEqual([{ text: "loss 0.31", className: "" }]);
  });

  it("turns colours and weight into classes and back", () => {
    expect(spans(`${ESC}[1;31mERROR${ESC}[0m in ${ESC}[92mrank 3${ESC}[39m!`)).toEqual([
      { text: "ERROR", className: "fg-red bold" },
      { text: " in ", className: "" },
      { text: "rank 3", className: "fg-bright-green" },
      { text: "!", className: "" },
    ]);
  });

  it("maps 256-colour and true-colour codes to the nearest named one", () => {
    expect(spans(`${ESC}[38;5;196mx`)[0]?.className).toBe("fg-bright-red");
    expect(spans(`${ESC}[38;2;0;0;200mx`)[0]?.className).toBe("fg-blue");
    expect(spans(`${ESC}[38;5;2mx`)[0]?.className).toBe("fg-green");
  });

  it("goes on after an extended colour's own numbers", () => {
    expect(spans(`${ESC}[38;5;1;4mx`)[0]?.className).toBe("fg-red underline");
  });

  it("drops cursor movements, titles, links and stray control characters", () => {
    const hostile = `a${ESC}[2J${ESC}]0;title\u0007b${ESC}]8;;http://evil.example\u001b\\c${ESC}[?25l\u0000\u0008d`;
    expect(stripped(hostile)).toBe("abcd");
    expect(spans(hostile)).toEqual([{ text: "abcd", className: "" }]);
  });

  it("leaves markup as the text it is", () => {
    expect(spans("<script>alert(1)</script>")).toEqual([{ text: "<script>alert(1)</script>", className: "" }]);
  });

  it("shows that direction overrides were there instead of obeying them", () => {
    expect(stripped("rank\u202e3")).toBe("rank\ufffd3");
    expect(spans("rank\u202e3")[0]?.text).toBe("rank\ufffd3");
  });

  it("survives an escape that never ends", () => {
    expect(stripped(`x${ESC}[`)).toBe("x");
    expect(stripped(`x${ESC}]0;no end`)).toBe("x");
  });

  it("ends in linear time on a long run of openings", () => {
    const started = performance.now();
    stripped(`${ESC}]`.repeat(30_000));
    stripped(`${ESC}P`.repeat(30_000));
    expect(performance.now() - started).toBeLessThan(2000);
  });
});

describe("search marks", () => {
  it("marks every hit, whatever the case", () => {
    expect(marked([{ text: "Loss loss", className: "" }], "loss")).toEqual([
      { text: "Loss", className: "hit" },
      { text: " ", className: "" },
      { text: "loss", className: "hit" },
    ]);
  });

  it("marks a hit that spans two colours in both", () => {
    const parts = [
      { text: "ra", className: "fg-red" },
      { text: "nk 3", className: "bold" },
    ];
    expect(marked(parts, "rank")).toEqual([
      { text: "ra", className: "fg-red hit" },
      { text: "nk", className: "bold hit" },
      { text: " 3", className: "bold" },
    ]);
  });

  it("leaves spans alone where nothing is found or asked", () => {
    const parts = [{ text: "abc", className: "dim" }];
    expect(marked(parts, "x")).toBe(parts);
    expect(marked(parts, "")).toBe(parts);
  });
});
