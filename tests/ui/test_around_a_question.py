"""What surrounds a question, in a real JupyterLab: types, sessions, pulled variables, kept replies, a dry run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server import OpenAIServer, Request

from .notebook import Notebook

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

DEFINE = """%load_ext rlm_magic
import pandas as pd
from pydantic import BaseModel
class Summary(BaseModel):
    users: int
    topics: list[str]
tickets = pd.DataFrame({'user': [1, 2, 1], 'topic': ['billing', 'login', 'billing']})"""


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    """The root model runs what the question says."""

    def root(request: Request) -> str:
        asked = request["messages"][1]["content"].partition("Question:\n<<")[2]
        return f"```repl\n{asked.partition('>>')[0]}\n```"

    with OpenAIServer(root) as running:
        yield running


def test_a_typed_answer_a_session_a_pull_a_cache_and_a_dry_run(
    page: Any, lab: Any, server: OpenAIServer, tmp_path: Path
) -> None:
    def ask(names: str, options: str, program: str) -> str:
        return f"%%rlm {names} -m openai/root --api-base {server.url} {options}\n<<{program}>>"

    summary = "FINAL({'users': context['user'].nunique(), 'topics': sorted(set(context['topic']))})"
    book = Notebook(
        page,
        lab,
        "around.ipynb",
        DEFINE,
        ask("tickets", "--as Summary -o out", summary),
        "out.users, out.topics",
        ask("tickets", "--session s", "often = context['topic'].value_counts().reset_index(); FINAL('kept')"),
        ask("", "--session s -o most", "FINAL(often.iloc[0, 0])"),
        "most",
        "%rlm vars s",
        "%rlm pull s often\noften.shape",
        ask("tickets", "--cache on", "FINAL(len(context))"),
        ask("tickets", "--cache on", "FINAL(len(context))"),
        ask("tickets", "--dry-run", "FINAL(1)"),
        ask("tickets", "--as Sumary", "FINAL(1)"),
    )
    shown: dict[int, str] = {}
    for cell in range(12):
        sent = len(server.requests)
        book.run(cell)
        book.wait_idle()
        shown[cell] = book.text(cell)
        if cell in (9, 10, 11):
            assert len(server.requests) == sent
    assert "(2, ['billing', 'login'])" in shown[2]
    assert "'billing'" in shown[5]
    assert "often" in shown[6]
    assert "DataFrame" in shown[6]
    assert "(2, 2)" in shown[7]
    assert "1 cached" in shown[9]
    assert "nothing was sent" in shown[10]
    assert "did you mean Summary?" in shown[11]
    for cell in (3, 6, 9, 10):
        book.below(cell).last.scroll_into_view_if_needed()
        page.screenshot(path=str(tmp_path / f"around-{cell}.png"))
