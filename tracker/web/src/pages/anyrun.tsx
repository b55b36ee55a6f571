import { useEffect } from "react";
import { ApiError } from "../api/client";
import { useRun, useSessionEnd, type RunName } from "../api/queries";
import { Empty, ErrorNote, NothingHere } from "../components/ui";
import { navigate, useSearch } from "../router";
import { RunPage } from "./run";
import { SdkRunPage } from "./sdk";

/**
 * What stands at a run's address: a Run of the controller's, or what one `wandb.init()` made. The one that a Run's pods
 * made is shown on the Run's page; `?kind=sdk` asks for its own.
 */
export function AnyRunPage({ name }: { name: RunName }) {
  const [search] = useSearch();
  const kind = search.get("kind") === "sdk" ? "sdk" : null;
  const run = useRun(name, kind);
  useSessionEnd(run.error);
  const found = run.data;
  const shownAt = found?.kind === "sdk" && found.alone && kind === null ? found.run?.url : undefined;
  useEffect(() => {
    if (shownAt !== undefined) navigate(shownAt + location.search, "replace");
  }, [shownAt]);
  if (run.error instanceof ApiError && run.error.status === 404) {
    return <NothingHere title="There is no such run, or it is not yours to see." />;
  }
  if (!found || shownAt !== undefined) {
    return (
      <main id="main" className="page">
        <ErrorNote error={run.error} />
        {run.error ? null : <Empty title="Loading…" />}
      </main>
    );
  }
  return found.kind === "sdk" ? <SdkRunPage record={found} error={run.error} /> : <RunPage name={name} record={found} error={run.error} />;
}
