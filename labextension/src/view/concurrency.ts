/** How many model calls were in flight over time, by depth: the shape of a run at a glance. */

import type { Tree } from "./tree";

/** `counts[depth][bin]`: the most calls in flight at once in that part of the run. */
export function concurrency(tree: Tree, seconds: number, bins: number): number[][] {
  const edges: [bin: number, depth: number, change: number][] = [];
  const binOf = (t: number) => Math.min(bins - 1, Math.max(0, Math.floor((t / seconds) * bins)));
  let deepest = 0;
  for (const { kind, depth, opened, closed } of tree.nodes) {
    if (kind !== "llm" && kind !== "turn") continue;
    deepest = Math.max(deepest, depth);
    edges.push([binOf(opened), depth, 1], [binOf(closed ?? seconds) + 1, depth, -1]);
  }
  const changes = Array.from({ length: deepest + 1 }, () => new Array<number>(bins + 1).fill(0));
  for (const [bin, depth, change] of edges)
    (changes[depth] as number[])[bin] = at(changes, depth, bin) + change;
  return changes.map(runningSum).map((sums) => sums.slice(0, bins));
}

const at = (table: number[][], row: number, column: number): number => table[row]?.[column] ?? 0;

function runningSum(changes: number[]): number[] {
  let sum = 0;
  return changes.map((change) => {
    sum += change;
    return sum;
  });
}
