import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import type { Run, SdkRun, SdkRunSummary, Stream } from "../../api/client";
import { readLines, useStreams, type RunName } from "../../api/queries";
import { useSdkRunsOf } from "../../api/sdk";
import { KeysCard, Tags } from "../../components/keys";
import { Badge, Card, Facts, Link } from "../../components/ui";
import { folded } from "../../lib/flatten";
import { ago, between, bytes, integer, moment } from "../../lib/format";
import { factsOf, type Facts as ContainerFacts } from "../../lib/facts";
import { configOf } from "../../lib/lone";
import type { Unit } from "../../lib/ranks";
import { active, runTone } from "../../lib/states";
import { projectPath } from "../../router";
import { AlertsCard, MachineCard, SdkRunCard } from "../sdk/overview";

export function OverviewTab({ name, run, sdk, units, now }: { name: RunName; run: Run; sdk: SdkRun | undefined; units: readonly Unit[]; now: number }) {
  return (
    <div className="overview">
      <div className="column">
        <Card title="Run">
          <Facts
            items={[
              ["Name", run.name],
              ["Id", <code key="id">{run.id}</code>],
              [
                "Project",
                <Link key="project" to={projectPath(run.entity, run.project)}>
                  {run.entity}/{run.project}
                </Link>,
              ],
              ["Group", run.group],
              ["Job type", run.jobType],
              ["Tags", run.tags.length ? <Tags key="tags" tags={run.tags} /> : null],
              ["Workload", run.workload?.name ? `${run.workload.kind ?? ""} ${run.workload.name}` : null],
              ["Created", moment(run.createdAt)],
              ["Started", run.startedAt ? moment(run.startedAt) : "not yet"],
              ["Ended", run.endedAt ? moment(run.endedAt) : active(run.state) ? null : "unknown"],
            ]}
          />
        </Card>
        {run.notes ? (
          <Card title="Notes">
            <p className="notes">{run.notes}</p>
          </Card>
        ) : null}
        {sdk ? <LoneRunCard sdk={sdk} /> : null}
        <KeysCard title="Config" values={configOf(run, sdk)} empty="This run has no config." />
      </div>
      <div className="column">
        {sdk ? (
          <>
            <AlertsCard run={sdk} now={now} />
            <KeysCard title="Summary" values={folded(sdk.summary)} empty="This run has logged nothing yet." />
          </>
        ) : null}
        <CollectionCard run={run} />
        {run.sdk ? null : <SdkRunsCard name={name} run={run} now={now} />}
        <AttemptsCard run={run} now={now} />
        <ContainerCard name={name} run={run} units={units} />
        {sdk ? <MachineCard run={sdk} /> : null}
        <ConditionsCard run={run} now={now} />
      </div>
    </div>
  );
}

/** What is here and what is not, in plain words: nobody should have to guess whether a log ends or was cut. */
function CollectionCard({ run }: { run: Run }) {
  const { unsentBytes, lostBytes, lagSeconds } = run.collection;
  const over = !active(run.state);
  const whole = unsentBytes === 0 && lostBytes === 0;
  return (
    <Card
      title="Collection"
      aside={<Badge tone={lostBytes > 0 ? "bad" : unsentBytes > 0 ? "stop" : "good"}>{lostBytes > 0 ? "Incomplete" : unsentBytes > 0 ? "Catching up" : "Complete"}</Badge>}
    >
      <p className="sentence">
        {whole ? (over ? "Every byte that was collected is here." : "Every byte that was collected so far is here.") : null}
        {unsentBytes > 0 ? `${bytes(unsentBytes)} wait in the pods to be sent. ` : null}
        {lostBytes > 0 ? `${bytes(lostBytes)} are lost and will not come; each gap is marked in its log.` : null}
      </p>
      <Facts
        items={[
          ["Waiting", `${integer(unsentBytes)} bytes`],
          ["Lost", <span key="lost" className={lostBytes > 0 ? "bad" : ""}>{`${integer(lostBytes)} bytes`}</span>],
          ["Behind", over || lagSeconds === null || lagSeconds === undefined ? null : `${lagSeconds.toFixed(1)} s`],
        ]}
      />
    </Card>
  );
}

const ownPage = (sdk: Pick<SdkRunSummary, "url">) => `${sdk.url}?kind=sdk`;

/** What the training code says of itself: the one SDK run that is shown as this Run. */
function LoneRunCard({ sdk }: { sdk: SdkRun }) {
  return (
    <SdkRunCard
      title="SDK run"
      run={sdk}
      more={[
        [
          "Name",
          <Link key="own" to={ownPage(sdk)}>
            {sdk.displayName}
          </Link>,
        ],
        [
          "State",
          <Badge key="state" tone={runTone(sdk.state)} live={active(sdk.state)}>
            {sdk.state}
          </Badge>,
        ],
        ["Exit code", sdk.exitCode],
      ]}
    />
  );
}

