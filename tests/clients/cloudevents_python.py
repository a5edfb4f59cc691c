"""Sends an event with the official SDK for Python, unmodified, structured and binary: ADDRESS."""

from __future__ import annotations

import sys
import urllib.request

from cloudevents.core.bindings.http import to_binary, to_structured  # type: ignore[import-not-found]
from cloudevents.core.formats.json import JSONFormat  # type: ignore[import-not-found]
from cloudevents.core.v1.event import CloudEvent  # type: ignore[import-not-found]


def main(address: str) -> None:
    """See module."""
    for number, form in enumerate((to_structured, to_binary)):
        attributes = {
            "id": f"python-{number}", "source": "sdk", "type": "sdk:python", "specversion": "1.0",
            "datacontenttype": "application/json", "subject": "caf\u00e9 1",
        }  # fmt: skip
        message = form(CloudEvent(attributes=attributes, data={"n": number}), JSONFormat())
        request = urllib.request.Request(f"{address}/pyfc/events", message.body, dict(message.headers))
        with urllib.request.urlopen(request, timeout=20) as answer:
            sys.stdout.write(f"{answer.status}\t{answer.read().decode()}")


main(sys.argv[1])
