/** Fails if the view has grown over its budget: saved notebooks store the module once per widget. */

import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const BUDGETS = {
  "view.js": { plain: 180_000, packed: 60_000 },
  "view.css": { plain: 40_000, packed: 10_000 },
};
let over = false;

for (const [name, budget] of Object.entries(BUDGETS)) {
  const bytes = readFileSync(new URL(`../../rlm_magic/static/${name}`, import.meta.url));
  const size = { plain: bytes.length, packed: gzipSync(bytes, { level: 9 }).length };
  console.log(`${name}: ${size.plain} bytes of ${budget.plain}, gzipped ${size.packed} of ${budget.packed}`);
  over ||= size.plain > budget.plain || size.packed > budget.packed;
}
process.exit(over ? 1 : 0);
