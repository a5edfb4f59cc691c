"""Triggers of buckets: they fire when objects come, change and go (FC's OSS trigger, contract §8.1 and §8.2).

1. What is to be told has a number in the store, in the order of the commits. Each trigger remembers the number up to
   which it has fired in the step that promises the calls, so nothing is lost and nothing comes twice.
2. One task reads what has come and fires all triggers. One that cannot fire (its function's queue is full) falls
   behind by itself and catches up later, in order, while the others go on.
3. A trigger that was there before the server's start and is not yet (its function is mistaken until it is repaired)
   is remembered with what it is for: that is kept for it, for a day at most.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

import msgspec

from pyfc.errors import InvalidArgument, PyfcError
from pyfc.model.bucket import MOST_TRIGGERS, Happened, Rule, events_of
from pyfc.model.policy import back_off
from pyfc.model.trigger import Trigger
from pyfc.tasks import Tasks
from pyfc.triggers.interface import Emit, Firing, Key, State, deleted, failed, is_enabled, option, state_of, wrong

_BATCH = 100
"""Changes that are read at once."""
_ABSENT = 24 * 3600.0
"""Seconds for which a change is kept for triggers that are not there."""
_PARTS = 5
"""Of the ARN of a bucket."""
_OVERLAP = "event source 'oss' returned error: Cannot specify overlapping prefix and suffix with same event type."
"""What FC answers to a trigger that another one of the bucket overlaps."""
Rows = Sequence[tuple[int, Happened]]
_log = logging.getLogger(__name__)


class Buckets(Protocol):
    """The buckets of a store."""

    def have(self, name: str) -> None:
        """Make a bucket if it is missing. Raises InvalidArgument."""

    def has(self, name: str) -> bool:
        """Whether a bucket is there."""


class Changes(Protocol):
    """What a store of buckets tells."""

    arrived: asyncio.Event
    """Set when there may be more to read."""

    @property
    def last(self) -> int:
        """No number of what has been is higher."""

    def want(self, rules: Mapping[str, Sequence[Rule]]) -> None:
        """Keep what these are for from now on, which are sorted by bucket."""

    def saw(self, number: int) -> None:
        """Who waits for `arrived` has read up to this number."""

    async def rows(self, after: int, limit: int) -> Rows:
        """The first `limit` changes with higher numbers, by number. Raises PyfcError."""

    async def forget(self, last: int) -> None:
        """Forget those up to this number. Raises PyfcError."""


def rule_of(trigger: Trigger) -> Rule:
    """What a trigger is for. Raises InvalidArgument that names the property."""
    config, bucket = trigger.config, bucket_of(trigger)
    names = option(config, "events") or []
    try:
        events = events_of(names if isinstance(names, list) else [str(names)])
    except ValueError as error:
        raise wrong("events", str(error), "OSS has no such event") from None
    key = option(option(config, "filter") or {}, "key") or {}
    return Rule(bucket, events, str(option(key, "prefix", "") or ""), str(option(key, "suffix", "") or ""))


def bucket_of(trigger: Trigger) -> str:
    """The bucket in bucketName or in acs:oss:REGION:ACCOUNT:BUCKET; '' where neither names one."""
    if name := str(option(trigger.config, "bucketName", "") or ""):
        return name
    parts = trigger.source_arn.split(":")
    return parts[-1].partition("/")[0] if len(parts) == _PARTS and parts[:2] == ["acs", "oss"] else ""


def check(trigger: Trigger, others: Sequence[Trigger]) -> None:
    """Raises InvalidArgument for a trigger that cannot be beside these."""
    rule = rule_of(trigger)
    readable = [(Key.of(each), found) for each in others if (found := _readable(each)) is not None]
    _check_beside(rule, [each for each in readable if each[1].bucket == rule.bucket != ""])


def _check_beside(rule: Rule, others: Sequence[tuple[Key, Rule]]) -> None:
    """`others`: of the same bucket."""
    for key, each in others:
        if rule.overlaps(each):
            other = f"{key.service}/{key.function}:{key.name}"
            raise InvalidArgument(message=f"{_OVERLAP} The other trigger of bucket {rule.bucket} is {other}")
    if len(others) >= MOST_TRIGGERS:
        raise InvalidArgument(message=f"bucket {rule.bucket} has {MOST_TRIGGERS} triggers, which is the most")


def complete(trigger: Trigger) -> Rule:
    """What a trigger is for that can fire. Raises InvalidArgument that says what it is without."""
    rule = rule_of(trigger)
    if not rule.bucket:
        raise InvalidArgument(message="neither sourceArn nor triggerConfig.bucketName names a bucket")
    if not rule.events:
        raise InvalidArgument(message="triggerConfig.events names none: list what it is for, like oss:ObjectCreated:*")
    return rule


class Beside:
    """Triggers that fire, of which none keeps another one from it."""

    def __init__(self) -> None:
        self._rules: dict[str, list[tuple[Key, Rule]]] = defaultdict(list)
        """By bucket."""

    def add(self, trigger: Trigger) -> Rule:
        """Have one more, unless it is switched off. Raises InvalidArgument for one that cannot fire beside those that
        are here.
        """
        rule = complete(trigger)
        _check_beside(rule, self._rules.get(rule.bucket, ()))
        if is_enabled(trigger.config):
            self._rules[rule.bucket].append((Key.of(trigger), rule))
        return rule


def _readable(trigger: Trigger) -> Rule | None:
    """What a trigger is for that somebody has declared, None if it is wrong."""
    try:
        return rule_of(trigger)
    except InvalidArgument:
        return None


class _Mark(NamedTuple):
    """What is remembered of a trigger."""

    cursor: int
    """The number up to which it has fired."""
    rule: Rule | None
    """What it is for; None if an older server has written it."""


def _written(cursor: int, rule: Rule) -> str:
    said = (rule.bucket, sorted(rule.events), rule.prefix, rule.suffix)
    return f"{cursor} {msgspec.json.encode(said).decode()}"


def _read(text: str) -> _Mark | None:
    """A mark; None for that of a source of another type."""
    cursor, _, rule = text.partition(" ")
    if not cursor.isdecimal():
        return None
    try:
        return _Mark(int(cursor), msgspec.json.decode(rule, type=Rule) if rule else None)
    except msgspec.MsgspecError:
        return None


class _Watched:
    """A trigger that fires."""

    __slots__ = ("cursor", "error", "is_behind", "key", "rule", "trigger")

    def __init__(self, key: Key, trigger: Trigger, rule: Rule, cursor: int) -> None:
        self.key = key
        self.trigger = trigger
        self.rule = rule
        self.cursor = cursor
        """The number up to which it has fired."""
        self.is_behind = False
        self.error = ""

    @property
    def mark(self) -> str:
        """What is to be remembered of it."""
        return _written(self.cursor, self.rule)


class Oss:
    """The triggers of one server's buckets."""

    type = "oss"

    def __init__(self, emit: Emit, changes: Changes, buckets: Buckets, account: str, region: str) -> None:
        self._emit = emit
        self._changes = changes
        self._buckets = buckets
        self._account = account
        self._region = region
        self._watched: dict[Key, _Watched] = {}
        self._absent: dict[Key, _Mark] = {}
        """What is remembered of triggers that may come back."""
        self._errors: dict[Key, str] = {}
        self._read: int | None = None
        """The number up to which has been read; None before the first triggers are there."""
        self._tidying: asyncio.Task[None] | None = None
        self._tasks = Tasks()

    def use(self, triggers: Mapping[Key, Trigger], marks: Mapping[Key, str]) -> Mapping[Key, str]:
        """See Source. What a new trigger remembers first is up to where others have been told."""
        before, self._watched, self._errors = self._watched, {}, {}
        known = self._remembered(before, marks)
        beside = Beside()
        for key, trigger in sorted(triggers.items()):
            try:
                rule = beside.add(trigger)
                self._buckets.have(rule.bucket)
            except InvalidArgument as error:
                self._errors[key] = str(error)
                continue
            if is_enabled(trigger.config):
                self._watched[key] = self._kept(key, trigger, rule, before.get(key), known.get(key))
        may_return = self._errors.keys() | (marks.keys() - triggers.keys())
        self._absent = {key: known[key] for key in may_return & known.keys() if known[key].rule is not None}
        self._want()
        return {
            key: each.mark for key, each in self._watched.items() if key not in known or known[key].rule != each.rule
        }

    def _remembered(self, before: Mapping[Key, _Watched], marks: Mapping[Key, str]) -> dict[Key, _Mark]:
        """Up to where triggers have fired that are there, or may come back."""
        read = {key: mark for key, text in marks.items() if (mark := _read(text)) is not None}
        return {**read, **self._absent, **{key: _Mark(each.cursor, each.rule) for key, each in before.items()}}

    def _all(self) -> list[_Watched | _Mark]:
        """Those that fire, and those that may come back."""
        return [*self._watched.values(), *self._absent.values()]

    def _want(self) -> None:
        """Have all kept that somebody is to be told of."""
        rules: dict[str, list[Rule]] = defaultdict(list)
        for rule in (each.rule for each in self._all()):
            if rule is not None:
                rules[rule.bucket].append(rule)
        self._changes.want(rules)

    def _kept(self, key: Key, trigger: Trigger, rule: Rule, before: _Watched | None, mark: _Mark | None) -> _Watched:
        """A trigger as it goes on, or as it begins: with what comes after it."""
        if before is not None:
            before.trigger, before.rule = trigger, rule
            return before
        if mark is None:
            return _Watched(key, trigger, rule, self._changes.last if self._read is not None else 0)
        watched = _Watched(key, trigger, rule, mark.cursor)
        if self._read is not None and watched.cursor < self._read:  # it comes back, and others have gone on meanwhile
            self._fall_behind(watched, failures=0)
        return watched

    def _fall_behind(self, watched: _Watched, failures: int) -> None:
        watched.is_behind = True
        self._tasks.begin(f"the trigger {'/'.join(watched.key)}", self._catch_up(watched, failures))

    async def run(self) -> None:
        """See Source."""
        self._read = min((each.cursor for each in self._watched.values()), default=self._changes.last)
        try:
            while True:
                self._changes.arrived.clear()
                rows = await self._changes.rows(self._read, _BATCH)
                if rows:
                    self._read = rows[-1][0]
                    self._changes.saw(self._read)
                    await self._tell_all(rows)
                    self._tidy()
                else:
                    await self._changes.arrived.wait()
        finally:
            await self._tasks.close()
            for each in self._watched.values():
                each.is_behind = False

    async def _tell_all(self, rows: Rows) -> None:
        """Fire the triggers that are not behind."""
        await asyncio.gather(*(self._try(each, rows) for each in self._watched.values() if not each.is_behind))

    async def _try(self, watched: _Watched, rows: Rows) -> None:
        try:
            await self._tell(watched, rows)
        except Exception as error:
            watched.error = failed(watched.key, error)
            self._fall_behind(watched, failures=1)

    async def _catch_up(self, watched: _Watched, failures: int) -> None:
        """Fire a trigger for what it has not fired for, until it is where the others are."""
        while self._watched.get(watched.key) is watched:
            await asyncio.sleep(back_off(failures) if failures else 0)
            seen = self._read or 0
            try:
                while rows := await self._changes.rows(watched.cursor, _BATCH):
                    seen = max(seen, self._read or 0)
                    await self._tell(watched, rows)
                    failures, watched.error = 0, ""
            except Exception as error:
                failures, watched.error = failures + 1, failed(watched.key, error)
                continue
            watched.cursor = max(watched.cursor, seen)
            if watched.cursor >= (self._read or 0):
                break
        watched.is_behind, watched.error = False, ""
        self._tidy()

    async def _tell(self, watched: _Watched, rows: Rows) -> None:
        """Fire a trigger for those of the changes that it is for, in order. Raises PyfcError at the first for which
        that is not possible.
        """
        firings = [
            (number, self._firing(watched, number, happened)) for number, happened in rows
            if number > watched.cursor and happened.bucket == watched.rule.bucket
            and watched.rule.fits(happened.event, happened.key)
        ]  # fmt: skip
        try:
            if firings:
                await self._emit(*(firing for _, firing in firings))
        except PyfcError:
            for number, firing in firings:
                await self._emit(firing)
                watched.cursor = number
        watched.cursor = max(watched.cursor, rows[-1][0])

    def _firing(self, watched: _Watched, number: int, happened: Happened) -> Firing:
        identity = f"oss/{number}/{happened.request_id}/{'/'.join(watched.key)}"
        element = element_of(happened, self._account, self._region, self._rule_id(watched.key))
        payload = msgspec.json.encode({"events": [element]})
        return Firing(watched.trigger, payload, identity, _written(number, watched.rule), happened.depth)

    def _rule_id(self, key: Key) -> str:
        return hashlib.sha1("/".join((self._account, *key)).encode(), usedforsecurity=False).hexdigest()

    def _tidy(self) -> None:
        """Forget what every trigger has fired for, also those that may come back."""
        if self._tidying is None or self._tidying.done():
            self._tidying = self._tasks.begin("forgetting what triggers of buckets have fired for", self._forget())

    async def _forget(self) -> None:
        forgotten = 0
        try:
            await self._give_up()
            while (last := self._told()) > forgotten:
                await self._changes.forget(last)
                forgotten = last
        except PyfcError as error:
            _log.warning("what has happened to buckets is not forgotten: %s", error)

    def _told(self) -> int:
        """The number up to which everybody was told."""
        return min((each.cursor for each in self._all()), default=self._read or 0)

    async def _give_up(self) -> None:
        """Keep nothing more for triggers that have not come back for long. Raises PyfcError."""
        for key, mark in list(self._absent.items()):
            rows = await self._changes.rows(mark.cursor, 1)
            if rows and rows[0][1].time < time.time() - _ABSENT and self._absent.pop(key, None) is not None:
                _log.warning("trigger %s is not there: what has happened to its bucket is kept no more", "/".join(key))
                self._want()

    def state(self, key: Key) -> State:
        """See Source."""
        watched = self._watched.get(key)
        bucket = watched.rule.bucket if watched is not None else ""
        absent = deleted(f"bucket {bucket}") if bucket and not self._buckets.has(bucket) else ""
        return state_of(watched, self._errors.get(key, ""), absent)

    def upcoming(self, key: Key, count: int) -> Sequence[float]:
        """See Source."""
        return []


def _text(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def element_of(happened: Happened, account: str, region: str, rule: str) -> dict[str, Any]:
    """What OSS tells of a change. `rule`: the id of the rule by which it tells it."""
    told: dict[str, Any] = {"deltaSize": happened.delta, "eTag": happened.etag, "key": happened.key}
    told["size"] = happened.size
    if happened.mime:
        told["objectMeta"] = {"mimeType": happened.mime}
    bucket = {
        "arn": f"acs:oss:{region}:{account}:{happened.bucket}", "name": happened.bucket, "ownerIdentity": account,
        "virtualBucket": "",
    }  # fmt: skip
    return {
        "eventName": happened.event,
        "eventSource": "acs:oss",
        "eventTime": _text(happened.time),
        "eventVersion": "1.0",
        "oss": {"bucket": bucket, "object": told, "ossSchemaVersion": "1.0", "ruleId": rule},
        "region": region,
        "requestParameters": {"sourceIPAddress": happened.address},
        "responseElements": {"requestId": happened.request_id},
        "userIdentity": {"principalId": account},
    }
