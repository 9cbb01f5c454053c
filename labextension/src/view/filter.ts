/** Filtering by text, kind and status; matches keep their ancestors. */

import { type Status, statusOf } from "./format";
import type { BodyRef } from "./protocol";
import { label, type Tree, type TreeNode } from "./tree";

export interface Filter {
  text: string;
  kinds: ReadonlySet<string>;
  statuses: ReadonlySet<Status>;
}

export const NO_FILTER: Filter = { text: "", kinds: new Set(), statuses: new Set() };

/** `matched` in order of the tree; `shown` are these and all above them. */
export interface Match {
  matched: string[];
  shown: ReadonlySet<string>;
}

export const isEmpty = (filter: Filter): boolean =>
  filter.text.trim() === "" && filter.kinds.size === 0 && filter.statuses.size === 0;

/** null if the filter lets everything through. */
export function matching(tree: Tree, filter: Filter, alive: boolean): Match | null {
  if (isEmpty(filter)) return null;
  const matched: string[] = [];
  const shown = new Set<string>();
  const text = filter.text.trim().toLowerCase();
  for (const node of tree.walk()) {
    if (!passes(node, filter, text, alive)) continue;
    matched.push(node.id);
    for (let up: TreeNode | undefined = node; up && !shown.has(up.id); up = tree.get(up.parent))
      shown.add(up.id);
  }
  return { matched, shown };
}

function passes(node: TreeNode, filter: Filter, text: string, alive: boolean): boolean {
  if (filter.kinds.size > 0 && !filter.kinds.has(node.kind)) return false;
  if (filter.statuses.size > 0 && !filter.statuses.has(statusOf(node, alive))) return false;
  return text === "" || searchable(node).includes(text);
}

const TEXTS = ["reply", "reasoning", "code", "output", "answer", "arguments", "result"];

/** What the filter's text looks in: label, model, error, and the first 200 characters of each body. */
function searchable(node: TreeNode): string {
  const parts = [label(node), node.id, node.fields.model, node.fields.error, node.fields.query];
  for (const name of TEXTS) parts.push((node.fields[name] as BodyRef | undefined)?.preview);
  return parts.map(asText).join("\n").toLowerCase();
}

const asText = (value: unknown): string =>
  typeof value === "string" ? value : value === undefined ? "" : JSON.stringify(value);
