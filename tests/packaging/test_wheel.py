"""The wheel as a user gets it: what is in it, and that it works in a clean venv, old versions and new."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
INSTALL = [
    "-m",
    "pip",
    "install",
    "-qq",
    "--disable-pip-version-check",
    "--no-input",
    "--retries",
    "10",
    "--timeout",
    "60",
]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


@dataclass
class CleanVenv:
    """A venv that holds the wheel, in a folder that has none of the sources."""

    folder: Path

    @property
    def bin(self) -> Path:
        return self.folder / "venv" / "bin"

    def run(self, program: str, *args: str) -> subprocess.CompletedProcess[str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        command = [str(self.bin / program), *args]
        return subprocess.run(
            command, cwd=self.folder, env=kept | {"HOME": str(self.folder)}, capture_output=True, text=True, timeout=300
        )


@pytest.fixture(scope="module", params=["constraints.txt", "constraints-oldest.txt"])
def clean(request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> CleanVenv:
    clean = CleanVenv(tmp_path_factory.mktemp("clean"))
    subprocess.run([sys.executable, "-m", "venv", str(clean.bin.parent)], check=True)
    packages = [str(wheel), "nbclient", "--constraint", str(ROOT / request.param)]
    subprocess.run([str(clean.bin / "python"), *INSTALL, *packages], check=True)
    shutil.copy(HERE / "smoke.py", clean.folder)
    shutil.copy(ROOT / "tests" / "server.py", clean.folder)
    shutil.copytree(ROOT / "notebooks", clean.folder / "notebooks")
    return clean


def test_what_the_wheel_holds(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = {str(p.relative_to(ROOT)) for p in (ROOT / "rlm_magic").rglob("*") if p.is_file()}
    assert names >= {name for name in sources if not re.search("__pycache__|^rlm_magic/labextension/", name)}
    assert {"rlm_magic/engine/prompts/root.md", "rlm_magic/guest/__main__.py"} <= names
    built = "rlm_magic/labextension/package.json" in sources
    assert built == any(name.endswith("share/jupyter/labextensions/rlm-magic/package.json") for name in names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"rlm_magic"}


def test_the_extension_loads_without_a_word(clean: CleanVenv) -> None:
    done = clean.run("ipython", "--no-banner", "--colors=NoColor", "-c", "%load_ext rlm_magic")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_questions_are_answered_offline_and_by_a_server(clean: CleanVenv) -> None:
    done = clean.run("python", "smoke.py")
    assert done.returncode == 0, done.stderr
    assert "offline: 123" in done.stdout
    assert "['LINE 0', 'LINE 1', 'LINE 2'] 4" in done.stdout


@pytest.mark.parametrize(("name", "answer"), [("01_first_question", "213"), ("02_your_model", "3")])
def test_the_notebooks_run(clean: CleanVenv, name: str, answer: str) -> None:
    done = clean.run("jupyter", "execute", "--inplace", f"notebooks/{name}.ipynb")
    assert done.returncode == 0, done.stderr
    assert f'"{answer}"' in (clean.folder / "notebooks" / f"{name}.ipynb").read_text()
