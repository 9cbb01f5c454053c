/** Where a view of a run left off, for the next view of it: the live one gives way to the saved one at the end. */

import type { BodySource } from "./bodies";

export interface Place {
  open: boolean;
  selected: string | null;
  expanded: ReadonlyMap<string, boolean>;
  step: number | null;
  tab: string;
}

interface Shared {
  places: Map<string, () => Place>;
  /** Set by the JupyterLab extension: it shows saved runs. */
  renderer: boolean;
  /** Set by the JupyterLab extension: where a saved run's other bodies are, for the view at an element. */
  bodies?: (run: string, at: HTMLElement) => BodySource;
}

/** One per page: the anywidget module and the JupyterLab extension are built apart and meet here. */
export const shared = ((): Shared => {
  const key = Symbol.for("rlm_magic.view");
  const page = globalThis as unknown as Record<symbol, Shared | undefined>;
  page[key] ??= { places: new Map(), renderer: false };
  return page[key];
})();

export const recall = (run: string): Place | undefined => shared.places.get(run)?.();

export function keep(run: string, place: () => Place): void {
  if (run) shared.places.set(run, place);
}