/** What the training code itself logs through the W&B client: a run of its own each. */
function SdkRunsCard({ name, run, now }: { name: RunName; run: Run; now: number }) {
  const items = useSdkRunsOf(name, run).data?.items ?? [];
  return items.length === 0 ? null : (
    <Card title="SDK runs" aside={<span className="muted">{items.length}</span>}>
      <table className="plain">
        <tbody>
          {items.map((item) => (
            <tr key={item.url}>
              <td>
                <Badge tone={runTone(item.state)} live={active(item.state)}>
                  {item.state}
                </Badge>
              </td>
              <td>
                <Link to={ownPage(item)} className="strong">
                  {item.displayName}
                </Link>
              </td>
              <td className="muted">{item.host}</td>
              <td className="num nowrap">{between(item.createdAt, item.endedAt, now)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Card>
  );
}

function AttemptsCard({ run, now }: { run: Run; now: number }) {
  const attempts = [...run.attempts].sort((a, b) => b.number - a.number);
  return (
    <Card title="Attempts">
      {attempts.length === 0 ? (
        <p className="quiet">No pod of this run has started yet.</p>
      ) : (
        <table className="plain">
          <thead>
            <tr>
              <th scope="col">No.</th>
              <th scope="col">State</th>
              <th scope="col">Started</th>
              <th scope="col">Duration</th>
              <th scope="col">Reason</th>
            </tr>
          </thead>
          <tbody>
            {attempts.map((attempt) => (
              <tr key={attempt.number}>
                <td className="num">{attempt.number}</td>
                <td>{attempt.state ? <Badge tone={runTone(attempt.state)}>{attempt.state}</Badge> : "–"}</td>
                <td>{moment(attempt.startedAt)}</td>
                <td className="num">{between(attempt.startedAt, attempt.endedAt, now)}</td>
                <td>{attempt.reason ?? ""}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Card>
  );
}

function ConditionsCard({ run, now }: { run: Run; now: number }) {
  const conditions = run.conditions;
  return conditions.length === 0 ? null : (
    <Card title="Conditions">
      <table className="plain">
        <tbody>
          {conditions.map((condition) => (
            <tr key={condition.type}>
              <th scope="row" className="nowrap">
                {condition.type}
              </th>
              <td className="nowrap">{condition.status}</td>
              <td>
                {condition.reason} {condition.message ? <span className="muted">{condition.message}</span> : null}
              </td>
              <td className="muted nowrap" title={moment(condition.lastTransitionTime)}>
                {condition.lastTransitionTime ? ago(condition.lastTransitionTime, now) : ""}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Card>
  );
}

/** The rider writes its facts at the beginning of a container's events. */
const FACT_LINES = 50;

function ContainerCard({ name, run, units }: { name: RunName; run: Run; units: readonly Unit[] }) {
  const streams = useStreams(name, run);
  const [chosen, setChosen] = useState<number | null>(null);
  const sources = useMemo(() => eventStreams(streams.data?.items ?? []), [streams.data]);
  const stream = sources.find((each) => each.id === chosen) ?? sources[0];
  const facts = useQuery({
    queryKey: ["facts", stream?.id],
    queryFn: async ({ signal }) => factsOf((await readLines(stream?.id ?? 0, { from: 0, limit: FACT_LINES }, signal)).lines),
    enabled: stream !== undefined,
    refetchInterval: (query) => (query.state.data || !active(run.state) ? false : 2000),
  });
  if (!stream) return null;
  return (
    <Card
      title="Container"
      aside={
        sources.length > 1 ? (
          <label>
            <span className="sr">Which container</span>
            <select value={stream.id} onChange={(event) => setChosen(Number(event.target.value))}>
              {sources.map((each) => (
                <option key={each.id} value={each.id}>
                  {streamTitle(each, units)}
                </option>
              ))}
            </select>
          </label>
        ) : (
          <span className="muted">{streamTitle(stream, units)}</span>
        )
      }
    >
      {facts.data ? <ContainerFactsList facts={facts.data} /> : <p className="quiet">This container has told nothing about itself yet.</p>}
    </Card>
  );
}

function eventStreams(all: readonly Stream[]): Stream[] {
  return all.filter((stream) => stream.labels["kind"] === "events" && typeof stream.labels["container"] === "string");
}

function streamTitle(stream: Stream, units: readonly Unit[]): string {
  const pod = units.find((unit) => unit.source === stream.source)?.pod ?? stream.source.slice(0, 8);
  const start = stream.labels["start"];
  return `${String(stream.labels["container"])}${typeof start === "number" && start > 0 ? `, start ${start + 1}` : ""} · ${pod}`;
}

function ContainerFactsList({ facts }: { facts: ContainerFacts }) {
  return (
    <>
      <Facts
        items={[
          ["Command", facts.argv ? <code key="argv">{facts.argv}</code> : null],
          ["Folder", facts.cwd],
          ["Host", facts.hostname],
          ["GPUs", facts.gpus.length ? grouped(facts.gpus) : null],
          ["CPU", facts.cpu],
          ["Memory", facts.memoryBytes === undefined ? null : bytes(facts.memoryBytes)],
          ["Limits", limits(facts)],
          ["System", [facts.os, facts.kernel, facts.arch].filter(Boolean).join(" · ")],
          ["Python", facts.python],
          ["Git", facts.git ? <code key="git">{facts.git}</code> : null],
        ]}
      />
      {facts.packages.length > 0 ? (
        <details className="packages">
          <summary>{facts.packages.length} packages</summary>
          <table className="plain keys">
            <tbody>
              {facts.packages.map(([name, version]) => (
                <tr key={name}>
                  <th scope="row">{name}</th>
                  <td>{version}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </details>
      ) : null}
    </>
  );
}

function limits(facts: ContainerFacts): string {
  const parts: string[] = [];
  if (facts.memoryLimitBytes !== undefined) parts.push(bytes(facts.memoryLimitBytes));
  if (facts.cpuLimit !== undefined) parts.push(`${facts.cpuLimit} CPU`);
  return parts.join(" · ");
}

function grouped(models: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const model of models) counts.set(model, (counts.get(model) ?? 0) + 1);
  return [...counts].map(([model, count]) => (count > 1 ? `${count} x ${model}` : model)).join(", ");
}
