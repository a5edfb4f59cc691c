"""Answers of the console: templates with every value escaped, in the language and the colours that were chosen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from pyfc.auth.sessions import Session
from pyfc.client.transport import ApiError
from pyfc.console import formats
from pyfc.console.languages import LANGUAGES, Texts, chosen, texts
from pyfc.console.page import Moved, Page, Shown
from pyfc.errors import PyfcError
from pyfc.version import VERSION

_CHOICES = {"language": [*LANGUAGES], "theme": ["auto", "light", "dark"]}
"""What an address may choose, for all pages from then on."""
_PATH = "/console"
_YEAR = 365 * 86400


class Rendering:
    """Makes the answers of one console."""

    def __init__(self, asset: Callable[[str], str]) -> None:
        """`asset`: the address of a file that pages load."""
        self.environment = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined,
            trim_blocks=True, lstrip_blocks=True, auto_reload=False,
        )  # fmt: skip
        self.environment.filters |= {
            name: getattr(formats, name)
            for name in ("part", "milliseconds", "count", "megabytes", "moment", "readable", "phases")
        }
        self.environment.globals |= {"asset": asset, "version": VERSION, "bars": formats.bars, "languages": LANGUAGES}

    def texts(self, request: Request) -> Texts:
        """Those of the request's language."""
        cookie = request.cookies.get("pyfc_language", "")
        return texts(chosen(cookie, request.headers.get("accept-language", "")))

    def choice(self, request: Request) -> Response | None:
        """A language or colours were chosen: the same page again, and a cookie that says so."""
        pairs = parse_qsl(request.url.query, keep_blank_values=True)
        found = {name: value for name, value in pairs if value in _CHOICES.get(name, ())}
        if not found or request.method != "GET":
            return None
        rest = urlencode([pair for pair in pairs if pair[0] not in _CHOICES])
        response = RedirectResponse(f"{request.url.path}?{rest}" if rest else request.url.path, 303)
        for name, value in found.items():
            response.set_cookie(f"pyfc_{name}", value, max_age=_YEAR, path=_PATH, samesite="strict", httponly=True)
        return response

    def answer(self, request: Request, session: Session, page: Page, found: Shown | Moved) -> Response:
        """What a view has found, as a page or, for htmx, as the part of it that changes."""
        base = _base(session)
        if isinstance(found, Moved):
            return RedirectResponse(base + found.to, 303)
        values = {**self._shared(request, session), "section": page.section, **found.values}
        template = self.environment.get_template(found.template)
        if found.block and request.headers.get("hx-request") == "true":
            context = template.new_context(values)
            return HTMLResponse("".join(template.blocks[found.block](context)), 200)
        return HTMLResponse(template.render(values), found.status)

    def page(self, request: Request, template: str, values: dict[str, Any], status: int = 200) -> Response:
        """A page that needs no session."""
        known = {**self._shared(request, None), "section": "", **values}
        return HTMLResponse(self.environment.get_template(template).render(known), status)

    def failed(self, request: Request, error: PyfcError, session: Session | None) -> Response:
        """What was wrong, and what to do about it."""
        code = error.code if error.code and isinstance(error, ApiError) else type(error).__name__
        values = {**self._shared(request, session), "section": "", "code": code, "message": str(error)}
        if request.headers.get("hx-request") == "true":  # where the result would stand; htmx shows no page of an error
            return HTMLResponse(self.environment.get_template("problem.html").render(values), 200)
        return HTMLResponse(self.environment.get_template("error.html").render(values), error.status)

    def _shared(self, request: Request, session: Session | None) -> dict[str, Any]:
        """What every template is told."""
        theme = request.cookies.get("pyfc_theme", "")
        return {
            "t": self.texts(request),
            "theme": theme if theme in _CHOICES["theme"] else "auto",
            "session": session,
            "base": _base(session) if session is not None else _PATH + "/",
            "here": request.url.path,
        }


def _base(session: Session) -> str:
    return f"{_PATH}/s/{session.place}/"
