/** Going back and forth in time: buttons, and a slider over the run's shape. */

import { useMemo, useRef } from "preact/hooks";
import { concurrency } from "../concurrency";
import { plural } from "../format";
import { playerOf, SPEEDS, togglePlay } from "../player";
import type { ViewState } from "../state";
import { Button } from "./common";

export function TimeBar({ view }: { view: ViewState }) {
  const { length } = view.run.history.value;
  const step = view.step.value ?? length;
  const go = (to: number) => {
    view.step.value = to >= length ? null : Math.max(0, to);
  };
  return (
    <div class="rlm-timebar">
      <Button label="To the start" onClick={() => go(0)}>
        |◂
      </Button>
      <Button label="A step back" title="A step back (,)" onClick={() => go(step - 1)}>
        ◂
      </Button>
      <PlayButton view={view} />
      <Button label="A step forward" title="A step forward (.)" onClick={() => go(step + 1)}>
        ▸
      </Button>
      <Button label="To now" onClick={() => go(length)}>
        ▸|
      </Button>
      <Speed view={view} />
      <span class="rlm-clock">{`${view.time.value.toFixed(1)} s`}</span>
      <Slider view={view} step={step} length={length} go={go} />
    </div>
  );
}

function PlayButton({ view }: { view: ViewState }) {
  const playing = playerOf(view).playing.value;
  return (
    <Button label={playing ? "Halt" : "Play"} title="Play, halt (Space)" onClick={() => togglePlay(view)}>
      {playing ? "❚❚" : "►"}
    </Button>
  );
}

function Speed({ view }: { view: ViewState }) {
  const { speed, skipWaits } = playerOf(view);
  return (
    <>
      <select
        class="rlm-select"
        aria-label="Speed"
        value={speed.value}
        onChange={(event) => {
          speed.value = Number(event.currentTarget.value);
        }}
      >
        {SPEEDS.map((times) => (
          <option key={times} value={times}>{`${times}×`}</option>
        ))}
      </select>
      <label class="rlm-check" title="Jump over times in which nothing happened">
        <input
          type="checkbox"
          checked={skipWaits.value}
          onChange={(event) => {
            skipWaits.value = event.currentTarget.checked;
          }}
        />
        skip waits
      </label>
    </>
  );
}

interface SliderProps {
  view: ViewState;
  step: number;
  length: number;
  go: (step: number) => void;
}

function Slider({ view, step, length, go }: SliderProps) {
  const history = view.run.history.value;
  const end = Math.max(view.run.now(), 0.001);
  const time = view.step.value === null ? end : view.time.value;
  const track = useRef<HTMLDivElement>(null);
  const toPointer = (event: PointerEvent) => {
    const box = (track.current as HTMLDivElement).getBoundingClientRect();
    go(history.stepAt(((event.clientX - box.left) / box.width) * end));
  };
  return (
    <div
      ref={track}
      class="rlm-slider"
      role="slider"
      tabIndex={0}
      aria-label="Time"
      aria-valuemin={0}
      aria-valuemax={length}
      aria-valuenow={step}
      aria-valuetext={`${time.toFixed(1)} seconds, event ${step} of ${length}`}
      title={`event ${step} of ${plural(length, "event")}`}
      onKeyDown={(event) => onSliderKey(event, step, length, go)}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        toPointer(event);
      }}
      onPointerMove={(event) => event.buttons === 1 && toPointer(event)}
    >
      <Shape view={view} seconds={end} />
      <span class="rlm-thumb" style={{ left: `${(100 * time) / end}%` }} />
    </div>
  );
}

function onSliderKey(event: KeyboardEvent, step: number, length: number, go: (step: number) => void): void {
  const page = Math.max(1, Math.round(length / 20));
  const targets: Record<string, number> = {
    ArrowLeft: step - 1,
    ArrowDown: step - 1,
    ArrowRight: step + 1,
    ArrowUp: step + 1,
    PageDown: step - page,
    PageUp: step + page,
    Home: 0,
    End: length,
  };
  const target = targets[event.key];
  if (target === undefined) return;
  event.preventDefault();
  go(target);
}

const BINS = 240;

/** Calls in flight, one lane per depth. */
function Shape({ view, seconds }: { view: ViewState; seconds: number }) {
  const version = view.run.version.value;
  // The tree changes in place; the version tells when.
  const path = useMemo(() => shapeOf(concurrency(view.run.history.peek().head, seconds, BINS)), [version]);
  return (
    <svg viewBox={`0 0 ${BINS} 1`} preserveAspectRatio="none" aria-hidden="true">
      <path d={path} />
    </svg>
  );
}

function shapeOf(lanes: number[][]): string {
  const height = 1 / Math.max(1, lanes.length);
  return lanes.flatMap((counts, lane) => laneOf(counts, (lane + 1) * height, height * 0.92)).join("");
}

function laneOf(counts: number[], base: number, height: number): string[] {
  const most = Math.max(1, ...counts);
  return counts.map((n, bin) => (n > 0 ? `M${bin} ${base}v${(-n / most) * height}h1V${base}z` : ""));
}
