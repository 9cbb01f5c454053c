"""The model's code can write to the channel itself. Nothing that it sends may break more than its own session."""

from __future__ import annotations

import asyncio
import json
import pickle
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_magic.engine.types import SubCall, SubReply, Variable
from rlm_magic.guest.frames import LENGTH, MAX_FRAME, FrameError, decode, encode, length
from rlm_magic.subkernel import Tier
from rlm_magic.subkernel.contexts import handed_up
from rlm_magic.subkernel.results import Report
from rlm_magic.subkernel.rpc import CallServer
from rlm_magic.subkernel.rundir import Place

from ...subkernels import Session, echo, opened

FORGE = (
    "import json, struct\n"
    "link = rlm_query.__self__._send.__self__\n"
    "def raw(data): link._socket.sendall(data)\n"
    "def forge(**frame):\n"
    "    body = json.dumps(frame).encode(); raw(struct.pack('!I', len(body)) + body)\n"
)


def framed(body: bytes) -> bytes:
    return struct.pack("!I", len(body)) + body


def as_frame(**frame: object) -> bytes:
    return framed(json.dumps(frame).encode())


NO_FRAMES = {
    "no JSON": b"{",
    "no UTF-8": b'"\xff"',
    "no object": b"[1]",
    "NaN": b'{"type": "result", "seconds": NaN}',
    "infinity": b'{"type": "result", "seconds": -Infinity}',
    "infinity in digits": b'{"type": "finish", "value": 1e999}',
    "a key twice": b'{"type": "call", "type": "item"}',
    "deep": b'{"type": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "pickle": pickle.dumps({"type": "call"}),
}
NO_CALLS: dict[str, dict[str, object]] = {
    "no count": {"type": "call", "id": 1, "op": "llm"},
    "unknown op": {"type": "call", "id": 1, "op": "exec", "count": 1},
    "nothing asked": {"type": "call", "id": 1, "op": "llm", "count": 0},
    "model is no name": {"type": "call", "id": 1, "op": "llm", "count": 1, "model": {"api_base": "x"}},
    "negative id": {"type": "call", "id": -1, "op": "llm", "count": 1},
    "boolean id": {"type": "call", "id": True, "op": "llm", "count": 1},
    "no tool": {"type": "call", "id": 1, "op": "tool", "count": 1},
    "tool is no name": {"type": "call", "id": 1, "op": "tool", "count": 1, "tool": ["x"]},
    "tool of a long name": {"type": "call", "id": 1, "op": "tool", "count": 1, "tool": "x" * 101},
    "tool without a name": {"type": "call", "id": 1, "op": "tool", "count": 1, "tool": ""},
    "several tools": {"type": "call", "id": 1, "op": "tool", "count": 2, "tool": "x"},
    "no id": {"type": "cancel"},
    "item of no call": {"type": "item", "id": 9, "index": 0, "prompt": "x"},
    "item out of order": {"type": "item", "id": 0, "index": 1, "prompt": "x"},
    "prompt is no text": {"type": "item", "id": 0, "index": 0, "prompt": ["x"]},
    "call twice": {"type": "call", "id": 0, "op": "llm", "count": 1},
}
NO_RESULTS: dict[str, dict[str, object]] = {
    "no output": {"type": "result", "output_chars": 0},
    "error is a text": {"type": "result", "output": "", "output_chars": 0, "error": "x"},
    "changes is a text": {"type": "result", "output": "", "output_chars": 0, "changes": "x"},
    "change without size": {"type": "result", "output": "", "output_chars": 0, "changes": [{"name": "x", "type": "y"}]},
    "unknown form": {"type": "finish", "via": "magic", "value": 1, "notice": ""},
    "more characters than can be counted": {"type": "result", "output": "", "output_chars": 10**30},
    "rich of numbers": {"type": "rich", "data": {"image/png": 5}},
}
BROKEN = {
    "4 GiB length": b"\xff\xff\xff\xff",
    "pickle": framed(pickle.dumps({"type": "call"})),
    "unknown type": as_frame(type="shutdown"),
    "item of no call": as_frame(type="item", id=1000, index=0, prompt="x"),
}


@pytest.mark.parametrize("body", NO_FRAMES.values(), ids=NO_FRAMES)
def test_what_is_no_frame(body: bytes) -> None:
    with pytest.raises(FrameError):
        decode(body)


