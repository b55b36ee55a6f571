import { ApiError } from "../api/client";
import { useRun, useSessionEnd, type RunName } from "../api/queries";
import { Empty, ErrorNote, Link } from "../components/ui";
import { RunPage } from "./run";
import { SdkRunPage } from "./sdk";

/** What stands at a run's address: a Run of the controller's, or what one `wandb.init()` made. */
export function AnyRunPage({ name }: { name: RunName }) {
  const run = useRun(name);
  useSessionEnd(run.error);
  if (run.error instanceof ApiError && run.error.status === 404) {
    return (
      <main id="main" className="page">
        <Empty title="There is no such run, or it is not yours to see.">
          <Link to="/">All runs</Link>
        </Empty>
      </main>
    );
  }
  if (!run.data) {
    return (
      <main id="main" className="page">
        <ErrorNote error={run.error} />
        {run.error ? null : <Empty title="Loading…" />}
      </main>
    );
  }
  return run.data.kind === "sdk" ? <SdkRunPage record={run.data} error={run.error} /> : <RunPage name={name} record={run.data} error={run.error} />;
}
