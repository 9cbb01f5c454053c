/** A prompt message by message, byte for byte as sent, with what changed since the turn before. */

import type { Change } from "diff";
import { useState } from "preact/hooks";
import { chars, plural } from "../format";
import { changes, compareMessages, type MessageChange, previousPrompt } from "../prompts";
import type { MessageRef } from "../protocol";
import { Button } from "../ui/common";
import { BodyText, TextBar } from "./Text";
import type { Shown } from "./tabs";

export function Prompt({ view, node }: Shown) {
  const messages = node.fields.prompt as MessageRef[];
  const before = previousPrompt(view.moment.value.tree, node);
  const changes = compareMessages(messages, before);
  const fresh = changes.filter(({ change }) => change !== "same").length;
  return (
    <>
      <p class="rlm-muted">
        {`${plural(messages.length, "message")}, ${chars(messages.reduce((sum, { chars: n }) => sum + n, 0))}`}
        {before.length > 0 && ` · ${fresh} new or changed since the turn before`}
      </p>
      {changes.map((change, i) => (
        <Message
          key={`${i} ${change.message.sha256}`}
          view={view}
          change={change}
          first={before.length === 0}
        />
      ))}
    </>
  );
}

/** Of a message that changed: as it was sent now, as it was before, or line by line. */
const FORMS = ["now", "was", "diff"] as const;

function Message({ view, change, first }: { view: Shown["view"]; change: MessageChange; first: boolean }) {
  const { message, was } = change;
  const [open, setOpen] = useState(change.change !== "same");
  const [form, setForm] = useState<(typeof FORMS)[number]>("now");
  return (
    <section class={`rlm-message rlm-message-${first ? "new" : change.change}`}>
      <TextBar view={view} reference={message} open={open && form === "now"}>
        <button
          type="button"
          class="rlm-button rlm-toggle"
          aria-expanded={open}
          onClick={() => setOpen(!open)}
        >
          {open ? "▾" : "▸"} <b>{message.role}</b>
        </button>
        {!first && <span class="rlm-change">{change.change === "same" ? "as before" : change.change}</span>}
        {open &&
          was &&
          FORMS.map((name) => (
            <Button key={name} pressed={form === name} onClick={() => setForm(name)}>
              {name}
            </Button>
          ))}
      </TextBar>
      {open && (form !== "diff" || !was) && (
        <BodyText view={view} reference={form === "was" && was ? was : message} />
      )}
      {open && form === "diff" && was && <Diff view={view} was={was} now={message} />}
    </section>
  );
}

function Diff({ view, was, now }: { view: Shown["view"]; was: MessageRef; now: MessageRef }) {
  return (
    <BodyText
      view={view}
      reference={was}
      render={(before) => (
        <BodyText view={view} reference={now} render={(after) => <Lines parts={changes(before, after)} />} />
      )}
    />
  );
}

function Lines({ parts }: { parts: Change[] | undefined }) {
  if (!parts) return <p class="rlm-muted">Too much has changed for a comparison line by line.</p>;
  return (
    <pre class="rlm-diff">
      {parts.map(({ value, added, removed }, i) => {
        if (added) return <ins key={i}>{marked("+ ", value)}</ins>;
        if (removed) return <del key={i}>{marked("− ", value)}</del>;
        return <span key={i}>{marked("  ", value)}</span>;
      })}
    </pre>
  );
}

/** Every line with a mark; there may be none behind the last end of line. */
const marked = (mark: string, lines: string): string =>
  lines
    .split(/(?<=\n)/)
    .map((line) => mark + line)
    .join("");
