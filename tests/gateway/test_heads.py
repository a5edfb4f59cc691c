"""The first line of a request is made plain, and nothing else of it, in whatever pieces it comes."""

from __future__ import annotations

import pytest

from pyfc.gateway.heads import Arrival

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
