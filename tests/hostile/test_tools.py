"""Calls of tools that the model's code forges: the user's function is called as it is defined, or not at all."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rlm_magic import RLM, Limits
from rlm_magic.testing import ScriptedModel
from rlm_magic.view import record

from ..subkernels import tiers

GOOD: dict[str, Any] = {"args": [1], "kwargs": {}}
# name: tool and arguments as they are sent, and a part of what is said of it
FORGED = {
    "an unknown tool": ("os.system", json.dumps(GOOD), "there is no tool 'os.system': there is double"),
    "an attribute": ("double.__globals__", json.dumps(GOOD), "there is no tool"),
    "no JSON": ("double", "{", "the arguments are not JSON"),
    "NaN": ("double", '{"args": [NaN], "kwargs": {}}', "NaN is no JSON value"),
    "a huge number": ("double", '{"args": [' + "9" * 5_000 + '], "kwargs": {}}', "the arguments are not JSON"),
    "a list": ("double", "[1]", "not an object of args and kwargs"),
    "deep nesting": ("double", '{"args": ' + "[" * 50_000 + "]" * 50_000 + ', "kwargs": {}}', "not JSON|nested more"),
    "too much": ("double", json.dumps({"args": ["x" * 1_000_001], "kwargs": {}}), "at most 1,000,000"),
    "more arguments": ("double", json.dumps({"args": [1, 2], "kwargs": {}}), "too many positional arguments"),
    "other arguments": ("double", json.dumps({"args": [], "kwargs": {"self": 1}}), "missing a required argument"),
    "the same twice": ("double", json.dumps({"args": [1], "kwargs": {"value": 1}}), "multiple values for argument"),
    "a name that is none": ("double", json.dumps({"args": [1], "kwargs": {"": 1}}), "unexpected keyword argument ''"),
}
TELL = (
    "import json, re\n"
    "told = {}\n"
    "for name, (tool, text) in json.loads(context).items():\n"
    "    try: told[name] = double._call(tool, text)\n"
    "    except SubCallError as error: told[name] = str(error)\n"
    "FINAL([told, double(21)])"
)


@pytest.mark.parametrize("tier", tiers(sampled=True))
def test_forged_calls_do_nothing(tier: str) -> None:
    called: list[Any] = []

    def double(value: Any) -> Any:
        called.append(value)
        return value * 2

    rlm = RLM(ScriptedModel([f"```repl\n{TELL}\n```"]), tools=[double], sandbox=tier)
    forged = json.dumps({name: (tool, text) for name, (tool, text, _) in FORGED.items()})
    told, doubled = rlm.completion("q", forged).answer  # type: ignore[misc]
    for name, (_, _, said) in FORGED.items():
        assert any(part in told[name] for part in said.split("|")), (name, told[name])
    assert (doubled, called) == (42, [21])


def test_a_flood_of_calls_ends_with_the_run_s_time() -> None:
    flood = (
        "import threading\n"
        "def call():\n"
        "    while True:\n"
        "        try: double('x' * 100_000)\n"
        "        except SubCallError: pass\n"
        "for _ in range(50): threading.Thread(target=call, daemon=True).start()\n"
        "call()"
    )

    def double(value: str) -> str:
        return value * 2

    rlm = RLM(ScriptedModel([f"```repl\n{flood}\n```"]), tools=[double], limits=Limits(seconds=2))
    assert rlm.completion("q").status == "limit"


def test_text_in_a_call_is_data_in_what_is_shown() -> None:
    def lookup(key: str) -> str:
        return key

    hostile = "<script>alert(1)</script>\x1b[2J\u202e"
    rlm = RLM(ScriptedModel([f"```repl\nlookup({hostile!r})\nFINAL(1)\n```"]), tools=[lookup])
    shown = record(rlm.completion("q").tree)
    assert "<script>" not in shown["text/html"]
    assert not any(mark in shown["text/plain"] + shown["text/html"] for mark in "\x1b\u202e")
