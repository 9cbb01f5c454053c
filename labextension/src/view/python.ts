/** Python code as pieces with the kind of each, for colours. */

import { refractor } from "refractor/core";
import python from "refractor/python";

refractor.register(python);

const LONGEST = 20_000; // characters; longer code is shown without colours

export type Kind = "" | "keyword" | "string" | "number" | "comment" | "builtin";

export interface Piece {
  text: string;
  kind: Kind;
}

/** Ours by Prism's names; what is not here has no colour. */
const KINDS: Record<string, Kind> = {
  keyword: "keyword",
  boolean: "keyword",
  string: "string",
  "triple-quoted-string": "string",
  number: "number",
  comment: "comment",
  builtin: "builtin",
  decorator: "builtin",
};

type Node = ReturnType<typeof refractor.highlight>["children"][number];

/** The code cut into pieces; joined they are the code. */
export function pieces(code: string): Piece[] {
  if (code.length > LONGEST) return [{ text: code, kind: "" }];
  return refractor.highlight(code, "python").children.flatMap((node) => flat(node, ""));
}

function flat(node: Node, kind: Kind): Piece[] {
  if (node.type === "text") return [{ text: node.value, kind }];
  if (node.type !== "element") return [];
  const [, name = ""] = node.properties.className as string[];
  return node.children.flatMap((child) => flat(child, KINDS[name] ?? ""));
}
