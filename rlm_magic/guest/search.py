"""`search`: the passages of a value that fit the words of a query best, by BM25.

SQLite's FTS5 keeps the index, in a temporary file of which it holds two megabytes in memory, and ranks. It splits at
what is neither letter nor digit, folds case and accents, and stems English.
"""

from __future__ import annotations

import contextlib
import operator
import re
import sqlite3
import threading
import weakref
from array import array
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from .passages import Content, passages
from .texts import Texts, parts, text_size, texts

# Indexes that are kept, and the bytes of one: together less than what a subkernel may write.
_KEPT = 3
_BYTES = 320 * 1024**2
_PAGE = 4096
_TABLE = "CREATE VIRTUAL TABLE passages USING fts5(text, content='', tokenize='porter unicode61')"
# Texts read at once; of files each has a descriptor open.
_STEP = 256
# Words of a query that are looked up, the rarest of it.
_WORDS = 30
_SPLIT = "search a part of this at a time, such as over=context[:200_000_000]"
# Instructions of SQLite's between two looks at whether Ctrl-C was pressed.
_PATIENCE = 100_000
# Scripts written without spaces (Thai, Lao, Chinese, Japanese): each character is a word, each two a query's.
_SPACELESS = "\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
_CHARACTER = re.compile(f"([{_SPACELESS}])")
_WORD = re.compile(f"[{_SPACELESS}]+|[^\\W_{_SPACELESS}]+")


class Search:
    """What is behind the name `search`; ``default`` is what it looks through if nothing else is given."""

    def __init__(self, default: Callable[[], Any]) -> None:
        self._default = default
        self._kept: List[_Kept] = []
        self._guard = threading.Lock()

    def search(self, query: str, k: int = 10, over: Any = None, column: Optional[str] = None) -> List[Dict[str, Any]]:
        """The k passages with the words of the query that matter most, best first; [] if no word occurs.

        Each is a dict: `score`, `where` (index of a list, key of a dict, (row, column) of a table, name of a file in a
        folder, None if the value is one text), `start` and `end` in that text (bytes, of a file), and `text`.

        Args:
            over: what to look through: a text, a list or dict of texts, a table or list of records, a `Path`; default
                `context`. It is indexed once, at about 10 MB a second, up to some 600 MB. What changes inside a table
                or a file is not noticed.
            column: of a table or of records; default: the one that holds the most text.
        """
        _check(query, k)
        with self._guard:
            return self._index(self._default() if over is None else over, column).best(query, k)

    def _index(self, value: Any, column: Optional[str]) -> Index:
        held = parts(value)
        for number, kept in enumerate(self._kept):
            if kept.column == column and _same(kept.value, value) and _identical(kept.parts, held):
                self._kept.append(self._kept.pop(number))
                return kept.index
        while len(self._kept) >= _KEPT:
            self._kept.pop(0)
        self._kept.append(_Kept(value, column, held, Index(texts(value, column))))
        return self._kept[-1].index


