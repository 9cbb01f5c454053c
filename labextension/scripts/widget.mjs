/** Builds the anywidget module and its style sheet into the Python package. */

import { build } from "esbuild";

await build({
  entryPoints: { view: "src/anywidget.ts" },
  outdir: "../rlm_magic/static",
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  charset: "utf8",
  legalComments: "none",
  jsx: "automatic",
  jsxImportSource: "preact",
});
