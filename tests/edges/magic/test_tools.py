"""`%%rlm --tool`: functions of the notebook, called by the model's code in a real subkernel."""

# IPython is typed in part.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownLambdaType=false

from __future__ import annotations

import asyncio
import contextlib
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from typing import Any

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from rlm_magic import RLM, Limits, Result
from rlm_magic.background import engine
from rlm_magic.handle import Handle
from rlm_magic.magic import RunEnded
from rlm_magic.testing import ScriptedModel
from rlm_magic.tools import card
from rlm_magic.trace import Runs
from rlm_magic.workplace import Workplace
from tests.server import OpenAIServer, code, route

from .test_live import Kernel, kernel

__all__ = ["kernel"]

pytestmark = pytest.mark.timeout(120)


def ask(shell: InteractiveShell, server: OpenAIServer, line: str, program: str) -> Any:
    """The answer, or with --bg the handle."""
    options = f"-m openai/root --api-base {server.url} -o out"
    shown = shell.run_cell_magic("rlm", f"{line} {options}", f"<<{program}>>")
    return shown if isinstance(shown, Handle) else shell.user_ns["out"]


def failed(call: str) -> str:
    return f"try: {call}\nexcept SubCallError as error: FINAL(str(error))"


def completion(program: str, *tools: Callable[..., Any], **limits: Any) -> Any:
    return RLM(ScriptedModel([code(program)]), tools=tools, limits=Limits(**limits)).completion("q").answer


def test_a_function_of_the_notebook_is_called_on_its_thread(
    shell: InteractiveShell, server: OpenAIServer, capsys: pytest.CaptureFixture[str]
) -> None:
    customers = sqlite3.connect(":memory:")  # which refuses every other thread
    customers.execute("create table customers (id integer, name text)")
    customers.execute("insert into customers values (7, 'Ada')")

    def lookup(id: int, *, upper: bool = False) -> dict[str, Any]:
        """The customer of this number.

        Not for the model.
        """
        print("looking up", id)
        (name,) = customers.execute("select name from customers where id = ?", (id,)).fetchone()
        return {"name": name.upper() if upper else name, "since": date(2020, 1, 2)}

    shell.user_ns["lookup"] = lookup
    answer = ask(shell, server, "--tool lookup", "FINAL([lookup(7), lookup(id=7, upper=True)])")
    assert answer == [{"name": "Ada", "since": "2020-01-02"}, {"name": "ADA", "since": "2020-01-02"}]
    assert capsys.readouterr().out.count("looking up 7\n") == 2
    asked = server.requests[0]["messages"][1]["content"]
    assert "`lookup(id: int, *, upper: bool = False) -> dict[str, typing.Any]`: The customer of this number.\n" in asked
    assert "Not for the model" not in asked


def test_what_a_tool_may_return() -> None:
    numpy, pandas = pytest.importorskip("numpy"), pytest.importorskip("pandas")
    values = [
        numpy.int64(3),
        numpy.array([1.5, float("nan")]),
        pandas.DataFrame({"a": [1], "b": ["x"]}),
        {1: (2,)},
        None,
    ]

    def value(number: int) -> Any:
        return values[number]

    assert completion("FINAL([value(i) for i in range(5)])", value) == [
        3,
        [1.5, None],
        [{"a": 1, "b": "x"}],
        {"1": [2]},
        None,
    ]


SECRET = "sk-abcdefgh12345678"
LOCK = threading.Lock()


def explode() -> None:
    raise ValueError(f"no such key; the password is {SECRET}")


def megabyte() -> str:
    return "x" * 1_000_000


def thing() -> object:
    return threading.Lock()


def leave() -> None:
    raise SystemExit(3)


