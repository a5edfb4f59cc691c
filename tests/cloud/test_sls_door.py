"""The log service over HTTP: the answers that SLS's clients depend on."""

from __future__ import annotations

import http.client
import json
import signal
import time
from collections.abc import Iterator

import lz4.block
import pytest

from cloud.sls_client import LOGSTORE, Client
from pyfc.cloud.sls.groups import Labels, Log, group_list, read_group, without_parts, write_group
from pyfc.cloud.sls.model import cursor_of, number_of
from support import Server

NOW = int(time.time())
LOG = Log(NOW, 7, [("message", "hello ü")])
GROUP = write_group(Labels("topic", "10.0.0.1"), [LOG])


@pytest.fixture(scope="module")
def server(shared: Server) -> Server:
    ask = Client(shared)
    assert ask("POST", "/", body={"projectName": ask.project, "description": "d"}).status == 200
    assert ask("POST", "/logstores", body={"logstoreName": LOGSTORE, "ttl": 3}).status == 200
    return shared


@pytest.fixture
def ask(server: Server) -> Client:
    return Client(server)


@pytest.fixture
def fresh(server: Server, request: pytest.FixtureRequest) -> Iterator[Client]:
    """A client of a project of its own, with an empty logstore."""
    ask = Client(server, f"fresh-{abs(hash(request.node.name))}")
    ask("POST", "/", body={"projectName": ask.project, "description": ""})
    ask("POST", "/logstores", body={"logstoreName": LOGSTORE, "ttl": 3})
    yield ask
    ask("DELETE", "/")


def test_what_is_put_is_pulled_as_it_was(fresh: Client) -> None:
    put = fresh.put(LOG)
    begin, end = fresh.cursor("begin"), fresh.cursor("end")
    pulled = fresh.pull(begin)

    assert (put.status, put.json) == (200, {})
    assert (pulled.status, pulled.body, pulled.headers["content-type"]) == (
        200, group_list([GROUP]), "application/x-protobuf",
    )  # fmt: skip
    wanted = {"x-log-cursor": end, "x-log-count": "1", "x-log-bodyrawsize": str(len(pulled.body))}
    assert {name: pulled.headers[name] for name in wanted} == wanted
    assert "x-log-compresstype" not in pulled.headers
    assert fresh.pull(end).headers["x-log-cursor"] == end


def test_an_empty_shard_has_one_cursor_and_no_logs(fresh: Client) -> None:
    cursor = fresh.cursor("begin")
    pulled = fresh.pull(cursor, accept_encoding="lz4")

    assert cursor == fresh.cursor("end") == fresh.cursor(NOW)
    assert (pulled.body, pulled.headers["x-log-count"], pulled.headers["x-log-bodyrawsize"]) == (b"", "0", "0")


def test_bodies_are_packed_both_ways(fresh: Client) -> None:
    body = lz4.block.compress(GROUP, store_size=False)
    fields = {"x_log_bodyrawsize": str(len(GROUP)), "x_log_compresstype": "lz4"}

    put = fresh("POST", f"/logstores/{LOGSTORE}/shards/lb", body=body, **fields)
    pulled = fresh.pull(fresh.cursor("begin"), accept_encoding="lz4")

    assert put.status == 200
    assert pulled.headers["x-log-compresstype"] == "lz4"
    size = int(pulled.headers["x-log-bodyrawsize"])
    assert lz4.block.decompress(pulled.body, uncompressed_size=size) == group_list([GROUP])


def test_a_group_may_be_sent_to_a_key_of_the_shard(fresh: Client) -> None:
    path, query = f"/logstores/{LOGSTORE}/shards/route", {"key": "0" * 32}

    assert fresh("POST", path, query, GROUP).status == 200
    assert fresh.pull(fresh.cursor("begin")).headers["x-log-count"] == "1"


def test_the_oldest_client_of_node_gets_no_nanoseconds(fresh: Client) -> None:
    fresh.put(LOG)
    pulled = fresh.pull(fresh.cursor("begin"), user_agent="aliyun-sdk-nodejs/1.12.10 Node.js")

    assert without_parts(GROUP) != GROUP
    assert pulled.body == group_list([without_parts(GROUP)])


