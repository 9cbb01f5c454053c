/** The keys. */

import type { ViewState } from "../state";
import { Button } from "./common";

const KEYS: [string, string][] = [
  ["↑ ↓  K J", "row up, down"],
  ["← →", "close or go to parent, open or go to child"],
  ["Home End", "first, last row"],
  ["*", "open the row and those beside it"],
  ["[ ]", "sibling before, after"],
  ["Enter", "to the inspector"],
  ["Esc", "back to the tree, then to the cell"],
  ["/  n N", "find; next, previous match"],
  ["e", "next error"],
  [", .", "a step back, forward in time"],
  ["Space", "play, halt"],
  ["F9 F10", "resume, step"],
  ["?", "these keys"],
];

export function Help({ view }: { view: ViewState }) {
  const close = () => {
    view.help.value = false;
  };
  return (
    <section class="rlm-help" aria-label="Keys">
      <dl>
        {KEYS.map(([keys, what]) => (
          <div key={keys}>
            <dt>{keys}</dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <Button onClick={close}>Close</Button>
    </section>
  );
}
