/** The loaded part of a stream: lines between two offsets, grown at both ends, bounded. Pure. */

import type { Line, Lines } from "../api/client";

export const MAX_LINES = 20_000;

export interface LogWindow {
  generation: number;
  /** Offset of the first loaded byte, and of the byte behind the last. */
  start: number;
  end: number;
  lines: readonly Line[];
  /** The last line is still being written. */
  partial: boolean;
  /** How many lines the last change put before the first: what a viewer must scroll by to stay where it was. */
  shifted: number;
}

export function opened(answer: Lines): LogWindow {
  const { generation, start, end, lines, partial } = answer;
  return { generation, start, end, lines, partial, shifted: 0 };
}

/** An answer from an offset in the middle of a line, without that line's rest. */
export function fromWholeLine(answer: Lines): Lines {
  const [, ...rest] = answer.lines;
  const first = rest[0];
  return first && answer.start > 0 ? { ...answer, start: first.offset, lines: rest } : answer;
}

/** Where to read on: an unfinished line is read again from its beginning. */
export function resume(window: LogWindow): { from: number; seen: number } {
  const last = window.lines.at(-1);
  return { from: window.partial && last ? last.offset : window.end, seen: window.end };
}

export function appended(window: LogWindow, answer: Lines): LogWindow {
  if (answer.generation !== window.generation) return opened(answer);
  const kept = answer.lines.length ? upTo(window.lines, answer.start) : [...window.lines];
  const lines = kept.concat(answer.lines);
  const cut = Math.max(0, lines.length - MAX_LINES);
  return {
    generation: window.generation,
    start: cut ? (lines[cut]?.offset ?? window.start) : window.start,
    end: answer.lines.length ? answer.end : window.end,
    lines: cut ? lines.slice(cut) : lines,
    partial: answer.lines.length ? answer.partial : window.partial,
    shifted: -cut,
  };
}

export function prepended(window: LogWindow, answer: Lines): LogWindow {
  if (answer.generation !== window.generation) return window;
  const earlier = answer.lines.filter((line) => line.offset < window.start);
  const lines = earlier.concat(window.lines);
  const over = lines.length > MAX_LINES;
  const behind = lines[MAX_LINES];
  return {
    generation: window.generation,
    start: Math.min(answer.start, window.start),
    end: over && behind ? behind.offset : window.end,
    lines: over ? lines.slice(0, MAX_LINES) : lines,
    partial: over ? false : window.partial,
    shifted: earlier.length,
  };
}

function upTo(lines: readonly Line[], offset: number): Line[] {
  let keep = lines.length;
  while (keep > 0 && (lines[keep - 1]?.offset ?? -1) >= offset) keep -= 1;
  return lines.slice(0, keep);
}

/** Index of the next line that contains `needle`, from `after` in direction `step`, wrapping around; -1 if none does. */
export function findLine(texts: readonly string[], needle: string, after: number, step: 1 | -1): number {
  if (needle === "" || texts.length === 0) return -1;
  const wanted = needle.toLowerCase();
  for (let count = 1; count <= texts.length; count += 1) {
    const at = (((after + step * count) % texts.length) + texts.length) % texts.length;
    if ((texts[at] ?? "").toLowerCase().includes(wanted)) return at;
  }
  return -1;
}
