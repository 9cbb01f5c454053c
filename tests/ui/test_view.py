"""The view on a page of its own, fed with made-up runs: what it shows, its keys, its access, its speed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2] / "labextension"
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
THEMES = Path(sys.prefix, "share", "jupyter", "lab", "themes", "@jupyterlab")

Open = Callable[..., Any]


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> str:
    node = shutil.which("node")
    if node is None or not AXE.exists():
        pytest.skip("the view is not set up here: make setup")
    folder = tmp_path_factory.mktemp("demo")
    subprocess.run([node, "scripts/demo.mjs", str(folder)], cwd=ROOT, check=True, timeout=60, stdin=subprocess.DEVNULL)
    return (folder / "index.html").as_uri()


@pytest.fixture
def view(demo: str, page: Any) -> Open:
    """Open the demo page with one of its runs; any error on the page fails the test."""
    page.set_default_timeout(10_000)

    def open_run(run: str, options: str = "") -> Any:
        page.on("pageerror", lambda error: pytest.fail(f"the page raised {error}"))
        page.goto(f"{demo}?run={run}{options}")
        page.locator(".rlm").wait_for(state="attached")
        return page

    return open_run


def row(page: Any, node: str) -> Any:
    return page.locator(f'[data-row="{node}"]')


def selected(page: Any) -> str | None:
    return page.locator(".rlm-selected").get_attribute("data-row")


def press(page: Any, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def sent(page: Any) -> list[dict[str, Any]]:
    """What the view said to the demo's kernel, but for bodies."""
    return [m for m in page.evaluate("kernel.received") if m["cmd"] not in ("hello", "body")]


def test_a_saved_run_is_one_line_that_opens_to_a_named_tree(view: Open) -> None:
    page = view("story", "&open=0")
    assert page.get_by_role("tree").count() == 0
    line = page.locator(".rlm-progress").inner_text().replace("\n", " ")
    for figure in ("answered", "T3/20", "52✓", "1✕", "≥$0.19/$2.00"):
        assert figure in line
    page.get_by_role("button", name="Open the recursion tree").click()
    item = page.get_by_role("tree", name="Recursion tree").get_by_role("treeitem").nth(1)
    assert [item.get_attribute(f"aria-{name}") for name in ("level", "posinset", "setsize", "expanded")] == [
        *("2", "1", "4", "true")
    ]
    assert item.get_attribute("aria-label") == "turn 1 · look at the structure, ok, 2.9k tokens, $0.006"


def test_a_short_run_shows_nothing_and_one_that_waits_opens_by_itself(view: Open) -> None:
    page = view("quick")
    assert page.locator(".rlm").inner_text() == ""
    page.evaluate("kernel.grow(100)")
    page.get_by_text("waiting for").first.wait_for()
    page = view("waiting", "&open=0")
    page.get_by_role("textbox", name="Code to run").wait_for()


def test_keys_move_open_and_close(view: Open) -> None:
    page = view("story")
    page.get_by_role("tree").focus()
    press(page, "ArrowDown", "j", "j")
    assert selected(page) == "0.1.1"
    press(page, "ArrowLeft")
    assert selected(page) == "0.1"
    press(page, "ArrowLeft")
    assert row(page, "0.1.1").count() == 0
    press(page, "ArrowRight", "ArrowRight")
    assert selected(page) == "0.1.1"
    press(page, "End")
    assert selected(page) == "0.4"
    press(page, "[")
    assert selected(page) == "0.3"
    press(page, "Home", "e")
    assert selected(page) == "0.2.1.1.17", "e goes to the first error, inside the closed batch"
    press(page, "Enter", "ArrowRight")
    assert page.evaluate("document.activeElement.getAttribute('role')") == "tab"
    press(page, "Escape")
    assert page.evaluate("document.activeElement.getAttribute('role')") == "tree"
    press(page, "/")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Find in the tree"


def test_whatever_has_the_focus_keeps_its_keys_from_the_notebook(view: Open) -> None:
    page = view("waiting")
    page.get_by_role("button", name="Skip").wait_for()
    for _ in range(25):
        press(page, "Tab")
        held = page.evaluate(
            "() => { const at = document.activeElement;"
            " return !at.closest('.rlm') || at.hasAttribute('data-lm-suppress-shortcuts'); }"
        )
        assert held, page.evaluate("document.activeElement.outerHTML")


