"""FC's objects of reserves, limits and asynchronous calls become configurations; also what their shapes cannot say.
Everything here raises WrongProperty with the place of what is wrong.
"""

from __future__ import annotations

from pyfc.documents import scaling, values
from pyfc.documents.reader import Document, Place, typed, wrong
from pyfc.model.function import FOREVER, Provision, ScheduledAction, TrackingPolicy
from pyfc.model.policy import check_expression
from pyfc.model.resources import ASYNC, CONCURRENCY, ON_DEMAND, PROVISION, SCALING, Config
from pyfc.model.schedule import NeverComes, moment_of, zone_of

_MOST_ACTIONS = 100
"""Scheduled actions of one reserve."""


def provision_of(document: Document) -> Provision:
    """What a provision-config says."""
    _, said = typed(document, scaling.Provision)
    return Provision(
        target=(said.default_target if said.default_target is not None else said.target) or 0,
        scheduled_actions=_actions(said.scheduled_actions),
        target_tracking_policies=tuple(
            _policy(each, ("targetTrackingPolicies", number))
            for number, each in enumerate(said.target_tracking_policies)
        ),
    )


def _actions(said: list[scaling.ScheduledAction]) -> tuple[ScheduledAction, ...]:
    found: dict[str, ScheduledAction] = {}
    if len(said) > _MOST_ACTIONS:
        own = f"ScheduledActions contains too many values (max: {_MOST_ACTIONS}, actual: {len(said)})"
        raise wrong(("scheduledActions",), f"a list of {len(said)}", f"a list of at most {_MOST_ACTIONS}", own)
    for number, each in enumerate(said):
        place: Place = ("scheduledActions", number)
        action = _action(each, place)
        if action.name in found:
            own = f"Duplicate action name '{action.name}' in ScheduledActions is not allowed"
            raise wrong((*place, "name"), f"'{action.name}'", "another than that of an action before it", own)
        found[action.name] = action
    return tuple(found.values())


def _action(said: scaling.ScheduledAction, place: Place) -> ScheduledAction:
    start, end = _times(said, place)
    try:
        check_expression(said.schedule_expression, said.time_zone)
    except ValueError as error:
        found = f"'{said.schedule_expression}'"
        own = (
            "The ScheduleExpression should be atTime or cron expression (example: ['at(2020-10-10T10:10:10Z)', "
            f"'cron(0 */30 * * * *)'], actual: {found})"
        )
        own = "" if isinstance(error, NeverComes) else own  # which FC takes
        raise wrong((*place, "scheduleExpression"), found, f"{values.SCHEDULE} ({error})", own) from None
    return ScheduledAction(
        name=said.name,
        expression=said.schedule_expression,
        target=said.target,
        zone=said.time_zone,
        start=start,
        end=end,
    )


def _policy(said: scaling.TrackingPolicy, place: Place) -> TrackingPolicy:
    if said.max_capacity < said.min_capacity:
        least = f"at least minCapacity, {said.min_capacity}"
        raise wrong((*place, "maxCapacity"), str(said.max_capacity), least)
    start, end = _times(said, place)
    return TrackingPolicy(
        name=said.name,
        metric_target=said.metric_target,
        minimum=said.min_capacity,
        maximum=said.max_capacity,
        start=start,
        end=end,
    )


def _times(said: scaling.Timed, place: Place) -> tuple[float, float]:
    zone = said.time_zone
    try:
        zone_of(zone)
    except ValueError:
        raise wrong((*place, "timeZone"), f"'{zone}'", "the name of a time zone, like Asia/Shanghai") from None
    start = _moment(said.start_time, zone, (*place, "startTime")) if said.start_time else 0.0
    return start, _moment(said.end_time, zone, (*place, "endTime")) if said.end_time else FOREVER


def _moment(text: str, zone: str, place: Place) -> float:
    """A time in seconds since the epoch."""
    try:
        return moment_of(text, zone)
    except (ValueError, OverflowError):
        name = str(place[-1])
        own = (
            f"The {name[0].upper()}{name[1:]} is not in UTC time format "
            f"(example: '2020-10-10T10:10:10Z', actual: '{text}')"
        )
        raise wrong(place, f"'{text}'", values.TIME, own if not zone else "") from None


def config_of(kind: str, service: str, function: str, qualifier: str, document: Document) -> Config:
    """The configuration that `document` describes; `kind` as in model/resources.py."""
    provision = limit = None
    if kind == PROVISION:
        provision = provision_of(document)
        document = {"scheduledActions": [], "targetTrackingPolicies": [], "alwaysAllocateCPU": False, **document}
        document["target"] = provision.target
    elif kind == ON_DEMAND:
        limit = typed(document, scaling.OnDemand)[1].maximum_instance_count
    elif kind == CONCURRENCY:
        limit = typed(document, scaling.Concurrency)[1].reserved_concurrency
    elif kind == SCALING:
        least = typed(document, scaling.Scaling)[1].min_instances
        provision = Provision(target=least) if least is not None else None
    elif kind == ASYNC:
        document = {"destinationConfig": {}, **typed(document, scaling.Asynchronous)[0]}
    return Config(
        kind=kind,
        service=service,
        function=function,
        qualifier=qualifier,
        document=document,
        provision=provision,
        limit=limit,
    )