def test_cursors_go_on_from_group_to_group(fresh: Client) -> None:
    for number in range(3):
        fresh.put(LOG._replace(contents=[("n", str(number))]))
    shard = f"/logstores/{LOGSTORE}/shards/0"
    first = fresh("GET", shard, {"type": "log", "cursor": fresh.cursor("begin"), "count": 2})
    bounded = fresh(
        "GET", shard,
        {"type": "log", "cursor": fresh.cursor("begin"), "end_cursor": first.headers["x-log-cursor"], "count": 9},
    )  # fmt: skip
    rest = fresh.pull(first.headers["x-log-cursor"])

    assert [each.headers["x-log-count"] for each in (first, bounded, rest)] == ["2", "2", "1"]
    assert read_group(rest.body[2:]).places
    assert rest.headers["x-log-cursor"] == fresh.cursor("end")


def test_a_cursor_has_a_time_and_a_time_a_cursor(fresh: Client) -> None:
    fresh.put(LOG)
    shard = f"/logstores/{LOGSTORE}/shards/0"
    begin = fresh.cursor("begin")
    found = fresh("GET", shard, {"type": "cursor_time", "cursor": begin}).json["cursor_time"]

    assert abs(found - time.time()) < 60
    assert fresh.cursor(found) == begin
    assert fresh.cursor(found + 3600) == fresh.cursor("end")


def test_cursors_begin_with_the_time_at_which_the_file_was_made(ask: Client) -> None:
    assert abs(number_of(ask.cursor("begin")) / 1e9 - time.time()) < 3600


@pytest.mark.parametrize("cursor", ["", "xx", "MTI", "/w==", cursor_of(-1), cursor_of(2**63), "MQ==" * 20])
def test_a_cursor_that_is_none_is_refused(ask: Client, cursor: str) -> None:
    answer = ask.pull(cursor)

    assert (answer.status, answer.code) == (400, "InvalidCursor")


def test_a_cursor_beyond_the_end_has_no_time(ask: Client) -> None:
    query = {"type": "cursor_time", "cursor": cursor_of(2**62)}

    assert ask("GET", f"/logstores/{LOGSTORE}/shards/0", query).code == "InvalidCursor"


def test_there_is_one_shard(ask: Client) -> None:
    (shard,) = ask("GET", f"/logstores/{LOGSTORE}/shards").json

    assert (shard["shardID"], shard["status"]) == (0, "readwrite")
    assert ask("GET", f"/logstores/{LOGSTORE}/shards/1", {"type": "cursor", "from": "end"}).code == "ShardNotExist"


def test_projects_are_made_changed_and_forgotten(server: Server) -> None:
    ask = Client(server, "coming-and-going")
    made = ask("POST", "/", body={"projectName": ask.project, "description": "one"})
    again = ask("POST", "/", body={"projectName": ask.project})
    ask("PUT", "/", body={"description": "two"})
    found = ask("GET", "/").json
    listed = ask("GET", "/", {"projectName": "coming"}, host="cn-hangzhou.log.aliyuncs.com").json
    ask("POST", "/logstores", body={"logstoreName": LOGSTORE})
    gone = ask("DELETE", "/")

    assert (made.status, again.code, gone.status) == (200, "ProjectAlreadyExist", 200)
    assert (found["projectName"], found["description"], found["status"]) == (ask.project, "two", "Normal")
    assert [each["projectName"] for each in listed["projects"]] == [ask.project]
    assert (ask("GET", "/").code, ask("GET", "/logstores").code) == ("ProjectNotExist", "ProjectNotExist")


def test_a_client_that_says_no_project_in_the_host_makes_that_of_the_body(server: Server) -> None:
    ask = Client(server, "of-the-body")
    made = [
        ask("POST", "/", body={"projectName": ask.project}, host=f"{host}cn-hangzhou.log.aliyuncs.com").status
        for host in ("undefined.", "other.")
    ]
    found = ask("GET", "/")
    ask("DELETE", "/")

    assert (made, found.status) == ([200, 400], 200)


