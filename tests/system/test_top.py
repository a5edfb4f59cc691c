"""`pyfc top` in a pseudo-terminal, beside a real server."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyfc.client import Client
from shop import made_in
from support import DEADLINE, Server, pyfc, wait_until

LONG = "a-long-name-that-no-narrow-terminal-has-room-for-0123456789"
OTHERS = "".join(
    f"""\
    {name}:
      Type: 'Aliyun::Serverless::Function'
      Properties: {{Handler: index.handler, Runtime: python3, CodeUri: ./}}
"""
    for name in ("idle", LONG)
)
PAGE, BACK = "\x1b[?1049h", "\x1b[?1049l"
SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Typed:
    """A command in a terminal of its own."""

    def __init__(self, *words: str, columns: int = 80, lines: int = 24, **environment: str) -> None:
        self.ours, self._theirs = pty.openpty()
        self._resize(columns, lines)
        self.before = termios.tcgetattr(self._theirs)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pyfc", *words],
            stdin=self._theirs, stdout=self._theirs, stderr=self._theirs, start_new_session=True,
            env={**os.environ, "TERM": "xterm-256color", **environment},
        )  # fmt: skip
        self.output = ""

    def _resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def resize(self, columns: int, lines: int) -> None:
        self._resize(columns, lines)
        self.process.send_signal(signal.SIGWINCH)

    def type(self, keys: str) -> None:
        os.write(self.ours, keys.encode())

    def read(self) -> str:
        """Everything that was shown so far."""
        while select.select([self.ours], [], [], 0)[0]:
            self.output += os.read(self.ours, 65536).decode()
        return self.output

    def page(self) -> list[str]:
        """The lines of the newest whole page."""
        pages = self.read().split("\x1b[H")
        return [SEQUENCE.sub("", line).rstrip("\r") for line in pages[-1].split("\n")] if len(pages) > 1 else []

    def shows(self, is_meant: Callable[[list[str]], object], what: str) -> list[str]:
        """The first page that is meant."""

        def found() -> list[str]:
            page = self.page()
            return page if page and is_meant(page) else []

        try:
            page: list[str] = wait_until(found, what)
        except AssertionError as error:
            raise AssertionError(f"{error}; it shows\n" + self.output[-3000:]) from None
        return page

    def end(self) -> int:
        """Wait for its end: its status."""
        wait_until(lambda: (self.read(), self.process.poll() is not None)[1], "the end of pyfc top")
        self.read()
        return self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(DEADLINE)
        os.close(self.ours)
        os.close(self._theirs)

    def is_as_before(self) -> bool:
        """Whether the terminal is as it was: its settings, its page, its cursor."""
        rest = self.output.rpartition(PAGE)[2]
        return termios.tcgetattr(self._theirs) == self.before and BACK in rest and "\x1b[?25h" in rest


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return made_in(tmp_path, template=OTHERS)


@pytest.fixture
def server(project: Path, tmp_path: Path) -> Iterator[Server]:
    server = Server(project, tmp_path / "data")
    yield server
    server.stop()


@pytest.fixture
def typed(server: Server) -> Iterator[Callable[..., Typed]]:
    opened = []

    def open_(*words: str, columns: int = 80, lines: int = 24, **environment: str) -> Typed:
        words = ("top", "--endpoint", server.endpoint, *words)
        opened.append(Typed(*words, columns=columns, lines=lines, **environment))
        return opened[-1]

    yield open_
    for each in opened:
        each.close()


def functions(page: list[str]) -> list[str]:
    """The functions in the table, in order."""
    return [found[1] for line in page if (found := re.match(r"[> ] shop/(\S+)", line))]


def chosen(page: list[str]) -> str:
    """The function on which the cursor is."""
    return next((found[1] for line in page if (found := re.match(r"> shop/(\S+)", line))), "")


def test_top_sorts_filters_explains_and_leaves_the_terminal_as_it_was(
    server: Server, typed: Callable[..., Typed]
) -> None:
    client = Client(server.endpoint)
    for event in (b"work 0.02", b"work 0.02", b"fail 0.02"):
        client.invoke("shop", "pay", event)
    client.invoke_later("shop", "idle", b"work", delay=600)
    top = typed()
    page = top.shows(lambda page: chosen(page) == "pay", "the table")
    assert "3 functions, 1 instance, 0.0" in page[0]
    assert page[2].split()[:3] == ["FUNCTION", "CALLS/S", "P50"]
    row = next(line for line in page if "shop/pay" in line).split()
    assert row[5:7] == ["33%", "1"], "FAILED and INST"
    assert [line for line in page if len(line) > 80] == []
    assert len(page) == 24

    top.type("n")
    page = top.shows(lambda page: functions(page)[1:] == ["idle", "pay"], "functions by name")
    assert functions(page)[0].startswith("a-long-name")
    assert chosen(page) == "pay", "the cursor stays on its function"
    top.type("r")
    top.shows(lambda page: functions(page)[:2] == ["pay", "idle"], "functions by name, reversed")
    top.type("b")
    top.shows(lambda page: functions(page)[0] == "idle", "functions by asynchronous calls")
    top.type("\x1b[Ak")
    top.shows(lambda page: chosen(page) == "idle", "the cursor at the top")
    top.type("\x1b[B\x1b[B")
    page = top.shows(lambda page: chosen(page) not in {"", "idle"}, "the cursor below")
    top.type("/PA\x7fAY\r")
    top.shows(lambda page: functions(page) == ["pay"] and "only names with: PAY" in page[1], "one function")

    top.type("i")
    page = top.shows(lambda page: "INSTANCE" in page[2], "instances")
    assert re.match(r"  c-\S+ +LATEST ready ", page[3])
    top.type("\x1b")
    top.shows(lambda page: functions(page) == ["pay"], "the table")
    top.type("\r")
    page = top.shows(lambda page: any("failed calls" in line for line in page), "what limits the function")
    told = "\n".join(page)
    assert "1 had FunctionUnhandledError: no money" in told
    assert re.search(r"^  pyfc why [0-9a-f-]{36}$", told, re.MULTILINE)
    assert "1 of 3 calls were cold starts (33%)" in told
    assert "pyfc explain shop/pay" in told
    top.type("?")
    top.shows(lambda page: any("the other way round" in line for line in page), "the keys")
    top.type("q")
    assert top.end() == 0
    assert top.is_as_before()


def test_top_survives_a_terminal_of_any_size(typed: Callable[..., Typed]) -> None:
    top = typed(columns=150)
    page = top.shows(lambda page: len(functions(page)) == 3, "the table")
    assert LONG in functions(page)
    assert page[2].endswith("CPU  WAIT  ASYNC")
    for columns, lines in ((40, 7), (10, 3), (1, 1), (80, 24)):
        top.resize(columns, lines)
        page = top.shows(lambda page, lines=lines: len(page) == lines, f"a page of {lines} lines")
        assert max(map(len, page)) <= columns
    assert len(functions(top.page())) == 3
    top.process.send_signal(signal.SIGTERM)
    assert top.end() == 128 + signal.SIGTERM
    assert top.is_as_before()


def test_top_goes_on_when_its_server_is_back(server: Server, typed: Callable[..., Typed], tmp_path: Path) -> None:
    top = typed()
    top.shows(lambda page: "3 functions" in page[0], "the table")
    server.stop()
    page = top.shows(lambda page: "trying again" in page[1], "that the server is away")
    assert len(functions(page)) == 3, "what was known stays"
    again = Server(server.folder, server.data_dir, "--port", str(server.port))
    try:
        top.shows(lambda page: "by CALLS/S" in page[1], "that the server is back")
        top.type("q")
        assert top.end() == 0
    finally:
        again.stop()


def test_ctrl_z_and_a_hangup_give_the_terminal_back(typed: Callable[..., Typed]) -> None:
    top = typed()
    top.shows(lambda page: len(functions(page)) == 3, "the table")
    top.process.send_signal(signal.SIGTSTP)
    stopped = Path(f"/proc/{top.process.pid}/stat")
    if stopped.exists():
        wait_until(lambda: stopped.read_text().rpartition(")")[2].split()[0] == "T", "the pause")
    top.read()
    assert top.is_as_before()
    top.process.send_signal(signal.SIGCONT)
    wait_until(lambda: top.read().count(PAGE) == 2, "the page again")
    top.type("q")
    assert top.end() == 0
    assert top.is_as_before()


def test_no_colours_are_shown_to_who_wants_none(server: Server, typed: Callable[..., Typed]) -> None:
    Client(server.endpoint).invoke("shop", "pay", b"fail")
    for environment, has_red in (({"NO_COLOR": "1"}, False), ({}, True)):
        top = typed("--sort", "name", **environment)
        top.shows(lambda page: len(functions(page)) == 3, "the table")
        top.type("q")
        top.end()
        assert ("\x1b[31m" in top.output) is has_red


def test_without_a_terminal_top_prints_its_table_once(server: Server) -> None:
    status, printed, errors = pyfc("top", "--endpoint", server.endpoint, "--sort", "name")
    assert status == 0, errors
    lines = printed.splitlines()
    assert " ".join(lines[0].split()) == "FUNCTION CALLS/S P50 P99 FAILED COLD INST MEMORY CPU WAIT ASYNC"
    assert [line.split()[0] for line in lines[1:]] == [f"shop/{LONG}", "shop/idle", "shop/pay"]
    found = json.loads(pyfc("top", "--endpoint", server.endpoint, "--json")[1])
    assert set(found["functions"]) == {"shop/idle", "shop/pay", f"shop/{LONG}"}
    assert time.time() - found["time"] < 60
