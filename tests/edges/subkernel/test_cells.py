"""One cell of the model's code: what it shows, what it changes, and what it may do to its session without harm."""

from __future__ import annotations

import psutil
import pytest

from ...subkernels import Session, opened


def test_a_traceback_holds_the_codes_own_lines_only(session: Session) -> None:
    code = "import json\ndef parse(text):\n    return json.loads(text)\nparse('{')"
    error = session.run(code).error
    assert error is not None
    assert error.name == "JSONDecodeError"
    assert "line 4\n    parse('{')" in error.traceback
    assert "line 3, in parse\n    return json.loads(text)" in error.traceback
    assert "decoder.py" not in error.traceback


def test_a_lone_surrogate_in_the_code_is_replaced(session: Session) -> None:
    assert session.run("print(ascii('\ud800'))").output == r"'\ufffd'" + "\n"


def test_a_deep_recursion_is_told_briefly(session: Session) -> None:
    error = session.run("def f(): f()\nf()").error
    assert error is not None
    assert error.name == "RecursionError"
    assert "calls left out" in error.traceback
    assert len(error.traceback) < 3_000


def test_the_cause_of_an_error_is_named(session: Session) -> None:
    error = session.run("try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise KeyError('k') from e").error
    assert error is not None
    assert "caused by ZeroDivisionError: division by zero" in error.traceback


def test_a_long_output_keeps_head_and_tail_and_its_length(session: Session) -> None:
    result = session.run("print('head' + 'x' * 3_000_000 + 'tail')")
    assert result.output_chars == 3_000_009
    assert result.output.startswith("headx")
    assert result.output.endswith("xtail\n")
    assert "2,000,009 characters left out" in result.output
    assert len(result.output) < 1_001_000


def test_a_huge_exception_message_is_cut(session: Session) -> None:
    error = session.run("raise ValueError('a' * 50_000_000)").error
    assert error is not None
    assert len(error.message) < 2_100
    assert "characters left out" in error.message


def test_a_flood_is_never_held_here(session: Session) -> None:
    before = psutil.Process().memory_info().rss
    for code in ("print('x' * 300_000_000)", "raise ValueError('x' * 300_000_000)", "'x' * 100_000_000"):
        session.run(code)
    assert psutil.Process().memory_info().rss - before < 64 * 1024**2


def test_errors_and_output_share_one_order(session: Session) -> None:
    output = session.run("import sys\nprint('1')\nprint('2', file=sys.stderr)\nprint('3')\n4").output
    assert output.split() == ["1", "2", "3", "4"]


def test_what_a_child_process_writes_is_output() -> None:
    with opened() as session:
        result = session.run("import os\nos.system('echo from a process')\nos.write(2, b'from C\\n')\nprint('own')")
    assert sorted(line for line in result.output.splitlines() if line[0] in "fo") == [
        "from C",
        "from a process",
        "own",
    ]


def test_new_and_changed_variables_are_told_with_their_size(session: Session) -> None:
    session.run("rows = [1]; text = 'abc'; n = 7; same = (1, 2)")
    result = session.run("rows.append(2); text = 'x' * 2_000; import re; fresh = {'a': 1}; def_ = 1; _private = 2")
    told = {c.name: (c.type, c.size, c.new) for c in result.changes}
    assert told == {
        "rows": ("list", "2 items", False),
        "text": ("str", "2,000 characters", False),
        "fresh": ("dict", "1 items", True),
        "def_": ("int", "1", True),
    }


def test_arrays_and_tables_are_told_by_their_shape(session: Session) -> None:
    pytest.importorskip("pandas")
    code = "import numpy as np, pandas as pd\na = np.zeros((3, 4)); t = pd.DataFrame({'x': range(1200), 'y': 1})"
    told = {c.name: c.size for c in session.run(code).changes}
    assert told == {"a": "3 × 4", "t": "1,200 rows × 2 columns"}


def test_many_new_variables_are_not_all_told(session: Session) -> None:
    result = session.run("for i in range(500): globals()[f'v{i}'] = i")
    assert 0 < len(result.changes) <= 50


