"""The engine's values. All are frozen; sizes are characters unless a name says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Literal, Protocol, TypeAlias

from .limits import check

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

Role = Literal["system", "user", "assistant"]
CellStatus = Literal["ok", "error", "timeout", "died", "interrupted", "skipped"]
Outcome = Literal["answered", "forced", "stopped", "limit", "failed"]

GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may use. The whole tree shares it; only ``depth`` counts levels.

    Attributes:
        turns: replies of the root model, and of each sub-RLM's.
        depth: 1: sub-calls are plain models; from 2 on, `rlm_query` opens a sub-RLM.
        calls: model requests, exact.
        tokens: input and output together; None: no limit.
        cost: US dollars; None: no limit.
        seconds: wall time of the run.
        cell_seconds: wall time of one cell but for its waits, or CPU time of its main thread; of a tool's call.
        concurrency: model requests in flight at once.
        memory: bytes of private memory of one subkernel beyond the bound values.

    Raises:
        InputError: a value that is not a number of the right kind, or below its least value.
    """

    turns: int = 30
    depth: int = 1
    calls: int = 1000
    tokens: int | None = None
    cost: float | None = None
    seconds: float = 1800
    cell_seconds: float = 120
    concurrency: int = 64
    memory: int = 4 * GIB

    def __post_init__(self) -> None:
        for spec in fields(self):
            check(spec.name, getattr(self, spec.name), spec.default)


@dataclass(frozen=True, slots=True)
class Message:
    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What calls used. ``cost`` is US dollars, None where a price is unknown; an unknown part makes a sum unknown.

    ``estimated``: the server counted nothing for at least one of the calls, so its tokens are a guess from its texts.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cost: float | None = 0.0
    estimated: bool = False

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        unknown = self.cost is None or other.cost is None
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            None if unknown else (self.cost or 0.0) + (other.cost or 0.0),
            self.estimated or other.estimated,
        )


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for one token."""

    input: float
    output: float

    def of(self, input_tokens: int, output_tokens: int) -> float:
        return self.input * input_tokens + self.output * output_tokens


@dataclass(frozen=True, slots=True)
class Completion:
    """One reply of a model.

    ``retries`` holds one line per attempt that failed before it; ``saved`` is what it used when it was first asked for,
    where that was not paid again.
    """

    text: str
    usage: Usage
    model: str
    finish_reason: str = "stop"
    reasoning: str = ""
    retries: tuple[str, ...] = ()
    saved: Usage | None = None


@dataclass(frozen=True, slots=True)
class ValueFile:
    """A value as a file, ready for a subkernel to open.

    ``format``: "text" (UTF-8, lone surrogates kept) and "bytes" are the raw content, "pickle" is the format of
    `rlm_magic.guest.load`, "path" means that the value is this path itself, a file or directory of the user's.
    """

    path: str
    format: Literal["text", "bytes", "pickle", "path"]
    size: int


class Source(Protocol):
    """Where a sandbox finds a value."""

    def file(self) -> ValueFile:
        """The value as a file, written now if it is not there yet; blocks, at most for seconds a gigabyte.

        Raises:
            BindingError: the value cannot be written; the message says why and what to do.
        """
        ...


@dataclass(frozen=True, slots=True)
class Variable:
    """A value bound by name. The engine reads the card (at most 1,000 characters); only a sandbox opens the source.

    ``trusted`` is False for what a subkernel handed up: its card is text of the model's making. ``text_size`` is about
    how many characters `search` can look through. ``digest`` tells contents with the same card apart; it may be empty.
    """

    name: str
    card: str
    source: Source = field(repr=False)
    trusted: bool = True
    text_size: int = 0
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Earlier:
    """What a session holds of its earlier questions: variables, the newest last, and questions with their answers."""

    variables: tuple[Change, ...] = ()
    exchanges: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """A question for one RLM. Without variables there is no context.

    ``form`` says what the answer must be, in words that follow "The answer must be"; empty: as the model likes.
    """

    query: str
    variables: tuple[Variable, ...] = ()
    form: str = ""
    earlier: Earlier = Earlier()


@dataclass(frozen=True, slots=True)
class SubCall:
    """What a cell asked for: one prompt, or a batch of them, or a call of a tool.

    ``op`` is "llm" for plain models, "rlm" for a sub-RLM each; ``contexts`` is as long as ``prompts``. It is "tool" for
    the user's function named ``tool``: its one prompt is the JSON text of its `Arguments`, the reply's text JSON too.
    """

    op: Literal["llm", "rlm", "tool"]
    prompts: tuple[str, ...]
    contexts: tuple[Variable | None, ...]
    model: str | None = None
    batch: bool = False
    tool: str = ""


@dataclass(frozen=True, slots=True)
class SubReply:
    """One item's result: exactly one of the two is set."""

    text: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Finish:
    """An answer that a cell submitted. ``via`` names the form; ``notice`` says what crossing as JSON changed."""

    value: Json
    via: Literal["answer", "FINAL", "FINAL_VAR", "Final", "prose", "extract"]
    notice: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """A variable that a cell made or changed; ``size`` is worded for reading ("1,204 items")."""

    name: str
    type: str
    size: str
    new: bool


@dataclass(frozen=True, slots=True)
class CellError:
    """An exception of the model's code; the traceback holds the model's own lines only."""

    name: str
    message: str
    traceback: str


@dataclass(frozen=True, slots=True)
class Rich:
    """One rich output: MIME type to text (base64 for binary types). Untrusted."""

    data: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CellResult:
    """What one cell did.

    Attributes:
        output: standard output, errors and last expressions in their order, head and tail if it was long.
        output_chars: how long the output was before any cut.
        partial: content of ``answer`` that was set but not marked ready.
        lost: what a restart lost, worded for the model; empty if nothing.
    """

    status: CellStatus
    output: str = ""
    output_chars: int = 0
    error: CellError | None = None
    changes: tuple[Change, ...] = ()
    finish: Finish | None = None
    partial: Json = None
    rich: tuple[Rich, ...] = ()
    seconds: float = 0.0
    lost: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What the gate says of a cell that is about to run.

    ``run`` runs ``code`` (the user's edit if it differs from the model's); ``skip`` tells the model ``note`` instead;
    ``answer`` ends with an extract call now. A ``note`` with ``run`` reaches the model as a hint.
    """

    action: Literal["run", "skip", "answer"]
    code: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """How a run, or a sub-RLM, ended. ``reason`` is one line for every outcome but "answered"."""

    outcome: Outcome
    value: Json = None
    usage: Usage = Usage()
    reason: str = ""
