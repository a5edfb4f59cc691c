"""`pyfc.yml` beside a template: what the template formats can not say, and nothing else.

services:
  shop:
    pay:
      maximumInstanceCount: 1
      snapshot: initialized
      provisionConfig:
        target: 2
        scheduledActions:
          - {name: evening, target: 5, scheduleExpression: cron(0 0 20 * * *)}
        targetTrackingPolicies:
          - {name: busy, metricTarget: 0.6, minCapacity: 1, maxCapacity: 10}
"""

from __future__ import annotations

import dataclasses
from datetime import datetime
from pathlib import Path
from typing import Any

from pyfc.errors import ProjectError
from pyfc.model.function import Provision, ScheduledAction, TrackingPolicy
from pyfc.model.policy import check_expression
from pyfc.project.document import Field
from pyfc.project.document import read as read_document
from pyfc.project.interface import Project

NAME = "pyfc.yml"
_KEYS = ("maximumInstanceCount", "provisionConfig", "snapshot")
_PROVISION = ("target", "scheduledActions", "targetTrackingPolicies", "alwaysAllocateCPU")
_TIMES = ("name", "startTime", "endTime")
_ACTION = (*_TIMES, "target", "scheduleExpression")
_POLICY = (*_TIMES, "metricType", "metricTarget", "minCapacity", "maxCapacity")
_METRICS = ("ProvisionedConcurrencyUtilization",)
"""What reserved instances can follow here: the part of their slots that is in use."""
_MOST = 10_000


def apply(path: Path, project: Project) -> None:
    """Lay the overrides at `path` over the project. Raises ProjectError with file and line."""
    document = read_document(path, project.boundary)
    project.warnings.extend(document.unknown(("services",)))
    services = document.get("services")
    for service, functions in services.items() if services is not None else []:
        for name, values in functions.items():
            _apply_one(service, name, values, project)


def _changes(values: Field, project: Project) -> dict[str, Any]:
    """What is said of one function, by the names of Function's fields."""
    changes: dict[str, Any] = {}
    count, snapshot = values.get("maximumInstanceCount"), values.get("snapshot")
    if count is not None:
        changes["maximum_instance_count"] = count.integer(1, _MOST)
    if snapshot is not None:
        changes["snapshot"] = snapshot.choice(("initialized",))
    provision = values.get("provisionConfig")
    if provision is not None:
        changes["provision"] = read_provision(provision, project)
    return changes


def read_provision(field: Field, project: Project) -> Provision:
    """FC's provision-config, as its API and Serverless Devs have it."""
    project.warnings.extend(field.unknown(_PROVISION))
    target = field.get("target")
    actions, policies = field.get("scheduledActions"), field.get("targetTrackingPolicies")
    return Provision(
        target=target.integer(0, _MOST) if target is not None else 0,
        scheduled_actions=tuple(_action(each, project) for each in (actions.elements() if actions else [])),
        target_tracking_policies=tuple(_policy(each, project) for each in (policies.elements() if policies else [])),
    )


def _action(field: Field, project: Project) -> ScheduledAction:
    project.warnings.extend(field.unknown(_ACTION))
    expression = field.need("scheduleExpression")
    text = expression.text()
    if not check_expression(text):
        raise expression.error(f"'{text}'", "like cron(0 0 20 * * *) or at(2026-10-10T10:10:10Z), in UTC")
    target = field.need("target").integer(0, _MOST)
    return ScheduledAction(name=field.need("name").text(), expression=text, target=target, **_times(field))


def _policy(field: Field, project: Project) -> TrackingPolicy:
    project.warnings.extend(field.unknown(_POLICY))
    if (kind := field.get("metricType")) is not None:
        kind.choice(_METRICS)
    metric = field.need("metricTarget")
    try:
        part = float(metric.text())
    except ValueError:
        part = 0.0
    if not 0 < part <= 1:
        raise metric.error(f"'{metric.text()}'", "a number above 0 and at most 1")
    minimum = field.need("minCapacity").integer(0, _MOST)
    maximum = field.need("maxCapacity").integer(minimum, _MOST)
    name = field.need("name").text()
    return TrackingPolicy(name=name, metric_target=part, minimum=minimum, maximum=maximum, **_times(field))


def _times(field: Field) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, key in (("startTime", "start"), ("endTime", "end")):
        value = field.get(name)
        if value is None:
            continue
        try:
            time = datetime.fromisoformat(value.text())
        except ValueError:
            time = None
        if time is None or time.tzinfo is None:
            raise value.error(f"'{value.text()}'", "a time with its zone, like 2026-10-10T10:10:10Z")
        found[key] = time.timestamp()
    return found


def _apply_one(service: str, name: str, values: Field, project: Project) -> None:
    project.warnings.extend(values.unknown(_KEYS))
    for number, declaration in enumerate(project.functions):
        function = declaration.function
        if (function.service, function.name) == (service, name):
            changes = _changes(values, project)
            project.functions[number] = dataclasses.replace(
                declaration, function=dataclasses.replace(function, **changes)
            )
            return
    known = ", ".join(f"{each.function.service}/{each.function.name}" for each in project.functions) or "none"
    raise ProjectError(where=values.where, message=f"there is no function {service}/{name}. Found: {known}")