class Index:
    """The passages of texts.

    Raises:
        ValueError: there is more text than an index takes.
        RuntimeError: this Python's SQLite has no FTS5.
    """

    def __init__(self, source: Texts) -> None:
        self._texts = source
        self._numbers, self._starts, self._ends = array("q"), array("q"), array("q")
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        weakref.finalize(self, self._database.close)
        self._create()
        self._fill()

    def best(self, query: str, k: int) -> List[Dict[str, Any]]:
        """The passages that fit a query best, as `Search.search` describes them; equal scores in order of position."""
        words = self._telling(query)
        if not words:
            return []
        ask = "SELECT rowid, rank FROM passages WHERE passages MATCH ? ORDER BY rank, rowid LIMIT ?"
        return [self._passage(row, -rank) for row, rank in self._ask(ask, " OR ".join(words), k)]

    def _create(self) -> None:
        self._database.execute(f"PRAGMA max_page_count = {_BYTES // _PAGE}")
        try:
            self._database.execute(_TABLE)
        except sqlite3.OperationalError:
            raise RuntimeError("search needs SQLite with FTS5, and this Python has none: use re") from None

    def _fill(self) -> None:
        self._database.execute("BEGIN")
        try:
            self._database.executemany("INSERT INTO passages (rowid, text) VALUES (?, ?)", self._rows())
            self._database.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise ValueError(f"an index was full after {len(self._starts):,} passages ({error}): {_SPLIT}") from None
        self._database.set_progress_handler(lambda: None, _PATIENCE)

    def _rows(self) -> Iterator[Tuple[int, str]]:
        for first in range(0, self._texts.count, _STEP):
            found = self._texts.read(first, min(first + _STEP, self._texts.count))
            for number, text in enumerate(found, first):
                for start, end in passages(text or ""):
                    self._numbers.append(number)
                    self._starts.append(start)
                    self._ends.append(end)
                    yield len(self._starts) - 1, _spaced(_decoded(text, start, end))

    def _telling(self, query: str) -> List[str]:
        """The words of a query that occur, the rarest first; those in more than half of the passages tell nothing."""
        counts = {word: self._count(word) for word in _words(query)}
        found = sorted((word for word in counts if counts[word]), key=counts.__getitem__)
        telling = [word for word in found if counts[word] * 2 <= len(self._starts)]
        return (telling or found)[:_WORDS]

    def _count(self, word: str) -> int:
        return self._ask("SELECT count(*) FROM passages WHERE passages MATCH ?", word)[0][0]

    def _ask(self, *question: Any) -> List[Tuple[Any, ...]]:
        try:
            return self._database.execute(question[0], question[1:]).fetchall()
        except sqlite3.OperationalError as error:
            if str(error) == "interrupted":  # Ctrl-C met the progress handler
                raise KeyboardInterrupt from None
            raise

    def _passage(self, row: int, score: float) -> Dict[str, Any]:
        number, start, end = self._numbers[row], self._starts[row], self._ends[row]
        text = self._texts.read(number, number + 1)[0]
        return {
            "score": round(score, 3),
            "where": self._texts.where(number),
            "start": start,
            "end": end,
            "text": _decoded(text, start, end),
        }


def searchable(value: Any) -> int:
    """About how many characters of a value `Search.search` can look through; 0 where this SQLite has no FTS5."""
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        try:
            database.execute(_TABLE)
        except sqlite3.OperationalError:
            return 0
    return text_size(value)


def _check(query: Any, k: Any) -> None:
    if not isinstance(query, str):
        raise TypeError(f"a query is a text, not a {type(query).__name__}")
    if not isinstance(k, int) or k < 1:
        raise ValueError(f"k={k!r}: ask for 1 passage or more")


@dataclass(frozen=True)
class _Kept:
    value: Any
    column: Optional[str]
    parts: List[Any]
    index: Index


def _same(one: Any, other: Any) -> bool:
    """Whether one index serves both; of lists and dicts, if they also hold identical parts."""
    if type(one) in (str, bytes):
        return type(one) is type(other) and one == other
    return one is other or (type(one) is type(other) and type(one) in (list, tuple, dict))


def _identical(one: List[Any], other: List[Any]) -> bool:
    return len(one) == len(other) and all(map(operator.is_, one, other))


def _words(query: str) -> List[str]:
    """What to look up, each in quotes: words, and as a phrase what is written as one, such as an address."""
    found: Dict[str, None] = {}
    for written in query.lower().split():
        words = _WORD.findall(written)
        phrases = [" ".join(words)] if len(words) > 1 else []
        for word in phrases + words:
            pairs = [word[i : i + 2] for i in range(len(word) - 1)] if _CHARACTER.match(word) else []
            found.update(dict.fromkeys(f'"{_spaced(part)}"' for part in pairs or [word]))
    return list(found)


def _spaced(text: str) -> str:
    """A text as SQLite takes it, without lone surrogates, and with spaces where its words have none."""
    if text.isascii():
        return text
    return _CHARACTER.sub(r" \1 ", text.encode("utf-8", "replace").decode())


def _decoded(text: Optional[Content], start: int, end: int) -> str:
    piece: Any = (text or "")[start:end]
    return piece if isinstance(piece, str) else piece.decode("utf-8", "replace")
