/** A run, a sub-RLM or a batch in short. */

import { isReference } from "../bodies";
import { dollars, duration } from "../format";
import type { Data } from "../protocol";
import { label } from "../tree";
import { BodyText, TextBar } from "./Text";
import type { Shown } from "./tabs";
import { Fact } from "./Usage";

export function Overview({ view, node }: Shown) {
  const {
    query,
    answer,
    outcome,
    reason,
    confinement,
    started,
    n,
    chars,
    cost_estimate: estimate,
  } = node.fields;
  return (
    <>
      <dl class="rlm-facts">
        <Fact name="question" value={query ?? label(node)} />
        <Fact name="outcome" value={outcome} />
        <Fact name="reason" value={reason} />
        <Fact name="prompts" value={n} />
        <Fact name="characters" value={chars} />
        {typeof estimate === "number" && <Fact name="estimated cost" value={`≈ ${dollars(estimate)}`} />}
        <Fact name="started" value={started} />
        <Fact name="confinement" value={confinement} />
        <Table name="models" of={node.fields.models} />
        <Table name="limits" of={inWords(node.fields.limits)} />
        <Table name="variables" of={node.fields.variables} />
        <Table name="versions" of={node.fields.versions} />
      </dl>
      {isReference(answer) && <TextBar view={view} reference={answer} name="answer" />}
      {isReference(answer) && <BodyText view={view} reference={answer} />}
    </>
  );
}

const LIMIT_WORDS: Record<string, (value: number) => string> = {
  cost: dollars,
  seconds: duration,
  cell_seconds: duration,
  memory: (bytes) => `${Number((bytes / 2 ** 30).toPrecision(3))} GiB`,
};

/** Limits with their units. */
function inWords(limits: unknown): Data {
  const words = Object.entries((limits ?? {}) as Data).map(([name, value]) => {
    const say = typeof value === "number" ? LIMIT_WORDS[name] : undefined;
    return [name.replace("_", " "), say ? say(value as number) : value];
  });
  return Object.fromEntries(words);
}

/** A mapping, or a list of {name, ...}, as one line each. */
function Table({ name, of }: { name: string; of: unknown }) {
  if (typeof of !== "object" || of === null) return <Fact name={name} value={of} />;
  const lines = Array.isArray(of)
    ? of.map(listLine)
    : Object.entries(of).filter(([, value]) => value !== null);
  if (lines.length === 0) return null;
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        {lines.map(([key, value]) => (
          <div key={String(key)}>
            <span class="rlm-muted">{String(key)}</span>{" "}
            {typeof value === "string" ? value : JSON.stringify(value)}
          </div>
        ))}
      </dd>
    </div>
  );
}

function listLine(item: unknown, i: number): [string, unknown] {
  if (typeof item !== "object" || item === null) return [String(i + 1), item];
  const { name, card, ...rest } = item as Data;
  const said =
    typeof card === "string" && card.startsWith(`${name}: `) ? card.slice(`${name}: `.length) : card;
  return [String(name ?? i + 1), said ?? rest];
}
