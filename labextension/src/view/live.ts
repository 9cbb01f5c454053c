/** The view's end of a live run: takes what the kernel sends, notices gaps and silence. */

import type { BodySource } from "./bodies";
import type { FromKernel, RunEvent, ToKernel } from "./protocol";
import { Run } from "./run";

/** A way to the kernel; `closed` is called when it is gone for good. */
export interface Channel {
  send(message: ToKernel): void;
  listen(receive: (message: FromKernel) => void, closed: () => void): void;
}

const SILENCE = 6000; // ms without a word after which the user is told; the kernel speaks every 2 s
const FIRST_WAIT = 250; // ms
const BODY_WAIT = 10_000; // ms
const ANSWER_WAIT = 1000; // ms

interface Waiting {
  resolve: (text: string | null) => void;
  timer: ReturnType<typeof setTimeout>;
}

export class LiveRun implements BodySource {
  readonly run = new Run();
  private readonly waiting = new Map<string, Waiting>();
  private goal = 0;
  private lastWord = Date.now();
  /** When the last hello was sent that has no answer yet. */
  private asked = 0;
  private readonly watch: ReturnType<typeof setInterval>;

  /** `renderer`: whether something else here will show the saved run. */
  constructor(
    private readonly channel: Channel,
    private readonly renderer: boolean,
  ) {
    const { run } = this;
    run.link.value = "connecting";
    run.source = this;
    run.send = (message) => channel.send(message);
    channel.listen(
      (message) => this.receive(message),
      () => this.close(),
    );
    this.watch = setInterval(() => this.look(), 1000);
    this.introduce(FIRST_WAIT);
  }

  /**
   * JupyterLab makes the subshell on which a busy kernel hears us when the first message is sent; that message itself
   * may wait until the cell ends. So say it again, at growing distances.
   */
  private introduce(wait: number): void {
    if (this.run.link.peek() !== "connecting") return;
    this.hello();
    setTimeout(() => this.introduce(2 * wait), wait);
  }

  close(): void {
    clearInterval(this.watch);
    this.run.link.value = "closed";
    this.run.source = null;
    for (const sha256 of [...this.waiting.keys()]) this.answer(sha256, null);
  }

  fetch(sha256: string): Promise<string | null> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiting.delete(sha256);
        reject(new Error("The kernel did not answer in 10 s."));
      }, BODY_WAIT);
      this.waiting.set(sha256, { resolve, timer });
      this.channel.send({ cmd: "body", sha256 });
    });
  }

  private receive(message: FromKernel): void {
    this.lastWord = Date.now();
    if (message.type === "snapshot") this.snapshot(message);
    else if (message.type === "events") this.events(message);
    else if (message.type === "body") this.answer(message.sha256, message.text);
    else if (message.type === "gap") this.hello();
  }

  private snapshot(message: FromKernel & { type: "snapshot" }): void {
    const { run } = this;
    this.asked = 0;
    if (message.from === 0) run.reset();
    run.id.value = message.run;
    run.controls.value = new Set(message.live ? message.controls : []);
    this.goal = message.to;
    this.progress();
  }

  private events(message: FromKernel & { type: "events" }): void {
    const history = this.run.history.peek();
    if (message.from > history.next) {
      this.askAgain();
      return;
    }
    const fresh = message.events.filter((event) => event.seq >= history.next);
    this.settle(fresh);
    this.run.append(fresh, message.t);
    history.next = Math.max(history.next, message.to);
    this.progress();
  }

  /** Behind a gap come more batches, which are not worth a word each. */
  private askAgain(): void {
    if (Date.now() - this.asked >= ANSWER_WAIT) this.hello();
  }

  /** A command counts as taken when the run does something that a command can cause. */
  private settle(events: readonly RunEvent[]): void {
    if (events.some(({ type }) => type === "await" || type === "human" || type === "close")) {
      this.run.pending.value = null;
    }
  }

  private progress(): void {
    const { next } = this.run.history.peek();
    this.run.loaded.value = this.goal ? Math.min(1, next / this.goal) : 1;
    this.run.link.value = next >= this.goal ? "open" : "loading";
  }

  private answer(sha256: string, text: string | null): void {
    const waiting = this.waiting.get(sha256);
    this.waiting.delete(sha256);
    clearTimeout(waiting?.timer);
    waiting?.resolve(text);
  }

  private hello(): void {
    this.asked = Date.now();
    this.channel.send({ cmd: "hello", have: this.run.history.peek().next, renderer: this.renderer });
  }

  private look(): void {
    const { link } = this.run;
    if (this.run.ended) clearInterval(this.watch);
    else if (Date.now() - this.lastWord < SILENCE) return;
    else if (link.peek() === "open" || link.peek() === "loading") link.value = "silent";
    else if (link.peek() === "silent") this.hello();
  }
}
