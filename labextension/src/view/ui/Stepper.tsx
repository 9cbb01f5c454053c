/** The run waits: show what is about to happen, and let the user decide. */

import { useEffect, useRef, useState } from "preact/hooks";
import { dollars, kindOf, UNKNOWN } from "../format";
import type { Action, BodyRef } from "../protocol";
import type { ViewState } from "../state";
import type { TreeNode } from "../tree";
import { Button } from "./common";
import { Python } from "./Python";

export function Stepper({ view }: { view: ViewState }) {
  const waiting = view.paused.value;
  const away = useRef(false);
  const node = waiting.find(({ id }) => id === view.selected.value) ?? waiting[0];
  if (!node) return null;
  return (
    <section class="rlm-stepper" aria-label="Paused">
      <p class="rlm-stepper-head">
        <b>{`‖ before ${kindOf(node.kind).word} ${node.id}`}</b>
        <span class="rlm-muted">{` depth ${node.depth}`}</span>
        {waiting.length > 1 && <OtherWaiting view={view} node={node} waiting={waiting} />}
      </p>
      <Decision key={node.id} view={view} node={node} away={away} />
    </section>
  );
}

function OtherWaiting({ view, node, waiting }: { view: ViewState; node: TreeNode; waiting: TreeNode[] }) {
  const place = waiting.indexOf(node);
  const next = waiting[(place + 1) % waiting.length] as TreeNode;
  return (
    <Button onClick={() => view.reveal(next.id)}>{`${place + 1} of ${waiting.length} waiting · next`}</Button>
  );
}

interface DecisionProps {
  view: ViewState;
  node: TreeNode;
  /** Whether the focus went to the tree with the last decision, and waits there for the next. */
  away: { current: boolean };
}

function Decision({ view, node, away }: DecisionProps) {
  const fields = useRef<HTMLFieldSetElement>(null);
  useEffect(() => {
    if (away.current && treeBeside(fields.current) === document.activeElement) focusMain(fields.current);
    away.current = false;
  }, []);
  const proposed = useProposed(view, node);
  const [edited, setEdited] = useState<string | null>(null);
  const [note, setNote] = useState("");
  const [decided, setDecided] = useState(false);
  const decide = (action: Action, code?: string) => {
    setDecided(true);
    away.current = true;
    treeBeside(fields.current)?.focus({ preventScroll: true });
    const said = note.trim() === "" ? {} : { note };
    view.run.command({
      cmd: "decide",
      node: node.id,
      action,
      ...said,
      ...(code === undefined ? {} : { code }),
    });
  };
  const changed = edited !== null && edited !== proposed;
  return (
    <fieldset ref={fields} class="rlm-decision" disabled={decided}>
      <AboutToSend node={node} />
      {node.kind === "exec" && <Editor text={edited ?? proposed} onEdit={setEdited} />}
      <input
        class="rlm-note"
        aria-label="Note to the model"
        placeholder="note to the model, word for word (a hint, or why it is skipped)"
        value={note}
        onInput={(event) => setNote(event.currentTarget.value)}
      />
      <div class="rlm-choices">
        <Button kind={changed ? "plain" : "main"} onClick={() => decide("run")} title="As the model wrote it">
          Run
        </Button>
        {node.kind === "exec" && (
          <Button
            kind={changed ? "main" : "plain"}
            disabled={!changed}
            onClick={() => decide("run", edited ?? "")}
          >
            Run edited
          </Button>
        )}
        <Button onClick={() => decide("skip")} title="Do not run it; the model is told, with the note">
          Skip
        </Button>
        <Button
          disabled={note.trim() === ""}
          onClick={() => decide("run", changed ? (edited ?? "") : undefined)}
          title="Run, and give the model the note"
        >
          Hint
        </Button>
        <Button onClick={() => decide("answer")} title="End here with an answer from what is known">
          Answer now
        </Button>
        <Button kind="warn" onClick={() => view.run.command({ cmd: "stop" })}>
          Stop
        </Button>
        {decided && <output class="rlm-muted">sent to the kernel…</output>}
      </div>
    </fieldset>
  );
}

const treeBeside = (element: Element | null): HTMLElement | null =>
  element?.closest(".rlm")?.querySelector<HTMLElement>("[role=tree]") ?? null;

const focusMain = (fields: Element | null): void =>
  fields?.querySelector<HTMLElement>(".rlm-main")?.focus({ preventScroll: true });

/** The model's code for the cell; empty until it has come. */
function useProposed(view: ViewState, node: TreeNode): string {
  const reference = (node.fields.code_proposed ?? node.fields.code) as BodyRef | undefined;
  const body = reference && view.run.bodies.get(reference.sha256).value;
  return body?.state === "text" ? body.text : "";
}

/** A text area without ink over the same text in colours. */
function Editor({ text, onEdit }: { text: string; onEdit: (text: string) => void }) {
  const lines = text.split("\n").length;
  const colours = useRef<HTMLPreElement>(null);
  return (
    <div class="rlm-editing">
      <pre ref={colours} aria-hidden="true">
        <Python code={text} />
        {"\n"}
      </pre>
      <textarea
        class="rlm-editor"
        aria-label="Code to run"
        spellcheck={false}
        rows={Math.min(18, Math.max(4, lines + 1))}
        value={text}
        onInput={(event) => onEdit(event.currentTarget.value)}
        onScroll={({ currentTarget: { scrollLeft, scrollTop } }) =>
          colours.current?.scrollTo(scrollLeft, scrollTop)
        }
      />
    </div>
  );
}

/** Of a batch: how much, and what it may cost. */
function AboutToSend({ node }: { node: TreeNode }) {
  const { n, chars, cost_estimate: cost } = { ...node.fields, ...node.awaiting };
  if (typeof n !== "number") return null;
  const price = typeof cost === "number" ? `≈ ${dollars(cost)} (estimate)` : `cost ${UNKNOWN}`;
  const size = typeof chars === "number" ? `, ${chars.toLocaleString("en-US")} characters` : "";
  return <p class="rlm-send">{`will send ${n.toLocaleString("en-US")} prompts${size}, ${price}`}</p>;
}
