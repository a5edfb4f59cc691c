"""The first line of a request is made plain, and nothing else of it, in whatever pieces it comes."""

from __future__ import annotations

import pytest

from pyfc.gateway.heads import Arrival, trace_of

SENT = "\r\nGET /é HTTP/1.1\r\nX-Name: é\r\n\r\né\nü".encode()
WANTED = "\r\nGET /%C3%A9 HTTP/1.1\r\nX-Name: é\r\n\r\né\nü".encode()


def _prepared(*pieces: bytes) -> bytes:
    head = Arrival()
    return b"".join(head.prepared(piece, is_between=not number) for number, piece in enumerate(pieces))


@pytest.mark.parametrize("place", range(1, len(SENT)))
def test_a_request_in_two_pieces_is_that_in_one(place: int) -> None:
    assert _prepared(SENT[:place], SENT[place:]) == WANTED


def test_a_request_in_single_bytes_is_that_in_one() -> None:
    assert _prepared(SENT) == WANTED
    assert _prepared(*(SENT[number : number + 1] for number in range(len(SENT)))) == WANTED


@pytest.mark.parametrize(
    ("text", "items"),
    [
        (b"user=me%20too;kind=x, shop = 1", {"user": "me too", "shop": "1"}),
        (b"name=%E7%8E%8B,empty=", {"name": "\u738b", "empty": ""}),
        (b"a=b=c", {"a": "b=c"}),
        (b",,no item,=x,two words=1,line=a%0D%0AHost:%20b,good=1", {"good": "1"}),
        (b",".join(b"k%d=v" % number for number in range(100)), {f"k{number}": "v" for number in range(64)}),
    ],
)
def test_w3c_baggage_is_taken_item_by_item_and_what_is_no_item_is_left_out(text: bytes, items: dict[str, str]) -> None:
    assert trace_of({b"baggage": text}) == ("", items)


def test_no_baggage_and_no_trace_is_none() -> None:
    assert trace_of({b"baggage": b"nothing"}) is None
    assert trace_of({b"host": b"x"}) is None
