"""The application of the console: who may ask, which page that is, and how it is answered.

1. protection.py has let the request in; a page is for who has a session (its address and its cookie).
2. The view runs in a thread and asks the server's API; its template makes the answer, with everything escaped.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import parse_qsl

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from pyfc.auth.keys import Key, Keys
from pyfc.auth.sessions import Logins, Session
from pyfc.client import Client
from pyfc.console.access import SESSIONS, START, START_LOGIN, Access, read_form
from pyfc.console.page import Asked, Moved, Page, Shown
from pyfc.console.pages import functions, logs, overview, requests
from pyfc.console.protection import Protected
from pyfc.console.rendering import Rendering
from pyfc.console.static import STATIC, Assets
from pyfc.errors import AccessDenied, Internal, NotFound, PyfcError
from pyfc.gateway.guard import Guard

PAGES: tuple[Page, ...] = (*overview.PAGES, *functions.PAGES, *logs.PAGES, *requests.PAGES)
_log = logging.getLogger(__name__)
_TIMEOUT = 660.0
"""Seconds for a call of a function, of which none may run longer than 600."""


class Order(msgspec.Struct, forbid_unknown_fields=True):
    """What the server tells the process of the console; see gateway/console.py."""

    endpoint: str
    data_folder: str
    sockets: list[int]
    names: list[str]
    takes_links: bool
    certificate: str
    key: str
    account_id: str
    region: str
    idle_seconds: float = 300.0


class Application:
    """An ASGI application."""

    def __init__(self, order: Order) -> None:
        folder = Path(order.data_folder)
        self._order = order
        self._keys = Keys(folder)
        self._assets = Assets()
        self._rendering = Rendering(self._assets.path)
        logins = Logins(folder)
        self._access = Access(logins, self._keys, self._rendering, order)
        self.used = time.monotonic()
        """When the last request came."""
        session = SESSIONS + "{place}/"
        routes = [
            Route("/", self._to_console),
            Route(START, self._access.start, methods=["GET"]),
            Route(START_LOGIN, self._access.login, methods=["GET", "POST"]),
            Route(STATIC + "{digest}/{name}", self._assets.answer, methods=["GET"]),
            Route(session + "logout", self._of_session(self._access.logout), methods=["POST"]),
            Route(session + logs.STREAM, self._of_session(self._stream), methods=["GET"]),
            *(Route(session + page.path, self._page(page), methods=["GET", "POST"]) for page in PAGES),
        ]
        router = Router(routes, redirect_slashes=False, default=self._unknown)
        self._protected = Protected(GZipMiddleware(router), Guard(tuple(order.names)), is_tls=bool(order.certificate))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.used = time.monotonic()
        await self._protected(scope, receive, send)
        self.used = time.monotonic()

    async def _to_console(self, _: Request) -> Response:
        return RedirectResponse(START)

    async def _unknown(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        error = NotFound(message=f"there is no page {scope['path'][:200]}")
        await self._rendering.failed(request, error, None)(scope, receive, send)

    def _of_session(
        self, answer: Callable[[Request, Session], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """For who is logged in only; what goes wrong is a page that says so."""

        async def checked(request: Request) -> Response:
            session = await run_in_threadpool(self._access.session_of, request)
            if session is None:
                return self._access.ended(request)
            try:
                if (chosen := self._rendering.choice(request)) is not None:
                    return chosen
                return await answer(request, session)
            except PyfcError as error:
                return self._rendering.failed(request, error, session)
            except Exception as error:
                _log.exception("a page of the console has failed")  # its address, with the session's part, stays out
                return self._rendering.failed(request, Internal(detail=type(error).__name__), session)

        return checked

    def _page(self, page: Page) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request, session: Session) -> Response:
            view, form = page.view, {}
            if request.method == "POST":
                form = await read_form(request, session)
                if page.act is None:
                    raise NotFound(message="this page has no form")
                if session.reads_only:
                    raise AccessDenied(message="this login may look only")
                view = page.act
            asked = self._asked(request, session, form)
            found: Shown | Moved = await run_in_threadpool(view, asked)
            return self._rendering.answer(request, session, page, found)

        return self._of_session(answer)

    async def _stream(self, request: Request, session: Session) -> Response:
        asked = self._asked(request, session, {})
        last = request.headers.get("last-event-id", "")
        return logs.stream(asked, last, self._rendering.environment)

    def _asked(self, request: Request, session: Session, form: dict[str, str]) -> Asked:
        order = self._order
        return Asked(
            client=Client(order.endpoint, _TIMEOUT, key=self._key(), certificate=order.certificate),
            session=session,
            text=self._rendering.texts(request),
            path=request.path_params,
            query=dict(parse_qsl(request.url.query, keep_blank_values=True)),
            form=form,
            account_id=order.account_id,
            region=order.region,
        )

    def _key(self) -> Key | None:
        keys = self._keys.all()
        return keys[0] if keys else None
