/** The whole view of one run. */

import { useEffect, useMemo, useRef } from "preact/hooks";
import { Inspector } from "../inspect/Inspector";
import { onViewKey } from "../keys";
import type { Run } from "../run";
import { ViewState } from "../state";
import { Announcer } from "./Announcer";
import { Help } from "./Help";
import { Notices, PastNotice } from "./Notices";
import { ProgressLine } from "./ProgressLine";
import { Stepper } from "./Stepper";
import { TimeBar } from "./TimeBar";
import { Toolbar } from "./Toolbar";
import { TreePane } from "./TreePane";

interface Props {
  run: Run;
  /** Start open instead of as one line. */
  open?: boolean;
  /** Take the height of the container, as a document does; a cell's output has its own height. */
  fill?: boolean;
}

const QUIET = 2; // seconds of a live run before anything shows

export function App({ run, open = false, fill = false }: Props) {
  const view = useMemo(() => new ViewState(run, open), [run]);
  useEffect(() => () => view.dispose(), [view]);
  useTick(view);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: keys of everything inside come by here
    <div
      class={`rlm${fill ? " rlm-fill" : ""}`}
      onFocusIn={keepKeys}
      onKeyDown={(event) => onViewKey(view, event)}
    >
      {!isQuiet(view) && <Shown view={view} />}
    </div>
  );
}

/**
 * JupyterLab's command mode must not take our keys: `D D` would delete the cell. Lumino looks for this attribute from
 * the focused element upwards, but stops where a shortcut's selector matches, which may be that element itself.
 */
function keepKeys({ target }: FocusEvent): void {
  (target as HTMLElement).dataset.lmSuppressShortcuts = "true";
}

/** A run of a moment needs no line; anything that goes wrong does. */
function isQuiet(view: ViewState): boolean {
  const { run } = view;
  if (run.link.value === "saved" || run.link.value === "closed" || run.ended) return false;
  const known = run.link.value === "connecting" ? view.age() : view.time.value;
  return known < QUIET && view.paused.value.length === 0;
}

function useTick(view: ViewState): void {
  const { alive } = view.run;
  useEffect(() => {
    if (!alive) return;
    const timer = setInterval(() => view.tick.value++, 250);
    return () => clearInterval(timer);
  }, [view, alive]);
}

function Shown({ view }: { view: ViewState }) {
  return (
    <>
      <ProgressLine view={view} />
      <Notices view={view} />
      {view.open.value && <Opened view={view} />}
      <Announcer view={view} />
    </>
  );
}

function Opened({ view }: { view: ViewState }) {
  const height = useHeight(view);
  const { root } = view.moment.value.tree;
  if (!root && view.step.value === null) return null;
  return (
    <div class="rlm-opened">
      <Stepper view={view} />
      <Toolbar view={view} />
      {view.help.value && <Help view={view} />}
      <div class={`rlm-panes${view.node.value ? " rlm-inspecting" : ""}`} style={{ "--rlm-rows": height }}>
        <TreePane view={view} />
        <Inspector view={view} />
      </div>
      <TimeBar view={view} />
      <PastNotice view={view} />
    </div>
  );
}

/** In rows. Going back in time leaves it as it is now, so that the buttons for that stay where they are. */
function useHeight(view: ViewState): number {
  const now = useRef(0);
  const { length } = view.rows.value;
  if (view.moment.value.step === null) now.current = length;
  return Math.max(now.current, length);
}
