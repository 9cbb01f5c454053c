/** Python code in colours. */

import { useMemo } from "preact/hooks";
import { pieces } from "../python";

export function Python({ code }: { code: string }) {
  const cut = useMemo(() => pieces(code), [code]);
  return (
    <>
      {cut.map(({ text, kind }, i) =>
        kind === "" ? (
          text
        ) : (
          <span key={i} class={`rlm-py-${kind}`}>
            {text}
          </span>
        ),
      )}
    </>
  );
}
