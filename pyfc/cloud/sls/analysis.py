"""SQL behind the | of a query, on the logs that its search finds: SQLite in memory, in the process that searches.

SLS's SQL needs no FROM: a SELECT without one is of the logs. A field is a column if the SQL has its name; where an
index says that it is a number it is one, else if all of its values are. Only what reads is allowed, and only functions
that are known.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Any

from pyfc.cloud.sls import comparison, functions
from pyfc.cloud.sls.faults import Fault

TABLE = "log"
_TOKEN = re.compile(
    r"""(?P<space>\s+|--[^\n]*|/\*.*?\*/)|(?P<text>'(?:[^']|'')*')|(?P<name>"(?:[^"]|"")*"|`[^`]*`)|"""
    r"""(?P<word>[^\W\d]\w*)|(?P<other>.)""", re.DOTALL,
)  # fmt: skip
_AFTER_FROM = frozenset(("where", "group", "having", "order", "limit", "union", "except", "intersect", "window"))
_MOST_ROWS = 100
"""Rows of an answer where the SQL has no LIMIT."""
_MOST = 100_000
_COUNT = re.compile(r"'?(-?[0-9]{1,9})'?")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,14})(?:\.\d{1,15})?")
_ALLOWED = frozenset((sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE))
_MOST_COLUMNS = 500
_NOW = (("word", "now"), ("other", "("), ("other", ")"))
_TIMES = MappingProxyType({
    "current_timestamp": _NOW, "localtimestamp": _NOW,
    "current_date": (("word", "date"), ("other", "("), *_NOW, ("other", ")")),
})  # fmt: skip
"""Words that are functions without brackets; SQLite's own tell another zone's time."""


Logs = Iterable[Mapping[str, str]]


def _none_before(_: int) -> Logs:
    raise _wrong("compare is for searches of a logstore")


def run(
    sql: str, logs: Logs, index: Mapping[str, Any] | None, before: Callable[[int], Logs] = _none_before
) -> tuple[list[dict[str, str]], list[str]]:
    """The rows of an answer, all as text, and the names of its columns. `before`: the logs of the same search so many
    seconds before. Raises Fault ParameterInvalid.
    """
    text, names = _with_from(sql)
    text, seconds = comparison.rewritten(_pieces(text), TABLE)
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        tables = {TABLE: list(_rows(logs, names))}
        tables.update((f"{TABLE}_{each}", list(_moved(_rows(before(each), names), each))) for each in seconds)
        columns = _fill(connection, tables, (index or {}).get("keys") or {})
        functions.register(connection)
        connection.set_authorizer(_authorize)
        cursor = _executed(connection, text, columns, tables)
        shown = [each[0] for each in cursor.description]
        most = _MOST if re.search(r"\blimit\b", sql, re.IGNORECASE) else _MOST_ROWS
        return [dict(zip(shown, map(_shown, row), strict=True)) for row in cursor.fetchmany(most)], shown
    except sqlite3.Error as error:
        raise _wrong(str(error)) from None
    finally:
        connection.close()


def _pieces(sql: str) -> comparison.Words:
    tokens = [(str(found.lastgroup), found[0]) for found in _TOKEN.finditer(sql)]
    return comparison.Words([_word(*token) for token in tokens], [text for _, text in tokens])


def _moved(logs: Logs, seconds: int) -> Logs:
    """Logs as if they were of so many seconds later."""
    return ({**fields, "__time__": str(int(fields["__time__"]) + seconds)} for fields in logs)


def _executed(connection: sqlite3.Connection, sql: str, columns: set[str], tables: Iterable[str]) -> sqlite3.Cursor:
    """Columns that no log has are empty ones."""
    for _ in range(_MOST_COLUMNS):
        try:
            return connection.execute(sql)
        except sqlite3.OperationalError as error:
            missing = re.fullmatch(r"no such column: (?:\w+\.)?(.+)", str(error))
            if missing is None or missing[1].lower() in columns:
                raise
            columns.add(missing[1].lower())
            connection.set_authorizer(None)
            for table in tables:
                connection.execute(f"ALTER TABLE {table} ADD COLUMN {_quoted(missing[1])}")
            connection.set_authorizer(_authorize)
    raise _wrong("it names too many columns")


