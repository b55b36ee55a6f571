import { useCallback, useEffect, useMemo } from "react";
import type { SdkRun } from "../../api/client";
import { sdkSource, useSdkSeries } from "../../api/sdk";
import { ChartsPanel } from "../../components/chartspanel";
import { Tabs, type Tab } from "../../components/tabs";
import { Empty, ErrorNote, useKey, useNow } from "../../components/ui";
import { active } from "../../lib/states";
import { useSearch } from "../../router";
import { SdkFilesTab } from "./files";
import { SdkRunHeader } from "./header";
import { SdkLogsTab } from "./logs";
import { MediaTab } from "./media";
import { SdkOverviewTab } from "./overview";

const TABS = ["overview", "charts", "media", "logs", "files"] as const;
type TabId = (typeof TABS)[number];
const LABELS: Record<TabId, string> = { overview: "Overview", charts: "Charts", media: "Media & Tables", logs: "Logs", files: "Files" };

/** The page of what one `wandb.init()` made. */
export function SdkRunPage({ record, error }: { record: SdkRun; error: Error | null }) {
  const [search, change] = useSearch();
  const asked = search.get("tab");
  const tab = TABS.find((id) => id === asked) ?? "overview";
  const now = useNow(active(record.state));
  useEffect(() => {
    document.title = `${record.displayName} · Outrider`;
  }, [record.displayName]);
  const choose = useCallback((id: TabId) => change({ tab: id === "overview" ? null : id }, "push"), [change]);
  useKey("1", useCallback(() => choose("overview"), [choose]));
  useKey("2", useCallback(() => choose("charts"), [choose]));
  useKey("3", useCallback(() => choose("media"), [choose]));
  useKey("4", useCallback(() => choose("logs"), [choose]));
  useKey("5", useCallback(() => choose("files"), [choose]));
  const tabs: Tab<TabId>[] = TABS.map((id) => ({ id, label: LABELS[id] }));
  return (
    <main id="main" className="page">
      <SdkRunHeader run={record} now={now} />
      <ErrorNote error={error} />
      <Tabs tabs={tabs} chosen={tab} choose={choose} />
      <div className={`panel panel-${tab}`} role="tabpanel" id="tabpanel" aria-labelledby={`tab-${tab}`}>
        {tab === "overview" ? <SdkOverviewTab run={record} now={now} /> : null}
        {tab === "charts" ? <SdkChartsTab run={record} /> : null}
        {tab === "media" ? <MediaTab run={record} /> : null}
        {tab === "logs" ? <SdkLogsTab run={record} /> : null}
        {tab === "files" ? <SdkFilesTab run={record} now={now} /> : null}
      </div>
    </main>
  );
}

export function SdkChartsTab({ run }: { run: SdkRun }) {
  const series = useSdkSeries(run);
  // Another state reads at another pace; other fields of the record change nothing.
  // eslint-disable-next-line react-hooks/exhaustive-deps
  const source = useMemo(() => sdkSource(run), [run.entity, run.project, run.id, run.state]);
  return (
    <ChartsPanel
      items={series.data?.items ?? []}
      source={source}
      pending={series.isPending}
      error={series.error}
      empty={
        <Empty title="No metrics yet.">
          <code>run.log({"{"}&quot;loss&quot;: loss{"}"})</code> makes a chart; system metrics come by themselves.
        </Empty>
      }
    />
  );
}
