"""Code that would spend more than it may: forged calls, taken back once they are sent, from threads and in batches."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlm_magic.engine.types import Limits
from rlm_magic.run import Run
from rlm_magic.settings import Settings
from tests.server import OpenAIServer, Script, route

from ..subkernels import tiers

CALLS = 40
SPEND = """\
import json, struct, threading
link = rlm_query.__self__._send.__self__
def forge(**frame):
    body = json.dumps(frame).encode()
    link._socket.sendall(struct.pack('!I', len(body)) + body)
def ask(number):
    forge(type='call', id=10**6 + number, op='llm', count=1, model=None)
    forge(type='item', id=10**6 + number, index=0, prompt=f'forged {number}', context=None)
def spend():
    for _ in range(10):
        try: llm_query('from a thread')
        except SubCallError: pass
for number in range(200):
    ask(number)
    if number % 2: forge(type='cancel', id=10**6 + number)
threads = [threading.Thread(target=spend) for _ in range(5)]
for thread in threads: thread.start()
parts = llm_query_batched(['in a batch'] * 50)
for thread in threads: thread.join()"""


@pytest.mark.parametrize("tier", tiers(sampled=True))
def test_all_ways_at_once_send_no_more_than_the_limit(tier: str, tmp_path: Path) -> None:
    scripts: dict[str, Script] = {"root": lambda request: f"```repl\n{SPEND}\n```", "sub": lambda request: "ok"}
    with OpenAIServer(route(scripts)) as server:
        settings = Settings(
            model="openai/root",
            sub_model="openai/sub",
            api_base=server.url,
            api_key="none",
            limits=Limits(calls=CALLS),
            sandbox=tier,
            runs_dir=str(tmp_path),
        )
        result = Run("go", {}, settings).wait()
    assert result.status == "forced"
    assert len(server.requests) <= CALLS
    assert result.nodes[0].sums.calls <= CALLS
