"""The messages of a live run, against the contract of `labextension/src/view/protocol.ts`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from rlm_magic.engine.events import Event, digest
from rlm_magic.view.feed import BULK, CHUNK, CONTROLS, Feed


class View:
    """The other end: keeps what comes, waits for it."""

    def __init__(self, bodies: Mapping[str, str] | None = None) -> None:
        self.messages: list[dict[str, Any]] = []
        self.commands: list[Mapping[str, Any]] = []
        self.feed = Feed("run", self.commands.append, (bodies or {}).get, lambda: 1.5)
        self._came = asyncio.Event()

    def connect(self) -> None:
        self.feed.connect(self._take)

    def _take(self, message: dict[str, Any]) -> None:
        json.dumps(message, ensure_ascii=False).encode()
        self.messages.append(message)
        self._came.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._came.clear()
            await asyncio.wait_for(self._came.wait(), 60)

    @property
    def batches(self) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["type"] == "events"]

    @property
    def reached(self) -> int:
        return self.batches[-1]["to"] if self.batches else 0


def event(seq: int, type_: Any = "patch", node: str = "0.1", **data: Any) -> Event:
    return Event(seq, seq / 10, type_, node, data)


def with_view(work: Callable[[View], Awaitable[None]], bodies: Mapping[str, str] | None = None) -> View:
    async def go() -> View:
        view = View(bodies)
        view.connect()
        try:
            await work(view)
        finally:
            view.feed.close()
        return view

    return asyncio.run(go())


HELLO = {"cmd": "hello", "have": 0, "renderer": True}


def test_nothing_is_sent_before_the_view_says_hello() -> None:
    async def work(view: View) -> None:
        view.feed(event(0))
        await asyncio.sleep(0)
        assert view.messages == []
        assert not view.feed.answered

    with_view(work)


def test_hello_brings_the_run_so_far_and_then_what_happens() -> None:
    async def work(view: View) -> None:
        for seq in range(3):
            view.feed(event(seq))
        view.feed.receive(HELLO)
        view.feed(event(3))
        await view.until(lambda: view.reached == 4)

    view = with_view(work)
    snapshot, first = view.messages[:2]
    controls = list(CONTROLS)
    assert snapshot == {"type": "snapshot", "run": "run", "from": 0, "to": 3, "live": True, "controls": controls}
    assert (first["from"], first["to"], first["t"]) == (0, 3, 1.5)
    assert [e["seq"] for batch in view.batches for e in batch["events"]] == [0, 1, 2, 3]
    assert view.feed.renderer


def test_a_view_that_has_a_part_gets_the_rest() -> None:
    async def work(view: View) -> None:
        for seq in range(5):
            view.feed(event(seq))
        view.feed.receive({"cmd": "hello", "have": 3, "renderer": False})

    view = with_view(work)
    assert view.messages[0]["from"] == 3
    assert [e["seq"] for e in view.messages[1]["events"]] == [3, 4]
    assert not view.feed.renderer


@pytest.mark.parametrize("have", [99, -1, "2", None])
def test_a_view_that_has_something_else_starts_anew(have: object) -> None:
    async def work(view: View) -> None:
        view.feed(event(0))
        view.feed.receive({"cmd": "hello", "have": have})

    assert with_view(work).messages[0]["from"] == 0


def test_bodies_come_when_asked_for_and_not_before() -> None:
    sha256 = digest("a text")

    async def work(view: View) -> None:
        view.feed(event(0, "body", sha256=sha256, text="a text"))
        view.feed(event(1))
        view.feed.receive(HELLO)
        view.feed.receive({"cmd": "body", "sha256": sha256})
        view.feed.receive({"cmd": "body", "sha256": "unknown"})

    view = with_view(work, {sha256: "a text"})
    assert [e["seq"] for e in view.batches[0]["events"]] == [1]
    assert (view.batches[0]["from"], view.batches[0]["to"]) == (0, 2)
    assert view.messages[2:] == [
        {"type": "body", "sha256": sha256, "text": "a text"},
        {"type": "body", "sha256": "unknown", "text": None},
    ]


def test_a_body_beyond_what_a_server_lets_pass_is_cut_and_says_so() -> None:
    async def work(view: View) -> None:
        view.feed.receive({"cmd": "body", "sha256": "x"})

    (body,) = with_view(work, {"x": "a" * 5_000_000}).messages
    assert len(body["text"]) < 1_000_100
    assert "4,000,00" in body["text"]


def test_a_burst_goes_out_in_messages_of_limited_size() -> None:
    async def work(view: View) -> None:
        view.feed.receive(HELLO)
        for seq in range(300):
            view.feed(event(seq, label="x" * 1000))
        await view.until(lambda: view.reached == 300)

    view = with_view(work)
    assert len(view.batches) >= 5
    assert all(len(json.dumps(batch)) < CHUNK + 2000 for batch in view.batches)
    assert [e["seq"] for batch in view.batches for e in batch["events"]] == list(range(300))


def test_what_had_happened_before_comes_at_once_and_the_rest_at_its_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlm_magic.view.feed.INTERVAL", 3600.0)

    async def work(view: View) -> None:
        for seq in range(3000):
            view.feed(event(seq, label="x" * 1000))
        view.feed.receive(HELLO)
        await view.until(lambda: view.reached == 3000)
        view.feed(event(3000))
        await asyncio.sleep(0)

    view = with_view(work)
    assert len(view.batches) >= 5
    assert all(len(json.dumps(batch)) < BULK + 2000 for batch in view.batches)
    assert view.reached == 3000


def test_what_utf8_cannot_hold_is_replaced() -> None:
    async def work(view: View) -> None:
        view.feed(event(0, label="broken \ud800 text"))
        view.feed.receive(HELLO)
        view.feed.receive({"cmd": "body", "sha256": "x"})

    view = with_view(work, {"x": "lone \udfff"})
    assert view.batches[0]["events"][0]["data"]["label"] == "broken ? text"


def test_commands_are_carried_out_until_the_run_has_ended() -> None:
    async def work(view: View) -> None:
        view.feed.receive({"cmd": "pause"})
        view.feed.receive({"cmd": "format disk"})
        view.feed.receive({})
        view.feed(event(0, "close", "0", status="ok"))
        view.feed.receive({"cmd": "stop"})
        view.feed.receive(HELLO)

    view = with_view(work)
    assert view.commands == [{"cmd": "pause"}]
    assert view.messages[0]["live"] is False


def test_a_silent_run_is_heard_of_and_an_ended_one_falls_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlm_magic.view.feed.HEARTBEAT", 0.01)

    async def work(view: View) -> None:
        view.feed.receive(HELLO)
        await view.until(lambda: len(view.batches) > 3)
        view.feed(event(0, "close", "0", status="ok"))
        await view.until(lambda: view.reached == 1)
        count = len(view.messages)
        await asyncio.sleep(0.05)
        assert len(view.messages) == count

    with_view(work)