def test_a_filter_keeps_ancestors_and_can_be_cleared(view: Open) -> None:
    page = view("story")
    page.get_by_role("searchbox", name="Find in the tree").fill("CHAPTER 17")
    assert [item.get_attribute("data-row") for item in page.get_by_role("treeitem").all()] == [
        *("0", "0.2", "0.2.1", "0.2.1.1", "0.2.1.1.17")
    ]
    page.get_by_role("searchbox", name="Find in the tree").fill("no such thing")
    page.get_by_text("Nothing in this run matches the filter.").wait_for()
    page.get_by_role("button", name="Clear the filter").click()
    assert page.get_by_role("treeitem").count() == 10
    page.get_by_role("button", name="Filter by status").click()
    page.get_by_role("checkbox", name="error").check()
    assert page.locator(".rlm-toolbar").inner_text().count("2 matches") == 1


def test_time_goes_back_and_forth(view: Open) -> None:
    page = view("story")
    slider = page.get_by_role("slider", name="Time")
    slider.focus()
    press(page, "Home")
    page.get_by_text("Nothing has happened yet").wait_for()
    press(page, "ArrowRight", "ArrowRight")
    assert page.get_by_role("treeitem").count() == 2
    assert slider.get_attribute("aria-valuetext").startswith("0.0 seconds, event 2 of")
    page.get_by_role("button", name="Back to now").click()
    assert page.get_by_role("treeitem").count() == 10
    page.get_by_role("button", name="To the start").click()
    page.get_by_role("combobox", name="Speed").select_option("32")
    page.get_by_role("button", name="Play").click()
    page.get_by_role("button", name="Play").wait_for(timeout=5000)
    assert page.get_by_role("treeitem").count() == 10, "24 s at 32 times are over within a second"


def test_the_buttons_for_time_stay_under_the_pointer(view: Open) -> None:
    page = view("story")
    back = page.get_by_role("button", name="A step back")
    place = back.bounding_box()
    for _ in range(8):
        back.click()
    page.get_by_text("As of").wait_for()
    assert page.get_by_role("treeitem").count() < 10
    assert back.bounding_box() == place


def test_the_inspector_shows_what_was_sent_what_was_seen_and_what_was_set(view: Open) -> None:
    page = view("story")
    row(page, "0.2").click()
    page.get_by_role("tab", name="Prompt").click()
    assert "2 new or changed since the turn before" in page.get_by_role("tabpanel").inner_text()
    row(page, "0.3").click()
    page.get_by_role("button", name="diff").click()
    lines = [line.inner_text().rstrip() for line in page.locator(".rlm-diff > *").all()]
    assert lines == [
        *("  Output:", "− (observation 1)", "+ (folded: 12,001 characters)", "  19 turns, 998 calls left.")
    ]
    row(page, "0.1.1").click()
    page.get_by_role("tab", name="Output").click()
    cuts = [cut.inner_text() for cut in page.locator(".rlm-cut").all()]
    assert cuts == ["✂ not seen by the model: 1,843 of 9,843 characters", "✂ seen again from here"]
    row(page, "0").click()
    page.get_by_role("tab", name="Variables").click()
    assert [cell.inner_text() for cell in page.locator(".rlm-panel td:first-child").all()] == [
        *("heads", "hits", "parts", "rs")
    ]
    row(page, "0.3.1").click()
    page.get_by_role("tab", name="Code").click()
    assert "ran (edited)" in page.get_by_role("tabpanel").inner_text()


