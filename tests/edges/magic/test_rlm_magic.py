"""`%%rlm` end to end in a plain IPython: real subkernels, a real server, no frontend."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from rlm_magic import RLM, Limits
from rlm_magic.engine.errors import InputError
from rlm_magic.magic import RunEnded
from rlm_magic.result import Result
from tests.edges.conftest import PROVIDER_KEYS
from tests.server import OpenAIServer, Reply, Request, code, error

SUBMIT = "FINAL({})"


def ask(shell: InteractiveShell, server: OpenAIServer, line: str, program: str, end: str = "") -> Result | None:
    return shell.run_cell_magic(
        "rlm", f"{line} -m openai/root -s openai/sub --api-base {server.url}", f"<<{program}>>{end}"
    )


def test_one_variable_is_the_context_and_keeps_its_name(shell: InteractiveShell, server: OpenAIServer) -> None:
    shell.user_ns["tickets"] = "first\nsecond\n"
    ask(shell, server, "tickets -o out", "FINAL([context == tickets, len(context)])")
    assert shell.user_ns["out"] == [True, 13]


def test_several_variables_come_by_name_and_as_a_dict(shell: InteractiveShell, server: OpenAIServer) -> None:
    shell.user_ns.update(a=[1, 2], b={"k": "v"})
    ask(shell, server, "a b -o out", "FINAL([sorted(context), a == context['a'], b['k']])")
    assert shell.user_ns["out"] == [["a", "b"], True, "v"]


def test_no_variable_is_no_context(shell: InteractiveShell, server: OpenAIServer) -> None:
    ask(shell, server, "-o out", "FINAL(repr(context))")
    assert shell.user_ns["out"] == "None"


def test_sub_calls_go_to_the_sub_model(shell: InteractiveShell, server: OpenAIServer) -> None:
    shell.user_ns["word"] = "quiet"
    result = ask(shell, server, "word -o out", "FINAL(llm_query_batched([context, 'loud']))")
    assert shell.user_ns["out"] == ["QUIET", "LOUD"]
    assert isinstance(result, Result)
    assert [node.model for node in result.nodes if node.kind == "llm"] == ["openai/sub", "openai/sub"]
    assert result.cost is None, "the price of a local model is unknown, never 0"


def test_a_path_is_bound_as_itself(shell: InteractiveShell, server: OpenAIServer, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("seen", encoding="utf-8")
    shell.user_ns["folder"] = tmp_path
    ask(shell, server, "folder -o out", "FINAL((context / 'notes.txt').read_text())")
    assert shell.user_ns["out"] == "seen"


def test_values_of_the_notebook_are_filled_into_the_question(shell: InteractiveShell, server: OpenAIServer) -> None:
    shell.user_ns.update(n=41, data="x")
    ask(shell, server, "data -o out", "len(context); d = {'n': {n}}; FINAL(d['n'] + 1)")
    assert shell.user_ns["out"] == 42


def test_a_closing_semicolon_keeps_the_result_out_of_the_output(shell: InteractiveShell, server: OpenAIServer) -> None:
    assert ask(shell, server, "-o out", "FINAL(1)", end=" ;") is None
    assert shell.user_ns["out"] == 1
    assert ask(shell, server, "", "FINAL(1)") is not None


def test_a_run_that_fails_ends_in_one_line_and_leaves_out_unbound(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.user_ns["out"] = "before"
    with OpenAIServer(lambda request: error(400, "no such thing")) as failing:
        result = shell.run_cell(f"%%rlm -o out -m openai/root --api-base {failing.url}\nwhat?")
    assert isinstance(result.error_in_exec, RunEnded)
    shown = capsys.readouterr()
    assert "Traceback" not in shown.out + shown.err
    assert "no such thing" in shown.out + shown.err
    assert "out" not in shell.user_ns


def test_an_unreachable_server_is_named(shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RunEnded, match=r"127\.0\.0\.1:9"):
        shell.run_cell_magic("rlm", "-m openai/root --api-base http://127.0.0.1:9/v1 --timeout 20", "what?")


def test_a_forced_answer_is_bound_with_a_warning(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    def root(request: Request) -> str | Reply:
        return "a guess" if "Reply with the answer alone" in request.prompt else code("print('looking')")

    with OpenAIServer(root) as running:
        shell.run_cell_magic("rlm", f"-o out --turns 2 -m openai/root --api-base {running.url}", "what?")
    assert shell.user_ns["out"] == "a guess"
    assert "forced" in capsys.readouterr().err


def test_the_configuration_holds_for_every_cell(shell: InteractiveShell, server: OpenAIServer) -> None:
    shell.run_line_magic("config", "RLMMagic.aliases = {'mine': 'openai/root'}")
    shell.run_line_magic("config", "RLMMagic.model = 'mine'")
    shell.run_line_magic("config", f"RLMMagic.api_base = {server.url!r}")
    result = shell.run_cell_magic("rlm", "-o out", "<<FINAL(7)>>")
    assert (shell.user_ns["out"], result.nodes[0].models["root"]) == (7, "openai/root")


def test_a_resumed_run_has_the_notes_on_its_model_that_it_had(shell: InteractiveShell, server: OpenAIServer) -> None:
    shell.run_line_magic("config", "RLMMagic.model_notes = {'*root': 'Be quick.'}")
    with pytest.raises(RunEnded, match="calls=1 is used up"):
        ask(shell, server, "--calls 1", "1")
    shell.run_line_magic("config", "RLMMagic.model_notes = {}")
    shell.run_line_magic("rlm", "resume last --calls 2 --turns 1")
    assert [request["messages"][0]["content"].endswith("Be quick.") for request in server.requests] == [True, True]


def one_step_more(request: Request) -> str:
    """Looks first, and answers in its second turn."""
    return code("FINAL(7)" if len(request["messages"]) > 2 else "found = 1\nprint(found)")


def test_a_resumed_run_binds_its_answer_to_the_name_that_was_given(shell: InteractiveShell) -> None:
    with OpenAIServer(one_step_more) as server:
        with pytest.raises(RunEnded, match="calls=1 is used up"):
            shell.run_cell_magic("rlm", f"-o out --calls 1 -m openai/root --api-base {server.url}", "what?")
        assert "out" not in shell.user_ns
        shell.run_line_magic("rlm", "resume last --calls 9")
        assert shell.user_ns["out"] == 7
        shell.run_line_magic("rlm", "resume last -o other")
        assert shell.user_ns["other"] == 7


def test_a_resumed_run_is_in_its_session_again(shell: InteractiveShell) -> None:
    with OpenAIServer(one_step_more) as server:
        with pytest.raises(RunEnded, match="calls=1 is used up"):
            shell.run_cell_magic("rlm", f"--session s --calls 1 -m openai/root --api-base {server.url}", "what?")
        with pytest.raises(UsageError, match=r"session 's' has variables already: .*%rlm close s"):
            shell.run_line_magic("rlm", "resume last --calls 9")
        shell.run_line_magic("rlm", "close s")
        shell.run_line_magic("rlm", "resume last --calls 9")
        shell.run_line_magic("rlm", "pull s found")
        shell.run_line_magic("rlm", "close s")
    assert shell.user_ns["found"] == 1


def test_runs_are_listed_shown_and_exported(
    shell: InteractiveShell, server: OpenAIServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = ask(shell, server, "", "FINAL('an answer')")
    assert isinstance(first, Result)
    capsys.readouterr()
    shell.run_line_magic("rlm", "runs")
    assert first.run_id in capsys.readouterr().out
    shown = shell.run_line_magic("rlm", f"show {first.run_id[:15]}")
    assert shown.answer == "an answer"
    shell.run_line_magic("rlm", f"export last {tmp_path / 'run.html'}")
    assert "an answer" in (tmp_path / "run.html").read_text(encoding="utf-8")
    shell.run_line_magic("rlm", "status")
    assert "no run is under way" in capsys.readouterr().out


def test_doctor_names_what_is_there_and_shows_no_key(
    shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "canary-not-a-key")
    with OpenAIServer(lambda _: "", models=["qwen3-8b"]) as server:
        monkeypatch.setenv("LM_STUDIO_API_BASE", server.url)
        shell.run_line_magic("rlm", "doctor")
    report = capsys.readouterr().out
    assert "openai" in report
    assert "lm_studio/qwen3-8b" in report
    assert "ipykernel" in report
    assert "canary" not in report


def test_tab_completes_variables_options_models_and_commands(shell: InteractiveShell) -> None:
    shell.user_ns["tickets"] = "text"
    for line, expected in [
        ("%%rlm tic", "tickets"),
        ("%%rlm tickets --mod", "--model"),
        ("%%rlm tickets -m rlm-off", "rlm-offline/policy"),
        ("%rlm do", "doctor"),
    ]:
        with provisionalcompleter():
            offered = [completion.text for completion in shell.Completer.completions(line, len(line))]
        assert expected in offered, line


def test_help_lists_every_command(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    shell.run_line_magic("rlm", "help")
    text = capsys.readouterr().out
    for word in ("status", "runs", "show", "stop", "export", "doctor"):
        assert word in text


def test_options_are_documented_where_ipython_shows_help(shell: InteractiveShell) -> None:
    doc = shell.find_cell_magic("rlm").__doc__
    for option in ("--model", "--out", "--turns", "--cost", "--sandbox", "--step", "--bg"):
        assert option in doc


def test_an_unknown_run_is_refused_with_the_nearest(shell: InteractiveShell) -> None:
    with pytest.raises(UsageError, match="no runs are recorded"):
        shell.run_line_magic("rlm", "show nosuch")


@pytest.mark.parametrize(("key", "imported"), [({"OPENAI_API_KEY": "sk-abcdefgh"}, True), ({}, False)])
def test_the_models_library_is_imported_beside_the_first_cells_where_a_key_is_set(
    key: dict[str, str], imported: bool, tmp_path: Path
) -> None:
    program = (
        "import sys, threading\n"
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "InteractiveShell.instance().run_line_magic('load_ext', 'rlm_magic')\n"
        "[each.join() for each in threading.enumerate() if each.name == 'rlm-import-litellm']\n"
        "print('litellm' in sys.modules)"
    )
    environment = {name: value for name, value in os.environ.items() if name not in PROVIDER_KEYS}
    environment |= {"IPYTHONDIR": str(tmp_path), **key}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=100)
    assert (done.stdout, done.stderr) == (f"{imported}\n", "")


def test_out_never_replaces_what_is_asked_about(shell: InteractiveShell, server: OpenAIServer) -> None:
    shell.user_ns["tickets"] = "precious"
    with pytest.raises(UsageError, match="-o tickets would replace the variable that is asked about"):
        ask(shell, server, "tickets -o tickets", "FINAL(len(context))")
    assert shell.user_ns["tickets"] == "precious"
    assert server.requests == []


def test_a_forced_answer_in_the_background_is_said_to_be_one(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    def root(request: Request) -> str:
        return "a guess" if "Reply with the answer alone" in request.prompt else code("print('looking')")

    with OpenAIServer(root) as running:
        handle = shell.run_cell_magic("rlm", f"-o out --bg --turns 1 -m openai/root --api-base {running.url}", "what?")
        handle.result(60)
    assert shell.user_ns["out"] == "a guess"
    assert "forced answer: turns=1 is used up" in capsys.readouterr().err


def test_a_limit_is_called_what_the_user_types(shell: InteractiveShell) -> None:
    with OpenAIServer(lambda request: Reply("", hang=True)) as hanging:
        with pytest.raises(RunEnded, match=r"seconds=0\.5 is used up.*: raise --timeout to go further; "):
            shell.run_cell_magic("rlm", f"-m openai/root --api-base {hanging.url} --timeout 0.5", "what?")
        rlm = RLM("openai/root", api_base=hanging.url, limits=Limits(seconds=0.5))
        assert rlm.completion("what?").reason.endswith(": raise seconds to go further")


def test_a_display_that_fails_costs_no_answer(
    shell: InteractiveShell, server: OpenAIServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    latin = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", latin)
        ask(shell, server, "-o out", "FINAL('✓')")
    assert shell.user_ns["out"] == "✓"
    assert "the run cannot be shown" in capsys.readouterr().err


def test_acompletion_leaves_its_loop_free_while_the_run_is_prepared(server: OpenAIServer) -> None:
    """A local server is asked for its window first; here it answers when the loop has gone on."""
    gone_on = threading.Event()

    class Listing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert gone_on.wait(30)
            self.send_error(404)

        def do_POST(self) -> None:
            self.send_error(400)

    async def main(url: str) -> Result:
        rlm = RLM("openai/root", api_base=url, api_key="none")
        running = asyncio.ensure_future(rlm.acompletion("what?"))
        await asyncio.sleep(0)
        gone_on.set()
        return await running

    with ThreadingHTTPServer(("127.0.0.1", 0), Listing) as listing:
        threading.Thread(target=listing.serve_forever, daemon=True).start()
        result = asyncio.run(main(f"http://127.0.0.1:{listing.server_port}/v1"))
        listing.shutdown()
    assert result.status == "failed"


def test_a_context_beside_variables_is_refused(server: OpenAIServer) -> None:
    rlm = RLM("openai/root", api_base=server.url, api_key="none")
    with pytest.raises(InputError, match="both context= and variables= are given"):
        rlm.completion("what?", "text", variables={"more": "text"})