def test_an_answer_without_a_body_does_not_say_that_it_is_json(fresh: Client) -> None:
    answer = fresh("PUT", "/", body={"description": "two"})

    assert (answer.status, answer.body, answer.headers.get("content-type")) == (200, b"", None)


def test_logstores_are_made_changed_and_forgotten(fresh: Client) -> None:
    path = "/logstores/errors"
    made = fresh("POST", "/logstores", body={"logstoreName": "errors", "ttl": 1, "shardCount": 2, "autoSplit": True})
    again = fresh("POST", "/logstores", body={"logstoreName": "errors"})
    changed = fresh("PUT", path, body={"logstoreName": "errors", "ttl": 2})
    found = fresh("GET", path).json
    listed = fresh("GET", "/logstores", {"offset": 0, "size": 10}).json
    fresh.put(LOG, logstore="errors")
    gone = fresh("DELETE", path)

    assert (made.status, again.code, changed.status, gone.status) == (200, "LogStoreAlreadyExist", 200, 200)
    assert (found["ttl"], found["shardCount"], found["autoSplit"], found["enable_tracking"]) == (2, 1, True, False)
    assert listed == {"count": 2, "total": 2, "logstores": [LOGSTORE, "errors"]}
    assert fresh("GET", path).code == fresh.put(LOG, logstore="errors").code == "LogStoreNotExist"


def test_a_logstore_of_the_name_of_one_before_is_empty(fresh: Client) -> None:
    fresh.put(LOG)
    end = fresh.cursor("end")
    fresh("DELETE", f"/logstores/{LOGSTORE}")
    fresh("POST", "/logstores", body={"logstoreName": LOGSTORE})

    assert fresh.cursor("begin") == fresh.cursor("end") == end


def test_an_index_is_kept_as_it_was_written(fresh: Client) -> None:
    path = f"/logstores/{LOGSTORE}/index"
    index = {"line": {"token": [" "], "caseSensitive": False}, "keys": {"status": {"type": "long", "doc_value": True}}}
    before = fresh("GET", path)
    made = fresh("POST", path, body={**index, "ttl": 7})
    again = fresh("POST", path, body=index)
    fresh("PUT", path, body={"line": index["line"]})
    found = fresh("GET", path).json
    fresh("DELETE", path)

    assert (before.status, before.code) == (404, "IndexConfigNotExist")
    assert (made.status, again.code) == (200, "IndexAlreadyExist")
    assert (found["line"], "keys" in found, found["ttl"]) == (index["line"], False, 3)
    assert fresh("GET", path).code == "IndexConfigNotExist"


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("POST", "/", {"projectName": "A"}, "ParameterInvalid"),
        ("POST", "/", b"[]", "PostBodyInvalid"),
        ("POST", "/", b"{", "PostBodyInvalid"),
        ("POST", "/logstores", b"[" * 100_000, "PostBodyInvalid"),
        ("POST", "/logstores", {"logstoreName": "../x"}, "LogStoreInfoInvalid"),
        ("POST", "/logstores", {"logstoreName": "aa", "ttl": "x"}, "LogStoreInfoInvalid"),
        ("POST", "/logstores", {"logstoreName": "aa", "ttl": 0}, "LogStoreInfoInvalid"),
        ("POST", "/logstores", {"logstoreName": "aa", "mode": 1}, "LogStoreInfoInvalid"),
        ("POST", "/logstores/access/index", {}, "IndexInfoInvalid"),
        ("POST", "/logstores/access/index", {"keys": []}, "IndexInfoInvalid"),
        ("POST", "/logstores/access/index", {"line": 1}, "IndexInfoInvalid"),
        ("POST", "/logstores/access/index", {"keys": {"a": 1}}, "IndexInfoInvalid"),
        ("POST", "/logstores/access/shards/lb", b"\x0a\x05", "PostBodyInvalid"),
        # its bytes have the time in them: workers that run tests must find the same names
        pytest.param("POST", "/logstores/nope/shards/lb", GROUP, "LogStoreNotExist", id="a group for no logstore"),
        ("GET", "/logstores/access/shards/0", None, "ParameterInvalid"),
        ("GET", "/logstores?size=x", None, "ParameterInvalid"),
        ("GET", "/machinegroups", None, "NotSupported"),
    ],
    ids=str,
)  # fmt: skip
def test_what_a_client_does_wrong_is_told_in_sls_words(
    ask: Client, method: str, path: str, body: object, code: str
) -> None:
    place, _, query = path.partition("?")
    answer = ask(method, place, dict([query.split("=")]) if query else None, body)

    assert (answer.status < 500, answer.code) == (True, code)
    assert answer.json["errorMessage"]
    assert answer.headers["x-log-requestid"]


