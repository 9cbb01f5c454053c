/** A small run with one of everything, the way a real one looks. */

import type { MessageRef, RunEvent } from "../src/view/protocol";
import { Script, usage } from "./synthetic";

const SYSTEM =
  "You answer a question about a context that is too large to read. It is the variable `context` in a Python session.\nWrite code in ```repl blocks; submit with FINAL(value).";
const QUESTION = "Who betrays whom, and in which chapter is it found out?";
const CARD =
  "context: str, 9,812,344 characters, 171,002 lines\nformat: prose with headings (48 × '## CHAPTER')\nfirst: '## CHAPTER 1\\nIt was a grey morning when Brutus …'";
const PEEK =
  'import re\nheads = [m.start() for m in re.finditer(r"^## CHAPTER", context, re.M)]\nprint(len(heads))\nprint(context[:4000])';
const MAP =
  'parts = [context[a:b] for a, b in zip(heads, heads[1:] + [len(context)])]\nrs = llm_query_batched([f"Who betrays whom here? One line, or NONE.\\n\\n{p}" for p in parts])\nhits = [(i + 1, r) for i, r in enumerate(rs) if "NONE" not in r]\nfor i, r in hits:\n    print(i, r)';
const LOOK = 'deep = rlm_query("In which scene is the betrayal found out?", context=parts[8])\nprint(deep)';
const PNG =
  "iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAYAAACNMs+9AAAAFUlEQVR42mNk+M9Qz0AEYBxVSF+FABJADveWkH6oAAAAAElFTkSuQmCC";
const HOSTILE =
  '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script><b>Brutus</b> & "Caesar" \u202e\u0000';

export function story(): RunEvent[] {
  const add = new Script("7f3a-who-betrays-whom");
  opening(add);
  firstTurn(add);
  mapTurn(add);
  deepTurn(add);
  ending(add);
  return add.events;
}

/** The same, up to the moment when it waits for a person. */
export function waiting(): RunEvent[] {
  const add = new Script("live-waiting");
  opening(add);
  firstTurn(add);
  openTurn(add, 2, "map over the chapters", 1.4, MAP);
  add.add("await", "0.2.1", { phase: "paused", n: 1240, chars: 9_600_000, cost_estimate: 0.38 });
  return add.events;
}

function opening(add: Script): void {
  add.open("0", "run", 0, {
    label: QUESTION,
    query: QUESTION,
    variables: [{ name: "context", card: CARD }],
    models: { root: "openai/gpt-5", sub: "openai/gpt-5-mini" },
    limits: { turns: 20, depth: 2, calls: 1000, cost: 2, seconds: 1800 },
    confinement: "bubblewrap + seccomp: no network, private files",
    versions: { rlm_magic: "0.1.0", python: "3.11.7" },
  });
}

function openTurn(add: Script, n: number, label: string, thinking: number, code: string): void {
  const turn = `0.${n}`;
  const history = Array.from({ length: n - 1 }, (_, i) => [
    add.message(turn, "assistant", `Turn ${i + 1}: I wrote code.`),
    add.message(turn, "user", `Output:\n(observation ${i + 1})\n19 turns, 998 calls left.`),
  ]).flat();
  const prompt = [
    add.message(turn, "system", SYSTEM),
    add.message(turn, "user", `${QUESTION}\n\n${CARD}`),
    ...(n > 2 ? folded(add, turn, history) : history),
  ];
  add.open(turn, "turn", 0, { label, number: n, model: "openai/gpt-5", prompt });
  add.add("await", turn, { phase: "thinking" });
  const reply = add.wait(thinking).text(turn, `Let me ${label}.\n\n\`\`\`repl\n${code}\n\`\`\``);
  const reasoning = add.text(
    turn,
    "The context is long prose with chapters. First its structure, then one call for each chapter.",
  );
  add.add("patch", turn, {
    reply,
    reasoning,
    finish_reason: "stop",
    usage: { ...usage(1840 + 900 * n, 160, 0.006), cached: 1500, reasoning: 64 },
  });
  add.open(`${turn}.1`, "exec", 0, {
    label: code.split("\n")[0] as string,
    code_proposed: add.text(turn, code),
  });
}

/** As sent when old outputs have been folded: one message is not the one before. */
function folded(add: Script, turn: string, history: MessageRef[]): MessageRef[] {
  return history.with(
    1,
    add.message(turn, "user", "Output:\n(folded: 12,001 characters)\n19 turns, 998 calls left."),
  );
}

function firstTurn(add: Script): void {
  openTurn(add, 1, "look at the structure", 2.2, PEEK);
  add.add("patch", "0.1.1", { code: add.text("0.1.1", PEEK) });
  const output = `48\n${"It was a grey morning when Brutus came to the gate, and nobody was there to open. ".repeat(120)}`;
  add.wait(0.04).add("close", "0.1.1", {
    status: "ok",
    output: add.text("0.1.1", output),
    output_chars: output.length,
    shown_chars: 8000,
    changes: [{ name: "heads", type: "list", size: "48 items", new: true }],
    seconds: 0.04,
  });
  add.add("close", "0.1", { status: "ok" });
}

