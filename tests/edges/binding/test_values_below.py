"""Each kind of value that a notebook holds: bound, loaded by a real subkernel, used and changed there."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime
import importlib
import json
import os
import sqlite3
import subprocess
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rlm_magic.binding import ValueStore, bind, bind_all
from rlm_magic.engine.errors import BindingError, InputError
from rlm_magic.engine.types import CellResult, SubCall, SubReply, Variable
from rlm_magic.guest.card import card
from rlm_magic.subkernel import Subkernels

MISSING = "an optional library of the user's is not installed"


async def no_calls(call: SubCall) -> list[SubReply]:
    raise AssertionError("no sub-call is expected")


class Below:
    """A subkernel in which some variables are bound; ``run`` gives the output of a cell that must not fail."""

    def __init__(self, runner: asyncio.Runner, subkernel: Any) -> None:
        self._runner = runner
        self._subkernel = subkernel

    def bind(self, *variables: Variable) -> None:
        self._runner.run(self._subkernel.bind(variables))

    def result(self, code: str) -> CellResult:
        return self._runner.run(self._subkernel.run(code, no_calls, seconds=60))

    def run(self, code: str) -> str:
        result = self.result(code)
        assert result.status == "ok", result.error
        return result.output.strip()


@contextmanager
def below(*variables: Variable, **options: Any) -> Iterator[Below]:
    with asyncio.Runner() as runner:
        opening = Subkernels(**options)("0", recursive=False, window=1000)
        subkernel = Below(runner, runner.run(opening.__aenter__()))
        try:
            subkernel.bind(*variables)
            yield subkernel
        finally:
            runner.run(opening.__aexit__(None, None, None))


def rows() -> dict[str, list[Any]]:
    return {"id": [1, 2, 3], "name": ["ä", None, "c"], "x": [0.5, 1.5, 2.5]}


def frame_of_pandas() -> Any:
    return pytest.importorskip("pandas", reason=MISSING).DataFrame(rows())


def frame_of_polars() -> Any:
    pytest.importorskip("pyarrow", reason=MISSING)
    return pytest.importorskip("polars", reason=MISSING).DataFrame(rows())


def table_of_arrow() -> Any:
    return pytest.importorskip("pyarrow", reason=MISSING).table(rows())


def array_of_numpy() -> Any:
    return pytest.importorskip("numpy", reason=MISSING).arange(6.0).reshape(2, 3)


def relation_of_duckdb() -> Any:
    duckdb = pytest.importorskip("duckdb", reason=MISSING)
    pytest.importorskip("pyarrow", reason=MISSING)
    return duckdb.sql("SELECT i AS id, 'n' || i AS name FROM range(3) t(i)")


def model_of_pydantic() -> Any:
    pydantic = pytest.importorskip("pydantic", reason=MISSING)
    return in_notebook(
        "class Ticket(pydantic.BaseModel):\n    id: int\n    tags: list[str] = []\nvalue = Ticket(id=7, tags=['a'])",
        pydantic=pydantic,
    )


def in_notebook(code: str, **names: object) -> Any:
    """The ``value`` that the code of a notebook's cell makes: its classes are of no module that can be imported."""
    main = types.ModuleType("__main__")
    vars(main).update(names)
    before, sys.modules["__main__"] = sys.modules["__main__"], main
    try:
        exec(code, vars(main))
    finally:
        sys.modules["__main__"] = before
    return main.value


def dataclass_of_cell() -> Any:
    return in_notebook(
        "@dataclasses.dataclass\nclass Ticket:\n    id: int\n    text: str = 'hello'\n"
        "    def shout(self): return self.text.upper()\nvalue = Ticket(7)",
        dataclasses=dataclasses,
    )


def frozen_dataclass_of_cell() -> Any:
    return in_notebook(
        "@dataclasses.dataclass(frozen=True, slots=True)\nclass Point:\n    x: int\n    y: int = 2\n"
        "value = [Point(1), Point(3)]",
        dataclasses=dataclasses,
    )


