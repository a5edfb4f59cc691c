"""Upload callbacks: who is asked, what they are told, and what the client hears of it."""

from __future__ import annotations

import base64
import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from objects import Answer, Client
from pyfc.cloud.oss.callback import Callback, filled
from support import Server

FORM, JSON = "application/x-www-form-urlencoded", "application/json"
BODY = "bucket=${bucket}&object=${object}&size=${size}&etag=${etag}&type=${mimeType}&who=${x:who}&none=${none}"


class Receiver(NamedTuple):
    """A server that is told of uploads."""

    port: int
    told: list[tuple[str, dict[str, str], bytes]]
    """Path, headers, body."""
    answers: dict[str, Any]
    """Status and body, for the next ones."""

    def url(self, path: str = "/told") -> str:
        return f"http://127.0.0.1:{self.port}{path}"


@pytest.fixture(scope="module")
def receiving() -> Iterator[Receiver]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.told.append((self.path, dict(self.headers), body))
            answer = found.answers["body"]
            self.send_response(500 if self.path == "/broken" else found.answers["status"])
            self.send_header("Content-Length", str(len(answer)))
            self.send_header("Location", "http://127.0.0.1:1/")
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Receiver(server.server_address[1], [], {})
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def receiver(receiving: Receiver) -> Receiver:
    receiving.told.clear()
    receiving.answers.update(status=200, body=b'{"ok": true}')
    return receiving


@pytest.fixture(scope="module")
def server(receiving: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    allowed = f"127.0.0.1:{receiving.port}"
    folder, data = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("data") / "data"
    found = Server(folder, data, "--allow-outgoing", allowed)
    Client(found)("PUT")
    yield found
    found.stop()


@pytest.fixture
def ask(server: Server) -> Client:
    return Client(server)


def packed(said: object) -> str:
    return base64.b64encode(json.dumps(said).encode()).decode()


def put(ask: Client, said: object, own: object = None, key: str = "a b.txt", body: bytes = b"hello") -> Answer:
    headers = {"x_oss_callback": said if isinstance(said, str) else packed(said)}
    if own is not None:
        headers["x_oss_callback_var"] = packed(own)
    return ask("PUT", key, body=body, content_type="text/plain", **headers)


def test_the_receiver_is_told_and_its_answer_is_the_clients(ask: Client, receiver: Receiver) -> None:
    answer = put(ask, {"callbackUrl": receiver.url(), "callbackBody": BODY}, {"x:who": "ada & co"})

    assert (answer.status, answer.body, answer.headers["content-type"]) == (200, b'{"ok": true}', JSON)
    assert answer.headers["etag"] == '"5D41402ABC4B2A76B9719D911017C592"'
    [(path, headers, body)] = receiver.told
    assert (path, headers["Content-Type"]) == ("/told", FORM)
    assert headers["x-oss-request-id"] == answer.headers["x-oss-request-id"]
    assert body.decode() == (
        "bucket=photos&object=a%20b.txt&size=5&etag=5D41402ABC4B2A76B9719D911017C592&type=text%2Fplain"
        "&who=ada%20%26%20co&none="
    )
    assert ask("GET", "a b.txt").body == b"hello"


def test_json_gets_texts_in_quotes_and_the_size_without(ask: Client, receiver: Receiver) -> None:
    body = '{"o":${object},"s":${size},"w":${x:who},"n":${none}}'
    said = {"callbackUrl": receiver.url(), "callbackBody": body, "callbackBodyType": JSON, "callbackHost": "h.example"}
    put(ask, said, {"x:who": 'a "b"'}, key="ü")

    [(_, headers, told)] = receiver.told
    assert json.loads(told) == {"o": "ü", "s": 5, "w": 'a "b"', "n": ""}
    assert (headers["Content-Type"], headers["Host"]) == (JSON, "h.example")


def test_what_a_variable_holds_is_not_filled_again() -> None:
    callback = Callback(("u",), "${x:a}&${x:b}${", FORM, "", {"x:a": "${size}", "x:b": "1"})

    assert filled(callback, {"size": "5"}) == "%24%7Bsize%7D&1${"


def test_an_upload_of_many_parts_tells_at_its_end(ask: Client, receiver: Receiver) -> None:
    upload = ask("POST", "big", "uploads").text("UploadId")
    etag = ask("PUT", "big", f"partNumber=1&uploadId={upload}", body=b"part").headers["etag"]
    assert receiver.told == []
    body = f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>"
    said = packed({"callbackUrl": receiver.url(), "callbackBody": "${size} ${operation}"})
    answer = ask("POST", "big", f"uploadId={upload}", body=f"{body}</CompleteMultipartUpload>", x_oss_callback=said)

    assert answer.body == b'{"ok": true}'
    assert receiver.told[0][2] == b"4 CompleteMultipartUpload"


def test_of_several_addresses_the_next_is_asked_until_one_answers(ask: Client, receiver: Receiver) -> None:
    urls = f"{receiver.url('/broken')};{receiver.url('/second')};{receiver.url('/third')}"
    answer = put(ask, {"callbackUrl": urls, "callbackBody": "b"})

    assert answer.status == 200
    assert [path for path, _, _ in receiver.told] == ["/broken", "/second"]


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (502, b"{}", "Error status : 502."), (302, b"{}", "Error status : 302."), (201, b"{}", "Error status : 201."),
        (200, b"ok", "Response body is not valid json format."), (200, b"", "Response body is not valid json format."),
        (200, b'"' + b"x" * 70_000 + b'"', "more than 65536 bytes"),
    ],
)  # fmt: skip
def test_a_callback_that_fails_is_told_and_the_object_stays(
    ask: Client, receiver: Receiver, status: int, body: bytes, message: str
) -> None:
    receiver.answers.update(status=status, body=body)
    answer = put(ask, {"callbackUrl": receiver.url(), "callbackBody": "b"}, key=f"stays{status}{len(body)}")

    assert (answer.status, answer.code, message in answer.text("Message")) == (203, "CallbackFailed", True)
    assert len(receiver.told) == 1
    assert ask("GET", f"stays{status}{len(body)}").body == b"hello"


