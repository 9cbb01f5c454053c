/** Where the model's view of an output was cut (as `rlm_magic/engine/prompt.py` cuts it: head and tail). */

export interface Cut {
  head: string;
  unseen: string;
  tail: string;
}

/** `shown` counts code points, as Python does. */
export function splitAtCut(text: string, shown: number): Cut {
  const points = /[\ud800-\udfff]/.test(text) ? Array.from(text) : null;
  const length = points?.length ?? text.length;
  const slice = (a: number, b: number) => (points ? points.slice(a, b).join("") : text.slice(a, b));
  const head = Math.min(length, Math.floor((shown + 1) / 2));
  const tail = Math.max(head, length - Math.floor(shown / 2));
  return { head: slice(0, head), unseen: slice(head, tail), tail: slice(tail, length) };
}
