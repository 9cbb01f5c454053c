"""`--as` and ``output_type=``: what the answer must be, told to the model and checked, through a real run."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from pydantic import BaseModel, field_validator

from rlm_magic import RLM, Limits
from rlm_magic.answers import AnswerType
from rlm_magic.engine.errors import InputError
from rlm_magic.magic import RunEnded
from rlm_magic.result import Result
from tests.server import OpenAIServer, Request


class Label(Enum):
    BILLING = "billing"
    OTHER = "other"


class Ticket(BaseModel):
    user: int
    label: Label = Label.OTHER


class Even(BaseModel):
    n: int

    @field_validator("n")
    @classmethod
    def even(cls, n: int) -> int:
        assert n % 2 == 0, f"{n} is odd"
        return n


@dataclasses.dataclass
class Point:
    x: float
    y: float


@pytest.fixture
def submits() -> Iterator[Callable[..., OpenAIServer]]:
    """A server whose model submits these expressions, one a turn."""
    running: list[OpenAIServer] = []

    def serve(*values: str) -> OpenAIServer:
        def root(request: Request) -> str:
            turn = sum(message["role"] == "assistant" for message in request["messages"])
            if "No more code can be run" in request.prompt:
                return values[-1]
            return f"```repl\nlen(str(context)); FINAL({values[min(turn, len(values) - 1)]})\n```"

        running.append(OpenAIServer(root).__enter__())
        return running[-1]

    yield serve
    for server in running:
        server.__exit__()


def ask(shell: InteractiveShell, server: OpenAIServer, options: str) -> Result:
    result = shell.run_cell_magic("rlm", f"docs -o out {options} -m openai/root --api-base {server.url}", "which?")
    assert isinstance(result, Result)
    return result


@pytest.mark.parametrize(
    ("kind", "submitted", "bound"),
    [
        ("int", "'12'", 12),
        ("float", "3", 3.0),
        ("bool", "'yes'", True),
        ("str", "[1, 'ä']", '[1, "ä"]'),
        ("list", "(1, 2)", [1, 2]),
        ("list[str]", """'["a", "b"]'""", ["a", "b"]),
        ("json", """'{"n": [1]}'""", {"n": [1]}),
        ("Ticket", "{'user': '7', 'label': 'billing'}", Ticket(user=7, label=Label.BILLING)),
        ("list[Ticket]", '"```json\\n[{\\"user\\": 1}]\\n```"', [Ticket(user=1)]),
        ("Point", "{'x': 1, 'y': 2}", Point(1.0, 2.0)),
        ("Decimal", "__import__('decimal').Decimal('12345678901234567890.10')", Decimal("12345678901234567890.10")),
    ],
)
def test_the_answer_is_bound_as_the_type(
    kind: str, submitted: str, bound: object, shell: InteractiveShell, submits: Any
) -> None:
    shell.user_ns.update(docs="some text", Ticket=Ticket, Point=Point, Decimal=Decimal)
    result = ask(shell, submits(submitted), f"--as {kind}")
    assert shell.user_ns["out"] == result.answer == bound
    assert type(shell.user_ns["out"]) is type(bound)


def test_the_model_is_told_the_schema(shell: InteractiveShell, submits: Any) -> None:
    shell.user_ns.update(docs="some text", Ticket=Ticket)
    server = submits("{'user': 1}")
    ask(shell, server, "--as Ticket")
    told = server.requests[0]["messages"][1]["content"]
    assert "The answer must be a value of this JSON schema" in told
    assert '"billing"' in told


def test_an_answer_of_another_type_goes_back_once(shell: InteractiveShell, submits: Any) -> None:
    shell.user_ns.update(docs="some text", Ticket=Ticket)
    server = submits("[{'user': 'me'}, {}]", "[{'user': 1}]")
    ask(shell, server, "--as list[Ticket]")
    assert shell.user_ns["out"] == [Ticket(user=1)]
    assert "it is not list[Ticket]: at 0.user:" in server.requests[1].prompt
    assert "got 'me'" in server.requests[1].prompt
    assert "at 1.user: field required" in server.requests[1].prompt


def test_what_a_validator_of_the_user_says_reaches_the_model(shell: InteractiveShell, submits: Any) -> None:
    shell.user_ns.update(docs="some text", Even=Even)
    server = submits("{'n': 3}", "{'n': 4}")
    ask(shell, server, "--as Even")
    assert shell.user_ns["out"] == Even(n=4)
    assert "3 is odd" in server.requests[1].prompt


def test_an_answer_that_never_validates_ends_the_run_and_is_kept(shell: InteractiveShell, submits: Any) -> None:
    shell.user_ns.update(docs="some text", out="before")
    server = submits("'a few'", "'some'")
    with pytest.raises(RunEnded, match="the answer was not accepted twice: it is not int: input should be a valid"):
        ask(shell, server, "--as int")
    assert len(server.requests) == 2
    assert "out" not in shell.user_ns
    kept = shell.run_line_magic("rlm", "show last")
    assert (kept.status, kept.answer) == ("failed", "some")


def test_a_forced_answer_of_another_type_is_none(shell: InteractiveShell, submits: Any) -> None:
    shell.user_ns.update(docs="some text")
    with pytest.raises(RunEnded, match="turns=1 is used up; the last answer is not as asked: it is not int"):
        ask(shell, submits("'a few'"), "--as int --turns 1")


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("Tiket", "--as Tiket: there is no type 'Tiket': did you mean Ticket?"),
        ("nothing", "--as nothing: there is no type 'nothing': define it in a cell above"),
        ("list[", "--as list[ is not a type"),
        ('Literal["yes","no"]', "--as Literal[yes,no]: there is no type 'yes': what has quotes goes in quotes itself"),
        ("docs", "--as docs is not a type|'docs' is no type that an answer can have"),
        ("print", "'print' is no type that an answer can have"),
        ("Wide", "the JSON schema of Wide has"),
    ],
)
def test_what_is_no_type_is_said_before_anything_is_sent(
    kind: str, says: str, shell: InteractiveShell, submits: Any
) -> None:
    wide = type("Wide", (BaseModel,), {"__annotations__": {f"field_{n}": int for n in range(500)}})
    shell.user_ns.update(docs="some text", Ticket=Ticket, Wide=wide)
    server = submits("1")
    with pytest.raises(UsageError) as refused:
        ask(shell, server, f"--as {kind}")
    assert any(each in str(refused.value) for each in says.split("|"))
    assert "\n" not in str(refused.value)
    assert server.requests == []


def test_output_type_from_python(submits: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    rlm = RLM("openai/root", api_base=submits("{'user': 5}").url, api_key="none", limits=Limits(turns=3))
    result = rlm.completion("who?", "some text", output_type=Ticket)
    assert result.answer == Ticket(user=5)
    assert str(result) == '{"user": 5}'
    assert Result.load(result.trace).answer == {"user": 5}
    with pytest.raises(InputError, match="is no type that an answer can have"):
        rlm.completion("who?", "some text", output_type=3)


def test_a_resumed_run_asks_for_the_type_again(shell: InteractiveShell, submits: Any) -> None:
    shell.user_ns.update(docs="some text", Ticket=Ticket)
    with pytest.raises(RunEnded):
        ask(shell, submits("{'user': 'me'}"), "--as Ticket --calls 1")
    server = submits("{'user': 'me'}", "{'user': 8}")
    shell.run_line_magic("rlm", f"resume last --calls 5 -o out --api-base {server.url}")
    assert shell.user_ns["out"] == Ticket(user=8)


def test_deeply_nested_or_odd_values_are_complaints() -> None:
    assert "it is not int" in AnswerType(int).complaint({"a": [None]})
    assert "and 5 more" in AnswerType(list[int], "list[int]").complaint(["x"] * 10)


def test_a_generic_is_told_whole_from_python_too(submits: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    server = submits("'many'", "[{'user': 5}]")
    rlm = RLM("openai/root", api_base=server.url, api_key="none", limits=Limits(turns=3))
    assert rlm.completion("who?", "some text", output_type=list[Ticket]).answer == [Ticket(user=5)]
    assert '"billing"' in server.requests[0]["messages"][1]["content"]
    assert "it is not list[" in server.requests[1].prompt


def test_a_text_of_json_is_complained_about_as_json() -> None:
    complaint = AnswerType(list[Ticket]).complaint('[{"user": "me"}]')
    assert "at 0.user:" in complaint
    assert AnswerType(list[Ticket]).convert('[{"user": 3}]') == [Ticket(user=3)]
    assert AnswerType(str | None).convert("12") == "12"


def test_none_can_be_an_answer(shell: InteractiveShell, submits: Any) -> None:
    shell.user_ns["docs"] = "some text"
    assert ask(shell, submits("'null'"), "--as 'int | None'").answer is None
    assert shell.user_ns["out"] is None


def test_a_validator_that_takes_its_time_holds_up_no_other_run(submits: Any) -> None:
    begun, others_ran = threading.Event(), threading.Event()

    class Slow(BaseModel):
        n: int

        @field_validator("n")
        @classmethod
        def slow(cls, n: int) -> int:
            begun.set()
            assert others_ran.wait(60), "the engine did nothing else meanwhile"
            return n

    rlm = RLM("openai/root", api_base=submits("{'n': 1}").url, api_key="none", limits=Limits(turns=3))
    other = RLM("openai/root", api_base=submits("2").url, api_key="none", limits=Limits(turns=3))
    with ThreadPoolExecutor() as threads:
        first = threads.submit(rlm.completion, "who?", "some text", output_type=Slow)
        assert begun.wait(60)
        assert other.completion("who?", "some text").answer == 2
        others_ran.set()
        assert first.result(60).answer == Slow(n=1)


def test_a_validator_that_never_ends_is_a_complaint(submits: Any) -> None:
    never = threading.Event()

    class Endless(BaseModel):
        n: int

        @field_validator("n")
        @classmethod
        def wait(cls, n: int) -> int:
            never.wait()
            return n

    complaint = asyncio.run(AnswerType(Endless).check({"n": 1}, 0.2))
    never.set()
    assert complaint == "Endless could not check it within 0.2 seconds"
