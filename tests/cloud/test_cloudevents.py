"""CloudEvents as senders write them are read alike, and what is none is refused by what is wrong with it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pyfc.cloud.cloudevents import BATCH, STRUCTURED, events_of
from pyfc.errors import InvalidArgument

EVENT = {"specversion": "1.0", "id": "1", "source": "my.app", "type": "order:made", "data": {"n": 1}}
HEADERS = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "my.app", "ce-type": "order:made"}


def _structured(event: Any, **more: str) -> list[dict[str, Any]]:
    return events_of({"content-type": f"{STRUCTURED}; charset=utf-8", **more}, json.dumps(event).encode())


def test_a_structured_event_is_what_its_body_says_whatever_its_headers_say() -> None:
    assert _structured(EVENT) == [EVENT]
    assert _structured(EVENT, **dict.fromkeys(HEADERS, "else")) == [EVENT]


def test_nothing_is_invented() -> None:
    [event] = _structured({name: value for name, value in EVENT.items() if name != "data"})

    assert sorted(event) == ["id", "source", "specversion", "type"]


def test_a_binary_event_has_its_attributes_in_headers() -> None:
    json_type = {"content-type": "application/json", "ce-subject": "a%20b%E2%82%AC", "ce-mine": '"x \\"y\\""'}
    [event] = events_of({**HEADERS, **json_type}, b'{"n": 1}')

    assert event == {**EVENT, "datacontenttype": "application/json", "subject": "a b\u20ac", "mine": 'x "y"'}


@pytest.mark.parametrize(
    ("kind", "body", "told"),
    [
        ("application/vnd.mine+json", b"[1]", {"data": [1]}),
        ("text/plain", "\u20ac".encode(), {"data": "\u20ac"}),
        ("text/plain", b"\xff", {"data_base64": "/w=="}),
        ("application/octet-stream", b"ab", {"data_base64": "YWI="}),
        ("", b"ab", {"data_base64": "YWI="}),
        ("application/json", b"", {}),
    ],
)
def test_the_data_of_a_binary_event_is_json_text_or_base64(kind: str, body: bytes, told: dict[str, Any]) -> None:
    [event] = events_of({**HEADERS, "content-type": kind} if kind else HEADERS, body)

    assert {name: value for name, value in event.items() if name.startswith("data_") or name == "data"} == told


def test_a_batch_has_at_most_a_hundred_events() -> None:
    events = [{**EVENT, "id": str(number)} for number in range(100)]

    assert events_of({"content-type": BATCH}, json.dumps(events).encode()) == events
    assert events_of({"content-type": BATCH}, b"[]") == []
    with pytest.raises(InvalidArgument, match="has 101 events; it may have 100"):
        events_of({"content-type": BATCH}, json.dumps([*events, EVENT]).encode())
    with pytest.raises(InvalidArgument, match="event 2 of the batch has no id; it is required"):
        events_of({"content-type": BATCH}, json.dumps([EVENT, {**EVENT, "id": None}]).encode())


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"specversion": "0.3"}, "the specversion '0.3'; it must be '1.0'"),
        ({"id": ""}, "the id ''; it must be text"),
        ({"source": 7}, "the source 7; it must be text"),
        ({"data_base64": "YQ=="}, "data and data_base64"),
        ({"Subject": "a"}, "an attribute 'Subject'"),
        ({"mine": {"a": 1}}, "the mine {'a': 1}; it must be text"),
        ({"mine": 1.5}, "the mine 1.5; it must be text"),
    ],
)
def test_what_is_no_event_is_refused_by_its_attribute(changed: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        _structured({**EVENT, **changed})

    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("headers", "body", "told"),
    [
        ({"content-type": STRUCTURED}, b"{", "the body is no JSON"),
        ({"content-type": STRUCTURED}, b"[" * 100_000, "nested too deeply"),
        ({"content-type": STRUCTURED}, b"[]", "the event is no object"),
        ({"content-type": BATCH}, b"{}", "the body is no list"),
        ({"content-type": "application/cloudevents+xml"}, b"<a/>", "'application/cloudevents+xml'"),
        ({"content-type": "application/json"}, b"{}", "this is no CloudEvent"),
        (
            {**HEADERS, "content-type": "application/json"},
            b"{",
            "the data (Content-Type 'application/json') is no JSON",
        ),
        ({**HEADERS, "ce-subject": "%ff"}, b"", "the header 'ce-subject'"),
    ],
)
def test_what_cannot_be_read_is_refused(headers: dict[str, str], body: bytes, told: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        events_of(headers, body)

    assert told in str(caught.value)


def test_data_that_is_no_base64_is_refused() -> None:
    event = {name: value for name, value in EVENT.items() if name != "data"}

    for wrong in ("a", "\u20ac", 5, ["YQ=="]):
        with pytest.raises(InvalidArgument, match="it must be base64"):
            _structured({**event, "data_base64": wrong})
    assert _structured({**event, "data_base64": "YQ=="})[0]["data_base64"] == "YQ=="
