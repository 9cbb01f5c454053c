"""Which tier is taken, what happens where none works, and who else holds the subkernel's life."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from rlm_magic import RLM
from rlm_magic.engine.errors import InputError
from rlm_magic.guest import landlock
from rlm_magic.subkernel import Tier, choose, probe_tiers, tiers
from rlm_magic.subkernel.provisioner import _children, _processes
from rlm_magic.subkernel.tiers import TIERS, installation
from rlm_magic.testing import ScriptedModel

from ..subkernels import Session, echo, opened
from .world import CANARY, World

NOBODY = 65534


@pytest.fixture
def untried(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Every tier is tried anew."""
    monkeypatch.setattr(tiers, "_works", set())
    return monkeypatch


def program(folder: Path, name: str, body: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def without_namespaces(untried: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """A bwrap that ends as the real one does where user namespaces are denied."""
    said = "bwrap: No permissions to create new namespace, likely because the kernel does not allow it"
    program(tmp_path / "bin", "bwrap", f"echo '{said}' >&2; exit 1")
    untried.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return untried


@pytest.fixture
def without_landlock(untried: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A plan that the guest refuses, as it does where the kernel has no Landlock."""
    untried.setattr(tiers, "LIMITS", {**tiers.LIMITS, "RLIMIT_NOFILE": -2})
    return untried


def test_the_strongest_tier_that_works_is_taken() -> None:
    working = [name for name in ("bwrap", "landlock") if not tiers.failure(name)]
    assert choose("auto") is TIERS[working[0]]
    assert choose("none") is TIERS["none"]


def test_denied_namespaces_fall_to_landlock_and_doctor_says_why(without_namespaces: pytest.MonkeyPatch) -> None:
    if tiers.failure("landlock"):
        pytest.skip(tiers.failure("landlock"))
    assert choose("auto").words == "confined by Landlock and seccomp"
    assert "bwrap does not work: bwrap: No permissions to create new namespace" in probe_tiers()
    with pytest.raises(InputError, match="bwrap: No permissions"):
        choose("bwrap")


@pytest.mark.usefixtures("without_namespaces", "without_landlock")
def test_where_no_tier_works_the_run_is_refused_with_each_reason() -> None:
    with pytest.raises(InputError, match=r"bwrap: .*namespace.*; landlock: .*--sandbox none"):
        choose("auto")


@pytest.mark.usefixtures("without_namespaces", "without_landlock")
def test_where_no_tier_works_the_offline_policy_runs_and_its_record_says_how(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    assert (
        RLM("rlm-offline/policy").completion("How many lines are there?", "a\nb").nodes[0].confinement == "not confined"
    )
    with pytest.raises(InputError, match="--sandbox none"):
        RLM(ScriptedModel([])).completion("How many lines are there?", "a\nb")


@pytest.mark.parametrize("answer", ['["read a file of the user"]', "no JSON", ""])
def test_a_probe_that_gets_through_or_says_nothing_does_not_count(
    untried: pytest.MonkeyPatch, tmp_path: Path, answer: str
) -> None:
    program(tmp_path / "bin", "bwrap", f"echo '{answer}'")
    untried.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    with pytest.raises(InputError, match="--sandbox none"):
        choose("bwrap")


def test_a_tier_that_confines_nothing_is_found_out(untried: pytest.MonkeyPatch) -> None:
    untried.setitem(TIERS, "landlock", _Open())
    with pytest.raises(InputError, match="it could read a file of the user, open a socket, start a process"):
        choose("landlock")


class _Open:
    words = "said to confine"
    rules = ""

    def wrap(self, command: list[str], room: tiers.Room) -> list[str]:
        return list(command)

    def plan(self, room: tiers.Room) -> dict[str, object]:
        return {"limits": {}, "landlock": None, "door": False}


def test_a_failure_is_not_remembered(untried: pytest.MonkeyPatch) -> None:
    working = choose("auto")
    untried.setattr(tiers, "_works", set())
    with untried.context() as patch:
        patch.setattr(tiers.seccomp, "supported", lambda: False)
        with pytest.raises(InputError, match=r"not on \w+ "):
            choose("auto")
    assert choose("auto") is working


@pytest.mark.parametrize("abi", range(3))
def test_an_old_landlock_does_not_count(monkeypatch: pytest.MonkeyPatch, abi: int) -> None:
    monkeypatch.setattr(landlock, "abi", lambda: abi)
    with pytest.raises(OSError, match=f"ABI {abi} is below 3"):
        landlock.restrict([], [])


OLD_ABI = """
    import os, socket, sys
    sys.path.insert(0, {root!r})
    from rlm_magic.guest import confine, landlock
    landlock.abi = lambda: {abi}
    plan = dict(limits={{}}, landlock=dict(readable=["/usr"], writable=[], files=[]), door=True)
    through = confine.probe(plan, {canary!r})
    try: os.truncate({canary!r}, 0); through.append("truncate")
    except OSError: pass
    try: os.rename({canary!r}, {canary!r} + "2"); through.append("rename")
    except OSError: pass
    os.chmod({canary!r}, 0o777)
    print(through)
"""


@pytest.mark.parametrize("abi", range(landlock.LOWEST_ABI, 7))
def test_from_the_lowest_abi_on_the_rest_is_the_filter_s(tmp_path: Path, abi: int) -> None:
    """The kernel is asked for what an older one knows: files by Landlock, everything else by seccomp."""
    if landlock.abi() < abi:
        pytest.skip(f"the kernel has ABI {landlock.abi()}")
    canary = tmp_path / "canary"
    canary.write_text(CANARY)
    mode = canary.stat().st_mode
    code = textwrap.dedent(OLD_ABI).format(root=str(Path(__file__).parents[2]), abi=abi, canary=str(canary))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
    assert (canary.read_text(), canary.stat().st_mode) == (CANARY, mode)


def test_a_configuration_beside_the_python_is_not_readable(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    (venv / "pip.conf").write_text(CANARY)
    readable = installation(str(venv / "bin" / "python"))
    assert str(venv / "lib") in readable
    assert str(venv / "bin") in readable
    assert not any((venv / "pip.conf").is_relative_to(path) for path in readable)


def test_the_kernel_s_process_is_found_without_the_list_of_children(monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(tier=choose("auto")) as session:
        child = psutil.Process().children()[-1].pid
        listed = _children(child)
        with monkeypatch.context() as patch:
            patch.setattr(Path, "read_text", _unless_children(Path.read_text))
            assert _children(child) == listed
        assert session.run("1").status == "ok"
    assert os.getpid() in {pid for pid, _, _ in _processes()}


def _unless_children(read: object) -> object:
    def read_text(self: Path, *args: object, **options: object) -> str:
        if self.name == "children":
            raise FileNotFoundError
        return read(self, *args, **options)  # type: ignore[operator]

    return read_text


@pytest.mark.parametrize("folder", ["plain", "linked"])
def test_it_runs_wherever_the_temporary_directory_is(
    tier: Tier, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    real = Path("/var/tmp", f"rlm-test-{os.getpid()}")
    link = Path("/tmp", f"rlm-test-{os.getpid()}")
    real.mkdir()
    link.symlink_to(real)
    code = "import tempfile, os; f = tempfile.NamedTemporaryFile(); print(os.path.realpath(os.getcwd()) == os.getcwd())"
    script = f"""
        import asyncio
        from rlm_magic.subkernel import Subkernels
        from rlm_magic.subkernel.tiers import TIERS
        tier = next(t for t in TIERS.values() if t.words == {tier.words!r})
        async def main():
            async with Subkernels(tier=tier)("0", recursive=False, window=1000) as sandbox:
                await sandbox.bind([])
                print((await sandbox.run({code!r}, None, seconds=20)).output.strip())
        asyncio.run(main())
    """
    try:
        environment = {**os.environ, "TMPDIR": str(real if folder == "plain" else link)}
        command = [sys.executable, "-c", textwrap.dedent(script)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.stdout == "True\n", done.stderr
        assert list(real.iterdir()) == []
    finally:
        link.unlink()
        real.rmdir()


FS_IOC_SETFLAGS = 0x40086602
ATTACKS_ON_A_BOUND_FILE = (
    "open({!r}, 'w')",
    "open({!r} + '2', 'w')",
    "__import__('os').unlink({!r})",
    f"__import__('fcntl').ioctl(open({{!r}}), {FS_IOC_SETFLAGS}, bytes(8))",
    "__import__('fcntl').fcntl(open({!r}), 1024, 0)  # a lease, which makes others wait",
)


def test_a_bound_folder_is_readable_and_no_more(tier: Tier, target: World, tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_text("the data")
    with opened(tier=tier, paths=[str(tmp_path)]) as session:
        assert session.run(f"print(open({str(tmp_path / 'data.txt')!r}).read())").output == "the data\n"
        for attack in ATTACKS_ON_A_BOUND_FILE:
            assert session.run(attack.format(str(tmp_path / "data.txt"))).status == "error", attack
        assert session.run(f"open({str(target.secret)!r})").status == "error"
    assert [path.read_text() for path in tmp_path.iterdir()] == ["the data"]


UNPRIVILEGED = """
    import asyncio, json, os
    from rlm_magic.subkernel import Subkernels
    from rlm_magic.subkernel.tiers import TIERS, failure

    async def ask(name):
        async with Subkernels(tier=TIERS[name])("0", recursive=False, window=1000) as sandbox:
            await sandbox.bind([])
            results = [await sandbox.run(code, None, seconds=20) for code in {programs!r}]
            return [r.error.name if r.error else r.output for r in results]

    names = [name for name in ("bwrap", "landlock") if not failure(name)]
    print(json.dumps({{name: asyncio.run(ask(name)) for name in names}}), failure("bwrap"))
"""


def as_nobody() -> list[str]:
    """What runs a command as an unprivileged user; a Python in root's home is made visible to it."""
    home, base = Path.home(), Path(sys.base_prefix)
    view = ["bwrap", "--dev-bind", "/", "/", "--proc", "/proc"]
    if base.is_relative_to(home):
        top = str(home / base.relative_to(home).parts[0])
        view += ["--tmpfs", str(home), "--chmod", "0755", str(home), "--ro-bind", top, top]
    return [*view, "--", "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", sys.executable]


@pytest.mark.skipif(os.getuid() != 0, reason="the other tests run without privileges then")
def test_without_privileges(tmp_path_factory: pytest.TempPathFactory) -> None:
    home = Path("/var/tmp", f"rlm-nobody-{os.getpid()}")
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    secret = home / "secret"
    secret.write_text(CANARY)
    os.chown(secret, NOBODY, NOBODY)
    programs = [
        f"open({str(secret)!r})",
        "open('/etc/passwd')",
        "import os; os.fork()",
        "import socket; socket.socket()",
        "import os; os.kill(os.getppid() if os.getppid() > 1 else 1, 0)",
        "print(6 * 7)",
    ]
    code = textwrap.dedent(UNPRIVILEGED).format(programs=programs)
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home)}
    try:
        if tiers.failure("bwrap"):
            pytest.skip("another user cannot be given a Python of root's without bubblewrap")
        command = [*as_nobody(), "-c", code]
        root = Path(__file__).parents[2]
        done = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True)
        assert done.stdout, done.stderr
        for outcome in json.loads(done.stdout.rpartition("}")[0] + "}").values():
            assert outcome[0] in ("PermissionError", "FileNotFoundError")
            assert outcome[1] in ("PermissionError", "FileNotFoundError")
            assert outcome[2:] == ["PermissionError"] * 3 + ["42\n"]
    finally:
        secret.unlink()
        for left in home.iterdir():
            assert left.name.startswith(("rlmk-", ".")), left
        subprocess.run(["rm", "-r", str(home)], check=True)


