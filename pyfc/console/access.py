"""How one logs in and out. A login is a one-time link (`pyfc console`), or an access key where other machines come.

Cookies know no ports: a function that listens on another port of this host is sent those of the console if it can lead
a browser to the same path there. So the pages of a session lie below a random part of the address, its cookie is good
for that path only, and neither is good for anything without the other.
"""

from __future__ import annotations

import hmac
from typing import Protocol
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from pyfc.auth.keys import Keys
from pyfc.auth.sessions import Logins, Session
from pyfc.console.rendering import Rendering
from pyfc.errors import AccessDenied, EntityTooLarge

START = "/console/"
START_LOGIN = START + "login"
SESSIONS = START + "s/"
COOKIE = "pyfc_console"
_LARGEST = 32 * 1024 * 1024
"""Bytes of a form, of which an event is the largest part."""
_LARGEST_LOGIN = 4096
_FIELDS = 100


class Rules(Protocol):
    """What of the order says how one logs in."""

    takes_links: bool
    certificate: str


class Access:
    """Who may use one console."""

    def __init__(self, logins: Logins, keys: Keys, rendering: Rendering, rules: Rules) -> None:
        self._logins = logins
        self._keys = keys
        self._rendering = rendering
        self._rules = rules

    def session_of(self, request: Request) -> Session | None:
        """Whose request it is; None for who is not logged in, or no more."""
        place = request.path_params["place"]
        for secret in _cookies(request, COOKIE):
            if (session := self._logins.find(place, secret)) is not None:
                return session
        return None

    async def start(self, request: Request) -> Response:
        """The page where one logs in."""
        chosen = self._rendering.choice(request)
        return chosen if chosen is not None else self._asks(request)

    def ended(self, request: Request) -> Response:
        """The same, for who had a session."""
        return self._asks(request, "login.ended", 401)

    async def login(self, request: Request) -> Response:
        """By a link (GET), or by a key (POST)."""
        if request.method == "POST":
            return await self._by_key(request)
        token = request.query_params.get("token", "")
        if not token:
            return await self.start(request)
        if not self._rules.takes_links or "prefetch" in request.headers.get("sec-purpose", ""):
            return self._asks(request, "login.used", 403)
        session = await run_in_threadpool(self._logins.redeem, token)
        return self._asks(request, "login.used", 403) if session is None else self._opened(request, session)

    async def _by_key(self, request: Request) -> Response:
        form = _parsed(await _body(request, _LARGEST_LOGIN))
        key = self._keys.find(form.get("id", ""))
        secret = form.get("secret", "").encode("utf-8", "replace")
        fits = hmac.compare_digest(secret, (key.secret if key is not None else "").encode())
        if key is None or not fits or not key.may_manage:
            return self._asks(request, "login.wrong", 403)
        return self._opened(request, await run_in_threadpool(self._logins.open))

    def _opened(self, request: Request, session: Session) -> Response:
        """A page that goes on to the console by itself: a redirect of who came by another site's link would be sent
        without the cookie.
        """
        path = f"{SESSIONS}{session.place}/"
        response = self._rendering.page(request, "welcome.html", {"target": path})
        response.headers["refresh"] = f"0; url={path}"
        response.set_cookie(
            COOKIE, session.secret, path=path, httponly=True, samesite="strict",
            secure=bool(self._rules.certificate),
        )  # fmt: skip
        return response

    async def logout(self, request: Request, session: Session) -> Response:
        """End the session."""
        await read_form(request, session)
        await run_in_threadpool(self._logins.close, session)
        response = self._asks(request, "login.out")
        response.delete_cookie(COOKIE, f"{SESSIONS}{session.place}/", httponly=True, samesite="strict")
        return response

    def _asks(self, request: Request, said: str = "", status: int = 200) -> Response:
        values = {"said": said, "takes_links": self._rules.takes_links, "target": START_LOGIN, "start": START}
        return self._rendering.page(request, "login.html", values, status)


async def read_form(request: Request, session: Session) -> dict[str, str]:
    """The fields of a form of the session's pages. Raises AccessDenied for one that is of another, EntityTooLarge."""
    form = _parsed(await _body(request, _LARGEST))
    given = form.pop("csrf", "") or request.headers.get("x-csrf-token", "")
    if not hmac.compare_digest(given.encode("utf-8", "replace"), session.csrf.encode()):
        raise AccessDenied(message="this form is not of this session: load its page again")
    return form


async def _body(request: Request, most: int) -> bytes:
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > most:
            raise EntityTooLarge(limit=most)
    return bytes(data)


def _parsed(data: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(data.decode("latin-1"), keep_blank_values=True, max_num_fields=_FIELDS))
    except ValueError:
        return {}


def _cookies(request: Request, name: str) -> list[str]:
    """The values of a cookie: one that a function has set for a wider path may come along."""
    parts = [each.strip().partition("=") for each in request.headers.get("cookie", "").split(";")]
    return [value for key, _, value in parts if key == name][:5]
