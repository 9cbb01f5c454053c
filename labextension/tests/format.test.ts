/** Figures and words: what is not known is never a zero. */

import { describe, expect, it } from "vitest";
import { wide } from "../demo/synthetic";
import { concurrency } from "../src/view/concurrency";
import { splitAtCut } from "../src/view/cut";
import { count, dollars, duration, statusOf, sumOfCosts } from "../src/view/format";
import { tabsOf } from "../src/view/inspect/tabs";
import { compareMessages } from "../src/view/prompts";
import { frameDocument, imageSource, isImage, pick } from "../src/view/rich";
import { Tree, type TreeNode } from "../src/view/tree";

const sums = (calls: number, cost: number, unpriced: number) => ({
  calls,
  cost,
  unpriced,
  running: 0,
  failed: 0,
  input: 0,
  output: 0,
});

describe("costs", () => {
  it.each([
    [null, "—"],
    [undefined, "—"],
    [0, "$0"],
    [0.00001, "<$0.0001"],
    [0.0037, "$0.0037"],
    [0.214, "$0.21"],
    [123.4, "$123"],
  ])("%s shows as %s", (cost, shown) => expect(dollars(cost)).toBe(shown));

  it("add up to a dash if none is known, to at least the known ones else", () => {
    expect(sumOfCosts(sums(3, 0, 3))).toBe("—");
    expect(sumOfCosts(sums(3, 0.5, 1))).toBe("≥$0.50");
    expect(sumOfCosts(sums(3, 0.5, 0))).toBe("$0.50");
    expect(sumOfCosts(sums(0, 0, 0))).toBe("$0");
  });
});

describe("sizes and times", () => {
  it.each([
    [0, "0"],
    [999, "999"],
    [9_500, "9.5k"],
    [182_000, "182k"],
    [999_600, "1.0M"],
    [4_100_000, "4.1M"],
  ])("%i is %s", (n, shown) => expect(count(n)).toBe(shown));

  it.each([
    [0.0451, "45 ms"],
    [6.24, "6.2 s"],
    [72, "72 s"],
    [724, "12m04s"],
    [3725, "1h02m"],
    [59.96, "60 s"],
  ])("%d s is %s", (s, shown) => expect(duration(s)).toBe(shown));
});

describe("status", () => {
  const node = (status: string, phase = "") => ({ status, phase }) as TreeNode;
  it("of an open node depends on whether the run lives", () => {
    expect(statusOf(node("running"), true)).toBe("running");
    expect(statusOf(node("running", "paused"), true)).toBe("paused");
    expect(statusOf(node("running", "paused"), false)).toBe("interrupted");
    expect(statusOf(node("limit"), false)).toBe("limit");
  });
});

describe("the cut of an output", () => {
  it("is head and tail as Python takes them", () =>
    expect(splitAtCut("abcdefghij", 5)).toEqual({ head: "abc", unseen: "defgh", tail: "ij" }));
  it("counts characters as Python does", () =>
    expect(splitAtCut("😀😀😀😀", 2)).toEqual({ head: "😀", unseen: "😀😀", tail: "😀" }));
  it("shows all of a text that was cut before it came", () =>
    expect(splitAtCut("abcd", 4)).toEqual({ head: "ab", unseen: "", tail: "cd" }));
});

describe("prompts", () => {
  const message = (sha256: string) => ({ role: "user", sha256, chars: 1, preview: "" });
  it("are compared message by message", () => {
    const changes = compareMessages(["a", "x", "c"].map(message), ["a", "b"].map(message));
    expect(changes.map(({ change }) => change)).toEqual(["same", "changed", "new"]);
    expect(changes[1]?.was?.sha256).toBe("b");
  });
});

describe("rich outputs", () => {
  it("prefer a picture, then markup, then text", () => {
    const at = (sha256: string) => ({ sha256, chars: 1, preview: "" });
    expect(pick({ "text/plain": at("t"), "image/png": at("p") })).toEqual({
      mime: "image/png",
      body: at("p"),
    });
    expect(pick({ "text/plain": at("t"), "text/html": at("h") })?.mime).toBe("text/html");
    expect(pick({ "application/json": at("j"), "text/html": "no reference" })).toBeNull();
  });

  it("take base64 only as a picture's data", () => {
    expect(imageSource("image/png", "iVBO\nRw==")).toBe("data:image/png;base64,iVBORw==");
    expect(imageSource("image/png", 'x" onerror="alert(1)')).toBeNull();
    expect(isImage("image/svg+xml")).toBe(false);
  });

  it("put the policy before the markup", () =>
    expect(frameDocument("<script>")).toMatch(
      /^<!doctype html><meta http-equiv="Content-Security-Policy" content="default-src 'none'/,
    ));
});

describe("the shape of a run", () => {
  it("counts the calls in flight", () => {
    const tree = Tree.empty();
    for (const event of wide(40)) tree.apply(event);
    const lanes = concurrency(tree, tree.time, 50);
    expect(Math.max(...(lanes[1] ?? []))).toBeGreaterThan(25);
    expect(lanes[0]?.[0]).toBe(1);
  });
});

describe("a reply that was kept from another run", () => {
  const tree = Tree.empty();
  tree.apply({
    seq: 0,
    t: 0,
    type: "open",
    node: "0",
    data: { kind: "run", parent: null, depth: 0, label: "q" },
  });
  tree.apply({
    seq: 1,
    t: 0,
    type: "open",
    node: "0.1",
    data: { kind: "llm", parent: "0", depth: 1, label: "x" },
  });
  const saved = { input: 1200, output: 30, cached: 0, reasoning: 0, cost: 0.02 };
  tree.apply({ seq: 2, t: 0, type: "patch", node: "0.1", data: { cached: true, saved } });
  tree.apply({ seq: 3, t: 0, type: "close", node: "0.1", data: { status: "ok" } });

  it("is no call of this run, and still shows what it saved", () => {
    expect(tree.get("0")?.sums.calls).toBe(0);
    expect(tabsOf(tree.get("0.1") as TreeNode).map(({ name }) => name)).toContain("Usage");
  });
});
