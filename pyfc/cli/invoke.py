"""`pyfc invoke SERVICE/FUNCTION[.QUALIFIER]`: the result alone on standard output.

Exit status: 0 a result, 1 the function failed, 2 wrong usage, 3 the platform refused or no server answers.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import time
from typing import Any

from pyfc.cli.shared import add_endpoint, add_event, event_of, given_event
from pyfc.cli.why import phases
from pyfc.client import Answer, Client
from pyfc.dev.output import answer as print_answer
from pyfc.dev.output import is_typed, one_line, say, say_json, tell
from pyfc.errors import InvalidArgument, PyfcError
from pyfc.model.names import LATEST
from pyfc.settings import load as load_settings

EXIT_FUNCTION = 1
_PAUSE = 0.1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("target", metavar="SERVICE/FUNCTION[.QUALIFIER]", type=target)
    add_event(parser)
    add_endpoint(parser)
    parser.add_argument("--async", dest="later", action="store_true", help="only promise to call; print the request id")
    parser.add_argument("--wait", action="store_true", help="call as --async does, wait for the outcome and print it")
    parser.add_argument("--delay", type=float, default=0.0, metavar="SECONDS", help="with --async: not before")
    parser.add_argument("--id", default="", help="with --async: an id of your own")
    parser.add_argument(
        "--raw", action="store_true", help="also on a terminal: the result as it is, escape sequences and all"
    )
    parser.add_argument("--log", action="store_true", help="print the end of the function's log to standard error")
    parser.add_argument(
        "--json",
        action="store_true",
        help="print result, error type, log and usage as one JSON object; not with --async",
    )


def target(text: str) -> tuple[str, str, str]:
    """SERVICE/FUNCTION[.QUALIFIER], taken apart."""
    service, slash, rest = text.partition("/")
    function, _, qualifier = rest.partition(".")
    if not slash or not service or not function:
        raise argparse.ArgumentTypeError(f"'{text}' must be like demo/hello or demo/hello.LATEST")
    return service, function, qualifier or LATEST


def run(options: argparse.Namespace) -> int:
    """See module."""
    service, function, qualifier = options.target
    try:
        event = _event(options)
    except OSError as error:
        tell(f"pyfc: {options.event_file} can not be read: {error.strerror}")
        return 2
    if options.later or options.wait:
        if options.json or options.log:
            raise InvalidArgument(message="--json and --log are for calls that are waited for: see pyfc events show")
        return _later(options, event)
    client = Client(options.endpoint)
    answer = client.invoke(service, function, event, qualifier=qualifier, tail=options.log or options.json)
    if options.json:
        say_json(_as_json(answer))
        return EXIT_FUNCTION if answer.error_type else 0
    status = show_answer(answer, log=options.log, raw=options.raw)
    if options.log:
        _tell_record(client, answer.request_id)
    return status


def _tell_record(client: Client, request_id: str) -> None:
    """What a call waited for. Who may call need not be allowed to ask that."""
    with contextlib.suppress(PyfcError):
        call = client.call(request_id)
        with client.understanding():
            if "why" in call:
                tell(one_line(f"pyfc: the call waited {call['waitedMs']:.2f} ms, since {call['why']}"))
            if "phasesMs" in call:
                tell(one_line(f"pyfc: cold start: {phases(call)}"))


def _later(options: argparse.Namespace, event: bytes) -> int:
    """Promise a call, and wait for its outcome if that is wanted."""
    service, function, qualifier = options.target
    client = Client(options.endpoint)
    name = options.id or (own_id() if options.wait else "")
    number = client.invoke_later(service, function, event, qualifier=qualifier, name=name, delay=options.delay)
    if not options.wait:
        say(number)
        return 0
    return show_outcome(client, number, raw=options.raw)


def own_id() -> str:
    """An id for a call whose outcome is waited for: its record is kept then, whatever becomes of it."""
    return f"wait-{os.urandom(8).hex()}"


def show_outcome(client: Client, number: str, *, raw: bool) -> int:
    """Wait for the outcome of an asynchronous call and print it; the exit status."""
    while not (record := client.event(number))["endTime"]:
        time.sleep(_PAUSE)
    succeeded = record["status"] == "Succeeded"
    text = record["returnPayload"] if succeeded else record["invocationErrorMessage"]
    print_answer(f"{text}\n".encode("utf-8", "surrogatepass"), raw=raw)
    if not succeeded:
        tries = record["alreadyRetriedTimes"] + 1
        tell(f"pyfc: {record['status']} after {tries} tries (request {number})")
    return 0 if succeeded else EXIT_FUNCTION


def _event(options: argparse.Namespace) -> bytes:
    event = given_event(options)
    if event is None and not is_typed():
        return event_of(None, load_settings().maximum_upload)
    return event or b""


def show_answer(answer: Answer, *, log: bool = False, raw: bool = False) -> int:
    """Print what a function has returned; the exit status."""
    if log and answer.log:
        tell(answer.log.rstrip("\n"))
    print_answer(answer.body, raw=raw)
    if answer.error_type:
        tell(f"pyfc: the function failed ({answer.error_type}, request {answer.request_id})")
    return EXIT_FUNCTION if answer.error_type else 0


def _as_json(answer: Answer) -> dict[str, Any]:
    return {
        "result": answer.body.decode("utf-8", "replace"),
        "errorType": answer.error_type or None,
        "requestId": answer.request_id,
        "durationMs": answer.duration_ms,
        "memoryMb": answer.memory_mb,
        "log": answer.log,
    }
