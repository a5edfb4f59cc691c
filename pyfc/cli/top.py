"""`pyfc top`: what all functions do now, in a terminal that refreshes."""

from __future__ import annotations

import argparse
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from pyfc.cli.shared import add_endpoint
from pyfc.client import Client
from pyfc.dev.activity import Activity, activities
from pyfc.dev.limits import sentences
from pyfc.dev.output import columns, say, say_json, screen
from pyfc.dev.terminal import Closed, Terminal
from pyfc.dev.top import SORTS, Top
from pyfc.errors import PyfcError

_PAUSE = 2.0
"""Seconds between two looks."""
_MOMENT = 0.5
"""Seconds over which one look alone measures processors."""
_PATIENCE = 10.0
"""Seconds for which a server is waited for."""
_MINUTES = 5
"""In which an explanation looks for calls that failed."""
_FAILED = 50


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("--once", action="store_true", help="print the table once, as also where no terminal is")
    parser.add_argument("--sort", choices=SORTS, default="calls/s", help="the column to begin with; default calls/s")
    add_endpoint(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object, as the server tells it")


_News = Callable[[Top], None]
"""What a thread has found out: done to the page by the thread that shows it."""


def run(options: argparse.Namespace) -> int:
    """See module."""
    client = _client(options)
    first = client.overview()
    terminal = screen()
    if options.json:
        say_json(first)
    elif options.once or terminal is None:
        time.sleep(_MOMENT)
        found = client.overview()
        top = Top(client.endpoint, options.sort)
        _news(client, found, first)(top)
        say(top.text(columns()))
    else:
        with Terminal(terminal) as page:
            _Session(options, page, client, first).run()
    return 0


def _client(options: argparse.Namespace) -> Client:
    return Client(options.endpoint, timeout=_PATIENCE)


def _news(client: Client, found: dict[str, Any], before: dict[str, Any] | None) -> _News:
    """Raises NotUnderstood."""
    with client.understanding():
        rows, moment = activities(found, before), float(found["time"])
        is_counted = bool(found["isCounted"])
    return lambda top: top.take(rows, moment, is_counted=is_counted)


class _Session:
    """One use of the terminal. What asks the server does that in threads: keys are heard meanwhile."""

    def __init__(self, options: argparse.Namespace, terminal: Terminal, client: Client, first: dict[str, Any]) -> None:
        self._options = options
        self._terminal = terminal
        self._top = Top(client.endpoint, options.sort)
        self._news: queue.SimpleQueue[_News] = queue.SimpleQueue()
        _news(client, first, None)(self._top)
        self._begin(lambda: self._follow(client, first))

    def run(self) -> None:
        """Until the user has enough, or the terminal is gone."""
        try:
            while True:
                self._hear()
                self._terminal.draw(self._top.page(*self._terminal.size, time.time()))
                for key in self._terminal.keys(_PAUSE):
                    wanted = self._top.press(key)
                    if wanted == "quit":
                        return
                    if wanted == "explain":
                        self._explain(self._top.chosen)
        except Closed:
            return

    def _hear(self) -> None:
        while not self._news.empty():
            self._news.get()(self._top)

    def _begin(self, work: Callable[[], None]) -> None:
        threading.Thread(target=work, daemon=True).start()

    def _tell(self, news: _News) -> None:
        self._news.put(news)
        self._terminal.wake()

    def _follow(self, client: Client, before: dict[str, Any] | None) -> None:
        """Ask the server again and again; one that is back may have another key, or by its profile another port."""
        while True:
            time.sleep(_PAUSE)
            try:
                found = client.overview()
                news = _news(client, found, before)
            except PyfcError as error:
                self._tell(_problem(str(error)))
                before = None
                client = _again(self._options, client)
            else:
                self._tell(news)
                before = found

    def _explain(self, name: str) -> None:
        row = next((row for row in self._top.rows if row.name == name), None)
        if row is None:
            return

        def ask() -> None:
            try:
                lines = _explained(_client(self._options), row)
            except PyfcError as error:
                lines = [f"{name}: the server does not tell: {error}"]
            self._tell(lambda top: top.explain(name, lines))

        self._begin(ask)


def _problem(text: str) -> _News:
    return lambda top: top.miss(text)


def _again(options: argparse.Namespace, client: Client) -> Client:
    try:
        return _client(options)
    except PyfcError:
        return client


def _explained(client: Client, row: Activity) -> list[str]:
    """Raises PyfcError."""
    failed: list[dict[str, Any]] = []
    slowest: list[dict[str, Any]] = []
    try:
        failed = client.calls(row.name, seconds=60 * _MINUTES, error="*", limit=_FAILED)["calls"]
        slowest = client.calls(row.name, seconds=60 * _MINUTES, slowest=True, limit=1)["calls"]
    except PyfcError as error:
        if error.status != 404:  # no records are kept: what is counted is told all the same
            raise
    with client.understanding():
        return sentences(row, failed, slowest, _MINUTES)
