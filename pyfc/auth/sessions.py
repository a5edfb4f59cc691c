"""Who is logged in at the console: one-time links and sessions, as small files that only the owner of the data folder
can read. The server makes links; the process of the console redeems them and looks sessions up.

1. Of everything secret only the digest is kept.
2. A link is its file: it is good for as long as it can be removed, so for one login.
3. A session is found by two secrets: the part of the address under which its pages lie, and the cookie. Who gets the
   one only has nothing. The time of its file is that of its last use.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

NAME = "console"
LINK_SECONDS = 600.0
IDLE_SECONDS = 8 * 3600.0
_MOST = 100
"""Links, and sessions: the oldest go first."""
_TOUCHED = 60.0
"""Seconds after which the use of a session is written down again."""


class Session(NamedTuple):
    """One login."""

    place: str
    """The part of the address that is the session's own."""
    secret: str
    """What the cookie holds."""
    reads_only: bool

    @property
    def csrf(self) -> str:
        """What every form of the session's pages sends along."""
        return hmac.digest(self.secret.encode(), b"csrf", "sha256").hex()


class Logins:
    """The links and sessions of one data folder."""

    def __init__(self, data_folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._links, self._sessions = data_folder / NAME / "links", data_folder / NAME / "sessions"
        self._clock = clock

    def link(self, *, reads_only: bool = False) -> str:
        """A new token, good for one login within LINK_SECONDS."""
        token = secrets.token_urlsafe(32)
        self._write(self._links, token, {"readsOnly": reads_only}, LINK_SECONDS)
        return token

    def redeem(self, token: str) -> Session | None:
        """The session that a link opens; None if it is used, too old, or none."""
        path = self._links / _digest(token)
        found = self._read(path, LINK_SECONDS)
        try:
            path.unlink()  # of two at the same time one fails here
        except OSError:
            return None
        return None if found is None else self.open(reads_only=found["readsOnly"])

    def open(self, *, reads_only: bool = False) -> Session:
        """A new session."""
        session = Session(secrets.token_urlsafe(16), secrets.token_urlsafe(32), reads_only)
        kept = {"secret": _digest(session.secret), "readsOnly": reads_only}
        self._write(self._sessions, session.place, kept, IDLE_SECONDS)
        return session

    def find(self, place: str, secret: str) -> Session | None:
        """The session of an address and a cookie, used now; None if there is none, or it was idle for too long."""
        path = self._sessions / _digest(place)
        found = self._read(path, IDLE_SECONDS)
        if found is None or not hmac.compare_digest(found["secret"], _digest(secret)):
            return None
        now = self._clock()
        with contextlib.suppress(OSError):
            if now - path.stat().st_mtime > _TOUCHED:
                os.utime(path, (now, now))
        return Session(place, secret, found["readsOnly"])

    def close(self, session: Session) -> None:
        """End a session."""
        (self._sessions / _digest(session.place)).unlink(missing_ok=True)

    def revoke(self) -> int:
        """End all sessions, and let no link be good any more; how many sessions there were."""
        for path in self._files(self._links):
            path.unlink(missing_ok=True)
        found = self._files(self._sessions)
        for path in found:
            path.unlink(missing_ok=True)
        return len(found)

    def _read(self, path: Path, seconds: float) -> dict[str, Any] | None:
        try:
            if self._clock() - path.stat().st_mtime > seconds:
                path.unlink()
                return None
            found = json.loads(path.read_bytes())
            return {"secret": str(found.get("secret", "")), "readsOnly": found["readsOnly"] is not False}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def _write(self, folder: Path, name: str, kept: dict[str, Any], seconds: float) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._prune(folder, seconds)
        handle, new = tempfile.mkstemp(prefix=".new-", dir=folder)  # 0600
        with os.fdopen(handle, "w", encoding="ascii") as file:
            json.dump(kept, file)
        now = self._clock()
        os.utime(new, (now, now))
        Path(new).replace(folder / _digest(name))

    def _prune(self, folder: Path, seconds: float) -> None:
        """What is too old goes, and the oldest of too many."""
        times: list[tuple[float, Path]] = []
        for path in self._files(folder):
            with contextlib.suppress(OSError):
                times.append((path.stat().st_mtime, path))
        times.sort()
        now, spare = self._clock(), len(times) - _MOST + 1
        for number, (moment, path) in enumerate(times):
            if number < spare or now - moment > seconds:
                path.unlink(missing_ok=True)

    def _files(self, folder: Path) -> list[Path]:
        try:
            return [*folder.iterdir()]
        except FileNotFoundError:
            return []


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
