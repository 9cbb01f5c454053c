/**
 * What the view and the kernel say to each other, and what a saved run holds, on one screen.
 *
 * An event is what `rlm_magic/engine/events.py` writes. Messages are custom messages (`model.send`), never traits.
 *
 *   view -> kernel                            answer
 *   {cmd: "hello", have, renderer}            `snapshot`, then the events from `have` on; sent first, and after a gap.
 *                                             `renderer`: the JupyterLab extension is here to show the saved run
 *   {cmd: "body", sha256}                     `body`
 *   {cmd: "pause" | "resume" | "step" | "stop" | "kill" | "answer", node?}    shows as events
 *   {cmd: "decide", node, action, code?, note?}    for the node that waits, phase "paused"; `code` only if edited;
 *                                             `note` goes to the model: why it was skipped, or a hint
 *
 *   kernel -> view
 *   {type: "snapshot", run, from, to, live, controls}    events [from, to) follow; 0: forget what you have
 *   {type: "events", from, to, t, events}     all events with from <= seq < to except "body" events; `t` is the
 *                                             run's clock. What had happened before hello comes at once, in batches of
 *                                             512 kB; then at most ten a second and 64 kB each, and an empty one
 *                                             at least every two seconds while the run lives
 *   {type: "body", sha256, text}              text null: not kept
 *   {type: "gap"}                             something was dropped: say hello again
 *
 * The saved run's view has no widget's comm. While the kernel lives it opens one of its own to the target
 * "rlm_magic.bodies", data {run}, and sends {cmd: "body", sha256} over it; the answer is `body`. A kernel that knows
 * nothing of the run closes the comm.
 *
 * A node that waits for a person: an "await" event {phase: "paused"} whose data, or fields patched before it, may hold
 * what is about to be sent: `n` prompts, `chars` characters, `cost_estimate` US dollars.
 */

export const VERSION = 1;
export const RECORD_MIME = "application/vnd.rlm-magic.run+json";
export const JOURNAL_MIME = "application/vnd.rlm-magic.journal";
export const BODIES_TARGET = "rlm_magic.bodies";

export type Data = Record<string, unknown>;

export interface RunEvent {
  v?: number;
  run?: string;
  seq: number;
  t: number;
  type: string;
  node: string;
  data: Data;
}

export interface BodyRef {
  sha256: string;
  chars: number;
  preview: string;
}

export interface MessageRef extends BodyRef {
  role: string;
}

export interface Usage {
  input: number;
  output: number;
  cached: number;
  reasoning: number;
  cost: number | null;
}

/** A saved run (`rlm_magic/view/payload.py`); its bodies may be cut in the middle. */
export interface StaticRecord {
  v: number;
  run: string;
  events: RunEvent[];
  cut: CutRecord | null;
}

/** How many nodes and bodies are left out because the record has a size limit, and what those nodes used. */
export interface CutRecord {
  nodes: number;
  bodies: number;
  sums: Record<string, number>;
}

export type Command = "pause" | "resume" | "step" | "stop" | "kill" | "answer";
export type Action = "run" | "skip" | "answer";

export type ToKernel =
  | { cmd: "hello"; have: number; renderer: boolean }
  | { cmd: "body"; sha256: string }
  | { cmd: Command; node?: string }
  | { cmd: "decide"; node: string; action: Action; code?: string; note?: string };

export type FromKernel =
  | { type: "snapshot"; run: string; from: number; to: number; live: boolean; controls: string[] }
  | { type: "events"; from: number; to: number; t: number; events: RunEvent[] }
  | { type: "body"; sha256: string; text: string | null }
  | { type: "gap" };
