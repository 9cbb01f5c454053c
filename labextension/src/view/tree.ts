/** Events to the tree of nodes: a fold with no input but the events (twin of `rlm_magic/engine/tree.py`). */

import type { BodyRef, Data, RunEvent, Usage } from "./protocol";

export const STATUSES = ["ok", "partial", "error", "stopped", "limit", "skipped"];
const STRUCTURE = new Set(["kind", "parent", "depth", "status"]);

/** Roll-up of a node and all below it. `cost` adds the known prices; `unpriced` counts calls without one. */
export interface Sums {
  calls: number;
  running: number;
  failed: number;
  input: number;
  output: number;
  cost: number;
  unpriced: number;
}

/** One row of the tree. `status` is "running" until the node closes; times are seconds since the run opened. */
export interface TreeNode {
  id: string;
  kind: string;
  parent: string | null;
  depth: number;
  opened: number;
  closed: number | null;
  status: string;
  phase: string;
  children: string[];
  human: Data[];
  fields: Data;
  sums: Sums;
  /** What the last "await" said beside its phase. Not part of the fold's result. */
  awaiting: Data;
  /** The generation that may change this object; older generations share it. */
  owner: number;
}

const noSums = (): Sums => ({ calls: 0, running: 0, failed: 0, input: 0, output: 0, cost: 0, unpriced: 0 });

let generations = 0;

/**
 * The state of a run after some of its events. Forks share nodes until either side changes them, so a fork costs one
 * array of pointers. `bodies` (hash to text) only grows and is shared by all forks.
 */
export class Tree {
  time = 0;
  private generation = ++generations;

  private constructor(
    private readonly list: TreeNode[],
    private readonly places: Map<string, number>,
    readonly bodies: Map<string, string>,
  ) {}

  static empty(bodies = new Map<string, string>()): Tree {
    return new Tree([], new Map(), bodies);
  }

  /** A tree that goes on from here on its own. */
  fork(): Tree {
    const copy = new Tree(this.list.slice(), this.places, this.bodies);
    copy.time = this.time;
    this.generation = ++generations;
    return copy;
  }

  /** Nodes in order of opening. */
  get nodes(): readonly TreeNode[] {
    return this.list;
  }

  get root(): TreeNode | undefined {
    return this.get("0");
  }

  get(id: string | null): TreeNode | undefined {
    const place = id === null ? undefined : this.places.get(id);
    return place === undefined ? undefined : this.list[place];
  }

  /** Take the next event. Events of unknown type, or for a node that was never opened, change nothing. */
  apply(event: RunEvent): void {
    this.time = Math.max(this.time, event.t);
    if (event.type === "body") this.bodies.set(String(event.data.sha256), String(event.data.text));
    else if (event.type === "open") this.open(event);
    else if (this.get(event.node)) this.change(this.own(event.node), event);
  }

  private open(event: RunEvent): void {
    const { kind, parent, depth } = event.data;
    const node: TreeNode = {
      id: event.node,
      kind: String(kind),
      parent: typeof parent === "string" ? parent : null,
      depth: Number(depth ?? 0),
      opened: event.t,
      closed: null,
      status: "running",
      phase: "",
      children: [],
      human: [],
      fields: {},
      sums: noSums(),
      awaiting: {},
      owner: this.generation,
    };
    this.place(node);
    if (this.get(node.parent)) this.own(node.parent as string).children.push(node.id);
    this.merge(node, event);
    if (node.kind === "llm") this.add(node, { running: 1 });
  }

  /** Forks share `places`: the same events always give the same node the same place. */
  private place(node: TreeNode): void {
    const place = this.places.get(node.id) ?? this.list.length;
    this.places.set(node.id, place);
    this.list[place] = node;
  }

  private change(node: TreeNode, event: RunEvent): void {
    if (event.type === "patch") this.merge(node, event);
    else if (event.type === "human") node.human.push({ ...event.data });
    else if (event.type === "close" && node.closed === null) this.close(node, event);
    else if (event.type === "await") {
      node.phase = String(event.data.phase ?? "");
      node.awaiting = event.data;
    }
  }

  private close(node: TreeNode, event: RunEvent): void {
    const status = String(event.data.status);
    node.closed = event.t;
    node.phase = "";
    node.status = STATUSES.includes(status) ? status : "error";
    this.merge(node, event);
    if (node.kind === "llm") this.add(node, { running: -1, failed: node.status === "error" ? 1 : 0 });
  }

  private merge(node: TreeNode, event: RunEvent): void {
    const known = "usage" in node.fields;
    for (const [name, value] of Object.entries(event.data)) {
      if (!STRUCTURE.has(name)) node.fields[name] = value;
    }
    if (!known && "usage" in node.fields) this.addUsage(node, (node.fields.usage ?? {}) as Partial<Usage>);
  }

  private addUsage(node: TreeNode, usage: Partial<Usage>): void {
    const cost = usage.cost ?? null;
    this.add(node, {
      calls: 1,
      input: usage.input ?? 0,
      output: usage.output ?? 0,
      cost: cost ?? 0,
      unpriced: cost === null ? 1 : 0,
    });
  }

  private add(node: TreeNode, amounts: Partial<Sums>): void {
    for (let id: string | null = node.id; this.get(id); ) {
      const { sums, parent }: TreeNode = this.own(id as string);
      for (const name of Object.keys(amounts) as (keyof Sums)[]) sums[name] += amounts[name] as number;
      id = parent;
    }
  }

  /** The node as an object that this tree alone may change. */
  private own(id: string): TreeNode {
    const place = this.places.get(id) as number;
    const node = this.list[place] as TreeNode;
    if (node.owner === this.generation) return node;
    const copy: TreeNode = {
      ...node,
      children: node.children.slice(),
      human: node.human.slice(),
      fields: { ...node.fields },
      sums: { ...node.sums },
      owner: this.generation,
    };
    this.list[place] = copy;
    return copy;
  }

  /** A node and all below it, parents first. */
  *walk(start = "0"): Generator<TreeNode> {
    const stack = [start];
    while (stack.length > 0) {
      const node = this.get(stack.pop() as string);
      if (!node) continue;
      yield node;
      for (let i = node.children.length - 1; i >= 0; i--) stack.push(node.children[i] as string);
    }
  }

  /** The text that a body field refers to; undefined if there is no field or the body was not kept. */
  body(reference: BodyRef | undefined): string | undefined {
    return reference && this.bodies.get(reference.sha256);
  }
}

export const label = (node: TreeNode): string => String(node.fields.label ?? "");
