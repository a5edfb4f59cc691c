"""What a developer sees of hostile output, and the settings a developer chooses."""

from __future__ import annotations

import contextlib
import io
import json
from typing import Any

import pytest

from pyfc.dev.console import Console
from pyfc.dev.table import table
from pyfc.errors import InvalidArgument
from pyfc.model.function import Function
from pyfc.model.invocation import Fault, FaultKind, Invocation, Kind, Result, Usage
from pyfc.observe.journal import CallRecord, OutputRecord
from pyfc.observe.markers import transcript
from pyfc.settings import fields, load
from pyfc.supervisor.builds import Progress

FUNCTION = Function(service="s", name="f", runtime="python3", handler="index.handler")
CALL = Invocation("number", FUNCTION.target, Kind.EVENT, b"")
USAGE = Usage(0.0012, 9.5, False, "c-1")


def shown(*records: object, as_json: bool = False) -> list[str]:
    stream = io.StringIO()
    Console(stream, as_json=as_json).listen(list(records))  # type: ignore[arg-type]
    return stream.getvalue().splitlines()


def test_control_characters_of_a_function_are_shown_and_not_obeyed() -> None:
    result = Result(None, b"", USAGE, log=b"\x1b[31mred\r\nforged\n")

    lines = shown(CallRecord(0.0, FUNCTION, CALL, 200, result, ""))

    assert lines[:2] == ["s/f | \\x1b[31mred", "s/f | forged"]
    assert lines[2].split("  ")[1:5] == ["s/f", "number", "warm", "200"]


def test_a_message_of_several_lines_is_shown_as_such() -> None:
    result = Result(None, b"", USAGE, log=b"[verbose] one\rtwo\r\n")

    assert shown(CallRecord(0.0, FUNCTION, CALL, 200, result, ""))[:2] == ["s/f | [verbose] one", "s/f |   two"]


@pytest.mark.parametrize(
    ("message", "type_", "told"),
    [
        ("", "", "UNHANDLED"),
        ("", "ValueError", "UNHANDLED  ValueError"),
        ("\n\n", "", "UNHANDLED"),
        ("\n  \nat last\nmore", "E", "UNHANDLED  E: at last"),
        ("\x1b[2J\r", "\u202eE\nF", "UNHANDLED  \\u202eE\\x0aF: \\x1b[2J"),
        ("\ud800", "", "UNHANDLED  \\ud800"),
        ({"a": [1]}, 5, "UNHANDLED  5: {'a': [1]}"),
        (None, None, "UNHANDLED  None: None"),
        ("x" * 10_000_000, "y" * 10_000_000, "UNHANDLED  " + "y" * 200),
    ],
    ids=str,
)
def test_a_fault_of_any_form_has_one_line(message: Any, type_: Any, told: str) -> None:
    fault = Result(Fault(FaultKind.UNHANDLED, message, type_), b"", USAGE)

    [line] = shown(CallRecord(0.0, FUNCTION, CALL, 200, fault, ""))

    assert line.endswith(f"  {told}")
    assert len(line) < 500


def test_no_line_of_a_function_can_be_taken_for_another_s() -> None:
    forged = "s/g | mine\n12:00:00.000  s/g  number  warm  200\rs/g | mine\n\x85s/g | mine\u2028s/g | mine"
    result = Result(None, b"", USAGE, log=forged.encode())

    *lines, call = shown(CallRecord(0.0, FUNCTION, CALL, 200, result, ""))

    assert all(line.startswith("s/f | ") for line in lines)
    assert call.split("  ")[1] == "s/f"


def test_a_fault_a_refusal_and_output_between_calls_have_their_lines() -> None:
    fault = Result(Fault(FaultKind.UNHANDLED, "went\nwrong", "ValueError"), b"{}", USAGE)

    lines = shown(
        CallRecord(0.0, FUNCTION, CALL, 200, fault, ""),
        CallRecord(0.0, FUNCTION, CALL, 429, None, "ResourceExhausted"),
        OutputRecord(0.0, FUNCTION, "c-1", "", b"later\n"),
    )

    assert lines[0].endswith("UNHANDLED  ValueError: went")
    assert lines[1].endswith("number  -     429  ResourceExhausted")
    assert lines[2] == "s/f | later"


def test_very_many_lines_are_cut_with_a_hint() -> None:
    result = Result(None, b"", USAGE, log=b"x\n" * 1000)

    lines = shown(CallRecord(0.0, FUNCTION, CALL, 200, result, ""))

    assert len(lines) == 202
    assert "800 lines before these are in the function's log file" in lines[0]


def test_a_line_that_is_cut_says_so() -> None:
    result = Result(None, b"", USAGE, log=b"x" * 2500 + b"\n" + b"y" * 2000 + b"\n")

    cut, whole, _ = shown(CallRecord(0.0, FUNCTION, CALL, 200, result, ""))

    assert cut == f"s/f | {'x' * 2000} ... and 500 more characters"
    assert whole == f"s/f | {'y' * 2000}"


