/** Plots and the like that a cell showed. Images are images; HTML and SVG go into a frame that can do nothing. */

import type { Data } from "../protocol";
import { frameDocument, imageSource, pick } from "../rich";

export function Rich({ outputs }: { outputs: unknown[] }) {
  return (
    <div class="rlm-rich">
      {outputs.map((output, i) => (
        <One key={i} output={output} />
      ))}
    </div>
  );
}

function One({ output }: { output: unknown }) {
  const shown = pick(((output as Data).data ?? output) as Data);
  if (!shown) return <p class="rlm-muted">an output without a form that can be shown</p>;
  const image = imageSource(shown);
  if (image) return <img src={image} alt="shown by the model's code" />;
  if (shown.mime === "text/html" || shown.mime === "image/svg+xml")
    return <Frame mime={shown.mime} markup={shown.text} />;
  return <pre>{shown.text}</pre>;
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
