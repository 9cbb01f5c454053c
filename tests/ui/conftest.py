"""A real JupyterLab and a real Notebook 7 in a real Chromium."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pytest

from rlm_magic.trace import Runs

sync_api = pytest.importorskip("playwright.sync_api", reason="the browser tests need playwright (extra: dev)")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TOKEN = "test"
NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


@dataclass(frozen=True)
class Lab:
    """A running server. ``root`` is its folder, a copy of the notebooks, below ``home``; pages open in ``app``."""

    url: str
    home: Path
    app: Literal["lab/tree", "notebooks"] = "lab/tree"

    @property
    def root(self) -> Path:
        return self.home / "notebooks"

    @property
    def runs(self) -> Runs:
        """The recorded runs of its kernels."""
        return Runs(self.home / "data" / "rlm_magic" / "runs")

    @contextmanager
    def setting(self, plugin: str, value: str) -> Iterator[None]:
        """A user's settings for pages that open meanwhile; ``plugin`` is its package and name, ``value`` JSON."""
        file = self.home / "settings" / f"{plugin}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(value)
        yield
        file.unlink()

    def page_url(self, path: str) -> str:
        return f"{self.url}/{self.app}/{path}?token={TOKEN}&reset"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_up(url: str, process: subprocess.Popen[bytes], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"jupyter lab ended with {process.returncode}")
        try:
            urllib.request.urlopen(f"{url}/api/status?token={TOKEN}", timeout=2).close()
        except OSError:
            time.sleep(0.1)  # nothing tells when a server listens
        else:
            return
    raise TimeoutError(f"jupyter lab did not answer within {seconds:.0f} s")


def quiet_settings(folder: Path) -> None:
    """No question about news: its pop-up takes the first click."""
    plugin = folder / "@jupyterlab" / "apputils-extension"
    plugin.mkdir(parents=True)
    off = '{"fetchNews": "false", "checkForUpdates": false, "doNotDisturbMode": true}'
    (plugin / "notification.jupyterlab-settings").write_text(off)


def extensions_but_ours(folder: Path) -> Path:
    """The installed extensions, as where `rlm_magic` is there for the kernel alone."""
    folder.mkdir(parents=True)
    for extension in Path(sys.prefix, "share", "jupyter", "labextensions").iterdir():
        if extension.name != "rlm-magic":
            (folder / extension.name).symlink_to(extension)
    return folder


def environment(home: Path) -> dict[str, str]:
    environ = {k: v for k, v in os.environ.items() if not k.endswith("_API_KEY") and not k.startswith("RLM_")}
    for name in ("JUPYTER_DATA", "JUPYTER_CONFIG", "JUPYTER_RUNTIME", "JUPYTERLAB_SETTINGS", "JUPYTERLAB_WORKSPACES"):
        environ[f"{name}_DIR"] = str(home / name.rpartition("_")[2].lower())
    return {**environ, "HOME": str(home)}


@contextmanager
def serve(home: Path, *options: str) -> Iterator[Lab]:
    """JupyterLab and Notebook 7 from one server, with its settings and data below ``home``."""
    shutil.copytree(NOTEBOOKS, home / "notebooks")
    quiet_settings(home / "settings")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser"]
    settings = [
        f"--ServerApp.port={port}",
        f"--ServerApp.root_dir={home / 'notebooks'}",
        f"--IdentityProvider.token={TOKEN}",
        "--JupyterNotebookApp.expose_app_in_browser=True",
    ]
    with open(home / "lab.log", "wb") as log:
        process = subprocess.Popen([*command, *settings, *options], env=environment(home), stdout=log, stderr=log)
        try:
            wait_until_up(url, process)
            yield Lab(url, home)
        finally:
            process.terminate()
            process.wait(20)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with serve(tmp_path_factory.mktemp("lab")) as server:
        yield server


@pytest.fixture
def notebook7(lab: Lab) -> Lab:
    return replace(lab, app="notebooks")


@pytest.fixture(params=["lab", "notebook7"])
def either(request: pytest.FixtureRequest) -> Lab:
    """JupyterLab, then Notebook 7."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def plain_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab without our extension."""
    home = tmp_path_factory.mktemp("plain")
    extensions = extensions_but_ours(home / "labextensions")
    with serve(home, f"--LabApp.labextensions_path={extensions}") as server:
        yield server


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    if CHROMIUM is None:
        pytest.skip("no Chromium here: install the system package chromium")
    with sync_api.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: object) -> Iterator[object]:
    context = browser.new_context(viewport={"width": 1280, "height": 1600})
    context.set_default_timeout(60_000)
    yield context.new_page()
    context.close()
