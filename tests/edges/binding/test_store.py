"""Files are written once, whole or not at all, and do not outlive the notebook kernel."""

from __future__ import annotations

import errno
import gc
import os
import resource
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from rlm_magic.binding import ValueStore, bind
from rlm_magic.engine.errors import BindingError
from rlm_magic.guest.load import load


def files(store_parent: Path) -> list[Path]:
    return sorted(path for path in store_parent.rglob("*") if path.is_file())


def identity(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_ino, status.st_mtime_ns


class Text(str):
    """A text that a weak reference can watch."""


@pytest.mark.parametrize("value", ["a text " * 10, b"some bytes " * 10])
def test_an_unchanged_text_is_not_written_again(value: str | bytes, store: ValueStore) -> None:
    first = bind("v", value, store=store).source.file()
    before = identity(first.path)
    again = bind("other_name", value, store=store).source.file()
    assert again == first
    assert identity(again.path) == before


def test_a_changed_text_has_a_file_of_its_own(store: ValueStore) -> None:
    text = "".join(["version ", "1"])
    first = bind("v", text, store=store).source
    second = bind("v", text + ".1", store=store).source
    assert load(first.file().path, "text") == "version 1"
    assert load(second.file().path, "text") == "version 1.1"


def test_a_deleted_text_is_let_go_at_the_next_binding(store: ValueStore, tmp_path: Path) -> None:
    text = Text("gone soon")
    watched = weakref.ref(text)
    bind("v", text, store=store).source.file()
    del text
    bind("w", "another", store=store)
    gc.collect()
    assert watched() is None
    assert files(tmp_path) == []


def test_only_a_few_texts_are_kept(store: ValueStore, tmp_path: Path) -> None:
    texts = [f"text number {i}" for i in range(20)]
    for text in texts:
        bind("v", text, store=store).source.file()
    gc.collect()
    assert 0 < len(files(tmp_path)) < 10


def test_a_file_goes_with_its_source(store: ValueStore, tmp_path: Path) -> None:
    variable = bind("v", [1, 2], store=store)
    variable.source.file()
    assert len(files(tmp_path)) == 1
    del variable
    gc.collect()
    assert files(tmp_path) == []


def test_binding_alone_writes_nothing(store: ValueStore, tmp_path: Path) -> None:
    bind("v", "text", store=store)
    assert list((tmp_path / "values").iterdir()) == []


def test_a_file_that_a_cleaner_removed_is_written_again(store: ValueStore) -> None:
    source = bind("v", "text", store=store).source
    Path(source.file().path).unlink()
    assert load(source.file().path, "text") == "text"


class Counted:
    pickled = 0

    def __reduce__(self) -> tuple[type, tuple[()]]:
        Counted.pickled += 1
        return Counted, ()


def test_many_threads_write_one_file(store: ValueStore) -> None:
    source = bind("v", [Counted()], store=store).source
    Counted.pickled = 0
    barrier = threading.Barrier(8)

    def ask() -> str:
        barrier.wait()
        return source.file().path

    with ThreadPoolExecutor(8) as pool:
        paths = {future.result() for future in [pool.submit(ask) for _ in range(8)]}
    assert len(paths) == 1
    assert Counted.pickled == 1


class Interrupted:
    fail = True

    def __reduce__(self) -> tuple[type, tuple[()]]:
        if Interrupted.fail:
            raise KeyboardInterrupt
        return Interrupted, ()


def test_an_interrupted_write_leaves_nothing_and_can_be_repeated(store: ValueStore, tmp_path: Path) -> None:
    source = bind("v", ["x" * 100_000, Interrupted()], store=store).source
    with pytest.raises(KeyboardInterrupt):
        source.file()
    assert files(tmp_path) == []
    Interrupted.fail = False
    loaded = load(source.file().path, "pickle")
    assert isinstance(loaded, list)
    assert loaded[0] == "x" * 100_000


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """The system itself refuses to write more, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("value", ["x" * 300_000, "é" * 90_000, b"x" * 300_000, ["x" * 300_000], bytearray(300_000)])
def test_a_write_that_the_disk_refuses_leaves_nothing(value: object, store: ValueStore, tmp_path: Path) -> None:
    source = bind("v", value, store=store).source
    with (
        largest_file(100_000),
        pytest.raises(BindingError, match=r"no space for a value file below "),
    ):
        source.file()
    assert files(tmp_path) == []
    assert load(source.file().path, source.file().format) == value


def test_a_full_disk_is_noticed_before_writing(
    store: ValueStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nearly_full = os.statvfs_result((4096, 4096, 10**6, 1000, 1000, 10**6, 10**6, 10**6, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: nearly_full)
    with pytest.raises(
        BindingError, match=r"needs at least \d[\d,]+ bytes, 4,096,000 are free; free some, or set TMPDIR"
    ):
        bind("v", "x", store=store).source.file()
    assert files(tmp_path) == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount a small file system")
def test_a_small_file_system_fills_up(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=68m", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    store = ValueStore(disk)
    try:
        with pytest.raises(BindingError, match="no space for a value file"):
            bind("v", "x" * 10_000_000, store=store).source.file()
        with pytest.raises(BindingError, match="no space for a value file"):
            bind("v", [b"x" * 100_000_000], store=store).source.file()
        assert files(disk) == []
    finally:
        store.close()
        subprocess.run(["umount", disk], check=True)


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(BindingError, match=r"cannot write a value file below .*missing: No such file or directory"):
        bind("v", "x", store=ValueStore(tmp_path / "missing")).source.file()


PROCESS = """
import os, sys
from pathlib import Path
from rlm_magic.binding import ValueStore, bind
source = bind("v", "a text", store=ValueStore(Path(sys.argv[1]))).source
print(source.file().path, flush=True)
"""


def start(parent: Path, more: str) -> tuple[subprocess.Popen[str], Path]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROCESS + more, str(parent)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def finish(process: subprocess.Popen[str]) -> None:
    process.communicate("", timeout=30)


@pytest.mark.parametrize("end", ["", "sys.exit(3)", "raise KeyboardInterrupt"])
def test_files_go_when_the_kernel_ends(end: str, tmp_path: Path) -> None:
    process, path = start(tmp_path, end + "\n")
    finish(process)
    assert str(path).startswith(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_forked_child_leaves_the_files_alone(tmp_path: Path) -> None:
    more = (
        "path = source.file().path\n"
        "if os.fork() == 0:\n"
        "    store = ValueStore(Path(sys.argv[1]))\n"
        "    bind('w', 'child', store=store).source.file(); del source; sys.exit()\n"
        "os.wait(); print(os.path.exists(path)); print(len(os.listdir(sys.argv[1])))\n"
    )
    process, _ = start(tmp_path, more)
    out, _ = process.communicate("", timeout=30)
    assert out.split() == ["True", "1"]


def age(folder: Path) -> None:
    os.utime(folder, (0, 0))


def test_files_of_a_killed_kernel_go_with_the_next_one_and_those_of_a_living_one_stay(tmp_path: Path) -> None:
    killed, of_killed = start(tmp_path, "sys.stdin.read()")
    living, of_living = start(tmp_path, "sys.stdin.read()")
    killed.send_signal(signal.SIGKILL)
    finish(killed)
    assert of_killed.exists()
    age(of_killed.parent)
    age(of_living.parent)
    store = ValueStore(tmp_path)
    bind("v", "x", store=store).source.file()
    assert not of_killed.parent.exists()
    assert of_living.exists()
    store.close()
    finish(living)


def test_a_link_in_the_place_of_a_stale_directory_is_not_followed(tmp_path: Path) -> None:
    treasure = tmp_path / "treasure"
    treasure.mkdir()
    (treasure / "file").write_text("keep")
    parent = tmp_path / "parent"
    parent.mkdir()
    (parent / "rlm-values-link").symlink_to(treasure)
    os.utime(parent / "rlm-values-link", (0, 0), follow_symlinks=False)
    store = ValueStore(parent)
    bind("v", "x", store=store).source.file()
    store.close()
    assert (treasure / "file").read_text() == "keep"


def test_a_closed_store_can_be_used_again(store: ValueStore) -> None:
    source = bind("v", "text", store=store).source
    first = source.file().path
    store.close()
    assert not Path(first).exists()
    assert load(source.file().path, "text") == "text"


def test_errors_of_the_disk_are_chained(store: ValueStore) -> None:
    with largest_file(10), pytest.raises(BindingError) as caught:
        bind("v", "x" * 100, store=store).source.file()
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.EFBIG