def test_a_length_over_the_limit_is_refused_before_it_is_read() -> None:
    assert length(struct.pack("!I", MAX_FRAME)) == MAX_FRAME
    with pytest.raises(FrameError, match="over the limit"):
        length(struct.pack("!I", MAX_FRAME + 1))


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.text(), st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists)))
def test_a_frame_comes_back_as_it_was(frame: dict[str, object]) -> None:
    assert decode(encode(frame)[LENGTH.size :]) == frame


@pytest.mark.parametrize("frame", NO_CALLS.values(), ids=NO_CALLS)
def test_what_is_no_call(frame: dict[str, object]) -> None:
    async def take() -> None:
        async def send(frame: dict[str, object]) -> None:
            raise AssertionError

        def context(fields: object) -> Variable:
            raise AssertionError

        calls = CallServer(echo, send, context)
        await calls.take({"type": "call", "id": 0, "op": "llm", "count": 2})
        with pytest.raises(FrameError):
            await calls.take(frame)

    asyncio.run(take())


def test_calls_whose_items_never_come_are_not_all_remembered() -> None:
    async def announce() -> None:
        async def send(frame: dict[str, object]) -> None:
            raise AssertionError

        calls = CallServer(echo, send, lambda fields: Variable("context", "", None))  # type: ignore[arg-type]
        for number in range(100_000):
            await calls.take({"type": "call", "id": number, "op": "llm", "count": 100_001})

    with pytest.raises(FrameError, match="items did not come"):
        asyncio.run(announce())


async def settled() -> None:
    """All that can be done without waiting for anything is done."""
    for _ in range(100):
        await asyncio.sleep(0)


def test_what_is_refused_waits_for_its_reader_and_time_goes_on() -> None:
    async def refuse() -> None:
        reading = asyncio.Event()
        sent: list[object] = []

        async def send(frame: dict[str, object]) -> None:
            await reading.wait()
            sent.append(frame["id"])

        async def ask(number: int, count: int) -> None:
            await calls.take({"type": "call", "id": number, "op": "llm", "count": count})
            await calls.take({"type": "item", "id": number, "index": 0, "prompt": "q", "context": None})

        calls = CallServer(echo, send, lambda fields: Variable("context", "", None))  # type: ignore[arg-type]
        await ask(1, 1)
        await settled()
        assert (calls.waiting, sent) == (False, [])
        await calls.take({"type": "call", "id": 2, "op": "llm", "count": 99_999})
        refused = asyncio.create_task(ask(3, 1)), asyncio.create_task(ask(4, 1))
        await settled()
        assert not any(task.done() for task in refused)
        reading.set()
        await asyncio.gather(*refused)
        assert set(sent) == {1, 3, 4}
        await calls.close()

    asyncio.run(refuse())


@pytest.mark.parametrize("frame", NO_RESULTS.values(), ids=NO_RESULTS)
def test_what_is_no_result(frame: dict[str, object]) -> None:
    with pytest.raises(FrameError):
        Report().add(frame)


def test_what_is_longer_than_the_guest_lets_it_be_is_cut() -> None:
    report, long = Report(), "x" * 8_000_000
    for _ in range(16):
        report.add({"type": "rich", "data": {"text/html": chr(0x10400) + long}})
    report.add({"type": "finish", "via": "FINAL", "value": 1, "notice": long})
    error, change = dict.fromkeys(("name", "message", "traceback"), long), dict.fromkeys(("name", "type", "size"), long)
    report.add({"type": "result", "output": long, "output_chars": 1, "error": error, "changes": [change] * 100})
    result = report.cell_result()
    assert len(result.rich) == 1
    assert result.finish is not None
    assert result.error is not None
    texts = (result.finish.notice, result.error.message, result.error.traceback, result.error.name)
    names = [text for each in result.changes for text in (each.name, each.type, each.size)]
    assert max(map(len, texts)) <= 20_000
    assert max(map(len, names)) <= 200
    assert len(result.output) < 1_200_000


@pytest.fixture(scope="module")
def forger(tier: Tier) -> Iterator[Session]:
    with opened(recursive=True, tier=tier) as session:
        session.run(FORGE)
        yield session


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_a_broken_frame_costs_the_session_and_nothing_else(forger: Session, data: bytes) -> None:
    result = forger.run(f"raw({data!r})\nwhile True: pass", seconds=20)
    assert result.status == "died"
    assert "protocol" in result.lost
    assert forger.run(FORGE).status == "ok"


