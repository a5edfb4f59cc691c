"""Triggers of topics, in a real server: what is published calls functions, however they were declared."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cloud.mns_client import Client, xml
from support import SHARES_FILES, Server, pyfc, wait_until

CODE = """
def handler(event, context):
    print("fired", event.decode(), "end")
"""
ARN = "acs:mns:cn-hangzhou:1234567890123456:/topics/news"


def funcraft(code: str = CODE, **events: dict[str, Any]) -> dict[str, str]:
    function = {
        "Type": "Aliyun::Serverless::Function",
        "Properties": {"Handler": "index.handler", "Runtime": "python3", "CodeUri": "./"},
        "Events": {name: {"Type": "MNSTopic", "Properties": each} for name, each in events.items()},
    }
    service = {"Type": "Aliyun::Serverless::Service", "tick": function}
    template = {"Transform": "Aliyun::Serverless-2018-04-03", "Resources": {"demo": service}}
    return {"index.py": code, "template.yml": json.dumps(template)}


def fc3() -> dict[str, str]:
    config = {"filterTag": "wanted", "notifyContentFormat": "STREAM", "notifyStrategy": "BACKOFF_RETRY"}
    trigger = {"triggerName": "t", "triggerType": "mns_topic", "sourceArn": ARN, "triggerConfig": config}
    properties = {"region": "cn-hangzhou", "functionName": "tick", "runtime": "python3.10", "code": "./",
                  "handler": "index.handler", "triggers": [trigger]}  # fmt: skip
    resources = {"tick": {"component": "fc3", "props": properties}}
    return {"index.py": CODE, "s.yaml": json.dumps({"edition": "3.0.0", "name": "n", "resources": resources})}


def fc2() -> dict[str, str]:
    config = {"topicName": "news", "region": "cn-hangzhou", "filterTag": "wanted", "notifyContentFormat": "STREAM",
              "notifyStrategy": "BACKOFF_RETRY"}  # fmt: skip
    properties = {
        "region": "cn-hangzhou", "service": {"name": "demo"},
        "function": {"name": "tick", "runtime": "python3", "codeUri": "./", "handler": "index.handler"},
        "triggers": [{"name": "t", "type": "mns_topic", "config": config}],
    }  # fmt: skip
    services = {"tick": {"component": "fc", "props": properties}}
    return {"index.py": CODE, "s.yaml": json.dumps({"edition": "1.0.0", "name": "n", "services": services})}


def fired(server: Server) -> list[str]:
    """The events that have come, in order."""
    lines = [
        json.loads(line)["log"]
        for file in sorted((server.data_dir / "logs").rglob("tick.jsonl"))
        for line in file.read_text().splitlines() if '"log"' in line
    ]  # fmt: skip
    return re.findall(r"fired (.*) end", "\n".join(lines))


def publish(server: Server, body: str, tag: str = "", topic: str = "news", **fields: str) -> None:
    said = {"MessageTag": tag} if tag else {}
    assert (
        Client(server)("POST", f"/topics/{topic}/messages", xml("Message", MessageBody=body, **said, **fields)).status
        == 201
    )


@pytest.mark.parametrize(
    "files",
    [
        funcraft(
            t={"TopicName": "news", "Region": "cn-hangzhou", "FilterTag": "wanted", "NotifyContentFormat": "STREAM"}
        ),
        fc2(),
        fc3(),
    ],
    ids=["template.yml", "s.yaml of FC 2", "s.yaml of FC 3"],
)
def test_what_is_published_calls_the_function_that_a_file_declares(
    serve: Callable[..., Server], files: dict[str, str]
) -> None:
    server = serve(files)
    publish(server, "not wanted")
    publish(server, "hello topic", "wanted")
    wait_until(lambda: fired(server), "the event")
    publish(server, "attributes", "wanted", MessageAttributes='<Extend>{"key":"value"}</Extend>')
    wait_until(lambda: len(fired(server)) == 2, "the second event")

    assert fired(server) == ["hello topic", '{"body":"attributes","attrs":{"Extend":"{\\"key\\":\\"value\\"}"}}']


def test_a_trigger_of_the_api_makes_its_topic_and_fires_until_it_is_deleted(serve: Callable[..., Server]) -> None:
    server = serve(funcraft())
    path = "/2016-08-15/services/demo/functions/tick/triggers"
    document = {"triggerName": "t", "triggerType": "mns_topic", "sourceArn": ARN, "invocationRole": "r",
                "triggerConfig": {"notifyContentFormat": "JSON", "filterTag": ""}}  # fmt: skip
    wrong = server.manage("POST", path, {**document, "triggerConfig": {"notifyContentFormat": "YAML"}})
    assert (wrong.status, wrong.json["ErrorCode"]) == (400, "InvalidArgument")
    assert server.manage("POST", path, document).status == 200
    publish(server, "hello topic")
    wait_until(lambda: fired(server), "the event")
    event = json.loads(fired(server)[0])
    assert event | {"PublishTime": 0, "MessageId": ""} == {
        "TopicOwner": "1234567890123456", "Message": "hello topic", "Subscriber": "1234567890123456",
        "PublishTime": 0, "SubscriptionName": "t", "MessageMD5": "D6206122A430035E4EC1463CDD704B59",
        "TopicName": "news", "MessageId": "",
    }  # fmt: skip
    (row,) = server.manage("GET", "/pyfc/triggers").json["triggers"]
    assert (row["trigger"], row["state"], row["fired"]) == ("t", "ready", 1)

    assert server.manage("DELETE", f"{path}/t").status == 204
    publish(server, "nobody hears")
    assert server.manage("POST", path, document).status == 200
    publish(server, "again")
    wait_until(lambda: len(fired(server)) == 2, "the second event")
    assert json.loads(fired(server)[1])["Message"] == "again"


def test_what_was_published_is_called_after_a_kill(tmp_path: Path) -> None:
    folder, seen = tmp_path / "project", tmp_path / "seen"
    folder.mkdir()
    seen.mkdir()
    code = f"def handler(event, context):\n    open({str(seen)!r} + '/' + event.decode(), 'w').close()\n"
    for name, text in funcraft(code, t={"TopicName": "news"}).items():
        (folder / name).write_text(text)
    server = Server(folder, tmp_path / "data", *SHARES_FILES)
    for number in range(20):
        publish(server, str(number))
    server.stop(signal.SIGKILL)
    server = Server(folder, tmp_path / "data", *SHARES_FILES)
    try:
        wait_until(lambda: {path.name for path in seen.iterdir()} == {*map(str, range(20))}, "every event")
    finally:
        server.stop()


QUEUE = {
    "eventSourceConfig": {
        "eventSourceType": "MNS", "eventSourceParameters": {"sourceMNSParameters": {"QueueName": "news"}},
    }
}  # fmt: skip


@pytest.mark.parametrize("kind", ["topics", "queues"])
def test_a_function_that_sends_to_what_fires_it_is_stopped(serve: Callable[..., Server], kind: str) -> None:
    code = """
