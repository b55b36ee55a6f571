import { useMutation, useQueryClient } from "@tanstack/react-query";
import { change, projectPath, type SdkRun } from "../../api/client";
import { sdkPath } from "../../api/sdk";
import { Badge, ErrorNote, Link } from "../../components/ui";
import { between, moment } from "../../lib/format";
import { active, runTone } from "../../lib/states";

export function SdkRunHeader({ run, now }: { run: SdkRun; now: number }) {
  return (
    <header className="runhead">
      <nav aria-label="Where" className="crumbs">
        <Link to="/">Runs</Link>
        <span aria-hidden="true">/</span>
        <Link to={`/?entity=${encodeURIComponent(run.entity)}`}>{run.entity}</Link>
        <span aria-hidden="true">/</span>
        <Link to={projectPath(run.entity, run.project)}>{run.project}</Link>
        {run.run ? (
          <>
            <span aria-hidden="true">/</span>
            <Link to={run.run.url}>{run.run.name}</Link>
          </>
        ) : null}
      </nav>
      <div className="title">
        <h1>{run.displayName}</h1>
        <Badge tone={runTone(run.state)} live={active(run.state)}>
          {run.state}
        </Badge>
        {run.stopAsked ? <span className="muted">asked to stop</span> : null}
        <span className="grow" />
        {run.mayWrite && active(run.state) ? <StopButton run={run} /> : null}
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
              <Link to={`${projectPath(run.entity, run.project)}/sweeps/${encodeURIComponent(run.sweep)}`}>{run.sweep}</Link>
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

/** The client hears of it with its next request, within seconds, and interrupts the training. */
function StopButton({ run }: { run: SdkRun }) {
  const client = useQueryClient();
  const stop = useMutation({
    mutationFn: () => change("POST", `${sdkPath(run)}/stop`),
    onSuccess: () => client.invalidateQueries({ queryKey: ["run", run.entity, run.project, run.id] }),
  });
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
