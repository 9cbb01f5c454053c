"""A real HTTP server on 127.0.0.1 that speaks the OpenAI chat-completions protocol and answers by script.

    with OpenAIServer(lambda request: f"you said {request.prompt}") as server:
        ... openai/anything, api_base=server.url ...
    assert server.requests[0]["model"] == "anything"

A script is called on the server's thread, once for each request in the order of arrival, and returns the reply's text
or a `Reply`. `route` chooses a script by model name, `sequence` takes one reply after the other.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from aiohttp import web

PATIENCE = 60.0  # seconds, far more than anything here takes


class Request(dict[str, Any]):
    """The parsed JSON body of one request, with its headers (any case).

    ``arrived`` is `time.monotonic()`, ``raw`` the body as it was sent.
    """

    def __init__(self, raw: bytes, headers: Mapping[str, str]) -> None:
        super().__init__(json.loads(raw))
        self.raw = raw
        self.headers = headers
        self.arrived = time.monotonic()

    @property
    def model(self) -> str:
        return str(self["model"])

    @property
    def prompt(self) -> str:
        """The last message's text."""
        return str(self["messages"][-1]["content"])


@dataclass(frozen=True)
class Reply:
    """One answer of the server.

    Attributes:
        text: the message's content; None sends null.
        delay: seconds before it is sent.
        usage: sent as it is; "count" counts four characters a token, None leaves it out.
        reasoning: sent as ``reasoning_content``.
        raw: sent as the whole body instead of a completion; surrogate escapes are bytes that are no UTF-8.
        reset: the connection is dropped instead.
        hang: nothing is sent until `OpenAIServer.release`, or ever.
        trickle: a space is sent every 20 ms, for ever.
    """

    text: str | None = ""
    delay: float = 0.0
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    usage: Mapping[str, Any] | str | None = "count"
    finish_reason: str = "stop"
    reasoning: str | None = None
    raw: str | None = None
    reset: bool = False
    hang: bool = False
    trickle: bool = False


Script: TypeAlias = Callable[[Request], "str | Reply"]


def route(scripts: Mapping[str, Script]) -> Script:
    """The script that is named like the request's model."""
    return lambda request: scripts[request.model](request)


def sequence(*replies: str | Reply) -> Script:
    """One reply for each request; the last one again when there are no more."""
    remaining = itertools.chain(replies, itertools.repeat(replies[-1]))
    return lambda request: next(remaining)


def code(text: str) -> str:
    """A root model's reply that runs this."""
    return f"```repl\n{text}\n```"


def asked_code(request: Request) -> str:
    """A script of a root model: it runs what the question holds between << and >>."""
    question = request["messages"][1]["content"]
    return code(question[question.index("<<") + 2 : question.index(">>")])


def error(status: int, message: str, *, code: str | None = None, **options: Any) -> Reply:
    """An error in the protocol's form; options are those of `Reply`."""
    body = {"error": {"message": message, "type": "error", "param": None, "code": code}}
    return Reply(status=status, raw=json.dumps(body), **options)


def rate_limited(retry_after: str | None = None) -> Reply:
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return error(429, "Rate limit reached for requests", code="rate_limit_exceeded", headers=headers)


def refuse_key(request: Request) -> Reply:
    """A script: 401 with the key in the message."""
    key = request.headers.get("Authorization", "").removeprefix("Bearer ")
    return error(401, f"Incorrect API key provided: {key}", code="invalid_api_key")


def html_page(request: Request) -> Reply:
    """A script: a gateway's error page that shows the request's headers."""
    shown = "".join(f"<li>{name}: {value}</li>" for name, value in request.headers.items())
    page = f"<html>\n<body><h1>502 Bad Gateway</h1>\n<ul>{shown}</ul></body></html>"
    return Reply(status=502, raw=page, headers={"Content-Type": "text/html"})


def window_exceeded(limit: int = 8192, tokens: int = 9000) -> Reply:
    message = (
        f"This model's maximum context length is {limit} tokens. However, your messages resulted in {tokens} tokens."
    )
    return error(400, message, code="context_length_exceeded")


