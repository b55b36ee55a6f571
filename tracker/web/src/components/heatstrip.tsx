import { useRef, type KeyboardEvent } from "react";
import type { Unit } from "../lib/ranks";
import { RANK_TONES, rankEnd, rankState } from "../lib/states";

/** One small cell a rank: a thousand ranks at a glance. Arrows walk, Enter opens; failed cells also have a mark of their own. */
export function HeatStrip({ units, chosen, choose }: { units: readonly Unit[]; chosen: string | undefined; choose: (unit: Unit) => void }) {
  const grid = useRef<HTMLDivElement>(null);
  const stop = Math.max(
    0,
    units.findIndex((unit) => unit.key === chosen),
  );
  const walk = (event: KeyboardEvent) => {
    const cells = [...(grid.current?.querySelectorAll<HTMLElement>("button") ?? [])];
    const at = cells.indexOf(event.target as HTMLElement);
    const top = cells[0]?.offsetTop;
    const across = Math.max(1, cells.findIndex((cell) => cell.offsetTop !== top));
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + across, ArrowUp: at - across, Home: 0, End: cells.length - 1 }[event.key];
    if (to === undefined || at < 0) return;
    event.preventDefault();
    cells[Math.max(0, Math.min(cells.length - 1, to))]?.focus();
  };
  const size = units.length > 256 ? "small" : units.length > 64 ? "medium" : "large";
  return (
    <div className={`heat ${size}`} ref={grid} role="group" aria-label={`${units.length} ranks by state`} onKeyDown={walk}>
      {units.map((unit, index) => {
        const state = rankState(unit);
        const words = [`rank ${unit.rank ?? "?"}`, state, rankEnd(unit), unit.pod, unit.node].filter(Boolean).join(" · ");
        return (
          <button
            key={unit.key}
            type="button"
            tabIndex={index === stop ? 0 : -1}
            className={`cell tone-${RANK_TONES[state]} is-${state}`}
            aria-label={words}
            aria-pressed={unit.key === chosen}
            title={words}
            onClick={() => choose(unit)}
          >
            {size === "large" ? unit.rank : null}
          </button>
        );
      })}
    </div>
  );
}
