/** A prompt message by message, byte for byte as sent, with what changed since the turn before. */

import { useState } from "preact/hooks";
import { chars, plural } from "../format";
import { compareMessages, type MessageChange, previousPrompt } from "../prompts";
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

function Message({ view, change, first }: { view: Shown["view"]; change: MessageChange; first: boolean }) {
  const { message, was } = change;
  const [open, setOpen] = useState(change.change !== "same");
  const [old, setOld] = useState(false);
  return (
    <section class={`rlm-message rlm-message-${first ? "new" : change.change}`}>
      <TextBar view={view} reference={message} open={open && !old}>
        <button
          type="button"
          class="rlm-button rlm-toggle"
          aria-expanded={open}
          onClick={() => setOpen(!open)}
        >
          {open ? "▾" : "▸"} <b>{message.role}</b>
        </button>
        {!first && <span class="rlm-change">{change.change === "same" ? "as before" : change.change}</span>}
        {was && (
          <Button pressed={old} onClick={() => setOld(!old)}>
            was
          </Button>
        )}
      </TextBar>
      {open && old && was && <BodyText view={view} reference={was} />}
      {open && !old && <BodyText view={view} reference={message} />}
    </section>
  );
}
