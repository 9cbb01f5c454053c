/** What a row says beside its kind. */

import { count } from "./format";
import type { BodyRef } from "./protocol";
import { label, type TreeNode } from "./tree";

export function rowLabel(node: TreeNode): string {
  const own = label(node);
  if (node.kind === "batch") return joined(own, batchWords(node, own));
  if (node.kind === "exec") return joined(own || firstLine(node.fields.code), cutWords(node));
  if (node.kind === "turn") return turnLabel(node, own);
  if (node.kind === "rlm") return joined(`depth ${node.depth}`, own);
  if (node.kind === "llm")
    return joined(String(node.id.split(".").at(-1)), own || String(node.fields.model ?? ""));
  return own || String(node.fields.model ?? "") || firstLine(node.fields.answer);
}

/** A turn that has no name of its own is called by what the model said before its code. */
function turnLabel({ fields }: TreeNode, own: string): string {
  const number = String(fields.number ?? "");
  if (own !== "" && own !== `turn ${number}`) return joined(number, own);
  const said = firstLine(fields.reply);
  return said === "" || said.startsWith("```") ? own || number : joined(number, said);
}

/** What came of a call, if it is known: the first line of its reply, result or answer. */
export function resultOf({ kind, fields }: TreeNode): string {
  if (kind === "llm") return firstLine(fields.reply);
  if (kind === "tool") return firstLine(fields.result);
  return kind === "rlm" || kind === "answer" ? firstLine(fields.answer) : "";
}

function batchWords({ fields, children, sums }: TreeNode, label: string): string {
  const n = Number(fields.n ?? children.length);
  const failed = sums.failed > 0 ? ` ${sums.failed}✕` : "";
  const running = sums.running > 0 ? ` ${sums.running}◐` : "";
  const done = Math.max(0, children.length - sums.running - sums.failed);
  const size = label === "" ? `×${n.toLocaleString("en-US")}  ` : "";
  return `${size}${done.toLocaleString("en-US")}✓${running}${failed}`;
}

/** How much of a long output the model saw. */
function cutWords({ fields }: TreeNode): string {
  const { output_chars: all, shown_chars: shown } = fields;
  return typeof all === "number" && typeof shown === "number" && shown < all
    ? `saw ${count(shown)}/${count(all)}`
    : "";
}

function firstLine(field: unknown): string {
  const { preview = "", chars = 0 } = (field ?? {}) as Partial<BodyRef>;
  const [line = "", ...rest] = preview.trimStart().split("\n");
  return line !== "" && rest.length === 0 && chars > preview.length ? `${line}…` : line;
}

const joined = (...parts: string[]): string => parts.filter((part) => part !== "").join(" · ");
