/** Numbers and times for people. Pure; the clock is an argument. */

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

export function bytes(count: number): string {
  if (!Number.isFinite(count)) return "–";
  let value = Math.abs(count);
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  // 1023.96 KiB must not read as 1024 KiB.
  if (unit > 0 && value >= 1023.95 && unit < UNITS.length - 1) {
    value = 1;
    unit += 1;
  }
  const text = unit === 0 ? String(value) : value >= 100 ? value.toFixed(0) : value.toFixed(1);
  return `${count < 0 ? "-" : ""}${text} ${UNITS[unit] ?? ""}`;
}

export function integer(value: number): string {
  // A thin no-break space groups digits the same way in every locale.
  return String(Math.trunc(value)).replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");
}

/** A metric's value in about five characters: 0.03125, 12.4, 1.2e-7, 53.1k. Non-finite values keep their name. */
export function metric(value: number | string | null | undefined): string {
  if (value === null || value === undefined) return "–";
  if (typeof value === "string") return value;
  if (!Number.isFinite(value)) return String(value);
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e15 || size < 1e-4) return value.toExponential(2).replace("e+", "e");
  for (const [step, letter] of [
    [1e12, "T"],
    [1e9, "G"],
    [1e6, "M"],
    [1e4, "k"],
  ] as const) {
    if (size >= step) return trimmed((value / (letter === "k" ? 1e3 : step)).toPrecision(4)) + letter;
  }
  return trimmed(value.toPrecision(4));
}

function trimmed(text: string): string {
  return text.includes(".") && !text.includes("e") ? text.replace(/\.?0+$/, "") : text;
}

/** 4.2 s, 3m 05s, 2h 07m, 3d 04h. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "–";
  const whole = Math.max(0, seconds);
  if (whole < 10) return `${whole.toFixed(1)}s`;
  const s = Math.floor(whole);
  const two = (n: number) => String(n).padStart(2, "0");
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m ${two(s % 60)}s`;
  if (s < 86400) return `${Math.floor(s / 3600)}h ${two(Math.floor((s % 3600) / 60))}m`;
  return `${Math.floor(s / 86400)}d ${two(Math.floor((s % 86400) / 3600))}h`;
}

/** RFC 3339 in the controller's records, Unix seconds in the tracker's own. */
export type Time = string | number | null | undefined;

/** Milliseconds since 1970, or null. */
export function instant(time: Time): number | null {
  if (time === null || time === undefined || time === "") return null;
  const value = typeof time === "number" ? time * 1000 : Date.parse(time);
  return Number.isNaN(value) ? null : value;
}

export function ago(text: Time, now: number): string {
  const then = instant(text);
  if (then === null) return "–";
  const seconds = (now - then) / 1000;
  if (seconds < 2) return "just now";
  return `${duration(Math.floor(seconds)).replace(/\.\ds/, "s")} ago`;
}

export function between(from: Time, to: Time, now: number): string {
  const start = instant(from);
  if (start === null) return "–";
  return duration(((instant(to) ?? now) - start) / 1000);
}

/** 2026-03-09 14:05:31 in the reader's zone. */
export function moment(text: Time): string {
  const value = instant(text);
  if (value === null) return "–";
  const at = new Date(value);
  const two = (n: number) => String(n).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${integer(count)} ${count === 1 ? one : many}`;
}

/** Labels of a time axis (Unix seconds): the date where it changes, the time elsewhere, seconds only where they differ. */
export function clockLabels(values: readonly number[]): string[] {
  const two = (n: number) => String(n).padStart(2, "0");
  const fine = values.some((value) => value % 60 !== 0);
  let day = "";
  return values.map((value, index) => {
    const at = new Date(value * 1000);
    const date = `${two(at.getMonth() + 1)}-${two(at.getDate())}`;
    const time = `${two(at.getHours())}:${two(at.getMinutes())}${fine ? `:${two(at.getSeconds())}` : ""}`;
    const turned = index > 0 && date !== day;
    day = date;
    return turned || (values.length > 1 && (values[1] ?? 0) - (values[0] ?? 0) >= 86400) ? date : time;
  });
}
