"""Values on their way into a subkernel."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from rlm_magic.engine.errors import BindingError
from rlm_magic.engine.types import ValueFile, Variable
from rlm_magic.guest.load import dump

from ...subkernels import opened


@dataclass(frozen=True)
class Written:
    """A `Source` of any value."""

    value: object
    path: Path

    def file(self) -> ValueFile:
        if isinstance(self.value, Path):
            return ValueFile(str(self.value), "path", 0)
        self.path.unlink(missing_ok=True)
        form = dump(self.value, str(self.path))
        return ValueFile(str(self.path), form, self.path.stat().st_size)  # type: ignore[arg-type]


def written(name: str, value: object, tmp_path: Path) -> Variable:
    return Variable(name, "", Written(value, tmp_path / name))


def bind(variable: Variable) -> None:
    with opened([variable]):
        pass


def test_values_of_every_format_arrive(tmp_path: Path) -> None:
    values = {"t": "téxt\udc80", "b": b"\x00\xff", "d": {"k": [1, (2, 3)]}, "p": tmp_path}
    with opened([written(name, value, tmp_path) for name, value in values.items()]) as session:
        assert session.run("print(ascii((t, b, d)), type(p).__name__, p.exists())").output == (
            f"{(values['t'], values['b'], values['d'])!a} PosixPath True\n"
        )
        assert session.run("print(sorted(context), context['d'] is d)").output == "['b', 'd', 'p', 't'] True\n"


def test_a_table_arrives_writable(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    with opened([written("frame", pandas.DataFrame({"x": [1, 2, 3]}), tmp_path)]) as session:
        result = session.run("context.loc[0, 'x'] = 7\nprint(context['x'].sum(), context is frame)")
        assert result.output == "12 True\n"


def test_a_file_on_the_same_disk_is_not_copied(tmp_path: Path) -> None:
    variable = written("text", "x" * 1000, tmp_path)
    with opened([variable]) as session:
        assert session.run("len(context)").output == "1000\n"
        assert os.stat(tmp_path / "text").st_nlink in (1, 2)  # 1 where the temporary directory is on another disk


def test_a_class_that_is_not_there_names_its_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "only_here_mod.py").write_text("class Thing: pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import only_here_mod  # type: ignore[import-not-found]

    with pytest.raises(BindingError, match=r"^thing: .*no module 'only_here_mod'"):
        bind(written("thing", only_here_mod.Thing(), tmp_path))


def test_a_broken_file_is_a_binding_error(tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"not a pickle")

    class Bad:
        def file(self) -> ValueFile:
            return ValueFile(str(tmp_path / "bad"), "pickle", 12)

    with pytest.raises(BindingError, match=r"^bad: the subkernel cannot load it"):
        bind(Variable("bad", "", Bad()))


def test_a_value_that_kills_its_reader_is_a_binding_error(tmp_path: Path) -> None:
    class Killer:
        def __reduce__(self) -> tuple[object, ...]:
            return os._exit, (3,)

    with pytest.raises(BindingError, match=r"^killer: the subkernel died"):
        bind(written("killer", Killer(), tmp_path))


def test_bound_values_are_there_again_after_a_restart(tmp_path: Path) -> None:
    with opened([written("docs", "the text", tmp_path)]) as session:
        died = session.run("mine = 1\nimport os; os._exit(7)")
        assert died.status == "died"
        assert "status 7" in died.lost
        assert "docs" in died.lost
        assert session.run("print(context is docs, docs, 'mine' in globals())").output == "True the text False\n"
