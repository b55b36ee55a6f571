import { useCallback, useMemo, useState, type ReactNode } from "react";
import { address, type Run } from "../../api/client";
import { readLines, useStream } from "../../api/queries";
import { LogView } from "../../components/logview";
import type { LogReader } from "../../components/uselog";
import { Empty, useKey } from "../../components/ui";
import { attempts, newestPerRank, unitName, type Unit } from "../../lib/ranks";
import { bytes } from "../../lib/format";
import { rankState } from "../../lib/states";
import { useSearch } from "../../router";

/** The rank that failed first, else the lowest rank of the newest attempt. */
function first(run: Run, units: readonly Unit[]): Unit | undefined {
  const failed = run.failure ? newestPerRank(units, run.failure.attempt ?? units[0]?.attempt ?? null).find((unit) => unit.rank === run.failure?.rank) : undefined;
  return failed ?? units[0];
}

function streamOf(unit: Unit, asked: string | null): Unit["streams"][number] | undefined {
  const of = (kind: string) => unit.streams.find((stream) => stream.kind === kind);
  if (asked) {
    const found = of(asked);
    if (found) return found;
  }
  const stderr = of("stderr");
  // A failed rank's reason is on stderr, if it wrote there at all.
  if (rankState(unit) === "failed" && stderr && stderr.end > 0) return stderr;
  return of("stdout") ?? stderr ?? unit.streams[0];
}

export function LogsTab({ run, units, loading }: { run: Run; units: readonly Unit[]; loading: boolean }) {
  const [search, change] = useSearch();
  const [generation, setGeneration] = useState<{ stream: number; number: number } | null>(null);
  const asked = search.get("unit");
  const unit = units.find((each) => each.key === asked) ?? first(run, units);
  const peers = useMemo(() => units.filter((each) => each.attempt === unit?.attempt), [units, unit?.attempt]);
  const all = useMemo(() => attempts(units), [units]);
  const stream = unit ? streamOf(unit, search.get("stream")) : undefined;
  const info = useStream(stream?.id ?? null);
  const pick = useCallback((key: string) => change({ unit: key }), [change]);
  const step = useCallback(
    (by: 1 | -1) => {
      const at = peers.findIndex((each) => each.key === unit?.key);
      const next = peers[at + by];
      if (next) pick(next.key);
    },
    [peers, unit?.key, pick],
  );
  useKey("[", useCallback(() => step(-1), [step]));
  useKey("]", useCallback(() => step(1), [step]));

  if (!unit || !stream) {
    return loading ? (
      <Empty title="Loading…" />
    ) : (
      <Empty title="No logs yet.">Lines appear here as soon as a rank of this run writes one.</Empty>
    );
  }
  const older = info.data?.id === stream.id ? info.data.generation : 0;
  const pinned = generation?.stream === stream.id ? generation.number : undefined;
  const changeAttempt = (number: number) => {
    const there = newestPerRank(units, number);
    const next = there.find((each) => each.rank === unit.rank) ?? there[0] ?? units.find((each) => each.attempt === number);
    if (next) pick(next.key);
  };
  const controls = (
    <>
      {all.length > 1 ? (
        <label>
          <span className="name">Attempt</span>
          <select value={unit.attempt ?? ""} onChange={(event) => changeAttempt(Number(event.target.value))}>
            {[...all].reverse().map((number) => (
              <option key={number}>{number}</option>
            ))}
          </select>
        </label>
      ) : null}
      <div className="group">
        <button type="button" onClick={() => step(-1)} disabled={peers[0]?.key === unit.key} aria-label="Previous rank" title="Previous rank ( [ )">
          ‹
        </button>
        <label>
          <span className="sr">Rank</span>
          <select value={unit.key} onChange={(event) => pick(event.target.value)}>
            {peers.map((each) => (
              <option key={each.key} value={each.key}>
                {unitName(each)}
                {each.restart ? `, restart ${each.restart}` : ""} · {rankState(each)}
              </option>
            ))}
          </select>
        </label>
        <button type="button" onClick={() => step(1)} disabled={peers.at(-1)?.key === unit.key} aria-label="Next rank" title="Next rank ( ] )">
          ›
        </button>
      </div>
      <div className="group" role="group" aria-label="Stream">
        {unit.streams.map((each) => (
          <button type="button" key={each.id} aria-pressed={each.id === stream.id} onClick={() => change({ unit: unit.key, stream: each.kind })}>
            {each.kind}
          </button>
        ))}
      </div>
      {older > 0 ? (
        <label title="The file began anew: each beginning is a generation">
          <span className="name">Generation</span>
          <select
            value={pinned ?? older}
            onChange={(event) => {
              const number = Number(event.target.value);
              setGeneration(number === older ? null : { stream: stream.id, number });
            }}
          >
            {Array.from({ length: older + 1 }, (_, index) => older - index).map((number) => (
              <option key={number}>{number}</option>
            ))}
          </select>
        </label>
      ) : null}
    </>
  );
  return <StreamLog key={`${stream.id}/${pinned ?? ""}`} stream={stream.id} generation={pinned} controls={controls} />;
}

function StreamLog({ stream, generation, controls }: { stream: number; generation: number | undefined; controls: ReactNode }) {
  const info = useStream(stream);
  const known = info.data?.id === stream ? info.data : undefined;
  const read = useCallback<LogReader>((query, signal) => readLines(stream, query, signal), [stream]);
  return (
    <LogView
      read={read}
      end={known?.end ?? 0}
      newest={known?.generation ?? 0}
      generation={generation}
      controls={controls}
      download={address(`/api/v1/streams/${stream}/bytes`, { generation, gaps: "mark" })}
      unit="bytes"
      lost={known && known.lostBytes > 0 ? <span className="bad">{bytes(known.lostBytes)} of this stream were lost</span> : null}
    />
  );
}
