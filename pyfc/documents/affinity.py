"""What a function says of sessions: `sessionAffinity`, and its configuration, which is JSON text or an object."""

from __future__ import annotations

import msgspec

from pyfc.documents import shapes
from pyfc.documents.reader import Place, Reader, absent, parsed
from pyfc.model.affinity import COOKIE, HEADER, Affinity

_PLACE: Place = ("sessionAffinityConfig",)
_EXCLUSIVE = "SESSION_EXCLUSIVE"
"""The instanceIsolationMode in which no two sessions share an instance."""


def affinity_of(said: shapes.AnyFunction) -> Affinity | None:
    """How the calls of a function are led to the same instance; None if they are not. MCP's own kinds are kept and
    told. Raises WrongProperty.
    """
    kind, config = said.session_affinity, parsed(said.session_affinity_config, _PLACE)
    read = msgspec.convert(Reader().read(config, shapes.AffinityConfig, _PLACE), shapes.AffinityConfig)
    if kind not in {HEADER, COOKIE}:
        return None
    if kind == HEADER and not read.affinity_header_field_name:
        raise absent(_PLACE, "affinityHeaderFieldName")
    most = 1 if said.instance_isolation_mode == _EXCLUSIVE else read.session_concurrency_per_instance
    return Affinity(
        kind=kind,
        header=read.affinity_header_field_name if kind == HEADER else "",
        sessions_per_instance=min(most, said.instance_concurrency),
        ttl=read.session_ttl,
        idle_timeout=read.session_idle_timeout,
        forbids_reuse=read.disable_session_id_reuse,
    )
