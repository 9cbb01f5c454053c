"""`search` where it is used: in a confined subkernel, over bound values, within the limits of a cell and of memory."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from rlm_magic.binding import ValueStore, bind
from rlm_magic.subkernel import Tier

from ...subkernels import opened

MIB = 1024**2
LINE = "{} nothing happened on pump {} while the valve of tank {} was open and the night was calm\n"


@pytest.fixture
def store(tmp_path: Path) -> ValueStore:
    return ValueStore(tmp_path)


def log(lines: int) -> str:
    return "".join(LINE.format(n, n % 977, n % 1013) for n in range(lines))


def test_each_bound_value_can_be_searched(tier: Tier, store: ValueStore, tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "a.md").write_text("Pumps\n")
    (folder / "b.md").write_text("The tanks of the north\n")
    values = {"frame": pd.DataFrame({"id": [1, 2], "body": ["all calm", "a tank leaks"]}), "files": folder}
    bound = [bind(name, value, store=store) for name, value in values.items()]
    with opened(bound, tier=tier, paths=[str(folder)]) as session:
        code = "print([(hit['where'], hit['text']) for hit in search('tanks', over={})])"
        assert session.run(code.format("frame")).output == "[((1, 'body'), 'a tank leaks')]\n"
        assert session.run(code.format("files")).output == "[('b.md', 'The tanks of the north')]\n"
        error = session.run("search('tanks')").error
        assert error is not None
        assert error.message.startswith("item 'frame' is a DataFrame: over= takes a text")


def test_a_value_says_how_much_there_is_to_search(store: ValueStore) -> None:
    values = {"text": "x" * 99, "table": pd.DataFrame({"id": [1, 2], "body": ["abc", None]}), "number": 7}
    assert [bind(name, value, store=store).text_size for name, value in values.items()] == [99, 3, 0]


def test_an_index_takes_no_memory_and_leaves_no_file_and_its_making_can_be_interrupted(
    tier: Tier, store: ValueStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text has 36 MB; a session may take 64 MiB, and Python objects of its words would take several times that."""
    monkeypatch.setattr("rlm_magic.subkernel.sandbox.GRACE", 60.0)
    with opened([bind("log", log(400_000), store=store)], tier=tier, memory=64 * MIB) as session:
        late = session.run("import os\nkept = os.listdir('.')\nsearch('399999')", seconds=0.5)
        assert (late.status, late.lost) == ("timeout", "")
        code = "best = search('399999')[0]\nprint(context[best['start']:best['end']] == best['text'])"
        assert session.run(code, seconds=100).output == "True\n"
        assert session.run("print('399999 nothing' in best['text'], os.listdir('.') == kept)").output == "True True\n"
