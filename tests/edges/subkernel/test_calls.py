"""Sub-calls from the model's code, over the real channel."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from rlm_magic.engine.types import SubCall, SubReply, ValueFile

from ...subkernels import WINDOW, Never, Session, echo, opened


def test_ten_thousand_prompts_in_one_batch(session: Session) -> None:
    result = session.run("out = llm_query_batched([f'p{i}' for i in range(10_000)])\nprint(len(out), out[0], out[-1])")
    assert result.output == "10000 P0 P9999\n"


def test_large_prompts_and_replies(session: Session) -> None:
    code = "out = llm_query_batched([c * 4_000_000 for c in 'abc'])\nprint([len(o) for o in out], out[2][-1])"
    assert session.run(code).output == "[4000000, 4000000, 4000000] C\n"


def test_two_hundred_threads_call_at_once(session: Session) -> None:
    there, everyone = 0, asyncio.Event()

    async def together(call: SubCall) -> list[SubReply]:
        nonlocal there
        there += 1
        if there == 200:
            everyone.set()
        await everyone.wait()
        return await echo(call)

    code = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(200) as pool:\n"
        "    out = list(pool.map(llm_query, map(str, range(200))))\n"
        "print(out == [str(i) for i in range(200)])"
    )
    assert session.run(code, together).output == "True\n"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("llm_query('x' * 9_000_000)", "9,000,000 characters"),
        ("llm_query('\\x00' * 3_000_000)", "3,000,000 characters"),
        ("llm_query_batched(['x' * 8_000_000] * 40)", "320,000,000 characters"),
        ("llm_query_batched(['x'] * 100_001)", "100,001 prompts"),
        ("llm_query_batched('abc')", "a list of prompts"),
        ("llm_query(['a', 'b'])", "_batched"),
        ("rlm_query_batched(['a', 'b'], contexts=[1])", "2 prompts but 1 contexts"),
        ("rlm_query('q', context='y' * 2000)", f"{WINDOW:,}"),
    ],
)
def test_a_call_that_cannot_be_made_says_why(session: Session, code: str, said: str) -> None:
    error = session.run(code).error
    assert error is not None
    assert said in error.message


def test_a_reply_longer_than_a_frame_is_an_error(session: Session) -> None:
    async def huge(call: SubCall) -> list[SubReply]:
        return [SubReply(text="x" * 9_000_000)]

    error = session.run("llm_query('a')", huge).error
    assert error is not None
    assert "too long" in error.message


def test_what_the_handle_raises_comes_out_of_run(session: Session) -> None:
    async def broken(call: SubCall) -> list[SubReply]:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        session.run("llm_query('a')", broken)
    assert session.run("1").output == "1\n"


def test_time_spent_waiting_does_not_count_but_code_does(session: Session) -> None:
    async def slow(call: SubCall) -> list[SubReply]:
        await asyncio.sleep(0.9)
        return await echo(call)

    result = session.run("for _ in range(3): llm_query('a')", slow, seconds=2)
    assert result.status == "ok"
    assert result.seconds < 2
    assert session.run("llm_query('a')\nwhile True: pass", slow, seconds=0.5).status == "timeout"


def test_a_thread_that_waits_does_not_stop_the_clock_of_a_busy_cell(session: Session) -> None:
    never = Never()
    code = (
        "import threading\nthreading.Thread(target=llm_query, args=('a',)).start()\nllm_query('go')\nwhile True: pass"
    )
    assert session.run(code, never, seconds=0.5).status == "timeout"
    assert never.cancelled == 1


def test_a_call_left_behind_by_a_cell_is_ended_with_it(session: Session) -> None:
    never = Never()
    code = (
        "import threading\n"
        "said = []\n"
        "def late():\n"
        "    try: llm_query('a')\n"
        "    except SubCallError as error: said.append(str(error))\n"
        "thread = threading.Thread(target=late); thread.start()\n"
        "llm_query('go')"
    )
    assert session.run(code, never).status == "ok"
    assert never.cancelled == 1
    assert "the cell has ended" in session.run("thread.join()\nprint(said)").output


def test_an_interrupted_caller_cancels_its_call(session: Session) -> None:
    never = Never()
    code = (
        "import asyncio\n"
        "asking = asyncio.ensure_future(allm_query('a'))\n"
        "await allm_query('go')\n"
        "asking.cancel()\n"
        "try:\n"
        "    await asking\n"
        "except asyncio.CancelledError:\n"
        "    print('gave up')"
    )
    assert session.run(code, never).output == "gave up\n"
    assert never.cancelled == 1


def test_a_forked_process_cannot_call() -> None:
    code = (
        "import os, warnings\n"
        "warnings.simplefilter('ignore')\n"
        "r, w = os.pipe()\n"
        "if os.fork() == 0:\n"
        "    try: llm_query('a')\n"
        "    except SubCallError as error: os.write(w, str(error).encode())\n"
        "    os._exit(0)\n"
        "print(os.read(r, 100).decode()); os.wait()"
    )
    with opened() as session:
        assert "forked process" in session.run(code).output


def test_the_round_trip_of_a_call_is_short(session: Session) -> None:
    code = (
        "import time\n"
        "times = []\n"
        "for _ in range(300):\n"
        "    start = time.perf_counter(); llm_query('a'); times.append(time.perf_counter() - start)\n"
        "print(sorted(times)[150] * 1000)"
    )
    assert float(session.run(code).output) < 20  # milliseconds; 0.3 on an idle machine


def test_a_batch_of_sub_rlms_hands_each_its_context() -> None:
    seen: list[tuple[str, str, ValueFile]] = []
    texts: list[str] = []
    sizes: list[int] = []

    async def handle(call: SubCall) -> list[SubReply]:
        for context in call.contexts:
            assert context is not None
            seen.append((context.name, context.card, context.source.file()))
            texts.append(_content(seen[-1][2]))
            sizes.append(context.text_size)
        return await echo(call)

    with opened(recursive=True) as session:
        code = (
            "print(rlm_query_batched(['a', 'b'], contexts=['one', 'z' * 5000]))\nimport os\nprint(os.listdir('../out'))"
        )
        assert session.run(code, handle).output == "['A', 'B']\n[]\n"
        assert texts == ["one", "z" * 5000]
        assert sizes == [3, 5000]
        assert all(name == "context" and 0 < len(card) <= 1000 for name, card, _ in seen)
        assert not any(Path(file.path).exists() for *_, file in seen)


def test_contexts_are_told_apart_by_their_content() -> None:
    seen: list[str] = []

    async def handle(call: SubCall) -> list[SubReply]:
        seen.extend(context.digest for context in call.contexts if context is not None)
        return await echo(call)

    code = (
        "large = bytearray(100 << 20); other = bytearray(large); other[50 << 20] = 1\n"
        "contexts = ['one', 'two', 'one', b'one', ['one'], ['two'], bytes(large), bytes(other), bytes(large)]\n"
        "_ = rlm_query_batched(['q'] * len(contexts), contexts=contexts)"
    )
    with opened(recursive=True) as above:
        above.run(code, handle)
    assert [seen.index(digest) for digest in seen] == [0, 1, 0, 3, 4, 5, 6, 7, 6]


def _content(file: ValueFile) -> str:
    return Path(file.path).read_text()


async def _take(call: SubCall) -> list[SubReply]:
    """Ask for the file of the context, as a sub-RLM would."""
    context = call.contexts[0]
    assert context is not None
    return [SubReply(text=f"{context.source.file().size}")]


def test_only_a_plain_file_of_its_own_is_passed_on() -> None:
    replace = (
        "import os\n"
        "def swap(make):\n"
        "    put = rlm_query.__self__._outbox.put\n"
        "    def spoiled(name, value):\n"
        "        fields = put(name, value); path = '../out/' + name\n"
        "        os.unlink(path); make(path); return fields\n"
        "    rlm_query.__self__._outbox.put = spoiled\n"
    )
    with opened(recursive=True) as session:
        session.run(replace)
        assert session.run("print(rlm_query('q', context='abc'))", _take).output == "3\n"
        for make in ("lambda p: os.symlink('/etc/passwd', p)", "os.mkfifo", "os.mkdir"):
            with pytest.raises(Exception, match="context of a sub-RLM"):
                session.run(f"swap({make})\nrlm_query('q', context='abc')", _take)
            session.run("del rlm_query.__self__._outbox.put")