# how to make the value, a cell that uses and changes it as `v`, and what that prints
KINDS: dict[str, tuple[Any, str, str]] = {
    "pandas DataFrame": (
        frame_of_pandas,
        "v.loc[0, 'x'] = 9; v['new'] = 1; print(v['x'].sum(), v.shape, v['name'].isna().sum())",
        "13.0 (3, 4) 1",
    ),
    "pandas Series": (lambda: frame_of_pandas()["x"], "v.iloc[0] = 9; print(v.sum(), v.name)", "13.0 x"),
    "polars DataFrame": (
        frame_of_polars,
        "v[0, 'x'] = 9.0; print(v['x'].sum(), v.shape, v['name'].null_count(), v['name'].to_list())",
        "13.0 (3, 3) 1 ['ä', None, 'c']",
    ),
    "polars Series": (lambda: frame_of_polars()["x"], "v[0] = 9.0; print(v.sum(), v.name)", "13.0 x"),
    "pyarrow Table": (
        table_of_arrow,
        "v = v.append_column('y', v['x']); print(v.num_columns, v['name'].null_count, v['id'].to_pylist())",
        "4 1 [1, 2, 3]",
    ),
    "numpy array": (array_of_numpy, "v += 1; print(v.sum(), v.shape)", "21.0 (2, 3)"),
    "pydantic object": (
        model_of_pydantic,
        "v.tags.append('b'); print(v.model_dump(), type(v).model_validate_json('{\"id\": 8}').id)",
        "{'id': 7, 'tags': ['a', 'b']} 8",
    ),
    "dataclass of a cell": (
        dataclass_of_cell,
        "import dataclasses; v.id += 1; print(dataclasses.asdict(v), v.shout())",
        "{'id': 8, 'text': 'hello'} HELLO",
    ),
    "frozen dataclass of a cell": (
        frozen_dataclass_of_cell,
        "import dataclasses; print([dataclasses.astuple(p) for p in v], dataclasses.replace(v[0], x=5).x)",
        "[(1, 2), (3, 2)] 5",
    ),
    "dict of DataFrames": (
        lambda: {"a": frame_of_pandas(), "b": frame_of_polars()},
        "v['a'].loc[0, 'id'] = 8; v['b'] = None; print(sorted(v), v['a']['id'].sum())",
        "['a', 'b'] 13",
    ),
    "DuckDB relation": (
        relation_of_duckdb,
        "print(type(v).__module__, v.column_names, v['name'].to_pylist())",
        "pyarrow.lib ['id', 'name'] ['n0', 'n1', 'n2']",
    ),
    "any object": (
        lambda: {"when": datetime.date(2026, 11, 21), "tags": {"a"}, "nested": [(1, [2.5, None])]},
        "v['nested'][0][1].append(3); v['tags'].add('b'); print(sorted(v['tags']), v['when'].year, v['nested'])",
        "['a', 'b'] 2026 [(1, [2.5, None, 3])]",
    ),
}


def made() -> dict[str, Any]:
    """The values of the kinds whose libraries are installed, by the names that they are bound to."""
    values: dict[str, Any] = {}
    for kind, (make, _, _) in KINDS.items():
        with contextlib.suppress(pytest.skip.Exception):
            values[name_of(kind)] = make()
    return values


def name_of(kind: str) -> str:
    return kind.replace(" ", "_")


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, Any], Below, Below]]:
    """A value of each kind, and two subkernels in which all of them are bound."""
    store = ValueStore(tmp_path_factory.mktemp("values"))
    values = made()
    variables = bind_all(values, store=store)
    with below(*variables) as one, below(*variables) as other:
        yield values, one, other
    store.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_is_used_and_changed_below(kind: str, everything: tuple[dict[str, Any], Below, Below]) -> None:
    make, code, printed = KINDS[kind]
    fresh = make()
    values, one, other = everything
    for subkernel in (one, other):  # what the first one changes is not seen by the second
        assert subkernel.run(f"v = {name_of(kind)}\n{code}") == printed
    if kind != "DuckDB relation":
        assert card("v", values[name_of(kind)]) == card("v", fresh)


