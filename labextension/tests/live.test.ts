/** The live end: the first events, gaps, silence, bodies. */

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { DemoKernel } from "../demo/kernel";
import { wide } from "../demo/synthetic";
import { type Channel, LiveRun } from "../src/view/live";
import type { FromKernel, RunEvent, ToKernel } from "../src/view/protocol";

class Wire implements Channel {
  sent: ToKernel[] = [];
  receive: (message: FromKernel) => void = () => {};
  closed: () => void = () => {};
  send(message: ToKernel) {
    this.sent.push(message);
  }
  listen(receive: (message: FromKernel) => void, closed: () => void) {
    this.receive = receive;
    this.closed = closed;
  }
}

const events = wide(4);
const snapshot = (from: number, to: number): FromKernel => ({
  type: "snapshot",
  run: "wide-4",
  from,
  to,
  live: true,
  controls: ["stop"],
});
const batch = (from: number, to: number, list: RunEvent[] = events): FromKernel => ({
  type: "events",
  from,
  to,
  t: 1,
  events: list.slice(from, to),
});

function connected() {
  const wire = new Wire();
  const live = new LiveRun(wire, false);
  wire.receive(snapshot(0, 5));
  wire.receive(batch(0, 5));
  return { wire, live, run: live.run };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("a live run", () => {
  it("says hello, loads, and is open", () => {
    const wire = new Wire();
    const { run } = new LiveRun(wire, true);
    expect(wire.sent).toEqual([{ cmd: "hello", have: 0, renderer: true }]);
    expect(run.link.value).toBe("connecting");
    wire.receive(snapshot(0, 5));
    expect([run.link.value, run.loaded.value]).toEqual(["loading", 0]);
    wire.receive(batch(0, 3));
    expect(run.loaded.value).toBeCloseTo(0.6);
    wire.receive(batch(3, 5));
    expect(run.link.value).toBe("open");
    expect(run.controls.value).toEqual(new Set(["stop"]));
  });

  it("says hello again while there is no answer, ever less often", () => {
    const wire = new Wire();
    const { run } = new LiveRun(wire, false);
    vi.advanceTimersByTime(60_000);
    expect(wire.sent.length).toBe(8);
    wire.receive(snapshot(0, 5));
    wire.receive(batch(0, 5));
    vi.advanceTimersByTime(5_000);
    expect(wire.sent.length).toBe(8);
    expect(run.link.value).toBe("open");
  });

  it("asks again from where it is when events are missing, and takes none twice", () => {
    const { wire, run } = connected();
    wire.receive(batch(7, 8));
    wire.receive(batch(8, 9));
    expect(run.history.value.next).toBe(5);
    expect(wire.sent.slice(1)).toEqual([{ cmd: "hello", have: 5, renderer: false }]);
    wire.receive(snapshot(5, 9));
    wire.receive(batch(3, 9));
    expect(run.history.value.length).toBe(9);
  });

  it("asks again when a heartbeat shows that the answer to its question was lost", () => {
    const { wire } = connected();
    wire.receive(batch(7, 9));
    vi.advanceTimersByTime(2000);
    wire.receive(batch(9, 9));
    expect(wire.sent.filter(({ cmd }) => cmd === "hello")).toHaveLength(3);
  });

  it("asks again when told that something was dropped", () => {
    const { wire } = connected();
    wire.receive({ type: "gap" });
    expect(wire.sent.at(-1)).toEqual({ cmd: "hello", have: 5, renderer: false });
  });

  it("starts over when the kernel starts over", () => {
    const { wire, run } = connected();
    wire.receive(snapshot(0, 2));
    wire.receive(batch(0, 2));
    expect(run.history.value.length).toBe(2);
  });

  it("notices silence, and that it ends", () => {
    const { wire, run } = connected();
    vi.advanceTimersByTime(8000);
    expect(run.link.value).toBe("silent");
    wire.receive(batch(5, 5));
    expect(run.link.value).toBe("open");
  });

  it("ends nothing silently when the kernel is gone: what ran is not alive any more", async () => {
    const { wire, live, run } = connected();
    const body = live.fetch("x");
    wire.closed();
    expect(run.link.value).toBe("closed");
    expect(run.alive).toBe(false);
    await expect(body).resolves.toBeNull();
    expect(run.bodies.get("y").value).toEqual({ state: "missing" });
  });

  it("forgets a pending command once the run reacts", () => {
    const { wire, run } = connected();
    run.command({ cmd: "pause" });
    wire.receive(batch(5, 6));
    expect(run.pending.value).toEqual({ cmd: "pause" });
    const held = { seq: 6, t: 1, type: "await", node: "0.1.1", data: { phase: "paused" } };
    wire.receive({ type: "events", from: 6, to: 7, t: 1, events: [held] });
    expect(run.pending.value).toBeNull();
  });
});

describe("bodies", () => {
  it("are asked for once and kept", async () => {
    const { wire, run } = connected();
    expect(run.bodies.get("abc").value.state).toBe("loading");
    run.bodies.get("abc");
    expect(wire.sent.filter(({ cmd }) => cmd === "body")).toHaveLength(1);
    wire.receive({ type: "body", sha256: "abc", text: "hello" });
    await vi.advanceTimersByTimeAsync(0);
    expect(run.bodies.get("abc").value).toEqual({ state: "text", text: "hello" });
  });

  it("say that there was no answer, and can be asked for again", async () => {
    const { wire, run } = connected();
    const body = run.bodies.get("abc");
    await vi.advanceTimersByTimeAsync(10_500);
    expect(body.value).toEqual({ state: "failed", why: "The kernel did not answer in 10 s." });
    run.bodies.retry("abc");
    wire.receive({ type: "body", sha256: "abc", text: null });
    await vi.advanceTimersByTimeAsync(0);
    expect(body.value).toEqual({ state: "missing" });
  });
});

describe("the demo's kernel", () => {
  it("follows the same protocol", async () => {
    const { run } = new LiveRun(new DemoKernel(wide(900), 1000), false);
    await vi.advanceTimersByTimeAsync(0);
    expect(run.history.value.next).toBe(1000);
    expect(run.link.value).toBe("open");
  });

  it("that are cut stay where asking brings nothing", async () => {
    const { wire, run } = connected();
    const cut = { seq: 5, t: 1, type: "body", node: "0", data: { sha256: "abc", text: "cut" } };
    wire.receive({ type: "events", from: 5, to: 6, t: 1, events: [cut] });
    run.bodies.retry("abc");
    wire.receive({ type: "body", sha256: "abc", text: null });
    await vi.advanceTimersByTimeAsync(0);
    const problem = "The kernel does not have it any more.";
    expect(run.bodies.get("abc").value).toEqual({ state: "text", text: "cut", problem });
  });
});
