import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useRef } from "react";
import { logout } from "./api/client";
import { sessionQuery } from "./api/queries";
import { Mark } from "./components/mark";
import { Empty, ErrorNote, Link, NothingHere, useKey } from "./components/ui";
import { LoginPage } from "./pages/login";
import { AnyRunPage } from "./pages/anyrun";
import { EntityPage } from "./pages/entity";
import { ProjectPage, SweepPage } from "./pages/project";
import { RunsPage } from "./pages/runs";
import { usePlace } from "./router";

const KEYS: readonly (readonly [string, string])[] = [
  ["/", "Filter or search"],
  ["1 – 6", "The tabs of a run"],
  ["[  ]", "Previous and next rank (Logs)"],
  ["f", "Follow new lines (Logs)"],
  ["?", "This list"],
];

export function App() {
  const session = useQuery(sessionQuery);
  const place = usePlace();
  const help = useRef<HTMLDialogElement>(null);
  useKey("?", useCallback(() => help.current?.showModal(), []));
  const client = useQueryClient();
  const leave = async () => {
    try {
      await logout();
    } finally {
      // The login page first, so that nothing asks any more; then nothing of this person stays in memory.
      client.setQueryData(sessionQuery.queryKey, null);
      client.removeQueries({ predicate: (query) => query.queryKey[0] !== sessionQuery.queryKey[0] });
    }
  };

  if (session.data === undefined) {
    return (
      <main className="page">
        <ErrorNote error={session.error} />
        {session.error ? null : <Empty title="Loading…" />}
      </main>
    );
  }
  if (session.data === null) return <LoginPage />;
  const { user, version } = session.data;
  return (
    <>
      <a className="skip" href="#main">
        Skip to content
      </a>
      <header className="top">
        <Link to="/" className="home">
          <Mark size={22} />
          <span>Outrider</span>
        </Link>
        <span className="grow" />
        <span className="muted version">{version}</span>
        <button type="button" className="quietbutton" onClick={() => help.current?.showModal()} aria-label="Keyboard shortcuts" title="Keyboard shortcuts ( ? )">
          ?
        </button>
        <span className="who" title={user.admin ? "administrator" : user.entities.join(", ")}>
          {user.name}
        </span>
        <button type="button" className="quietbutton" onClick={() => void leave()}>
          Log out
        </button>
      </header>
      {place.page === "runs" ? <RunsPage /> : null}
      {place.page === "run" ? <AnyRunPage key={`${place.entity}/${place.project}/${place.run}`} name={place} /> : null}
      {place.page === "entity" ? <EntityPage key={place.entity} entity={place.entity} /> : null}
      {place.page === "project" ? <ProjectPage key={`${place.entity}/${place.project}`} entity={place.entity} project={place.project} /> : null}
      {place.page === "sweep" ? <SweepPage entity={place.entity} project={place.project} sweep={place.sweep} /> : null}
      {place.page === "nowhere" ? <NothingHere title="There is nothing at this address." /> : null}
      <dialog ref={help} aria-labelledby="help">
        <h2 id="help">Keys</h2>
        <dl className="facts">
          {KEYS.map(([key, what]) => (
            <div key={key}>
              <dt>
                <kbd>{key}</kbd>
              </dt>
              <dd>{what}</dd>
            </div>
          ))}
        </dl>
        <form method="dialog">
          <button type="submit">Close</button>
        </form>
      </dialog>
    </>
  );
}
