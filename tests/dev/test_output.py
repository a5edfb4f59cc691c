"""Whatever is printed is shown by a terminal, and never obeyed."""

from __future__ import annotations

import io
import json
import logging
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyfc.dev import output
from pyfc.dev.explanation import advice, tree
from pyfc.dev.table import table

ANYTHING = st.text(st.characters(codec=None, exclude_categories=[]))
HOSTILE = "\x1b]0;owned\x07\x9b2J\u202e\u2028\x7f\r\ud800\U000e0001"
SHOWN = "\\x1b]0;owned\\x07\\x9b2J\\u202e\\u2028\\x7f\\x0d\\ud800\\U000e0001"


class Terminal(io.TextIOWrapper):
    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8")

    def isatty(self) -> bool:
        return True

    @property
    def text(self) -> str:
        self.flush()
        data: bytes = self.buffer.getvalue()  # type: ignore[attr-defined]
        return data.decode()


@given(ANYTHING)
def test_nothing_that_a_terminal_would_act_on_is_left(text: str) -> None:
    assert all(each.isprintable() or each in "\n\t" for each in output.visible(text))
    assert all(each.isprintable() or each == "\t" for each in output.one_line(text))
    assert output.visible(text).count("\n") == text.count("\n")


@given(ANYTHING)
def test_a_line_of_json_means_the_same(text: str) -> None:
    for line in (json.dumps(text), json.dumps(text, ensure_ascii=False)):
        shown = output.json_line(line)

        assert json.loads(shown) == json.loads(line)
        assert all(each.isprintable() for each in shown)


def test_words_of_every_script_are_left_as_they_are() -> None:
    text = "Grüße, 函数, функция, दिल, 👍🏽, a\u0301"

    assert output.visible(text) == output.one_line(text) == text


def test_what_is_said_told_and_logged_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    out, errors = Terminal(), Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", errors)
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    output.prepare()

    output.say(f"{HOSTILE}\nsecond")
    output.say_json({"a": HOSTILE})
    output.tell(HOSTILE)
    output.log_to_stderr(logging.WARNING)
    logging.getLogger("pyfc.test").warning("of %s", HOSTILE)
    output.progress()(HOSTILE, HOSTILE)

    said, second, as_json = out.text.splitlines()
    assert (said, second, json.loads(as_json)) == (SHOWN, "second", {"a": HOSTILE})
    assert as_json.isprintable()
    told, logged, progress = errors.text.split("\n")
    assert (told, logged) == (SHOWN, f"pyfc: WARNING: of {SHOWN}")
    assert progress.startswith("\r\x1b[2K\\x1b]0;owned")


def test_an_answer_is_raw_only_where_no_terminal_reads_it_or_if_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    body = b"\x1b[31mred\xff\ttab\n\r"
    terminal, again, pipe = Terminal(), Terminal(), io.TextIOWrapper(io.BytesIO())
    for stream, raw in ((terminal, False), (again, True), (pipe, False)):
        monkeypatch.setattr(sys, "stdout", stream)
        output.answer(body, raw=raw)

    assert terminal.text == "\\x1b[31mred\\xff\ttab\n\\x0d\n"
    assert again.buffer.getvalue() == pipe.buffer.getvalue() == body  # type: ignore[attr-defined]


def test_without_any_stream_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    output.prepare()

    output.say("a")
    output.say_json({})
    output.tell("b")
    output.answer(b"c", raw=True)
    output.progress()("d", "e")
    output.end_progress()
    output.flush()

    assert (output.given(10), output.is_typed()) == (b"", True)


def test_a_cell_of_a_table_is_one_line() -> None:
    assert table(("A",), [("x\ny\r\x1b",), ("z",)]) == "A\nx\\x0ay\\x0d\\x1b\nz"


def test_names_in_an_explanation_are_shown() -> None:
    found = {
        "service": "s", "function": "f", "fault": f"\n{HOSTILE}\nmore", "template": HOSTILE, "reserved": 0,
        "codeSize": 0,
        "phases": {"RuntimeInitialize": 1.0, "Initializer": 0.0}, "imports": [[HOSTILE, 1.0, []]],
        "peakMemoryMb": 1.0, "memorySize": 128,
    }  # fmt: skip

    text = "\n".join([tree(found), *advice(found)])

    assert output.visible(text) == text
    assert "\n".join(text.splitlines()) == text
