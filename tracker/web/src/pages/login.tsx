import { useQueryClient } from "@tanstack/react-query";
import { useState, type SyntheticEvent } from "react";
import { login } from "../api/client";
import { sessionQuery } from "../api/queries";
import { ErrorNote } from "../components/ui";
import { Mark } from "../components/mark";

export function LoginPage() {
  const client = useQueryClient();
  const [key, setKey] = useState("");
  const [error, setError] = useState<Error | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (event: SyntheticEvent) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      client.setQueryData(sessionQuery.queryKey, await login(key.trim()));
    } catch (problem) {
      setError(problem instanceof Error ? problem : new Error(String(problem)));
      setBusy(false);
    }
  };
  return (
    <main className="login">
      <form onSubmit={(event) => void submit(event)}>
        <Mark size={40} />
        <h1>Outrider</h1>
        <p>Every rank of every run, as it happened.</p>
        <label htmlFor="key">API key</label>
        <input
          id="key"
          type="password"
          autoComplete="current-password"
          spellCheck={false}
          required
          autoFocus
          value={key}
          onChange={(event) => setKey(event.target.value)}
          aria-invalid={error !== null}
        />
        <ErrorNote error={error} />
        <button type="submit" className="primary" disabled={busy || key.trim() === ""}>
          {busy ? "Checking…" : "Log in"}
        </button>
        <p className="hint">
          The tracker prints a first key when it starts. An administrator makes more with <code>outrider-tracker user add</code>.
        </p>
      </form>
    </main>
  );
}
