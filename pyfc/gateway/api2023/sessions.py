"""Sessions of functions with affinity; snapshots, which only runtimes have that are not served here."""

from __future__ import annotations

from typing import Any

from pyfc.calls.paths import serving
from pyfc.calls.table import version_of
from pyfc.documents import shapes
from pyfc.documents.reader import Document, names
from pyfc.errors import InvalidArgument, SnapshotNotFound, Unavailable
from pyfc.gateway.management import GONE, Answer, Call, Endpoint, page
from pyfc.model.affinity import COOKIE, named, new_session
from pyfc.model.invocation import Route
from pyfc.model.names import DEFAULT_SERVICE, LATEST, Target
from pyfc.registry.documents import time_text
from pyfc.supervisor.affine import AffinePool
from pyfc.supervisor.draft import Dormant
from pyfc.supervisor.sessions import Session

_ACTIVE, _EXPIRED = "Active", "Expired"
_MICRO = "that is for functions of runtime micro-sandbox alone, which is not served here"
_FIELDS = {
    "sessionTTLInSeconds": "ttl",
    "sessionIdleTimeoutInSeconds": "idle_timeout",
    "disableSessionIdReuse": "forbids_reuse",
}
"""FC's names of what a session has of its own."""
_KEPT = [name for name in names(shapes.SessionPart) if name not in _FIELDS]


async def _pool(call: Call) -> AffinePool:
    """Where the sessions of the version are that is asked for. Raises InvalidArgument for a function without any."""
    await call.api.functions.function(DEFAULT_SERVICE, call.function, call.qualifier)
    target = Target(DEFAULT_SERVICE, call.function, call.qualifier or LATEST)
    entry, _ = serving(call.api.table(), target, {})
    if entry.function.affinity is None:
        raise InvalidArgument(message=f"function '{call.function}' has no session affinity")
    pool = _roused(entry.route)
    if not isinstance(pool, AffinePool):
        raise Unavailable(message=f"function '{call.function}' is not ready to be called")
    return pool


def _roused(route: Route) -> Route:
    return route.rouse() if isinstance(route, Dormant) else route


def _document(session: Session, pool: AffinePool) -> Document:
    """FC's Session object."""
    return {
        "sessionId": session.id,
        "functionName": pool.function.name,
        "qualifier": session.qualifier,
        "sessionAffinityType": pool.affinity.kind,
        **{name: getattr(session, field) for name, field in _FIELDS.items()},
        "sessionStatus": _EXPIRED if session.has_ended else _ACTIVE,
        "containerId": session.instance,
        "createdTime": time_text(session.created),
        "lastModifiedTime": time_text(session.modified),
        **session.extras,
    }


def _wishes(document: Document) -> dict[str, Any]:
    return {field: document.get(name) for name, field in _FIELDS.items()}


async def create(call: Call) -> Answer:
    """Begin a session, with an instance that is started for it."""
    pool, document = await _pool(call), call.document
    if snapshot := document.get("snapshotId"):
        raise SnapshotNotFound(snapshot=snapshot)
    name = document.get("sessionId", "")
    if name and pool.affinity.kind == COOKIE:
        raise InvalidArgument(message=f"sessionId can not be chosen where sessionAffinity is {COOKIE}")
    extras = {each: document[each] for each in _KEPT if each in document}
    name = named(name) if name else new_session()
    wishes = {**_wishes(document), "extras": extras}
    session = pool.sessions.begin(name, call.qualifier or LATEST, is_new=True, **wishes)
    pool.warm(session)
    return Answer(_document(pool.sessions.find(name), pool))


async def get(call: Call) -> Answer:
    """Tell a session."""
    pool = await _pool(call)
    return Answer(_document(pool.sessions.find(call.names["session"]), pool))


async def update(call: Call) -> Answer:
    """Let a session last longer or shorter."""
    pool = await _pool(call)
    old = pool.sessions.find(call.names["session"])
    extras = {**old.extras, **{each: call.document[each] for each in _KEPT if each in call.document}}
    return Answer(_document(pool.sessions.change(old.id, **_wishes(call.document), extras=extras), pool))


async def delete(call: Call) -> Answer:
    """End a session; its instance goes if it has no other."""
    (await _pool(call)).sessions.delete(call.names["session"])
    return GONE


