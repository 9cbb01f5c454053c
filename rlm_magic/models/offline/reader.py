"""The offline sub-model: reads one prompt, answers it with word statistics.

It knows three kinds of prompt; a heading is a line of its own or opens one, upper or lower case.

    classify     Categories: spam; order; other          one category a line, or separated by semicolons (or by
                 Lines:                                  commas, if there is no semicolon)
                 1: first line                           answer: "1: order", one line for each line given,
                 2: second line                          with the same ids
    summarise    Summarise ... (or Summarize) in its     answer: the most central sentences (3, or "in 5 sentences")
                 first line, then the text
    extract      Question: ...                           answer: the value or sentence, or NOT FOUND
                 Text: ...
                 any other prompt: the sentence that ends with "?" is the question, the rest is the text
"""

from __future__ import annotations

import re

from .classify import classify
from .extract import NOT_FOUND, extract
from .summarise import summarise

HEADING = {
    name: re.compile(rf"^[ \t]*{name}[ \t]*:[ \t]*", re.IGNORECASE | re.MULTILINE)
    for name in ("categories", "lines", "question", "text")
}
NUMBERED = re.compile(r"^[ \t]*(\d+)[ \t]*[:.)][ \t]*(.*)$", re.MULTILINE)
COUNT = re.compile(r"\b(\d{1,2}) sentences?\b")


def read(prompt: str) -> str:
    """Answer one prompt; see the module's table. Deterministic; never empty."""
    if HEADING["categories"].search(prompt) and HEADING["lines"].search(prompt):
        return _classify(prompt) or NOT_FOUND
    if re.match(r"\s*summari[sz]e\b", prompt, re.IGNORECASE):
        return _summarise(prompt) or NOT_FOUND
    return extract(*_question_and_text(prompt))


def _part(prompt: str, heading: str) -> str | None:
    """What follows a heading, up to the first place of another one."""
    start = HEADING[heading].search(prompt)
    if start is None:
        return None
    firsts = (h.search(prompt) for h in HEADING.values())
    ends = [m.start() for m in firsts if m and m.start() > start.start()]
    return prompt[start.end() : min(ends, default=len(prompt))].strip()


def _classify(prompt: str) -> str:
    listed = _part(prompt, "categories") or ""
    separator = next((s for s in ("\n", ";") if s in listed), ",")
    categories = [c.strip(" \t-*") for c in listed.split(separator) if c.strip(" \t-*")]
    start = HEADING["lines"].search(prompt)
    numbered = NUMBERED.findall(prompt, start.end() if start else 0)
    if not categories:
        return ""
    found = classify([text for _, text in numbered], categories)
    return "\n".join(f"{number}: {category}" for (number, _), category in zip(numbered, found, strict=True))


def _summarise(prompt: str) -> str:
    order, _, rest = prompt.strip().partition("\n")
    wanted = COUNT.search(order)
    text = _part(prompt, "text") or rest or order.partition(":")[2]
    return summarise(text, int(wanted[1]) if wanted else 3)


def _question_and_text(prompt: str) -> tuple[str, str]:
    question, text = _part(prompt, "question"), _part(prompt, "text")
    if question is not None:
        return question, text if text is not None else prompt.replace(question, "", 1)
    asked = re.search(r"[^.!?\n]*\?", prompt)
    if asked is None:
        return prompt, ""
    return asked[0], prompt[: asked.start()] + prompt[asked.end() :]
