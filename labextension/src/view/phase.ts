/** What a run is doing now, in words. */

import { plural, type Status } from "./format";
import type { Tree } from "./tree";

const LOOK_BACK = 500; // nodes; what runs now opened lately

export function phaseWords(tree: Tree, status: Status): string {
  const { root } = tree;
  if (status !== "running") return endWords(root?.fields.outcome, status);
  const running = root?.sums.running ?? 0;
  return running > 0 ? `waiting for ${plural(running, "call")}` : latestPhase(tree);
}

const endWords = (outcome: unknown, status: Status): string =>
  typeof outcome === "string" ? outcome : status;

function latestPhase({ nodes }: Tree): string {
  for (let i = nodes.length - 1; i >= Math.max(0, nodes.length - LOOK_BACK); i--) {
    const node = nodes[i];
    if (node?.closed === null && node.phase !== "") return node.phase;
  }
  return "running";
}
