/** Playing a run again, 1 to 32 times as fast. Nothing is executed: the tree is folded anew. */

import { type Signal, signal } from "@preact/signals";
import type { ViewState } from "./state";

export const SPEEDS = [1, 2, 4, 8, 16, 32];
const WAIT = 0.5; // seconds without an event that "skip waits" jumps over

export interface Player {
  playing: Signal<boolean>;
  speed: Signal<number>;
  skipWaits: Signal<boolean>;
}

const players = new WeakMap<ViewState, Player>();

export function playerOf(view: ViewState): Player {
  const known = players.get(view);
  if (known) return known;
  const player = { playing: signal(false), speed: signal(1), skipWaits: signal(false) };
  players.set(view, player);
  return player;
}

export function togglePlay(view: ViewState): void {
  const { playing } = playerOf(view);
  playing.value = !playing.value;
  if (playing.value) play(view);
}

function play(view: ViewState): void {
  const player = playerOf(view);
  const history = view.run.history.peek();
  if (view.step.peek() === null) view.step.value = 0;
  let now = history.timeAt(view.step.peek() ?? 0);
  let last = performance.now();
  const frame = (at: number) => {
    const step = view.step.peek();
    if (!player.playing.peek() || step === null) {
      player.playing.value = false;
      return;
    }
    now = advance(view, now, ((at - last) / 1000) * player.speed.peek());
    last = at;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}

/** The second that shows after `seconds` more of the run's time. */
function advance(view: ViewState, now: number, seconds: number): number {
  const history = view.run.history.peek();
  const step = view.step.peek() ?? 0;
  const next = history.timeAt(step + 1);
  const skip = playerOf(view).skipWaits.peek() && next - now > WAIT;
  const time = skip ? next : now + seconds;
  const target = history.stepAt(time);
  if (target !== step) view.step.value = target >= history.length ? null : target;
  return time;
}
