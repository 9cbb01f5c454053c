/** Made-up runs for the demo page and the tests: every kind of node, and any size. */

import type { BodyRef, Data, MessageRef, RunEvent } from "../src/view/protocol";

/** Writes events as the engine does. */
export class Script {
  readonly events: RunEvent[] = [];
  private readonly known = new Set<string>();
  private t = 0;

  constructor(readonly run: string) {}

  wait(seconds: number): this {
    this.t = Math.round((this.t + seconds) * 1e6) / 1e6;
    return this;
  }

  add(type: string, node: string, data: Data): void {
    this.events.push({ v: 1, run: this.run, seq: this.events.length, t: this.t, type, node, data });
  }

  open(node: string, kind: string, depth: number, data: Data): void {
    const parent = node.includes(".") ? node.slice(0, node.lastIndexOf(".")) : null;
    this.add("open", node, { kind, parent, depth, ...data });
  }

  /** Not a real hash: any name that is different for different texts will do here. */
  text(node: string, text: string): BodyRef {
    const sha256 = `${text.length}-${hash(text)}`;
    if (!this.known.has(sha256)) this.add("body", node, { sha256, text });
    this.known.add(sha256);
    return { sha256, chars: text.length, preview: text.slice(0, 200) };
  }

  message(node: string, role: string, text: string): MessageRef {
    return { role, ...this.text(node, text) };
  }
}

function hash(text: string): number {
  let h = 7;
  for (let i = 0; i < text.length; i++) h = (h * 31 + text.charCodeAt(i)) | 0;
  return h;
}

export const usage = (input: number, output: number, cost: number | null) => ({
  input,
  output,
  cached: 0,
  reasoning: 0,
  cost,
});

/** One turn, one cell with a batch of `n` calls: 2 n events or so. */
export function wide(n: number, closed = true): RunEvent[] {
  const add = new Script(`wide-${n}`);
  add.open("0", "run", 0, { label: "Classify every line", limits: { turns: 30 } });
  add.open("0.1", "turn", 0, { label: "map over the lines", number: 1 });
  add.wait(1).add("patch", "0.1", { usage: usage(2400, 90, 0.004) });
  add.open("0.1.1", "exec", 0, { label: "labels = llm_query_batched(parts)" });
  add.open("0.1.1.1", "batch", 0, { label: `llm × ${n}`, n, chars: n * 900 });
  for (let i = 1; i <= n; i++) {
    add.wait(0.002).open(`0.1.1.1.${i}`, "llm", 1, { label: `Is line ${i} about billing?`, model: "small" });
    if (closed && i > 32) closeCall(add, i - 32);
  }
  if (closed) for (let i = Math.max(1, n - 31); i <= n; i++) closeCall(add, i);
  return add.events;
}

export function closeCall(add: Script, i: number): void {
  const failed = i % 97 === 0;
  const fields = failed
    ? { error: { name: "EmptyReply", message: "small answered nothing" } }
    : { usage: usage(310, 4, 0.00012) };
  add.wait(0.001).add("close", `0.1.1.1.${i}`, { status: failed ? "error" : "ok", ...fields });
}

/** `turns` turns with a cell and `calls` single calls each: about turns × calls nodes, all in small families. */
export function deep(turns: number, calls: number): RunEvent[] {
  const add = new Script(`deep-${turns}`);
  add.open("0", "run", 0, { label: "Read all of it", limits: { turns } });
  for (let t = 1; t <= turns; t++) {
    const turn = `0.${t}`;
    add.wait(0.2).open(turn, "turn", 0, { label: `part ${t}`, number: t });
    add.add("patch", turn, { usage: usage(1200, 60, 0.002) });
    add.open(`${turn}.1`, "exec", 0, { label: "answers.append(llm_query(part))" });
    for (let i = 1; i <= calls; i++) {
      add.wait(0.01).open(`${turn}.1.${i}`, "llm", 1, { label: `section ${t}.${i}`, model: "small" });
      add
        .wait(0.03)
        .add("close", `${turn}.1.${i}`, { status: i % 61 ? "ok" : "error", usage: usage(400, 12, 0.0003) });
    }
    add.add("close", `${turn}.1`, { status: "ok" });
    add.add("close", turn, { status: "ok" });
  }
  add.add("close", "0", { status: "ok", outcome: "answered" });
  return add.events;
}
