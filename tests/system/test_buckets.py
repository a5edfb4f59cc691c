"""Triggers of buckets, in a real server: what happens to objects calls functions."""

from __future__ import annotations

import base64
import io
import json
import re
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from objects import BUCKET, Client
from support import Server, pyfc, wait_until

CODE = """
def handler(event, context):
    print("fired", context.request_id, event.decode())
"""
API = "/2016-08-15/services/demo/functions/tick/triggers"
CREATED = "oss:ObjectCreated:*"


def bucket(*events: str, prefix: str = "", suffix: str = "", **more: object) -> dict[str, Any]:
    key = {"Prefix": prefix, "Suffix": suffix}
    properties = {"BucketName": BUCKET, "Events": [*events] or [CREATED], "Filter": {"Key": key}, **more}
    return {"Type": "OSS", "Properties": properties}


def project(code: str = CODE, **events: dict[str, Any]) -> dict[str, str]:
    function = {
        "Type": "Aliyun::Serverless::Function",
        "Properties": {"Handler": "index.handler", "Runtime": "python3", "CodeUri": "./"},
        "Events": events,
    }
    service = {"Type": "Aliyun::Serverless::Service", "tick": function}
    template = {"Transform": "Aliyun::Serverless-2018-04-03", "Resources": {"demo": service}}
    return {"index.py": code, "template.yml": json.dumps(template)}


def fired(server: Server, function: str = "tick") -> list[dict[str, Any]]:
    """The events that have come, in order."""
    lines = [json.loads(line)["log"] for line in server.log("demo", function).splitlines() if '"log"' in line]
    return [json.loads(event)["events"][0] for event in re.findall(r"fired \S+ (\{.*\})", "\n".join(lines))]


def told(server: Server) -> list[tuple[str, str]]:
    return [(each["eventName"], each["oss"]["object"]["key"]) for each in fired(server)]


def states(server: Server) -> dict[str, dict[str, Any]]:
    return {row["trigger"]: row for row in server.manage("GET", "/pyfc/triggers").json["triggers"]}


def test_an_object_that_is_put_calls_the_function_with_what_oss_tells(serve: Callable[..., Server]) -> None:
    server = serve(project(new=bucket(prefix="in/", suffix=".png")))
    ask = Client(server)

    put = ask("PUT", "in/a b+ü.png", body=b"hello", content_type="image/png")
    ask("PUT", "out/a.png", body=b"hello")
    ask("PUT", "in/a.txt", body=b"hello")
    ask("PUT", "in/a b+ü.png", body=b"hello!!", content_type="image/png")

    assert put.status == 200, "the bucket that a trigger names is there"
    wait_until(lambda: len(fired(server)) == 2, "two events")
    first, second = fired(server)
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d\d\dZ", first.pop("eventTime"))
    assert re.fullmatch("[0-9a-f]{40}", first["oss"].pop("ruleId"))
    account = "1234567890123456"
    assert first == {
        "eventName": "ObjectCreated:PutObject", "eventSource": "acs:oss", "eventVersion": "1.0",
        "oss": {
            "bucket": {
                "arn": f"acs:oss:cn-hangzhou:{account}:{BUCKET}", "name": BUCKET, "ownerIdentity": account,
                "virtualBucket": "",
            },
            "object": {
                "deltaSize": 5, "eTag": "5D41402ABC4B2A76B9719D911017C592", "key": "in/a b+ü.png", "size": 5,
                "objectMeta": {"mimeType": "image/png"},
            },
            "ossSchemaVersion": "1.0",
        },
        "region": "cn-hangzhou", "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {"requestId": put.headers["x-oss-request-id"]},
        "userIdentity": {"principalId": account},
    }  # fmt: skip
    assert (second["oss"]["object"]["deltaSize"], second["oss"]["object"]["size"]) == (2, 7)
    row = states(server)["new"]
    assert (row["state"], row["fired"], row["error"]) == ("ready", 2, "")
    status, table, _ = pyfc("triggers", "--endpoint", server.endpoint, PYFC_DATA_DIR=str(server.data_dir))
    assert (status, bool(re.search(r"demo/tick:new +oss +ready +20\S+ \S+ +- +2", table))) == (0, True), table
    assert ask("PUT").code == "BucketAlreadyExists"