def test_several_values_at_once(store: ValueStore) -> None:
    values = {"table": frame_of_pandas(), "text": "hello", "grid": array_of_numpy(), "ticket": dataclass_of_cell()}
    with below(*bind_all(values, store=store)) as subkernel:
        assert subkernel.run("print(sorted(context), context['table'] is table, len(text), grid.sum(), ticket.id)") == (
            "['grid', 'table', 'text', 'ticket'] True 5 15.0 7"
        )


def test_a_lambda_and_a_function_of_a_cell(store: ValueStore) -> None:
    value = in_notebook("step = 2\ndef add(x): return x + step\nvalue = [add, lambda x: add(x) * 10]")
    with below(bind("v", value, store=store)) as subkernel:
        assert subkernel.run("print([f(1) for f in v])") == "[3, 30]"


# --- data bases -----------------------------------------------------------------------------------


def test_an_sqlite_file_is_read_below_and_its_card_says_how(tmp_path: Path, store: ValueStore) -> None:
    path = tmp_path / "tickets.db"
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE tickets (id INTEGER PRIMARY KEY, body TEXT)")
        database.executemany("INSERT INTO tickets (body) VALUES (?)", [("a",), ("b",)])
    database.close()
    variable = bind("path", path, store=store)
    assert "- tickets, 2 rows: id INTEGER, body TEXT" in variable.card
    advice = variable.card.partition("Open with: ")[2].splitlines()[0]
    with below(variable) as subkernel:
        assert (
            subkernel.run(
                f"import sqlite3\ndatabase = {advice}\nprint(*database.execute('SELECT count(*) FROM tickets'))"
            )
            == "(2,)"
        )
        refused = subkernel.result("database.execute('DELETE FROM tickets')")
        assert refused.error is not None
        assert "readonly database" in refused.error.message
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["tickets.db"]


def test_a_relation_whose_query_fails_is_refused(store: ValueStore) -> None:
    duckdb = pytest.importorskip("duckdb", reason=MISSING)
    relation = duckdb.sql("SELECT CAST('x' || i AS INTEGER) FROM range(3) t(i)")
    with pytest.raises(InputError, match=r"^v: the query of this DuckDB relation fails: .*Conversion"):
        bind("v", relation, store=store)


def test_a_lazy_frame_is_carried_out_here(store: ValueStore, tmp_path: Path) -> None:
    polars = pytest.importorskip("polars", reason=MISSING)
    (tmp_path / "rows.csv").write_text("n,word\n1,a\n2,b\n3,c\n")
    lazy = polars.scan_csv(tmp_path / "rows.csv").filter(polars.col("n") > 1)
    variable = bind("v", lazy, store=store)
    assert "polars DataFrame, 2 rows, 2 columns" in variable.card
    with below(variable) as subkernel:
        assert subkernel.run("print(v['word'].to_list())") == "['b', 'c']"
    (tmp_path / "rows.csv").unlink()
    with pytest.raises(InputError, match=r"^v: the query of this polars LazyFrame fails: "):
        bind("v", lazy, store=store)


def test_relations_in_a_dict_are_handed_over_too(store: ValueStore) -> None:
    with below(bind("v", {"a": relation_of_duckdb(), "n": 1}, store=store)) as subkernel:
        assert subkernel.run("print(v['a'].num_rows, v['n'])") == "3 1"


# --- what is large --------------------------------------------------------------------------------


def test_a_slice_of_an_arrow_table_is_handed_over_without_the_rest(store: ValueStore) -> None:
    arrow = pytest.importorskip("pyarrow", reason=MISSING)
    table = arrow.table({"id": range(200_000), "text": [f"secret {i}" for i in range(200_000)]})
    source = bind("v", {"part": table.slice(500, 3), "column": table["text"].slice(7, 2)}, store=store).source
    content = Path(source.file().path).read_bytes()
    assert len(content) < 10_000
    assert b"secret 499" not in content
    assert b"secret 502" in content


