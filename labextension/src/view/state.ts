/** What one view of a run shows: the user's side of the state, and what follows from it and the run. */

import { computed, effect, signal, untracked } from "@preact/signals";
import { type Filter, type Match, matching, NO_FILTER } from "./filter";
import { keep, type Place, recall } from "./handoff";
import { isExpanded, pathTo, type Row, rowFor, rowsOf } from "./rows";
import type { Run } from "./run";
import type { Tree, TreeNode } from "./tree";

/** The run at one point in time. A new object for every change, because the tree changes in place. */
export interface Moment {
  tree: Tree;
  /** Events so far; null: now. */
  step: number | null;
  alive: boolean;
}

type Expansion = ReadonlyMap<string, boolean>;

export class ViewState {
  /** For ids: of no other view in the page, also not of one from another build of this module. */
  readonly name = `rlm-${Math.random().toString(36).slice(2)}`;
  readonly open = signal(false);
  readonly selected = signal<string | null>(null);
  readonly filter = signal<Filter>(NO_FILTER);
  readonly follow = signal(true);
  readonly step = signal<number | null>(null);
  readonly tab = signal("");
  readonly help = signal(false);
  private readonly expanded = signal<Expansion>(new Map());
  private readonly expandedInFilter = signal<Expansion>(new Map());

  readonly moment = computed<Moment>(() => {
    const { run } = this;
    run.version.value;
    const step = this.step.value;
    const history = run.history.value;
    const past = step !== null && step < history.length;
    return {
      tree: past ? history.at(step) : history.head,
      step: past ? step : null,
      alive: past || run.alive,
    };
  });

  readonly match = computed<Match | null>(() => {
    const { tree, alive } = this.moment.value;
    return matching(tree, this.filter.value, alive);
  });

  readonly rows = computed<Row[]>(() => rowsOf(this.moment.value.tree, this.expansion, this.match.value));

  /** Nodes that wait for a person, now. */
  readonly paused = computed<TreeNode[]>(() => {
    const { tree, alive, step } = this.moment.value;
    return alive && step === null ? tree.nodes.filter((node) => node.phase === "paused") : [];
  });

  /** The selected node as it is now: a copy, because the tree's own changes in place and would look unchanged. */
  readonly node = computed<TreeNode | undefined>(() => {
    const node = this.moment.value.tree.get(this.selected.value);
    return node && { ...node };
  });

  /** Counts up while the run is live, for what shows the time. */
  readonly tick = signal(0);

  /** The second that shows. */
  readonly time = computed(() => {
    this.tick.value;
    const { tree, step } = this.moment.value;
    return step === null ? this.run.now() : tree.time;
  });

  /** Changes with what the user has to see: what waits, or that the run failed. */
  private readonly needsUser = computed(() => {
    const { tree } = this.moment.value;
    return tree.root?.status === "error" ? "error" : this.paused.value.map((node) => node.id).join(" ");
  });

  private readonly born = performance.now();
  private readonly stopWatching: (() => void)[];

  constructor(
    readonly run: Run,
    open: boolean,
  ) {
    this.restore(recall(run.id.peek()), open);
    this.stopWatching = [
      effect(() => keep(run.id.value, () => this.place())),
      effect(() => this.openWhenNeeded()),
    ];
  }

  /** Seconds since this view was made. */
  age(): number {
    this.tick.value;
    return (performance.now() - this.born) / 1000;
  }

  dispose(): void {
    for (const stop of this.stopWatching) stop();
  }

  select(id: string | null): void {
    this.selected.value = id;
    if (id !== null) this.follow.value = false;
  }

  /** Select a node wherever it is. */
  reveal(id: string): void {
    this.uncover(id);
    this.select(id);
  }

  /** Expand what hides a node. */
  private uncover(id: string): void {
    const open = new Map(this.expansion);
    for (const above of pathTo(this.moment.value.tree, id)) open.set(above, true);
    this.setExpansion(open);
  }

  expand(row: Row, open: boolean): void {
    this.setExpansion(new Map(this.expansion).set(row.id, open));
  }

  /** Expand a node and those beside it. */
  expandSiblings(row: Row): void {
    const { tree } = this.moment.value;
    const open = new Map(this.expansion);
    const siblings = tree.get(row.node.parent)?.children ?? [row.node.id];
    for (const id of siblings) open.set(id, true);
    this.setExpansion(open);
  }

  setFilter(change: Partial<Filter>): void {
    this.filter.value = { ...this.filter.value, ...change };
    this.expandedInFilter.value = new Map();
  }

  clearFilter(): void {
    this.setFilter(NO_FILTER);
  }

  isExpanded(node: TreeNode): boolean {
    return isExpanded(node, this.expansion, this.match.value);
  }

  /** Index into `rows` of a node, or of what hides it; -1 if there is none. */
  rowOf(id: string | null): number {
    if (id === null) return -1;
    const exact = this.rows.value.findIndex((row) => row.id === id);
    return exact >= 0 ? exact : rowFor(this.rows.value, this.moment.value.tree, id);
  }

  private get expansion(): Expansion {
    return this.match.value ? this.expandedInFilter.value : this.expanded.value;
  }

  private setExpansion(open: Expansion): void {
    (this.match.value ? this.expandedInFilter : this.expanded).value = open;
  }

  private openWhenNeeded(): void {
    if (this.needsUser.value) untracked(() => this.attend());
  }

  /** Open, and show what waits unless the user looks at something. */
  private attend(): void {
    this.open.value = true;
    const [waiting] = this.paused.value;
    if (waiting && this.follow.value) this.uncover(waiting.id);
  }

  private place(): Place {
    const { open, selected, expanded, step, tab } = this;
    return {
      open: open.value,
      selected: selected.value,
      expanded: expanded.value,
      step: step.value,
      tab: tab.value,
    };
  }

  private restore(place: Place | undefined, open: boolean): void {
    this.open.value = place?.open ?? open;
    if (!place) return;
    this.selected.value = place.selected;
    this.expanded.value = place.expanded;
    this.step.value = place.step;
    this.tab.value = place.tab;
    this.follow.value = place.selected === null;
  }
}
