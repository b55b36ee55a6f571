import type { ColumnDef } from "@tanstack/react-table";
import type { FileEntry } from "../api/client";
import { ago, bytes, integer, moment } from "../lib/format";

/** What every list of files shows; `address` is where a file's bytes are. */
export function fileColumns(now: number, address: (file: FileEntry) => string): Record<"path" | "size" | "stored" | "digest" | "get", ColumnDef<FileEntry>> {
  return {
    path: {
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
    size: {
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
    stored: {
      id: "stored",
      header: "Stored",
      accessorFn: (file) => file.storedAt,
      meta: { width: "112px" },
      cell: ({ row: { original: file } }) => <time title={moment(file.storedAt)}>{ago(file.storedAt, now)}</time>,
    },
    digest: {
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
    get: {
      id: "get",
      header: "",
      enableSorting: false,
      meta: { width: "92px" },
      cell: ({ row: { original: file } }) => (
        <a href={address(file)} download aria-label={`Download ${file.path}`}>
          Download
        </a>
      ),
    },
  };
}