import base64, hashlib, hmac, http.client, re
from email.utils import formatdate

def handler(event, context):
    print("fired", event.decode(), "end")
    place = re.search(rb"127[.]0[.]0[.]1:[0-9]+", event)[0]
    body = b"<Message><MessageBody>" + place + b"</MessageBody></Message>"
    path, date, keys = "/KIND/news/messages", formatdate(usegmt=True), context.credentials
    text = f"POST\\n\\n\\n{date}\\nx-mns-version:2015-06-06\\n{path}"
    digest = hmac.new(keys.access_key_secret.encode(), text.encode(), hashlib.sha1).digest()
    signed = f"MNS {keys.access_key_id}:{base64.b64encode(digest).decode()}"
    connection = http.client.HTTPConnection(*place.decode().split(":"))
    headers = {"date": date, "x-mns-version": "2015-06-06", "authorization": signed}
    connection.request("POST", path, body, {**headers, "security-token": keys.security_token})
    assert connection.getresponse().status == 201
"""
    server = serve(funcraft(code.replace("KIND", kind), **({"t": {"TopicName": "news"}} if kind == "topics" else {})))
    place = f"127.0.0.1:{server.port}"
    if kind == "topics":
        publish(server, place)
    else:
        trigger = {"triggerName": "t", "triggerType": "eventbridge", "triggerConfig": QUEUE}
        assert server.manage("POST", "/2016-08-15/services/demo/functions/tick/triggers", trigger).status == 200
        ask = Client(server)
        wait_until(lambda: ask("GET", "/queues/news").status == 200, "the queue that the trigger names")
        assert ask.send("news", place).status == 201
    wait_until(lambda: server.manage("GET", "/pyfc/events").json["events"], "the end of the loop")
    (kept,) = server.manage("GET", "/pyfc/events").json["events"]
    found = server.manage("GET", f"/pyfc/events/{kept['requestId']}").json

    assert (found["status"], found["condition"]) == ("Failed", "LoopDetected")
    assert len(fired(server)) == 17
    status, why, _ = pyfc("why", kept["requestId"], "--endpoint", server.endpoint)
    assert (status, "17 calls have led to each other" in why) == (0, True), why


@pytest.mark.parametrize("kind", ["topics", "queues"])
def test_one_of_what_was_deleted_says_so_in_the_list_of_triggers(serve: Callable[..., Server], kind: str) -> None:
    server = serve(funcraft())
    topic = {"triggerType": "mns_topic", "sourceArn": ARN, "triggerConfig": {}}
    trigger = topic if kind == "topics" else {"triggerType": "eventbridge", "triggerConfig": QUEUE}
    path = "/2016-08-15/services/demo/functions/tick/triggers"
    assert server.manage("POST", path, {"triggerName": "t", **trigger}).status == 200
    ask = Client(server)
    wait_until(lambda: ask("GET", f"/{kind}/news").status == 200, "what the trigger names")

    def row() -> dict[str, Any]:
        (found,) = server.manage("GET", "/pyfc/triggers").json["triggers"]
        return dict(found)

    wait_until(lambda: row()["state"] == "ready", "a trigger that is ready")
    assert ask("DELETE", f"/{kind}/news").status == 204
    deleted = row()
    assert (deleted["state"], deleted["error"].partition(":")[0]) == ("failing", f"{kind[:-1]} news is not there")
    assert ask.create(f"{kind}/news").status == 201
    assert row()["state"] == "ready"


@pytest.mark.parametrize("kind", ["queues", "topics"])
def test_a_destination_that_is_here_has_what_became_of_a_call(serve: Callable[..., Server], kind: str) -> None:
    server = serve(funcraft())
    ask = Client(server)
    for name in ("queues/results", "topics/results"):
        ask.create(name)
    endpoint = "acs:mns:cn-hangzhou:1234567890123456:queues/results"
    body = xml("Subscription", Endpoint=endpoint, NotifyContentFormat="SIMPLIFIED")
    assert ask("PUT", "/topics/results/subscriptions/s", body).status == 201
    arn = f"acs:mns:cn-hangzhou:1234567890123456:/{kind}/results/messages"
    config = {"destinationConfig": {"onSuccess": {"destination": arn}}}
    path = "/2016-08-15/services/demo/functions/tick/async-invoke-config"
    assert server.manage("PUT", path, config).status == 200
    answer = server.invoke("demo/tick", b"asked", X_Fc_Invocation_Type="Async")
    told = json.loads(ask.receive("results", wait=20).fields["MessageBody"])

    assert told["requestContext"]["requestId"] == answer.headers["X-Fc-Request-Id"]
    assert (told["requestPayload"], told["responseContext"]["statusCode"]) == ("asked", 200)
