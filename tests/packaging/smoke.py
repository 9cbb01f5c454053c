"""The main jobs, in a venv that has the wheel; runs beside a copy of tests/server.py and prints the answers."""

from __future__ import annotations

from IPython.core.interactiveshell import InteractiveShell
from server import OpenAIServer

from rlm_magic import RLM, Limits

LOG = "\n".join(
    f'10.0.0.{n % 7} - - [19/May/2026:10:{n % 60:02}:00 +0000] "GET /{n} HTTP/1.1" 200 1' for n in range(500)
)
ROOT = '```repl\nparts = llm_query_batched([f"line {n}" for n in range(3)])\nFINAL(f"{len(context)} {parts}")\n```'


def asked_with_the_magic() -> object:
    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "rlm_magic")
    shell.user_ns["log"] = LOG.replace("200 1", "404 1", 123)
    shell.run_cell_magic(
        "rlm", "log -o found", "How many requests in this access log were answered with HTTP status 404?"
    )
    return shell.user_ns["found"]


def asked_of_a_server() -> object:
    with OpenAIServer(lambda request: ROOT if request.model == "root" else request.prompt.upper()) as server:
        rlm = RLM("openai/root", "openai/sub", api_base=server.url, api_key="none", limits=Limits(calls=10))
        result = rlm.completion("How long is it?", LOG)
        return f"{result.answer} {len(server.requests)}"


if __name__ == "__main__":
    print(f"offline: {asked_with_the_magic()}")
    print(f"served: {asked_of_a_server()}")