function mapTurn(add: Script): void {
  openTurn(add, 2, "map over the chapters", 3.1, MAP);
  const exec = "0.2.1";
  add.add("patch", exec, { code: add.text(exec, MAP) });
  add.open(`${exec}.1`, "batch", 0, { label: "llm × 48", n: 48, chars: 9_812_344 });
  add.add("await", exec, { phase: "waiting" });
  for (let i = 1; i <= 48; i++) openChapter(add, `${exec}.1.${i}`, i);
  for (let i = 1; i <= 48; i++) closeChapter(add, `${exec}.1.${i}`, i);
  add.add("close", `${exec}.1`, { status: "partial", failed: 1 });
  add.wait(0.1).add("close", exec, {
    status: "ok",
    output: add.text(exec, "9 Brutus betrays Caesar.\n31 Cassius betrays Brutus.\n"),
    output_chars: 52,
    shown_chars: 52,
    changes: [
      { name: "parts", type: "list", size: "48 items", new: true },
      { name: "rs", type: "list", size: "48 items", new: true },
      { name: "hits", type: "list", size: "2 items", new: true },
    ],
    rich: [{ "image/png": add.text(exec, PNG) }, { "text/html": add.text(exec, `<h3>hits</h3>${HOSTILE}`) }],
  });
  add.add("close", "0.2", { status: "ok" });
}

function openChapter(add: Script, node: string, i: number): void {
  const prompt = [
    add.message(node, "user", `Who betrays whom here? One line, or NONE.\n\n## CHAPTER ${i}\n${HOSTILE}`),
  ];
  add.wait(0.05).open(node, "llm", 1, {
    label: `Who betrays whom here? One line, or NONE. ## CHAPTER ${i}`,
    model: "openai/gpt-5-mini",
    prompt,
  });
}

function closeChapter(add: Script, node: string, i: number): void {
  add.wait(0.11);
  if (i === 17) {
    add.add("close", node, {
      status: "error",
      error: { name: "EmptyReply", message: "openai/gpt-5-mini answered nothing (content_filter)" },
    });
    return;
  }
  const retries = i % 11 ? [] : ["429 rate limited, waited 2.1 s", "timeout after 60 s"];
  const reply = add.text(
    node,
    i === 9 ? "Brutus betrays Caesar." : i === 31 ? "Cassius betrays Brutus." : "NONE",
  );
  add.add("close", node, {
    status: "ok",
    reply,
    finish_reason: "stop",
    usage: usage(51_000, 9, 0.0037),
    retries,
    cached: i % 13 === 0,
  });
}

function deepTurn(add: Script): void {
  openTurn(add, 3, "read chapter 9 closely", 2.6, LOOK);
  const exec = "0.3.1";
  const edited = LOOK.replace("is the betrayal found out", "is it found out, and by whom");
  add.add("await", exec, { phase: "paused" });
  add.wait(4).add("human", exec, { action: "run", text: "ask for the person too" });
  add.add("patch", exec, { code: add.text(exec, edited) });
  const child = `${exec}.1`;
  add.open(child, "rlm", 1, {
    label: "In which scene is it found out, and by whom?",
    query: "In which scene is it found out, and by whom?",
  });
  for (let i = 1; i <= 2; i++) {
    const turn = `${child}.${i}`;
    add.open(turn, "turn", 1, { label: i === 1 ? "split into scenes" : "submit", number: i });
    add.wait(1.3).add("patch", turn, { usage: usage(2100, 80, null) });
    add.open(`${turn}.1`, "exec", 1, {
      label: i === 1 ? "scenes = context.split('***')" : "FINAL('scene 4, by Portia')",
    });
    add.wait(0.02).add("close", `${turn}.1`, {
      status: "ok",
      changes: i === 1 ? [{ name: "scenes", type: "list", size: "7 items", new: true }] : [],
    });
    add.add("close", turn, { status: "ok" });
  }
  add.add("close", child, {
    status: "ok",
    outcome: "answered",
    answer: add.text(child, "scene 4, by Portia"),
  });
  const error = {
    name: "NameError",
    message: "name 'deeep' is not defined",
    traceback: "line 2\n    print(deeep)\nNameError: name 'deeep' is not defined",
  };
  add.add("close", exec, {
    status: "error",
    output: add.text(exec, ""),
    output_chars: 0,
    shown_chars: 0,
    error,
  });
  add.add("close", "0.3", { status: "ok" });
}

function ending(add: Script): void {
  const answer = add.text(
    "0",
    "Brutus betrays Caesar (chapter 9); Portia finds it out in scene 4.\nCassius betrays Brutus (chapter 31).",
  );
  add.wait(1.9).open("0.4", "answer", 0, {
    label: "Brutus betrays Caesar (chapter 9); Portia finds it out in scene 4.",
    via: "FINAL",
    answer,
  });
  add.add("close", "0.4", { status: "ok" });
  add.add("close", "0", { status: "ok", outcome: "answered", answer });
}
