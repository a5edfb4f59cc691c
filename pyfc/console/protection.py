"""What every request to the console must be, and what every answer says to the browser.

1. The Host is one of ours: a page whose own name was pointed at this machine (DNS rebinding) has another.
2. Pages of other sites, and those of other ports of this host, are functions' or strangers': what they send is refused,
   but for opening the page where one logs in, which tells nothing.
3. A browser is told to run only our scripts, to show the console in no frame, and to send its address nowhere.
"""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pyfc.console.access import START, START_LOGIN
from pyfc.gateway.guard import Guard

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
_OPEN = (START, START_LOGIN)
_OWN = {"same-origin", "none"}


class Protected:
    """An ASGI application with this before it."""

    def __init__(self, application: ASGIApp, guard: Guard, *, is_tls: bool) -> None:
        self._application = application
        self._guard = guard
        self._scheme = "https" if is_tls else "http"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"  # others are switched off

        async def protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        problem = self._problem(scope)
        answer = self._application if not problem else PlainTextResponse(f"{problem}\n", 403)
        await answer(scope, receive, protected)

    def _problem(self, scope: Scope) -> str:
        """Why a request is refused; '' if it is not."""
        hosts = Headers(scope=scope).getlist("host")
        if len(hosts) != 1 or not self._guard.is_known(hosts[0].encode("latin-1")):
            return "This is not a name of this server: start it with --allow-host NAME if it should be."
        return self._of_page(scope, hosts[0])

    def _of_page(self, scope: Scope, host: str) -> str:
        headers, is_read = Headers(scope=scope), scope["method"] in {"GET", "HEAD"}
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        own = f"{self._scheme}://{host}"
        if site is not None:
            is_ours = site in _OWN and origin in {None, own, "null"}  # our own forms say null: we want no Referer
        else:
            is_ours = origin == own or (is_read and origin is None)  # browsers that send neither are none
        if is_ours or (is_read and scope["path"] in _OPEN):
            return ""
        return "A page of another site, or of another port, may not use the console."
