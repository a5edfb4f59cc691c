"""A life cycle by PyPI's aliyun-fc2, unmodified. Arguments: endpoint, key id, secret, zip file. Prints what it saw."""

from __future__ import annotations

import base64
import json
import logging
import sys
from typing import Any

import fc2
import requests

logging.disable(logging.CRITICAL)
endpoint, key, secret, package = sys.argv[1:]
client = fc2.Client(endpoint=endpoint, accessKeyID=key, accessKeySecret=secret, Timeout=30)
seen: dict[str, Any] = {}


def failure(call: Any, *arguments: Any, **named: Any) -> tuple[str, int]:
    try:
        call(*arguments, **named)
    except fc2.FcError as error:
        return error.err_code, error.status_code
    raise AssertionError(f"{call.__name__} has not failed")


made = client.create_service("svc", description="d", role=None)
assert made.data["serviceName"] == "svc", made.data
etag = made.headers["Etag"]
assert failure(client.create_service, "svc") == ("ServiceAlreadyExists", 409)
assert failure(client.get_service, "nope") == ("ServiceNotFound", 404)
assert failure(client.update_service, "svc", description="x", headers={"if-match": "0"}) == ("PreconditionFailed", 412)
changed = client.update_service("svc", description="x", headers={"if-match": etag})
assert changed.data["description"] == "x"
assert client.get_service("svc").headers["Etag"] == changed.headers["Etag"] != etag

client.create_function(
    "svc", "fn", "python3", "index.handler", initializer="index.start", codeZipFile=package,
    environmentVariables={"GREETING": "hello"}, instanceConcurrency=1,
)  # fmt: skip
assert failure(client.create_function, "svc", "fn", "python3", "index.handler", codeZipFile=package)[0] == (
    "FunctionAlreadyExists"
)
assert failure(client.get_function, "svc", "nope") == ("FunctionNotFound", 404)
answer = client.invoke_function("svc", "fn", payload="ada", headers={"x-fc-log-type": "Tail"})
assert answer.data == b"hello ada", answer.data
seen["log"] = base64.b64decode(answer.headers["x-fc-log-result"]).decode()
assert failure(client.invoke_function, "svc", "fn", payload="raise")[1] == 200
assert client.invoke_function("svc", "fn", payload=b"\x00\xff").data == b"hello \x00\xff"

published = client.publish_version("svc", "first").data
assert published["versionId"] == "1"
client.create_alias("svc", "prod", "1", description="live")
client.update_function("svc", "fn", environmentVariables={"GREETING": "bye"})
assert client.invoke_function("svc", "fn", payload="x").data == b"bye x"
frozen = client.invoke_function("svc", "fn", payload="x", qualifier="prod")
assert (frozen.data, frozen.headers["x-fc-invocation-service-version"]) == (b"hello x", "1")
assert client.get_function("svc", "fn", qualifier="1").data["environmentVariables"] == {"GREETING": "hello"}
second = client.publish_version("svc", "second").data["versionId"]
assert [each["versionId"] for each in client.list_versions("svc").data["versions"]] == ["2", "1"]
client.update_alias("svc", "prod", "1", additionalVersionWeight={second: 0.5})
answers = {client.invoke_function("svc", "fn", payload="x", qualifier="prod").data for _ in range(60)}
assert answers == {b"hello x", b"bye x"}, answers
assert [each["aliasName"] for each in client.list_aliases("svc").data["aliases"]] == ["prod"]

code = client.get_function_code("svc", "fn").data
with open(package, "rb") as file:
    assert requests.get(code["url"], timeout=30).content == file.read()
assert code["checksum"] == client.get_function("svc", "fn").data["codeChecksum"]

client.create_trigger(
    "svc", "fn", "tick", "timer", {"payload": "p", "cronExpression": "@every 5m", "enable": True}, None, None
)
client.update_trigger("svc", "fn", "tick", {"payload": "q", "cronExpression": "@every 1m", "enable": False})
assert client.get_trigger("svc", "fn", "tick").data["triggerConfig"]["payload"] == "q"
oss = {"events": ["oss:ObjectCreated:*"], "filter": {"key": {"prefix": "a/", "suffix": ".png"}}}
client.create_trigger("svc", "fn", "oss", "oss", oss, "acs:oss:cn-hangzhou:1:bucket", "acs:ram::1:role/r")
assert [each["triggerName"] for each in client.list_triggers("svc", "fn").data["triggers"]] == ["oss", "tick"]
assert failure(client.get_trigger, "svc", "fn", "nope") == ("TriggerNotFound", 404)
assert failure(client.delete_function, "svc", "fn") == ("FunctionNotEmpty", 409)

