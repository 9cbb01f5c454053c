"""`%rlm resume` after the kernel was killed: in another IPython, from the record alone."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from rlm_magic import RLM, Limits
from rlm_magic.engine.errors import InputError
from rlm_magic.engine.events import Event
from rlm_magic.magic import RunEnded
from rlm_magic.resuming import Recording
from rlm_magic.trace import Runs
from rlm_magic.trace.journal import line_of
from tests.edges.conftest import shell  # noqa: F401
from tests.server import OpenAIServer, Reply, Request

from . import program


class Stuck:
    """Answers until the third sub-call, which hangs until the run's process is gone."""

    def __init__(self) -> None:
        self.hanging = True

    def __call__(self, request: Request) -> Reply:
        hangs = self.hanging and request.prompt == "c"
        return Reply("", hang=True) if hangs else program.script(request)


def replies(runs: Path) -> int:
    """How many replies the one record holds."""
    return sum(record.read_text().count('"finish_reason"') for record in runs.glob("*.rlm.jsonl"))


@pytest.fixture
def killed(tmp_path: Path) -> Iterator[OpenAIServer]:
    """A server, and in ``runs`` the record of a run whose process was killed while a sub-call hung."""
    script = Stuck()
    with OpenAIServer(script) as server:
        command = [sys.executable, "-m", "tests.faults.session", server.url, str(tmp_path / "runs")]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as session:
            assert session.stdin is not None
            session.stdin.write("\n")
            session.stdin.flush()
            server.wait(lambda s: len(s.requests) == program.REQUESTS - 2)
            while replies(tmp_path / "runs") < program.REQUESTS - 3:
                time.sleep(0.01)
            session.kill()
        server.wait(lambda s: s.in_flight == 0)
        script.hanging = False
        yield server


def test_a_killed_run_goes_on_in_another_kernel(
    shell: InteractiveShell,  # noqa: F811
    killed: OpenAIServer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(UsageError, match="no variable named 'docs'"):
        shell.run_line_magic("rlm", "resume last")
    shell.user_ns["docs"] = "one two three and more"
    with pytest.raises(UsageError, match=r"docs is not what it was when run .* was recorded"):
        shell.run_line_magic("rlm", "resume last")
    shell.user_ns["docs"] = program.DOCS
    with pytest.raises(UsageError, match="asked openai/root as its root model, not openai/other: resume it with that"):
        shell.run_line_magic("rlm", "resume last -m openai/other")
    before = len(killed.requests)
    result = shell.run_line_magic("rlm", "resume last -o answer")
    assert str(result) == shell.user_ns["answer"] == program.ANSWER
    assert sorted(request.prompt for request in killed.requests[before:])[1:] == ["c", "z"]
    assert len(killed.requests) == before + 3
    header = result.tree.root.fields
    assert result.tree.nodes["0.1"].fields["cached"] is True
    assert header["resumed"] != result.run_id
    assert header["limits"]["depth"] == 2
    capsys.readouterr()
    shell.run_line_magic("rlm", "runs")
    assert "interrupted" in capsys.readouterr().out


def test_what_was_sent_and_lost_is_spent_and_a_higher_limit_goes_further(
    shell: InteractiveShell,  # noqa: F811
    killed: OpenAIServer,
) -> None:
    shell.user_ns["docs"] = program.DOCS
    before = len(killed.requests)
    with pytest.raises(RunEnded, match="calls=6 is used up"):
        shell.run_line_magic("rlm", "resume last --calls 6")
    assert len(killed.requests) == before
    killed_run = [run.id for run in Runs(runs_of(shell)).list()][-1]
    assert str(shell.run_line_magic("rlm", f"resume {killed_run} --calls 60")) == program.ANSWER


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("resume", "give the one run to resume"),
        ("resume a b", "give the one run to resume"),
        ("resume nothing", "no runs are recorded"),
        ("resume last --call 3 --unknown", "is not an option"),
    ],
)
def test_bad_lines(shell: InteractiveShell, line: str, says: str) -> None:  # noqa: F811
    with pytest.raises(UsageError, match=says):
        shell.run_line_magic("rlm", line)


CHANGED: list[dict[str, object]] = [
    {"variables": 5},
    {"variables": [{}]},
    {"models": "x"},
    {"limits": 5},
    {"options": 3},
    {"tools": 1.5},
    {"prompt": [{"sha256": "", "preview": "", "role": "", "chars": 10**400}]},
]


@pytest.mark.parametrize("fields", CHANGED, ids=str)
def test_a_record_that_other_hands_changed_is_refused_in_one_line(fields: dict[str, object], tmp_path: Path) -> None:
    event = Event(0, 0.0, "open", "0", {"kind": "run", "parent": None, "query": "q", **fields})
    Runs(tmp_path).path("changed").write_bytes(line_of(event, "changed"))
    with pytest.raises(InputError, match="changed by other hands"):
        Recording.load(Runs(tmp_path), "changed")


def test_from_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    with OpenAIServer(program.script) as server:
        model = program.HttpModel(server.url)
        first = RLM(model, limits=Limits(depth=2, calls=3), sandbox="none").completion("go", program.DOCS)
        assert first.status in ("forced", "limit")
        sent = len(server.requests)
        again = RLM(model, limits=Limits(depth=2), sandbox="none").resume(first.run_id, program.DOCS)
        assert str(again) == program.ANSWER
        assert len(server.requests) - sent < program.REQUESTS


def test_tab_offers_the_recorded_runs(shell: InteractiveShell) -> None:  # noqa: F811
    runs = Runs(runs_of(shell))
    runs.directory.mkdir()
    runs.path("20261121-091502-a3f2").touch()
    line = "%rlm resume 2026"
    with provisionalcompleter():
        offered = [completion.text for completion in shell.Completer.completions(line, len(line))]
    assert offered == ["20261121-091502-a3f2"]


def runs_of(shell: InteractiveShell) -> str:  # noqa: F811
    return str(shell.magics_manager.registry["RLMMagic"].runs_dir)
