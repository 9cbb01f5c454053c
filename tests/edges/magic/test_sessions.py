"""`--session`, and a look at what finished runs left, in a plain IPython: real subkernels, a real server."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import pandas
import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from rlm_magic import RLM, Limits, inspecting, sessions
from rlm_magic.background import engine
from rlm_magic.engine.errors import InputError
from rlm_magic.handle import Handle
from rlm_magic.magic import RunEnded
from rlm_magic.result import Result
from rlm_magic.run import live
from tests.server import OpenAIServer, Reply

GIB = 1024**3


@pytest.fixture(autouse=True)
def none_left() -> Iterator[None]:
    yield
    for run in list(live.values()):
        run.stop()
        run.future.result()
    for session in sessions.kept():
        if session.name:
            inspecting.close(session.name)
        else:
            engine().submit(session.subkernel.close()).result()
            sessions._last = None


Ask = Callable[..., Any]


@pytest.fixture
def ask(shell: InteractiveShell, server: OpenAIServer) -> Ask:
    """Ask in session ``s`` with these options, and give the answer."""

    def ask(program: str, line: str = "", session: str = "--session s") -> Any:
        options = f"{session} -m openai/root -s openai/sub --api-base {server.url}"
        shown = shell.run_cell_magic("rlm", f"{line} {options}", f"<<{program}>>")
        return shown.answer if isinstance(shown, Result) else shown

    return ask


def say(shell: InteractiveShell, capsys: pytest.CaptureFixture[str], line: str) -> str:
    capsys.readouterr()
    shell.run_line_magic("rlm", line)
    return capsys.readouterr().out.strip()


def last_prompt(server: OpenAIServer) -> str:
    return server.requests[-1]["messages"][1]["content"]


def kill(name: str) -> None:
    (session,) = [each for each in sessions.kept() if each.name == name]
    kernel = session.subkernel._kernel
    assert kernel is not None
    os.kill(kernel._provisioner.kernel_pid, signal.SIGKILL)
    engine().submit(_wait(kernel.died)).result()


async def _wait(died: asyncio.Task[Any]) -> None:
    await asyncio.wait({died})


def test_the_next_question_finds_variables_and_is_told_of_them(
    shell: InteractiveShell, server: OpenAIServer, ask: Ask
) -> None:
    shell.user_ns["docs"] = "one two three"
    assert ask("words = context.split(); FINAL(len(words))", "docs") == 3
    assert ask("FINAL([words[1], len(history)])", "docs") == ["two", 0]
    prompt = last_prompt(server)
    assert "words (list, 3 items)" in prompt
    assert "Q: <<words = context.split(); FINAL(len(words))>>\nA: 3\n" in prompt
    assert "docs (str" not in prompt.partition("still there")[2]


def test_a_question_that_names_no_variable_is_about_the_same(
    shell: InteractiveShell, server: OpenAIServer, ask: Ask
) -> None:
    shell.user_ns.update(docs="one two three", more="four")
    ask("FINAL(len(context))", "docs")
    assert ask("FINAL(context)") == "one two three"
    assert "`context`, also named `docs`" in last_prompt(server)
    assert ask("FINAL([context, docs])", "more") == ["four", "one two three"]


def test_a_changed_variable_is_bound_anew(shell: InteractiveShell, ask: Ask) -> None:
    shell.user_ns["rows"] = [1]
    ask("rows.append(99); FINAL(len(context))", "rows")
    shell.user_ns["rows"].append(2)
    assert ask("FINAL(rows)", "rows") == [1, 2]


def test_an_answer_of_the_question_before_is_none_of_this_one(ask: Ask, shell: InteractiveShell) -> None:
    shell.user_ns["docs"] = "x"
    ask("answer['content'] = 'old'; answer['ready'] = True; len(context)", "docs")
    with pytest.raises(RunEnded, match="turns"):
        ask("print(answer)", "docs --turns 1 --calls 1")


def test_two_runs_at_once_cannot_share_a_session(shell: InteractiveShell, ask: Ask) -> None:
    handle = ask("import time; time.sleep(60); FINAL(1)", "--bg")
    assert isinstance(handle, Handle)
    with pytest.raises(UsageError, match=f"session 's' is in use by run {handle.run_id}"):
        ask("FINAL(2)")
    for line in ("vars s", "close s"):
        with pytest.raises(UsageError, match=handle.run_id):
            shell.run_line_magic("rlm", line)
    assert ask("FINAL(3)", session="--session other") == 3
    handle.stop()
    assert handle.result().status == "stopped"
    assert ask("FINAL(4)") == 4


def test_stopped_code_leaves_its_session(ask: Ask, server: OpenAIServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlm_magic.subkernel.sandbox.KEPT_GRACE", 60.0)
    monkeypatch.setattr("rlm_magic.run.STOP_SECONDS", 60.0)
    ask("kept = 5; FINAL(1)")
    handle = ask("kept += 1; import time; time.sleep(60)", "--bg")
    server.wait(lambda s: len(s.requests) == 2)
    while not any(each.kind == "exec" for each in list(handle._run.tree.nodes.values())):
        time.sleep(0.01)
    handle.stop()
    handle.result()
    assert ask("FINAL(kept)") in (5, 6)


def test_a_dead_session_is_told_to_both(
    shell: InteractiveShell, server: OpenAIServer, ask: Ask, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.user_ns["docs"] = "text"
    ask("mine = 1; FINAL(len(context))", "docs")
    kill("s")
    assert "dead: it was killed by SIGKILL" in say(shell, capsys, "sessions")
    assert ask("FINAL(['mine' in globals(), context])") == [False, "text"]
    told = capsys.readouterr().err
    assert "session 's' is fresh" in told
    assert "SIGKILL" in told
    assert "mine" not in last_prompt(server).partition("still there")[2]
    kill("s")
    assert ask("FINAL(context)", "--bg").result().answer == "text"
    assert "session 's' is fresh" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [("--memory 1000000000", "--memory 4294967296, not 1000000000"), ("--sandbox none", "not none")],
)
def test_a_session_keeps_what_it_was_opened_with(ask: Ask, options: str, said: str) -> None:
    ask("FINAL(1)")
    with pytest.raises(UsageError, match=f"session 's' was opened with .*{said}"):
        ask("FINAL(2)", options)
    assert ask("FINAL(3)") == 3


def test_a_path_that_the_session_cannot_see_is_named(shell: InteractiveShell, ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "seen").mkdir()
    (tmp_path / "seen" / "a.txt").write_text("a")
    (tmp_path / "other.txt").write_text("b")
    shell.user_ns.update(seen=tmp_path / "seen", a=tmp_path / "seen" / "a.txt", other=tmp_path / "other.txt")
    ask("FINAL(len(list(context.iterdir())))", "seen")
    assert ask("FINAL(context.read_text())", "a") == "a"
    with pytest.raises(UsageError, match=r"cannot see .*other\.txt"):
        ask("FINAL(1)", "other")
    kill("s")
    assert ask("FINAL(context.read_text())", "other") == "b"


def test_so_many_sessions_and_no_more(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MOST", 2)
    ask("FINAL(1)", session="--session a")
    ask("FINAL(1)", session="--session b")
    with pytest.raises(UsageError, match=r"2 sessions are open \(a, b\): .*%rlm close"):
        ask("FINAL(1)", session="--session c")
    inspecting.close("a")
    assert ask("FINAL(1)", session="--session c") == 1


@pytest.mark.parametrize("name", ["", "two words", "../x", "-x", "x" * 41])
def test_what_is_no_name(ask: Ask, name: str) -> None:
    with pytest.raises(UsageError, match="is not a name"):
        ask("FINAL(1)", session=f"--session='{name}'")
    assert sessions.kept() == []


def test_a_run_that_cannot_start_leaves_no_session(shell: InteractiveShell, ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    shell.run_line_magic("config", f"RLMMagic.runs_dir = {str(tmp_path / 'file')!r}")
    with pytest.raises(Exception, match="file"):
        ask("FINAL(1)")
    assert sessions.kept() == []


def test_sessions_are_listed_and_closed(shell: InteractiveShell, ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no session is open" in say(shell, capsys, "sessions")
    ask("FINAL(1)")
    ask("FINAL(1)")
    line = say(shell, capsys, "sessions")
    assert line.startswith("s  2 questions · opened ")
    assert line.endswith("MiB · idle")
    assert say(shell, capsys, "close s") == "closed s"
    assert "no session is open" in say(shell, capsys, "sessions")
    with pytest.raises(UsageError, match="there is no session 's'"):
        shell.run_line_magic("rlm", "close s")
    with pytest.raises(UsageError, match="no variables are kept"):
        shell.run_line_magic("rlm", "vars")


def test_variables_are_listed_and_brought_into_the_notebook(
    shell: InteractiveShell, ask: Ask, capsys: pytest.CaptureFixture[str]
) -> None:
    ask(
        "import pandas, numpy, pathlib\n"
        "frame = pandas.DataFrame({'k': ['a', 'b'], 'n': [1, None]}).set_index('k')\n"
        "array = numpy.arange(6).reshape(2, 3)\nfound = {'a': [1, 2]}\nobj = object()\nFINAL(1)"
    )
    listed = say(shell, capsys, "vars")
    assert "frame  DataFrame  2 rows × 1 columns" in listed
    assert say(shell, capsys, "pull frame") == "frame: pandas.DataFrame"
    say(shell, capsys, "pull s array")
    say(shell, capsys, "pull found -o elsewhere")
    pandas.testing.assert_frame_equal(
        shell.user_ns["frame"], pandas.DataFrame({"k": ["a", "b"], "n": [1, None]}).set_index("k")
    )
    assert numpy.array_equal(shell.user_ns["array"], numpy.arange(6).reshape(2, 3))
    assert shell.user_ns["elsewhere"] == {"a": [1, 2]}
    with pytest.raises(UsageError, match=r"obj \(object\) cannot be pulled: .*make it a str, list, dict"):
        shell.run_line_magic("rlm", "pull obj")
    assert "obj" not in shell.user_ns


def test_a_variable_of_the_notebook_is_replaced_only_by_name(shell: InteractiveShell, ask: Ask) -> None:
    ask("found = 2; FINAL(1)")
    shell.user_ns["found"] = 1
    with pytest.raises(UsageError, match=r"found is a variable of this notebook: -o found replaces it"):
        shell.run_line_magic("rlm", "pull found")
    assert shell.user_ns["found"] == 1
    shell.run_line_magic("rlm", "pull found -o found")
    assert shell.user_ns["found"] == 2


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("pull", "give a variable"),
        ("pull s fuond", "did you mean found"),
        ("pull s found -o 1x", "not a variable name"),
        ("pull t found", "nothing is kept of 't': there is s"),
        ("vars nosuch", "nothing is kept of 'nosuch'"),
        ("close", "give %rlm close SESSION"),
        ("clos s", "did you mean close"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(shell: InteractiveShell, ask: Ask, line: str, said: str) -> None:
    ask("found = 2; FINAL(1)")
    with pytest.raises(UsageError, match=said) as caught:
        shell.run_line_magic("rlm", line)
    assert "\n" not in str(caught.value)


def test_ctrl_c_ends_the_wait_for_a_variable_in_one_line(shell: InteractiveShell, ask: Ask) -> None:
    code = "class Endless(dict):\n    def items(self):\n        while True: pass\n"
    ask(f"{code}found = Endless(a=1); n = 5; FINAL(1)")
    interrupt = threading.Timer(1, lambda: signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT))
    interrupt.start()
    with pytest.raises(RunEnded, match=r"^stopped by the user"):
        shell.run_line_magic("rlm", "pull s found")
    interrupt.join()


def test_the_last_run_can_be_looked_into_for_a_while(
    shell: InteractiveShell, ask: Ask, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    ask("first = 1; FINAL(1)", session="")
    ask("second = 2; FINAL(1)", session="")
    assert len(sessions.kept()) == 1
    assert say(shell, capsys, "vars") == "second  int  2"
    run = say(shell, capsys, "runs").split()[0]
    say(shell, capsys, f"pull {run[:15]} second")
    assert shell.user_ns["second"] == 2
    assert "no session" in say(shell, capsys, "sessions")
    shell.run_line_magic("config", "RLMMagic.keep_variables = 0.0")
    ask("third = 3; FINAL(1)", session="")
    assert say(shell, capsys, "vars") == "second  int  2"


def test_what_is_kept_ends_by_itself(shell: InteractiveShell, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    shell.run_line_magic("config", "RLMMagic.keep_variables = 0.2")
    ask("first = 1; FINAL(1)", session="")
    while sessions.kept():
        engine().submit(asyncio.sleep(0.05)).result()


def test_where_nobody_looks_nothing_is_kept(ask: Ask) -> None:
    ask("first = 1; FINAL(1)", session="")
    assert sessions.kept() == []


def test_a_later_question_of_a_session_is_not_resumed(shell: InteractiveShell, ask: Ask) -> None:
    for _ in range(2):
        with pytest.raises(RunEnded):
            ask("x = 1", "--turns 1 --calls 1")
    with pytest.raises(UsageError, match="was question 2 of session 's'"):
        shell.run_line_magic("rlm", "resume last --calls 9")


def test_the_first_question_of_a_session_is_resumed_in_one_that_is_new(shell: InteractiveShell, ask: Ask) -> None:
    with pytest.raises(RunEnded):
        ask("x = 1", "--turns 1 --calls 1")
    with pytest.raises(UsageError, match="a resumed run begins afresh"):
        shell.run_line_magic("rlm", "resume last --turns 2 --calls 9 --session s")
    assert shell.run_line_magic("rlm", "resume last --turns 2 --calls 9 --session new").status == "forced"
    assert ask("FINAL(x)", session="--session new") == 1


def test_a_dry_run_shows_what_a_session_adds(shell: InteractiveShell, ask: Ask) -> None:
    ask("found = [1]; FINAL(1)")
    assert "found (list, 1 items)" in str(ask("FINAL(2)", "--dry-run"))


def test_sessions_from_python(server: OpenAIServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    rlm = RLM("openai/root", "openai/sub", api_base=server.url, limits=Limits(turns=2))
    rlm.completion("<<words = context.split(); FINAL(len(words))>>", "one two", session="s")
    assert rlm.completion("<<FINAL([words, context])>>", session="s").answer == [["one", "two"], "one two"]
    with pytest.raises(InputError, match="memory"):
        RLM("openai/root", api_base=server.url, limits=Limits(memory=GIB)).completion("<<1>>", session="s")
    rlm.close("s")
    with pytest.raises(InputError, match="no session"):
        rlm.close("s")


def test_tab_completes_sessions_and_their_variables(shell: InteractiveShell, ask: Ask) -> None:
    ask("found = 1; FINAL(1)", session="--session mine")
    for line, expected in [
        ("%%rlm docs --session m", "mine"),
        ("%rlm close m", "mine"),
        ("%rlm vars m", "mine"),
        ("%rlm pull mine f", "found"),
    ]:
        with provisionalcompleter():
            offered = [completion.text for completion in shell.Completer.completions(line, len(line))]
        assert expected in offered, line


def test_a_reply_that_takes_long_does_not_hold_up_other_sessions(ask: Ask, shell: InteractiveShell) -> None:
    with OpenAIServer(lambda request: Reply("", hang=True)) as hanging:
        handle = shell.run_cell_magic("rlm", f"--bg --session slow -m openai/x --api-base {hanging.url}", "?")
        assert ask("FINAL(1)") == 1
        handle.stop()
        handle.result()
