/** `%%rlm` cells hold a question: they are coloured as prose, not as broken Python. */

import type { Cell, NotebookPanel } from "./notebook";

const PROSE = "text/x-ipythongfm"; // JupyterLab's Markdown
const MAGIC = /^\s*%%rlm(\s|$)/;

export function watchProse(panel: NotebookPanel): void {
  const { content } = panel;
  const watched = new WeakSet<Cell>();
  const watchAll = () => {
    for (const cell of content.model?.cells ?? []) {
      if (cell.type === "code" && !watched.has(cell)) watch(cell, content);
      watched.add(cell);
    }
  };
  const onModel = () => {
    content.model?.cells.changed.connect(watchAll);
    watchAll();
  };
  content.modelChanged.connect(onModel);
  onModel();
}

function watch(cell: Cell, content: NotebookPanel["content"]): void {
  const update = () => {
    const prose = MAGIC.test(cell.sharedModel.getSource());
    if (prose) cell.mimeType = PROSE;
    else if (cell.mimeType === PROSE) cell.mimeType = content.codeMimetype;
  };
  cell.contentChanged.connect(update);
  cell.mimeTypeChanged.connect(update);
  update();
}
