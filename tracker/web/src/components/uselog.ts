import { useCallback, useEffect, useRef, useState } from "react";
import type { Lines } from "../api/client";
import type { LinesQuery } from "../api/queries";
import { appended, fromWholeLine, opened, prepended, resume, type LogWindow } from "../lib/logwindow";

const PAGE = 500;
const WAIT = 20; // seconds that the tracker may hold a call until new bytes come
const PAUSE = 250; // milliseconds between two calls: a busy rank is drawn four times a second, not four hundred

export interface Log {
  window: LogWindow | null;
  error: Error | null;
  following: boolean;
  /** How often the window was replaced by another place of the stream: the view then begins at its top. */
  jumps: number;
  follow: (on: boolean) => void;
  earlier: () => void;
  later: () => void;
  seek: (to: { from: number } | "start" | "end") => void;
}

function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      done();
    });
  });
}

function visible(signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    if (!document.hidden) {
      done();
      return;
    }
    const check = () => {
      if (document.hidden && !signal.aborted) return;
      document.removeEventListener("visibilitychange", check);
      done();
    };
    document.addEventListener("visibilitychange", check);
    signal.addEventListener("abort", check);
  });
}

/** Reads lines of one log; the same function as long as it is the same log. */
export type LogReader = (query: LinesQuery, signal?: AbortSignal) => Promise<Lines>;

/** A log's loaded window, its live tail, and the ways to move in it. Remount (key) for another stream. */
export function useLog(read: LogReader, generation: number | undefined): Log {
  const [window, setWindow] = useState<LogWindow | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const [following, setFollowing] = useState(true);
  const [jumps, setJumps] = useState(0);
  const latest = useRef<LogWindow | null>(null);
  const underWay = useRef<object | null>(null);
  const pin = generation === undefined ? {} : { generation };
  const pinned = useRef(pin);

  const put = useCallback((next: LogWindow) => {
    latest.current = next;
    setWindow(next);
    setError(null);
  }, []);

  /** One call beside the tail; it takes the place of one that has no answer yet, which then counts no more. */
  const call = useCallback(
    (query: LinesQuery, take: (answer: Lines) => void) => {
      const mine = {};
      underWay.current = mine;
      read(query)
        .then((answer) => {
          if (underWay.current === mine) take(answer);
        })
        .catch((problem: unknown) => {
          if (underWay.current === mine) setError(problem instanceof Error ? problem : new Error(String(problem)));
        })
        .finally(() => {
          if (underWay.current === mine) underWay.current = null;
        });
    },
    [read],
  );

  useEffect(() => {
    if (!following) return undefined;
    const stop = new AbortController();
    const tail = async () => {
      while (!stop.signal.aborted) {
        await visible(stop.signal);
        const at = latest.current;
        try {
          const answer: Lines = at
            ? await read({ ...resume(at), wait: WAIT, limit: PAGE * 2, generation: at.generation }, stop.signal)
            : await read({ last: PAGE, ...pinned.current }, stop.signal);
          const now = latest.current;
          put(now ? appended(now, answer) : opened(answer));
          await sleep(PAUSE, stop.signal);
        } catch (problem) {
          // eslint-disable-next-line @typescript-eslint/no-unnecessary-condition -- aborted while awaiting
          if (stop.signal.aborted) return;
          setError(problem instanceof Error ? problem : new Error(String(problem)));
          await sleep(1000, stop.signal);
        }
      }
    };
    void tail();
    return () => stop.abort();
  }, [read, following, put]);

  const earlier = useCallback(() => {
    const at = latest.current;
    // Scrolling fires many events for one page.
    if (underWay.current || !at || at.start <= 0) return;
    call({ before: at.start, limit: PAGE, generation: at.generation }, (answer) => {
      const now = latest.current;
      if (now) put(prepended(now, answer));
    });
  }, [call, put]);

  const later = useCallback(() => {
    const at = latest.current;
    if (underWay.current || !at) return;
    call({ from: resume(at).from, limit: PAGE, generation: at.generation }, (answer) => {
      const now = latest.current;
      if (!now) return;
      put(appended(now, answer));
      if (answer.end <= now.end) setFollowing(true);
    });
  }, [call, put]);

  const seek = useCallback(
    (to: { from: number } | "start" | "end") => {
      setFollowing(false);
      const where = to === "end" ? { last: PAGE } : { from: to === "start" ? 0 : to.from, limit: PAGE };
      call({ ...where, ...pinned.current }, (answer) => {
        put(opened(typeof to === "string" ? answer : fromWholeLine(answer)));
        setJumps((count) => count + 1);
        if (to === "end") setFollowing(true);
      });
    },
    [call, put],
  );

  return { window, error, following, jumps, follow: setFollowing, earlier, later, seek };
}
