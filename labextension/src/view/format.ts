/** Figures and words as they show. An unknown price is a dash, never zero. */

import type { Sums, TreeNode } from "./tree";

export const UNKNOWN = "—";

/** 950, 9.5k, 182k, 4.1M */
export function count(n: number): string {
  if (n < 1000) return String(Math.round(n));
  const [value, unit] = n < 999_500 ? [n / 1000, "k"] : [n / 1_000_000, "M"];
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)}${unit}`;
}

export function dollars(cost: number | null | undefined): string {
  if (cost === null || cost === undefined) return UNKNOWN;
  if (cost === 0) return "$0";
  if (cost < 0.0001) return "<$0.0001";
  return `$${cost < 0.01 ? Number(cost.toPrecision(2)) : cost.toFixed(cost < 100 ? 2 : 0)}`;
}

/** A sum of prices: a dash if none is known, "≥" if some are not. */
export function sumOfCosts({ calls, cost, unpriced }: Sums): string {
  if (calls > 0 && unpriced >= calls) return UNKNOWN;
  return unpriced > 0 ? `≥${dollars(cost)}` : dollars(cost);
}

/** 45 ms, 6.2 s, 72 s, 12m04s, 1h02m */
export function duration(seconds: number): string {
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 100) return `${whole} s`;
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60)];
  if (hours) return `${hours}h${pad(minutes % 60)}m`;
  return `${minutes}m${pad(whole % 60)}s`;
}

const pad = (n: number) => String(n).padStart(2, "0");

export const chars = (n: number): string =>
  `${n.toLocaleString("en-US")} ${n === 1 ? "character" : "characters"}`;
export const plural = (n: number, noun: string): string =>
  `${n.toLocaleString("en-US")} ${noun}${n === 1 ? "" : "s"}`;

export type Status =
  | "queued"
  | "running"
  | "paused"
  | "ok"
  | "partial"
  | "error"
  | "stopped"
  | "skipped"
  | "limit"
  | "interrupted";

export const STATUS_GLYPHS: Record<Status, string> = {
  queued: "○",
  running: "◐",
  paused: "‖",
  ok: "✓",
  partial: "▲",
  error: "✕",
  stopped: "⊘",
  skipped: "⊘",
  limit: "◇",
  interrupted: "?",
};

/** What a node's state is called. `alive`: the run can still change. */
export function statusOf(node: TreeNode, alive: boolean): Status {
  if (node.status !== "running") return node.status as Status;
  if (!alive) return "interrupted";
  return node.phase === "paused" || node.phase === "queued" ? node.phase : "running";
}

interface Kind {
  letter: string;
  word: string;
}

const KINDS: Record<string, Kind> = {
  run: { letter: "R", word: "run" },
  rlm: { letter: "S", word: "sub-RLM" },
  turn: { letter: "T", word: "turn" },
  exec: { letter: "X", word: "execution" },
  batch: { letter: "B", word: "batch" },
  llm: { letter: "L", word: "sub-call" },
  tool: { letter: "F", word: "tool call" },
  answer: { letter: "A", word: "answer" },
  human: { letter: "H", word: "person" },
};

export const KIND_NAMES = Object.keys(KINDS);
export const kindOf = (kind: string): Kind => KINDS[kind] ?? { letter: "·", word: kind };

/** Seconds that a node took, up to `now` if it is open. */
export const secondsOf = (node: TreeNode, now: number): number =>
  Math.max(0, (node.closed ?? now) - node.opened);

/** What a screen reader says of a row. */
export function spoken(node: TreeNode, status: Status, text: string): string {
  const { sums } = node;
  const tokens = sums.calls ? `, ${count(sums.input + sums.output)} tokens` : "";
  const cost = sums.calls && sums.unpriced < sums.calls ? `, ${sumOfCosts(sums)}` : "";
  return `${kindOf(node.kind).word} ${text}, ${status}${tokens}${cost}`;
}
