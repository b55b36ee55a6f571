import { useCallback, useEffect, useMemo } from "react";
import type { Run } from "../../api/client";
import { useRanks, type RunName } from "../../api/queries";
import { Tabs, type Tab } from "../../components/tabs";
import { ErrorNote, useKey, useNow } from "../../components/ui";
import { newestPerRank, units } from "../../lib/ranks";
import { active } from "../../lib/states";
import { useSearch } from "../../router";
import { ChartsTab } from "./charts";
import { FilesTab } from "./files";
import { RunHeader } from "./header";
import { LogsTab } from "./logs";
import { OverviewTab } from "./overview";
import { RanksTab } from "./ranks";

const TABS = ["overview", "ranks", "logs", "charts", "files"] as const;
type TabId = (typeof TABS)[number];

export function RunPage({ name, record, error }: { name: RunName; record: Run; error: Error | null }) {
  const [search, change] = useSearch();
  const asked = search.get("tab");
  const tab = TABS.find((id) => id === asked) ?? "overview";
  const ranks = useRanks(name, record);
  const list = useMemo(() => units(ranks.data?.items ?? []), [ranks.data]);
  const now = useNow(active(record.state));
  const title = record.displayName || record.name;
  useEffect(() => {
    document.title = `${title} · Outrider`;
  }, [title]);

  const choose = useCallback((id: TabId) => change({ tab: id === "overview" ? null : id }, "push"), [change]);
  const openLogs = useCallback((unit: string | null, stream: string | null = null) => change({ tab: "logs", unit, stream }, "push"), [change]);
  useKey("1", useCallback(() => choose("overview"), [choose]));
  useKey("2", useCallback(() => choose("ranks"), [choose]));
  useKey("3", useCallback(() => choose("logs"), [choose]));
  useKey("4", useCallback(() => choose("charts"), [choose]));
  useKey("5", useCallback(() => choose("files"), [choose]));

  const count = newestPerRank(list, list[0]?.attempt ?? null).length;
  const tabs: Tab<TabId>[] = [
    { id: "overview", label: "Overview" },
    count ? { id: "ranks", label: "Ranks", count } : { id: "ranks", label: "Ranks" },
    { id: "logs", label: "Logs" },
    { id: "charts", label: "Charts" },
    { id: "files", label: "Files" },
  ];
  return (
    <main id="main" className="page">
      <RunHeader run={record} units={list} now={now} openLogs={openLogs} brief={tab !== "overview"} />
      <ErrorNote error={error ?? ranks.error} />
      <Tabs tabs={tabs} chosen={tab} choose={choose} />
      <div className={`panel panel-${tab}`} role="tabpanel" id="tabpanel" aria-labelledby={`tab-${tab}`}>
        {tab === "overview" ? <OverviewTab name={name} run={record} units={list} now={now} /> : null}
        {tab === "ranks" ? <RanksTab units={list} loading={ranks.isPending} now={now} openLogs={openLogs} /> : null}
        {tab === "logs" ? <LogsTab run={record} units={list} loading={ranks.isPending} /> : null}
        {tab === "charts" ? <ChartsTab name={name} run={record} /> : null}
        {tab === "files" ? <FilesTab name={name} run={record} now={now} /> : null}
      </div>
    </main>
  );
}