class OpenAIServer:
    """See the module; ``/api/chat`` speaks Ollama's protocol.

    ``models`` is what GET /v1/models lists; names, or objects such as vLLM's with sizes. ``pages`` are further paths
    and what they answer, with 404 for None; ``visits`` are their requests, each with its path and its headers.
    """

    def __init__(
        self,
        script: Script,
        *,
        models: Sequence[str | Mapping[str, Any]] = ("root", "sub"),
        pages: Mapping[str, Any] | None = None,
    ) -> None:
        self._script = script
        self._pages = dict(pages or {})
        self.visits: list[tuple[str, Mapping[str, str]]] = []
        self._models = [{"id": m, "object": "model"} if isinstance(m, str) else dict(m) for m in models]
        self._changed = threading.Condition()
        self._numbers = itertools.count(1)
        self.requests: list[Request] = []
        self.in_flight = 0
        self.max_in_flight = 0
        self.disconnects = 0
        self.url = ""

    def __enter__(self) -> OpenAIServer:
        self._loop = asyncio.new_event_loop()
        self._released = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_forever, name="openai-server", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(PATIENCE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    def release(self) -> None:
        """Let the replies that hang, and all later ones, be sent."""
        self._loop.call_soon_threadsafe(self._released.set)

    def wait(self, condition: Callable[[OpenAIServer], bool], seconds: float = PATIENCE) -> None:
        """Wait until a condition on the counters holds.

        Raises:
            TimeoutError: it did not in ``seconds``.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: condition(self), seconds):
                raise TimeoutError(f"after {seconds} s: {len(self.requests)} requests, {self.in_flight} in flight")

    async def _start(self) -> None:
        app = web.Application(client_max_size=2**30)
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_get("/v1/models", self._list_models)
        app.router.add_post("/api/chat", self._complete)
        for path in self._pages:
            app.router.add_route("*", path, self._page)
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=4096)
        await web.SockSite(self._runner, self._listening, backlog=4096).start()
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/v1"

    async def _end(self) -> None:
        """Close every connection.

        asyncio forgets a connection that is being accepted while its server closes (CPython 3.11), so none may be:
        no more are accepted, then those accepted before are made, which takes one pass of the loop for each of three
        steps.
        """
        self._loop.remove_reader(self._listening)
        for _ in range(3):
            await asyncio.sleep(0)
        await self._runner.cleanup()

    async def _list_models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": self._models})

    async def _page(self, http: web.Request) -> web.Response:
        self.visits.append((http.path, http.headers))
        page = self._pages[http.path]
        return web.json_response(page, status=404 if page is None else 200)

    async def _complete(self, http: web.Request) -> web.StreamResponse:
        request = Request(await http.read(), http.headers)
        with self._flight(request):
            reply = self._script(request)
            return await self._answer(http, request, Reply(reply) if isinstance(reply, str) else reply)

    @contextmanager
    def _flight(self, request: Request) -> Iterator[None]:
        self._count(1)
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
        try:
            yield
        except asyncio.CancelledError:
            self.disconnects += 1
            raise
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        with self._changed:
            self.in_flight += change
            self.max_in_flight = max(self.max_in_flight, self.in_flight)
            self._changed.notify_all()

    async def _answer(self, http: web.Request, request: Request, reply: Reply) -> web.StreamResponse:
        if reply.hang:
            await self._released.wait()
        if reply.delay:
            await asyncio.sleep(reply.delay)
        if reply.trickle:
            await _trickle(http)
        if reply.reset and http.transport is not None:
            http.transport.abort()
        say = _ollama_completion if http.path == "/api/chat" else self._completion
        body = json.dumps(say(request, reply)) if reply.raw is None else reply.raw
        headers = {"Content-Type": "application/json", **reply.headers}
        return web.Response(status=reply.status, body=body.encode(errors="surrogateescape"), headers=headers)

    def _completion(self, request: Request, reply: Reply) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": reply.text}
        if reply.reasoning is not None:
            message["reasoning_content"] = reply.reasoning
        body: dict[str, Any] = {
            "id": f"chatcmpl-{next(self._numbers)}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": request.model,
            "choices": [{"index": 0, "message": message, "finish_reason": reply.finish_reason}],
        }
        usage = _count_usage(request, reply) if reply.usage == "count" else reply.usage
        return body if usage is None else {**body, "usage": usage}


def _ollama_completion(request: Request, reply: Reply) -> dict[str, Any]:
    message = {"role": "assistant", "content": reply.text or ""}
    if reply.reasoning is not None:
        message["thinking"] = reply.reasoning
    usage = _count_usage(request, reply)
    return {
        "model": request.model,
        "created_at": "2026-11-21T12:00:00Z",
        "message": message,
        "done": True,
        "done_reason": reply.finish_reason,
        "prompt_eval_count": usage["prompt_tokens"],
        "eval_count": usage["completion_tokens"],
    }


async def _trickle(http: web.Request) -> None:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(http)
    while True:
        await response.write(b" ")
        await asyncio.sleep(0.02)


def _count_usage(request: Request, reply: Reply) -> dict[str, int]:
    sent = sum(len(str(message["content"])) for message in request["messages"]) // 4
    written = len(reply.text or "") // 4
    return {"prompt_tokens": sent, "completion_tokens": written, "total_tokens": sent + written}
