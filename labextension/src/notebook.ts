/** The little of JupyterLab's notebook that is used here, by shape: its package is not needed to build. */

import type { Kernel } from "@jupyterlab/services";
import type { ISignal } from "@lumino/signaling";
import type { Widget } from "@lumino/widgets";

interface Output {
  data: Record<string, unknown>;
}

export interface Cell {
  type: string;
  mimeType: string;
  sharedModel: { getSource(): string };
  contentChanged: ISignal<unknown, unknown>;
  mimeTypeChanged: ISignal<unknown, unknown>;
  outputs?: { length: number; get(index: number): Output };
}

export interface Cells extends Iterable<Cell> {
  changed: ISignal<unknown, unknown>;
}

export interface NotebookPanel extends Widget {
  content: Widget & {
    model: { cells: Cells } | null;
    codeMimetype: string;
    modelChanged: ISignal<unknown, unknown>;
  };
  sessionContext: { session: { kernel: Kernel.IKernelConnection | null } | null };
}

export function isNotebook(widget: Widget | null | undefined): widget is NotebookPanel {
  const panel = widget as Partial<NotebookPanel> | null | undefined;
  return panel?.sessionContext !== undefined && "codeMimetype" in (panel.content ?? {});
}

/** The last output of a notebook that has data of a MIME type. */
export function lastOutput(panel: NotebookPanel, mime: string): unknown {
  const outputs = [...(panel.content.model?.cells ?? [])].flatMap(outputsOf);
  return outputs.findLast(({ data }) => data[mime] !== undefined)?.data[mime];
}

function outputsOf({ outputs }: Cell): Output[] {
  return outputs ? Array.from({ length: outputs.length }, (_, i) => outputs.get(i)) : [];
}
