"""Somebody who looks at the console of a server: a browser without scripts, as far as HTTP goes."""

from __future__ import annotations

import html
import http.client
import re
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

from support import DEADLINE, Server

OWN = {"Sec-Fetch-Site": "same-origin"}


class Seen(NamedTuple):
    """An answer of the console."""

    status: int
    headers: http.client.HTTPMessage
    text: str

    @property
    def words(self) -> str:
        """What stands on the page, without markup."""
        without = re.sub(r"<(script|style).*?</\1>|<[^>]*>", " ", self.text, flags=re.DOTALL)
        return " ".join(html.unescape(without).split())


class Visitor:
    """A browser of its own, logged in if `base` is not empty."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.address = urlsplit(server.ready["console"])
        self.base = ""
        self.cookie = ""
        self.csrf = ""

    def ask(self, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None) -> Seen:
        """One request, with these headers alone."""
        connection = http.client.HTTPConnection("127.0.0.1", self.address.port or 0, timeout=DEADLINE * 2)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return Seen(answer.status, answer.headers, answer.read().decode())
        finally:
            connection.close()

    def link(self, query: str = "") -> str:
        """The path of a new login link."""
        parts = urlsplit(self.server.manage("POST", f"/pyfc/console{query}").json["url"])
        return f"{parts.path}?{parts.query}"

    def log_in(self, link: str = "") -> Visitor:
        """By a link; its own if none is given."""
        return self.enter(self.ask("GET", link or self.link()))

    def enter(self, seen: Seen) -> Visitor:
        """Take the cookie of an answer, and go where it leads."""
        assert seen.status == 200, seen.words
        self.cookie, *attributes = seen.headers["set-cookie"].split("; ")
        [self.base] = [each.removeprefix("Path=") for each in attributes if each.startswith("Path=")]
        found = re.search('name="csrf" value="([0-9a-f]+)"', self.get("").text)
        assert found is not None
        self.csrf = found[1]
        return self

    def get(self, path: str, **headers: str) -> Seen:
        """A page, as its own links lead there."""
        return self.ask("GET", self.base + path, None, self._headers(headers))

    def post(self, path: str, fields: dict[str, str], **headers: str) -> Seen:
        """A form of its pages."""
        form = {"Content-Type": "application/x-www-form-urlencoded", **headers}
        return self.ask("POST", self.base + path, urlencode({"csrf": self.csrf, **fields}), self._headers(form))

    def _headers(self, headers: dict[str, str]) -> dict[str, str]:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return {**OWN, "Cookie": self.cookie, **given}
