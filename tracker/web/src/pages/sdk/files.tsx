import type { ColumnDef } from "@tanstack/react-table";
import { useMemo } from "react";
import type { FileEntry, SdkRun } from "../../api/client";
import { fileAddress, useSdkFiles } from "../../api/sdk";
import { DataTable } from "../../components/table";
import { Empty, ErrorNote } from "../../components/ui";
import { ago, bytes, integer, moment } from "../../lib/format";

function columns(run: Pick<SdkRun, "entity" | "project" | "id">, now: number): ColumnDef<FileEntry>[] {
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
        <a href={fileAddress(run, file.path)} download aria-label={`Download ${file.path}`}>
          Download
        </a>
      ),
    },
  ];
}

export function SdkFilesTab({ run, now }: { run: SdkRun; now: number }) {
  const files = useSdkFiles(run);
  const { entity, project, id } = run;
  const made = useMemo(() => columns({ entity, project, id }, now), [entity, project, id, now]);
  return (
    <>
      <ErrorNote error={files.error} />
      <DataTable
        label="Files"
        rows={files.data?.items ?? []}
        columns={made}
        rowKey={(file) => file.path}
        minWidth={760}
        empty={
          files.isPending ? (
            <Empty title="Loading…" />
          ) : (
            <Empty title="No files were saved.">
              <code>run.save(&quot;*.pt&quot;)</code> keeps files; most of the client&#39;s own come at the end of a run.
            </Empty>
          )
        }
      />
    </>
  );
}
