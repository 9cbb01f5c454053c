/** Reading a saved run: what is damaged, cut or too new is said, and what can be shown is shown. */

import { crc32 } from "./crc32";
import { type CutRecord, type RunEvent, type StaticRecord, VERSION } from "./protocol";

export interface Reading {
  run: string;
  events: RunEvent[];
  cut: CutRecord | null;
  problems: string[];
}

const DEEPEST = 200; // levels; a real run has a few dozen

/** Read the JSON of `application/vnd.rlm-magic.run+json`. */
export function readRecord(value: unknown): Reading {
  const record = (value ?? {}) as Partial<StaticRecord>;
  if (typeof value !== "object" || !Array.isArray(record.events))
    return failed("This is not a saved run: it has no events.");
  const newer = newerVersion(record.v);
  if (newer) return failed(newer);
  const bad = record.events.findIndex((event) => !isEvent(event));
  const events = bad < 0 ? record.events : record.events.slice(0, bad);
  const problems = bad < 0 ? [] : [`Event ${bad} is damaged: shown are the ${events.length} before it.`];
  return { run: String(record.run ?? ""), events, cut: record.cut ?? null, problems };
}

/** Read a run's journal (`rlm_magic/trace/journal.py`): one JSON object a line, with a checksum. */
export function readJournal(text: string): Reading {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const events: RunEvent[] = [];
  for (const [i, line] of lines.entries()) {
    const event = parse(line);
    const problem = problemOf(line, event, events.length, i + 1, i === lines.length - 1);
    if (problem) return { run: runOf(events), events, cut: null, problems: [problem] };
    events.push(event as RunEvent);
  }
  if (events.length === 0)
    return failed("The record is empty: the run ended before its first event was written.");
  return { run: runOf(events), events, cut: null, problems: [] };
}

function problemOf(text: string, event: unknown, seq: number, line: number, last: boolean): string | null {
  const shown = `shown are the ${seq} events before it.`;
  if (event === undefined && last) return `The record ends in the middle of line ${line}: ${shown}`;
  const newer = newerVersion((event as Partial<RunEvent> | undefined)?.v);
  if (newer) return newer;
  if (!isEvent(event) || !isIntact(text)) return `Line ${line} is damaged: ${shown}`;
  return event.seq === seq
    ? null
    : `Event ${seq} is missing (line ${line} holds event ${event.seq}): ${shown}`;
}

function newerVersion(v: unknown): string | null {
  return typeof v === "number" && v > VERSION
    ? `The record is of version ${v}, and this viewer reads up to version ${VERSION}: update rlm_magic.`
    : null;
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/** Well-formed, and its node below its parent by name, so that no cycle can come in. */
function isEvent(value: unknown): value is RunEvent {
  const event = (value ?? {}) as Partial<RunEvent>;
  return (
    Number.isInteger(event.seq) &&
    Number.isFinite(event.t) &&
    typeof event.type === "string" &&
    typeof event.node === "string" &&
    typeof event.data === "object" &&
    event.data !== null &&
    (event.type !== "open" || isPlaced(event.node, event.data.parent ?? null))
  );
}

function isPlaced(node: string, parent: unknown): boolean {
  const cut = node.lastIndexOf(".");
  const above = cut < 0 ? null : node.slice(0, cut);
  return parent === above && node.split(".").length <= DEEPEST;
}

const CHECKED = /^\{"crc":"([0-9a-f]{8})",/;

/** Whether a line is as it was written; lines without a checksum pass. */
function isIntact(line: string): boolean {
  const crc = CHECKED.exec(line);
  return crc === null || crc32(line, crc[0].length, "{") === crc[1];
}

const runOf = (events: RunEvent[]): string => String(events[0]?.run ?? "");
const failed = (problem: string): Reading => ({ run: "", events: [], cut: null, problems: [problem] });
