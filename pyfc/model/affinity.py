"""Sessions: calls that are led to the same instance, since its memory is theirs (FC 3's session affinity)."""

from __future__ import annotations

import re
import uuid
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from pyfc.errors import InvalidArgument

HEADER, COOKIE = "HEADER_FIELD", "GENERATED_COOKIE"
COOKIE_NAME = "x-fc-session-id"
"""FC's own is not documented; only the server makes it, and clients send back what they got."""
SESSION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")
LONGEST = 21_600
"""Seconds of a session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Affinity:
    """How calls of a function tell their session, and how long one lasts. Times are seconds."""

    kind: str
    """HEADER or COOKIE."""
    header: str = ""
    """The name of the header that has the session; '' for a cookie."""
    sessions_per_instance: int = 20
    ttl: int = LONGEST
    """From its beginning on."""
    idle_timeout: int = 1800
    """Since its last call; 0 for no such end."""
    forbids_reuse: bool = False
    """Whether a session that has ended cannot be begun again."""

    def session_of(self, headers: Mapping[bytes, bytes]) -> tuple[str, str]:
        """The session of a call, and the line of a response that tells the caller a new one; '' if it has told it.
        Raises InvalidArgument for what can be none.
        """
        name = self.header or COOKIE_NAME
        sent = headers.get(name.lower().encode()) if self.header else cookie_of(headers, name)
        if sent:
            return named(sent.decode("latin-1")), ""
        made = new_session()
        line = f"{name}: {made}" if self.header else f"Set-Cookie: {name}={made}; Path=/; HttpOnly"
        return made, f"{line}\r\n"


def cookie_of(headers: Mapping[bytes, bytes], name: str) -> bytes | None:
    """A cookie of a request; None if it has none of this name."""
    pairs = (pair.strip().partition(b"=") for pair in headers.get(b"cookie", b"").split(b";"))
    return next((value for each, _, value in pairs if each == name.encode()), None)


def named(text: str) -> str:
    """A session by the name that somebody gave it. Raises InvalidArgument."""
    if SESSION.fullmatch(text) is None:
        allowed = "a letter, a digit or _, then these and -, at most 64 characters"
        raise InvalidArgument(message=f"{text[:100]!r} can not be the id of a session; it must be {allowed}")
    return text


def chance_of(session: str) -> float:
    """A number from 0 to 1, always the same for a session: by it an alias draws one version for all its calls."""
    return zlib.crc32(session.encode()) / 2**32


def new_session() -> str:
    """The name of a session that nobody has named."""
    return uuid.uuid4().hex
