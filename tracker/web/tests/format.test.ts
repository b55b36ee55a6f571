import { describe, expect, it } from "vitest";
import { ago, between, bytes, clockLabels, duration, instant, integer, metric, plural } from "../src/lib/format";

describe("bytes", () => {
  it.each([
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1.0 KiB"],
    [1536, "1.5 KiB"],
    [200 * 1024, "200 KiB"],
    [1024 * 1024 - 1, "1.0 MiB"],
    [5 * 1024 ** 3, "5.0 GiB"],
  ])("%d reads as %s", (count, text) => {
    expect(bytes(count)).toBe(text);
  });
});

describe("metric values", () => {
  it.each([
    [0, "0"],
    [0.031_25, "0.03125"],
    [12.4, "12.4"],
    [1234.4, "1234"],
    [53_100, "53.1k"],
    [1_500_000, "1.5M"],
    [3.4e9, "3.4G"],
    [1.2e-7, "1.20e-7"],
    [6.02e23, "6.02e23"],
    [-0.5, "-0.5"],
    [100, "100"],
  ])("%d reads as %s", (value, text) => {
    expect(metric(value)).toBe(text);
  });

  it("keeps the names of numbers that are none, and says when there is nothing", () => {
    expect(metric("NaN")).toBe("NaN");
    expect(metric("-Infinity")).toBe("-Infinity");
    expect(metric(null)).toBe("–");
  });
});

describe("times", () => {
  it.each([
    [4.21, "4.2s"],
    [59, "59s"],
    [65, "1m 05s"],
    [7620, "2h 07m"],
    [3 * 86400 + 4 * 3600, "3d 04h"],
    [-3, "0.0s"],
  ])("%d seconds read as %s", (seconds, text) => {
    expect(duration(seconds)).toBe(text);
  });

  it("takes RFC 3339 and Unix seconds alike", () => {
    expect(instant("1970-01-01T00:01:00Z")).toBe(60_000);
    expect(instant(60)).toBe(60_000);
    expect(instant("soon")).toBeNull();
    expect(instant(null)).toBeNull();
  });

  it("counts to now while there is no end", () => {
    expect(between("1970-01-01T00:00:00Z", null, 61_000)).toBe("1m 01s");
    expect(between("1970-01-01T00:00:00Z", "1970-01-01T00:00:30Z", 61_000)).toBe("30s");
    expect(between(null, null, 61_000)).toBe("–");
  });

  it("does not flicker within the first seconds", () => {
    expect(ago(10, 10_900)).toBe("just now");
    expect(ago(10, 15_900)).toBe("5s ago");
  });

  it("labels an axis with the date where the day turns", () => {
    const midnight = new Date(2026, 2, 9).getTime() / 1000;
    expect(clockLabels([midnight - 3600, midnight, midnight + 3600])).toEqual(["23:00", "03-09", "01:00"]);
    expect(clockLabels([midnight + 30])).toEqual(["00:00:30"]);
  });
});

describe("counts", () => {
  it("groups digits without breaking lines", () => {
    expect(integer(1_234_567)).toBe("1\u202f234\u202f567");
    expect(plural(1, "rank")).toBe("1 rank");
    expect(plural(0, "rank")).toBe("0 ranks");
  });
});
