"""What the model reads of an exception: its own lines, and a message of bounded length."""

from __future__ import annotations

import traceback
from typing import Any, Dict, List, Optional

MAX_MESSAGE = 2_000
MAX_LINE = 200
MAX_FRAMES = 10


def failure(error: BaseException, sources: Dict[str, List[str]]) -> Dict[str, str]:
    """The error as the fields of a result frame; ``sources`` holds the lines of each cell, by file name."""
    name = type(error).__name__[:MAX_LINE]
    said = message(error)
    if isinstance(error, SyntaxError):
        lines = _syntax(error)
    else:
        lines = _own_frames(error, sources)
        cause = _cause(error)
        lines += [f"{name}: {said}" if said else name] + ([cause] if cause else [])
    return {"name": name, "message": said, "traceback": "\n".join(lines)}


def message(error: BaseException) -> str:
    """``str(error)``, head and tail; the exception class is the model's and may do anything there."""
    try:
        text = str(error)
    except Exception as second:
        return f"(its message cannot be shown: {type(second).__name__})"[:MAX_MESSAGE]
    if len(text) <= MAX_MESSAGE:
        return text
    half = MAX_MESSAGE // 2
    return f"{text[:half]} [... {len(text) - 2 * half:,} characters left out ...] {text[-half:]}"


def _own_frames(error: BaseException, sources: Dict[str, List[str]]) -> List[str]:
    frames = [(frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    mine = [(code, line) for code, line in frames if code.co_filename in sources]
    shown = mine if len(mine) <= MAX_FRAMES else mine[: MAX_FRAMES // 2] + mine[-(MAX_FRAMES // 2) :]
    texts = [_frame(code, line, sources[code.co_filename]) for code, line in shown]
    if len(shown) < len(mine):
        texts.insert(MAX_FRAMES // 2, f"  [... {len(mine) - len(shown):,} calls left out ...]")
    return ["Traceback (most recent call last):", *texts] if texts else []


def _frame(code: Any, line: int, source: List[str]) -> str:
    where = f"  {code.co_filename}, line {line}"
    if code.co_name != "<module>":
        where += f", in {code.co_name}"
    text = source[line - 1].strip() if 0 < line <= len(source) else ""
    return f"{where}\n    {text[:MAX_LINE]}" if text else where


def _syntax(error: SyntaxError) -> List[str]:
    last = traceback.format_exception_only(SyntaxError, error)
    return [line[:MAX_LINE] for line in "".join(last)[:MAX_MESSAGE].rstrip().split("\n")]


def _cause(error: BaseException) -> Optional[str]:
    cause = error.__cause__
    return None if cause is None else f"caused by {type(cause).__name__}: {message(cause)[:MAX_LINE]}"