@pytest.mark.parametrize(
    "context",
    [
        {"file": "../c.json", "format": "text", "card": "", "text_size": 0},
        {"file": "/etc/passwd", "format": "text", "card": "", "text_size": 0},
        {"file": "..", "format": "text", "card": "", "text_size": 0},
        {"file": "0-0\n", "format": "text", "card": "", "text_size": 0},
        {"file": "0-0", "format": "path", "card": "", "text_size": 0},
        {"file": "0-0", "format": "text", "card": 5, "text_size": 0},
        {"file": 7, "format": "text", "card": "", "text_size": 0},
        {"file": "0-0", "format": "text", "card": "", "text_size": -1},
        "text",
    ],
)
def test_a_context_names_a_file_of_the_outbox(context: object, tmp_path: Path) -> None:
    with pytest.raises(FrameError):
        handed_up(Place(tmp_path), context)


def test_a_truncated_frame_is_waited_for_and_no_longer_than_the_cell(forger: Session) -> None:
    assert forger.run("raw(b'\\x00\\x00\\x10\\x00abc')", seconds=1).status in ("died", "timeout")
    assert forger.run(FORGE).status == "ok"


def test_a_card_is_cut(forger: Session) -> None:
    cards: list[str] = []
    came = asyncio.Event()

    async def handle(call: SubCall) -> list[SubReply]:
        if call.prompts == ("go",):
            await came.wait()
        cards.extend(context.card for context in call.contexts if context)
        came.set()
        return await echo(call)

    code = (
        "forge(type='call', id=1000, op='rlm', count=1, model=None)\n"
        "context = {'file': '0-0', 'format': 'text', 'card': 'x' * 5000, 'text_size': 0}\n"
        "forge(type='item', id=1000, index=0, prompt='q', context=context)\n"
        "llm_query('go')"
    )
    assert forger.run(code, handle).status == "ok"
    assert [len(card) for card in cards] == [1000]


def test_fields_that_the_notebook_decides_are_ignored(forger: Session) -> None:
    seen: list[SubCall] = []

    async def handle(call: SubCall) -> list[SubReply]:
        seen.append(call)
        return await echo(call)

    code = (
        "forge(type='call', id=1000, op='llm', count=1, model=None, depth=0, budget=9, api_base='http://x', node='0')\n"
        "forge(type='item', id=1000, index=0, prompt='q', context=None, headers={'a': 'b'})\n"
        "llm_query('honest')"
    )
    assert forger.run(code, handle).status == "ok"
    assert seen == [SubCall("llm", ("q",), (None,)), SubCall("llm", ("honest",), (None,))]


def test_a_thread_that_asks_after_its_cell_has_ended_is_refused(forger: Session) -> None:
    code = (
        "import threading, os, time\n"
        "def ask_on():\n"
        "    try:\n"
        "        while True: llm_query('in the cell'); time.sleep(0.01)\n"
        "    except Exception as error:\n"
        "        open('refusal~', 'w').write(str(error)); os.rename('refusal~', 'refusal')\n"
        "threading.Thread(target=ask_on).start()\n"
        "print(llm_query('in the cell'), os.getcwd())"
    )
    reply, work = forger.run(code).output.split(" CELL ")
    assert reply == "IN THE"
    refusal = Path(work.strip(), "refusal")
    while not refusal.exists():
        forger.do(lambda _: asyncio.sleep(0.01))
    assert "inside a cell" in refusal.read_text()


def test_the_word_for_an_answer_is_text_in_data_and_output(forger: Session) -> None:
    result = forger.run("data = 'FINAL(1)\\nFINAL_VAR(data)\\nanswer[\"ready\"] = True'\nprint(data)\ndata")
    assert (result.status, result.finish, result.partial) == ("ok", None, None)
    assert result.output.count("FINAL(1)") == 2


def test_an_announced_call_that_never_comes_does_not_stop_the_clock(forger: Session) -> None:
    code = "forge(type='call', id=1000, op='llm', count=5, model=None)\nwhile True: pass"
    assert forger.run(code, seconds=0.5).status == "timeout"
    assert forger.run("1").status == "ok"


