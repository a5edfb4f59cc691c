"""Writes the pages of docs/reference from the code: `python docs/reference.py`. A test compares them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pyfc import errors, settings
from pyfc.cli import COMMANDS, parser_of
from pyfc.documents import reader, scaling, shapes, triggers
from pyfc.observe.metrics import names
from pyfc.project import shapes as files

FOLDER = Path(__file__).parent / "reference"
_NOTE = "<!-- Written by docs/reference.py from the code; change it there. -->\n"


def pages() -> dict[str, str]:
    """The text of each page, by its file name."""
    made = {
        "commands.md": _commands(),
        "settings.md": _settings(),
        "errors.md": _errors(),
        "template.md": _template(),
        "metrics.md": _metrics(),
    }
    return {name: f"{_NOTE}\n" + "\n".join(lines).rstrip() + "\n" for name, lines in made.items()}


def _cell(text: str) -> str:
    """Text in a cell of a table: on one line, with nothing that would end the cell or begin a tag."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _table(*rows: tuple[str, ...]) -> Iterator[str]:
    head, *body = rows
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    yield from (f"| {' | '.join(_cell(each) for each in row)} |" for row in body)
    yield ""


def _commands() -> list[str]:
    lines = ["# Commands", "", "`pyfc COMMAND --help` prints the same. A server must run for most of them.", ""]
    lines += _table(("command", "what it does"), *((f"[`pyfc {name}`](#pyfc-{name})", text) for name, text in
                    sorted(COMMANDS.items())))  # fmt: skip
    for name, text in sorted(COMMANDS.items()):
        [parent] = [each for each in parser_of(name)._actions if isinstance(each, argparse._SubParsersAction)]
        lines += [f"## pyfc {name}", "", f"{text[0].upper()}{text[1:]}.", "", *_command(parent.choices[name])]
    return lines


def _command(parser: argparse.ArgumentParser, name: str = "") -> Iterator[str]:
    nested = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
    rows = [_option(each) for each in parser._actions if each not in nested and each.dest != "help"]
    if rows:
        yield from _table(("option" if not name else f"option of `{name}`", "default", "meaning"), *rows)
    for each in nested:
        texts = {choice.dest: choice.help or "" for choice in each._choices_actions}
        for key, child in each.choices.items():
            yield from [f"**`{key}`**: {texts.get(key, '')}.", "", *_command(child, key)]


def _option(action: argparse.Action) -> tuple[str, str, str]:
    value = action.metavar or ("" if action.nargs == 0 else action.dest.upper())
    if action.choices is not None:
        value = " or ".join(str(each) for each in action.choices)
    if not action.option_strings:
        value = action.metavar or action.dest.upper() if action.choices is None else value
    spelled = ", ".join(action.option_strings)
    has_default = isinstance(action.default, str | int | float) and not isinstance(action.default, bool)
    default = f"`{action.default}`" if has_default and action.default not in {"", argparse.SUPPRESS} else ""
    return f"`{f'{spelled} {value}'.strip()}`", default, action.help or ""


def _settings() -> list[str]:
    text = "Each is an environment variable `PYFC_NAME`; those with a flag can be given to `pyfc serve` and `pyfc dev`."
    rows = []
    for field in settings.fields():
        flag = f"`--{field.name.replace('_', '-')}`" if field.metadata["flag"] else ""
        rows.append((f"`{field.name}`", flag, _value(field.default), field.metadata["doc"]))
    return ["# Settings", "", text, "", *_table(("setting", "flag", "default", "meaning"), *rows)]


