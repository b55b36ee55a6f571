import { useCallback, useMemo, useState } from "react";
import type { Console, SdkRun } from "../../api/client";
import { consoleReader, fileAddress, useSdkFiles } from "../../api/sdk";
import { LogView } from "../../components/logview";
import { useSearch } from "../../router";

export function SdkLogsTab({ run }: { run: SdkRun }) {
  const [search, change] = useSearch();
  const [writers, setWriters] = useState<Console["writers"]>([]);
  const asked = search.get("writer");
  // Outside shared mode there is one writer, and its name is empty.
  const client = asked ?? writers[0]?.client ?? "";
  const files = useSdkFiles(run);
  const saved = files.data?.items.some((file) => file.path === "output.log") ?? false;
  const told = useCallback((list: Console["writers"]) => setWriters((known) => (JSON.stringify(known) === JSON.stringify(list) ? known : list)), []);
  const { entity, project, id, state } = run;
  const read = useMemo(() => consoleReader({ entity, project, id, state }, client, told), [entity, project, id, state, client, told]);
  const here = writers.find((writer) => writer.client === client);
  const controls =
    writers.length > 1 || (writers[0] && writers[0].client !== "") ? (
      <label>
        <span className="name">Writer</span>
        <select value={client} onChange={(event) => change({ writer: event.target.value })}>
          {writers.map((writer) => (
            <option key={writer.client} value={writer.client}>
              {writer.client || "main"}
            </option>
          ))}
        </select>
      </label>
    ) : null;
  return (
    <LogView
      key={client}
      read={read}
      end={here?.lines ?? 0}
      newest={0}
      generation={undefined}
      controls={controls}
      download={saved ? fileAddress(run, "output.log") : null}
      unit="lines"
    />
  );
}