def test_it_outlives_a_thread_that_waits_for_it(tier: Tier) -> None:
    """The death signal is tied to the launching thread: the engine's, which lives as long as the process."""
    with opened(tier=tier) as session:
        done: list[str] = []
        thread = threading.Thread(target=lambda: done.append(session.run("print(42)").output))
        thread.start()
        thread.join(20)
        assert done == ["42\n"]
        assert session.run("print(43)").output == "43\n"


PARENT = """
    import asyncio
    from rlm_magic.subkernel import Subkernels
    from rlm_magic.subkernel.tiers import TIERS

    async def main():
        tier = next(t for t in TIERS.values() if t.words == {words!r})
        async with Subkernels(tier=tier)("0", recursive=False, window=1000) as sandbox:
            await sandbox.bind([])
            print("ready", flush=True)
            await sandbox.run("sum(range(10**13))", None, seconds=60)

    asyncio.run(main())
"""


@contextlib.contextmanager
def notebook(tier: Tier) -> Iterator[subprocess.Popen[str]]:
    """A process whose subkernel is busy in C code that holds the interpreter's lock."""
    code = textwrap.dedent(PARENT).format(words=tier.words)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def test_a_killed_notebook_takes_everything_with_it(tier: Tier) -> None:
    with notebook(tier) as process:
        below = psutil.Process(process.pid).children(recursive=True)
        assert below
        process.kill()
        process.wait()
        assert psutil.wait_procs(below, timeout=30)[1] == [] or all(map(_dead, below))


def _dead(process: psutil.Process) -> bool:
    """Gone, or waiting for the machine's first process to take note."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() == psutil.STATUS_ZOMBIE
    return True


def test_killing_the_program_in_between_is_a_death_like_any_other(tier: Tier, session: Session) -> None:
    async def killed(subkernel: object) -> str:
        cell = asyncio.create_task(subkernel.run("while True: pass", echo, seconds=30))  # type: ignore[attr-defined]
        await asyncio.sleep(0.3)
        subkernel.kill()  # type: ignore[attr-defined]
        return (await cell).status

    assert session.do(killed) == "died"
    assert session.run("print(42)").output == "42\n"