def test_a_body_that_is_too_large_is_refused(ask: Client) -> None:
    answer = ask("POST", f"/logstores/{LOGSTORE}/shards/lb", body=bytes(30 * 1024 * 1024 + 1))

    assert (answer.status, answer.code) == (400, "PostBodyTooLarge")


def test_who_does_not_sign_is_told_so(ask: Client) -> None:
    ask.key = None
    answer = ask("GET", "/logstores")

    assert (answer.status, answer.code) == (401, "Unauthorized")


def test_who_does_not_sign_sends_no_large_body(ask: Client) -> None:
    ask.key = None
    connection = http.client.HTTPConnection(ask.server.host, ask.server.port, timeout=20)
    connection.putrequest("POST", f"/logstores/{LOGSTORE}/shards/lb", skip_host=True)
    connection.putheader("Host", f"{ask.project}.cn-hangzhou.log.aliyuncs.com")
    connection.putheader("Content-Length", str(20 * 2**20))
    connection.endheaders(b"the beginning")
    answer = connection.getresponse()  # before the rest was sent
    connection.close()

    assert answer.status == 401


def test_a_client_of_a_plain_address_that_does_not_say_its_project_is_told_so(server: Server, ask: Client) -> None:
    other = Client(server, "another-one")
    other("POST", "/", body={"projectName": other.project})
    plain = ask("GET", "/logstores", host=f"127.0.0.1:{server.port}")
    named = ask("GET", "/logstores", host=f"{ask.project}.127.0.0.1")
    other("DELETE", "/")

    assert plain.code == "ProjectNotSpecified"
    assert named.json["logstores"] == [LOGSTORE]
    assert ask("GET", "/logstores", host="127.0.0.1").json["logstores"] == [LOGSTORE]


def _proxied(server: Server, method: str, target: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=20)
    connection.putrequest(method, target, skip_host=True)
    connection.putheader("Host", "anything")
    connection.endheaders()
    answer = connection.getresponse()
    found = (answer.status, answer.read())
    connection.close()
    return found


def test_the_server_is_a_proxy_for_its_doors_only(server: Server) -> None:
    status, body = _proxied(server, "GET", "http://web-logs.cn-hangzhou.log.aliyuncs.com:80/logstores")

    assert (status, json.loads(body)["errorCode"]) == (401, "Unauthorized")
    assert _proxied(server, "GET", "http://example.com/")[0] == 403
    assert _proxied(server, "GET", "http://log.aliyuncs.com.example.com/logstores")[0] == 403


@pytest.mark.parametrize("target", ["example.com:443", "web-logs.cn-hangzhou.log.aliyuncs.com:443", "127.0.0.1:22"])
def test_nobody_gets_a_tunnel(server: Server, target: str) -> None:
    assert 400 <= _proxied(server, "CONNECT", target)[0] < 500


@pytest.mark.long
def test_everything_is_there_after_a_restart(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder, data = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("data") / "data"
    server = Server(folder, data)
    ask = Client(server)
    ask("POST", "/", body={"projectName": ask.project})
    ask("POST", "/logstores", body={"logstoreName": LOGSTORE})
    ask.put(LOG)
    begin = ask.cursor("begin")
    server.stop(signal.SIGKILL)
    server = Server(folder, data)
    try:
        ask = Client(server)
        assert ask.pull(begin).body == group_list([GROUP])
        assert ask.put(LOG).status == 200
        assert ask.pull(begin).headers["x-log-count"] == "2"
    finally:
        server.stop()