client.create_function("svc", "web", "python3", "index.web", codeZipFile=package)
client.create_trigger("svc", "web", "http", "http", {"authType": "function", "methods": ["GET", "POST"]}, None, None)
web = client.do_http_request("POST", "svc", "web", "/a b/c", params={"q": "1", "z": ["a", "b"], "e": ""}, body="hi")
assert (web.status_code, web.json()["path"], web.json()["body"]) == (200, "/a b/c", "hi"), web.content
assert requests.get(f"{endpoint}/2016-08-15/proxy/svc/web/", timeout=30).status_code == 400
assert client.do_http_request("DELETE", "svc", "web", "/").status_code == 403

assert client.put_provision_config("svc", "prod", "fn", 1).data["target"] == 1
assert client.get_provision_config("svc", "prod", "fn").data["resource"].endswith("#svc#prod#fn")
assert len(client.list_provision_configs("svc", "prod").data["provisionConfigs"]) == 1
client.put_provision_config("svc", "prod", "fn", 0)
assert client.put_on_demand_config("svc", "prod", "fn", 5).data["maximumInstanceCount"] == 5
assert client.get_on_demand_config("svc", "prod", "fn").data["resource"] == "services/svc.prod/functions/fn"
client.delete_on_demand_config("svc", "prod", "fn")

config = {"onFailure": {"destination": "acs:fc:cn-hangzhou:1:services/svc/functions/web"}}
assert failure(client.get_function_async_invoke_config, "svc", "LATEST", "fn") == ("AsyncConfigNotExists", 404)
client.put_function_async_invoke_config(
    "svc", "LATEST", "fn", {"maxAsyncRetryAttempts": 2, "destinationConfig": config}
)
assert client.get_function_async_invoke_config("svc", "LATEST", "fn").data["maxAsyncRetryAttempts"] == 2
client.delete_function_async_invoke_config("svc", "LATEST", "fn")

routes = {"routes": [{"path": "/*", "serviceName": "svc", "functionName": "web", "qualifier": "LATEST"}]}
client.create_custom_domain("www.example.com", "HTTP", routeConfig=routes)
client.update_custom_domain("www.example.com", protocol="HTTP")
assert client.get_custom_domain("www.example.com").data["routeConfig"]["routes"][0]["functionName"] == "web"
assert failure(client.get_custom_domain, "other.example.com") == ("DomainNameNotFound", 404)
client.delete_custom_domain("www.example.com")

assert "requestId" in client.tag_resource("acs:fc:cn-hangzhou:1:services/svc", {"k": "v"}).data
assert client.get_resource_tags("services/svc").data["tags"] == {"k": "v"}
assert [each["serviceName"] for each in client.list_services(tags={"k": "v"}).data["services"]] == ["svc"]
client.untag_resource("services/svc", ["k"])
assert client.get_resource_tags("services/svc").data["tags"] == {}
assert client.get_account_settings().data["availableAZs"]
assert client.list_reserved_capacities().data["reservedCapacities"] == []

instance = client.list_instances("svc", "LATEST", "fn").data["instances"][0]["instanceId"]
said: list[str] = []
wrong: list[object] = []
hooks = {
    "on_open": lambda shell: shell.send("ada\n"),
    "on_stdout": lambda _, text: said.append(text),
    "on_error": lambda _, error: wrong.append(error),
}
words = {"command": ["/bin/sh", "-c", "read name; echo hello $name"], "stdin": True, "stdout": True, "tty": False}
client.instance_exec("svc", "LATEST", "fn", instance, words, hooks).start()
assert "".join(said) == "hello ada\n", (said, wrong)
client.instance_exec("svc", "LATEST", "fn", "c-none", words, {**hooks, "on_open": None}).start()
assert "404" in str(wrong[-1]), wrong

for number in range(3):
    client.create_service(f"page{number}")
names, token = [], ""
while True:
    page = client.list_services(limit=1, prefix="page", **({"nextToken": token} if token else {})).data
    names += [each["serviceName"] for each in page["services"]]
    token = page.get("nextToken")
    if not token:
        break
assert names == ["page0", "page1", "page2"], names
assert client.list_services(prefix="page", startKey="page1").data["services"][0]["serviceName"] == "page1"

for name in ("oss", "tick"):
    client.delete_trigger("svc", "fn", name)
client.delete_trigger("svc", "web", "http")
client.delete_alias("svc", "prod")
for version in ("1", "2"):
    client.delete_version("svc", version)
assert failure(client.delete_service, "svc") == ("ServiceNotEmpty", 409)
for name in ("fn", "web"):
    client.delete_function("svc", name)
client.delete_service("svc")
assert failure(client.get_service, "svc") == ("ServiceNotFound", 404)
sys.stdout.write(json.dumps(seen))