def cancel() -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    ("tool", "call", "said"),
    [
        (explode, "explode()", "explode raised ValueError: no such key; the password is [redacted]"),
        (megabyte, "megabyte()", "cannot be handed over: it has 1,000,002 bytes as JSON; at most 1,000,000"),
        (thing, "thing()", "what thing returned cannot be handed over: JSON cannot hold all of it (a lock was turned"),
        (leave, "leave()", "leave raised SystemExit: 3"),
        (cancel, "cancel()", "cancel raised CancelledError"),
        (thing, "thing(1, size=2)", "thing() -> object cannot be called so: too many positional arguments"),
        (thing, "thing('x' * 2_000_000)", "thing cannot be called with this: it has 2,000,0"),
        (
            thing,
            "thing(thing)",
            "thing cannot be called with this: JSON cannot hold all of it (a Tool was turned into text)",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and "(" in value else "",
)
def test_what_goes_wrong_is_told_below(tool: Callable[..., Any], call: str, said: str) -> None:
    assert said in completion(failed(call), tool)


def test_threads_are_served_one_after_the_other() -> None:
    running: list[int] = []

    def alone(number: int) -> list[int]:
        running.append(number)
        time.sleep(0.01)
        return [running.pop(), threading.get_ident()]

    program = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(8) as pool: FINAL(list(pool.map(alone, range(16))))"
    )
    assert completion(program, alone) == [[number, threading.get_ident()] for number in range(16)]


def test_a_tool_that_hangs_is_interrupted_and_the_run_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def wait(seconds: float) -> None:
        time.sleep(seconds)

    before = (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGURG))
    monkeypatch.setattr("rlm_magic.workplace.GRACE", 60.0)
    answer = completion(f"{failed('wait(600)')}\nwait(0)", wait, cell_seconds=2)
    assert answer == "wait did not return within 2 seconds and was interrupted"
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGURG)) == before


def test_a_tool_that_cannot_be_interrupted_is_left_behind() -> None:
    released = threading.Event()

    def stubborn() -> None:
        while not released.is_set():
            with contextlib.suppress(KeyboardInterrupt):
                released.wait(60)

    def watch(event: Any) -> None:
        if event.type == "close" and event.node == "0.1.1.1":
            released.set()

    rlm = RLM(ScriptedModel([code(failed("stubborn()"))]), tools=[stubborn], limits=Limits(cell_seconds=2))
    answer = rlm.completion("q", on_event=watch).answer
    assert answer == "stubborn did not return within 2 seconds and could not be interrupted"


def test_the_end_of_a_run_s_time_ends_its_tool() -> None:
    events: list[str] = []

    def wait() -> None:
        events.append("called")
        try:
            time.sleep(600)
        finally:
            events.append("interrupted")

    result = RLM(ScriptedModel([code("wait()")]), tools=[wait], limits=Limits(seconds=10)).completion("q")
    assert result.status == "limit"
    assert events == ["called", "interrupted"]


def test_a_table_that_would_be_cut_is_refused() -> None:
    pandas = pytest.importorskip("pandas")

    def table() -> Any:
        return pandas.DataFrame({"a": range(20_000)})

    assert "(only the first 10,000 of 20,000 rows were kept)" in completion(failed("table()"), table)


def test_ctrl_c_in_a_tool_stops_the_run() -> None:
    begun: list[float] = []

    def wait() -> None:
        begun.append(time.monotonic())
        signal.raise_signal(signal.SIGINT)
        time.sleep(60)

    model = ScriptedModel([code("wait()"), code("FINAL(1)")])
    with pytest.raises(KeyboardInterrupt, match="was stopped"):
        RLM(model, tools=[wait]).completion("q")
    assert time.monotonic() - begun[0] < 30
    assert (len(begun), len(model.requests)) == (1, 1)


def test_ctrl_c_stops_the_run_even_if_the_tool_takes_no_notice() -> None:
    def deaf() -> str:
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        return "done"

    model = ScriptedModel([code("deaf()"), code("FINAL(1)")])
    with pytest.raises(KeyboardInterrupt, match="was stopped"):
        RLM(model, tools=[deaf]).completion("q")


def test_no_limit_reaches_what_runs_after_a_tool() -> None:
    """Calls that return just when their time is up: the interrupt is theirs or nobody's."""
    workplace = Workplace(lambda: None)

    def wait(seconds: float) -> str:
        time.sleep(seconds)
        return "in time"

    for number in range(300):
        call = engine().submit(workplace.run(partial(wait, 0.002 + number * 2e-6), 0.002))
        while not call.done():
            workplace.wait(0.0005)
        error = call.exception()
        assert isinstance(error, TimeoutError) if error else call.result() == "in time"


