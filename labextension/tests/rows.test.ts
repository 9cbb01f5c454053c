/** Rows, windows of long lists, and filters. */

import { describe, expect, it } from "vitest";
import { deep, wide } from "../demo/synthetic";
import { type Filter, matching, NO_FILTER } from "../src/view/filter";
import { History } from "../src/view/history";
import type { RunEvent } from "../src/view/protocol";
import { pathTo, rowFor, rowsOf } from "../src/view/rows";
import type { Tree } from "../src/view/tree";
import { scrollToShow, visibleSpan } from "../src/view/window";

function treeOf(events: RunEvent[]): Tree {
  const history = new History();
  history.append(events);
  return history.head;
}

const ids = (tree: Tree, open: [string, boolean][] = [], filter?: Partial<Filter>) =>
  rowsOf(tree, new Map(open), filter ? matching(tree, { ...NO_FILTER, ...filter }, false) : null).map(
    ({ id }) => id,
  );

describe("rows", () => {
  it("opens the run's own thread and keeps batches closed", () => {
    expect(ids(treeOf(wide(5)))).toEqual(["0", "0.1", "0.1.1", "0.1.1.1"]);
  });

  it("opens and closes what the user asks", () => {
    const tree = treeOf(wide(3));
    expect(ids(tree, [["0.1.1.1", true]])).toHaveLength(7);
    expect(ids(tree, [["0.1", false]])).toEqual(["0", "0.1"]);
  });

  it("tells level, place and number of siblings", () => {
    const row = rowsOf(treeOf(wide(3)), new Map([["0.1.1.1", true]]), null)[5];
    expect(row).toMatchObject({ id: "0.1.1.1.2", level: 5, place: 2, siblings: 3, expandable: false });
  });

  it("opens a long batch in windows of 100", () => {
    const tree = treeOf(wide(1050));
    const closed = rowsOf(tree, new Map([["0.1.1.1", true]]), null);
    expect(closed).toHaveLength(4 + 11);
    expect(closed.at(-1)?.window).toMatchObject({ first: 1000, last: 1050 });
    expect(
      ids(tree, [
        ["0.1.1.1", true],
        ["0.1.1.1#1000", true],
      ]),
    ).toHaveLength(4 + 11 + 50);
  });

  it("finds the way to a node inside a window, and the row that hides it", () => {
    const tree = treeOf(wide(1050));
    const path = pathTo(tree, "0.1.1.1.777");
    expect(path).toEqual(["0.1.1.1#700", "0.1.1.1", "0.1.1", "0.1", "0"]);
    const hidden = rowsOf(tree, new Map(), null);
    expect(hidden[rowFor(hidden, tree, "0.1.1.1.777")]?.id).toBe("0.1.1.1");
    const open = rowsOf(tree, new Map(path.map((id) => [id, true])), null);
    expect(open[rowFor(open, tree, "0.1.1.1.777")]?.id).toBe("0.1.1.1.777");
  });
});

describe("filters", () => {
  it("keep the ancestors of a match", () => {
    expect(ids(treeOf(wide(150)), [], { statuses: new Set(["error"]) })).toEqual([
      "0",
      "0.1",
      "0.1.1",
      "0.1.1.1",
      "0.1.1.1.97",
    ]);
  });

  it("look at text in any case, kind and status together", () => {
    const tree = treeOf(deep(3, 4));
    expect(matching(tree, { ...NO_FILTER, text: "SECTION 2." }, false)?.matched).toHaveLength(4);
    expect(
      matching(tree, { ...NO_FILTER, text: "part", kinds: new Set(["turn"]) }, false)?.matched,
    ).toHaveLength(3);
    expect(matching(tree, { ...NO_FILTER, text: "no such text" }, false)?.matched).toEqual([]);
    expect(ids(tree, [], { text: "no such text" })).toEqual([]);
  });

  it("are off when empty", () =>
    expect(matching(treeOf(wide(1)), { ...NO_FILTER, text: "  " }, false)).toBeNull());
});

describe("windowing", () => {
  it("spans the rows in sight with some to spare", () => {
    expect(visibleSpan(2400, 240, 10_000)).toEqual({ first: 92, last: 118 });
    expect(visibleSpan(0, 240, 5)).toEqual({ first: 0, last: 5 });
    expect(visibleSpan(9999, 240, 5)).toEqual({ first: 5, last: 5 });
  });

  it("scrolls no further than needed", () => {
    expect(scrollToShow(3, 0, 240)).toBe(0);
    expect(scrollToShow(20, 0, 240)).toBe(264);
    expect(scrollToShow(2, 240, 240)).toBe(48);
  });
});
