/** Comparing a turn's prompt with the one before. */

import { type Change, diffLines } from "diff";
import type { MessageRef } from "./protocol";
import type { Tree, TreeNode } from "./tree";

export interface MessageChange {
  message: MessageRef;
  change: "same" | "changed" | "new";
  /** What stood in this place before, if it changed. */
  was?: MessageRef;
}

/** The prompt of the nearest earlier turn of the same RLM; empty if there is none. */
export function previousPrompt(tree: Tree, node: TreeNode): MessageRef[] {
  const siblings = tree.get(node.parent)?.children ?? [];
  if (node.kind !== "turn" && node.kind !== "answer") return [];
  for (let i = siblings.indexOf(node.id) - 1; i >= 0; i--) {
    const prompt = tree.get(siblings[i] as string)?.fields.prompt;
    if (Array.isArray(prompt)) return prompt as MessageRef[];
  }
  return [];
}

export function compareMessages(now: readonly MessageRef[], before: readonly MessageRef[]): MessageChange[] {
  return now.map((message, i) => {
    const was = before[i];
    if (!was) return { message, change: "new" };
    if (was.sha256 === message.sha256 && was.role === message.role) return { message, change: "same" };
    return { message, change: "changed", was };
  });
}

const MOST_EDITS = 2000; // lines; what differs more is not worth the time

/** A text beside an earlier one, as stretches of whole lines; undefined if they have too little in common. */
export const changes = (before: string, after: string): Change[] | undefined =>
  diffLines(before, after, { maxEditLength: MOST_EDITS });
