"""The view of large runs in a real JupyterLab in a real Chromium: make bench-view

A run of 10,000 sub-calls, live: frames while it grows, frames while its rows scroll, and the page loaded again in
mid-run. Then the journal of a run of 50,000 nodes, opened as a file and scrolled; beside it stands how long JupyterLab
takes to open the same file in its text editor, which fetches it in the same way. Beside the time between two frames
stands what of it was spent on scripts, on style and layout, and on painting: only the first is this project's own.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from rlm_magic.engine.recorder import Recorder
from rlm_magic.engine.types import Message
from rlm_magic.trace.journal import FileJournal
from tests.server import OpenAIServer, Reply, Request, route
from tests.ui.conftest import CHROMIUM, CHROMIUM_ARGS, TOKEN, Lab, serve
from tests.ui.notebook import Notebook

CALLS, NODES = 10_000, 50_000
HELD = 300.0  # seconds for which the last call is held: the run is still under way when the page is loaded again
FRAMES = 150
OPENINGS = 3  # of which the fastest counts
JOURNAL = "large.rlm.jsonl"
LOAD = "%load_ext rlm_magic\ntext = 'one line\\n' * 10_000"
FAN_OUT = f"""```repl
lines = context.split('\\n')[:{CALLS}]
labels = llm_query_batched([f'Is line {{i}} about billing? {{line}}' for i, line in enumerate(lines)])
FINAL(len(labels))
```"""
SCROLL = """async frames => {
  const rows = document.querySelector('.rlm-rows'), times = [];
  for (let i = 0, last = performance.now(); i < frames; i++) {
    rows.scrollTop = (i * 120) % (rows.scrollHeight - rows.clientHeight);
    await new Promise(requestAnimationFrame);
    times.push(performance.now() - last);
    last = performance.now();
  }
  return times;
}"""
WATCH = """async frames => {
  const times = [];
  for (let i = 0, last = performance.now(); i < frames; i++) {
    await new Promise(requestAnimationFrame);
    times.push(performance.now() - last);
    last = performance.now();
  }
  return times;
}"""
PARTS = {"script": "ScriptDuration", "style, layout": "LayoutDuration", "all work": "TaskDuration"}


def last_held(request: Request) -> Reply:
    return Reply("no", delay=HELD if f"line {CALLS - 1} " in request.prompt else 0)


def frames(page: Page, what: str, script: str) -> None:
    """Print the time between frames while ``script`` runs, and what of it each part took on average."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    before = metrics(session)
    times = sorted(page.evaluate(script, FRAMES))
    after = metrics(session)
    spent = {part: 1e3 * (after[name] - before[name]) / FRAMES for part, name in PARTS.items()}
    spent["style, layout"] += 1e3 * (after["RecalcStyleDuration"] - before["RecalcStyleDuration"]) / FRAMES
    shares = ", ".join(f"{part} {ms:.1f}" for part, ms in spent.items())
    median, p95 = times[FRAMES // 2], times[int(0.95 * FRAMES)]
    print(f"{what:<44} frame {median:.0f} ms, p95 {p95:.0f} ms; a frame's {shares} ms", flush=True)


def metrics(session: Any) -> dict[str, float]:
    return {metric["name"]: metric["value"] for metric in session.send("Performance.getMetrics")["metrics"]}


def open_tree(page: Page) -> None:
    page.get_by_role("button", name="Open the recursion tree").click()
    page.get_by_role("treeitem").first.wait_for()


def open_rows(page: Page) -> None:
    """Open every stretch of the long batch that is in reach."""
    page.get_by_role("treeitem").last.click()
    for key in ("ArrowRight", "ArrowDown", "*"):
        page.keyboard.press(key)


def live(page: Page, lab: Lab) -> None:
    with OpenAIServer(route({"root": lambda request: FAN_OUT, "sub": last_held})) as server:
        models = (
            f"-m openai/root -s openai/sub --api-base {server.url} --calls {CALLS + 10} --concurrency 256 --bg -o run"
        )
        notebook = Notebook(page, lab, "live.ipynb", LOAD, f"%%rlm text {models}\nwhich lines are about billing?")
        notebook.run(0)
        notebook.start(1)
        open_tree(page)
        server.wait(lambda s: len(s.requests) > CALLS // 4, 300)
        frames(page, f"{CALLS:,} calls, live, growing", WATCH)
        server.wait(lambda s: len(s.requests) > CALLS, 300)
        page.get_by_text(f"calls {CALLS:,}✓").wait_for()
        open_rows(page)
        frames(page, f"{CALLS:,} calls, live, scrolling", SCROLL)
        notebook.save()
        page.reload()
        page.locator(".rlm-progress").wait_for(state="attached")
        start = time.perf_counter()
        page.get_by_text(f"calls {CALLS:,}✓").wait_for()
        print(f"{'the page loaded again in mid-run':<44} whole again after {time.perf_counter() - start:.2f} s")
        page.get_by_role("button", name="Stop", exact=True).first.click()
        page.get_by_text("stopped").first.wait_for()


async def write_journal(path: Path) -> None:
    """The record of a run with one batch of `NODES` calls."""
    journal = FileJournal(path, "benchmark")
    record = Recorder(journal, [], time.monotonic)
    root = record.open(None, "run", depth=0, label="which lines are about billing?")
    turn = record.open(root, "turn", depth=0, number=1)
    cell = record.open(turn, "exec", depth=0, label="labels = llm_query_batched(parts)")
    batch = record.open(cell, "batch", depth=0, label=f"llm × {NODES}", n=NODES)
    for i in range(NODES):
        asked = f"Is line {i} about billing?"
        call = record.open(batch, "llm", depth=1, label=asked, prompt=record.prompt(batch, [Message("user", asked)]))
        usage = {"input": 310, "output": 4, "cached": 0, "reasoning": 0, "cost": 0.00012}
        record.close(call, "ok", reply=record.body(call, "no"), usage=usage)
    for node in (batch, cell, turn, root):
        record.close(node, "ok")
    await journal.close()


def opening(page: Page, lab: Lab, factory: str, first_line: str) -> float:
    """Seconds until the journal shows in a document of one of JupyterLab's factories."""
    page.goto(f"{lab.url}/lab?reset&token={TOKEN}")
    page.wait_for_function("window.jupyterapp?.commands.hasCommand('docmanager:open')")
    start = time.perf_counter()
    where = f"{{path: '{JOURNAL}', factory: '{factory}'}}"
    page.evaluate(f"void window.jupyterapp.commands.execute('docmanager:open', {where})")
    page.locator(first_line).first.wait_for()
    return time.perf_counter() - start


def saved(page: Page, lab: Lab) -> None:
    text, tree = float("inf"), float("inf")
    for _ in range(OPENINGS):
        text = min(text, opening(page, lab, "Editor", ".jp-FileEditor .cm-line:has-text('crc')"))
        tree = min(tree, opening(page, lab, "RLM journal", ".rlm-row"))
    size = Path(lab.root, JOURNAL).stat().st_size / 1e6
    what = f"{NODES:,} nodes, a journal of {size:.0f} MB"
    print(f"{what:<44} open after {tree:.2f} s, {tree / text:.1f} times as long as its text")
    open_rows(page)
    frames(page, f"{NODES:,} nodes, scrolling", SCROLL)


def browse(lab: Lab) -> None:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        for part in (live, saved):
            page = browser.new_page(viewport={"width": 1280, "height": 1000})
            page.set_default_timeout(90_000)
            part(page, lab)
            page.close()
        browser.close()


def main() -> None:
    if CHROMIUM is None:
        raise SystemExit("no Chromium here: install the system package chromium")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, no GPU", flush=True)
    with tempfile.TemporaryDirectory() as home, serve(Path(home)) as lab:
        asyncio.run(write_journal(Path(lab.root, JOURNAL)))
        browse(lab)


if __name__ == "__main__":
    main()
