"""The page of `pyfc top`: functions in a table that is sorted, filtered and asked about by keys."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from enum import Enum
from typing import NamedTuple

from pyfc.dev.activity import Activity, Live, age, megabytes, milliseconds, number, share
from pyfc.dev.cells import cut, left, right, width_of, wrapped
from pyfc.dev.output import one_line
from pyfc.dev.terminal import Line, Style

_NAME = 24
"""Columns that names have at least; of a narrow terminal columns of the table are left out for that."""


class Column(NamedTuple):
    """A column of the table, and what sorts by it."""

    heading: str
    key: str
    """What is typed to sort by it."""
    cell: Callable[[Activity], str]
    sort: Callable[[Activity], float]
    width: int
    place: int
    """Which columns a narrow terminal keeps: the lowest."""


COLUMNS = (
    Column("CALLS/S", "c", lambda row: number(row.rate), lambda row: row.rate, 7, 1),
    Column("P50", "5", lambda row: milliseconds(row.p50), lambda row: row.p50 or 0.0, 7, 6),
    Column("P99", "9", lambda row: milliseconds(row.p99), lambda row: row.p99 or 0.0, 7, 2),
    Column("FAILED", "f", lambda row: share(row.failed, row.calls), lambda row: row.failed, 6, 5),
    Column("COLD", "o", lambda row: number(row.cold), lambda row: row.cold, 5, 9),
    Column("INST", "s", lambda row: number(len(row.instances)), lambda row: len(row.instances), 4, 3),
    Column("MEMORY", "m", lambda row: megabytes(row.memory), lambda row: row.memory, 7, 4),
    Column("CPU", "u", lambda row: _percent(row.cpu), lambda row: row.cpu or 0.0, 5, 7),
    Column("WAIT", "w", lambda row: number(row.waiting), lambda row: row.waiting, 5, 10),
    Column("ASYNC", "b", lambda row: number(row.backlog), lambda row: row.backlog, 6, 8),
)
_BESIDE = {"<": -1, "left": -1, ">": 1, "right": 1}
_BY_KEY = {column.key: column for column in COLUMNS}
SORTS = {"name": None, **{column.heading.lower(): column for column in COLUMNS}}
"""What the table can be sorted by, by the words of `--sort`."""
HELP = (
    "up, down, j, k       another function (or line); page up, page down, home, end",
    "c 5 9 f o s m u w b  sort by CALLS/S P50 P99 FAILED COLD INST MEMORY CPU WAIT ASYNC; n: by name",
    "< >                  sort by the column to the left, to the right",
    "r                    the other way round",
    "/                    only functions whose names have what you type; Escape: all of them again",
    "i                    the instances of the function",
    "e, Enter             what limits the function, and what to do about it",
    "Escape, Backspace    back to the table",
    "q                    quit",
)
NOTES = (
    "",
    "CALLS/S, P50, P99, FAILED (refused calls among them) and COLD are of the last minute. INST: instances now. CPU: "
    "per cent of one processor. WAIT: calls that wait for an instance. ASYNC: asynchronous calls that have not ended.",
)


class Mode(Enum):
    """What is shown."""

    TABLE = "table"
    INSTANCES = "instances"
    EXPLANATION = "limits"
    HELP = "help"


class Top:
    """What is shown, and what keys change of it. `press` tells what is wanted besides."""

    def __init__(self, endpoint: str, sort: str = "calls/s") -> None:
        self.endpoint = endpoint
        self.mode = Mode.TABLE
        self.rows: list[Activity] = []
        """All of them, as the server has told."""
        self._time = 0.0
        """When it told."""
        self._problem = ""
        """Why it does not."""
        self._is_counted = True
        self._explanation: list[str] = []
        self.chosen = ""
        """The name of the function on which the cursor is."""
        self._sort: Column | None = SORTS[sort]
        self._is_reversed = False
        self._filter = ""
        self._is_typing = False
        self._first = 0
        """The first line of what is scrolled that is shown."""
        self._page = 10

    # what the server tells

    def take(self, rows: list[Activity], time: float, *, is_counted: bool = True) -> None:
        """So it was at that time; `is_counted`: whether calls are."""
        self.rows, self._time, self._is_counted, self._problem = rows, time, is_counted, ""

    def miss(self, problem: str) -> None:
        """The server does not tell, and why."""
        self._problem = problem

    def explain(self, name: str, lines: list[str]) -> None:
        """What limits a function, if it is that which was asked about last."""
        if name == self.chosen:
            self._explanation = lines

    # what is shown

    def table(self) -> list[Activity]:
        """The functions that are shown, in order."""
        wanted = self._filter.lower()
        rows = sorted((row for row in self.rows if wanted in row.name.lower()), key=lambda row: row.name)
        sort = self._sort
        if sort is not None:
            rows.sort(key=sort.sort, reverse=not self._is_reversed)
        elif self._is_reversed:
            rows.reverse()
        return rows

    def _cursor(self, rows: Sequence[Activity]) -> int:
        """Where the chosen function is; if it is gone or none was chosen, the first."""
        return next((place for place, row in enumerate(rows) if row.name == self.chosen), 0)

    def page(self, width: int, height: int, now: float) -> list[Line]:
        """The lines that a terminal of this size has room for."""
        room = max(height - 4, 1)
        self._page = max(room - 1, 1)
        make = {
            Mode.TABLE: self._table_lines,
            Mode.INSTANCES: self._instance_lines,
            Mode.EXPLANATION: self._explanation_lines,
            Mode.HELP: self._help_lines,
        }[self.mode]
        body = make(width, room)
        lines = [self._title(now, width), self._state(now), *body]
        lines += [Line("")] * (height - 1 - len(lines))
        lines = [*lines[: max(height - 1, 1)], Line(self._foot())]
        return [Line(cut(one_line(text), width), style) for text, style in lines[:height]]

    def text(self, width: int | None) -> str:
        """The whole table, for who reads no page; in so many columns, or with whole names."""
        names = max((width_of(one_line(row.name)) for row in self.rows), default=0)
        width = width or 2 + max(names, _NAME) + sum(column.width + 1 for column in COLUMNS)
        if not self.rows:
            return "the server has no functions"
        columns = shown_columns(width)
        return "\n".join([_headings(columns, width), *(_cells(row, columns, width) for row in self.table())])

    def _title(self, now: float, width: int) -> Line:
        rows, instances = self.rows, sum(len(row.instances) for row in self.rows)
        clock = time.strftime("%H:%M:%S", time.localtime(now))
        told = (
            f"{_count(len(rows), 'function')}, {_count(instances, 'instance')}, "
            f"{number(sum(row.rate for row in rows))} calls/s, {megabytes(sum(row.memory for row in rows))}, "
            f"cpu {_percent(sum(row.cpu or 0.0 for row in rows))}"
        )
        title = f"pyfc top  {clock}  {told}"
        whole = f"{title}  {self.endpoint}"
        return Line(whole if width_of(one_line(whole)) <= width else title, Style.HEADING)

    def _state(self, now: float) -> Line:
        if self._problem:
            return Line(f"As it was {max(now - self._time, 0):.0f} s ago; trying again: {self._problem}", Style.BAD)
        if self._is_typing:
            return Line(f"only names with: {self._filter}_")
        if self.mode is not Mode.TABLE:
            return Line({Mode.HELP: "keys"}.get(self.mode, f"{self.mode.value} of {self.chosen}"))
        told = f"only names with: {self._filter}; " if self._filter else ""
        order = "" if not self._is_reversed else ", reversed"
        told += f"by {self._sort.heading if self._sort else 'name'}{order}"
        return Line(told if self._is_counted else f"{told}; no calls are counted (the server's `observe` is off)")

    def _foot(self) -> str:
        if self._is_typing:
            return "Enter: keep   Escape: all functions"
        if self.mode is Mode.TABLE:
            return "e explain  i instances  / filter  < > sort  r reverse  ? help  q quit"
        return "up, down: scroll   Escape: back   q quit"

    def _table_lines(self, width: int, room: int) -> list[Line]:
        rows, columns = self.table(), shown_columns(width)
        if not rows:
            text = f"no function's name has {self._filter!r}" if self._filter else "the server has no functions"
            return [Line(text)]
        cursor = self._cursor(rows)
        self.chosen = rows[cursor].name
        self._first = min(max(self._first, cursor - room + 1), cursor, max(len(rows) - room, 0))
        return [
            Line("  " + _headings(columns, width), Style.HEADING),
            *(self._row(row, columns, width) for row in rows[self._first : self._first + room]),
        ]

    def _row(self, row: Activity, columns: Sequence[Column], width: int) -> Line:
        if row.name == self.chosen:
            return Line("> " + _cells(row, columns, width), Style.CHOSEN)
        return Line("  " + _cells(row, columns, width), Style.BAD if row.failed else Style.PLAIN)

    def _instance_lines(self, width: int, room: int) -> list[Line]:
        found = next((row for row in self.rows if row.name == self.chosen), None)
        lives = sorted(found.instances, key=lambda each: each.created) if found is not None else []
        if not lives:
            return [Line(f"{self.chosen} has no instance now")]
        headings = f"  {left('INSTANCE', max(width - 52, 12))} {'VERSION':>7} {'STATE':<12} {'AGE':>6} {'CALLS':>5}"
        lines = [_instance(each, self._time, width) for each in lives]
        return [Line(headings + f" {'MEMORY':>7} {'CPU':>5}", Style.HEADING), *self._scrolled(lines, room)]

    def _explanation_lines(self, width: int, room: int) -> list[Line]:
        lines = [each for text in self._explanation for each in wrapped(one_line(text), width)]
        return self._scrolled([*map(Line, lines)], room)

    def _help_lines(self, width: int, room: int) -> list[Line]:
        lines = [each for text in HELP for each in wrapped(text, width, " " * 21)]
        lines += [each for text in NOTES for each in wrapped(text, width, "")]
        return self._scrolled([*map(Line, lines)], room)

    def _scrolled(self, lines: list[Line], room: int) -> list[Line]:
        self._first = max(min(self._first, len(lines) - room), 0)
        return lines[self._first : self._first + room]

    # keys

    def press(self, key: str) -> str:
        """A key was typed. What is wanted: `quit`, `explain` (of the chosen function), or ''."""
        if self._is_typing:
            self._type(key)
            return ""
        if key in {"q", "Q"}:
            return "quit"
        if key in {"escape", "backspace"}:
            return self._back()
        if key == "?":
            self._open(Mode.HELP)
        elif (steps := self._steps(key)) is not None:
            self._move(steps)
        elif self.mode is Mode.TABLE or key in {"i", "e", "enter"}:
            return self._ask(key)
        return ""

    def _type(self, key: str) -> None:
        if key == "enter":
            self._is_typing = False
        elif key == "escape":
            self._is_typing, self._filter = False, ""
        elif key == "backspace":
            self._filter = self._filter[:-1]
        elif len(key) == 1 and key.isprintable():
            self._filter += key

    def _back(self) -> str:
        if self.mode is Mode.TABLE:
            self._filter = ""
        self._open(Mode.TABLE)
        return ""

    def _open(self, mode: Mode) -> None:
        self.mode, self._first = mode, 0

    def _steps(self, key: str) -> int | None:
        """How far the cursor goes by a key; None for another one."""
        most = 1_000_000
        return {
            "up": -1, "k": -1, "down": 1, "j": 1, "page up": -self._page, "page down": self._page, "home": -most,
            "g": -most, "end": most, "G": most,
        }.get(key)  # fmt: skip

    def _move(self, steps: int) -> None:
        if self.mode is not Mode.TABLE:
            self._first = max(self._first + steps, 0)
            return
        rows = self.table()
        if rows:
            self.chosen = rows[min(max(self._cursor(rows) + steps, 0), len(rows) - 1)].name

    def _ask(self, key: str) -> str:
        if key in {"i", "e", "enter"}:
            return self._look(is_explained=key != "i") if self.chosen else ""
        if key == "/":
            self._is_typing, self._filter = True, ""
        elif key == "r":
            self._is_reversed = not self._is_reversed
        elif key in _BESIDE:
            self._sort_beside(_BESIDE[key])
        elif key == "n" or key in _BY_KEY:
            self._sort, self._is_reversed = _BY_KEY.get(key), False
        return ""

    def _look(self, *, is_explained: bool) -> str:
        """At the chosen function."""
        if not is_explained:
            self._open(Mode.INSTANCES)
            return ""
        self._explanation = ["Asking the server ..."]
        self._open(Mode.EXPLANATION)
        return "explain"

    def _sort_beside(self, step: int) -> None:
        order: list[Column | None] = [None, *COLUMNS]
        self._sort = order[(order.index(self._sort) + step) % len(order)]
        self._is_reversed = False


def shown_columns(width: int) -> list[Column]:
    """The columns for which a terminal has room beside the names."""
    shown = sorted(COLUMNS, key=lambda column: column.place)
    names = min(_NAME, width // 2)
    while shown and 2 + names + sum(column.width + 1 for column in shown) > width:
        shown.pop()
    return [column for column in COLUMNS if column in shown]


def _name_width(columns: Sequence[Column], width: int) -> int:
    return max(width - 2 - sum(column.width + 1 for column in columns), 8)


def _headings(columns: Sequence[Column], width: int) -> str:
    cells = [left("FUNCTION", _name_width(columns, width)), *(column.heading.rjust(column.width) for column in columns)]
    return " ".join(cells)


def _cells(row: Activity, columns: Sequence[Column], width: int) -> str:
    name = left(one_line(row.name), _name_width(columns, width))
    return " ".join([name, *(right(column.cell(row), column.width) for column in columns)])


def _instance(live: Live, now: float, width: int) -> Line:
    lived = age(now - live.created) if live.created else "-"
    name = left(one_line(live.id), max(width - 52, 12))
    version, state = cut(one_line(live.version), 7), left(one_line(live.state), 12)
    use = f"{live.requests:>5} {megabytes(live.memory):>7} {_percent(live.cpu):>5}"
    return Line(f"  {name} {version:>7} {state} {lived:>6} {use}")


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}%"


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
