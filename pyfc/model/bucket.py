"""What happens to the objects of buckets, and which of it a trigger is for (FC's OSS trigger, contract §8.1)."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

CREATED, REMOVED, MODIFIED, REPLICATED = "ObjectCreated", "ObjectRemoved", "ObjectModified", "ObjectReplication"
PUT, POST, COPY, SYMLINK = (f"{CREATED}:{name}" for name in ("PutObject", "PostObject", "CopyObject", "PutSymlink"))
BEGIN_UPLOAD = f"{CREATED}:InitiateMultipartUpload"
PART, PART_COPY, COMPLETE = (
    f"{CREATED}:{name}" for name in ("UploadPart", "UploadPartCopy", "CompleteMultipartUpload")
)
APPEND = f"{CREATED}:AppendObject"
DELETE, DELETE_MANY, ABORT = (f"{REMOVED}:{name}" for name in ("DeleteObject", "DeleteObjects", "AbortMultipartUpload"))
UPDATE_META = f"{MODIFIED}:UpdateObjectMeta"
EVENTS = frozenset(
    {
        PUT, POST, COPY, SYMLINK, BEGIN_UPLOAD, PART, PART_COPY, COMPLETE, APPEND, DELETE, DELETE_MANY, ABORT,
        UPDATE_META, *(f"{REPLICATED}:{name}" for name in (CREATED, REMOVED, MODIFIED)),
    }
)  # fmt: skip
"""What OSS tells, as its events name it. Nothing is replicated here."""
MOST_TRIGGERS = 10
"""Triggers of one bucket."""
_SERVICE = "oss:"
_LONGEST = 100
"""Characters of a name that others are compared with."""


class Happened(msgspec.Struct, array_like=True, frozen=True):
    """A change of an object."""

    bucket: str
    key: str
    event: str
    """One of EVENTS."""
    time: float
    """Seconds since the epoch."""
    size: int
    """Bytes it has now, 0 if it is gone."""
    delta: int
    """Bytes that are more than before."""
    etag: str = ""
    mime: str = ""
    request_id: str = ""
    """Of the request that did it."""
    address: str = ""
    """Where that came from."""
    depth: int = 0
    """How many calls led to it."""


class Rule(NamedTuple):
    """What a trigger of a bucket is for."""

    bucket: str
    events: frozenset[str]
    """Some of EVENTS."""
    prefix: str = ""
    suffix: str = ""

    def fits(self, event: str, key: str) -> bool:
        """Whether it is for this event of this key."""
        return event in self.events and key.startswith(self.prefix) and key.endswith(self.suffix)

    def overlaps(self, other: Rule) -> bool:
        """Whether OSS lets there be one of the two alone. An empty prefix or suffix is a part of every other."""
        return (
            self.bucket == other.bucket
            and not self.events.isdisjoint(other.events)
            and (self.prefix.startswith(other.prefix) or other.prefix.startswith(self.prefix))
            and (self.suffix.endswith(other.suffix) or other.suffix.endswith(self.suffix))
        )


def events_of(names: Iterable[str]) -> frozenset[str]:
    """What a trigger's list means, like `oss:ObjectCreated:*`. Raises ValueError with a name that OSS does not have."""
    found: set[str] = set()
    for name in names:
        plain = name.removeprefix(_SERVICE)
        meant = {each for each in EVENTS if each == plain or (plain.endswith(":*") and each.startswith(plain[:-1]))}
        if not meant or plain == name:
            raise ValueError(name)
        found |= meant
    return frozenset(found)


def nearest(name: str) -> list[str]:
    """Names of events, as triggers write them, that somebody may have meant; the likeliest first."""
    kinds = (f"{kind}:*" for kind in (CREATED, REMOVED, MODIFIED, REPLICATED))
    by_folded = {f"{_SERVICE}{each}".lower(): f"{_SERVICE}{each}" for each in sorted((*EVENTS, *kinds))}
    return [by_folded[each] for each in difflib.get_close_matches(name[:_LONGEST].lower(), by_folded, 3)]


def fitting(rules: Mapping[str, Iterable[Rule]], bucket: str, event: str, key: str) -> bool:
    """Whether any of the rules, which are sorted by bucket, is for this."""
    return any(rule.fits(event, key) for rule in rules.get(bucket, ()))