def test_a_tool_may_ask_a_question_of_its_own() -> None:
    def summary(text: str) -> Any:
        return RLM(ScriptedModel([code("FINAL(shout(context))")]), tools=[shout]).completion("q", text).answer

    def shout(text: str) -> str:
        return text.upper()

    assert completion("FINAL(summary('abc'))", summary) == "ABC"


def test_a_coroutine_waits_and_its_loop_calls_the_tools() -> None:
    called: list[bool] = []

    def where() -> str:
        called.append(asyncio.get_running_loop().is_running())
        return "in the loop"

    async def main() -> Result:
        return await RLM(ScriptedModel([code("FINAL(where())")]), tools=[where]).acompletion("q")

    assert (asyncio.run(main()).answer, called) == ("in the loop", [True])


def test_a_thread_that_waits_does_not_hang_with_its_tool() -> None:
    answers: list[str] = []
    released = threading.Event()

    def hang() -> None:
        released.wait(60)

    def work() -> None:
        answers.append(completion(failed("hang()"), hang, cell_seconds=2))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)
    released.set()
    assert answers == ["hang did not return within 2 seconds and could not be interrupted"]


def test_in_the_background_of_a_terminal(shell: InteractiveShell, server: OpenAIServer) -> None:
    shell.user_ns["double"] = lambda value: value * 2
    handle = ask(shell, server, "--tool double --bg", "FINAL(double('ab'))")
    assert handle.result(60).answer == "abab"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--tool lookp", "--tool lookp: there is no function 'lookp' in this notebook: did you mean lookup?"),
        ("--tool text", "--tool text: there is no function 'text' in this notebook: define it with def first"),
        ("text --tool FINAL", "the model's code has its own FINAL: give the tool another name"),
        ("lookup --tool lookup", "lookup is a variable of the question already: give the tool another name"),
        ("--tool later", "the tool later is a coroutine function: give a plain one"),
    ],
)
def test_what_cannot_be_a_tool_is_refused(shell: InteractiveShell, server: OpenAIServer, line: str, said: str) -> None:
    async def later() -> None: ...

    shell.user_ns.update(lookup=print, text="abc", FINAL=print, later=later)
    with pytest.raises(UsageError) as refused:
        ask(shell, server, line, "FINAL(1)")
    assert str(refused.value) == said
    assert server.requests == []


def test_tools_of_rlm_need_names_of_their_own() -> None:
    for tools, said in (([lambda: 1], "has no name"), ([explode, explode], "two of the tools are named 'explode'")):
        with pytest.raises(ValueError, match=said):
            RLM(ScriptedModel(), tools=tools)
    many: list[Any] = [type(f"T{number}", (), {}) for number in range(21)]
    with pytest.raises(ValueError, match="21 tools are more than"):
        RLM(ScriptedModel(), tools=many).completion("q")


def test_what_a_model_reads_of_a_function_is_short_and_the_same_in_every_process() -> None:
    def find(key: Gone, token: str = SECRET, *, lock: Any = LOCK) -> None:  # type: ignore[name-defined]  # noqa: F821
        """Find   it,
        \x1b[2J or not.

        Then more."""

    def long() -> None: ...

    long.__doc__ = "x" * 1_000
    assert card("find", find) == (
        "`find(key: 'Gone', token: 'str' = '[redacted]', *, lock: 'Any' = <unlocked _thread.lock object>) -> 'None'`: "
        "Find it, [2J or not."
    )
    assert len(card("long", long)) < 300


def test_builtins_and_lambdas_work(shell: InteractiveShell, server: OpenAIServer) -> None:
    shell.user_ns.update(longest=max, twice=lambda text: text * 2)
    answer = ask(shell, server, "--tool longest --tool twice", "FINAL([longest([3, 9]), twice('a'), str(longest)])")
    assert answer == [9, "aa", "<tool longest>"]
    assert "- `longest(...)`: " in server.requests[0]["messages"][1]["content"]


