import type { ColumnDef } from "@tanstack/react-table";
import { useMemo, useState } from "react";
import { HeatStrip } from "../../components/heatstrip";
import { DataTable } from "../../components/table";
import { Badge, Empty } from "../../components/ui";
import { ago, between, bytes, moment, plural } from "../../lib/format";
import { attempts, lostBytes, newestPerRank, tally, unitName, type Unit } from "../../lib/ranks";
import { RANK_TONES, rankEnd, rankState, type RankState } from "../../lib/states";

interface Props {
  units: readonly Unit[];
  loading: boolean;
  now: number;
  openLogs: (unit: string | null, stream?: string | null) => void;
}

function columns(now: number, openLogs: Props["openLogs"]): ColumnDef<Unit>[] {
  return [
    {
      id: "rank",
      header: "Rank",
      accessorFn: (unit) => unit.rank ?? Number.MAX_SAFE_INTEGER,
      meta: { width: "minmax(60px, 0.6fr)" },
      cell: ({ row: { original: unit } }) => <span className="num strong">{unit.rank ?? unitName(unit)}</span>,
    },
    {
      id: "state",
      header: "State",
      accessorFn: (unit) => rankState(unit),
      meta: { width: "104px" },
      cell: ({ row: { original: unit } }) => {
        const state = rankState(unit);
        return (
          <Badge tone={RANK_TONES[state]} live={state === "running"}>
            {state}
          </Badge>
        );
      },
    },
    { id: "end", header: "Exit", accessorFn: (unit) => rankEnd(unit), meta: { width: "minmax(130px, 1.1fr)" }, cell: ({ row: { original: unit } }) => rankEnd(unit) || <span className="muted">–</span> },
    {
      id: "attempt",
      header: "Attempt",
      accessorFn: (unit) => unit.attempt ?? 0,
      meta: { width: "56px" },
      cell: ({ row: { original: unit } }) => <span className="num">{unit.attempt ?? "?"}</span>,
    },
    {
      id: "restart",
      header: "Restart",
      accessorFn: (unit) => unit.restart ?? 0,
      meta: { width: "56px" },
      cell: ({ row: { original: unit } }) => <span className="num">{unit.restart ?? "–"}</span>,
    },
    {
      id: "pod",
      header: "Pod",
      accessorFn: (unit) => unit.pod ?? "",
      meta: { width: "minmax(130px, 2fr)" },
      cell: ({ row: { original: unit } }) => <span title={`${unit.pod ?? ""} (${unit.source})`}>{unit.pod || unit.source}</span>,
    },
    {
      id: "node",
      header: "Node",
      accessorFn: (unit) => unit.node ?? "",
      meta: { width: "minmax(90px, 1.2fr)" },
      cell: ({ row: { original: unit } }) => <span title={unit.node ?? ""}>{unit.node ?? "–"}</span>,
    },
    {
      id: "local",
      header: "Node/local",
      accessorFn: (unit) => (unit.nodeRank ?? 0) * 1000 + (unit.localRank ?? 0),
      meta: { width: "74px" },
      cell: ({ row: { original: unit } }) => (
        <span className="num muted">
          {unit.nodeRank ?? "?"}/{unit.localRank ?? "?"}
        </span>
      ),
    },
    {
      id: "duration",
      header: "Ran for",
      accessorFn: (unit) => (unit.endedAt ?? now / 1000) - (unit.startedAt ?? now / 1000),
      meta: { width: "72px" },
      cell: ({ row: { original: unit } }) => <span className="num">{unit.state === "unknown" && !unit.endedAt ? "–" : between(unit.startedAt, unit.endedAt, now)}</span>,
    },
    {
      id: "seen",
      header: "Last seen",
      accessorFn: (unit) => unit.lastSeen ?? 0,
      meta: { width: "88px" },
      cell: ({ row: { original: unit } }) => <time title={moment(unit.lastSeen)}>{ago(unit.lastSeen, now)}</time>,
    },
    {
      id: "lost",
      header: "Lost",
      accessorFn: (unit) => lostBytes(unit),
      meta: { width: "70px", align: "right" },
      cell: ({ row: { original: unit } }) => {
        const lost = lostBytes(unit);
        return <span className={lost ? "num bad" : "num muted"}>{lost ? bytes(lost) : "0"}</span>;
      },
    },
    {
      id: "logs",
      header: "Logs",
      enableSorting: false,
      meta: { width: "100px" },
      cell: ({ row: { original: unit } }) => (
        <span className="links">
          {unit.streams
            .filter((stream) => stream.kind === "stdout" || stream.kind === "stderr")
            .map((stream) => (
              <button type="button" className="aslink" key={stream.id} onClick={() => openLogs(unit.key, stream.kind)} aria-label={`${stream.kind} of ${unitName(unit)}`}>
                {stream.kind}
              </button>
            ))}
        </span>
      ),
    },
  ];
}

const ORDER: RankState[] = ["running", "succeeded", "failed", "stopped", "unknown"];

export function RanksTab({ units, loading, now, openLogs }: Props) {
  const all = useMemo(() => attempts(units), [units]);
  const [asked, setAsked] = useState<number | null>(null);
  const [only, setOnly] = useState<RankState | null>(null);
  const [chosen, setChosen] = useState<string | undefined>();
  const attempt = asked !== null && all.includes(asked) ? asked : (all.at(-1) ?? null);
  const strip = useMemo(() => newestPerRank(units, attempt), [units, attempt]);
  const counts = tally(strip);
  const shown = useMemo(() => units.filter((unit) => only === null || (rankState(unit) === only && unit.attempt === attempt)), [units, only, attempt]);
  const made = useMemo(() => columns(now, openLogs), [now, openLogs]);
  return (
    <>
      <div className="rankhead">
        <div className="toolbar">
          {all.length > 1 ? (
            <label>
              Attempt{" "}
              <select value={attempt ?? ""} onChange={(event) => setAsked(Number(event.target.value))}>
                {[...all].reverse().map((number) => (
                  <option key={number}>{number}</option>
                ))}
              </select>
            </label>
          ) : null}
          <div className="group" role="group" aria-label="Show ranks by state">
            <button type="button" aria-pressed={only === null} onClick={() => setOnly(null)}>
              All {plural(strip.length, "rank")}
            </button>
            {ORDER.filter((state) => counts[state] > 0).map((state) => (
              <button type="button" key={state} aria-pressed={only === state} onClick={() => setOnly(only === state ? null : state)}>
                <span className={`dot tone-${RANK_TONES[state]}`} aria-hidden="true" />
                {counts[state]} {state}
              </button>
            ))}
          </div>
        </div>
        {strip.length > 0 ? <HeatStrip units={strip} chosen={chosen} choose={(unit) => setChosen(unit.key)} /> : null}
      </div>
      <DataTable
        label="Ranks"
        rows={shown}
        columns={made}
        rowKey={(unit) => unit.key}
        selected={chosen}
        onOpen={(unit) => openLogs(unit.key)}
        minWidth={1238}
        empty={
          loading ? (
            <Empty title="Loading…" />
          ) : (
            <Empty title="No rank has been heard of yet.">Ranks appear as soon as their processes start.</Empty>
          )
        }
      />
    </>
  );
}
