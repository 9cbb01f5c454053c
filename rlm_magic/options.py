"""The options of `%%rlm`: each a traitlet, and most an argument of the line too."""

# IPython is typed in part.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any, TypeVar

from IPython.core.magic import Magics
from IPython.core.magic_arguments import argument, magic_arguments
from traitlets import Bool, Dict, Enum, Float, Int, Unicode

from .display import VIEWS
from .engine.errors import hint
from .engine.types import Limits
from .settings import CACHES, SANDBOXES

F = TypeVar("F", bound=Callable[..., Any])
DEFAULTS = Limits()


def json_object(text: str) -> dict[str, Any]:
    """An option's JSON object, for argparse."""
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"{text!r} is not a JSON object such as '{{\"temperature\": 0}}'")
    return value


def number(example: float) -> Callable[[str], float]:
    """What reads an option's number, for argparse; a whole one if the example is."""
    kind = "whole number" if isinstance(example, int) else "number"

    def read(text: str) -> float:
        try:
            return type(example)(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a {kind}: give one such as {example}") from None

    return read


class Options(Magics):
    """Options of `%%rlm`; ``%config RLMMagic.model = "openai/gpt-5"`` sets one for the whole notebook."""

    model = Unicode("", help="root model, a litellm name such as openai/gpt-5").tag(config=True)
    sub_model = Unicode("", help="model of sub-calls; if none is given, the root model").tag(config=True)
    aliases = Dict(help="short names of models, such as {'mini': 'openai/gpt-5-mini'}").tag(config=True)
    api_base = Unicode("", help="address of a server for the root model's provider").tag(config=True)
    api_key_env = Unicode("", help="environment variable with the key of the root model's provider").tag(config=True)
    model_options = Dict(help='passed to litellm as they are, such as {"temperature": 0}').tag(config=True)
    turns = Int(DEFAULTS.turns, help="replies of the root model").tag(config=True)
    depth = Int(DEFAULTS.depth, help="1: sub-calls are plain models; 2: rlm_query opens a sub-RLM").tag(config=True)
    calls = Int(DEFAULTS.calls, help="model requests of the whole tree").tag(config=True)
    tokens = Int(None, allow_none=True, help="tokens of the whole tree").tag(config=True)
    cost = Float(None, allow_none=True, help="US dollars of the whole tree").tag(config=True)
    timeout = Float(DEFAULTS.seconds, help="seconds of the whole run").tag(config=True)
    cell_timeout = Float(DEFAULTS.cell_seconds, help="seconds of one cell, waits left out; of a tool's call").tag(
        config=True
    )
    concurrency = Int(DEFAULTS.concurrency, help="model requests in flight at once").tag(config=True)
    memory = Int(DEFAULTS.memory, help="bytes of a subkernel, beyond the bound values").tag(config=True)
    sandbox = Unicode("auto", help="how the model's code is confined: auto, bwrap, landlock or none").tag(config=True)
    kernel = Unicode("", help="kernelspec of the subkernels; if none is given, this Python").tag(config=True)
    cache = Enum(CACHES, "off", help="on: use and keep the models' replies; replay: use kept ones alone").tag(
        config=True
    )
    model_notes = Dict(help="advice for models by a pattern of their names, such as {'*qwen*': 'Be brief.'}").tag(
        config=True
    )
    advice = Bool(True, help="say so, once, where a single call to the model would do").tag(config=True)
    step = Bool(False, help="wait for you before each cell of the model's code").tag(config=True)
    bg = Bool(False, help="end the cell at once and give a handle; the run goes on").tag(config=True)
    view = Enum(VIEWS, "auto", help="what a run shows: live, or its record alone").tag(config=True)
    keep_variables = Float(
        300.0, min=0.0, help="seconds that the variables of the last run stay for %rlm vars and pull"
    ).tag(config=True)
    runs_dir = Unicode("", help="where records of runs go; empty: Jupyter's data directory").tag(config=True)


def trait(*flags: str, **options: Any) -> Any:
    """An argument that is a traitlet too, whose help it has."""
    name = flags[-1].removeprefix("--").replace("-", "_")
    return argument(*flags, help=Options.class_traits()[name].help, **options)


def switch(flag: str) -> Any:
    """A traitlet that the flag alone sets."""
    return trait(flag, action="store_const", const=True)


ARGUMENTS = (
    argument("names", nargs="*", metavar="NAME", help="variables to ask about; one is `context`, several are a dict"),
    trait("-m", "--model"),
    trait("-s", "--sub-model"),
    argument("-o", "--out", metavar="NAME", help="variable that gets the answer"),
    argument("--as", dest="as_type", metavar="TYPE", help="of the answer: int, list[str], json, a pydantic model, …"),
    trait("--api-base", metavar="URL"),
    trait("--api-key-env", metavar="NAME"),
    trait("--model-options", type=json_object, metavar="JSON"),
    trait("--turns", type=number(DEFAULTS.turns)),
    trait("--depth", type=number(DEFAULTS.depth)),
    trait("--calls", type=number(DEFAULTS.calls)),
    trait("--tokens", type=number(500_000)),
    trait("--cost", type=number(0.5)),
    trait("--timeout", type=number(1800.0), metavar="SECONDS"),
    trait("--cell-timeout", type=number(120.0), metavar="SECONDS"),
    trait("--concurrency", type=number(DEFAULTS.concurrency)),
    trait("--memory", type=number(DEFAULTS.memory), metavar="BYTES"),
    trait("--sandbox", choices=SANDBOXES),
    trait("--kernel", metavar="NAME"),
    argument("--tool", dest="tools", action="append", metavar="NAME", help="a function that the model's code may call"),
    argument("--session", metavar="NAME", help="keep the variables of the model's code for the next question"),
    trait("--cache", choices=CACHES),
    argument("--cassette", metavar="FILE", help="keep the replies in this file"),
    argument("--dry-run", action="store_const", const=True, help="show what would be asked, and send nothing"),
    switch("--step"),
    switch("--bg"),
)

OPTIONS = tuple(flag for each in ARGUMENTS for flag in each.args if flag.startswith("--"))
WITH_VALUE = tuple(
    flag
    for each in ARGUMENTS
    for flag in each.args
    if flag.startswith("-") and each.kwds.get("action") != "store_const"
)


def with_options(magic: F) -> F:
    """Let a magic's line have the arguments."""
    for add in reversed(ARGUMENTS):
        magic = add(magic)
    return magic_arguments("%rlm")(magic)


def explain(refusal: str) -> str:
    """What argparse says of a line, with the next step where it names none."""
    start, _, unplaced = refusal.partition("unrecognized arguments: ")
    if start or not unplaced:
        return refusal
    unknown = next((word.partition("=")[0] for word in unplaced.split() if word.startswith("-")), None)
    if unknown:
        return f"{unknown} is not an option of %%rlm: {hint(unknown, OPTIONS, '%%rlm? lists them')}"
    return (
        f"{unplaced} has no place there: names come before the options, and what has spaces goes in quotes, "
        "such as --as 'dict[str, int]'"
    )
