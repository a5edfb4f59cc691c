"""`pyfc trigger fire SERVICE/FUNCTION[:TRIGGER]`: the event that its source would send, sent as the source would.

Exit status: as that of `pyfc invoke`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from pyfc.cli.invoke import EXIT_FUNCTION, own_id, show_answer, show_outcome
from pyfc.cli.shared import add_endpoint, add_event, client_of, given_event
from pyfc.client import Client
from pyfc.client.client import WebAnswer
from pyfc.dev.firing import HTTP, Declared, changed, encoded, event_of
from pyfc.dev.output import answer as print_answer
from pyfc.dev.output import say, say_json, tell
from pyfc.dev.samples import SAMPLES
from pyfc.errors import InvalidArgument
from pyfc.model.names import LATEST


class Named(NamedTuple):
    """A trigger as it is named on the command line."""

    service: str
    function: str
    name: str
    """'' if the function has one only."""

    def __str__(self) -> str:
        return f"{self.service}/{self.function}"


def named(text: str) -> Named:
    """SERVICE/FUNCTION[:TRIGGER], taken apart."""
    service, slash, rest = text.partition("/")
    function, colon, name = rest.partition(":")
    if not slash or not service or not function or (colon and not name):
        raise argparse.ArgumentTypeError(f"'{text}' must be like demo/hello or demo/hello:nightly")
    return Named(service, function, name)


def add_changes(parser: argparse.ArgumentParser) -> None:
    """The option that changes the event."""
    parser.add_argument(
        "--set", action="append", default=[], metavar="PATH=VALUE",
        help="change the event: a path in its element, like oss.object.key=a.png; VALUE is JSON, else text",
    )  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("action", choices=("fire",))
    parser.add_argument("trigger", metavar="SERVICE/FUNCTION[:TRIGGER]", type=named)
    parser.add_argument(
        "--type", choices=sorted(SAMPLES), metavar="TYPE",
        help=f"send the sample of a type that the function has no trigger of: {', '.join(sorted(SAMPLES))}",
    )  # fmt: skip
    add_event(parser)
    add_changes(parser)
    parser.add_argument("--print", action="store_true", help="print the event instead of sending it")
    parser.add_argument("--wait", action="store_true", help="wait for the outcome also where the source does not")
    add_endpoint(parser)


def run(options: argparse.Namespace) -> int:
    """See module."""
    client = client_of(options)
    trigger = found(client, options.trigger, options.type)
    event = event_with_changes(trigger, options.set, given_event(options))
    if options.print:
        show_event(event)
        return 0
    return _send(client, options, trigger, event)


def found(client: Client, wanted: Named, kind: str | None) -> Declared:
    """The trigger that is meant. Raises InvalidArgument that names those there are, ApiError."""
    if kind is not None:
        client.functions_of(wanted.service).get(wanted.function)
        return Declared(kind)
    there = {each["triggerName"]: each for each in client.triggers(wanted.service, wanted.function).list()}
    if wanted.name in there or (not wanted.name and len(there) == 1):
        return Declared.of(there[wanted.name or next(iter(there))])
    what = f"{wanted} has no trigger '{wanted.name}'" if wanted.name else f"{wanted} has {len(there) or 'no'} triggers"
    names = ", ".join(sorted(there)) or "none"
    advice = "--type NAME sends the sample of a type"
    raise InvalidArgument(message=f"{what}; there is: {names}. Name one as {wanted}:TRIGGER, or: {advice}")


def event_with_changes(trigger: Declared, changes: Sequence[str], given: bytes | None = None) -> Any:
    """The trigger's event, or the one that was given, changed; bytes where it is given and stays as it is."""
    if given is not None and trigger.sample == HTTP:
        event = event_of(trigger, datetime.now(UTC))
        return changed({**event, "body": given.decode("utf-8", "surrogateescape")}, changes, trigger.sample)
    if given is None:
        return changed(event_of(trigger, datetime.now(UTC)), changes, trigger.sample)
    if not changes:
        return given
    try:
        return changed(json.loads(given), changes)
    except (ValueError, RecursionError):
        raise InvalidArgument(message="--set changes events that are JSON; the one given is none") from None


def show_event(event: Any) -> None:
    """Print an event as people read it."""
    if isinstance(event, bytes):
        print_answer(event, raw=False)
    elif isinstance(event, str):
        say(event)
    else:
        say_json(event, indent=2)


def _send(client: Client, options: argparse.Namespace, trigger: Declared, event: Any) -> int:
    service, function, _ = options.trigger
    if trigger.sample == HTTP and isinstance(event, dict):
        return _show_web(_sent_by_http(client, options.trigger, trigger, event))
    data = event if isinstance(event, bytes) else encoded(trigger.sample, event)
    qualifier = trigger.qualifier or LATEST
    if trigger.is_awaited:
        return show_answer(client.invoke(service, function, data, qualifier=qualifier))
    name = own_id() if options.wait else ""
    number = client.invoke_later(service, function, data, qualifier=qualifier, name=name)
    if options.wait:
        return show_outcome(client, number, raw=False)
    say(number)
    return 0


def _sent_by_http(client: Client, wanted: Named, trigger: Declared, event: dict[str, Any]) -> WebAnswer:
    """The request that the event tells of. Raises InvalidArgument if it tells of none."""
    try:
        method = str(event["requestContext"]["http"]["method"])
        query = urlencode({str(name): str(value) for name, value in event["queryParameters"].items()})
        target = quote(str(event["rawPath"]), safe="/%") + (f"?{query}" if query else "")
        headers = {str(name): str(value) for name, value in event["headers"].items()}
        body = str(event["body"]).encode("utf-8", "surrogateescape")
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidArgument(message=f"the event tells of no HTTP request: {error!r}") from None
    return client.send_to_trigger(
        wanted.service, wanted.function, method, target, body, headers, qualifier=trigger.qualifier
    )


def _show_web(answer: WebAnswer) -> int:
    tell(f"HTTP {answer.status}")
    print_answer(answer.body, raw=False)
    return EXIT_FUNCTION if answer.error_type or answer.status >= 400 else 0
