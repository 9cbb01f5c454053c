/** What is wrong or missing, in words, with what to do. */

import { plural } from "../format";
import type { ViewState } from "../state";
import { Button } from "./common";

interface Notice {
  text: string;
  bad: boolean;
}

export function Notices({ view }: { view: ViewState }) {
  const notices = [
    ...linkNotices(view),
    ...view.run.problems.value.map((text) => ({ text, bad: true })),
    ...rootNotices(view),
    ...cutNotices(view),
  ];
  return (
    <>
      {notices.map(({ text, bad }) => (
        <p class={`rlm-notice ${bad ? "rlm-bad" : ""}`} role={bad ? "alert" : "status"} key={text}>
          {text}
        </p>
      ))}
      {!view.open.value && <PastNotice view={view} />}
    </>
  );
}

function linkNotices({ run }: ViewState): Notice[] {
  const link = run.link.value;
  if (link === "connecting") {
    return [
      {
        text: "Waiting for the kernel. If it is busy and cannot be reached meanwhile, the run shows when the cell ends; interrupt the kernel to stop it.",
        bad: false,
      },
    ];
  }
  if (link === "loading")
    return [{ text: `Loading the run: ${Math.round(run.loaded.value * 100)}%.`, bad: false }];
  if (link === "silent")
    return [
      {
        text: "The kernel has said nothing for some seconds: it is busy or gone. This is the last that is known.",
        bad: true,
      },
    ];
  if (link === "closed" && !run.ended)
    return [
      {
        text: "The connection to the kernel is gone; what was running is marked interrupted. The run's record can be opened with %rlm show.",
        bad: true,
      },
    ];
  return [];
}

function rootNotices(view: ViewState): Notice[] {
  const { tree } = view.moment.value;
  const { root } = tree;
  const text = root?.fields.reason ?? root?.fields.error;
  if (!root || root.closed === null || !text) return [];
  return [{ text: typeof text === "string" ? text : JSON.stringify(text), bad: root.status === "error" }];
}

function cutNotices({ run }: ViewState): Notice[] {
  const cut = run.cut.value;
  if (!cut) return [];
  const parts = [cut.nodes && plural(cut.nodes, "row"), cut.bodies && plural(cut.bodies, "text")].filter(
    Boolean,
  );
  const text = `To stay small this record leaves out ${parts.join(" and ")}; the figures of this line cover all.`;
  return [{ text, bad: false }];
}

/** Below the time bar while that is open, so that its buttons stay where they are. */
export function PastNotice({ view }: { view: ViewState }) {
  if (view.moment.value.step === null) return null;
  const now = () => {
    view.step.value = null;
  };
  return (
    <p class="rlm-notice" role="status">
      {`As of ${view.time.value.toFixed(2)} s. `}
      <Button onClick={now}>Back to now</Button>
    </p>
  );
}
