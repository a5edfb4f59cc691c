"""Every door asks the same: whose key it is, and what that may do."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import NamedTuple

from cloud.mns_client import Client as MnsClient
from cloud.sls_client import Client as SlsClient
from objects import Client as OssClient
from pyfc.auth.keys import Key
from pyfc.auth.policies import MANAGED
from support import Server, template, wait_until

CODE = """
import json

def handler(event, context):
    key = context.credentials
    return json.dumps([key.access_key_id, key.access_key_secret, key.security_token])
"""
EVENT = {"specversion": "1.0", "id": "1", "source": "acs.oss", "type": "t"}
STRANGER = Key(id="LTAIstranger", secret="secret")
DENY = {"Effect": "Deny", "Action": "*", "Resource": "*"}


class Told(NamedTuple):
    status: int
    text: str


def api(server: Server, key: Key) -> Told:
    return _signed(server, key, "GET", "/2016-08-15/services/demo/functions/f")


def newer_api(server: Server, key: Key) -> Told:
    return _signed(server, key, "DELETE", "/2023-03-30/functions/other")


def own_api(server: Server, key: Key) -> Told:
    return _signed(server, key, "GET", "/pyfc/functions")


def call(server: Server, key: Key) -> Told:
    return _signed(server, key, "POST", "/2016-08-15/services/demo/functions/f/invocations")


def bus(server: Server, key: Key) -> Told:
    kind = {"content-type": "application/cloudevents+json"}
    return _signed(server, key, "POST", "/pyfc/events", json.dumps(EVENT).encode(), kind)


def _signed(
    server: Server, key: Key, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] = {}
) -> Told:
    fields = {**headers, **({"x-fc-security-token": key.token} if key.token else {})}
    answer = server.request(method, path, body, server.signed_headers(method, path, fields, (key.id, key.secret)))
    return Told(answer.status, answer.body.decode())


def oss(server: Server, key: Key) -> Told:
    client = OssClient(server)
    client.key = key
    answer = client("PUT", "a", body=b"x", bucket="films", **({"x_oss_security_token": key.token} if key.token else {}))
    return Told(answer.status, answer.body.decode())


def sls(server: Server, key: Key) -> Told:
    client = SlsClient(server, "audit")
    client.key = key
    answer = client("GET", "/logstores", **({"x_acs_security_token": key.token} if key.token else {}))
    return Told(answer.status, answer.body.decode())


def mns(server: Server, key: Key) -> Told:
    client = MnsClient(server)
    client.key = key
    answer = client("GET", "/queues/orders", **({"security_token": key.token} if key.token else {}))
    return Told(answer.status, answer.body.decode())


DOORS: dict[str, tuple[Callable[[Server, Key], Told], int, str]] = {
    "api": (api, 403, "fc:GetFunction"),
    "newer api": (newer_api, 403, "fc:DeleteFunction"),
    "own api": (own_api, 403, "pyfc:Manage"),
    "call": (call, 403, "fc:InvokeFunction"),
    "bus": (bus, 403, "eventbridge:PutEvents"),
    "oss": (oss, 403, "oss:PutObject"),
    "sls": (sls, 401, "log:ListLogStores"),
    "mns": (mns, 403, "mns:GetQueueAttributes"),
}
"""How a key asks at each, what a refusal is, the action that is missing."""
OPENED = {
    "AliyunFCReadOnlyAccess": ["api"], "AliyunFCFullAccess": ["api", "newer api", "call"],
    "AliyunFCInvocationAccess": ["call"], "AliyunEventBridgeFullAccess": ["bus"], "AliyunOSSFullAccess": ["oss"],
    "AliyunOSSReadOnlyAccess": [], "AliyunLogFullAccess": ["sls"], "AliyunLogReadOnlyAccess": ["sls"],
    "AliyunMNSFullAccess": ["mns"], "AliyunMNSReadOnlyAccess": ["mns"], "ReadOnlyAccess": ["api", "sls", "mns"],
    "AdministratorAccess": list(DOORS),
}  # fmt: skip
"""By managed policy."""


def served(serve: Callable[..., Server], policies: object, *options: str, more: str = "") -> tuple[Server, Key]:
    """A server with a bucket, a project and a queue, and the credentials of its function."""
    document = json.loads(template({"f": {"CodeUri": "./code"}}))
    document["Resources"]["demo"]["Properties"] = {"Policies": policies}
    files = {"template.yml": json.dumps(document), "code/index.py": CODE}
    server = serve({**files, "pyfc.yml": more} if more else files, *options)
    assert OssClient(server)("PUT", bucket="films").status == 200
    made = SlsClient(server, "audit")("POST", "/", body={"projectName": "audit", "description": ""})
    assert made.status == 200, made.body
    assert MnsClient(server).create("queues/orders").status == 201
    number, secret, token = server.manage("POST", "/2016-08-15/services/demo/functions/f/invocations").json
    return server, Key(id=number, secret=secret, token=token)


def opened(server: Server, key: Key) -> list[str]:
    """The doors at which what was asked was done, or was not there."""
    told = {name: ask(server, key) for name, (ask, *_) in DOORS.items()}
    return [name for name, each in told.items() if each.status < 300 or "FunctionNotFound" in each.text]


def test_every_door_refuses_what_a_function_may_not_do_and_names_what_is_missing(serve: Callable[..., Server]) -> None:
    server, key = served(serve, "AliyunRDSFullAccess")

    for ask, status, action in DOORS.values():
        told = ask(server, key)
        assert told.status == status
        assert f"function 'f' of service 'demo' may not do {action} on " in told.text


def test_each_managed_policy_opens_the_doors_that_it_is_for_and_no_others(serve: Callable[..., Server]) -> None:
    assert {*OPENED} == {*MANAGED}
    server, key = served(serve, "AliyunRDSFullAccess", "--reload")
    assert opened(server, key) == []

    for policy, doors in OPENED.items():
        document = json.loads((server.folder / "template.yml").read_text())
        document["Resources"]["demo"]["Properties"] = {"Policies": policy}
        (server.folder / "template.yml").write_text(json.dumps(document))
        wait_until(lambda wanted=doors: opened(server, key) == wanted, f"that {policy} opens {doors}")


def test_everything_is_open_when_pyfc_yml_says_so_whatever_policies_deny(serve: Callable[..., Server]) -> None:
    assert opened(*served(serve, [DENY])) == []
    assert opened(*served(serve, [DENY], more="permissions: all\n")) == [*DOORS]


def test_a_key_that_nobody_knows_is_refused_by_every_door_unless_nobody_has_to_sign(
    serve: Callable[..., Server],
) -> None:
    server, _ = served(serve, [DENY], "--host", "0.0.0.0")  # calls take a key where others can reach the server
    for ask, status, _ in DOORS.values():
        told = ask(server, STRANGER)
        assert told.status in {status, 401}
        assert "accesskeyid" in told.text.lower()

    server, key = served(serve, [DENY], "--auth", "off")
    assert (opened(server, STRANGER), opened(server, key)) == ([*DOORS], [*DOORS])