def test_a_slice_of_a_polars_frame_is_handed_over_without_the_rest(store: ValueStore) -> None:
    polars = pytest.importorskip("polars", reason=MISSING)
    frame = polars.DataFrame({"id": range(200_000), "text": [f"a long secret {i}" for i in range(200_000)]})
    source = bind("v", frame.slice(500, 3), store=store).source
    content = Path(source.file().path).read_bytes()
    assert len(content) < 10_000
    assert b"a long secret 499" not in content


@pytest.mark.slow
def test_three_gigabytes_against_a_limit_of_two() -> None:
    """The limit counts what the cells make, not what is bound: the value is used, and cannot be copied."""
    numpy = pytest.importorskip("numpy", reason=MISSING)
    store = ValueStore()  # where files go by default: they are linked into the subkernel
    array = numpy.ones(3 * 2**30 // 8)
    variable = bind("v", array, store=store)
    try:
        with below(variable, memory=2 * 2**30) as subkernel:
            assert subkernel.run("print(v.nbytes, v[::1000].sum())") == f"{3 * 2**30} {float(len(array[::1000]))}"
            copied = subkernel.result("w = v.copy()")
            assert copied.error is not None
            assert "Memory" in copied.error.name
            assert subkernel.run("print(v[5])") == "1.0"
    finally:
        store.close()


# --- modules that are not installed ---------------------------------------------------------------

HELPERS = """
import dataclasses, enum
from loose_base_mod import Base, FACTOR

class Kind(enum.Enum):
    BUG = "bug"

@dataclasses.dataclass
class Ticket(Base):
    id: int
    kind: Kind = Kind.BUG
    def scaled(self): return scale(self.id)

def scale(x): return x * FACTOR
"""


@pytest.fixture
def loose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    """A module beside the notebook, which imports another one."""
    (tmp_path / "loose_mod.py").write_text(HELPERS)
    (tmp_path / "loose_base_mod.py").write_text("FACTOR = 3\nclass Base:\n    pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("loose_mod")
    for name in ("loose_mod", "loose_base_mod"):
        sys.modules.pop(name, None)


def test_a_module_of_the_notebooks_folder_goes_along(loose: types.ModuleType, store: ValueStore) -> None:
    cloudpickle = importlib.import_module("cloudpickle")
    with below(bind("v", [loose.Ticket(2), loose.Kind.BUG, loose.scale], store=store)) as subkernel:
        assert subkernel.run("print(v[0].scaled(), v[0].kind is v[1], v[1].value, v[2](5))") == "6 True bug 15"
        assert subkernel.run("import sys; print('loose_mod' in sys.modules)") == "False"
    assert not cloudpickle.list_registry_pickle_by_value()


def test_a_module_of_the_notebooks_folder_that_cannot_go_along_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: ValueStore
) -> None:
    (tmp_path / "locked_mod.py").write_text(
        "import threading\nlock = threading.Lock()\nclass Thing:\n    def run(self):\n        return lock\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    thing = importlib.import_module("locked_mod").Thing()
    with pytest.raises(BindingError, match=r"^v cannot .*lock.*, or install its module 'locked_mod', which goes along"):
        bind("v", thing, store=store).source.file()
    assert not importlib.import_module("cloudpickle").list_registry_pickle_by_value()


def test_installed_modules_stay_references(store: ValueStore) -> None:
    source = bind("v", [frame_of_pandas(), json.JSONDecoder], store=store).source
    content = Path(source.file().path).read_bytes()
    assert b"json.decoder" in content
    assert len(content) < 20_000


# --- bad input ------------------------------------------------------------------------------------


def test_a_class_that_cannot_be_pickled_is_named_with_the_way_out(store: ValueStore, tmp_path: Path) -> None:
    value = in_notebook(
        "class Client:\n    def __init__(self, path):\n        self.connection = sqlite3.connect(path)\nvalue = Client",
        sqlite3=sqlite3,
    )(tmp_path / "a.db")
    try:
        with pytest.raises(BindingError, match=r"v\['db'\]\.connection \(sqlite3\.Connection\) .* or pass a path") as e:
            bind("v", {"n": 1, "db": value}, store=store).source.file()
        assert "\n" not in str(e.value)
    finally:
        value.connection.close()


def test_code_of_reduce_runs_below_only(store: ValueStore) -> None:
    class Runs:
        def __reduce__(self) -> tuple[Any, ...]:
            return eval, ("[__import__('os').getpid(), __import__('os').environ.get('RLM_SUBKERNEL')]",)

    variable = bind("v", Runs(), store=store)
    variable.source.file()
    with below(variable) as subkernel:
        seen = subkernel.run("import os; print(v[0] == os.getpid(), v[0])").split()
    assert seen[0] == "True"
    assert seen[1] != str(os.getpid())


def test_a_hostile_reduce_does_not_run_here(store: ValueStore, tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    class Writes:
        def __reduce__(self) -> tuple[Any, ...]:
            return exec, (f"open({str(mark)!r}, 'w').write('ran')",)

    variable = bind("v", [Writes()], store=store)
    variable.source.file()
    assert not mark.exists()


def without(library: str, folder: Path) -> Path:
    """A Python that has all that this one has but for one library."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    query = "import sysconfig; print(sysconfig.get_path('purelib'))"
    target = Path(subprocess.run([python, "-c", query], capture_output=True, text=True, check=True).stdout.strip())
    source = Path(
        subprocess.run([sys.executable, "-c", query], capture_output=True, text=True, check=True).stdout.strip()
    )
    for entry in source.iterdir():
        if not entry.name.startswith((library, "_" + library, "__editable__", "_rlm_magic", "rlm_magic")):
            (target / entry.name).symlink_to(entry)
    return python


def test_a_polars_frame_while_polars_is_absent_below(
    store: ValueStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = frame_of_polars()
    python = without("polars", tmp_path / "venv")
    spec = tmp_path / "kernels" / "bare"
    spec.mkdir(parents=True)
    (spec / "kernel.json").write_text(
        json.dumps({"argv": [str(python), "-m", "ipykernel"], "display_name": "Bare", "language": "python"})
    )
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    for value in (frame, frame["x"], {"f": frame}):
        with (
            pytest.raises(BindingError, match=r"^v: .* no module 'polars': install it there, or name a kernel"),
            below(bind("v", value, store=store), kernel="bare"),
        ):
            pass
    with below(bind("v", frame.to_arrow(), store=store), kernel="bare") as subkernel:
        assert subkernel.run("print(v.num_rows)") == "3"


def test_ten_thousand_columns(store: ValueStore) -> None:
    pandas = pytest.importorskip("pandas", reason=MISSING)
    frame = pandas.DataFrame({f"column {i}": [i, i + 1] if i % 4 else ["a", "b"] for i in range(10_000)})
    variable = bind("v", frame, store=store)
    assert "2 rows, 10,000 columns" in variable.card
    assert "Types: 7,500 int64, 2,500 str" in variable.card
    assert "more" in variable.card
    with below(variable) as subkernel:
        assert subkernel.run("print(v.shape, v['column 9999'].tolist())") == "(2, 10000) [9999, 10000]"


# --- cards ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_card_that_says_what_it_is(kind: str, store: ValueStore) -> None:
    text = bind("v", KINDS[kind][0](), store=store).card
    assert 20 < len(text) <= 1000
    words = {"dataclass of a cell": "Ticket, an object", "frozen dataclass of a cell": "Attributes of the items: x int",
             "pydantic object": "tags: ['a']", "dict of DataFrames": "'b': polars DataFrame, 3 rows, 3 columns",
             "DuckDB relation": "pyarrow Table, 3 rows, 2 columns", "any object": "dict, 3 keys"}  # fmt: skip
    assert words.get(kind, kind) in text