def test_text_of_the_model_is_never_markup(view: Open) -> None:
    page = view("story")
    row(page, "0.2.1").click()
    page.get_by_role("tab", name="Output").click()
    assert page.locator(".rlm-rich img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 10
    frame = page.locator("iframe")
    assert frame.get_attribute("sandbox") == ""
    assert "default-src 'none'" in frame.get_attribute("srcdoc")
    page.locator(".rlm-twisty", has_text="▸").first.click()
    row(page, "0.2.1.1.1").click()
    page.get_by_role("tab", name="Prompt").click()
    assert "<script>window.hacked=1</script>" in page.get_by_role("tabpanel").inner_text()
    assert page.evaluate("window.hacked") is None
    assert page.locator(".rlm script, .rlm-panel img").count() == 0


def test_a_held_cell_can_be_edited_skipped_and_hinted(view: Open) -> None:
    page = view("waiting")
    editor = page.get_by_role("textbox", name="Code to run")
    page.get_by_text("will send 1,240 prompts, 9,600,000 characters, ≈ $0.38 (estimate)").wait_for()
    page.wait_for_function("document.querySelector('textarea').value.startsWith('parts = ')")
    assert page.get_by_role("button", name="Run edited").is_disabled()
    editor.fill("print(1)")
    page.get_by_role("textbox", name="Note to the model").fill("only one")
    page.get_by_role("button", name="Run edited").click()
    assert page.evaluate("document.activeElement.getAttribute('role')") == "tree", "the keys are still heard"
    decision = {"cmd": "decide", "node": "0.2.1", "action": "run", "code": "print(1)", "note": "only one"}
    assert sent(page) == [decision]
    assert page.get_by_role("button", name="Skip").is_disabled(), "a decision is sent once"


@pytest.mark.parametrize(
    ("button", "action"),
    [("Run", {"action": "run"}), ("Skip", {"action": "skip"}), ("Answer now", {"action": "answer"})],
)
def test_the_other_decisions(view: Open, button: str, action: dict[str, str]) -> None:
    page = view("waiting")
    page.get_by_label("Paused").get_by_role("button", name=button, exact=True).click()
    assert sent(page) == [{"cmd": "decide", "node": "0.2.1", **action}]


def test_a_live_run_can_be_held_stepped_and_ended(view: Open) -> None:
    page = view("live")
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Step", exact=True).click()
    page.get_by_role("button", name="Other ways to stop").click()
    page.get_by_role("button", name="Kill").click()
    page.get_by_role("tree").focus()
    press(page, "F10")
    assert [message["cmd"] for message in sent(page)] == ["pause", "step", "kill", "step"]


def test_a_cells_output_does_not_cut_off_what_drops_down(view: Open) -> None:
    page = view("live", "&open=0")
    page.evaluate("kernel.grow(100)")
    page.add_style_tag(content="main { overflow: hidden; height: 32px }")
    page.get_by_role("button", name="Other ways to stop").click()
    box = page.get_by_role("button", name="Kill").bounding_box()
    hit = "([x, y]) => document.elementFromPoint(x, y)?.closest('button')?.textContent"
    assert page.evaluate(hit, [box["x"] + 8, box["y"] + 8]) == "Kill end the subkernels at once"
    page.keyboard.press("Escape")
    assert page.locator(".rlm-menu").count() == 0


def test_a_double_click_on_pause_does_not_resume(view: Open) -> None:
    page = view("live")
    pause, resume = (page.get_by_role("button", name=name, exact=True) for name in ("Pause", "Resume"))
    place = resume.bounding_box()
    assert resume.is_disabled()
    page.evaluate("""() => { kernel.events[60] =
        {seq: 60, t: 9, type: 'await', node: '0.2.1', data: {phase: 'paused'}, run: kernel.events[0].run, v: 1}; }""")
    pause.click()
    page.evaluate("kernel.grow(1)")
    page.get_by_role("region", name="Paused").wait_for()
    assert resume.bounding_box() == place
    pause.click(force=True)
    assert page.evaluate("document.activeElement.textContent") == "Pause", "the focus stays where the keys are heard"
    resume.click()
    assert [message["cmd"] for message in sent(page)] == ["pause", "resume"]


def test_the_inspector_follows_a_node_that_is_still_running(view: Open) -> None:
    page = view("live")
    row(page, "0.2.1").click()
    output = page.get_by_role("tab", name="Output")
    assert output.count() == 0
    page.evaluate("kernel.grow(1000)")
    output.click()
    page.get_by_role("tabpanel").get_by_text("9 Brutus betrays Caesar.").wait_for()


def test_following_ends_when_something_is_selected(view: Open) -> None:
    page = view("live")
    follow = page.get_by_role("checkbox", name="follow")
    assert follow.is_checked()
    row(page, "0.1").click()
    assert not follow.is_checked()


def test_a_kernel_that_dies_leaves_nothing_running(view: Open) -> None:
    page = view("live")
    page.get_by_role("tree").wait_for()
    page.evaluate("kernel.die()")
    page.get_by_text("The connection to the kernel is gone").wait_for()
    assert row(page, "0").get_attribute("aria-label").count("interrupted") == 1
    assert page.get_by_role("button", name="Pause").count() == 0


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ("truncated", "The record ends in the middle of line 41: shown are the 40 events before it."),
        ("corrupt", "Line 41 is damaged: shown are the 40 events before it."),
        ("newer", "The record is of version 2, and this viewer reads up to version 1: update rlm_magic."),
        ("empty", "The record is empty"),
    ],
)
def test_a_damaged_record_says_so(view: Open, run: str, message: str) -> None:
    page = view(run)
    page.get_by_role("alert").get_by_text(message).wait_for()


