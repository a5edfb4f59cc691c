"""PostObject: forms that upload files, and what their policies allow."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import psutil
import pytest

from objects import BUCKET, Answer, Client
from pyfc.auth.keys import Key, Keys
from pyfc.cloud.oss.faults import Fault
from pyfc.cloud.oss.policy import Range, checked, verified
from support import Server

BOUNDARY = "9431149156168"
LATER = "2099-01-01T00:00:00.000Z"
MEBIBYTE = 1024 * 1024


@pytest.fixture(scope="module")
def server(shared: Server) -> Server:
    Client(shared)("PUT")
    return shared


@pytest.fixture
def ask(server: Server) -> Client:
    return Client(server)


@pytest.fixture
def key(server: Server) -> Key:
    return Keys(server.data_dir).first()[0]


def policy(*conditions: object, expiration: str = LATER) -> str:
    return base64.b64encode(json.dumps({"expiration": expiration, "conditions": conditions}).encode()).decode()


def v1(key: Key, text: str) -> dict[str, str]:
    digest = hmac.new(key.secret.encode(), text.encode(), hashlib.sha1).digest()
    return {"OSSAccessKeyId": key.id, "policy": text, "Signature": base64.b64encode(digest).decode()}


def v4(key: Key, text: str) -> dict[str, str]:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{stamp[:8]}/cn-hangzhou/oss/aliyun_v4_request"
    made = f"aliyun_v4{key.secret}".encode()
    for part in scope.split("/"):
        made = hmac.new(made, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(made, text.encode(), hashlib.sha256).hexdigest()
    return {"x-oss-signature-version": "OSS4-HMAC-SHA256", "x-oss-credential": f"{key.id}/{scope}",
            "x-oss-date": stamp, "x-oss-signature": signature, "policy": text}  # fmt: skip


def form(fields: Mapping[str, str], file: bytes | None = b"hello", name: str = "dir/a.txt", kind: str = "") -> bytes:
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'.encode()
        for field, value in fields.items()
    ]
    if file is not None:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        parts.append(f"{head}{f'Content-Type: {kind}{chr(13)}{chr(10)}' if kind else ''}\r\n".encode() + file + b"\r\n")
    parts.append(f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="submit"\r\n\r\nUpload\r\n'.encode())
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def post(server: Server, body: Any, bucket: str = BUCKET, **headers: str) -> Answer:
    given = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}", **headers}
    return Answer.lowered(server.request("POST", f"/{bucket}", body, given))


@pytest.mark.parametrize("sign", [v1, v4])
def test_a_signed_form_uploads_a_file(ask: Client, key: Key, sign: Any) -> None:
    fields = {"key": f"{sign.__name__}/${{filename}}", "x-oss-meta-who": "ada", "Cache-Control": "no-cache",
              **sign(key, policy({"bucket": BUCKET}, ["starts-with", "$key", sign.__name__]))}  # fmt: skip
    answer = post(ask.server, form(fields, kind="text/plain"))
    got = ask("GET", f"{sign.__name__}/a.txt")

    assert (answer.status, answer.body, answer.headers["etag"]) == (204, b"", '"5D41402ABC4B2A76B9719D911017C592"')
    assert (got.status, got.body) == (200, b"hello")
    assert (got.headers["content-type"], got.headers["x-oss-meta-who"], got.headers["cache-control"]) == (
        "text/plain", "ada", "no-cache",
    )  # fmt: skip


def test_what_is_answered_can_be_chosen(ask: Client, key: Key) -> None:
    signed = v1(key, policy({"bucket": BUCKET}))
    made = post(ask.server, form({"key": "a&b", "success_action_status": "201", **signed}))
    plain = post(ask.server, form({"key": "k", "success_action_status": "200", **signed}))
    other = post(ask.server, form({"key": "k", "success_action_status": "404", **signed}))
    sent = post(ask.server, form({"key": "k&", "success_action_redirect": "https://h.example/done?a=b", **signed}))

    assert (made.status, made.text("Key"), made.text("Bucket")) == (201, "a&b", BUCKET)
    assert (plain.status, other.status) == (200, 204)
    assert sent.status == 303
    assert sent.headers["location"] == (
        "https://h.example/done?a=b&bucket=photos&key=k%26&etag=%225D41402ABC4B2A76B9719D911017C592%22"
    )


def test_a_file_of_another_type_than_its_own_can_be_kept(ask: Client, key: Key) -> None:
    signed = v1(key, policy(["eq", "$content-type", "image/png"]))
    answer = post(ask.server, form({"key": "t", "x-oss-content-type": "image/png", **signed}, kind="text/plain"))

    assert answer.status == 204
    assert ask("HEAD", "t").headers["content-type"] == "image/png"


@pytest.mark.parametrize(
    ("fields", "conditions", "code", "message"),
    [
        ({"key": "other/a"}, [["starts-with", "$key", "user/"]], "AccessDenied", 'failed: ["starts-with", "$key"'),
        ({"key": "a"}, [["eq", "$x-oss-meta-a", "b"]], "AccessDenied", "Policy Condition failed"),
        ({"key": "a"}, [{"bucket": "films"}], "AccessDenied", "Policy Condition failed"),
        ({"key": "a"}, [["in", "$key", ["b", "c"]]], "AccessDenied", "Policy Condition failed"),
        ({"key": "a"}, [["not-in", "$key", ["a"]]], "AccessDenied", "Policy Condition failed"),
        ({"key": "a"}, [["content-length-range", 6, 10]], "EntityTooSmall", "smaller"),
        ({"key": "a"}, [["content-length-range", 1, 4]], "EntityTooLarge", "maximum"),
        ({"key": "a"}, [["like", "$key", "a"]], "InvalidPolicyDocument", "OPERATOR"),
        ({"key": "a"}, [["eq", "key", "a"]], "InvalidPolicyDocument", "begins with $"),
        ({"key": "a"}, [["content-length-range", "1", 4]], "InvalidPolicyDocument", "two numbers"),
        ({"key": ""}, [], "InvalidArgument", 'a field named "key"'),
        ({"key": "/a"}, [], "InvalidObjectName", "slash"), ({"key": "k" * 1024}, [], "InvalidObjectName", "1023"),
        ({"key": "a", "x-oss-meta-a": "b\nc"}, [], "InvalidArgument", "characters"),
        ({"key": "a", "success_action_redirect": "javascript:x"}, [], "InvalidArgument", "no address"),
        ({"key": "a", "x-oss-meta-a": "x" * 40_000}, [], "FieldItemTooLong", "32768"),
        ({"key": "a", **{f"f{number}": "x" for number in range(100)}}, [], "FieldItemTooLong", "100 fields"),
    ],
)  # fmt: skip
def test_what_a_form_may_not_hold_is_refused_and_nothing_is_kept(
    ask: Client, key: Key, fields: dict[str, str], conditions: list[Any], code: str, message: str
) -> None:
    answer = post(ask.server, form({**v1(key, policy(*conditions)), **fields}))

    assert (answer.code, message in answer.text("Message")) == (code, True)
    assert ask("GET", "a").code == "NoSuchKey"


def test_who_may_not_write_is_refused(ask: Client, key: Key) -> None:
    text = policy()
    wrong = {**v1(key, text), "Signature": "x"}

    assert post(ask.server, form({"key": "a"})).code == "AccessDenied"
    assert post(ask.server, form({"key": "a", **wrong})).code == "SignatureDoesNotMatch"
    assert post(ask.server, form({"key": "a", **v1(key, text), "OSSAccessKeyId": "x"})).code == "InvalidAccessKeyId"
    assert post(ask.server, form({"key": "a", "policy": text})).code == "InvalidArgument"
    expired = v1(key, policy(expiration="2020-01-01T00:00:00Z"))
    assert post(ask.server, form({"key": "a", **expired})).code == "AccessDenied"
    elsewhere = post(ask.server, form({"key": "a", **v1(key, text)}), "", Host="films.oss-cn-hangzhou.aliyuncs.com")
    assert elsewhere.code == "NoSuchBucket"
    assert ask("GET", "a").code == "NoSuchKey"


def test_anybody_may_post_where_the_acl_says_so(ask: Client) -> None:
    assert ask("PUT", bucket="open", x_oss_acl="public-read-write").status == 200

    assert post(ask.server, form({"key": "a"}), bucket="open").status == 204
    assert ask("GET", "a", bucket="open").body == b"hello"


def test_what_is_there_can_be_protected(ask: Client, key: Key) -> None:
    signed = {"key": "once", "x-oss-forbid-overwrite": "true", **v1(key, policy())}

    assert post(ask.server, form(signed)).status == 204
    assert post(ask.server, form(signed, b"other")).code == "FileAlreadyExists"


@pytest.mark.parametrize(
    "body",
    [b"", b"no form", f"--{BOUNDARY}\r\nA: b\r\n\r\nc\r\n--{BOUNDARY}--".encode(),
     f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="f'.encode(), b"\r\n" * 50],
)  # fmt: skip
def test_what_is_no_form_is_malformed(ask: Client, key: Key, body: bytes) -> None:
    assert post(ask.server, body).code == "MalformedPOSTRequest"


def test_a_form_without_its_end_keeps_nothing(ask: Client, key: Key) -> None:
    whole = form({"key": "half", **v1(key, policy())})

    assert post(ask.server, whole[:-4]).code == "MalformedPOSTRequest"
    assert post(ask.server, whole[: whole.index(b"hello") + 3]).code == "MalformedPOSTRequest"
    assert ask("GET", "half").code == "NoSuchKey"


def test_a_form_has_one_file(ask: Client, key: Key) -> None:
    answer = post(ask.server, form({"key": "a", **v1(key, policy())}, None))

    assert (answer.status, answer.code) == (400, "IncorrectNumberOfFilesInPOSTRequest")


def test_a_file_holds_anything_and_comes_in_any_pieces(ask: Client, key: Key) -> None:
    content = (f"\r\n--{BOUNDARY[:-1]}x\r\n--\r\n\r".encode() + bytes(range(256))) * 300
    body = form({"key": "any", **v1(key, policy())}, content)

    for size in (1009, 17):
        pieces = (body[at : at + size] for at in range(0, len(body), size))
        assert post(ask.server, pieces).status == 204
        assert ask("GET", "any").body == content


def test_a_large_file_is_never_in_memory(ask: Client, key: Key) -> None:
    head, _, tail = form({"key": "large", **v1(key, policy())}, b"CONTENT").partition(b"CONTENT")
    piece, count = b"x" * MEBIBYTE, 160
    process = psutil.Process(ask.server.process.pid)
    assert post(ask.server, iter([head, piece, tail])).status == 204
    before = process.memory_info().rss
    most = 0

    def pieces() -> Iterator[bytes]:
        nonlocal most
        yield head
        for number in range(count):
            if number % 16 == 0:
                most = max(most, process.memory_info().rss)
            yield piece
        yield tail

    assert post(ask.server, pieces()).status == 204
    assert most - before < 20 * MEBIBYTE
    assert ask("HEAD", "large").headers["content-length"] == str(count * MEBIBYTE)


def test_conditions_of_size_are_taken_together() -> None:
    text = policy(["content-length-range", 1, 100], ["content-length-range", 10, 1000])
    fields = {"policy": text}

    assert checked(lambda name: fields.get(name, ""), time.time()) == Range(10, 100)


def test_the_credentials_of_a_function_sign_with_their_token(key: Key) -> None:
    held = Key(id="STS.a", secret="s", token="t")
    fields = {name.lower(): value for name, value in v1(held, policy()).items()}

    def find(_: str) -> Key:
        return held

    with pytest.raises(Fault, match="token"):
        verified(find, lambda name: fields.get(name, ""))
    fields["x-oss-security-token"] = "t"
    assert verified(find, lambda name: fields.get(name, "")) == held
