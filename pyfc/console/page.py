"""What a page is: an address, a view that asks the API, and a template. To add one, write a view in a module of
pages/, a template in templates/, and name the page in the module's PAGES.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pyfc.auth.sessions import Session
from pyfc.client import Client
from pyfc.console.languages import Texts


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request of somebody who is logged in."""

    client: Client
    session: Session
    text: Texts
    path: Mapping[str, str] = field(default_factory=dict)
    """What the braces of the page's path stand for."""
    query: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    account_id: str = ""
    region: str = ""


class Shown(NamedTuple):
    """A page. `values`: what its template is told."""

    template: str
    values: dict[str, Any]
    block: str = ""
    """What of the template htmx is sent, instead of the whole."""
    status: int = 200


class Moved(NamedTuple):
    """The browser is led to another page."""

    to: str
    """Below the session's own address, like requests/ID."""


View = Callable[[Asked], Shown | Moved]
"""A view runs in a thread. It raises PyfcError for what the API says, or what is wrong with the request."""


class Page(NamedTuple):
    """One page."""

    path: str
    """Below the session's own address, like functions/{service}/{function}."""
    view: View
    section: str
    """The part of the navigation that it belongs to."""
    act: View | None = None
    """What its forms lead to (POST); for who may not only look."""
