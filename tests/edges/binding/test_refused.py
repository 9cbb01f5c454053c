"""What cannot be handed over: the message is one line, names the culprit and the way out."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import pytest

from rlm_magic.binding import ValueStore, bind
from rlm_magic.engine.errors import BindingError, InputError
from rlm_magic.guest.load import load


class Session:
    def __init__(self) -> None:
        self.name = "fine"
        self.lock = threading.Lock()


class Stubborn:
    def __reduce__(self) -> str:
        raise RuntimeError("not\nme")


class Lost:
    def __reduce__(self) -> str:
        return Path("/nowhere/at all").read_text()


def deep(levels: int) -> object:
    value: object = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ((i for i in ()), r"v \(generator\) cannot be pickled"),
        (Session(), r"v\.lock \(_thread\.lock\) cannot be pickled"),
        ({"a": [0, Session()]}, r"v\['a'\]\[1\]\.lock \(_thread\.lock\)"),
        ([{"k": {1, 2}, 5: Stubborn()}], r"v\[0\]\[5\] \(.*Stubborn\) cannot be pickled: not me;"),
        ({Session(): 1}, r"a key of v"),
        ([Lost()], r"v\[0\] \(.*Lost\) cannot be pickled: .*No such file"),
        (deep(100_000), r"recursion"),
    ],
)
def test_the_culprit_is_named(value: object, message: str, store: ValueStore, tmp_path: Path) -> None:
    with pytest.raises(BindingError, match=message) as caught:
        bind("v", value, store=store).source.file()
    assert "convert it to text, list, dict or DataFrame, or pass a path" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_the_search_for_the_culprit_is_short(store: ValueStore) -> None:
    value = {i: [f"{i} {j}" for j in range(50)] for i in range(20_000)}
    value[20_000] = [threading.Lock()]  # type: ignore[list-item]
    start = time.process_time()
    with pytest.raises(BindingError, match="cannot be pickled"):
        bind("v", value, store=store).source.file()
    assert time.process_time() - start < 6


def test_the_search_for_the_culprit_ends_when_its_time_is_over(
    store: ValueStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    pickled = 0

    class Slow:
        """Takes a second to pickle, by a clock that counts these."""

        def __reduce__(self) -> tuple[type, tuple[()]]:
            nonlocal pickled
            pickled += 1
            return list, ()

    value: list[object] = [threading.Lock()]
    for _ in range(6):
        value = [Slow(), value]
    source = bind("v", value, store=store).source
    monkeypatch.setattr(time, "monotonic", lambda: float(pickled))
    with pytest.raises(BindingError, match="cannot be pickled"):
        source.file()
    assert pickled < 15


def test_a_file_and_a_directory_bind_as_themselves(
    store: ValueStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("hello")
    monkeypatch.chdir(tmp_path)
    for relative, size in ((Path("docs"), 0), (Path("docs/a.txt"), 5), (Path("docs/../docs/a.txt"), 5)):
        file = bind("v", relative, store=store).source.file()
        assert file.format == "path"
        assert file.size == size
        assert Path(file.path) == (tmp_path / relative).resolve()
        assert load(file.path, file.format) == Path(file.path)
    assert list((tmp_path / "values").iterdir()) == []


def test_a_missing_path_is_refused_at_once(store: ValueStore, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"docs: there is no file or directory .*nowhere"):
        bind("docs", tmp_path / "nowhere", store=store)


def test_a_link_to_itself_and_a_name_that_cannot_be_are_refused(store: ValueStore, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in (tmp_path / "loop", Path("a\0b")):
        with pytest.raises(InputError, match="there is no file or directory") as caught:
            bind("docs", path, store=store)
        assert str(caught.value).isprintable()


def test_a_socket_is_refused(store: ValueStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s")
        with pytest.raises(InputError, match="neither a file nor a directory"):
            bind("docs", Path("s"), store=store)


def test_a_path_that_went_away_is_refused_at_the_hand_over(store: ValueStore, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    source = bind("docs", tmp_path / "a", store=store).source
    (tmp_path / "a").unlink()
    with pytest.raises(BindingError, match=r"docs: .*a is gone"):
        source.file()
