import { useCallback, useEffect, useMemo } from "react";
import type { Run, SdkRun } from "../../api/client";
import { useRanks, type RunName } from "../../api/queries";
import { useLoneRun } from "../../api/sdk";
import { OriginSwitch, type Origin } from "../../components/origin";
import { Tabs, type Tab } from "../../components/tabs";
import { Empty, ErrorNote, useKey, useNow } from "../../components/ui";
import { runTitle } from "../../lib/lone";
import { newestPerRank, units, type Unit } from "../../lib/ranks";
import { active } from "../../lib/states";
import { useSearch } from "../../router";
import { SdkChartsTab } from "../sdk";
import { SdkFilesTab } from "../sdk/files";
import { SdkLogsTab } from "../sdk/logs";
import { MediaTab } from "../sdk/media";
import { ChartsTab } from "./charts";
import { FilesTab } from "./files";
import { RunHeader } from "./header";
import { LogsTab } from "./logs";
import { OverviewTab } from "./overview";
import { RanksTab } from "./ranks";

const TABS = ["overview", "ranks", "logs", "charts", "files", "media"] as const;
type TabId = (typeof TABS)[number];
const LABELS: Record<TabId, string> = { overview: "Overview", ranks: "Ranks", logs: "Logs", charts: "Charts", files: "Files", media: "Media & Tables" };
/** Tabs with two sources, and the one that is shown until one chooses: the pods' logs are whole, and of every rank. */
const ORIGINS: Partial<Record<TabId, Origin>> = { logs: "pods", charts: "code", files: "code" };

/** A Run of the controller's, as one with the SDK run of its pods where there is one and no other. */
export function RunPage({ name, record, error }: { name: RunName; record: Run; error: Error | null }) {
  const [search, change] = useSearch();
  const shown = TABS.filter((id) => id !== "media" || record.sdk);
  const asked = search.get("tab");
  const tab = shown.find((id) => id === asked) ?? "overview";
  const ranks = useRanks(name, record);
  const lone = useLoneRun(record.sdk ?? null);
  const list = useMemo(() => units(ranks.data?.items ?? []), [ranks.data]);
  const now = useNow(active(record.state));
  const title = runTitle(record);
  useEffect(() => {
    document.title = `${title} · Outrider`;
  }, [title]);

  const choose = useCallback((id: TabId) => change({ tab: id === "overview" ? null : id }, "push"), [change]);
  const openLogs = useCallback((unit: string | null, stream: string | null = null) => change({ tab: "logs", unit, stream, from: null }, "push"), [change]);
  useKey("1", useCallback(() => choose("overview"), [choose]));
  useKey("2", useCallback(() => choose("ranks"), [choose]));
  useKey("3", useCallback(() => choose("logs"), [choose]));
  useKey("4", useCallback(() => choose("charts"), [choose]));
  useKey("5", useCallback(() => choose("files"), [choose]));
  useKey("6", useCallback(() => choose("media"), [choose]));

  const count = newestPerRank(list, list[0]?.attempt ?? null).length;
  const tabs = shown.map((id): Tab<TabId> => (id === "ranks" && count ? { id, label: LABELS[id], count } : { id, label: LABELS[id] }));
  const usual = record.sdk ? ORIGINS[tab] : undefined;
  const from = search.get("from");
  const origin = usual && (from === "code" || from === "pods") ? from : usual;
  const sdk = lone.data;
  return (
    <main id="main" className="page">
      <RunHeader run={record} sdk={sdk} units={list} now={now} openLogs={openLogs} brief={tab !== "overview"} />
      <ErrorNote error={error ?? ranks.error ?? lone.error} />
      <Tabs tabs={tabs} chosen={tab} choose={choose} />
      <div className={`panel panel-${tab}`} role="tabpanel" id="tabpanel" aria-labelledby={`tab-${tab}`}>
        {origin ? <OriginSwitch chosen={origin} choose={(next) => change({ from: next === usual ? null : next })} /> : null}
        {tab === "overview" ? <OverviewTab name={name} run={record} sdk={sdk} units={list} now={now} /> : null}
        {tab === "ranks" ? <RanksTab units={list} loading={ranks.isPending} now={now} openLogs={openLogs} /> : null}
        {origin === "code" || tab === "media" ? <OfCode tab={tab} sdk={sdk} now={now} /> : <OfPods tab={tab} name={name} run={record} units={list} loading={ranks.isPending} now={now} />}
      </div>
    </main>
  );
}

function OfCode({ tab, sdk, now }: { tab: TabId; sdk: SdkRun | undefined; now: number }) {
  if (!sdk) return <Empty title="Loading…" />;
  return (
    <>
      {tab === "logs" ? <SdkLogsTab run={sdk} /> : null}
      {tab === "charts" ? <SdkChartsTab run={sdk} /> : null}
      {tab === "files" ? <SdkFilesTab run={sdk} now={now} /> : null}
      {tab === "media" ? <MediaTab run={sdk} /> : null}
    </>
  );
}

function OfPods({ tab, name, run, units: list, loading, now }: { tab: TabId; name: RunName; run: Run; units: readonly Unit[]; loading: boolean; now: number }) {
  return (
    <>
      {tab === "logs" ? <LogsTab run={run} units={list} loading={loading} /> : null}
      {tab === "charts" ? <ChartsTab name={name} run={run} /> : null}
      {tab === "files" ? <FilesTab name={name} run={run} now={now} /> : null}
    </>
  );
}
