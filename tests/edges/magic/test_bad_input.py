"""What a user mistypes ends in one line that names the value and the next step; nothing is run or lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from rlm_magic import RLM, commands
from rlm_magic.engine.errors import InputError
from tests.server import OpenAIServer

STARTING_A_RUN = """
from rlm_magic import RLM
try:
    RLM().completion("how many?")
except ValueError as error:
    FINAL(str(error))
"""


def refusal(shell: InteractiveShell, line: str, question: str = "how many lines?") -> str:
    with pytest.raises(UsageError) as caught:
        shell.run_cell_magic("rlm", line, question)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.fixture
def asked(shell: InteractiveShell) -> InteractiveShell:
    shell.user_ns["tickets"] = "one\ntwo\n"
    return shell


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("tickts", ["no variable named 'tickts'", "tickets?"]),
        ("openai/gpt-5 tickets", ["not a variable", "-m openai/gpt-5"]),
        ("tickets --modle x", ["--modle", "--model"]),
        ("tickets -z", ["-z", "%%rlm? lists"]),
        ("tickets -m x other", ["other", "names come before the options"]),
        ("tickets --as dict[str, int]", ["int]", "quotes", "--as 'dict[str, int]'"]),
        ("tickets --turns many", ["--turns", "'many' is not a whole number: give one such as 30"]),
        ("tickets --memory 4GB", ["--memory", "'4GB' is not a whole number: give one such as 4294967296"]),
        ("tickets --cost 0,50", ["--cost", "'0,50' is not a number: give one such as 0.5"]),
        ("tickets --turns 0", ["--turns=0", "at least 1"]),
        ("tickets --cost -1", ["--cost=-1", "more than 0"]),
        ("tickets --timeout nan", ["--timeout=nan", "not a number: give one such as 1800"]),
        ("tickets -o 2x", ["-o '2x'", "not a variable name"]),
        ("tickets -o class", ["-o 'class'", "not a variable name"]),
        ("tickets --model-options {", ["not a JSON object"]),
        ("tickets --model-options '[1]'", ["'[1]'", "not a JSON object"]),
        ("tickets --sandbox vault", ["--sandbox", "'vault'", "auto"]),
        ("tickets don't", ["cannot be read (No closing quotation)", "an apostrophe is \\'"]),
        ("tickets -m nosuch/model-x", ["nosuch/model-x"]),
        ("tickets --kernel nosuchkernel", ["nosuchkernel"]),
    ],
)
def test_a_mistyped_line_is_refused_in_one_line(asked: InteractiveShell, line: str, words: list[str]) -> None:
    message = refusal(asked, line)
    for word in words:
        assert word in message


def test_a_missing_key_names_the_environment_variable(asked: InteractiveShell) -> None:
    assert "OPENAI_API_KEY" in refusal(asked, "tickets -m openai/gpt-5")


def test_a_key_without_a_model_asks_for_one(asked: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "canary-not-a-key")
    message = refusal(asked, "tickets")
    assert "-m" in message
    assert "rlm-offline/policy" in message
    assert "canary" not in message


def test_no_variable_that_is_like_it_says_what_to_do(asked: InteractiveShell) -> None:
    assert refusal(asked, "zzz").endswith("no variable named 'zzz' in this notebook: set it in a cell first")


@pytest.mark.parametrize(
    ("cache", "words"),
    [
        ("replya", "cache='replya' is not known: did you mean replay?"),
        (True, "cache=True is not known: give off or on"),
    ],
)
def test_from_python_a_setting_that_is_not_known_is_refused(cache: Any, words: str) -> None:
    with pytest.raises(InputError) as caught:
        RLM(cache=cache)
    assert words in str(caught.value)


def test_an_object_that_is_no_model_is_refused() -> None:
    with pytest.raises(
        InputError, match="a model of type dict has no name, window, price, notes, complete: give a litellm"
    ):
        RLM({"model": "openai/gpt-5"}).completion("how many?")


@pytest.mark.parametrize("question", ["", "   \n"])
def test_an_empty_question_is_refused(asked: InteractiveShell, question: str) -> None:
    assert "empty" in refusal(asked, "tickets", question)


@pytest.mark.parametrize("name", ["llm_query", "answer", "FINAL", "history", "search"])
def test_a_name_of_the_models_code_cannot_be_bound(shell: InteractiveShell, name: str) -> None:
    shell.user_ns[name] = "text"
    assert name in refusal(shell, name)


def test_a_megabyte_in_the_question_is_refused_and_named(asked: InteractiveShell) -> None:
    asked.user_ns["big"] = "x" * 1_000_000
    message = refusal(asked, "tickets", "what of {big}?")
    assert "1,000,000" in message
    assert "1,000" in message
    assert "%%rlm big" in message


def test_the_out_variable_survives_a_line_that_was_refused(asked: InteractiveShell) -> None:
    asked.user_ns["kept"] = 1
    refusal(asked, "tickts -o kept")
    assert asked.user_ns["kept"] == 1


def test_a_run_inside_a_subkernel_is_refused(asked: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RLM_SUBKERNEL", "1")
    assert "llm_query" in refusal(asked, "tickets")


def test_a_run_that_the_models_code_starts_is_refused(shell: InteractiveShell) -> None:
    code = f"```repl\n{STARTING_A_RUN}\n```"
    with OpenAIServer(lambda request: code) as server:
        result = shell.run_cell_magic("rlm", f"-m openai/root --api-base {server.url} --sandbox none", "how many?")
    assert result.answer == "this is the subkernel of a run: call llm_query or rlm_query here, not another run"


def test_a_path_that_does_not_exist_is_named(shell: InteractiveShell, tmp_path: Path) -> None:
    shell.user_ns["missing"] = tmp_path / "missing.txt"
    assert "missing.txt" in refusal(shell, "missing")


@pytest.mark.parametrize("cell", ["%rlm tickets\nhow many lines don't say 'two'?", "%rlm tickets how many lines?"])
def test_a_single_percent_says_what_to_type(asked: InteractiveShell, cell: str) -> None:
    result = asked.run_cell(cell)
    assert isinstance(result.error_in_exec, UsageError)
    assert "to ask a question type %%rlm tickets" in str(result.error_in_exec)


def test_a_question_mark_behind_a_command_carries_nothing_out(
    asked: InteractiveShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(commands.COMMANDS, "stop", commands.Command(lambda words, magic: pytest.fail("carried out")))
    asked.run_cell("%rlm stop?").raise_error()


@pytest.mark.parametrize(("line", "word"), [("shwo", "show"), ("export last", "FILE"), ("stop nosuch", "nosuch")])
def test_a_mistyped_command_is_refused(asked: InteractiveShell, line: str, word: str) -> None:
    with pytest.raises(UsageError, match=word if word != "FILE" else "export last"):
        asked.run_line_magic("rlm", line)


def test_somebody_elses_rlm_is_left_alone() -> None:
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    shell.register_magic_function(lambda line, cell: "theirs", "cell", "rlm")
    with pytest.raises(UsageError, match="taken by"):
        __import__("rlm_magic").load_ipython_extension(shell)
    assert shell.run_cell_magic("rlm", "", "x") == "theirs"
    InteractiveShell.clear_instance()