def _authorize(action: int, first: str | None, second: str | None, *_: Any) -> int:
    if action not in _ALLOWED:
        return sqlite3.SQLITE_DENY
    if action == sqlite3.SQLITE_FUNCTION and second not in functions.ALLOWED:
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


def _with_from(sql: str) -> tuple[str, set[str]]:
    """SQL in which each SELECT is of something, and all names in it, in lower case, with * for all fields. Raises
    Fault.
    """
    tokens = [(str(found.lastgroup), found[0]) for found in _TOKEN.finditer(sql)]
    tokens = _shifted(_spelt(_without_extracts(tokens)))
    words = [_word(*token) for token in tokens]
    shown = [word for word in words if word]
    if not shown or shown[0] not in ("select", "with"):
        raise _wrong("it must begin with SELECT or WITH")
    return _inserted(words, [text for _, text in tokens]), _names(tokens, shown)


def _spelt(tokens: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """What SQLite would take for something else as functions: the values of arrays and maps, a[1], and what time it
    is.
    """
    found: list[tuple[str, str]] = []
    depth = 0
    for kind, text in tokens:
        if text == "[" and found and (found[-1][1] == ")" or found[-1][0] in ("word", "name")):
            begin = _term(found)
            found[begin:begin] = [("word", "element_at"), ("other", "(")]
            depth += 1
            found.append(("other", ","))
        elif text == "]" and depth:
            depth -= 1
            found.append(("other", ")"))
        elif kind == "word" and text.lower() in _TIMES:
            found += _TIMES[text.lower()]
        else:
            found.append((kind, text))
    return found


def _without_extracts(tokens: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """extract(hour from a) is hour(a); interval '1' day is a token of its own."""
    found: list[tuple[str, str]] = []
    place = 0
    while place < len(tokens):
        following = [(at, *tokens[at]) for at in range(place, min(place + 8, len(tokens))) if tokens[at][0] != "space"]
        words = [text.lower() for _, _, text in following]
        if words[:2] == ["extract", "("] and words[3:4] == ["from"]:
            found += [("space", " "), following[2][1:], ("other", "(")]
            place = following[3][0] + 1
        elif words[:1] == ["interval"] and len(words) > 2 and (count := _COUNT.fullmatch(words[1])) is not None:
            found.append(("interval", f"{words[2].removesuffix('s')} {count[1]}"))
            place = following[2][0] + 1
        else:
            found.append(tokens[place])
            place += 1
    return found


def _shifted(tokens: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """a - interval '1' day is date_add('day', -1, a). Raises Fault."""
    found: list[tuple[str, str]] = []
    for kind, text in tokens:
        if kind == "interval":
            _shift(found, text)
        else:
            found.append((kind, text))
    return found


def _shift(tokens: list[tuple[str, str]], interval: str) -> None:
    """Make `a -` at the end of these the time that lies so much before a. Raises Fault."""
    unit, _, count = interval.partition(" ")
    kept = [token for token in tokens if token[0] != "space"][-2:]
    if len(kept) < 2 or kept[1][1] not in ("+", "-"):
        raise _wrong("an interval stands behind a time and + or -, like now() - interval '1' day")
    while (last := tokens.pop())[0] == "space":
        pass
    while tokens[-1][0] == "space":
        tokens.pop()
    number = int(count) * (1 if last[1] == "+" else -1)
    before: list[tuple[str, str]] = [("word", "date_add"), ("other", "("), ("text", f"'{unit}'"), ("other", ",")]
    begin = _term(tokens)
    tokens[begin:begin] = [*before, ("other", str(number)), ("other", ",")]
    tokens.append(("other", ")"))


def _term(tokens: Sequence[tuple[str, str]]) -> int:
    """Where the last term begins: a name, or a function with what is in its brackets."""
    depth = 0
    for place in range(len(tokens) - 1, -1, -1):
        text = tokens[place][1]
        depth += (text == ")") - (text == "(")
        if not depth:
            return place - 1 if text == "(" and place and tokens[place - 1][0] == "word" else place
    return 0


def _names(tokens: Sequence[tuple[str, str]], shown: Sequence[str]) -> set[str]:
    found = {text.strip('"`').lower() for kind, text in tokens if kind in ("word", "name")}
    return {*found, "*"} if _has_star(shown) else found


def _inserted(words: Sequence[str], texts: Sequence[str]) -> str:
    ends = {_without_from(words, place + 1) for place, word in enumerate(words) if word == "select"}
    return "".join(f" FROM {TABLE} {text}" if place in ends else text for place, text in enumerate([*texts, ""]))


def _word(kind: str, text: str) -> str:
    """A word as it is compared; '' for what stands between words."""
    return {"word": text.lower(), "space": ""}.get(kind, text)


def _has_star(words: Sequence[str]) -> bool:
    """Whether all fields are asked for."""
    return any(word == "*" and before in ("select", "distinct", ",", ".") for before, word in pairwise(words))


def _without_from(words: Sequence[str], place: int) -> int | None:
    """Where a SELECT without FROM ends, or needs one before its next clause; None if it has one."""
    depth = 0
    for end in range(place, len(words)):
        word = words[end]
        depth += (word == "(") - (word == ")")
        if depth < 0 or (not depth and (word in _AFTER_FROM or word == ";")):
            return end
        if not depth and word == "from":
            return None
    return len(words)


def _fill(
    connection: sqlite3.Connection, tables: Mapping[str, Sequence[Mapping[str, str]]], keys: Mapping[str, Any]
) -> set[str]:
    """Make tables of logs, all with the same columns, which are told in lower case."""
    rows = [row for each in tables.values() for row in each]
    columns = _columns(rows)
    kinds = {name: _kind(name, [row.get(name) for row in rows], keys) for name in columns.values()}
    declared = ", ".join(f"{_quoted(name)} {kind}" for name, kind in kinds.items())
    marks = ", ".join("?" * len(columns))
    for table, logs in tables.items():
        connection.execute(f"CREATE TABLE {table} ({declared})")
        values = ([row.get(name) for name in columns.values()] for row in logs)
        connection.execute("BEGIN")
        connection.executemany(f"INSERT INTO {table} VALUES ({marks})", values)  # noqa: S608  names of ours
        connection.execute("COMMIT")
    return set(columns)


def _columns(rows: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """The names of all fields, by themselves in lower case."""
    columns: dict[str, str] = {"__time__": "__time__"}
    for row in rows:
        for name in row:
            columns.setdefault(name.lower(), name)
        if len(columns) > _MOST_COLUMNS:
            raise _wrong(f"the logs have more than {_MOST_COLUMNS} fields")
    return columns


def _rows(logs: Iterable[Mapping[str, str]], names: set[str]) -> Iterator[Mapping[str, str]]:
    for fields in logs:
        if "*" in names:
            yield fields
        else:
            row = {name: text for name, text in fields.items() if name.lower() in names}
            yield row | {"__time__": fields["__time__"]}


def _kind(name: str, values: Sequence[str | None], keys: Mapping[str, Any]) -> str:
    declared = keys.get(name, {}).get("type")
    if declared in ("long", "double"):
        return "NUMERIC"
    if declared is not None:
        return "TEXT"
    return "NUMERIC" if all(value is None or _NUMBER.fullmatch(value) for value in values) else "TEXT"


def _quoted(name: str) -> str:
    return '"' + name.strip('"').replace('"', '""') + '"'


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    return value.hex().upper() if isinstance(value, bytes) else str(value)


def _wrong(why: str) -> Fault:
    unknown = re.fullmatch(r"no such function: (\w+)", why)
    if unknown is not None and unknown[1].lower() in functions.NEED_PLACES:
        why = f"{unknown[1]} needs a database of where addresses are, which is not here"
    return Fault("ParameterInvalid", f"The SQL is not understood: {why[:500]}.")
