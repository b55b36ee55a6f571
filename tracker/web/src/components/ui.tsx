import type { ReactNode } from "react";
import { useEffect, useState } from "react";
import { navigate } from "../router";
import type { Tone } from "../lib/states";

/** Coloured dot and word: the word alone says it all. */
export function Badge({ tone, children, live = false }: { tone: Tone; children: ReactNode; live?: boolean }) {
  return (
    <span className={`badge tone-${tone}`}>
      <span className={live ? "dot live" : "dot"} aria-hidden="true" />
      {children}
    </span>
  );
}

export function Card({ title, aside, children, className = "" }: { title: string; aside?: ReactNode; children: ReactNode; className?: string }) {
  return (
    <section className={`card ${className}`}>
      <header>
        <h2>{title}</h2>
        {aside === undefined ? null : <div className="aside">{aside}</div>}
      </header>
      {children}
    </section>
  );
}

/** Facts as name and value; empty values are left out. */
export function Facts({ items }: { items: readonly (readonly [string, ReactNode])[] }) {
  const shown = items.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return (
    <dl className="facts">
      {shown.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <p className="title">{title}</p>
      {children === undefined ? null : <p>{children}</p>}
    </div>
  );
}

/** The whole page of an address that shows nothing, or nothing to this user. */
export function NothingHere({ title }: { title: string }) {
  return (
    <main id="main" className="page">
      <Empty title={title}>
        <Link to="/">All runs</Link>
      </Empty>
    </main>
  );
}

export function ErrorNote({ error }: { error: Error | null }) {
  return error === null ? null : (
    <p className="note bad" role="alert">
      {error.message}
    </p>
  );
}

/** An ordinary link that changes the page without loading it anew; modified clicks stay the browser's. */
export function Link({ to, children, className }: { to: string; children: ReactNode; className?: string }) {
  return (
    <a
      href={to}
      className={className}
      onClick={(event) => {
        if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
        event.preventDefault();
        navigate(to);
      }}
    >
      {children}
    </a>
  );
}

/** The time, again each second while anything that shows it may change. */
export function useNow(ticking: boolean): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (!ticking) return undefined;
    const timer = setInterval(() => {
      if (!document.hidden) setNow(Date.now());
    }, 1000);
    return () => clearInterval(timer);
  }, [ticking]);
  return now;
}

/** Calls `act` for a key pressed outside of fields. */
export function useKey(key: string, act: () => void): void {
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.key !== key || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      const at = event.target;
      if (at instanceof HTMLElement && (at.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName))) return;
      event.preventDefault();
      act();
    };
    window.addEventListener("keydown", pressed);
    return () => window.removeEventListener("keydown", pressed);
  }, [key, act]);
}
