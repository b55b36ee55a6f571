import { flexRender, getCoreRowModel, getSortedRowModel, useReactTable, type ColumnDef, type RowData, type SortingState } from "@tanstack/react-table";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef, useState, type ReactNode } from "react";

declare module "@tanstack/react-table" {
  // eslint-disable-next-line @typescript-eslint/no-unused-vars -- the library's own parameters
  interface ColumnMeta<TData extends RowData, TValue> {
    /** A CSS grid track. */
    width: string;
    align?: "right";
  }
}

const ROW = 34;

interface Props<T> {
  label: string;
  rows: readonly T[];
  columns: ColumnDef<T>[];
  rowKey: (row: T) => string;
  /** Called when the last rows come into view. */
  onEnd?: (() => void) | undefined;
  onOpen?: (row: T) => void;
  selected?: string | undefined;
  empty: ReactNode;
  sortable?: boolean;
  minWidth: number;
}

/** A table that draws only the rows in view. */
export function DataTable<T>({ label, rows, columns, rowKey, onEnd, onOpen, selected, empty, sortable = true, minWidth }: Props<T>) {
  const [sorting, setSorting] = useState<SortingState>([]);
  const table = useReactTable({
    data: rows as T[],
    columns,
    state: { sorting },
    onSortingChange: setSorting,
    getCoreRowModel: getCoreRowModel(),
    getSortedRowModel: getSortedRowModel(),
    getRowId: rowKey,
    enableSorting: sortable,
    sortDescFirst: false,
  });
  const scroller = useRef<HTMLDivElement>(null);
  const sorted = table.getRowModel().rows;
  const virtual = useVirtualizer({ count: sorted.length, getScrollElement: () => scroller.current, estimateSize: () => ROW, overscan: 12 });
  const drawn = virtual.getVirtualItems();
  const last = drawn.at(-1)?.index ?? -1;
  useEffect(() => {
    if (onEnd && last >= sorted.length - 5) onEnd();
  }, [last, sorted.length, onEnd]);
  useEffect(() => {
    const index = selected === undefined ? -1 : sorted.findIndex((row) => row.id === selected);
    if (index >= 0) virtual.scrollToIndex(index, { align: "auto" });
    // Only a new choice scrolls; live data must not.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [selected]);
  const gridTemplateColumns = table
    .getVisibleLeafColumns()
    .map((column) => column.columnDef.meta?.width ?? "1fr")
    .join(" ");

  return (
    <div className="table" ref={scroller} role="table" aria-label={label} aria-rowcount={sorted.length + 1}>
      <div className="thead" role="rowgroup" style={{ minWidth }}>
        {table.getHeaderGroups().map((group) => (
          <div className="tr" role="row" key={group.id} style={{ gridTemplateColumns }}>
            {group.headers.map((header) => {
              const direction = header.column.getIsSorted();
              const content = flexRender(header.column.columnDef.header, header.getContext());
              return (
                <div
                  key={header.id}
                  role="columnheader"
                  className={header.column.columnDef.meta?.align === "right" ? "right" : ""}
                  aria-sort={direction === "asc" ? "ascending" : direction === "desc" ? "descending" : "none"}
                >
                  {header.column.getCanSort() ? (
                    <button type="button" className="sort" onClick={header.column.getToggleSortingHandler()}>
                      {content}
                      <span aria-hidden="true">{direction === "asc" ? " ↑" : direction === "desc" ? " ↓" : ""}</span>
                    </button>
                  ) : (
                    content
                  )}
                </div>
              );
            })}
          </div>
        ))}
      </div>
      {sorted.length === 0 ? (
        empty
      ) : (
        <div className="tbody" role="rowgroup" style={{ height: virtual.getTotalSize(), minWidth }}>
          {drawn.map((item) => {
            const row = sorted[item.index];
            if (!row) return null;
            return (
              <div
                key={row.id}
                role="row"
                aria-rowindex={item.index + 2}
                className={`tr${onOpen ? " opens" : ""}${row.id === selected ? " selected" : ""}`}
                style={{ gridTemplateColumns, height: ROW, transform: `translateY(${item.start}px)` }}
                onClick={(event) => {
                  // Links and buttons in the row act for themselves; marking text is no click.
                  if (!onOpen || (event.target as HTMLElement).closest("a, button") || getSelection()?.toString()) return;
                  onOpen(row.original);
                }}
              >
                {row.getVisibleCells().map((cell) => (
                  <div key={cell.id} role="cell" className={cell.column.columnDef.meta?.align === "right" ? "right" : ""}>
                    {flexRender(cell.column.columnDef.cell, cell.getContext())}
                  </div>
                ))}
              </div>
            );
          })}
        </div>
      )}
    </div>
  );
}