@pytest.mark.parametrize(
    "code",
    [
        "class H:\n    def __repr__(self): raise RuntimeError('no')\nh = H()\nh",
        "class H(list):\n    def __len__(self): raise RuntimeError('no')\nh = H()",
        "class H(dict):\n    def __len__(self): return -5\nh = H()",
        "class H:\n    __class__ = property(lambda self: 1 / 0)\nh = H()",
        "class E(Exception):\n    def __str__(self): raise RuntimeError('no')\nraise E()",
        "class M(type):\n    def __repr__(cls): 1 / 0\nclass E(Exception, metaclass=M): pass\nraise E()",
        "class E(Exception):\n    def __bool__(self): raise RuntimeError('no')\nraise E()",
        "class M(type):\n    __name__ = property(lambda cls: 1 / 0)\nclass E(Exception, metaclass=M): pass\nraise E()",
        "answer['content'] = type('H', (), {'__str__': lambda self: 1 / 0})()",
        "answer.clear()",
        "answer = type('D', (dict,), {'get': lambda *a: 1 / 0})(ready=True)",
        "import sys; del sys.stdout, sys.stderr",
        "import sys; sys.stdout = None",
        "import sys; sys.stdout.close(); sys.stderr.close()",
        "import os; os.close(1); os.close(2)",
        "import threading; threading.Thread(target=lambda: 1 / 0).start()",
        "exit()",
        "quit()",
        "raise SystemExit",
        "import sys; sys.exit(5)",
        "%no_such_magic",
        "globals().clear()",
    ],
)
def test_hostile_code_leaves_the_session_alive(session: Session, code: str) -> None:
    pid = "import os; kept_pid = os.getpid(); print(kept_pid)"
    before = session.run(pid).output
    result = session.run(code)
    assert result.status == ("error" if "raise E" in code or "exit" in code else result.status) in ("ok", "error")
    after = session.run(pid)
    assert (after.status, after.output) == ("ok", before)


def test_an_exit_is_an_error(session: Session) -> None:
    error = session.run("exit()").error
    assert error is not None
    assert error.name == "SystemExit"


def test_input_is_refused(session: Session) -> None:
    assert session.run("input('? ')", seconds=5).status == "error"


def test_top_level_await_and_asyncio_run_work(session: Session) -> None:
    assert session.run("import asyncio\nawait asyncio.sleep(0, 'awaited')").output == "'awaited'\n"
    code = "async def main():\n    return await asyncio.gather(allm_query('a'), arlm_query('b'))\nasyncio.run(main())"
    assert session.run(code).output == "['A', 'B']\n"
    error = session.run("async def bad(): raise KeyError('k')\nasyncio.run(bad())").error
    assert error is not None
    assert error.name == "KeyError"


def test_displays_are_kept_beside_their_text(session: Session) -> None:
    result = session.run("from IPython.display import HTML, display\ndisplay(HTML('<b>x</b>'))\nprint('after')")
    assert [dict(rich.data)["text/html"] for rich in result.rich] == ["<b>x</b>"]
    assert result.output == "<IPython.core.display.HTML object>\nafter\n"


def test_a_plot_is_kept_as_an_image(session: Session) -> None:
    pytest.importorskip("matplotlib")
    result = session.run("import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()", seconds=60)
    assert any(rich.data.get("image/png", "").startswith("iVBOR") for rich in result.rich)


def test_too_many_or_too_large_displays_are_left_out(session: Session) -> None:
    code = (
        "from IPython.display import HTML, display\nfor i in range(40): display(HTML('<i>'))\ndisplay(HTML('x' * 9**8))"
    )
    result = session.run(code)
    assert len(result.rich) == 16
    assert "a display was left out" in result.output


def test_nothing_that_a_display_asks_of_jupyter_is_done(session: Session) -> None:
    result = session.run(
        "get_ipython().set_next_input('evil()')\nfrom IPython.display import clear_output\nclear_output()"
    )
    assert result.status == "ok"
    assert result.output == ""


def test_the_environment_holds_nothing_of_the_notebooks(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    result = session.run("import os\nprint(sorted(os.environ))\nprint(os.getcwd() == os.environ['HOME'], os.listdir())")
    assert "RLM_SUBKERNEL" in result.output
    assert "RLM_CHANNEL" not in result.output
    assert not [name for name in ("KEY", "TOKEN", "SECRET", "JUPYTER_SERVER", "USER'") if name in result.output]
    assert "True" in result.output


def test_the_guests_files_cannot_be_imported_by_their_short_names(session: Session) -> None:
    code = "import importlib.util\nprint([n for n in ('session', 'link', 'crossing') if importlib.util.find_spec(n)])"
    assert session.run(code).output == "[]\n"


def test_memory_of_old_outputs_is_bounded(session: Session) -> None:
    code = "for _ in range(3): print('x' * 200_000)"
    for _ in range(3):
        session.run(code)
    assert session.run("print(sum(map(len, history)) <= 33_000_000, len(history[-1]))").output == "True 600003\n"