def test_this_machine_is_not_asked_unless_it_is_allowed(ask: Client) -> None:
    for url in (ask.server.endpoint, "http://169.254.169.254/latest", "localhost:1/x"):
        answer = put(ask, {"callbackUrl": url, "callbackBody": "b"})
        assert (answer.status, answer.code) == (203, "CallbackFailed")
        assert "is not asked for others" in answer.text("Message")


@pytest.mark.parametrize(
    ("said", "own", "message"),
    [
        ("!", None, "base64"), ("bm8=", None, "JSON"), (packed([1]), None, "JSON"), ("A" * 6000, None, "5120 bytes"),
        ({"callbackUrl": "http://h/"}, None, "callbackBody"),
        ({"callbackUrl": "ftp://h/", "callbackBody": "b"}, None, "no address of HTTP"),
        ({"callbackUrl": "h:test", "callbackBody": "b"}, None, "callbackUrl"),
        ({"callbackUrl": ";".join(["h"] * 6), "callbackBody": "b"}, None, "1 to 5"),
        ({"callbackUrl": 1, "callbackBody": "b"}, None, "callbackUrl"),
        ({"callbackUrl": "h", "callbackBody": "b", "callbackBodyType": "text/xml"}, None, "callbackBodyType"),
        ({"callbackUrl": "h", "callbackBody": "b", "callbackHost": "a\r\nb: c"}, None, "callbackHost"),
        ({"callbackUrl": "h", "callbackBody": "b"}, {"who": "a"}, "x:"),
        ({"callbackUrl": "h", "callbackBody": "b"}, {"x:who": 1}, "texts"),
    ],
)  # fmt: skip
def test_a_callback_that_is_none_is_refused_before_anything_is_kept(
    ask: Client, said: object, own: object, message: str
) -> None:
    answer = put(ask, said, own, key="never")

    assert (answer.status, answer.code, message in answer.text("Message")) == (400, "InvalidArgument", True)
    assert ask("GET", "never").code == "NoSuchKey"


def test_without_an_address_there_is_no_callback(ask: Client) -> None:
    assert put(ask, {"callbackUrl": "", "callbackBody": "b"}).body == b""


def test_who_has_not_signed_has_nobody_asked(ask: Client, receiver: Receiver) -> None:
    assert ask("PUT", bucket="open", x_oss_acl="public-read-write").status == 200
    ask.key = None
    said = packed({"callbackUrl": receiver.url(), "callbackBody": "b"})
    answer = ask("PUT", "k", bucket="open", body=b"x", x_oss_callback=said)

    assert (answer.status, answer.code, receiver.told) == (403, "AccessDenied", [])
    assert ask("PUT", "k", bucket="open", body=b"x").status == 200
