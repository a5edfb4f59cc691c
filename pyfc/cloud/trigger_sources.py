"""What triggers say of what fires them: one rule for files and for FC's API.

A bucket or logstore that is not named at all is kept, since FC's clients send such triggers, and the state of the
trigger tells of it. What is named must be able to exist, but for names that are only too short: the recorded clients
name buckets and projects by a letter. FC's API keeps them too, and files tell of them.
"""

from __future__ import annotations

from collections.abc import Callable

from pyfc.cloud.oss.store import check_name
from pyfc.cloud.sls.faults import Fault
from pyfc.cloud.sls.model import check_logstore, check_project
from pyfc.errors import InvalidArgument
from pyfc.model.trigger import Trigger
from pyfc.triggers import eventbridge, log, mns_topic, oss
from pyfc.triggers.interface import option

_SHORTEST = 3
"""Characters of a bucket's or a project's name."""


def check_sent(trigger: Trigger) -> None:
    """The same for what FC's API is sent, which may have names that are too short."""
    if trigger.type == "oss":
        names: tuple[str, ...] = (oss.bucket_of(trigger),)
    else:
        names = log.named(trigger) if trigger.type == "log" else ()
    if not any(name and len(name) < _SHORTEST for name in names):
        check(trigger)


def check(trigger: Trigger) -> None:
    """Raises InvalidArgument that names the property for a trigger whose bucket, logstore, queue or topic can be none,
    or of which its source can make nothing else.
    """
    own = _CHECKS.get(trigger.type)
    if own is not None:
        own(trigger)


def _bucket(trigger: Trigger) -> None:
    bucket = oss.bucket_of(trigger)
    if not bucket:
        return
    try:
        check_name(bucket)
    except InvalidArgument as error:
        place = "triggerConfig.bucketName" if option(trigger.config, "bucketName") else "sourceArn"
        raise InvalidArgument(message=f"{place} names the bucket: {error}") from None


def _logstore(trigger: Trigger) -> None:
    project, logstore = log.named(trigger)
    is_in_arn = log.project_of(trigger.source_arn) != ""
    _judge(project, "sourceArn" if is_in_arn else "triggerConfig.logConfig.project", check_project)
    _judge(logstore, "triggerConfig.sourceConfig.logstore", check_logstore)


def _judge(name: str, place: str, judge: Callable[[object], str]) -> None:
    if not name:
        return
    try:
        judge(name)
    except Fault as error:
        raise InvalidArgument(message=f"{place} names {name[:100]!r}: {error}") from None


_CHECKS: dict[str, Callable[[Trigger], object]] = {
    "oss": _bucket, "log": _logstore, "mns_topic": mns_topic.check,
    "eventbridge": lambda trigger: eventbridge.Rule.read(trigger.config),
}  # fmt: skip
