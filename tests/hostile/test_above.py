"""What the model's code says in the notebook's own language, Jupyter messages, changes nothing in the notebook."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import start_new_kernel

from rlm_magic.subkernel import Tier

from ..server import OpenAIServer, Request

FORGED = """\
shell, kernel = get_ipython(), get_ipython().kernel
shell.set_next_input('forged = 1', replace=True)
shell.payload_manager.write_payload({'source': 'ask_exit', 'keepkernel': False})
def tell(kind, **content): kernel.send_response(kernel.iopub_socket, kind, content)
tell('status', execution_state='idle')
tell('display_data', data={'text/html': '<script>forged</script>', 'application/javascript': 'forged'}, metadata={})
tell('update_display_data', data={'text/html': '<script>forged</script>'}, metadata={}, transient={'display_id': '1'})
tell('comm_open', comm_id='forged', target_name='jupyter.widget', data={})
tell('clear_output', wait=False)
tell('shutdown_reply', status='ok', restart=False)
FINAL(llm_query('on it goes'))"""


def reply(request: Request) -> str:
    return "answered" if request.prompt == "on it goes" else f"```repl\n{FORGED}\n```"


@pytest.fixture
def notebook(tmp_path: Path) -> Iterator[BlockingKernelClient]:
    manager, client = start_new_kernel(kernel_name="python3", env={**os.environ, "JUPYTER_DATA_DIR": str(tmp_path)})
    try:
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def executed(client: BlockingKernelClient, code: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The reply to a cell, and what was published of it."""
    published: list[dict[str, Any]] = []
    reply = client.execute_interactive(code, output_hook=published.append, allow_stdin=False, timeout=100)
    return reply["content"], published


def test_forged_messages_end_at_the_session(notebook: BlockingKernelClient, tier: Tier) -> None:
    name = "bwrap" if "bubblewrap" in tier.words else "landlock"
    with OpenAIServer(reply) as server:
        executed(notebook, "%load_ext rlm_magic")
        line = f"%%rlm -m openai/root --api-base {server.url} --sandbox {name} -o answer"
        content, published = executed(notebook, f"{line}\ngo")
    assert (content["status"], content["payload"]) == ("ok", [])
    kinds = {message["msg_type"] for message in published}
    ours = {"status", "execute_input", "execute_result", "display_data", "update_display_data", "stream"}
    assert kinds <= ours
    shown = [message["content"]["data"] for message in published if "data" in message["content"]]
    assert all("application/javascript" not in data for data in shown)
    assert all("<script" not in data.get("text/html", "") for data in shown)
    assert tier.words in str(shown)
    assert executed(notebook, "assert answer == 'answered' and 'forged' not in globals()")[0]["status"] == "ok"
