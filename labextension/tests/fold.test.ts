/** The fold agrees with Python's on the shared vectors, whole and at every step in between. */

import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { deep, wide } from "../demo/synthetic";
import { History } from "../src/view/history";
import type { RunEvent } from "../src/view/protocol";
import { Tree, type TreeNode } from "../src/view/tree";

const FOLDER = `${import.meta.dirname}/../../tests/vectors/`;
const VECTORS = readdirSync(FOLDER).filter((name) => name.endsWith(".jsonl"));

const read = (name: string): RunEvent[] =>
  readFileSync(FOLDER + name, "utf8")
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));

const plain = ({ owner: _, awaiting: __, ...node }: TreeNode) => node;
const asJson = (tree: Tree) => ({
  time: tree.time,
  nodes: tree.nodes.map(plain),
  bodies: Object.fromEntries(tree.bodies),
});

function folded(events: readonly RunEvent[]): Tree {
  const tree = Tree.empty();
  for (const event of events) tree.apply(event);
  return tree;
}

describe("the fold", () => {
  it("has vectors to agree on", () => expect(VECTORS.length).toBeGreaterThan(4));

  it.each(VECTORS)("gives Python's tree for %s", (name) => {
    const expected = JSON.parse(readFileSync(FOLDER + name.replace(".jsonl", ".tree.json"), "utf8"));
    expect(asJson(folded(read(name)))).toEqual(expected);
  });

  it("walks parents before children", () => {
    const tree = folded(wide(5));
    expect([...tree.walk()].map(({ id }) => id)).toEqual([
      "0",
      "0.1",
      "0.1.1",
      "0.1.1.1",
      ...[1, 2, 3, 4, 5].map((i) => `0.1.1.1.${i}`),
    ]);
  });

  it("leaves a fork alone when it goes on, and the other way round", () => {
    const events = wide(4);
    const tree = folded(events.slice(0, 6));
    const before = JSON.stringify(asJson(tree).nodes);
    const fork = tree.fork();
    for (const event of events.slice(6)) tree.apply(event);
    expect(JSON.stringify(asJson(fork).nodes)).toBe(before);
    for (const event of events.slice(6)) fork.apply(event);
    expect(asJson(fork)).toEqual(asJson(tree));
  });
});

describe("going back in time", () => {
  const events = deep(60, 40); // more than two checkpoints
  const history = new History();
  history.append(events);

  it.each([0, 1, 1999, 2000, 2001, 3999, 4000, 17, 4300])("shows the tree after %i events", (step) => {
    const tree = history.at(step);
    expect(asJson(tree).nodes).toEqual(asJson(folded(events.slice(0, step))).nodes);
  });

  it("finds the step of a time and the time of a step", () => {
    expect(history.stepAt(-1)).toBe(0);
    expect(history.stepAt(history.head.time)).toBe(history.length);
    const step = history.stepAt(10);
    expect(history.timeAt(step)).toBeLessThanOrEqual(10);
    expect((history.events[step] as RunEvent).t).toBeGreaterThan(10);
  });

  it("does not count bodies as steps", () => {
    const body = { seq: events.length, t: 99, type: "body", node: "0", data: { sha256: "x", text: "long" } };
    const other = new History();
    other.append([...events, body]);
    expect(other.length).toBe(events.length);
    expect(other.next).toBe(events.length + 1);
    expect(other.head.bodies.get("x")).toBe("long");
  });
});