def test_every_operation_has_its_own_event_and_those_of_a_key_come_in_order(serve: Callable[..., Server]) -> None:
    server = serve(project(all=bucket(CREATED, "oss:ObjectRemoved:*")))
    ask = Client(server)

    ask("PUT", "k", body=b"hello")
    ask("PUT", "c", x_oss_copy_source=f"/{BUCKET}/k")
    for position in (0, 3):
        ask("POST", "log", f"append&position={position}", b"one")
    upload = ask("POST", "u", "uploads").text("UploadId")
    part = ask("PUT", "u", f"partNumber=1&uploadId={upload}", b"content")
    body = f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{part.headers['etag']}</ETag></Part>"
    ask("POST", "u", f"uploadId={upload}", f"{body}</CompleteMultipartUpload>".encode())
    given_up = ask("POST", "v", "uploads").text("UploadId")
    assert ask("PUT", "v", f"partNumber=1&uploadId={given_up}", x_oss_copy_source=f"/{BUCKET}/k").status == 200
    ask("DELETE", "v", f"uploadId={given_up}")
    ask("PUT", query="acl", x_oss_acl="public-read-write")
    fields = "".join(
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in (("key", "form"), ("file", "content"))
    )
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    assert server.request("POST", f"/{BUCKET}/", f"{fields}--x--\r\n".encode(), form).status == 204
    ask("DELETE", "k")
    ask("DELETE", "nothing")
    ask("POST", query="delete", body=b"<Delete><Object><Key>c</Key></Object><Object><Key>u</Key></Object></Delete>")

    expected = [
        ("ObjectCreated:PutObject", "k"), ("ObjectCreated:CopyObject", "c"), ("ObjectCreated:AppendObject", "log"),
        ("ObjectCreated:AppendObject", "log"), ("ObjectCreated:InitiateMultipartUpload", "u"),
        ("ObjectCreated:UploadPart", "u"), ("ObjectCreated:CompleteMultipartUpload", "u"),
        ("ObjectCreated:InitiateMultipartUpload", "v"), ("ObjectCreated:UploadPartCopy", "v"),
        ("ObjectCreated:PostObject", "form"), ("ObjectRemoved:AbortMultipartUpload", "v"),
        ("ObjectRemoved:DeleteObject", "k"), ("ObjectRemoved:DeleteObjects", "c"),
        ("ObjectRemoved:DeleteObjects", "u"),
    ]  # fmt: skip
    wait_until(lambda: len(fired(server)) >= len(expected), "all events")
    assert sorted(told(server)) == sorted(expected)
    sizes = {each["eventName"]: each["oss"]["object"] for each in fired(server)}
    assert sizes["ObjectCreated:AppendObject"]["deltaSize"] == 3
    assert sizes["ObjectRemoved:DeleteObject"]["deltaSize"] == -5


def test_a_change_of_what_is_said_of_an_object_has_an_event_without_any_of_its_content(
    serve: Callable[..., Server],
) -> None:
    server = serve(project(changed=bucket("oss:ObjectModified:UpdateObjectMeta", prefix="in/")))
    ask = Client(server)

    ask("PUT", "in/k", body=b"hello", content_type="image/png")
    ask("PUT", "out/k", body=b"hello")
    tags = b"<Tagging><TagSet><Tag><Key>color</Key><Value>red</Value></Tag></TagSet></Tagging>"
    asked = [
        ask("PUT", "in/k", "acl", x_oss_object_acl="public-read"),
        ask("PUT", "in/k", "tagging", tags),
        ask("DELETE", "in/k", "tagging"),
    ]
    assert ask("PUT", "in/k", "acl", x_oss_object_acl="none").code == "InvalidArgument"
    assert ask("PUT", "in/none", "tagging", tags).code == "NoSuchKey"
    ask("PUT", "out/k", "tagging", tags)

    wait_until(lambda: len(fired(server)) >= len(asked), "three events")
    told = fired(server)
    assert [each["eventName"] for each in told] == ["ObjectModified:UpdateObjectMeta"] * 3
    assert [each["oss"]["object"] for each in told] == [{
        "key": "in/k", "size": 5, "deltaSize": 0, "eTag": "5D41402ABC4B2A76B9719D911017C592",
        "objectMeta": {"mimeType": "image/png"},
    }] * 3  # fmt: skip
    numbers = {answer.headers["x-oss-request-id"] for answer in asked}
    assert {each["responseElements"]["requestId"] for each in told} == numbers


