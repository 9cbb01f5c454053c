"""A key that a server sends back, in whatever form, is in nothing that the product leaves behind."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from rlm_magic import RLM, Limits
from tests.server import OpenAIServer, Reply, Request, error, route

pytestmark = pytest.mark.xdist_group("secrets")  # one notebook for all of them

CANARY = "c4n4ry"
KEY = f"sk-{CANARY}-of-the-key"
IN_URL = f"{CANARY}-in-the-address"
HEADER = f"{CANARY}-in-a-header"
PASSWORD = f"{CANARY}-of-the-proxy"
DATA = "sk-this-is-data-of-the-user"

CELL = "%%rlm docs -m openai/{model} -s openai/sub\nWhat does it say?"
SETUP = [
    "%load_ext rlm_magic",
    "import os\ndef config(name, value): get_ipython().run_line_magic('config', f'RLMMagic.{name} = {value!r}')",
    "config('runs_dir', os.environ['RUNS'])\nconfig('api_base', os.environ['BASE'])\nconfig('sandbox', 'none')",
    "config('api_key_env', 'OPENAI_API_KEY')\ndocs = os.environ['DOCS']",
    "config('model_options', {'extra_headers': {'X-Team': os.environ['TEAM']}})",
]
CELLS = [
    CELL.format(model="refuses"),
    CELL.format(model="page"),
    CELL.format(model="subs"),
    CELL.format(model="reads"),
    "config('api_base', os.environ['KEYED_BASE'])",
    CELL.format(model="reads"),
    CELL.format(model="tells"),
]
THROUGH_A_PROXY = ["os.environ['HTTP_PROXY'] = os.environ['PROXY']", CELL.format(model="reads")]
LOOK = [
    "for kind in ('html', 'md', 'json', 'jsonl'):\n"
    "    for name in {path.split('.')[0] for path in os.listdir(os.environ['RUNS'])}:\n"
    "        get_ipython().run_line_magic('rlm', f'export {name} {os.environ[\"EXPORTS\"]}/{name}.{kind}')",
    "%rlm runs",
    "%rlm show",
    "%rlm doctor",
]


def everything_told(request: Request) -> str:
    return f"you sent {dict(request.headers)}"


def even_the_address(request: Request) -> str:
    return f"{everything_told(request)} to /chat/completions?key={IN_URL}"


def cell(text: str) -> str:
    return f"```repl\n{text}\n```"


def refused_page(request: Request) -> Reply:
    shown = f"<html><body><h1>{everything_told(request)}</h1><p>{everything_told(request)}</p></body></html>"
    return Reply(status=400, raw=shown, headers={"Content-Type": "text/html"})


def tell_or_read(request: Request) -> Reply | str:
    if request.prompt == "tell":
        return Reply(even_the_address(request), reasoning=even_the_address(request))
    return "read" if request.prompt.startswith("read") else error(400, everything_told(request))


SCRIPTS = {
    "refuses": lambda request: error(401, everything_told(request), code="invalid_api_key"),
    "page": refused_page,
    "subs": lambda request: cell("try: llm_query('echo')\nexcept Exception as error: FINAL(context + repr(error))"),
    "reads": lambda request: cell("FINAL(llm_query('read ' + context))"),
    "tells": lambda request: (
        f"I was told: {even_the_address(request)}\n"
        + cell(f"told = {even_the_address(request)!r}\nprint(told)\nFINAL([context, told, llm_query('tell')])")
    ),
    "sub": tell_or_read,
}


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run_notebook([*SETUP, *CELLS, *LOOK], tmp_path_factory)


def run_notebook(cells: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Run a notebook; what was sent, and everything that is left behind, by name."""
    runs, exports = tmp_path_factory.mktemp("runs"), tmp_path_factory.mktemp("exports")
    log = tmp_path_factory.mktemp("log") / "stderr"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in cells])
    with OpenAIServer(route(SCRIPTS)) as server:
        environment = {
            **{name: value for name, value in os.environ.items() if "PROXY" not in name.upper()},
            "OPENAI_API_KEY": KEY,
            "RUNS": str(runs),
            "EXPORTS": str(exports),
            "BASE": server.url,
            "KEYED_BASE": f"{server.url}?key={IN_URL}",
            "TEAM": HEADER,
            "DOCS": DATA,
            "PROXY": f"http://bob:{PASSWORD}@127.0.0.1:9",
        }
        with open(log, "wb") as stderr:
            client = NotebookClient(notebook, timeout=100, kernel_name="python3", allow_errors=True)
            client.execute(env=environment, stderr=stderr)
        requests = list(server.requests)
    files = {path.name: path.read_text() for path in [*runs.iterdir(), *exports.iterdir(), log]}
    return {"requests": requests, "runs": runs, "texts": {**files, "notebook": nbformat.writes(notebook)}}


