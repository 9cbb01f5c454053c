/** Builds the demo page's script. */

import { build } from "esbuild";

await build({
  entryPoints: ["demo/demo.ts"],
  outdir: "demo/dist",
  bundle: true,
  format: "esm",
  target: "es2022",
  jsx: "automatic",
  jsxImportSource: "preact",
});
