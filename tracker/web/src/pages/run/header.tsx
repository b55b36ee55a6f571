import type { Failure, Run, SdkRun } from "../../api/client";
import { Crumbs } from "../../components/crumbs";
import { Badge } from "../../components/ui";
import { between, bytes, moment } from "../../lib/format";
import { runTitle } from "../../lib/lone";
import { newestPerRank, type Unit } from "../../lib/ranks";
import { active, failureSentence, rankRatio, rankTrouble, runTone, signalName } from "../../lib/states";
import { stripped } from "../../lib/ansi";
import { StopButton } from "../sdk/header";

interface Props {
  run: Run;
  sdk: SdkRun | undefined;
  units: readonly Unit[];
  now: number;
  openLogs: (unit: string | null, stream?: string | null) => void;
  /** Tabs that need the height: the failure's last words wait behind a click. */
  brief: boolean;
}

export function RunHeader({ run, sdk, units, now, openLogs, brief }: Props) {
  const trouble = rankTrouble(run.ranks);
  return (
    <header className="runhead">
      <Crumbs entity={run.entity} project={run.project} />
      <div className="title">
        <h1>{runTitle(run)}</h1>
        <Badge tone={runTone(run.state)} live={active(run.state)}>
          {run.state}
        </Badge>
        {run.reason ? <span className="muted">{run.reason}</span> : null}
        {sdk?.stopAsked ? <span className="muted">asked to stop</span> : null}
        <span className="grow" />
        {sdk ? <StopButton run={sdk} /> : null}
      </div>
      <ul className="strip">
        <li>
          <span>Ranks</span>
          <b>{rankRatio(run.ranks)}</b>
          {trouble ? <em className="bad">{trouble}</em> : null}
        </li>
        <li>
          <span>Attempt</span>
          <b>{run.attempt ?? "–"}</b>
        </li>
        <li>
          <span>Duration</span>
          <b>{between(run.startedAt, run.endedAt, now)}</b>
        </li>
        <li>
          <span>Started</span>
          <b>{moment(run.startedAt ?? run.createdAt)}</b>
        </li>
        {run.workload?.name ? (
          <li>
            <span>{run.workload.kind}</span>
            <b>{run.workload.name}</b>
          </li>
        ) : null}
        <li>
          <span>Namespace</span>
          <b>{run.namespace}</b>
        </li>
        {run.collection.lostBytes > 0 ? (
          <li>
            <span>Lost</span>
            <b className="bad">{bytes(run.collection.lostBytes)}</b>
          </li>
        ) : null}
      </ul>
      {run.failure ? <FailureBanner failure={run.failure} units={units} openLogs={openLogs} brief={brief} /> : null}
    </header>
  );
}

function FailureBanner({ failure, units, openLogs, brief }: { failure: Failure; brief: boolean } & Pick<Props, "units" | "openLogs">) {
  const unit = newestPerRank(units, failure.attempt ?? units[0]?.attempt ?? null).find((each) => each.rank === failure.rank);
  const details = [
    failure.exitCode === null || failure.exitCode === undefined ? null : `exit code ${failure.exitCode}`,
    failure.signal === null || failure.signal === undefined ? null : signalName(failure.signal),
    failure.attempt ? `attempt ${failure.attempt}` : null,
    failure.confidence ? `${failure.confidence} confidence` : null,
  ].filter(Boolean);
  const words = failure.lastWords;
  return (
    <section className="failure" role="alert" aria-label="What failed first">
      <div className="said">
        <strong>{failureSentence(failure)}</strong>
        <span className="muted">{details.join(" · ")}</span>
        <span className="grow" />
        {unit ? (
          <button type="button" onClick={() => openLogs(unit.key, "stderr")}>
            Open rank {unit.rank}&#39;s stderr
          </button>
        ) : null}
      </div>
      {failure.message && !brief ? <p>{failure.message}</p> : null}
      {words.length > 0 ? (
        <details open={!brief} key={String(brief)}>
          <summary>{brief ? "Message and last words" : "Last words"}</summary>
          {failure.message && brief ? <p>{failure.message}</p> : null}
          <pre tabIndex={0}>{words.map(stripped).join("\n")}</pre>
        </details>
      ) : null}
    </section>
  );
}
