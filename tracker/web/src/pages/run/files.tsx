import type { ColumnDef } from "@tanstack/react-table";
import { useMemo } from "react";
import type { FileEntry, Run } from "../../api/client";
import { useFiles, type RunName } from "../../api/queries";
import { DataTable } from "../../components/table";
import { Empty, ErrorNote } from "../../components/ui";
import { ago, bytes, integer, moment } from "../../lib/format";

const POLICIES: Record<string, string> = { live: "as it changes", end: "at the end", now: "once" };

function columns(now: number): ColumnDef<FileEntry>[] {
  return [
    {
      id: "path",
      header: "Path",
      accessorFn: (file) => file.path,
      meta: { width: "minmax(240px, 3fr)" },
      cell: ({ row: { original: file } }) => (
        <span className="mono" title={file.path}>
          {file.path}
        </span>
      ),
    },
    {
      id: "size",
      header: "Size",
      accessorFn: (file) => file.size,
      meta: { width: "96px", align: "right" },
      cell: ({ row: { original: file } }) => (
        <span className="num" title={`${integer(file.size)} bytes`}>
          {bytes(file.size)}
        </span>
      ),
    },
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
    {
      id: "stored",
      header: "Stored",
      accessorFn: (file) => file.storedAt,
      meta: { width: "112px" },
      cell: ({ row: { original: file } }) => <time title={moment(file.storedAt)}>{ago(file.storedAt, now)}</time>,
    },
    {
      id: "digest",
      header: "SHA-256",
      enableSorting: false,
      meta: { width: "112px" },
      cell: ({ row: { original: file } }) => (
        <code className="muted" title={file.sha256}>
          {file.sha256.slice(0, 12)}
        </code>
      ),
    },
    {
      id: "get",
      header: "",
      enableSorting: false,
      meta: { width: "92px" },
      cell: ({ row: { original: file } }) => (
        <a href={`/api/v1/files/${encodeURIComponent(file.id ?? "")}/content`} download aria-label={`Download ${file.path}`}>
          Download
        </a>
      ),
    },
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
