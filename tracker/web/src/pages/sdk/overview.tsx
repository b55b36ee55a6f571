import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState, type ReactNode } from "react";
import { change, type RunEdit, type SdkRun } from "../../api/client";
import { sdkPath, useAlerts } from "../../api/sdk";
import { KeysCard, Tags } from "../../components/keys";
import { Badge, Card, ErrorNote, Facts, Link } from "../../components/ui";
import { folded } from "../../lib/flatten";
import { ago, bytes, moment, plural } from "../../lib/format";
import { VISIBILITIES } from "../../lib/projects";
import { active, type Tone } from "../../lib/states";
import { projectPath } from "../../router";

export function SdkOverviewTab({ run, now }: { run: SdkRun; now: number }) {
  return (
    <div className="overview">
      <div className="column">
        <SdkRunCard title="Run" run={run} more={[["Workload", run.run ? <Link to={run.run.url}>{run.run.name}</Link> : null]]} />
        <MachineCard run={run} />
      </div>
      <div className="column">
        <AlertsCard run={run} now={now} />
        <KeysCard title="Config" values={run.config} empty="This run has no config." />
        <KeysCard title="Summary" values={folded(run.summary)} empty="This run has logged nothing yet." />
      </div>
    </div>
  );
}

/** What its code and its people say of it, with the form that changes it. `more`: facts of the page that shows it. */
export function SdkRunCard({ title, run, more = [] }: { title: string; run: SdkRun; more?: readonly (readonly [string, ReactNode])[] }) {
  const [editing, setEditing] = useState(false);
  return (
    <Card
      title={title}
      aside={
        run.mayWrite && !editing ? (
          <button type="button" onClick={() => setEditing(true)}>
            Edit
          </button>
        ) : undefined
      }
    >
      {editing ? <EditForm run={run} done={() => setEditing(false)} /> : null}
      {!editing && run.notes ? <p className="notes">{run.notes}</p> : null}
      <Facts
        items={[
          ...more,
          ["Tags", run.tags.length ? <Tags key="tags" tags={run.tags} /> : null],
          ["Author", run.user],
          ["Run path", <code key="path">{`${run.entity}/${run.project}/${run.id}`}</code>],
          [
            "Project",
            <Link key="project" to={projectPath(run.entity, run.project)}>
              {run.entity}/{run.project}
            </Link>,
          ],
          ["Privacy", VISIBILITIES[run.visibility]?.name ?? run.visibility],
          [
            "Forked from",
            run.forkedFrom ? (
              <span key="fork">
                <Link to={run.forkedFrom.url}>{run.forkedFrom.name}</Link> at step {run.forkedAt}
              </span>
            ) : null,
          ],
          ["Group", run.group],
          ["Job type", run.jobType],
          ["Started", moment(run.createdAt)],
          ["Last heard of", active(run.state) ? moment(run.heartbeatAt) : null],
          ["Ended", run.endedAt === null ? null : moment(run.endedAt)],
        ]}
      />
    </Card>
  );
}

function EditForm({ run, done }: { run: SdkRun; done: () => void }) {
  const [name, setName] = useState(run.displayName);
  const [notes, setNotes] = useState(run.notes);
  const [tags, setTags] = useState(run.tags.join(", "));
  const client = useQueryClient();
  const save = useMutation({
    mutationFn: (edit: RunEdit) => change("PATCH", sdkPath(run), edit),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: ["run", run.entity, run.project, run.id] });
      done();
    },
  });
  return (
    <form
      className="edit"
      onSubmit={(event) => {
        event.preventDefault();
        const kept = tags.split(",").map((tag) => tag.trim());
        save.mutate({ displayName: name, notes, tags: [...new Set(kept.filter((tag) => tag !== ""))] });
      }}
    >
      <label>
        <span>Name</span>
        <input value={name} required maxLength={256} onChange={(event) => setName(event.target.value)} />
      </label>
      <label>
        <span>Notes</span>
        <textarea value={notes} rows={5} maxLength={100_000} onChange={(event) => setNotes(event.target.value)} />
      </label>
      <label>
        <span>Tags, with commas between</span>
        <input value={tags} onChange={(event) => setTags(event.target.value)} />
      </label>
      <ErrorNote error={save.error} />
      <div className="toolbar">
        <button type="submit" className="primary" disabled={save.isPending}>
          Save
        </button>
        <button type="button" onClick={done}>
          Cancel
        </button>
      </div>
    </form>
  );
}

const SEVERITIES: Record<string, Tone> = { INFO: "run", WARN: "warn", ERROR: "bad" };

export function AlertsCard({ run, now }: { run: SdkRun; now: number }) {
  const items = useAlerts(run).data?.items ?? [];
  return items.length === 0 ? null : (
    <Card title="Alerts" aside={<span className="muted">{items.length}</span>}>
      <ul className="alerts">
        {items.map((alert, index) => (
          <li key={index}>
            <Badge tone={SEVERITIES[alert.severity] ?? "wait"}>{alert.severity}</Badge> <b>{alert.title}</b>{" "}
            <time className="muted" title={moment(alert.createdAt)}>
              {ago(alert.createdAt, now)}
            </time>
            {alert.text ? <p>{alert.text}</p> : null}
          </li>
        ))}
      </ul>
    </Card>
  );
}

export function MachineCard({ run }: { run: SdkRun }) {
  const { facts } = run;
  const gpus = new Map<string, number>();
  for (const gpu of facts.gpus) gpus.set(gpu, (gpus.get(gpu) ?? 0) + 1);
  return (
    <Card title="Machine">
      <Facts
        items={[
          ["Command", facts.command ? <code key="command">{facts.command}</code> : null],
          ["Host", facts.host],
          ["System", facts.os],
          ["Python", facts.python],
          ["Executable", facts.executable ? <code key="executable">{facts.executable}</code> : null],
          ["GPUs", [...gpus].map(([name, count]) => (count > 1 ? `${count} x ${name}` : name)).join(", ")],
          ["CUDA", facts.cuda],
          ["CPU", [facts.cpu, facts.cpuCount === null ? null : plural(facts.cpuCount, "core"), facts.cpuThreads === null ? null : plural(facts.cpuThreads, "thread")].filter(Boolean).join(" · ")],
          ["Memory", facts.memoryBytes === null ? null : bytes(facts.memoryBytes)],
          ["Git repository", facts.gitRemote],
          ["Git commit", facts.gitCommit ? <code key="commit">{facts.gitCommit}</code> : null],
          ["Image", facts.docker],
          ["W&B client", facts.cliVersion],
        ]}
      />
    </Card>
  );
}
