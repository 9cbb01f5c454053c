/** The demo page: `?run=NAME`, one of the names below. */

import { h, render } from "preact";
import "../style/view.css";
import { LiveRun } from "../src/view/live";
import { readJournal, readRecord } from "../src/view/record";
import { type Run, savedRun } from "../src/view/run";
import { App } from "../src/view/ui/App";
import { DemoKernel } from "./kernel";
import { story, waiting } from "./story";
import { deep, wide } from "./synthetic";

const parameters = new URLSearchParams(location.search);
const name = parameters.get("run") ?? "story";

const saved = (events = story()) => savedRun(readRecord({ v: 1, run: name, events, cut: null }));
const withoutBodies = () => story().filter(({ type }) => type !== "body");
const lines = () => story().map((event) => JSON.stringify(event));

function live(kernel: DemoKernel): Run {
  Object.assign(window, { kernel });
  return new LiveRun(kernel, false).run;
}

const RUNS: Record<string, () => Run> = {
  story: saved,
  missing: () => saved(withoutBodies()),
  live: () => live(new DemoKernel(story(), 60)),
  quick: () => live(new DemoKernel(story(), 5)),
  waiting: () => live(new DemoKernel(waiting())),
  silent: () => live(new DemoKernel([])),
  truncated: () => savedRun(readJournal(`${lines().slice(0, 40).join("\n")}\n{"v": 1, "ru`)),
  corrupt: () => savedRun(readJournal([...lines().slice(0, 40), "{}", ...lines().slice(41)].join("\n"))),
  newer: () => savedRun(readRecord({ v: 2, run: "x", events: [], cut: null })),
  empty: () => savedRun(readJournal("")),
  "live-10000": () => live(new DemoKernel(wide(20_000), 20_000)),
  "open-50000": () => saved(big),
  "all-40000": () => saved(big),
};

const big = name === "open-50000" ? wide(50_000) : name === "all-40000" ? deep(200, 199) : [];
const started = performance.now();
const run = (RUNS[name] ?? saved)();
const place = document.getElementById("view") as HTMLElement;
render(h(App, { run, open: parameters.get("open") !== "0", fill: parameters.has("fill") }), place);
requestAnimationFrame(() =>
  requestAnimationFrame(() => Object.assign(window, { openedIn: performance.now() - started })),
);
Object.assign(window, { run });
