/** Projects in words and in order. Pure. */

import type { ProjectUse } from "../api/client";

export const VISIBILITIES: Readonly<Record<string, { name: string; who: string }>> = {
  private: { name: "Private", who: "Who made it and the entity's admins see it" },
  team: { name: "Team", who: "Who has a role in the entity sees it" },
  public: { name: "Public", who: "Everybody who can log in sees it" },
};

/** By what was heard of last; those without runs behind all others, the youngest first. */
export function newestFirst(projects: readonly ProjectUse[]): ProjectUse[] {
  return [...projects].sort((a, b) => (b.activeAt ?? 0) - (a.activeAt ?? 0) || b.createdAt - a.createdAt || (a.name < b.name ? -1 : 1));
}