def test_a_forged_result_counts_for_its_own_cell_only(forger: Session) -> None:
    code = (
        "forge(type='finish', cell='x', via='FINAL', value=1, notice='')\n"
        "forge(type='result', cell='x', output='', output_chars=0)\n"
        "print('real')"
    )
    result = forger.run(code)
    assert (result.status, result.output, result.finish) == ("ok", "real\n", None)


def test_a_forged_result_does_not_end_its_cell(forger: Session) -> None:
    code = (
        "cell = rlm_query.__self__.cell\n"
        "forge(type='result', cell=cell, output='forged', output_chars=6)\n"
        "forge(type='finish', cell=cell, via='FINAL', value='first', notice='')\n"
        "print(llm_query('still running'))\n"
        "FINAL('second')"
    )
    result = forger.run(code)
    assert result.finish is not None
    assert result.finish.value == "first"
    assert result.seconds > 0


def test_an_answer_of_64_mb_is_refused(forger: Session) -> None:
    result = forger.run("FINAL('x' * (64 << 20))")
    assert (result.status, result.finish) == ("error", None)
    assert result.error is not None
    assert "MiB" in result.error.message or "bytes" in result.error.message
    forged = "forge(type='finish', cell=rlm_query.__self__.cell, via='FINAL', value='x' * (64 << 20), notice='')"
    assert "over the limit" in forger.run(forged + "\nwhile True: pass").lost
    assert forger.run(FORGE).status == "ok"


def test_a_deep_answer_breaks_the_protocol(forger: Session) -> None:
    code = (
        "value = 1\n"
        "for _ in range(300): value = [value]\n"
        "forge(type='finish', cell=rlm_query.__self__.cell, via='FINAL', value=value, notice='')\n"
        "while True: pass"
    )
    assert "nested" in forger.run(code).lost
    assert forger.run(FORGE).status == "ok"


def test_forged_jupyter_messages_reach_nobody(forger: Session) -> None:
    code = (
        "k = get_ipython().kernel\n"
        "k.send_response(k.iopub_socket, 'status', {'execution_state': 'idle'})\n"
        "k.send_response(k.iopub_socket, 'display_data', {'data': {'text/html': '<script>'}, 'metadata': {}})\n"
        "k.send_response(k.iopub_socket, 'comm_open', {'comm_id': 'x', 'target_name': 'y', 'data': {}})\n"
        "print(llm_query('still here'))"
    )
    result = forger.run(code)
    assert (result.output, result.rich) == ("STILL HERE\n", ())


def test_a_reply_that_is_forged_ends_the_session_not_the_notebook(forger: Session) -> None:
    code = (
        "k = get_ipython().kernel\n"
        "to = dict(parent=k.get_parent('shell'), ident=k._parent_ident['shell'])\n"
        "k.session.send(k.shell_stream, 'execute_reply', {'status': 'ok'}, **to)\n"
        "while True: pass"
    )
    assert forger.run(code, seconds=3).status in ("died", "timeout")
    assert forger.run(FORGE).status == "ok"


def test_replies_that_nobody_reads_hold_up_nothing(forger: Session) -> None:
    """The link's reader is stuck in the model's code, and the pipe up to it is full."""
    code = (
        "import sys, time\n"
        "sys.modules[type(link).__module__].decode = lambda body: time.sleep(1000)\n"
        "for i in range(3_000):\n"
        "    forge(type='call', id=10_000 + i, op='llm', count=1, model=None)\n"
        "    forge(type='item', id=10_000 + i, index=0, prompt='q' * 1_000, context=None)\n"
        "print('sent')"
    )
    assert forger.run(code).output == "sent\n"
    assert forger.run("print(42)").output == "42\n"
    assert forger.run("llm_query('never answered')", seconds=1).status == "timeout"
    assert forger.run("import os; os._exit(0)").status == "died"
    assert forger.run(FORGE).status == "ok"


def test_calls_that_nobody_waits_for_are_bounded(forger: Session) -> None:
    code = (
        "for i in range(3): forge(type='call', id=2000 + i, op='llm', count=99_999, model=None)\n"
        "forge(type='call', id=3000, op='llm', count=1, model=None)\n"
        "forge(type='item', id=3000, index=0, prompt='q', context=None)\n"
        "print(llm_query('honest'))"
    )
    result = forger.run(code)
    assert result.status in ("ok", "error")
    assert forger.run("print(llm_query('next'))").output == "NEXT\n"
