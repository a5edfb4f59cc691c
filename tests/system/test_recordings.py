"""What real clients have sent, replayed: they get the statuses they got then, and every field that they read.

tests/recordings has one file per client, made of the traffic of unmodified clients against a stand-in for FC: what was
sent, and the status and the names of the fields that were answered.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from support import Response, Server

FOLDER = Path(__file__).parents[1] / "recordings"
NOT_FCS = {
    # told by the stand-in and not by FC: errors of both APIs at once, ids it made up, a page's end that FC leaves out,
    # the concurrency of a runtime that has none in FC 3, an ARN that no template declares
    "Code", "Message", "ErrorCode", "ErrorMessage", "RequestId", "nextToken", "codeSource", "functionArn", "state",
    "lastUpdateStatus", "httpTrigger", "urlInternet", "urlIntranet", "custom-domainId", "aliaseId", "codeChecksum",
    "createdTime", "lastModifiedTime", "current", "resource", "service", "resourceArn", "tags", "account-settings",
    "instanceConcurrency", "targetArn", "versions", "scaling-configs", "tags-v2", "tags-vId", "ResourceId",
    "ResourceType", "Tag",
}  # fmt: skip
DIFFERENT = {
    "additionalVersionWeight": "the stand-in took a weight for a version that does not exist",
    "ossObjectName": "the stand-in took an object that nobody had uploaded",
    "prod": "the alias with that weight was refused",
    "/services/svc.fn/": "the client was called with function and qualifier exchanged",
    "/proxy/svc/fn/": "there was no trigger yet",
    "fn2": "its object was never uploaded",
    "fn3": "its object was never uploaded",
    "/functions/web": "its object was never uploaded",
    "/functions/undefined/": "Funcraft asks for the triggers of a function that does not exist",
}


def clients() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.json"))


@pytest.mark.parametrize("client", clients())
def test_a_recorded_client_gets_what_it_reads(serve: Callable[..., Server], client: str) -> None:
    server = serve({}, "--auth", "off")
    uploaded = ""
    for each in json.loads((FOLDER / f"{client}.json").read_text()):
        answer = replay(server, each, uploaded)
        if "tempBucketToken" in each["target"]:
            uploaded = answer.json["objectName"]
        if is_different(client, each):
            continue
        what = f"{each['method']} {each['target']}"
        assert answer.status == each["status"], f"{what}: {answer.body.decode()}"
        if "host" in each:
            continue  # the object store's part
        assert len(answer.headers["X-Fc-Request-Id"]) == 36
        if answer.status >= 400:
            fields = {"RequestId", "Code", "Message"} if "/2023-" in what else {"ErrorCode", "ErrorMessage"}
            assert set(answer.json) == fields, what
        elif set(each["keys"]) - NOT_FCS:
            assert set(each["keys"]) - NOT_FCS <= set(answer.json), what
        if not answer.body:
            assert "json" not in answer.headers.get("Content-Type", "")


def replay(server: Server, each: dict[str, Any], uploaded: str) -> Response:
    body = base64.b64decode(each["base64"]) if "base64" in each else each.get("text", "").encode()
    target = each["target"]
    body = re.sub(rb'("acs:oss:[^"]*):b"', rb'\1:bucket"', body)  # the stand-in took a name that no bucket can have
    if uploaded:  # the stand-in named the object itself
        body, target = body.replace(b"1234567890/o1", uploaded.encode()), target.replace("1234567890/o1", uploaded)
    headers = {name: value for name, value in each.get("headers", {}).items() if name != "transfer-encoding"}
    if "host" in each:
        headers["Host"] = each["host"]
    return server.request(each["method"], quote(target, safe="/?=&%:.,+-_~*@"), body or None, headers)


def is_different(client: str, each: dict[str, Any]) -> bool:
    """Whether FC would not have answered as the stand-in did."""
    where = each["target"] + (each.get("text", "") if each["method"] == "POST" else "")
    if client == "fun-more" and (each["status"] == 404 or each["method"] == "POST"):
        return True  # two deployments, between which the stand-in forgot the functions
    return any(text in where for text in DIFFERENT)
