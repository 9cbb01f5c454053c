/** One line: what the run does, what it used, and the buttons to hold or end it. */

import { count, dollars, duration, type Status, statusOf, sumOfCosts } from "../format";
import { phaseWords } from "../phase";
import type { Command, Data } from "../protocol";
import type { ViewState } from "../state";
import type { Sums, Tree, TreeNode } from "../tree";
import { Button, StatusMark } from "./common";
import { Dropdown } from "./Dropdown";

const OFFLINE = "rlm-offline/";

export function ProgressLine({ view }: { view: ViewState }) {
  const { root } = view.moment.value.tree;
  const open = view.open.value;
  return (
    <div class="rlm-progress">
      <button
        type="button"
        class="rlm-button rlm-toggle"
        aria-expanded={open}
        aria-label={open ? "Close the recursion tree" : "Open the recursion tree"}
        onClick={() => {
          view.open.value = !open;
        }}
      >
        {open ? "▾" : "▸"}
      </button>
      {root ? <Figures view={view} root={root} /> : <span class="rlm-line">{emptyWords(view)}</span>}
      <Controls view={view} />
    </div>
  );
}

function emptyWords({ run, step }: ViewState): string {
  if (run.link.value === "connecting") return "waiting for the kernel";
  if (step.value !== null) return "not begun";
  if (run.link.value === "loading") return `loading ${Math.round(run.loaded.value * 100)}%`;
  return "no run to show";
}

function Figures({ view, root }: { view: ViewState; root: TreeNode }) {
  const { tree, alive } = view.moment.value;
  const limits = (root.fields.limits ?? {}) as Data;
  const status: Status = view.paused.value.length > 0 ? "paused" : statusOf(root, alive);
  const sums = withCut(root.sums, view);
  return (
    <span class="rlm-line">
      <StatusMark status={status} />
      <span class="rlm-figure rlm-phase">{phaseWords(tree, status)}</span>
      <span class="rlm-figure" title="turns of the root model, and their limit">
        {`T${turnsOf(tree, root)}${typeof limits.turns === "number" ? `/${limits.turns}` : ""}`}
      </span>
      <Calls sums={sums} cached={root.fields.cached_calls} alive={alive} />
      <span class="rlm-figure" title="tokens sent and received, all calls">
        {`${count(sums.input)}→${count(sums.output)} tok`}
      </span>
      <span class="rlm-figure" title="cost, and its limit; — where a price is not known">
        {sumOfCosts(sums)}
        {typeof limits.cost === "number" && `/${dollars(limits.cost)}`}
      </span>
      <span class="rlm-figure" title="elapsed">
        {duration((root.closed ?? view.time.value) - root.opened)}
      </span>
      {settings(root).map((words) => (
        <span key={words} class="rlm-figure rlm-muted">
          {words}
        </span>
      ))}
    </span>
  );
}

/** How the code was confined, and whether a language model took part at all. */
function settings(root: TreeNode): string[] {
  const { confinement, models } = root.fields;
  const names = Object.values((models ?? {}) as Data);
  const offline = names.some((name) => String(name).startsWith(OFFLINE));
  const words = typeof confinement === "string" ? [confinement] : [];
  return offline ? [...words, "offline policy, no language model"] : words;
}

/** What the whole run used, with what its record leaves out. */
function withCut(sums: Sums, { run, step }: ViewState): Sums {
  const left = step.value === null ? run.cut.value?.sums : undefined;
  if (!left) return sums;
  const names = Object.keys(sums) as (keyof Sums)[];
  return Object.fromEntries(names.map((name) => [name, sums[name] + (left[name] ?? 0)])) as unknown as Sums;
}

const turnsOf = (tree: Tree, root: TreeNode): number =>
  root.children.filter((id) => tree.get(id)?.kind === "turn").length;

function Calls({ sums, cached, alive }: { sums: Sums; cached: unknown; alive: boolean }) {
  const { calls, running, failed } = sums;
  return (
    <span class="rlm-figure" title="model calls: done, running (or interrupted), failed, known before">
      {"calls "}
      <span class="rlm-is-ok">{`${calls.toLocaleString("en-US")}✓`}</span>
      {running > 0 && <span class="rlm-is-running">{` ${running}${alive ? "◐" : "?"}`}</span>}
      {failed > 0 && <span class="rlm-is-error">{` ${failed}✕`}</span>}
      {typeof cached === "number" && (
        <span class="rlm-muted">{` ${cached.toLocaleString("en-US")} cached`}</span>
      )}
    </span>
  );
}

function Controls({ view }: { view: ViewState }) {
  const { run } = view;
  if (!run.alive || run.controls.value.size === 0) return null;
  const offered = (command: string) => run.controls.value.has(command);
  const pending = run.pending.value?.cmd;
  const send = (cmd: Command) => run.command({ cmd });
  const held = view.paused.value.length > 0;
  return (
    <div class="rlm-controls">
      {pending && pending !== "decide" && <output class="rlm-muted">{`${pending} sent…`}</output>}
      {offered("pause") && (
        <Button idle={held} onClick={() => send("pause")} title="Hold before the next code or batch">
          Pause
        </Button>
      )}
      {offered("resume") && (
        <Button idle={!held} onClick={() => send("resume")} title="Go on without stopping (F9)">
          Resume
        </Button>
      )}
      {offered("step") && (
        <Button onClick={() => send("step")} title="Go on to the next stop (F10)">
          Step
        </Button>
      )}
      {offered("stop") && <StopButton send={send} offered={offered} />}
    </div>
  );
}

const WAYS: { cmd: Command; name: string; what: string }[] = [
  { cmd: "answer", name: "Answer now", what: "one last call for an answer from what is known" },
  { cmd: "stop", name: "Stop", what: "end every call, keep what there is" },
  { cmd: "kill", name: "Kill", what: "end the subkernels at once" },
];

function StopButton({ send, offered }: { send: (cmd: Command) => void; offered: (cmd: string) => boolean }) {
  return (
    <div class="rlm-split">
      <Button kind="warn" onClick={() => send("stop")} title="End every call, keep what there is">
        Stop
      </Button>
      <Dropdown button="▾" label="Other ways to stop" look="rlm-warn rlm-more">
        {(close) =>
          WAYS.filter(({ cmd }) => offered(cmd)).map(({ cmd, name, what }) => (
            <button
              type="button"
              key={cmd}
              onClick={() => {
                close();
                send(cmd);
              }}
            >
              <b>{name}</b> <span class="rlm-muted">{what}</span>
            </button>
          ))
        }
      </Dropdown>
    </div>
  );
}
