import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState, type ReactNode } from "react";
import type { ConsoleLine } from "../api/sdk";
import { marked, spans, stripped } from "../lib/ansi";
import { bytes, integer, plural } from "../lib/format";
import { findLine } from "../lib/logwindow";
import { useKey } from "./ui";
import { useLog, type LogReader } from "./uselog";

const ROW = 18;

interface Props {
  /** Remount (key) for another log: the view keeps what it has read. */
  read: LogReader;
  /** Where the log ends as far as is known, and which generation is the newest. */
  end: number;
  newest: number;
  generation: number | undefined;
  controls: ReactNode;
  /** Where the whole log is saved from. */
  download: string | null;
  /** What is counted: positions in the log, and what is said of `end` besides. */
  unit: "bytes" | "lines";
  lost?: ReactNode;
}

/** A log's text: a window that grows where one scrolls, follows its end, and never draws more than what is in view. */
export function LogView({ read, end: known, newest, generation, controls, download, unit, lost }: Props) {
  const log = useLog(read, generation);
  const [needle, setNeedle] = useState("");
  const [hit, setHit] = useState(-1);
  const scroller = useRef<HTMLDivElement>(null);
  const search = useRef<HTMLInputElement>(null);
  const lines = useMemo(() => log.window?.lines ?? [], [log.window]);
  const virtual = useVirtualizer({ count: lines.length, getScrollElement: () => scroller.current, estimateSize: () => ROW, overscan: 30 });
  const end = Math.max(known, log.window?.end ?? 0);

  useLayoutEffect(() => {
    if (scroller.current && log.jumps > 0) scroller.current.scrollTop = 0;
  }, [log.jumps]);

  // The line under the reader's eyes stays where it is when others come before it or leave.
  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element || !log.window) return;
    if (log.following) element.scrollTop = element.scrollHeight;
    else if (log.window.shifted !== 0) element.scrollTop += log.window.shifted * ROW;
  }, [log.window, log.following]);

  const before = useRef(0);
  const { following, follow, earlier, later } = log;
  const scrolled = useCallback(() => {
    const element = scroller.current;
    if (!element) return;
    const up = element.scrollTop < before.current - 1;
    before.current = element.scrollTop;
    const left = element.scrollHeight - element.scrollTop - element.clientHeight;
    if (up && left > ROW) follow(false);
    if (!up && !following && left < ROW * 20) later();
    if (element.scrollTop < ROW * 40 && up) earlier();
  }, [following, follow, earlier, later]);

  const find = (step: 1 | -1) => {
    const texts = lines.map((line) => stripped(line.text ?? ""));
    const at = findLine(texts, needle, hit < 0 && step === -1 ? 0 : hit, step);
    setHit(at);
    if (at < 0) return;
    log.follow(false);
    virtual.scrollToIndex(at, { align: "center" });
  };
  const hits = useMemo(() => {
    const wanted = needle.toLowerCase();
    return wanted === "" ? 0 : lines.filter((line) => stripped(line.text ?? "").toLowerCase().includes(wanted)).length;
  }, [lines, needle]);
  useKey("/", useCallback(() => search.current?.focus(), []));
  useKey("f", useCallback(() => follow(!following), [follow, following]));
  useEffect(() => setHit(-1), [needle]);
  const shown = log.window?.generation;
  const { seek } = log;
  useEffect(() => {
    // The file began anew: whoever follows the newest generation goes on there.
    if (generation === undefined && following && shown !== undefined && newest > shown) seek("end");
  }, [generation, following, shown, newest, seek]);

  return (
    <div className="log">
      <div className="toolbar">
        {controls}
        <span className="grow" />
        <label className="search">
          <span className="sr">Search in loaded lines</span>
          <input
            ref={search}
            type="search"
            placeholder="Search loaded lines"
            value={needle}
            onChange={(event) => setNeedle(event.target.value)}
            onKeyDown={(event) => {
              if (event.key === "Enter") find(event.shiftKey ? -1 : 1);
              if (event.key === "Escape") event.currentTarget.blur();
            }}
          />
          {needle === "" ? null : <span className="hits">{plural(hits, "line")}</span>}
        </label>
        <div className="group">
          <button type="button" onClick={() => log.seek("start")} title="Go to the first line">
            ⤒ Start
          </button>
          <button type="button" onClick={() => log.seek("end")} title="Go to the newest line and follow">
            ⤓ End
          </button>
        </div>
        <button type="button" className="toggle" aria-pressed={log.following} onClick={() => log.follow(!log.following)} title="Follow new lines (f)">
          <span className={log.following ? "dot live" : "dot"} aria-hidden="true" /> {log.following ? "Following" : "Follow"}
        </button>
        {download === null ? null : (
          <a className="button" href={download} download>
            Download
          </a>
        )}
      </div>
      <div className="lines" ref={scroller} onScroll={scrolled} tabIndex={0} role="log" aria-label="Log" aria-live="off">
        {log.window && lines.length === 0 ? <p className="quiet">Nothing was written here yet. New lines appear by themselves.</p> : null}
        <div style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map((item) => {
            const line = lines[item.index];
            return line ? (
              <div key={line.offset} className={`line${item.index === hit ? " at" : ""}`} style={{ transform: `translateY(${item.start}px)` }}>
                <LogLine line={line} needle={needle} unit={unit} />
              </div>
            ) : null;
          })}
        </div>
      </div>
      <footer className="status">
        {log.error ? <span className="bad">{log.error.message}</span> : null}
        {log.window ? (
          <span>
            {plural(lines.length, "line")} loaded · {unit} {integer(log.window.start)}–{integer(log.window.end)} of {integer(end)}
            {unit === "bytes" ? ` (${bytes(end)})` : null}
          </span>
        ) : (
          <span>Loading…</span>
        )}
        {lost}
        <span className="grow" />
        {log.window && end > 0 ? (
          <label className="seek">
            <span className="sr">Position in the log, in {unit}</span>
            <input
              type="range"
              min={0}
              max={end}
              value={log.following ? end : Math.min(end, lines[virtual.getVirtualItems()[0]?.index ?? 0]?.offset ?? 0)}
              onChange={(event) => {
                const to = Number(event.target.value);
                log.seek(to >= end ? "end" : to <= 0 ? "start" : { from: to });
              }}
            />
          </label>
        ) : null}
      </footer>
    </div>
  );
}

function clock(seconds: number): string {
  const at = new Date(seconds * 1000);
  const two = (n: number) => String(n).padStart(2, "0");
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

const LogLine = memo(function LogLine({ line, needle, unit }: { line: ConsoleLine; needle: string; unit: Props["unit"] }) {
  const gutter = line.ts === null || line.ts === undefined ? integer(line.offset) : clock(line.ts);
  if (line.lost !== null && line.lost !== undefined) {
    return (
      <>
        <span className="gutter">{integer(line.offset)}</span>
        <span className="lost">
          {bytes(line.lost)} lost here{line.reason ? `: ${line.reason}` : ""}
        </span>
      </>
    );
  }
  return (
    <>
      <span className="gutter" title={unit === "bytes" ? `byte ${integer(line.offset)}` : `line ${integer(line.offset + 1)}`}>
        {gutter}
      </span>
      {line.label ? <span className="loglabel">{line.label}</span> : null}
      <span className={line.level === "error" ? "text fg-red" : "text"}>
        {marked(spans(line.text ?? ""), needle).map((span, index) =>
          span.className ? (
            <span key={index} className={span.className}>
              {span.text}
            </span>
          ) : (
            span.text
          ),
        )}
      </span>
    </>
  );
});
