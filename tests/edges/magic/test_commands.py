"""`%rlm` looks after runs: runs that are really under way, and the line that a mistake ends in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from rlm_magic import commands
from rlm_magic.completer import complete_cell
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
    stopped = live[second.run_id]
    shell.run_line_magic("rlm", f"stop {second.run_id}")
    assert second.result().status == "stopped"
    stopped.future.result()  # a cell is given back before, where cleaning up takes long
    assert list(live) == [first.run_id]


def test_stop_without_an_id_stops_all(shell: InteractiveShell, begin: Begin) -> None:
    both = begin(), begin()
    shell.run_line_magic("rlm", "stop")
    assert [each.result().status for each in both] == ["stopped", "stopped"]


@pytest.mark.parametrize(
    ("line", "takes"),
    [
        ("status a b c", "%rlm status"),
        ("runs 5 --json", "%rlm runs [N]"),
        ("forget", "%rlm forget ID|all"),
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


def offered(shell: InteractiveShell, line: str, rest: str = "") -> list[str]:
    with provisionalcompleter():
        return [completion.text for completion in shell.Completer.completions(line + rest, len(line))]


def test_tab_offers_stop_the_runs_under_way(shell: InteractiveShell, begin: Begin) -> None:
    ended, under_way = begin(), begin()
    ended.stop()
    ended.result()
    assert under_way.run_id in offered(shell, "%rlm stop ")
    assert ended.run_id not in offered(shell, "%rlm stop ")
    assert {ended.run_id, under_way.run_id} <= set(offered(shell, "%rlm show "))


@pytest.mark.parametrize(
    "line", ["doctor ", "status ", "runs ", "show last ", "stop 1 ", "export last ", "export last a.html "]
)
def test_tab_offers_no_commands_where_none_may_follow(shell: InteractiveShell, line: str) -> None:
    assert not set(commands.COMMANDS) & set(offered(shell, f"%rlm {line}"))


def test_tab_leaves_the_name_of_a_file_to_ipython(
    shell: InteractiveShell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "report.html").touch()
    assert "report.html" in offered(shell, "%rlm export last rep")
    assert "report.html" in offered(shell, "%%rlm --cassette rep")


@pytest.mark.parametrize("line", ["%%rlm ", "%rlm resume last "])
def test_tab_offers_what_an_option_can_be(shell: InteractiveShell, line: str) -> None:
    shell.run_line_magic("config", "RLMMagic.aliases = {'mini': 'openai/gpt-5-mini'}")
    shell.run_cell("class Outage: pass")
    assert "mini" in offered(shell, f"{line}-m ")
    assert "mini" in offered(shell, f"{line}--sub-model ")
    assert "python3" in offered(shell, f"{line}--kernel ")
    assert {"str", "int", "float", "bool", "list", "dict", "json", "Outage"} <= set(offered(shell, f"{line}--as "))


@pytest.mark.parametrize("option", ["--turns", "--cost", "--memory", "--api-base", "--model-options"])
def test_tab_offers_nothing_for_a_number_or_a_text(shell: InteractiveShell, option: str) -> None:
    event = SimpleNamespace(text_until_cursor=f"%%rlm tickets {option} ", line=f"%%rlm tickets {option} ", symbol="")
    shell.user_ns["tickets"] = "text"
    assert complete_cell(shell, event) == []


def test_tab_looks_at_what_is_left_of_the_cursor(shell: InteractiveShell) -> None:
    shell.user_ns["tickets"] = "text"
    assert offered(shell, "%%rlm --sandbox l", " tickets") == ["landlock"]


def diagnosis(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    shell.run_line_magic("rlm", "doctor")
    return next(line for line in capsys.readouterr().out.splitlines() if line.startswith("model "))


def test_doctor_names_the_model_that_a_question_would_get(
    shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "canary-not-a-key")
    assert "no model is named" in diagnosis(shell, capsys)
    monkeypatch.setenv("RLM_MODEL", "openai/from-the-environment")
    assert diagnosis(shell, capsys).endswith("  openai/from-the-environment")
    shell.run_line_magic("config", "RLMMagic.aliases = {'mini': 'openai/gpt-5-mini'}")
    shell.run_line_magic("config", "RLMMagic.model = 'openai/gpt-5'")
    shell.run_line_magic("config", "RLMMagic.sub_model = 'mini'")
    assert diagnosis(shell, capsys).endswith("  openai/gpt-5, openai/gpt-5-mini for sub-calls")


def said(shell: InteractiveShell, capsys: pytest.CaptureFixture[str], line: str) -> list[str]:
    capsys.readouterr()
    shell.run_line_magic("rlm", line)
    return capsys.readouterr().out.splitlines()


def record(shell: InteractiveShell, run_id: str) -> Path:
    path = Path(shell.magics_manager.registry["RLMMagic"].runs_dir, f"{run_id}.rlm.jsonl")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x" * 2_000)
    return path


def test_runs_lists_the_newest_and_says_how_many_more(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = [f"20261121-0900{second:02}-abcd" for second in range(23)]
    for each in ids:
        record(shell, each)
    *rows, last = said(shell, capsys, "runs")
    assert [row.split()[0] for row in rows] == ids[:2:-1]
    assert last == "and 3 more: %rlm runs 23 lists all"
    *rows, last = said(shell, capsys, "runs 2")
    assert [row.split()[0] for row in rows] == ids[:-3:-1]
    assert len(said(shell, capsys, "runs 23")) == 23


@pytest.mark.parametrize("number", ["0", "-1", "many", "1.5"])
def test_runs_takes_a_number(shell: InteractiveShell, number: str) -> None:
    assert f"{number!r} is not a number of runs" in refusal(shell, f"runs {number}")


def test_forget_deletes_one_record_and_says_so(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    kept, forgotten = record(shell, "20261121-090000-abcd"), record(shell, "20261121-090001-abcd")
    assert "begins the names of 2 runs" in refusal(shell, "forget 2026")
    assert said(shell, capsys, "forget 20261121-090001") == ["forgot 20261121-090001-abcd, 2.0 kB"]
    assert kept.exists()
    assert not forgotten.exists()


def test_forget_leaves_a_run_that_is_under_way(
    shell: InteractiveShell, begin: Begin, capsys: pytest.CaptureFixture[str]
) -> None:
    under_way = begin()
    ended = [record(shell, f"20251121-09000{number}-abcd") for number in range(3)]
    assert f"%rlm stop {under_way.run_id}" in refusal(shell, f"forget {under_way.run_id}")
    assert said(shell, capsys, "forget all") == ["forgot 3 runs, 6.0 kB; 1 is under way and stays"]
    assert not any(path.exists() for path in ended)
    under_way.stop()
    assert under_way.result().trace.exists()


def test_tab_offers_forget_the_recorded_runs(shell: InteractiveShell) -> None:
    record(shell, "20261121-090000-abcd")
    assert {"20261121-090000-abcd", "all"} <= set(offered(shell, "%rlm forget "))


def test_the_help_of_a_question_shows_how_it_is_typed(shell: InteractiveShell) -> None:
    assert "%%rlm [-m MODEL]" in shell.object_inspect("%%rlm")["docstring"]