def _value(default: Any) -> str:
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`" if default not in {"", ()} else ""


def _errors() -> list[str]:
    text = (
        "What pyfc answers when it cannot do what was asked. The code and the status are Function Compute's; a word in"
        " braces is filled in. A function of yours that fails is no error of pyfc's: its answer has status 200 and the"
        " header `X-Fc-Error-Type`."
    )
    rows = sorted({_error(each) for each in _leaves(errors.PyfcError)})
    return ["# Errors", "", text, "", *_table(("code", "status", "message"), *rows)]


def _metrics() -> list[str]:
    lines = ["# Metrics", "", "FC's names, as `pyfc stats --json` and CloudMonitor's clients have them: with `Region`, "
             "`Service` or `Function` before each, as in `FunctionTotalInvocations`. What instances use, and how many "
             "there are, is looked at every 10 s while anything goes on.", ""]  # fmt: skip
    lines += _table(("name", "unit", "statistic"), *((f"`{name}`", each.unit, each.statistic)
                    for name, each in names.METRICS.items()))  # fmt: skip
    lines += ["## Names that are never told", "", "They are absent, and never 0.", ""]
    return [*lines, *_table(("name", "why"), *((f"`{name}`", why) for name, why in names.ABSENT.items()))]


def _leaves(kind: type[errors.PyfcError]) -> Iterator[type[errors.PyfcError]]:
    if kind.__module__ == errors.__name__:
        yield kind
    for each in kind.__subclasses__():
        yield from _leaves(each)


def _error(kind: type[errors.PyfcError]) -> tuple[str, str, str]:
    return f"`{kind.code}`", str(kind.status), (kind.__doc__ or "").replace("{message}", "*what is wrong*")


_SHAPES: dict[str, list[type[shapes.Shape]]] = {
    "Service": [files.FileService],
    "Function": [files.FileFunction, shapes.Function, shapes.NewerFunction],
    "HTTP trigger": [files.FileHttpTrigger],
    "Timer trigger": [triggers.TimerTrigger],
    "Trigger of a bucket (OSS)": [triggers.OssTrigger],
    "Trigger of a logstore (Log)": [triggers.LogTrigger],
    "Trigger of EventBridge": [triggers.EventBridgeTrigger],
    "API of the API gateway": [triggers.ApiTrigger],
    "Domain": [files.FileDomain],
    "Asynchronous calls": [files.FileAsynchronous],
    "Reserved instances": [scaling.Provision],
}


def _template() -> list[str]:
    text = (
        "The properties that template files may have, with the values that they may take. Names are read in any case"
        " of letters: Funcraft writes `MemorySize`, Serverless Devs `memorySize`. An object of its own is named in"
        " italics and stands further down."
    )
    lines = ["# Template properties", "", text, ""]
    done: set[type[shapes.Shape]] = set()
    for title, kinds in _SHAPES.items():
        lines += [f"## {title}", "", *_shape_rows(kinds)]
        done.update(kinds)
    lines += ["## Objects within them", ""]
    waiting = sorted({each for kinds in _SHAPES.values() for kind in kinds for each in _parts(kind)} - done, key=_name)
    while waiting:
        kind = waiting.pop(0)
        done.add(kind)
        lines += [f"### {_name(kind)}", "", (kind.__doc__ or "").strip(), "", *_shape_rows([kind])]
        waiting = sorted((set(waiting) | _parts(kind)) - done, key=_name)
    return lines


def _name(kind: type[shapes.Shape]) -> str:
    return kind.__name__


def _shape_rows(kinds: list[type[shapes.Shape]]) -> Iterator[str]:
    rows: dict[str, tuple[str, ...]] = {}
    for kind in kinds:
        for field in reader.properties(kind).values():
            rows.setdefault(field.encode_name, (f"`{field.encode_name}`", _allowed(field.type)))
    yield from _table(("property", "value"), *(rows[name] for name in sorted(rows)))


def _allowed(kind: Any) -> str:
    found = sorted(_shapes_in(kind), key=_name)
    if found:
        return "".join(f"*{_name(each)}*, " for each in found).rstrip(", ")
    return "anything that the format has there" if kind is Any else reader.allowed(kind)


def _parts(kind: type[shapes.Shape]) -> set[type[shapes.Shape]]:
    return {each for field in reader.properties(kind).values() for each in _shapes_in(field.type)}


def _shapes_in(kind: Any) -> set[type[shapes.Shape]]:
    if isinstance(kind, type) and issubclass(kind, shapes.Shape):
        return {kind}
    return {found for each in getattr(kind, "__args__", ()) for found in _shapes_in(each)}


if __name__ == "__main__":
    for page, content in pages().items():
        (FOLDER / page).write_text(content, encoding="utf-8")
        sys.stdout.write(f"{FOLDER / page}\n")
