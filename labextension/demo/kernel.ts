/** The kernel's end of the protocol over made-up events, so that the page behaves as in a notebook. */

import type { Channel } from "../src/view/live";
import type { FromKernel, RunEvent, ToKernel } from "../src/view/protocol";

const BATCH = 400; // events a message

export class DemoKernel implements Channel {
  readonly received: ToKernel[] = [];
  private receive: (message: FromKernel) => void = () => {};
  private closed: () => void = () => {};
  private sent = 0;

  constructor(
    readonly events: RunEvent[],
    private visible = events.length,
  ) {}

  listen(receive: (message: FromKernel) => void, closed: () => void): void {
    this.receive = receive;
    this.closed = closed;
  }

  send(message: ToKernel): void {
    this.received.push(message);
    if (message.cmd === "hello") queueMicrotask(() => this.snapshot(message.have));
    if (message.cmd === "body") queueMicrotask(() => this.body(message.sha256));
  }

  /** Let `n` more events happen. */
  grow(n: number): void {
    this.visible = Math.min(this.events.length, this.visible + n);
    this.flush();
  }

  /** Go on as the run did, in its own time. */
  play(): void {
    const start = performance.now() / 1000 - (this.events[this.visible - 1]?.t ?? 0);
    const timer = setInterval(() => {
      const now = performance.now() / 1000 - start;
      while (this.visible < this.events.length && (this.events[this.visible] as RunEvent).t <= now)
        this.visible++;
      this.flush();
      if (this.visible === this.events.length) clearInterval(timer);
    }, 100);
  }

  die(): void {
    this.closed();
  }

  private snapshot(from: number): void {
    const controls = ["pause", "resume", "step", "stop", "kill", "answer", "decide"];
    this.receive({
      type: "snapshot",
      run: this.events[0]?.run ?? "",
      from,
      to: this.visible,
      live: true,
      controls,
    });
    this.sent = from;
    this.flush();
  }

  private flush(): void {
    do {
      const [from, to] = [this.sent, Math.min(this.visible, this.sent + BATCH)];
      const events = this.events.slice(from, to).filter(({ type }) => type !== "body");
      this.sent = to;
      this.receive({ type: "events", from, to, t: this.events[to - 1]?.t ?? 0, events });
    } while (this.sent < this.visible);
  }

  private body(sha256: string): void {
    const found = this.events.find(({ type, data }) => type === "body" && data.sha256 === sha256);
    this.receive({ type: "body", sha256, text: found ? String(found.data.text) : null });
  }
}
