/** The keyboard. Nothing here reaches the notebook: the view's element asks Lumino to leave its keys alone. */

import { statusOf } from "./format";
import { togglePlay } from "./player";
import type { Row } from "./rows";
import type { ViewState } from "./state";

type Act = (view: ViewState) => void;

const TREE_KEYS: Record<string, Act> = {
  ArrowDown: (view) => move(view, 1),
  j: (view) => move(view, 1),
  ArrowUp: (view) => move(view, -1),
  k: (view) => move(view, -1),
  ArrowRight: inward,
  ArrowLeft: outward,
  Home: (view) => selectRow(view, 0),
  End: (view) => selectRow(view, view.rows.value.length - 1),
  "*": (view) => withRow(view, (row) => view.expandSiblings(row)),
  "[": (view) => toSibling(view, -1),
  "]": (view) => toSibling(view, 1),
  Enter: focusInspector,
};

/** Keys that work anywhere in the view outside of text fields. */
const VIEW_KEYS: Record<string, Act> = {
  "/": (view) => focus(view, ".rlm-find"),
  n: (view) => toMatch(view, 1),
  N: (view) => toMatch(view, -1),
  e: toNextError,
  ",": (view) => stepTime(view, -1),
  ".": (view) => stepTime(view, 1),
  " ": togglePlay,
  "?": (view) => {
    view.help.value = !view.help.value;
  },
};

const ANYWHERE: Record<string, Act> = {
  F9: (view) => offer(view, "resume"),
  F10: (view) => offer(view, "step"),
};

export function onTreeKey(view: ViewState, event: KeyboardEvent): void {
  if (!hasModifier(event)) run(TREE_KEYS, view, event);
}

export function onViewKey(view: ViewState, event: KeyboardEvent): void {
  element.set(view, event.currentTarget as HTMLElement);
  if (event.defaultPrevented || hasModifier(event)) return;
  if (event.key === "Escape") leave(event);
  else if (!run(ANYWHERE, view, event) && !takesKeys(event.target as Element, event.key))
    run(VIEW_KEYS, view, event);
}

const element = new WeakMap<ViewState, HTMLElement>();

function run(keys: Record<string, Act>, view: ViewState, event: KeyboardEvent): boolean {
  const act = keys[event.key] ?? keys[event.key.toLowerCase()];
  if (!act) return false;
  event.preventDefault();
  act(view);
  return true;
}

const hasModifier = (event: KeyboardEvent): boolean => event.ctrlKey || event.metaKey || event.altKey;

/** Whether an element uses the key itself: a text field any, a button the space bar. */
function takesKeys(target: Element, key: string): boolean {
  if (target.matches("textarea, select, input:not([type=checkbox])")) return true;
  return key === " " && target.matches("button, summary, input");
}

function withRow(view: ViewState, act: (row: Row, index: number) => void): void {
  const index = view.rowOf(view.selected.value);
  const row = view.rows.value[index];
  if (row) act(row, index);
}

function selectRow(view: ViewState, index: number): void {
  const row = view.rows.value[index];
  if (row) view.select(row.id);
}

function move(view: ViewState, by: number): void {
  const last = view.rows.value.length - 1;
  selectRow(view, Math.max(0, Math.min(last, view.rowOf(view.selected.value) + by)));
}

function inward(view: ViewState): void {
  withRow(view, (row, index) => {
    if (row.expandable && !row.expanded) view.expand(row, true);
    else if (row.expanded) selectRow(view, index + 1);
  });
}

function outward(view: ViewState): void {
  withRow(view, (row, index) => {
    if (row.expanded) view.expand(row, false);
    else
      selectRow(
        view,
        view.rows.value.findLastIndex((above, i) => i < index && above.level < row.level),
      );
  });
}

function toSibling(view: ViewState, by: number): void {
  withRow(view, (row, index) => {
    const rows = view.rows.value;
    for (let i = index + by; rows[i] && (rows[i] as Row).level >= row.level; i += by) {
      if ((rows[i] as Row).level === row.level) return selectRow(view, i);
    }
  });
}

function toMatch(view: ViewState, by: number): void {
  toNextOf(view, view.match.value?.matched ?? [], by);
}

function toNextError(view: ViewState): void {
  const { tree, alive } = view.moment.value;
  const failed = tree.nodes.filter((node) => statusOf(node, alive) === "error").map(({ id }) => id);
  toNextOf(view, failed, 1);
}

function toNextOf(view: ViewState, ids: readonly string[], by: number): void {
  const place = ids.indexOf(view.selected.value ?? "");
  const next = place < 0 && by < 0 ? ids.length - 1 : (place + by + ids.length) % ids.length;
  const id = ids[next];
  if (id !== undefined) view.reveal(id);
}

function stepTime(view: ViewState, by: number): void {
  const { length } = view.run.history.value;
  const next = Math.max(0, (view.step.value ?? length) + by);
  view.step.value = next >= length ? null : next;
}

function offer(view: ViewState, cmd: "resume" | "step"): void {
  if (view.run.alive && view.run.controls.value.has(cmd)) view.run.command({ cmd });
}

function focus(view: ViewState, selector: string): void {
  element.get(view)?.querySelector<HTMLElement>(selector)?.focus();
}

function focusInspector(view: ViewState): void {
  const row = view.rows.value[view.rowOf(view.selected.value)];
  if (row?.window) view.expand(row, !row.expanded);
  else focus(view, ".rlm-inspector [role=tab][aria-selected=true]");
}

/** From a text field or the inspector to the tree; from the tree to the cell. */
function leave(event: KeyboardEvent): void {
  const view = event.currentTarget as HTMLElement;
  const tree = view.querySelector<HTMLElement>("[role=tree]");
  const target = event.target as HTMLElement;
  event.preventDefault();
  if (tree && target !== tree) tree.focus();
  else (view.closest<HTMLElement>(".jp-Notebook") ?? document.body).focus();
  if (document.activeElement === target) target.blur();
}
