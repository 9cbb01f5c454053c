/** Which tabs a node has: only those with something to show. */

import type { FunctionComponent } from "preact";
import type { ViewState } from "../state";
import type { TreeNode } from "../tree";
import { Calls } from "./Calls";
import { Output } from "./Output";
import { Overview } from "./Overview";
import { Prompt } from "./Prompt";
import { Raw } from "./Raw";
import { Code, textTab } from "./Text";
import { Usage } from "./Usage";
import { Variables } from "./Variables";

export type Shown = { view: ViewState; node: TreeNode };

export interface Tab {
  name: string;
  Show: FunctionComponent<Shown>;
}

const isRun = ({ kind }: TreeNode) => kind === "run" || kind === "rlm";
const has =
  (...names: string[]) =>
  (node: TreeNode) =>
    names.some((name) => node.fields[name] !== undefined);

const TABS: (Tab & { on: (node: TreeNode) => boolean })[] = [
  { name: "Overview", Show: Overview, on: (node) => isRun(node) || node.kind === "batch" },
  { name: "Answer", Show: textTab("answer"), on: (node) => node.kind === "answer" && has("answer")(node) },
  { name: "Code", Show: Code, on: has("code", "code_proposed") },
  { name: "Output", Show: Output, on: has("output", "rich", "error") },
  { name: "Result", Show: textTab("result"), on: has("result") },
  { name: "Arguments", Show: textTab("arguments"), on: has("arguments") },
  { name: "Reply", Show: textTab("reply"), on: has("reply") },
  { name: "Reasoning", Show: textTab("reasoning"), on: has("reasoning") },
  { name: "Prompt", Show: Prompt, on: has("prompt") },
  { name: "Variables", Show: Variables, on: (node) => isRun(node) || has("changes")(node) },
  { name: "Calls", Show: Calls, on: ({ kind, children }) => children.length > 0 && kind !== "run" },
  {
    name: "Usage",
    Show: Usage,
    on: ({ sums, fields }) => sums.calls > 0 || sums.running > 0 || fields.cached === true,
  },
  { name: "Raw", Show: Raw, on: () => true },
];

export const tabsOf = (node: TreeNode): Tab[] => TABS.filter(({ on }) => on(node));
