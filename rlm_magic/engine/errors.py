"""What can go wrong, as one tree.

    RLMError
    ├── InputError            what the user typed or passed; one line; nothing was run
    ├── LimitReached          the ledger refused a call: a limit of the whole tree is used up
    ├── SubCallFailed         one sub-call failed; its text goes to the model's code, the run goes on
    │   └── ToolFailed        a tool of the user's did
    └── RunError              the run cannot go on
        ├── ModelError        a model did not answer
        │   ├── AuthError         the key is missing or refused; never retried
        │   ├── WindowError       the prompt is larger than the model's window
        │   └── EmptyReply        the model answered nothing (empty, null, or cut at the output limit)
        ├── BindingError      a value could not be handed to the subkernel
        ├── SandboxError      the subkernel could not be started or kept
        ├── InvalidAnswer     the answer is not what was asked for, and was not put right
        ├── JournalError      the record of the run could not be written
        └── Divergence        a resumed run does not do what its record says

A message is one line: it names the value, the limit and the next step.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .types import Usage


class RLMError(Exception):
    """Anything that rlm_magic raises on purpose."""


class InputError(RLMError, ValueError):
    """A value that the user gave cannot be used; nothing was run."""


class LimitReached(RLMError):
    """The ledger refused a call. ``limit`` is the field of `Limits` that is used up."""

    def __init__(self, limit: str, message: str) -> None:
        super().__init__(message)
        self.limit = limit


class SubCallFailed(RLMError):
    """One sub-call failed; the message is what the model's code reads."""


class ToolFailed(SubCallFailed):
    """A tool did not return, or what it returned cannot be handed over."""


class RunError(RLMError):
    """The run cannot go on; what was done so far is kept."""


class ModelError(RunError):
    """A model did not answer. ``status`` is the HTTP status where there was one."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class AuthError(ModelError):
    """The key is missing or was refused."""


class WindowError(ModelError):
    """The prompt is larger than the model's window."""


class EmptyReply(ModelError):
    """The model answered nothing that can be used. ``usage`` is what that cost, None where it is not known."""

    def __init__(self, message: str, *, usage: Usage | None = None) -> None:
        super().__init__(message)
        self.usage = usage


class BindingError(RunError):
    """A value could not be handed to the subkernel."""


class SandboxError(RunError):
    """The subkernel could not be started or kept."""


class InvalidAnswer(RunError):
    """The answer is not what was asked for, and was not put right when the model was told so."""


class JournalError(RunError):
    """The record of the run could not be written."""


class Divergence(RunError):
    """A resumed run does not do what its record says; going on could pay for other calls than those recorded."""


def hint(value: str, known: Iterable[str], otherwise: str = "") -> str:
    """``did you mean A or B?`` with the nearest of the known names; ``otherwise`` if none is near."""
    near = get_close_matches(value, list(known), n=3)
    return f"did you mean {' or '.join(near)}?" if near else otherwise
