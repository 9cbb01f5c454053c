"""Questions with computed answers, asked by `%%rlm` of a scripted model over real HTTP, answered in a real subkernel.

The evaluation data is not part of the project; where it lies beside the checkout, in ``../shared/data``, these tests
use it. A perturbed copy, with its answers computed again, shows that nothing is canned. The offline policy is asked the
same, as it is.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.edges.offline.helpers import ABSTAINS
from tests.server import OpenAIServer, Request, route

from .programs import CLASSIFYING, PROGRAMS

DATA = Path(__file__).parents[4] / "shared" / "data"
TICKETS = {"as stored": {"entries": 800, "seed": 1}, "perturbed": {"entries": 700, "seed": 4}}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.is_dir(), reason="the evaluation data is not beside this checkout"),
]


def module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = loaded
    spec.loader.exec_module(loaded)
    return loaded


def perturb(data: Path) -> None:
    """Change a status and an address of the log, drop one record in seven from the documents and tables."""
    log = data / "logs" / "apache_access.log"
    text = log.read_text(encoding="utf-8").replace('" 304 ', '" 404 ').replace("66.249.73.135", "192.0.2.7")
    log.write_text(text, encoding="utf-8")
    for name in ("peps/peps.jsonl", "tables/congress-terms.csv", "tables/daily_show_guests.csv"):
        drop_records(data / name)


def drop_records(path: Path) -> None:
    head, *records = path.read_text(encoding="utf-8").splitlines(keepends=True)
    needed = ("pep-0020", "pep-0601", "pep-0765", "pep-0433", "pep-0446")
    kept = [r for i, r in enumerate(records) if i % 7 != 3 or any(id in r[:20] for id in needed)]
    path.write_text(head + "".join(kept), encoding="utf-8")


@pytest.fixture(scope="module", params=["as stored", "perturbed"])
def variant(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def data(variant: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("gold") / "data"
    shutil.copytree(DATA, copy)
    if variant == "perturbed":
        perturb(copy)
    return copy


@pytest.fixture(scope="module")
def questions(data: Path) -> dict[str, dict[str, Any]]:
    """The stored questions, their answers computed from this copy of the data."""
    gold = module(data / "gold.py")
    gold.log()
    gold.peps()
    gold.tables()
    return {question["id"]: question for question in gold.Q}


@pytest.fixture(scope="module")
def tickets(variant: str, data: Path) -> list[dict[str, Any]]:
    return module(data / "tickets" / "make_oolong_like.py").build(**TICKETS[variant])


def ask(shell: InteractiveShell, question: str, context: object, program: str, sub: Any = None) -> Any:
    """Ask by `%%rlm`; the root model writes ``program``. Returns what `-o` bound."""
    scripts = {"root": lambda request: f"```repl\n{program}\n```", "sub": sub}
    with OpenAIServer(route(scripts)) as server:
        shell.user_ns["data"] = context
        shell.run_cell_magic("rlm", f"data -m openai/root -s openai/sub --api-base {server.url} -o out", question)
    return shell.user_ns["out"]


def score(data: Path, question: dict[str, Any], answer: Any) -> float:
    reply = answer if isinstance(answer, str) else json.dumps(answer)
    return module(data / "score.py").score(question["match"], question["answer"], reply)


@pytest.mark.parametrize("id", PROGRAMS)
def test_stored_questions(id: str, shell: InteractiveShell, data: Path, questions: dict[str, dict[str, Any]]) -> None:
    question = questions[id]
    context = (data / question["file"]).read_text(encoding="utf-8", errors="replace")
    answer = ask(shell, question["question"], context, PROGRAMS[id])
    assert score(data, question, answer) == 1.0


def ask_offline(shell: InteractiveShell, question: str, context: str) -> str:
    shell.user_ns["data"] = context
    return str(shell.run_cell_magic("rlm", "data -m rlm-offline/policy", question))


def verdict(data: Path, question: dict[str, Any], answer: str) -> str:
    if answer.startswith(ABSTAINS):
        return "abstained"
    return "right" if score(data, question, answer) == 1.0 else "wrong"


def test_the_offline_policy_is_right_or_abstains(
    shell: InteractiveShell, data: Path, questions: dict[str, dict[str, Any]]
) -> None:
    verdicts = Counter[str]()
    for question in questions.values():
        context = (data / question["file"]).read_text(encoding="utf-8", errors="replace")
        verdicts[verdict(data, question, ask_offline(shell, question["question"], context))] += 1
    assert verdicts == {"right": 12, "abstained": 6}


def test_what_the_offline_policy_gets_wrong_by_meaning_it_calls_an_estimate(
    shell: InteractiveShell, data: Path, tickets: list[dict[str, Any]]
) -> None:
    verdicts = Counter[str]()
    for question in module(data / "tickets" / "make_oolong_like.py").questions(tickets):
        answer = ask_offline(shell, question["question"], without_labels(tickets))
        verdicts[verdict(data, question, answer)] += 1
        assert answer.startswith((ABSTAINS, "Estimate: "))
    assert verdicts == {"right": 3, "wrong": 2, "abstained": 1}


def without_labels(tickets: list[dict[str, Any]]) -> str:
    return "".join(f"Date: {t['date']} || User: {t['user']} || Query: {t['text']}\n" for t in tickets)


@pytest.mark.parametrize("id", CLASSIFYING)
def test_classify_and_aggregate(id: str, shell: InteractiveShell, data: Path, tickets: list[dict[str, Any]]) -> None:
    generator = module(data / "tickets" / "make_oolong_like.py")
    question = next(q for q in generator.questions(tickets) if q["id"] == id)
    labels = {row["text"]: row["label"] for row in tickets}

    def classify(request: Request) -> str:
        numbered = [line.split(": ", 1) for line in request.prompt.splitlines() if " || Query: " in line]
        return "\n".join(f"{n}: {labels[line.split('Query: ', 1)[1]]}" for n, line in numbered)

    answer = ask(shell, question["question"], without_labels(tickets), CLASSIFYING[id], classify)
    assert score(data, question, answer) == 1.0
