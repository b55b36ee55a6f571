import type { ColumnDef } from "@tanstack/react-table";
import { useMemo } from "react";
import type { FileEntry, Run } from "../../api/client";
import { useFiles, type RunName } from "../../api/queries";
import { fileColumns } from "../../components/filecolumns";
import { DataTable } from "../../components/table";
import { Empty, ErrorNote } from "../../components/ui";

const POLICIES: Record<string, string> = { live: "as it changes", end: "at the end", now: "once" };

function columns(now: number): ColumnDef<FileEntry>[] {
  const { path, size, stored, digest, get } = fileColumns(now, (file) => `/api/v1/files/${encodeURIComponent(file.id ?? "")}/content`);
  return [
    path,
    size,
    {
      id: "versions",
      header: "Versions",
      accessorFn: (file) => file.versions,
      meta: { width: "80px", align: "right" },
      cell: ({ row: { original: file } }) => <span className="num">{file.versions}</span>,
    },
    { id: "policy", header: "Saved", accessorFn: (file) => file.policy, meta: { width: "112px" }, cell: ({ row: { original: file } }) => POLICIES[file.policy] ?? file.policy },
    { id: "rank", header: "Rank", accessorFn: (file) => file.rank ?? -1, meta: { width: "60px", align: "right" }, cell: ({ row: { original: file } }) => <span className="num">{file.rank ?? "–"}</span> },
    {
      id: "pod",
      header: "Pod",
      accessorFn: (file) => file.pod ?? "",
      meta: { width: "minmax(140px, 1.4fr)" },
      cell: ({ row: { original: file } }) => <span title={file.pod ?? ""}>{file.pod ?? "–"}</span>,
    },
    stored,
    digest,
    get,
  ];
}

export function FilesTab({ name, run, now }: { name: RunName; run: Run; now: number }) {
  const files = useFiles(name, run);
  const made = useMemo(() => columns(now), [now]);
  const items = files.data?.items ?? [];
  return (
    <>
      <ErrorNote error={files.error} />
      <DataTable
        label="Files"
        rows={items}
        columns={made}
        rowKey={(file) => file.id ?? file.path}
        minWidth={1060}
        empty={
          files.isPending ? (
            <Empty title="Loading…" />
          ) : (
            <Empty title="No files were saved.">
              Name them with the annotation <code>outrider.dev/files</code>, for example <code>checkpoints/**=live, report.json=end</code>.
            </Empty>
          )
        }
      />
    </>
  );
}
