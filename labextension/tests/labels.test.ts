/** What rows say. */

import { describe, expect, it } from "vitest";
import { resultOf, rowLabel } from "../src/view/labels";
import type { Data } from "../src/view/protocol";
import { Tree, type TreeNode } from "../src/view/tree";

function node(id: string, kind: string, data: Data): TreeNode {
  const tree = Tree.empty();
  tree.apply({ seq: 0, t: 0, type: "open", node: id, data: { kind, parent: null, depth: 1, ...data } });
  return tree.get(id) as TreeNode;
}

const text = (preview: string) => ({ sha256: "x", chars: preview.length, preview });

describe("a row", () => {
  it.each([
    ["turn", { number: 2, label: "turn 2", reply: text("Let me look.\n```repl") }, "2 · Let me look."],
    ["turn", { number: 2, label: "turn 2", reply: text("```repl\nx") }, "turn 2"],
    ["turn", { number: 2, label: "turn 2", reply: { ...text("Let me lo"), chars: 300 } }, "2 · Let me lo…"],
    ["turn", { number: 2, label: "look" }, "2 · look"],
    ["exec", { label: "print(1)", output_chars: 4800, shown_chars: 2000 }, "print(1) · saw 2.0k/4.8k"],
    ["exec", { label: "", code: text("\nx = 1\ny") }, "x = 1"],
    ["batch", { label: "", n: 1200 }, "×1,200  0✓"],
    ["llm", { label: "Is it?", model: "m" }, "7 · Is it?"],
    ["tool", { label: "lookup('a')", name: "lookup" }, "lookup('a')"],
    ["rlm", { label: "chapter 9" }, "depth 1 · chapter 9"],
    ["something new", { label: "x" }, "x"],
  ])("of a %s with %j says %s", (kind, data, said) => expect(rowLabel(node("0.7", kind, data))).toBe(said));

  it("tells what came of a call", () => {
    expect(resultOf(node("0.1", "llm", { reply: text("NONE\nat all") }))).toBe("NONE");
    expect(resultOf(node("0.1", "tool", { result: text('{"a": 1}') }))).toBe('{"a": 1}');
    expect(resultOf(node("0.1", "answer", { answer: text("42") }))).toBe("42");
    expect(resultOf(node("0.1", "turn", { reply: text("Let me") }))).toBe("");
  });
});
