/** The tree as the list of rows that are open, in order. A long list of children opens in windows of 100. */

import type { Match } from "./filter";
import type { Tree, TreeNode } from "./tree";

export const WINDOW = 100;
const WINDOWED_FROM = 2 * WINDOW;

/** `window` is set on a row that stands for the children [first, last) of `node`. */
export interface Row {
  id: string;
  node: TreeNode;
  level: number;
  place: number;
  siblings: number;
  expandable: boolean;
  expanded: boolean;
  window?: { first: number; last: number; ids: readonly string[] };
}

export type Expanded = ReadonlyMap<string, boolean>;

/** The run's own thread of turns is open at first; batches and sub-RLMs are one row each. */
const openAtFirst = ({ kind, depth }: TreeNode): boolean =>
  depth === 0 && (kind === "run" || kind === "turn" || kind === "exec");

export function isExpanded(node: TreeNode, expanded: Expanded, match: Match | null): boolean {
  return expanded.get(node.id) ?? (match !== null || openAtFirst(node));
}

/** Rows of the whole tree; with `match`, only matching nodes and their ancestors. */
export function rowsOf(tree: Tree, expanded: Expanded, match: Match | null): Row[] {
  const rows: Row[] = [];
  const { root } = tree;
  if (root && (!match || match.shown.has("0")))
    new Flattening(tree, expanded, match, rows).node(root, 1, 1, 1);
  return rows;
}

class Flattening {
  constructor(
    private readonly tree: Tree,
    private readonly expanded: Expanded,
    private readonly match: Match | null,
    private readonly rows: Row[],
  ) {}

  node(node: TreeNode, level: number, place: number, siblings: number): void {
    const children = this.shownChildren(node);
    const expandable = children.length > 0;
    const open = expandable && isExpanded(node, this.expanded, this.match);
    this.rows.push({ id: node.id, node, level, place, siblings, expandable, expanded: open });
    if (!open) return;
    if (children.length > WINDOWED_FROM) this.windows(node, children, level + 1);
    else this.list(children, level + 1, 0, children.length);
  }

  private shownChildren(node: TreeNode): readonly string[] {
    const { match } = this;
    return match ? node.children.filter((id) => match.shown.has(id)) : node.children;
  }

  private list(ids: readonly string[], level: number, first: number, last: number): void {
    for (let i = first; i < last; i++) {
      const child = this.tree.get(ids[i] as string);
      if (child) this.node(child, level, i - first + 1, last - first);
    }
  }

  private windows(node: TreeNode, ids: readonly string[], level: number): void {
    const siblings = Math.ceil(ids.length / WINDOW);
    for (let i = 0; i < siblings; i++) {
      const [first, last] = [i * WINDOW, Math.min(ids.length, (i + 1) * WINDOW)];
      const id = windowId(node.id, first);
      const open = this.expanded.get(id) ?? false;
      const window = { first, last, ids };
      this.rows.push({ id, node, level, place: i + 1, siblings, expandable: true, expanded: open, window });
      if (open) this.list(ids, level + 1, first, last);
    }
  }
}

const windowId = (parent: string, first: number): string => `${parent}#${first}`;

/** What has to be expanded for a node to have a row: its ancestors and, in a long list, its window. */
export function pathTo(tree: Tree, id: string): string[] {
  const path: string[] = [];
  for (let node = tree.get(id); node; node = tree.get(node.parent)) {
    const parent = tree.get(node.parent);
    if (!parent) break;
    if (parent.children.length > WINDOWED_FROM) {
      const place = parent.children.indexOf(node.id);
      path.push(windowId(parent.id, place - (place % WINDOW)));
    }
    path.push(parent.id);
  }
  return path;
}

/** The row of a node, or of the nearest row above it. */
export function rowFor(rows: readonly Row[], tree: Tree, id: string): number {
  const wanted = new Set([id, ...pathTo(tree, id)]);
  return rows.findLastIndex((row) => wanted.has(row.id));
}
