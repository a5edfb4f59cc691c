"""Names of headers."""

from __future__ import annotations

from typing import Any

from pyfc.gateway.spelling import Spelled, spelled


def test_values_stay_as_they_are_and_an_object_store_has_names_of_its_own() -> None:
    fc = b"HTTP/1.1 200 OK\r\nx-fc-request-id: ab-cd\r\netag: x-y\r\n\r\n"
    store = b'HTTP/1.1 200 OK\r\nx-oss-request-id: a\r\netag: "b"\r\ncontent-type: text/x-y\r\n\r\n'

    assert spelled(fc) == b"HTTP/1.1 200 OK\r\nX-Fc-Request-Id: ab-cd\r\nEtag: x-y\r\n\r\n"
    assert spelled(store) == (b'HTTP/1.1 200 OK\r\nx-oss-request-id: a\r\nETag: "b"\r\nContent-Type: text/x-y\r\n\r\n')


def test_only_the_head_is_spelled_and_not_what_comes_before_or_after_it() -> None:
    class Transport:
        def __init__(self) -> None:
            self.written: list[bytes] = []

        def write(self, data: bytes) -> None:
            self.written.append(data)

        def is_closing(self) -> bool:
            return True

    transport: Any = Transport()
    answer = Spelled(transport)
    for data in (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\na-b: c\r\n\r\n", b"x\r\na-b: c\r\n\r\n"):
        answer.write(data)

    assert transport.written[1:] == [b"HTTP/1.1 200 OK\r\nA-B: c\r\n\r\n", b"x\r\na-b: c\r\n\r\n"]
    assert answer.is_closing()
