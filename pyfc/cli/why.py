"""`pyfc why REQUEST_ID`: why a call was cold, waited, failed or was refused, and what else is known of it."""

from __future__ import annotations

import argparse
from typing import Any

from pyfc.cli.shared import add_endpoint
from pyfc.client import Client
from pyfc.dev.output import first_line, one_line, say, say_json
from pyfc.model.asynchronous import DEEPEST, LOOP


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("request_id", metavar="REQUEST_ID", help="as the answer's X-Fc-Request-Id and the log have it")
    add_endpoint(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """See module."""
    call = Client(options.endpoint, timeout=30.0).call(options.request_id)
    if options.json:
        say_json(call)
    else:
        say("\n".join(map(one_line, _sentences(call))))
    return 0


def _sentences(call: dict[str, Any]) -> list[str]:
    name = f"{call['service']}/{call['function']}"
    if call["error"] == LOOP:
        return [
            f"{name} was not run: {DEEPEST + 1} calls have led to each other before it, and pyfc makes no more.",
            "Look for a function that writes to the bucket or logstore that fires it, or for destinations in a circle.",
        ]
    if "instanceId" not in call:
        return [f"{name} was not run: pyfc refused the call with {call['status']} {call['error']}."]
    lines = [
        f"{name} ran for {call['durationMs']:.2f} ms in instance {call['instanceId']} and answered {call['status']}."
    ]
    if call.get("attempt"):
        lines.append(f"It was called later and has failed before: this was try {call['attempt'] + 1} (`pyfc events`).")
    if "why" in call:
        lines.append(f"It waited {call['waitedMs']:.2f} ms, since {call['why']}.")
    else:
        lines.append("It began at once: an instance was free.")
    if "phasesMs" in call:
        lines.append(f"Its instance was started for it (cold start): {phases(call)}. `pyfc explain {name}` tells more.")
    if call["fault"]:
        lines.append(f"It failed: {first_line(call['fault'])}")
    return [*lines, *_recorded(call)]


def phases(call: dict[str, Any]) -> str:
    """What the cold start of a call consisted of."""
    return ", ".join(f"{phase} {milliseconds:.2f} ms" for phase, milliseconds in call["phasesMs"].items())


def _recorded(call: dict[str, Any]) -> list[str]:
    """What only a record tells: of other calls this much is not remembered."""
    if "memoryMb" not in call:
        return []
    lines = [f"Its instance has used {call['memoryMb']:.2f} of {call['memorySize']} MB; version {call['version']}."]
    if "queuedMs" in call:
        trigger = f", put there by the trigger {call['trigger']}" if call.get("trigger") else ""
        lines.append(f"It was asynchronous: {call['queuedMs']:.2f} ms since it came into the queue{trigger}.")
    if "runs" in call:
        told = ", ".join(str(run.get("errorType") or "succeeded") for run in call["runs"])
        lines.append(f"It ran {len(call['runs'])} times: {told}.")
    if call.get("traceId"):
        lines.append(f"It belongs to the trace {call['traceId']}.")
    if call.get("profile"):
        lines.append(f"What it was busy with has been looked at: `pyfc profile {call['requestId']}`.")
    if call["log"]:
        lines.append(f"Its log: {call['log']['file']}, from byte {call['log']['offset']} on.")
    return lines
