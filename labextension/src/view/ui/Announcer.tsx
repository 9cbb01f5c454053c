/** Speaks to screen readers: a pause at once, progress at most every five seconds. */

import { useEffect, useState } from "preact/hooks";
import { statusOf } from "../format";
import { phaseWords } from "../phase";
import type { ViewState } from "../state";

const EVERY = 5000; // ms

export function Announcer({ view }: { view: ViewState }) {
  const [said, setSaid] = useState("");
  useEffect(() => {
    const speak = () => setSaid(summary(view));
    speak();
    const timer = setInterval(speak, EVERY);
    return () => clearInterval(timer);
  }, [view]);
  const waiting = view.paused.value.length;
  return (
    <>
      <div class="rlm-spoken" aria-live="polite">
        {said}
      </div>
      <div class="rlm-spoken" aria-live="assertive">
        {waiting > 0 ? "Paused: the run waits for you" : ""}
      </div>
    </>
  );
}

function summary(view: ViewState): string {
  const { tree, alive } = view.moment.peek();
  const { root } = tree;
  if (!root) return "";
  return `${phaseWords(tree, statusOf(root, alive))}, ${root.sums.calls} calls done`;
}
