import { useMemo, useState } from "react";
import { flattened } from "../lib/flatten";
import { metric } from "../lib/format";
import { Card } from "./ui";

export function Tags({ tags }: { tags: readonly string[] }) {
  return (
    <span className="tags">
      {tags.map((tag, index) => (
        <span className="tag" key={index}>
          {tag}
        </span>
      ))}
    </span>
  );
}

/** Nested values as dotted keys, with a filter where there are many. */
export function KeysCard({ title, values, empty }: { title: string; values: Record<string, unknown>; empty: string }) {
  const [wanted, setWanted] = useState("");
  const entries = useMemo(() => flattened(values), [values]);
  const needle = wanted.toLowerCase();
  const shown = entries.filter((entry) => `${entry.key} ${entry.value}`.toLowerCase().includes(needle));
  return (
    <Card
      title={title}
      aside={
        entries.length > 8 ? (
          <label>
            <span className="sr">Filter {title.toLowerCase()}</span>
            <input type="search" className="small" placeholder="Filter" value={wanted} onChange={(event) => setWanted(event.target.value)} />
          </label>
        ) : undefined
      }
    >
      {entries.length === 0 ? (
        <p className="quiet">{empty}</p>
      ) : (
        <table className="plain keys">
          <tbody>
            {shown.map((entry) => (
              <tr key={entry.key}>
                <th scope="row">{entry.key}</th>
                <td title={entry.value.length > 12 && /^-?[\d.]+(e[+-]?\d+)?$/.test(entry.value) ? entry.value : undefined}>{brief(entry.value)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Card>
  );
}

/** Numbers that nobody reads to the last digit are shortened; the title has them whole. */
function brief(value: string): string {
  return value.length > 12 && /^-?\d*\.\d+(e[+-]?\d+)?$/.test(value) ? metric(Number(value)) : value;
}
