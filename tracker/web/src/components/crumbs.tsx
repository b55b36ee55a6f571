import { Fragment } from "react";
import { entityPath, projectPath } from "../router";
import { Link } from "./ui";

/** Where a page stands: from all runs to the entity, its project, the Run. Parts that are not named are left out. */
export function Crumbs({ entity, project, run }: { entity?: string; project?: string; run?: { name: string; url: string } | null }) {
  const parts: [string, string][] = [["Runs", "/"]];
  if (entity !== undefined) parts.push([entity, entityPath(entity)]);
  if (entity !== undefined && project !== undefined) parts.push([project, projectPath(entity, project)]);
  if (run) parts.push([run.name, run.url]);
  return (
    <nav aria-label="Where" className="crumbs">
      {parts.map(([name, to], index) => (
        <Fragment key={to}>
          {index > 0 ? <span aria-hidden="true">/</span> : null}
          <Link to={to}>{name}</Link>
        </Fragment>
      ))}
    </nav>
  );
}
