"""`%%rlm`: ask a question of data that no model can read at once. In a notebook: ``%load_ext rlm_magic``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .engine.types import Limits

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from .result import Result
    from .rlm import RLM

__all__ = ["RLM", "Limits", "Result", "load_ipython_extension"]


def __getattr__(name: str) -> Any:
    if name == "RLM":
        from .rlm import RLM

        return RLM
    if name == "Result":
        from .result import Result

        return Result
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register ``%%rlm`` and ``%rlm``; silent, no network, no files.

    Raises:
        UsageError: another package's ``%%rlm`` is registered already.
    """
    from .magic import register

    register(shell)