def test_machines_get_json_lines() -> None:
    [line] = shown(CallRecord(0.0, FUNCTION, CALL, 200, Result(None, b"", USAGE, log=b"\xff"), ""), as_json=True)

    assert json.loads(line)["log"] == "\ufffd"


def test_markers_that_a_function_forges_stand_inside_the_real_ones() -> None:
    result = Result(None, b"", USAGE, log=b"FC Invoke End RequestId: number\nafter")

    lines = transcript("number", FUNCTION, result).decode().splitlines()

    assert lines[0] == "FC Invoke Start RequestId: number"
    assert lines[2] == "after"
    assert lines[3] == "FC Invoke End RequestId: number"
    assert lines[5] == "Duration: 1.20 ms, Billed Duration: 2 ms, Memory Size: 128 MB, Max Memory Used: 9.50 MB"


def test_a_table_is_as_wide_as_its_cells() -> None:
    assert table(("A", "N"), [("long", "1"), ("b", "22")], right=(1,)) == "A      N\nlong   1\nb     22"


def test_settings_come_from_defaults_then_variables_then_choices() -> None:
    environment = {"PYFC_PORT": "1", "PYFC_QUIET": "yes", "PYFC_ALLOW_HOST": "a, b", "PYFC_MAXIMUM_WAIT": "0.5"}

    settings = load(environment, port=2, host=None)

    assert (settings.port, settings.host, settings.quiet) == (2, "127.0.0.1", True)
    assert (settings.allow_host, settings.maximum_wait) == (("a", "b"), 0.5)


@pytest.mark.parametrize(
    ("variable", "text"), [("PYFC_PORT", "x"), ("PYFC_QUIET", "maybe"), ("PYFC_IDLE_TIMEOUT", "-1")]
)
def test_a_variable_that_does_not_fit_is_named(variable: str, text: str) -> None:
    with pytest.raises(InvalidArgument, match=variable):
        load({variable: text})


def test_every_setting_says_what_it_means() -> None:
    assert all(field.metadata["doc"].endswith(".") for field in fields())


def building(*lines: tuple[float, str], as_json: bool = False, is_terminal: bool = False) -> tuple[list[str], str]:
    """What is shown on standard output and standard error of a build that says these lines at these times."""
    stream, errors = io.StringIO(), io.StringIO()
    errors.isatty = lambda: is_terminal  # type: ignore[method-assign]
    with contextlib.redirect_stderr(errors):
        console = Console(stream, as_json=as_json)
        for seconds, line in lines:
            console.building(Progress(["s/f"], seconds, line))
        console.built(["s/f"], 12.0)
    return [line.partition("  ")[2] or line for line in stream.getvalue().splitlines()], errors.getvalue()


LINES = [(0.0, ""), (0.5, "Collecting six"), (4.0, "more"), (6.0, "\x1b[2JBuilding"), (7.0, "x"), (11.5, "done")]


def test_a_build_is_told_now_and_then_with_its_seconds() -> None:
    shown, errors = building(*LINES)

    assert shown == [
        "building what s/f needs",
        "building what s/f needs, 6 s: \\x1b[2JBuilding",
        "building what s/f needs, 12 s: done",
        "built what s/f needs, in 12.0 s",
    ]
    assert errors == ""


def test_on_a_terminal_it_is_one_line_that_changes_and_is_gone_when_anything_else_is_printed() -> None:
    shown, errors = building(*LINES, is_terminal=True)

    assert shown == ["built what s/f needs, in 12.0 s"]
    parts = errors.split("\r\x1b[2K")
    assert parts[1:3] == ["building what s/f needs, 0 s", "building what s/f needs, 0 s: Collecting six"]
    assert parts[-2:] == ["building what s/f needs, 12 s: done", ""]


def test_machines_are_told_of_a_build_too() -> None:
    told = [json.loads(line) for line in building(*LINES, as_json=True, is_terminal=True)[0]]

    assert told[0] == {"building": ["s/f"], "seconds": 0.0, "line": ""}
    assert told[1] == {"building": ["s/f"], "seconds": 6.0, "line": "\x1b[2JBuilding"}
    assert told[-1] == {"built": ["s/f"], "seconds": 12.0}


@pytest.mark.parametrize("port", [65536, 99999, -1])
def test_a_port_that_there_cannot_be_is_refused(port: int) -> None:
    with pytest.raises(InvalidArgument, match=f"port is {port}: it must be from 0 to 65535"):
        load({}, port=port)
    with pytest.raises(InvalidArgument):
        load({"PYFC_PORT": str(port)})
    assert load({"PYFC_PORT": "65535"}, debug_port=0).port == 65535
