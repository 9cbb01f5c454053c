/** The events of a run and the tree as of any of them. */

import type { RunEvent } from "./protocol";
import { Tree } from "./tree";

const SPACING = 2000; // events between checkpoints: folding that many takes about 2 ms

interface Checkpoint {
  step: number;
  tree: Tree;
}

/**
 * Steps count events other than bodies, which change nothing that shows: step 0 is before the first event, `length`
 * is now. `next` is the sequence number that is expected next.
 */
export class History {
  readonly head = Tree.empty();
  readonly events: RunEvent[] = [];
  next = 0;
  /** The node that opened last, for following. */
  latest = "0";
  private readonly checkpoints: Checkpoint[] = [{ step: 0, tree: Tree.empty(this.head.bodies) }];
  private cursor: Checkpoint | null = null;

  get length(): number {
    return this.events.length;
  }

  append(events: readonly RunEvent[]): void {
    for (const event of events) this.take(event);
  }

  private take(event: RunEvent): void {
    this.next = Math.max(this.next, event.seq + 1);
    this.head.apply(event);
    if (event.type === "body") return;
    if (event.type === "open") this.latest = event.node;
    this.events.push(event);
    if (this.length % SPACING === 0) this.checkpoints.push({ step: this.length, tree: this.head.fork() });
  }

  /** The tree after `step` events; do not keep it across the next call. */
  at(step: number): Tree {
    if (step >= this.length) return this.head;
    const from = this.nearest(Math.max(0, step));
    for (let i = from.step; i < step; i++) from.tree.apply(this.events[i] as RunEvent);
    this.cursor = { step, tree: from.tree };
    return from.tree;
  }

  private nearest(step: number): Checkpoint {
    const saved = this.checkpoints[Math.floor(step / SPACING)] as Checkpoint;
    if (this.cursor && this.cursor.step <= step && this.cursor.step >= saved.step) return this.cursor;
    return { step: saved.step, tree: saved.tree.fork() };
  }

  /** How many events had happened at second `t`. */
  stepAt(t: number): number {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.events[middle] as RunEvent).t <= t) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** When the last of the first `step` events happened. */
  timeAt(step: number): number {
    return this.events[Math.min(step, this.length) - 1]?.t ?? 0;
  }
}
