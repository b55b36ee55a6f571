/** Terminal text to spans. Only colours and weight are kept; every other control sequence is dropped, never interpreted. Pure. */

export interface Span {
  text: string;
  className: string;
}

interface Style {
  colour: string;
  back: string;
  bold: boolean;
  dim: boolean;
  italic: boolean;
  underline: boolean;
}

const PLAIN: Style = { colour: "", back: "", bold: false, dim: false, italic: false, underline: false };
const NAMES = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"] as const;

// CSI … final byte | OSC … BEL or ST | other two-character escapes | C0/C1 controls but tab.
// eslint-disable-next-line no-control-regex
const CONTROL = /\x1b\[([0-9;:?<=>!]*)[ -/]*([@-~])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\|$)|\x1b[PX^_][^\x1b]*(?:\x1b\\|$)|\x1b[ -/]*[0-~]?|[\x00-\x08\x0a-\x1f\x7f-\x9f]/g;

/** Bidirectional overrides would let a line show other text than it holds. */
const BIDI = /[\u202a-\u202e\u2066-\u2069]/g;

export function stripped(text: string): string {
  return text.replace(CONTROL, "").replace(BIDI, "\ufffd");
}

function classes(style: Style): string {
  const names: string[] = [];
  if (style.colour) names.push(`fg-${style.colour}`);
  if (style.back) names.push(`bg-${style.back}`);
  if (style.bold) names.push("bold");
  if (style.dim) names.push("dim");
  if (style.italic) names.push("italic");
  if (style.underline) names.push("underline");
  return names.join(" ");
}

/** The nearest of the sixteen named colours of a 256-colour or true-colour code: they fit both themes, any colour would not. */
function nearest(r: number, g: number, b: number): string {
  const top = Math.max(r, g, b);
  if (top < 48) return "black";
  if (top - Math.min(r, g, b) < 32) return top > 170 ? "white" : "bright-black";
  const index = (r > top * 0.6 ? 1 : 0) | (g > top * 0.6 ? 2 : 0) | (b > top * 0.6 ? 4 : 0);
  return (top > 215 ? "bright-" : "") + (NAMES[index] ?? "white");
}

function indexed(code: number): string {
  if (code < 8) return NAMES[code] ?? "";
  if (code < 16) return `bright-${NAMES[code - 8] ?? ""}`;
  if (code >= 232) return nearest(...grey(code));
  const cube = code - 16;
  const level = (n: number) => (n === 0 ? 0 : 55 + 40 * n);
  return nearest(level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6));
}

function grey(code: number): [number, number, number] {
  const value = 8 + 10 * (code - 232);
  return [value, value, value];
}

function extended(codes: number[], at: number): [string, number] {
  if (codes[at + 1] === 5) return [indexed(codes[at + 2] ?? 7), at + 2];
  if (codes[at + 1] === 2) return [nearest(codes[at + 2] ?? 0, codes[at + 3] ?? 0, codes[at + 4] ?? 0), at + 4];
  return ["", at + 1];
}

function applied(style: Style, parameters: string): Style {
  const codes = parameters === "" ? [0] : parameters.split(/[;:]/).map((part) => (part === "" ? 0 : Number(part)));
  let next = { ...style };
  for (let at = 0; at < codes.length; at += 1) {
    const code = codes[at] ?? 0;
    if (code === 0) next = { ...PLAIN };
    else if (code === 1) next.bold = true;
    else if (code === 2) next.dim = true;
    else if (code === 3) next.italic = true;
    else if (code === 4) next.underline = true;
    else if (code === 22) next = { ...next, bold: false, dim: false };
    else if (code === 23) next.italic = false;
    else if (code === 24) next.underline = false;
    else if (code >= 30 && code <= 37) next.colour = NAMES[code - 30] ?? "";
    else if (code === 38) [next.colour, at] = extended(codes, at);
    else if (code === 39) next.colour = "";
    else if (code >= 40 && code <= 47) next.back = NAMES[code - 40] ?? "";
    else if (code === 48) [next.back, at] = extended(codes, at);
    else if (code === 49) next.back = "";
    else if (code >= 90 && code <= 97) next.colour = `bright-${NAMES[code - 90] ?? ""}`;
    else if (code >= 100 && code <= 107) next.back = `bright-${NAMES[code - 100] ?? ""}`;
  }
  return next;
}

export function spans(text: string): Span[] {
  const made: Span[] = [];
  let style = PLAIN;
  let from = 0;
  const push = (piece: string) => {
    if (piece === "") return;
    const className = classes(style);
    const last = made.at(-1);
    const safe = piece.replace(BIDI, "\ufffd");
    if (last?.className === className) last.text += safe;
    else made.push({ text: safe, className });
  };
  for (const match of text.matchAll(CONTROL)) {
    push(text.slice(from, match.index));
    from = match.index + match[0].length;
    if (match[2] === "m" && /^[0-9;:]*$/.test(match[1] ?? "")) style = applied(style, match[1] ?? "");
  }
  push(text.slice(from));
  return made;
}

/** The same spans cut at every occurrence of `needle` (case does not matter), hits marked with class "hit". */
export function marked(parts: Span[], needle: string): Span[] {
  if (needle === "") return parts;
  const whole = parts.map((part) => part.text).join("").toLowerCase();
  const wanted = needle.toLowerCase();
  const hits: [number, number][] = [];
  for (let at = whole.indexOf(wanted); at >= 0; at = whole.indexOf(wanted, at + wanted.length)) hits.push([at, at + wanted.length]);
  if (hits.length === 0) return parts;
  const made: Span[] = [];
  let offset = 0;
  for (const part of parts) {
    const stop = offset + part.text.length;
    let cut = offset;
    for (const [begin, end] of hits) {
      if (end <= cut || begin >= stop) continue;
      if (begin > cut) made.push({ text: part.text.slice(cut - offset, begin - offset), className: part.className });
      const from = Math.max(begin, cut);
      const to = Math.min(end, stop);
      made.push({ text: part.text.slice(from - offset, to - offset), className: `${part.className} hit`.trim() });
      cut = to;
    }
    if (cut < stop) made.push({ text: part.text.slice(cut - offset), className: part.className });
    offset = stop;
  }
  return made;
}