def test_the_key_and_the_header_were_sent(left: dict[str, Any]) -> None:
    headers = [request.headers for request in left["requests"]]
    assert len(headers) >= 5
    assert all(KEY in each["Authorization"] for each in headers)
    assert all(each["X-Team"] == HEADER for each in headers)


def test_no_secret_is_in_notebook_log_record_or_export(left: dict[str, Any]) -> None:
    assert len(left["texts"]) > 15
    assert [name for name, text in left["texts"].items() if CANARY in text] == []


def test_the_errors_were_shown(left: dict[str, Any]) -> None:
    shown = left["texts"]["notebook"]
    for expected in ("the key was refused", "an HTML page", "400: you sent"):
        assert expected in shown


def test_a_key_in_a_reply_is_masked_where_it_is_shown(left: dict[str, Any]) -> None:
    shown = left["texts"]["notebook"]
    assert "you sent" in shown
    assert f"{DATA}" in shown
    assert "'Authorization': 'Bearer [redacted]'" in shown


def test_what_goes_to_a_model_is_not_altered(left: dict[str, Any]) -> None:
    prompts = [request.prompt for request in left["requests"] if request.model == "sub"]
    assert f"read {DATA}" in prompts


def test_records_are_the_owner_s_alone(left: dict[str, Any]) -> None:
    assert {path.stat().st_mode & 0o777 for path in left["runs"].iterdir()} == {0o600}


@pytest.mark.slow
def test_the_password_of_a_proxy_that_is_down(tmp_path_factory: pytest.TempPathFactory) -> None:
    texts = run_notebook([*SETUP, *THROUGH_A_PROXY, *LOOK], tmp_path_factory)["texts"]
    assert "through the proxy http://[redacted]@127.0.0.1:9 failed" in texts["notebook"]
    assert [name for name, text in texts.items() if CANARY in text] == []


def test_a_run_whose_record_had_to_be_masked_is_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes on from what the record says: the reply as it was masked."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    first = cell("told = llm_query('tell')\nprint(told)")

    def root(request: Request) -> Reply | str:
        return first if len(request["messages"]) == 2 else cell("FINAL(told)")

    with OpenAIServer(route({"root": root, "sub": tell_or_read})) as server:
        options = {"model": "openai/root", "sub_model": "openai/sub", "api_base": server.url, "api_key": KEY}
        stopped = RLM(**options, limits=Limits(calls=3), sandbox="none").completion("go", DATA)
        assert stopped.status != "answered"
        assert KEY not in stopped.trace.read_text() + str(stopped)
        resumed = RLM(**options, sandbox="none").resume(stopped.run_id, DATA)
        assert [request.model for request in server.requests].count("sub") == 1
    assert "Bearer [redacted]" in resumed.answer


def test_a_kept_reply_holds_no_key_and_all_else_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What merely looks like a secret is the user's data, or code that runs."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    data = "password: hunter22 " + DATA
    scripts = {
        "root": lambda request: cell(f"FINAL({data!r} + ' ' + llm_query('tell'))"),
        "sub": lambda request: f"{data} and {request.headers['Authorization']}",
    }
    with OpenAIServer(route(scripts)) as server:
        rlm = RLM("openai/root", "openai/sub", api_base=server.url, api_key=KEY, sandbox="none", cache="on")
        first, second = rlm.completion("go"), rlm.completion("go")
        assert len(server.requests) == 2
    assert first.answer == f"{data} {data} and Bearer {KEY}"
    assert second.answer == first.answer.replace(KEY, "[redacted]")
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert KEY.encode() not in kept
    assert data.encode() in kept
