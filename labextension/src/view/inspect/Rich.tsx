/** Plots and the like that a cell showed. Images are images; HTML and SVG go into a frame that can do nothing. */

import type { Data } from "../protocol";
import { frameDocument, imageSource, isImage, pick } from "../rich";
import type { ViewState } from "../state";
import { BodyText } from "./Text";

export function Rich({ view, outputs }: { view: ViewState; outputs: unknown[] }) {
  return (
    <div class="rlm-rich">
      {outputs.map((output, i) => (
        <One key={i} view={view} output={output} />
      ))}
    </div>
  );
}

function One({ view, output }: { view: ViewState; output: unknown }) {
  const form = pick((output ?? {}) as Data);
  if (!form) return <p class="rlm-muted">an output without a form that can be shown</p>;
  const { mime, body } = form;
  const reference = isImage(mime) ? { ...body, preview: "" } : body;
  return <BodyText view={view} reference={reference} render={(text) => <Shown mime={mime} text={text} />} />;
}

function Shown({ mime, text }: { mime: string; text: string }) {
  if (isImage(mime)) return <Image source={imageSource(mime, text)} />;
  if (mime === "text/html" || mime === "image/svg+xml") return <Frame mime={mime} markup={text} />;
  return <pre>{text}</pre>;
}

function Image({ source }: { source: string | null }) {
  if (source === null) return <p class="rlm-muted">an image of which a part is missing</p>;
  return <img src={source} alt="shown by the model's code" />;
}

/** `sandbox` without any permission: no scripts, no origin, no forms; the document's own policy: no network. */
function Frame({ mime, markup }: { mime: string; markup: string }) {
  return (
    <iframe
      class="rlm-frame"
      title={`${mime} shown by the model's code`}
      sandbox=""
      srcdoc={frameDocument(markup)}
    />
  );
}
