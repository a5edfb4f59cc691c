"""What a program in a shell says last is heard, and so is its end, in every kind of loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
import uvloop

from pyfc.errors import InvalidArgument
from pyfc.gateway import shell

Loops = Callable[[], asyncio.AbstractEventLoop]
LOOPS = pytest.mark.parametrize("make", [asyncio.new_event_loop, uvloop.new_event_loop])


class Client:
    """Types what it is given, and leaves."""

    def __init__(self, *typed: bytes) -> None:
        self.typed = list(typed)
        self.heard: list[bytes | str] = []

        self.query_params: dict[str, str] = {}

    async def receive(self) -> dict[str, Any]:
        if not self.typed:
            return {"type": "websocket.disconnect", "code": 1000}
        return {"type": "websocket.receive", "bytes": self.typed.pop(0)}

    async def send_bytes(self, data: bytes) -> None:
        self.heard.append(data)

    async def send_text(self, data: str) -> None:
        self.heard.append(data)


def session_of(client: Client) -> Any:
    nothing = cast("Any", None)
    return shell._Session(
        cast("Any", client), nothing, nothing, cast("Any", SimpleNamespace(population=SimpleNamespace(birth=None)))
    )


def run(make: Loops, scenario: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(10):
            await scenario()

    with asyncio.Runner(loop_factory=make) as runner:
        runner.run(bounded())


@LOOPS
@pytest.mark.parametrize("ends", [shell._terminal, shell._pipes])
def test_the_last_words_of_a_program_are_told_and_its_end_is_heard(make: Loops, ends: Callable[[], Any]) -> None:
    async def scenario() -> None:
        client = Client()
        ours, theirs = ends()
        os.write(ours[0], b"unread\n")
        os.write(theirs[1], b"last words\n")
        for descriptor in set(theirs):
            os.close(descriptor)

        await session_of(client)._tell(ours[1], shell._STDOUT)
        for descriptor in set(ours):
            os.close(descriptor)

        assert "last words" in "".join(str(each) for each in client.heard)

    run(make, scenario)


@LOOPS
def test_a_program_that_has_closed_its_input_is_not_ended_by_what_is_typed(make: Loops) -> None:
    async def scenario() -> None:
        client = Client(b"\0typed", b"\0more")
        session = session_of(client)
        reading, session._input = os.pipe()
        os.close(reading)

        await session._hear()
        os.close(session._input)

        assert not client.typed

    run(make, scenario)


def test_what_is_typed_comes_with_a_zero_before_it_or_as_it_is() -> None:
    async def scenario() -> None:
        session = session_of(Client(b"\0ls", b"\r", b"\x01", b"\0", b"\0\x03"))
        reading, session._input = os.pipe()

        await session._hear()
        os.close(session._input)

        assert os.read(reading, 100) == b"ls\r\x01\x03"
        os.close(reading)

    run(asyncio.new_event_loop, scenario)


def test_characters_are_not_torn_apart_and_what_is_none_stays_as_it_is() -> None:
    text = shell._Text()

    assert [text.take(part) for part in ("日本".encode()[:4], "日本".encode()[4:])] == ["日", "本"]
    assert text.take(b"a\xff") == b"a\xff"
    assert text.take(b"b") == "b"
    assert [text.take(part) for part in ("é".encode()[:1], b"x", b"")] == ["", "é".encode()[:1] + b"x", ""]
    assert [text.take(part) for part in ("é".encode()[:1], b"")] == ["", "é".encode()[:1]]


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ([], ["/bin/bash"]), (["/bin/sh"], ["/bin/sh"]), (["ls -l 'a b'"], ["ls", "-l", "a b"]),
        (["sh", "-c", "echo a  b"], ["sh", "-c", "echo a  b"]),
    ],
)  # fmt: skip
def test_a_command_is_one_parameter_or_one_for_each_word(words: list[str], command: list[str]) -> None:
    assert shell._command(words) == command


@pytest.mark.parametrize("words", [["'"], [""], ["", "x"], ["a\0b"]])
def test_a_command_that_is_none_is_refused(words: list[str]) -> None:
    with pytest.raises(InvalidArgument):
        shell._command(words)


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "1e9"])
def test_a_time_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        shell._idle({"idleTimeout": text})