def test_a_body_that_is_not_there_says_so(view: Open) -> None:
    page = view("missing")
    row(page, "0.1.1").click()
    page.get_by_role("tabpanel").get_by_text("not embedded").wait_for()
    assert "import re" in page.get_by_role("tabpanel").inner_text(), "the beginning is in the record"


def in_theme(page: Any, theme: str) -> Any:
    page.add_style_tag(path=THEMES / f"theme-{theme}-extension" / "index.css")
    page.add_script_tag(path=AXE)
    return page


def barriers(page: Any) -> list[tuple[str, list[str]]]:
    """What axe finds, with the elements."""
    found = page.evaluate("axe.run('main', {runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa']})")["violations"]
    return [(v["id"], [n["html"] for n in v["nodes"]]) for v in found]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("run", ["story", "waiting", "live", "truncated"])
def test_nothing_stands_in_the_way_of_access(view: Open, theme: str, run: str) -> None:
    page = in_theme(view(run), theme)
    page.get_by_role("treeitem").last.click()
    assert barriers(page) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_code_and_differences_can_be_read_in_every_colour(view: Open, theme: str) -> None:
    page = in_theme(view("story"), theme)
    row(page, "0.1.1").click()
    page.get_by_role("tab", name="Code").click()
    page.locator(".rlm-py-keyword").first.wait_for()
    assert barriers(page) == []
    row(page, "0.3").click()
    page.get_by_role("tab", name="Prompt").click()
    page.get_by_role("button", name="diff").click()
    page.locator("ins").wait_for()
    assert barriers(page) == []


SCROLL = """async step => {
  const rows = document.querySelector('.rlm-rows'), times = [];
  for (let i = 0, last = performance.now(); i < 150; i++) {
    rows.scrollTop = (i * step) % (rows.scrollHeight - rows.clientHeight);
    await new Promise(requestAnimationFrame);
    times.push(performance.now() - last);
    last = performance.now();
  }
  return times.sort((a, b) => a - b);
}"""

DELTAS = """async () => {
  const times = [];
  for (let i = 0; i < 60; i++) {
    const start = performance.now();
    kernel.grow(40);
    times.push(performance.now() - start);
    await new Promise(resolve => setTimeout(resolve, 20));
  }
  return times.sort((a, b) => a - b);
}"""


@pytest.mark.slow
def test_fifty_thousand_nodes_open_within_a_second(view: Open) -> None:
    page = view("open-50000")
    page.wait_for_function("window.openedIn !== undefined")
    assert page.evaluate("run.history.value.head.nodes.length") > 50_000
    assert page.evaluate("openedIn") <= 1000


@pytest.mark.slow
def test_forty_thousand_open_rows_scroll_smoothly(view: Open) -> None:
    page = view("all-40000")
    assert page.locator(".rlm-rows > div").evaluate("list => list.scrollHeight") > 40_000 * 24
    times = page.evaluate(SCROLL, 120)
    assert page.get_by_role("treeitem").count() < 60, "only rows in sight are in the page"
    assert times[75] <= 25, f"half of the frames took longer than {times[75]} ms"


@pytest.mark.slow
def test_a_delta_of_a_large_live_run_is_cheap(view: Open) -> None:
    page = view("live-10000")
    page.get_by_role("tree").wait_for()
    times = page.evaluate(DELTAS)
    assert page.evaluate("run.history.value.head.nodes.length") > 10_000
    assert times[30] <= 2, f"half of the deltas took longer than {times[30]} ms"
