"""Projects, logstores and their indexes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pyfc.cloud.sls.asked import Answer, Asked, Environment, answer, whole
from pyfc.cloud.sls.faults import Fault, no_project
from pyfc.cloud.sls.model import DEFAULT_DAYS, Logstore, Project, check_logstore, check_project

_LONGEST_DAYS = 3650
_SETTINGS: dict[str, Any] = {
    "ttl": DEFAULT_DAYS, "shardCount": 1, "enable_tracking": False, "autoSplit": False, "maxSplitShard": 64,
    "appendMeta": False, "telemetryType": "", "hot_ttl": -1, "mode": "standard",
}  # fmt: skip
"""Properties of a logstore and what they are where a client does not say; there is one shard."""
_INDEX = ("line", "keys", "max_text_len", "log_reduce", "log_reduce_white_list", "log_reduce_black_list", "scan_index")


async def list_projects(asked: Asked) -> Answer:
    """GET / without a project."""
    part = asked.query.get("projectName", "")
    found = [each for name, each in sorted(asked.store.projects.items()) if part in name]
    skipped, most = asked.paging()
    page = found[skipped : skipped + most]
    shown = [_project(asked.environment, each) for each in page]
    return answer({"count": len(page), "total": len(found), "projects": shown})


async def create_project(asked: Asked) -> Answer:
    """POST /"""
    document = asked.document()
    now = int(time.time())
    name = check_project(document.get("projectName") or asked.project)
    if asked.project and name != asked.project:
        raise Fault("ParameterInvalid", "projectName is another project than the host names.")
    await asked.store.put_project(Project(name, _description(document), now, now), is_new=True)
    return Answer()


async def get_project(asked: Asked) -> Answer:
    """GET / of a project."""
    return answer(_project(asked.environment, asked.store.project(asked.project)))


async def update_project(asked: Asked) -> Answer:
    """PUT / of a project."""
    found = asked.store.project(asked.project)
    made = found._replace(description=_description(asked.document()), modified=int(time.time()))
    await asked.store.put_project(made, is_new=False)
    return Answer()


async def delete_project(asked: Asked) -> Answer:
    """DELETE / of a project, with all that is in it."""
    asked.store.project(asked.project)
    await asked.store.delete_project(asked.project)
    return Answer()


async def list_logstores(asked: Asked) -> Answer:
    """GET /logstores"""
    asked.store.project(asked.project)
    part = asked.query.get("logstoreName", "")
    found = sorted(name for project, name in asked.store.logstores if project == asked.project and part in name)
    skipped, most = asked.paging()
    page = found[skipped : skipped + most]
    return answer({"count": len(page), "total": len(found), "logstores": page})


async def create_logstore(asked: Asked) -> Answer:
    """POST /logstores"""
    if not asked.project:
        raise no_project("")
    document = asked.document()
    name = check_logstore(document.get("logstoreName"))
    await asked.store.create_logstore(asked.project, name, _settings(_SETTINGS, document))
    return Answer()


async def get_logstore(asked: Asked) -> Answer:
    """GET /logstores/L"""
    return answer(_logstore(asked.logstore))


async def update_logstore(asked: Asked) -> Answer:
    """PUT /logstores/L"""
    found = asked.logstore
    await asked.store.change_logstore(found._replace(settings=_settings(dict(found.settings), asked.document())))
    return Answer()


async def delete_logstore(asked: Asked) -> Answer:
    """DELETE /logstores/L"""
    await asked.store.delete_logstore(asked.logstore)
    return Answer()


async def get_index(asked: Asked) -> Answer:
    """GET /logstores/L/index"""
    found, index = _indexed(asked)
    return answer({**index, "ttl": found.days, "lastModifyTime": found.modified, "storage": "pg",
                   "index_mode": "v2"})  # fmt: skip


async def create_index(asked: Asked) -> Answer:
    """POST /logstores/L/index"""
    found = asked.logstore
    if found.indexed is not None:
        raise Fault("IndexAlreadyExist", "log store index is already created")
    await asked.store.change_logstore(found._replace(indexed=_index(asked.document())))
    return Answer()


async def update_index(asked: Asked) -> Answer:
    """PUT /logstores/L/index"""
    found, _ = _indexed(asked)
    await asked.store.change_logstore(found._replace(indexed=_index(asked.document())))
    return Answer()


async def delete_index(asked: Asked) -> Answer:
    """DELETE /logstores/L/index"""
    found, _ = _indexed(asked)
    await asked.store.change_logstore(found._replace(indexed=None))
    return Answer()


def _project(environment: Environment, project: Project) -> dict[str, Any]:
    return {
        "projectName": project.name, "description": project.description, "status": "Normal",
        "region": environment.region, "owner": environment.account, "createTime": _time(project.created),
        "lastModifyTime": _time(project.modified), "resourceGroupId": "", "dataRedundancyType": "LRS",
    }  # fmt: skip


def _logstore(logstore: Logstore) -> dict[str, Any]:
    return {
        "logstoreName": logstore.name, "projectName": logstore.project, **logstore.settings, "shardCount": 1,
        "createTime": logstore.created, "lastModifyTime": logstore.modified,
    }  # fmt: skip


def _settings(before: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    found = before | {name: value for name, value in document.items() if name in _SETTINGS and value is not None}
    try:
        found["ttl"] = whole("ttl", found["ttl"], DEFAULT_DAYS)
    except Fault as fault:
        raise Fault("LogStoreInfoInvalid", fault.message) from None
    if not 0 < found["ttl"] <= _LONGEST_DAYS:
        raise Fault("LogStoreInfoInvalid", f"ttl must be 1 to {_LONGEST_DAYS} days")
    for name, default in _SETTINGS.items():
        if not isinstance(found[name], type(default)):
            raise Fault("LogStoreInfoInvalid", f"{name} must be like {default!r}")
    return found


def _index(document: dict[str, Any]) -> dict[str, Any]:
    found = {name: document[name] for name in _INDEX if document.get(name) is not None}
    if not found.get("line") and not found.get("keys"):
        raise Fault("IndexInfoInvalid", "an index must have line or keys")
    if any(not isinstance(found.get(name, {}), dict) for name in ("line", "keys")):
        raise Fault("IndexInfoInvalid", "line and keys must be objects")
    if any(not isinstance(each, dict) for each in found.get("keys", {}).values()):
        raise Fault("IndexInfoInvalid", "each of keys must be an object")
    return found


def _description(document: dict[str, Any]) -> str:
    found = document.get("description")
    return found if isinstance(found, str) else ""


def _indexed(asked: Asked) -> tuple[Logstore, Mapping[str, Any]]:
    """The logstore and its index. Raises Fault."""
    found = asked.logstore
    if found.indexed is None:
        raise Fault("IndexConfigNotExist", "index config doesn't exist")
    return found, found.indexed


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
