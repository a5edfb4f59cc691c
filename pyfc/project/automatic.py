"""`logConfig: auto`: the project and the logstore that each tool would make in the cloud."""

from __future__ import annotations

import hashlib
import uuid

from pyfc.documents.reader import Document
from pyfc.project.interface import Given

_TRUTH = {"true": True, "false": False}
_METRICS = {"enableRequestMetrics": True, "enableInstanceMetrics": True}
_MOST = 63
"""Characters of a project's name."""


def of_funcraft(given: Given) -> Document:
    """That of a service in a template of Funcraft."""
    return {"project": f"aliyun-fc-{given.region}-{_id(given)}", "logstore": "function-log", **_METRICS}


def of_service(given: Given, service: str) -> Document:
    """That of a service of Serverless Devs (component `fc`)."""
    logstore = f"fc-service-{service}-logstore".lower()
    return {"project": f"{given.account_id}-{given.region}-logproject", "logstore": logstore[-_MOST:], **_METRICS}


def of_function(given: Given) -> Document:
    """That of a function of Serverless Devs (component `fc3`)."""
    project = f"serverless-{given.region}-{_id(given)}"
    return {"project": project[:_MOST], "logstore": "default-logs", "logBeginRule": "DefaultRegex", **_METRICS}


def declared(text: str, made: Document) -> Document | None:
    """What `auto` says, also with parameters (`auto|enableInstanceMetrics=false`); None for another text. `made`: what
    the tool makes of it.
    """
    name, *parameters = (part.strip() for part in text.split("|"))
    if name.lower() != "auto":
        return None
    pairs = (each.partition("=") for each in parameters)
    return {**made, **{key.strip(): _TRUTH.get(value.strip(), value.strip()) for key, _, value in pairs if value}}


def _id(given: Given) -> str:
    """What the tools call an account there."""
    digest = hashlib.sha1(given.account_id.encode(), usedforsecurity=False).digest()
    return str(uuid.UUID(bytes=digest[:16], version=5))
