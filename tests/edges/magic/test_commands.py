"""`%rlm` looks after runs: runs that are really under way, and the line that a mistake ends in."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from rlm_magic import commands
from rlm_magic.handle import Handle
from rlm_magic.run import live
from tests.server import OpenAIServer, Reply

Begin = Callable[[], Handle]


@pytest.fixture
def begin(shell: InteractiveShell) -> Iterator[Begin]:
    """Begin a run that waits for its model until it is stopped."""
    with OpenAIServer(lambda request: Reply("", hang=True)) as server:
        yield lambda: shell.run_cell_magic("rlm", f"--bg -m openai/x --api-base {server.url}", "?")
        for run in list(live.values()):
            run.stop()
            run.future.result()


def refusal(shell: InteractiveShell, line: str) -> str:
    with pytest.raises(UsageError) as caught:
        shell.run_line_magic("rlm", line)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_stop_refuses_what_begins_two_ids_and_lists_them(shell: InteractiveShell, begin: Begin) -> None:
    first, second = begin(), begin()
    message = refusal(shell, "stop 2")
    assert first.run_id in message
    assert second.run_id in message
    shell.run_line_magic("rlm", f"stop {second.run_id}")
    assert second.result().status == "stopped"
    assert list(live) == [first.run_id]


def test_stop_without_an_id_stops_all(shell: InteractiveShell, begin: Begin) -> None:
    both = begin(), begin()
    shell.run_line_magic("rlm", "stop")
    assert [each.result().status for each in both] == ["stopped", "stopped"]


@pytest.mark.parametrize(
    ("line", "takes"),
    [
        ("status a b c", "%rlm status"),
        ("runs 5 --json", "%rlm runs"),
        ("show last --json", "%rlm show [ID]"),
        ("stop 1 2", "%rlm stop [ID]"),
        ("export last", "%rlm export ID FILE"),
        ("export last a.html b.html", "%rlm export ID FILE"),
        ("sessions all", "%rlm sessions"),
        ("close", "%rlm close SESSION"),
        ("vars a b", "%rlm vars [WHICH]"),
        ("doctor --verbose", "%rlm doctor"),
        ("help me", "%rlm help"),
    ],
)
def test_words_that_a_command_does_not_take_are_refused(shell: InteractiveShell, line: str, takes: str) -> None:
    message = refusal(shell, line)
    assert f"%rlm {line}" in message
    assert f"give {takes}" in message


def test_a_line_that_cannot_be_read_is_the_users_mistake(shell: InteractiveShell) -> None:
    assert "cannot be read" in refusal(shell, "show 'open")


def test_a_defect_is_not_passed_off_as_the_users_mistake(
    shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(words: object, magic: object) -> None:
        raise ValueError("a defect")

    monkeypatch.setitem(commands.COMMANDS, "broken", commands.Command(broken))
    with pytest.raises(ValueError, match="a defect"):
        shell.run_line_magic("rlm", "broken")