def test_a_trigger_of_the_api_fires_until_it_is_switched_off_or_deleted(serve: Callable[..., Server]) -> None:
    server = serve(project())
    ask = Client(server)
    arn = f"acs:oss:cn-hangzhou:1234567890123456:{BUCKET}"
    config = {"events": ["oss:ObjectCreated:PutObject"], "filter": {"key": {"prefix": "a/", "suffix": ""}}}
    document = {"triggerName": "t", "triggerType": "oss", "sourceArn": arn, "invocationRole": "r",
                "triggerConfig": config}  # fmt: skip

    assert server.manage("POST", API, {**document, "triggerConfig": {"events": ["oss:ObjectEaten:*"]}}).status == 400
    made = server.manage("POST", API, document).json
    assert (made["sourceArn"], made["invocationRole"]) == (arn, "r")
    assert ask("PUT", "a/1", body=b"x").status == 200, "its bucket is there as soon as it is answered"
    wait_until(lambda: told(server) == [("ObjectCreated:PutObject", "a/1")], "the first event")

    clash = {**document, "triggerName": "other", "triggerConfig": {"events": [CREATED]}}
    answer = server.manage("POST", API, clash)
    assert answer.status == 400
    assert answer.json == {
        "ErrorCode": "InvalidArgument",
        "ErrorMessage": "event source 'oss' returned error: Cannot specify overlapping prefix and suffix with same "
        f"event type. The other trigger of bucket {BUCKET} is demo/tick:t",
    }
    beside = {**clash, "triggerConfig": {"events": [CREATED], "filter": {"key": {"prefix": "b/"}}}}
    assert server.manage("POST", API, beside).status == 200
    assert server.manage("PUT", f"{API}/other", {"triggerConfig": config}).status == 400
    for number in range(8):
        own = {"events": [CREATED], "filter": {"key": {"prefix": f"{number}/"}}}
        answer = server.manage("POST", API, {**document, "triggerName": f"n{number}", "triggerConfig": own})
        assert answer.status == 200
    more = {"events": [CREATED], "filter": {"key": {"prefix": "more/"}}}
    answer = server.manage("POST", API, {**document, "triggerName": "more", "triggerConfig": more})
    assert (answer.status, "10 triggers" in answer.json["ErrorMessage"]) == (400, True)

    assert server.manage("PUT", f"{API}/t", {"triggerConfig": {**config, "enable": False}}).status == 200
    ask("PUT", "a/2", body=b"x")
    assert server.manage("DELETE", f"{API}/other").status == 204
    ask("PUT", "b/1", body=b"x")
    assert server.manage("PUT", f"{API}/t", {"triggerConfig": {**config, "enable": True}}).status == 200
    ask("PUT", "a/3", body=b"x")
    wait_until(lambda: len(told(server)) == 2, "the next event")
    assert told(server)[1] == ("ObjectCreated:PutObject", "a/3")


def test_a_file_that_is_dropped_into_the_folder_calls_the_function_and_is_listed(serve: Callable[..., Server]) -> None:
    server = serve(project(new=bucket(prefix="in/")))
    folder, ask = server.data_dir / "buckets" / BUCKET, Client(server)

    wait_until(folder.is_dir, "the folder of the bucket")
    (folder / "in").mkdir()
    (folder / "in" / "photo.jpg").write_bytes(b"hello")
    wait_until(lambda: told(server) == [("ObjectCreated:PutObject", "in/photo.jpg")], "the event")
    assert fired(server)[0]["oss"]["object"] == {
        "deltaSize": 5, "eTag": "5D41402ABC4B2A76B9719D911017C592", "key": "in/photo.jpg", "size": 5,
        "objectMeta": {"mimeType": "image/jpeg"},
    }  # fmt: skip
    assert ask("GET").texts("Key") == ["in/photo.jpg"]
    assert ask("DELETE").code == "BucketNotEmpty"


LOOP = """
import base64, hashlib, hmac, http.client
from email.utils import formatdate

def handler(event, context):
    print("fired", context.request_id, event.decode())
    key, date = context.credentials, formatdate(usegmt=True)
    token = f"x-oss-security-token:{key.security_token}"
    text = f"PUT\\n\\n\\n{date}\\n{token}\\n/photos/again"
    digest = hmac.new(key.access_key_secret.encode(), text.encode(), hashlib.sha1).digest()
    headers = {"Date": date, "x-oss-security-token": key.security_token,
               "Authorization": f"OSS {key.access_key_id}:{base64.b64encode(digest).decode()}"}
    connection = http.client.HTTPConnection("127.0.0.1", PORT)
    connection.request("PUT", "/photos/again", b"x", headers)
    print("put", connection.getresponse().status)
"""


def archive(code: str) -> str:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as file:
        file.writestr("index.py", code)
    return base64.b64encode(held.getvalue()).decode()


@pytest.mark.parametrize("auth", ["auto", "off"])
def test_a_function_that_writes_to_the_bucket_that_fires_it_is_stopped(serve: Callable[..., Server], auth: str) -> None:
    server = serve(project(), "--auth", auth)
    document = {
        "functionName": "loop", "runtime": "python3", "handler": "index.handler",
        "code": {"zipFile": archive(LOOP.replace("PORT", str(server.port)))},
    }  # fmt: skip
    assert server.manage("POST", "/2016-08-15/services/demo/functions", document).status == 200
    trigger = {
        "triggerName": "t", "triggerType": "oss", "sourceArn": f"acs:oss:cn-hangzhou:1234567890123456:{BUCKET}",
        "triggerConfig": {"events": [CREATED]},
    }  # fmt: skip
    assert server.manage("POST", "/2016-08-15/services/demo/functions/loop/triggers", trigger).status == 200

    Client(server)("PUT", "first", body=b"x")
    wait_until(lambda: server.manage("GET", "/pyfc/events").json["events"], "the end of the loop")
    (kept,) = server.manage("GET", "/pyfc/events").json["events"]
    found = server.manage("GET", f"/pyfc/events/{kept['requestId']}").json
    assert (found["status"], found["condition"]) == ("Failed", "LoopDetected")
    events = fired(server, "loop")
    assert [each["oss"]["object"]["key"] for each in events] == ["first", *["again"] * 16]
    status, why, _ = pyfc("why", kept["requestId"], "--endpoint", server.endpoint)
    assert (status, "17 calls have led to each other" in why) == (0, True), why
