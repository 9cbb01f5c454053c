/** Shows saved runs: the record in a notebook's output or a `.rlm.json` file, and a `.rlm.jsonl` journal. */

import type { IRenderMime } from "@jupyterlab/rendermime-interfaces";
import { Widget } from "@lumino/widgets";
import { h, render } from "preact";
import { shared } from "./view/handoff";
import { JOURNAL_MIME, RECORD_MIME } from "./view/protocol";
import { type Reading, readJournal, readRecord } from "./view/record";
import { savedRun } from "./view/run";
import { App } from "./view/ui/App";

class RunRenderer extends Widget implements IRenderMime.IRenderer {
  constructor(
    private readonly mime: string,
    private readonly read: (data: unknown) => Reading,
  ) {
    super();
    this.addClass("rlm-output");
  }

  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    const reading = this.read(model.data[this.mime]);
    const isDocument = this.node.closest(".jp-MimeDocument") !== null;
    const run = savedRun(reading, shared.bodies?.(reading.run, this.node) ?? null);
    render(h(App, { key: reading.run, run, open: isDocument, fill: isDocument }), this.node);
  }

  override dispose(): void {
    if (this.isDisposed) return;
    render(null, this.node);
    super.dispose();
  }
}

interface Kind {
  name: string;
  mime: string;
  extension: string;
  format: "json" | "text";
  read: (data: unknown) => Reading;
}

function extensionFor({ name, mime, extension, format, read }: Kind): IRenderMime.IExtension {
  const displayName = format === "json" ? "RLM run" : "RLM journal";
  return {
    id: `rlm-magic:${name}`,
    rank: 0,
    dataType: format === "json" ? "json" : "string",
    rendererFactory: { safe: true, mimeTypes: [mime], createRenderer: () => new RunRenderer(mime, read) },
    fileTypes: [{ name, displayName, fileFormat: format, mimeTypes: [mime], extensions: [extension] }],
    documentWidgetFactoryOptions: {
      name: displayName,
      primaryFileType: name,
      fileTypes: [name],
      defaultFor: [name],
    },
  };
}

export default [
  extensionFor({
    name: "rlm-run",
    mime: RECORD_MIME,
    extension: ".rlm.json",
    format: "json",
    read: readRecord,
  }),
  extensionFor({
    name: "rlm-journal",
    mime: JOURNAL_MIME,
    extension: ".rlm.jsonl",
    format: "text",
    read: (data) => readJournal(String(data ?? "")),
  }),
];
