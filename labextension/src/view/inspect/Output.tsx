/** A cell's output, with a line where the model's view of it was cut. */

import { splitAtCut } from "../cut";
import { chars } from "../format";
import type { BodyRef, Data } from "../protocol";
import { Rich } from "./Rich";
import { BodyText, Pages, TextBar } from "./Text";
import type { Shown } from "./tabs";

export function Output({ view, node }: Shown) {
  const { output, error, rich, lost } = node.fields;
  const reference = output as BodyRef | undefined;
  return (
    <>
      {typeof lost === "string" && lost !== "" && <p class="rlm-notice rlm-bad">{lost}</p>}
      {reference && <TextBar view={view} reference={reference} name="output" />}
      {reference && (
        <BodyText
          view={view}
          reference={reference}
          render={(text) => <Cut text={text} fields={node.fields} />}
        />
      )}
      {error !== undefined && error !== null && <Failure error={error} />}
      {Array.isArray(rich) && <Rich view={view} outputs={rich} />}
    </>
  );
}

function Cut({ text, fields }: { text: string; fields: Data }) {
  const [total, shown] = [
    Number(fields.output_chars ?? text.length),
    Number(fields.shown_chars ?? text.length),
  ];
  if (shown >= total) return <Pages text={text} />;
  const { head, unseen, tail } = splitAtCut(text, shown);
  return (
    <>
      <Pages text={head} />
      <CutLine
        text={`✂ not seen by the model: ${(total - shown).toLocaleString("en-US")} of ${chars(total)}`}
      />
      {unseen && (
        <div class="rlm-unseen">
          <Pages text={unseen} />
        </div>
      )}
      <CutLine text={"✂ seen again from here"} />
      <Pages text={tail} />
    </>
  );
}

const CutLine = ({ text }: { text: string }) => <p class="rlm-cut">{text}</p>;

function Failure({ error }: { error: unknown }) {
  const { name, message, traceback } = (typeof error === "object" ? error : { message: error }) as Record<
    string,
    unknown
  >;
  return (
    <div class="rlm-failure">
      <p>
        <b>{String(name ?? "error")}</b> {String(message ?? "")}
      </p>
      {typeof traceback === "string" && traceback !== "" && <pre>{traceback}</pre>}
    </div>
  );
}
