/** One run as the view knows it: saved, or live over a channel to the kernel. Several views may show the same one. */

import { signal } from "@preact/signals";
import { Bodies, type BodySource } from "./bodies";
import { History } from "./history";
import type { CutRecord, RunEvent, ToKernel } from "./protocol";
import type { Reading } from "./record";

/**
 * saved: no kernel. connecting: no answer yet. loading: the first events are under way. open: live.
 * silent: nothing heard for a while. closed: the kernel is gone.
 */
export type Link = "saved" | "connecting" | "loading" | "open" | "silent" | "closed";

export class Run {
  readonly id = signal("");
  readonly history = signal(new History());
  /** Goes up with every change of the history. */
  readonly version = signal(0);
  readonly link = signal<Link>("saved");
  /** Commands that the kernel takes. */
  readonly controls = signal<ReadonlySet<string>>(new Set());
  /** What was sent and has not shown any effect yet. */
  readonly pending = signal<ToKernel | null>(null);
  /** Share of the first events that is here, 0 to 1. */
  readonly loaded = signal(1);
  readonly problems = signal<readonly string[]>([]);
  /** What a saved run leaves out. */
  readonly cut = signal<CutRecord | null>(null);
  readonly bodies: Bodies;
  source: BodySource | null = null;
  send: (message: ToKernel) => void = () => {};
  private clock = { t: 0, at: 0 };

  constructor() {
    this.bodies = new Bodies(
      () => this.history.peek().head.bodies,
      () => this.source,
    );
  }

  reset(): void {
    this.history.value = new History();
    this.version.value++;
  }

  append(events: readonly RunEvent[], t?: number): void {
    const history = this.history.peek();
    history.append(events);
    this.clock = { t: Math.max(t ?? 0, history.head.time), at: performance.now() };
    this.version.value++;
  }

  /** Whether the run can still change. */
  get alive(): boolean {
    const link = this.link.value;
    return link !== "saved" && link !== "closed" && !this.ended;
  }

  get ended(): boolean {
    return (this.history.value.head.root?.closed ?? null) !== null;
  }

  /** Seconds since the run opened; runs on between messages, but not far. */
  now(): number {
    if (!this.alive) return this.history.peek().head.time;
    return this.clock.t + Math.min(5, (performance.now() - this.clock.at) / 1000);
  }

  command(message: ToKernel): void {
    this.pending.value = message;
    this.send(message);
  }
}

export function savedRun(reading: Reading, source: BodySource | null = null): Run {
  const run = new Run();
  run.id.value = reading.run;
  run.problems.value = reading.problems;
  run.cut.value = reading.cut;
  run.source = source;
  run.append(reading.events);
  return run;
}