async def list_(call: Call) -> Answer:
    """List the sessions of a function, in the order in which they began: those that last, and the newest that ended."""
    await call.api.functions.function(DEFAULT_SERVICE, call.function, call.qualifier)
    name, status = call.query.get("sessionId", ""), call.query.get("sessionStatus", "")

    def is_meant(session: Session) -> bool:
        told = _EXPIRED if session.has_ended else _ACTIVE
        return name in {"", session.id} and status in {"", told}

    found = {
        _place(each, pool): (each, pool) for pool in _pools(call) for each in pool.sessions.all() if is_meant(each)
    }
    limit = call.wanted.limit
    places = sorted(place for place in found if place > call.query.get("nextToken", ""))
    more = places[limit - 1] if len(places) > limit else ""
    return page("sessions", [_document(*found[place]) for place in places[:limit]], more)


def _place(session: Session, pool: AffinePool) -> str:
    """Where it stands in a list of sessions."""
    return f"{session.created:017.6f}/{pool.function.target.qualifier}/{session.id}"


def _pools(call: Call) -> list[AffinePool]:
    """Of the version that is asked for, of every version if none is."""
    table = call.api.table()
    target = Target(DEFAULT_SERVICE, call.function, call.qualifier)
    targets = (
        [version_of(table, target)] if call.qualifier else [each for each in table.entries if each[:2] == target[:2]]
    )
    routes = [table.entries[each].route for each in targets if each is not None]
    return [route for route in routes if isinstance(route, AffinePool)]


async def pause(call: Call) -> Answer:
    """Refuse to keep the memory of a session's instance."""
    (await _pool(call)).sessions.find(call.names["session"])
    raise InvalidArgument(message=f"a session can not be paused or resumed: {_MICRO}")


async def take_snapshot(call: Call) -> Answer:
    """Refuse to keep an instance's memory and disk."""
    (await _pool(call)).sessions.find(call.document.get("sessionId", ""))
    raise InvalidArgument(message=f"there can be no snapshot: {_MICRO}")


async def snapshot(call: Call) -> Answer:
    """Tell, or delete, a snapshot: there is none."""
    await call.api.functions.function(DEFAULT_SERVICE, call.function)
    raise SnapshotNotFound(snapshot=call.names["snapshot"])


async def snapshots(call: Call) -> Answer:
    """List snapshots: there are none."""
    if name := call.query.get("functionName", ""):
        await call.api.functions.function(DEFAULT_SERVICE, name)
    return Answer({"snapshots": []})


_SESSIONS, _SNAPSHOTS = "/functions/{function}/sessions", "/functions/{function}/snapshots"
_ONE = _SESSIONS + "/{session}"
_QUALIFIER = ("qualifier",)
ENDPOINTS = (
    Endpoint("POST", _SESSIONS, "CreateSession", create, _QUALIFIER, shapes.Session),
    Endpoint(
        "GET", _SESSIONS, "ListSessions", list_, ("limit", "nextToken", "qualifier", "sessionId", "sessionStatus")
    ),
    Endpoint("GET", _ONE, "GetSession", get, _QUALIFIER),
    Endpoint("PUT", _ONE, "UpdateSession", update, _QUALIFIER, shapes.SessionPart),
    Endpoint("DELETE", _ONE, "DeleteSession", delete, _QUALIFIER),
    Endpoint("PUT", _ONE + "/pause", "PauseSession", pause, ("qualifier", "fileSystemOnly")),
    Endpoint("PUT", _ONE + "/resume", "ResumeSession", pause, ("qualifier", "fileSystemOnly")),
    Endpoint("POST", _SNAPSHOTS, "CreateSnapshot", take_snapshot, _QUALIFIER, shapes.Snapshot),
    Endpoint("GET", _SNAPSHOTS + "/{snapshot}", "GetSnapshot", snapshot),
    Endpoint("DELETE", _SNAPSHOTS + "/{snapshot}", "DeleteSnapshot", snapshot),
    Endpoint(
        "GET",
        "/snapshots",
        "ListSnapshots",
        snapshots,
        ("functionName", "limit", "nextToken", "qualifier", "sessionId"),
    ),
)
