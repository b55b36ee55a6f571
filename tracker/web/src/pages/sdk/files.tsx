import type { ColumnDef } from "@tanstack/react-table";
import { useMemo } from "react";
import type { FileEntry, SdkRun } from "../../api/client";
import { fileAddress, useSdkFiles } from "../../api/sdk";
import { fileColumns } from "../../components/filecolumns";
import { DataTable } from "../../components/table";
import { Empty, ErrorNote } from "../../components/ui";

function columns(run: Pick<SdkRun, "entity" | "project" | "id">, now: number): ColumnDef<FileEntry>[] {
  const { path, size, stored, digest, get } = fileColumns(now, (file) => fileAddress(run, file.path));
  return [path, size, stored, digest, get];
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
