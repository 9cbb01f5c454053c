/** One row: what it is, how it stands, what it used, and when it ran. */

import type { ComponentChildren } from "preact";
import {
  count,
  duration,
  kindOf,
  plural,
  type Status,
  secondsOf,
  spoken,
  statusOf,
  sumOfCosts,
} from "../format";
import { resultOf, rowLabel } from "../labels";
import type { Row } from "../rows";
import type { ViewState } from "../state";
import type { TreeNode } from "../tree";
import { StatusMark } from "./common";

interface Props {
  view: ViewState;
  row: Row;
  selected: boolean;
  /** Seconds that the whole axis stands for. */
  scale: number;
}

const DEEPEST_INDENT = 12; // levels; deeper ones are told by aria-level only

export const rowDomId = (view: ViewState, row: Row): string => `${view.name}-${row.id}`;

export function TreeRow({ view, row, selected, scale }: Props) {
  return row.window ? (
    <WindowRow view={view} row={row} selected={selected} scale={scale} />
  ) : (
    <NodeRow view={view} row={row} selected={selected} scale={scale} />
  );
}

interface ShellProps extends Omit<Props, "scale"> {
  spoken: string;
  children: ComponentChildren;
}

/** What every row has. Clicks are the tree's. */
function Shell({ view, row, selected, spoken, children }: ShellProps) {
  return (
    // biome-ignore lint/a11y/useFocusableInteractive: the tree has the focus, and names its active row
    <div
      class={`rlm-row${selected ? " rlm-selected" : ""}`}
      id={rowDomId(view, row)}
      data-row={row.id}
      role="treeitem"
      aria-label={spoken}
      aria-level={row.level}
      aria-posinset={row.place}
      aria-setsize={row.siblings}
      aria-expanded={row.expandable ? row.expanded : undefined}
      aria-selected={selected}
    >
      {children}
    </div>
  );
}

function Name({ row, children }: { row: Row; children: ComponentChildren }) {
  return (
    <span class="rlm-name" style={{ paddingLeft: `${Math.min(row.level - 1, DEEPEST_INDENT) * 14}px` }}>
      <span class="rlm-twisty" aria-hidden="true">
        {row.expandable && (row.expanded ? "▾" : "▸")}
      </span>
      {children}
    </span>
  );
}

function NodeRow({ view, row, selected, scale }: Props) {
  const { node } = row;
  const status = statusOf(node, view.moment.value.alive);
  const text = rowLabel(node);
  const now = view.time.value;
  const result = resultOf(node);
  return (
    <Shell view={view} row={row} selected={selected} spoken={spoken(node, status, text)}>
      <Name row={row}>
        <span class={`rlm-kind rlm-kind-${node.kind}`} title={kindOf(node.kind).word}>
          {kindOf(node.kind).letter}
        </span>
        <StatusMark status={status} />
        <span class="rlm-label">{text}</span>
        {!text.includes(result) && <span class="rlm-result">{`→ ${result}`}</span>}
        {status !== "ok" && <span class={`rlm-word rlm-is-${status}`}>{status}</span>}
      </Name>
      <Used node={node} />
      <span class="rlm-time">{duration(secondsOf(node, now))}</span>
      <Bar from={node.opened} to={node.closed ?? now} scale={scale} status={status} />
    </Shell>
  );
}

/** Own figures, or the sum of all below, marked Σ. */
function Used({ node }: { node: TreeNode }) {
  const { sums } = node;
  const sum = node.children.length > 0 ? "Σ\u2009" : "";
  return (
    <>
      <span class="rlm-tokens">{sums.calls > 0 ? `${sum}${count(sums.input + sums.output)}` : ""}</span>
      <span class="rlm-cost">{sums.calls > 0 ? `${sum}${sumOfCosts(sums)}` : ""}</span>
    </>
  );
}

function Bar({ from, to, scale, status }: { from: number; to: number; scale: number; status: Status }) {
  const left = Math.min(100, (100 * from) / scale);
  const width = Math.min(100 - left, Math.max(0, (100 * (to - from)) / scale));
  return (
    <span class="rlm-axis">
      <span class={`rlm-bar rlm-bar-${status}`} style={{ left: `${left}%`, width: `max(2px, ${width}%)` }} />
    </span>
  );
}

/** A stretch of a long list of children. */
function WindowRow({ view, row, selected, scale }: Props) {
  const { first, last, ids } = row.window as NonNullable<Row["window"]>;
  const { tree } = view.moment.value;
  const members = ids.slice(first, last).flatMap((id) => tree.get(id) ?? []);
  const failed = members.filter(({ status }) => status === "error").length;
  const running = members.filter(({ status }) => status === "running").length;
  const status: Status = running > 0 ? "running" : failed > 0 ? "partial" : "ok";
  const text = `${(first + 1).toLocaleString("en-US")}–${last.toLocaleString("en-US")}`;
  const from = Math.min(...members.map(({ opened }) => opened));
  const to = Math.max(...members.map(({ closed }) => closed ?? view.time.value));
  const said = `items ${text}, ${plural(failed, "failure")}, ${running} running`;
  return (
    <Shell view={view} row={row} selected={selected} spoken={said}>
      <Name row={row}>
        <StatusMark status={status} />
        <span class="rlm-label">{text}</span>
        {failed > 0 && <span class="rlm-word rlm-is-error">{`${failed} ✕`}</span>}
      </Name>
      <span class="rlm-tokens" />
      <span class="rlm-cost" />
      <span class="rlm-time">{duration(Math.max(0, to - from))}</span>
      <Bar from={from} to={to} scale={scale} status={status} />
    </Shell>
  );
}