def test_a_resumed_run_calls_its_tools_no_second_time(shell: InteractiveShell) -> None:
    called: list[int] = []

    def count(n: int) -> int:
        called.append(n)
        return len(called)

    look = code("seen = [count(i) for i in range(3)]\nprint(seen)")
    replies = {"root": lambda request: look if len(request["messages"]) == 2 else code("FINAL(seen + [count(9)])")}
    shell.user_ns["count"] = count
    with OpenAIServer(route(replies)) as server:
        options = f"-m openai/root --api-base {server.url} -o out"
        with pytest.raises(RunEnded, match="turns=1 is used up"):
            shell.run_cell_magic("rlm", f"--tool count --turns 1 --calls 1 {options}", "How many?")
        run = Runs(shell.magics_manager.registry["RLMMagic"].runs_dir).list()[0]  # type: ignore[union-attr]
        del shell.user_ns["count"]
        with pytest.raises(UsageError, match="--tool count: there is no function 'count' in this notebook"):
            shell.run_line_magic("rlm", f"resume {run.id}")
        shell.user_ns["count"] = count
        shell.run_line_magic("rlm", f"resume {run.id} --turns 5 --calls 9 -o out")
    assert shell.user_ns["out"] == [1, 2, 3, 4]
    assert called == [0, 1, 2, 9]


def test_tab_completes_functions(shell: InteractiveShell) -> None:
    shell.user_ns.update(lookup=print, lookups="text")
    with provisionalcompleter():
        line = "%%rlm --tool look"
        assert [c.text for c in shell.Completer.completions(line, len(line))] == ["lookup"]


def test_a_notebook_calls_tools_while_it_is_idle(kernel: Kernel, server: OpenAIServer) -> None:
    kernel.run(
        "import threading\ndef where(): print('called'); return threading.current_thread() is threading.main_thread()"
    )
    options = f"-m openai/root --api-base {server.url} -o out --tool where"
    first = kernel.run(f"%%rlm --bg {options}\n<<FINAL([where(), where()])>>")
    kernel.until(lambda: kernel.text(first).count("called") == 2)
    assert "[True, True]" in kernel.text(kernel.run("import time\nwhile 'out' not in globals(): time.sleep(0.01)\nout"))


@pytest.mark.slow
def test_a_notebook_that_waits_for_its_background_run_calls_tools(kernel: Kernel, server: OpenAIServer) -> None:
    kernel.run("import threading\ndef where(): return threading.current_thread() is threading.main_thread()")
    options = f"-m openai/root --api-base {server.url} --tool where"
    kernel.run(f"%%rlm --bg {options}\n<<FINAL(where())>>")
    assert "true" in kernel.text(kernel.run("print(_.result(60))"))
    kernel.run(f"%%rlm --bg {options}\n<<FINAL(where())>>")
    assert "true" in kernel.text(kernel.run("print(await _)"))


@pytest.mark.slow
def test_a_tool_waits_for_a_busy_notebook_no_longer_than_its_time(kernel: Kernel, server: OpenAIServer) -> None:
    kernel.run("import time\ndef where(): return 'here'")
    options = f"--bg -m openai/root --api-base {server.url} --tool where --cell-timeout 2"
    kernel.run(f"%%rlm {options}\n<<{failed('where()')}>>")
    waited = kernel.run("run = _\nwhile 'await it' in repr(run): time.sleep(0.05)\nprint(run.result().answer)")
    assert "where did not return within 2 seconds and was not called, as the notebook was busy" in kernel.text(waited)


def test_interrupting_a_notebook_in_a_tool_stops_the_run(kernel: Kernel, server: OpenAIServer) -> None:
    kernel.run("import time\ndef hang(): print('hangs'); time.sleep(600)")

    def interrupted(options: str) -> None:
        request = kernel.start(f"%%rlm {options} -m openai/root --api-base {server.url} --tool hang\n<<hang()>>")
        kernel.until(lambda: "hangs" in kernel.text(request))
        kernel.manager.interrupt_kernel()
        kernel.until(lambda: kernel.ended(request))

    interrupted("")
    assert kernel.text(kernel.run("%rlm runs")).count("stopped") == 1
    interrupted("--bg")
    assert "stopped by the user" in kernel.text(kernel.run("print(_.result(60).reason)"))
    assert len(server.requests) == 2
