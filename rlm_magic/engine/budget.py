"""The one mutable ledger of a run, shared by the whole tree, and its deadline.

A call is reserved at its worst before it is sent and settled at what it used: `calls` is exact, tokens and cost
overshoot by no more than the estimate's error of the calls in flight. A server that counts too little is believed down
to `BELIEVED` of what the texts suggest, below that the estimate is booked: so it cannot stretch a limit to more than
2.5 times. One call and a tenth of tokens and cost are held back for the extract call of the root, so that a run that
uses everything up still answers.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from .errors import InputError, LimitReached
from .ports import Clock, Model
from .types import Limits, Message, Price, Usage

ROOT_OUTPUT = 16_000
SUB_OUTPUT = 4_000
LEAST_OUTPUT = 256
TOOL_CALLS = 10_000
BYTES_PER_TOKEN = 3.5
HELD_BACK = 0.1
BELIEVED = 0.4  # of the estimate, which is 8.75 bytes a token: no tokenizer gets there with ordinary text


def estimate(messages: Iterable[Message]) -> int:
    """Tokens of a prompt, rather too many than too few: bytes of UTF-8, so that it holds for any script."""
    return math.ceil(sum(_bytes(m.content) + 16 for m in messages) / BYTES_PER_TOKEN)


def text_tokens(text: str) -> int:
    """Tokens of a text, estimated likewise."""
    return math.ceil(_bytes(text) / BYTES_PER_TOKEN)


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


@dataclass(frozen=True, slots=True, eq=False)
class Reservation:
    """A call that may be sent: at most ``max_tokens`` of output."""

    input_tokens: int
    max_tokens: int
    cost: float
    price: Price | None

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.max_tokens


class Budget:
    """What is used, reserved and left. Used on the engine's thread only.

    Attributes:
        usage: what the calls so far reported, summed.
        calls: how many calls were sent.
        known: how many replies were kept from another run: no request was made, but they use up calls, though not the
            one that is held back.
        tool_calls: how many times tools were called; they make no request, so no limit of the user's counts them.
    """

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self.limits = limits
        self.deadline = Deadline(limits.seconds, clock)
        self.usage = Usage()
        self.calls = 0
        self.known = 0
        self.tool_calls = 0
        self._tokens = 0
        self._cost = 0.0
        self._in_flight: set[Reservation] = set()
        self._turn = asyncio.Lock()
        self._settled = asyncio.Event()

    def check(self, *models: Model) -> None:
        """Refuse a limit that cannot be kept.

        Raises:
            InputError: a cost limit, and a model whose price is unknown.
        """
        for model in models:
            if self.limits.cost is not None and model.price is None:
                raise InputError(
                    f"the price of {model.name} is unknown, so a cost limit of ${self.limits.cost:g} cannot be "
                    "kept: leave it out, or limit tokens instead"
                )

    @property
    def calls_left(self) -> int:
        """Calls that turns and sub-calls can still make."""
        return max(0, self._calls_left(False))

    def require_call(self) -> None:
        """Refuse work that could not make a single call.

        Raises:
            LimitReached: no call is left.
        """
        if not self.calls_left:
            raise self._reached("calls")

    def count_tool_call(self) -> None:
        """Count one, so that no loop of the model's code goes on for ever.

        Raises:
            LimitReached: a run calls tools `TOOL_CALLS` times at most.
        """
        if self.tool_calls >= TOOL_CALLS:
            raise LimitReached("tools", f"tools were called {TOOL_CALLS:,} times, and a run may not call them again")
        self.tool_calls += 1

    async def reserve(
        self, input_tokens: int, max_tokens: int, price: Price | None, *, final: bool = False
    ) -> Reservation:
        """Set one call aside, waiting for calls in flight to settle and cutting the output as far as it needs to fit.

        ``final`` may use what is held back. Every reservation ends in `settle` or `release`.

        Raises:
            LimitReached: no call is left, or tokens or money for fewer than 256 tokens of output.
        """
        async with self._turn:
            while True:
                if self._calls_left(final) <= 0:
                    raise self._reached("calls")
                limit, room = self._scarcest(input_tokens, price, final)
                if room >= max_tokens or not self._in_flight:
                    break
                self._settled.clear()
                await self._settled.wait()
            if room < min(LEAST_OUTPUT, max_tokens):
                raise self._reached(limit)
            return self._set_aside(input_tokens, int(min(room, max_tokens)), price)

    def settle(self, reservation: Reservation, usage: Usage | None, output_tokens: int = 0) -> None:
        """Book a call that was sent, whose reply is estimated at so many tokens.

        ``usage`` is None where nothing is known of it: then its input counts.
        """
        self._put_back(reservation)
        self.book(Usage(reservation.input_tokens, output_tokens, cost=None), usage, reservation.price)

    def book(self, estimated: Usage, usage: Usage | None, price: Price | None) -> None:
        """Count a call that was sent, such as one of the run that this one resumes; see `settle`."""
        self.calls += 1
        used = usage or Usage()
        self.usage += used
        known = used if used.tokens > BELIEVED * estimated.tokens else estimated
        self._tokens += known.tokens
        self._cost += _cost(known, price)

    def release(self, reservation: Reservation) -> None:
        """Give back a call that was never sent."""
        self._put_back(reservation)

    def input_room(self, price: Price | None) -> int | None:
        """Tokens of input that the final call can afford beside its least output; None: any number."""
        rooms = [self._tokens_left(True) - LEAST_OUTPUT] if self.limits.tokens is not None else []
        if self.limits.cost is not None and price is not None and price.input:
            rooms.append((self._cost_left(True) - price.output * LEAST_OUTPUT) / price.input)
        return max(0, int(min(rooms))) if rooms else None

    def _scarcest(self, input_tokens: int, price: Price | None, final: bool) -> tuple[str, float]:
        """The limit that leaves the fewest tokens of output for a call, and how many."""
        rooms = [("calls", math.inf)]
        if self.limits.tokens is not None:
            rooms.append(("tokens", self._tokens_left(final) - input_tokens))
        if self.limits.cost is not None and price is not None:
            left = self._cost_left(final) - price.input * input_tokens
            rooms.append(("cost", left / price.output if price.output else math.copysign(math.inf, left)))
        return min(rooms, key=lambda item: item[1])

    def _calls_left(self, final: bool) -> int:
        left = self.limits.calls - self.calls - len(self._in_flight)
        held_back = 0 if self.limits.calls == 1 else 1
        return left if final else left - held_back - self.known

    def _tokens_left(self, final: bool) -> float:
        return _usable(self.limits.tokens, final) - self._tokens - sum(r.tokens for r in self._in_flight)

    def _cost_left(self, final: bool) -> float:
        return _usable(self.limits.cost, final) - self._cost - sum(r.cost for r in self._in_flight)

    def _reached(self, limit: str) -> LimitReached:
        value = getattr(self.limits, limit)
        return LimitReached(limit, f"{limit}={value:g} is used up")

    def _set_aside(self, input_tokens: int, max_tokens: int, price: Price | None) -> Reservation:
        cost = 0.0 if price is None else price.of(input_tokens, max_tokens)
        reservation = Reservation(input_tokens, max_tokens, cost, price)
        self._in_flight.add(reservation)
        return reservation

    def _put_back(self, reservation: Reservation) -> None:
        self._in_flight.remove(reservation)
        self._settled.set()


def _usable(limit: float | None, final: bool) -> float:
    return math.inf if limit is None else limit if final else limit * (1 - HELD_BACK)


def _cost(usage: Usage, price: Price | None) -> float:
    if usage.cost is not None or price is None:
        return usage.cost or 0.0
    return price.of(usage.input_tokens, usage.output_tokens)


class Deadline:
    """The end of a run's time; waiting for a person does not count.

    async with deadline:
        ...             # TimeoutError once the time is up
        with deadline.paused():
            ...
    """

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._left = seconds
        self._clock = clock
        self._since = 0.0
        self._pauses = 0
        self._alarm = asyncio.Timeout(None)

    async def __aenter__(self) -> None:
        self._alarm = asyncio.Timeout(None)
        await self._alarm.__aenter__()
        self._go_on()

    async def __aexit__(self, *exc: Any) -> bool | None:
        return await self._alarm.__aexit__(*exc)

    @contextmanager
    def paused(self) -> Generator[None]:
        """Stop the clock; several may do so at once."""
        self._pauses += 1
        if self._pauses == 1:
            self._left -= self._clock() - self._since
            self._reschedule(None)
        try:
            yield
        finally:
            self._pauses -= 1
            if not self._pauses:
                self._go_on()

    def _go_on(self) -> None:
        self._since = self._clock()
        self._reschedule(asyncio.get_running_loop().time() + self._left)

    @property
    def passed(self) -> bool:
        """Whether the time is up."""
        return self._alarm.expired()

    def _reschedule(self, when: float | None) -> None:
        if not self.passed:
            self._alarm.reschedule(when)
