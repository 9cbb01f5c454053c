"""Trees to render: an ordinary run, hostile texts in every field, many nodes."""

from __future__ import annotations

from collections.abc import Callable

from rlm_magic.engine.tree import Tree
from tests.vectors.generate import Script, used

CODE = 'parts = context.split("\\n\\n")\nfor p in llm_query_batched(parts):  # one call a part\n    print(p)\n'


def run(
    text: Callable[[str], str] = lambda said: said,
    *,
    calls: int = 8,
    model: str = "openai/gpt-5",
    end: bool = True,
    cost: float | None = 0.125,
) -> Tree:
    """A run of two turns, a batch with one failure, a sub-RLM and an edit; ``text`` makes every text of it."""
    add = Script()
    question = text("Who betrays whom?")
    add.opened(0, "0", "run", label=question[:120], query=question, models={"root": model, "sub": "openai/gpt-5-mini"})
    add(0, "patch", "0", confinement=text("bubblewrap and seccomp"), variables=[{"name": "novel", "card": text("str")}])
    add.opened(0.1, "0.1", "turn", label="turn 1", number=1)
    add(0, "patch", "0.1", prompt=add.prompt("0.1", system=text("You write code."), user=question), model=text(model))
    reply = text(f"Split it, then ask.\n```repl\n{CODE}```")
    add(6.1, "patch", "0.1", reply=add.text("0.1", reply), reasoning=add.text("0.1", text("Hmm.")))
    add(0, "patch", "0.1", usage=used(1200, 80, 0.25), retries=[text("429 rate limited")])
    add.opened(0, "0.1.1", "exec", label=text(" ".join(CODE.split()))[:120])
    add(0, "patch", "0.1.1", code_proposed=add.text("0.1.1", text("parts = []")), code=add.text("0.1.1", text(CODE)))
    add(0, "human", "0.1.1", action=text("hint"), text=text("mind the prologue"))
    add.opened(0.1, "0.1.1.1", "batch", n=calls, chars=999, label=text(f"llm × {calls}"))
    for i in range(1, calls + 1):
        node = f"0.1.1.1.{i}"
        add.opened(0, node, "llm", 1, label=text(f"part {i}")[:120])
        add(0, "patch", node, prompt=add.prompt(node, system=text("You are an assistant."), user=text(f"part {i}")))
    for i in range(1, calls + 1):
        node = f"0.1.1.1.{i}"
        if i == 7:
            error = {"name": text("EmptyReply"), "message": text("the model answered nothing")}
            add(0.1, "close", node, status="error", error=error)
        else:
            add(0.1, "close", node, status="ok", reply=add.text(node, text(f"none in {i}")), usage=used(100, 5, cost))
    add(0, "close", "0.1.1.1", status="partial", failed=1)
    add.opened(0, "0.1.1.2", "rlm", 1, label=text("chapter 9"), query=text("chapter 9"))
    add(1, "close", "0.1.1.2", status="ok", outcome="answered", answer=add.text("0.1.1.2", text("a storm")))
    changes = [{"name": text("parts"), "type": text("list"), "size": text("8 items"), "new": True}]
    output = {"output": add.text("0.1.1", text("none\n" * 5)), "output_chars": 4812, "shown_chars": 2000}
    add(0.1, "close", "0.1.1", status="ok", changes=changes, lost=text(""), **output)
    add(0, "close", "0.1", status="ok")
    add.opened(0, "0.2", "answer", label=text("FINAL"), via=text("FINAL"))
    add(0, "close", "0.2", status="ok", answer=add.text("0.2", text("Brutus betrays Caesar.")))
    if end:
        answer = add.text("0", text("Brutus betrays Caesar."))
        add(0, "close", "0", status="ok", outcome="answered", answer=answer, reason=text(""))
    return Tree(add.events)
