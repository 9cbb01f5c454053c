"""The documents say what the code does: options, limits, commands, links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rlm_magic import Limits
from rlm_magic.commands import COMMANDS
from rlm_magic.magic import LIMITS, RLMMagic
from rlm_magic.options import Options

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(path for places in ("*.md", "docs/*.md", "notebooks/**/*.md") for path in ROOT.glob(places))
README = (ROOT / "README.md").read_text(encoding="utf-8")


def options() -> dict[str, str]:
    """The README's table: each long option and its default."""
    rows = re.findall(r"^\| (`-.*?) \|.*\|(.*?)\|$", README, re.MULTILINE)
    return {name: default.strip() for cell, default in rows for name in re.findall(r"--[\w-]+", cell)}


def test_the_readme_lists_every_option() -> None:
    known = {name for action in RLMMagic.rlm.parser._actions for name in action.option_strings if name.startswith("--")}
    assert set(options()) == known


@pytest.mark.parametrize(("option", "field"), LIMITS.items())
def test_the_readme_states_the_default_limits(option: str, field: str) -> None:
    default = getattr(Limits(), field)
    stated = options()["--" + option.replace("_", "-")]
    assert stated == ("no limit" if default is None else "4 GiB" if field == "memory" else str(default))


def test_the_readme_names_every_command() -> None:
    listed = README.partition("`%rlm` looks after runs:")[2].partition("\n\n")[0]
    assert {name.split()[0] for name in re.findall(r"`(.*?)`", listed)} == set(COMMANDS)


def test_the_readme_tells_options_of_a_line_from_traits() -> None:
    traits = set(RLMMagic.class_own_traits(config=True)) | set(Options.class_own_traits(config=True))
    flags = {
        action.dest: name for action in RLMMagic.rlm.parser._actions for name in action.option_strings if "--" in name
    }
    no_traits = re.search(r"^All but (.*?),\s+which", README, re.MULTILINE | re.DOTALL)
    assert no_traits is not None
    assert set(re.findall(r"`(--[\w-]+)`", no_traits[1])) == {flags[name] for name in flags.keys() - traits}
    table = README.partition("| trait ")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == traits - flags.keys()


def test_the_readme_says_which_model_is_taken() -> None:
    default = options()["--model"]
    assert default.index("RLMMagic.model") < default.index("RLM_MODEL") < default.index("offline policy")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_within_the_repository_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_every_promise_names_tests_that_are_there() -> None:
    promises = (ROOT / "SECURITY.md").read_text(encoding="utf-8").partition("## What is promised")[2]
    shown = [row.rstrip("| ").rpartition("|")[2] for row in promises.splitlines() if row.startswith("| ")]
    named = [re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", cell) for cell in shown if cell != " Shown by"]
    assert all(named)
    missing = [
        (file, test)
        for file, test in {name for names in named for name in names}
        if not (ROOT / file).exists() or f"def {test}" not in (ROOT / file).read_text(encoding="utf-8")
    ]
    assert missing == []
