/** Saved runs: whole, cut, damaged, newer, hostile. */

import { describe, expect, it } from "vitest";
import { wide } from "../demo/synthetic";
import { crc32 } from "../src/view/crc32";
import { readJournal, readRecord } from "../src/view/record";

const events = wide(3);
const line = (event: object) => {
  const json = JSON.stringify(event);
  return `{"crc":"${crc32(json)}",${json.slice(1)}`;
};
const journal = events.map(line);

describe("a journal", () => {
  it("reads whole", () => {
    const { run, events: read, problems } = readJournal(`${journal.join("\n")}\n`);
    expect({ run, n: read.length, problems }).toEqual({ run: "wide-3", n: events.length, problems: [] });
  });

  it("shows what is before a cut line", () => {
    const { events: read, problems } = readJournal(
      `${journal.slice(0, 4).join("\n")}\n${journal[4]?.slice(0, 30)}`,
    );
    expect(read).toHaveLength(4);
    expect(problems[0]).toContain("ends in the middle of line 5");
  });

  it("notices a changed byte by the checksum", () => {
    const changed = journal.with(3, (journal[3] as string).replace("llm_query_batched", "llm_query_Batched"));
    const { events: read, problems } = readJournal(changed.join("\n"));
    expect(read).toHaveLength(3);
    expect(problems[0]).toContain("Line 4 is damaged");
  });

  it("notices a missing line", () => {
    expect(readJournal(journal.toSpliced(3, 1).join("\n")).problems[0]).toContain("Event 3 is missing");
  });

  it("says that it is newer, or empty", () => {
    expect(readJournal(line({ ...events[0], v: 2 })).problems[0]).toContain("update rlm_magic");
    expect(readJournal("\n").problems[0]).toContain("empty");
  });
});

describe("a record", () => {
  it("reads whole", () => {
    expect(readRecord({ v: 1, run: "r", events, cut: null })).toMatchObject({ run: "r", problems: [] });
  });

  it.each([[null], ["text"], [[]], [{}], [{ events: 3 }]])("says that %j is none", (value) => {
    expect(readRecord(value).problems).toEqual(["This is not a saved run: it has no events."]);
  });

  it("says that it is newer", () => {
    expect(readRecord({ v: 7, events: [] }).problems[0]).toContain("version 7");
  });

  it("refuses a node that is not below its parent, which could make a cycle", () => {
    const loop = { seq: 1, t: 0, type: "open", node: "0.1", data: { kind: "turn", parent: "0.1" } };
    const { events: read, problems } = readRecord({ v: 1, run: "r", events: [events[0], loop], cut: null });
    expect(read).toHaveLength(1);
    expect(problems[0]).toContain("Event 1 is damaged");
  });
});

describe("crc32", () => {
  it("is zlib's", () => expect(crc32("123456789")).toBe("cbf43926"));
});
