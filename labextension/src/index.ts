/** What only JupyterLab can do: commands, `%%rlm` cells as prose, and bodies of saved runs from a living kernel. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from "@jupyterlab/application";
import { ICommandPalette, MainAreaWidget, Notification } from "@jupyterlab/apputils";
import { Widget } from "@lumino/widgets";
import { h, render } from "preact";
import { KernelBodies } from "./kernel";
import { isNotebook, lastOutput, type NotebookPanel } from "./notebook";
import { watchProse } from "./prose";
import { shared } from "./view/handoff";
import { RECORD_MIME, type StaticRecord } from "./view/protocol";
import { readRecord } from "./view/record";
import { savedRun } from "./view/run";
import { App } from "./view/ui/App";

const CATEGORY = "RLM";

const plugin: JupyterFrontEndPlugin<void> = {
  id: "rlm-magic:lab",
  description: "Commands and cell colours for %%rlm",
  autoStart: true,
  optional: [ICommandPalette],
  activate(app: JupyterFrontEnd, palette: ICommandPalette | null) {
    shared.renderer = true; // not in mime.ts, which JupyterLab loads even where the extension is disabled
    app.docRegistry.addWidgetExtension("Notebook", {
      createNew: (panel) => {
        if (isNotebook(panel)) watchProse(panel);
      },
    });
    shared.bodies = (run, node) =>
      new KernelBodies(run, () => notebookAround(app, node)?.sessionContext.session?.kernel);
    addCommand(app, palette, "open", "Open the Last Run of This Notebook", (panel) => openRun(app, panel));
    addCommand(app, palette, "stop", "Stop the Run", stopRun);
    addCommand(app, palette, "export", "Export the Last Run of This Notebook", exportRun);
  },
};

export default plugin;

function addCommand(
  app: JupyterFrontEnd,
  palette: ICommandPalette | null,
  name: string,
  label: string,
  act: (panel: NotebookPanel) => unknown,
): void {
  const command = `rlm-magic:${name}`;
  app.commands.addCommand(command, {
    label,
    isEnabled: () => isNotebook(app.shell.currentWidget),
    execute: () => isNotebook(app.shell.currentWidget) && act(app.shell.currentWidget),
  });
  palette?.addItem({ command, category: CATEGORY });
}

function notebookAround(app: JupyterFrontEnd, node: HTMLElement): NotebookPanel | undefined {
  return [...app.shell.widgets("main")].filter(isNotebook).find((panel) => panel.node.contains(node));
}

function lastRun(panel: NotebookPanel): StaticRecord | null {
  const record = lastOutput(panel, RECORD_MIME) as StaticRecord | undefined;
  if (!record) Notification.info("This notebook holds no finished %%rlm run.");
  return record ?? null;
}

class RunWidget extends Widget {
  constructor(record: StaticRecord, panel: NotebookPanel) {
    super();
    this.addClass("rlm-output");
    const source = new KernelBodies(record.run, () => panel.sessionContext.session?.kernel);
    render(h(App, { run: savedRun(readRecord(record), source), open: true, fill: true }), this.node);
  }

  override dispose(): void {
    if (!this.isDisposed) render(null, this.node);
    super.dispose();
  }
}

function openRun(app: JupyterFrontEnd, panel: NotebookPanel): void {
  const record = lastRun(panel);
  if (!record) return;
  const widget = new MainAreaWidget({ content: new RunWidget(record, panel) });
  widget.title.label = `Run ${record.run}`;
  widget.title.closable = true;
  app.shell.add(widget, "main", { mode: "split-right" });
}

/** As Ctrl-C in the running cell; a run in the background is stopped by name. */
function stopRun(panel: NotebookPanel): void {
  const kernel = panel.sessionContext.session?.kernel;
  if (kernel?.status === "busy") void kernel.interrupt();
  else kernel?.requestExecute({ code: "%rlm stop", store_history: false });
}

function exportRun(panel: NotebookPanel): void {
  const record = lastRun(panel);
  if (!record) return;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(record)], { type: "application/json" }));
  link.download = `${record.run}.rlm.json`;
  link.click();
  URL.revokeObjectURL(link.href);
}
