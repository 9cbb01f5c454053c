/** A body's text: asked for when it shows, long ones a page at a time. Always plain text nodes. */

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { chars } from "../format";
import type { BodyRef } from "../protocol";
import type { ViewState } from "../state";
import { Button } from "../ui/common";
import { Python } from "../ui/Python";
import type { Shown } from "./tabs";

const PAGE = 100_000; // characters
const MOST_AT_ONCE = 1_000_000; // characters that the kernel sends of one text

interface Props {
  view: ViewState;
  reference: BodyRef;
  /** Shows the text in a way of its own. */
  render?: (text: string) => ComponentChildren;
}

export function BodyText({ view, reference, render = plain }: Props) {
  const { bodies } = view.run;
  const body = bodies.get(reference.sha256).value;
  if (body.state === "text") {
    return (
      <>
        {isCut(body.text, reference) && (
          <CutNote view={view} reference={reference} length={body.text.length} problem={body.problem ?? ""} />
        )}
        {render(body.text)}
      </>
    );
  }
  if (body.state === "loading") return <p class="rlm-muted">{`loading ${chars(reference.chars)}…`}</p>;
  const why = body.state === "missing" ? "not embedded" : body.why;
  return (
    <div class="rlm-missing">
      <p>
        <b>{why}</b>
        {body.state === "missing" && ` — ${chars(reference.chars)}`}
        {body.state === "missing" && reference.preview !== "" && "; its beginning:"}{" "}
        {body.state === "failed" && <Button onClick={() => bodies.retry(reference.sha256)}>Ask again</Button>}
      </p>
      {reference.preview !== "" && <pre>{reference.preview}</pre>}
    </div>
  );
}

/** Records keep long texts without their middle. */
const isCut = (text: string, { chars: whole }: BodyRef): boolean => text.length < whole;

interface CutProps extends Props {
  /** Characters that are here. */
  length: number;
  /** Why asking for more brought nothing. */
  problem: string;
}

function CutNote({ view, reference, length, problem }: CutProps) {
  const { bodies } = view.run;
  const moreToHave = bodies.canAsk && length < MOST_AT_ONCE;
  return (
    <p class="rlm-notice">
      {`Here without its middle: it has ${chars(reference.chars)}. ${problem}`}
      {moreToHave && (
        <Button onClick={() => bodies.retry(reference.sha256)}>Ask the kernel for more of it</Button>
      )}
    </p>
  );
}

const plain = (text: string) => <Pages text={text} />;

export function Pages({ text }: { text: string }) {
  const [end, setEnd] = useState(PAGE);
  if (text === "") return <p class="rlm-muted">empty</p>;
  return (
    <>
      <pre>{text.slice(0, end)}</pre>
      {end < text.length && (
        <Button
          onClick={() => setEnd(end + 10 * PAGE)}
        >{`show more (${chars(text.length - end)} left)`}</Button>
      )}
    </>
  );
}

/** A tab with one text and its length, and a button that copies all of it. */
export function textTab(field: string) {
  return ({ view, node }: Shown) => {
    const reference = node.fields[field] as BodyRef;
    return (
      <>
        <TextBar view={view} reference={reference} />
        <BodyText view={view} reference={reference} />
      </>
    );
  };
}

interface BarProps extends Props {
  name?: string;
  /** Instead of the name. */
  children?: ComponentChildren;
  /** Whether the text shows, and so has been asked for. */
  open?: boolean;
}

export function TextBar({ view, reference, name, children, open = true }: BarProps) {
  return (
    <div class="rlm-textbar">
      {children ?? (name && <b>{name}</b>)}
      <span class="rlm-muted">{chars(reference.chars)}</span>
      <span class="rlm-gap" />
      {open && <Copy view={view} reference={reference} />}
    </div>
  );
}

function Copy({ view, reference }: Props) {
  const [done, setDone] = useState("Copy");
  const body = view.run.bodies.get(reference.sha256).value;
  if (body.state !== "text") return null;
  const copy = () =>
    navigator.clipboard.writeText(body.text).then(
      () => setDone("Copied"),
      () => setDone("Not allowed"),
    );
  return <Button onClick={copy}>{done}</Button>;
}

/** The code that ran and, if a person changed it, what the model proposed. */
export function Code({ view, node }: Shown) {
  const { code, code_proposed: proposed } = node.fields as Record<string, BodyRef | undefined>;
  const edited = code && proposed && code.sha256 !== proposed.sha256;
  return (
    <>
      {node.human.map((said, i) => (
        <p class="rlm-notice" key={i}>{`a person: ${said.action}${said.text ? ` — ${said.text}` : ""}`}</p>
      ))}
      {code && <NamedText view={view} name={edited ? "ran (edited)" : ""} reference={code} />}
      {proposed && (edited || !code) && (
        <NamedText view={view} name="proposed by the model" reference={proposed} />
      )}
    </>
  );
}

function NamedText({ view, name, reference }: { view: ViewState; name: string; reference: BodyRef }) {
  return (
    <>
      <TextBar view={view} name={name} reference={reference} />
      <BodyText view={view} reference={reference} render={(text) => <Numbered text={text} />} />
    </>
  );
}

function Numbered({ text }: { text: string }) {
  const numbers = Array.from({ length: text.split("\n").length }, (_, i) => i + 1).join("\n");
  return (
    <div class="rlm-code">
      <pre aria-hidden="true">{numbers}</pre>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: code that scrolls has to take the focus */}
      <pre tabIndex={0}>
        <Python code={text} />
      </pre>
    </div>
  );
}
