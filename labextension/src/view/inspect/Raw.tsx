/** The node as it is in the record. */

import type { Shown } from "./tabs";

export function Raw({ node }: Shown) {
  const { owner: _, awaiting: __, children, ...rest } = node;
  return <pre>{JSON.stringify({ ...rest, children: children.length }, null, 2)}</pre>;
}
