import { useMutation, useQueryClient } from "@tanstack/react-query";
import { change, type SdkRun } from "../../api/client";
import { sdkPath } from "../../api/sdk";
import { Crumbs } from "../../components/crumbs";
import { Badge, ErrorNote, Link } from "../../components/ui";
import { between, moment } from "../../lib/format";
import { active, runTone } from "../../lib/states";
import { sweepPath } from "../../router";

export function SdkRunHeader({ run, now }: { run: SdkRun; now: number }) {
  return (
    <header className="runhead">
      <Crumbs entity={run.entity} project={run.project} run={run.run} />
      <div className="title">
        <h1>{run.displayName}</h1>
        <Badge tone={runTone(run.state)} live={active(run.state)}>
          {run.state}
        </Badge>
        {run.stopAsked ? <span className="muted">asked to stop</span> : null}
        <span className="grow" />
        <StopButton run={run} />
      </div>
      <ul className="strip">
        <li>
          <span>Duration</span>
          <b>{between(run.createdAt, run.endedAt, now)}</b>
        </li>
        <li>
          <span>Started</span>
          <b>{moment(run.createdAt)}</b>
        </li>
        {run.exitCode === null ? null : (
          <li>
            <span>Exit code</span>
            <b className={run.exitCode === 0 ? "" : "bad"}>{run.exitCode}</b>
          </li>
        )}
        {run.group ? (
          <li>
            <span>Group</span>
            <b>{run.group}</b>
          </li>
        ) : null}
        {run.sweep ? (
          <li>
            <span>Sweep</span>
            <b>
              <Link to={sweepPath(run.entity, run.project, run.sweep)}>{run.sweep}</Link>
            </b>
          </li>
        ) : null}
        {run.user ? (
          <li>
            <span>By</span>
            <b>{run.user}</b>
          </li>
        ) : null}
      </ul>
    </header>
  );
}

/** The client hears of it with its next request, within seconds, and interrupts the training. For who may write, while it goes on. */
export function StopButton({ run }: { run: SdkRun }) {
  const client = useQueryClient();
  const stop = useMutation({
    mutationFn: () => change("POST", `${sdkPath(run)}/stop`),
    onSuccess: () => client.invalidateQueries({ queryKey: ["run", run.entity, run.project, run.id] }),
  });
  if (!run.mayWrite || !active(run.state)) return null;
  return (
    <>
      <ErrorNote error={stop.error} />
      <button
        type="button"
        disabled={stop.isPending || run.stopAsked}
        onClick={() => {
          if (confirm(`Stop ${run.displayName}? Its training is interrupted within seconds.`)) stop.mutate();
        }}
      >
        {run.stopAsked ? "Stopping" : "Stop"}
      </button>
    </>
  );
}
