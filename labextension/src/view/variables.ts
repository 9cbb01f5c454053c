/** The variables of one RLM's session, from what its cells changed. */

import type { Data } from "./protocol";
import type { Tree, TreeNode } from "./tree";

export interface Variable {
  change: Data;
  /** The cell that set it last. */
  by: string;
}

/** Of a run or sub-RLM: each variable as its last change left it, in order of name. */
export function variablesOf(tree: Tree, rlm: TreeNode): Variable[] {
  const variables = new Map<string, Variable>();
  for (const cell of cellsOf(tree, rlm)) {
    const { changes } = cell.fields;
    if (!Array.isArray(changes)) continue;
    for (const change of changes as Data[]) variables.set(String(change.name), { change, by: cell.id });
  }
  return [...variables.values()].sort((a, b) => String(a.change.name).localeCompare(String(b.change.name)));
}

function cellsOf(tree: Tree, rlm: TreeNode): TreeNode[] {
  const turns = rlm.children.flatMap((id) => tree.get(id) ?? []);
  return turns.flatMap((turn) => turn.children.flatMap((id) => tree.get(id) ?? []));
}
