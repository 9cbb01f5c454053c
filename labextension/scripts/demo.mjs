/** Builds the demo page into a folder (demo/dist): open its index.html, with ?run=NAME for the runs of demo.ts. */

import { copyFileSync } from "node:fs";
import { build } from "esbuild";

const outdir = process.argv[2] ?? "demo/dist";

await build({
  entryPoints: ["demo/demo.ts"],
  outdir,
  bundle: true,
  target: "es2022",
  jsx: "automatic",
  jsxImportSource: "preact",
});
copyFileSync("demo/index.html", `${outdir}/index.html`);
