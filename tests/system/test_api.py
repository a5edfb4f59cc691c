"""The management API: what FC's documentation says of it and its clients rely on."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import signal
import ssl
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from pyfc.auth.keys import Keys
from support import OWN_MODE_FIRST, Response, Server, impossible, read_all, server_in_mode, wait_until, zipped

API = "/2016-08-15"
NEWER = "/2023-03-30"
ECHO = "def handler(event, context):\n    return event\n"


CODE = {"zipFile": zipped({"index.py": ECHO})}
FUNCTION = {"functionName": "f", "runtime": "python3", "handler": "index.handler", "code": CODE}


def make(server: Server, service: str, *functions: str, **properties: Any) -> None:
    assert server.manage("POST", f"{API}/services", {"serviceName": service}).status == 200
    for name in functions:
        answer = server.manage(
            "POST", f"{API}/services/{service}/functions", {**FUNCTION, "functionName": name, **properties}
        )
        assert answer.status == 200, answer.body


def code_of(answer: Response) -> tuple[int, str]:
    return answer.status, answer.json.get("ErrorCode") or answer.json["Code"]


def test_names_are_matched_without_regard_to_case_and_null_means_absent(shared: Server) -> None:
    made = shared.manage("POST", f"{API}/services", {"ServiceName": "cased", "DESCRIPTION": "d", "role": None})
    assert (made.status, made.json["description"]) == (200, "d")
    document = {
        "FunctionName": "f", "Runtime": "python3", "HANDLER": "index.handler", "CAPort": None, "initializer": "",
        "InstanceLifecycleConfig": {"PreStop": {"Handler": "index.bye", "Timeout": 7}}, "Code": CODE,
        "environmentVariables": {"Timeout": "mine", "PATH": "/x"}, "nasConfig": {"UserId": -1, "MountPoints": []},
    }  # fmt: skip

    function = shared.manage("POST", f"{API}/services/cased/functions", document)

    assert function.status == 200, function.body
    assert function.json["instanceLifecycleConfig"]["preStop"] == {"handler": "index.bye", "timeout": 7}
    assert function.json["environmentVariables"] == {"Timeout": "mine", "PATH": "/x"}
    assert function.json["nasConfig"] == {"userId": -1, "mountPoints": []}


def test_a_body_may_come_in_chunks_and_be_called_octets(shared: Server) -> None:
    key = Keys(shared.data_dir).first()[0]
    assert key.may_manage
    make(shared, "chunked")
    answer = shared.manage("POST", f"{API}/services/chunked/functions", None)
    assert code_of(answer) == (400, "InvalidArgument")
    text = json.dumps(FUNCTION).encode()
    path = f"{API}/services/chunked/functions"
    headers = shared.signed_headers("POST", path, {"content-type": "application/octet-stream"})
    connection = http.client.HTTPConnection("127.0.0.1", shared.port)
    connection.request("POST", path, iter([text[:50], text[50:]]), headers, encode_chunked=True)
    answered = connection.getresponse()
    assert (answered.status, json.loads(answered.read())["functionName"]) == (200, "f")
    connection.close()


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"vpcConfig": ' + b"[" * 100_000, b'{"vpcConfig": ' + b"[" * 900 + b"]" * 900 + b"}"]
)
def test_a_body_that_is_no_object_is_the_clients_mistake(shared: Server, body: bytes) -> None:
    headers = shared.signed_headers("POST", f"{API}/services", {})

    assert code_of(shared.request("POST", f"{API}/services", body, headers)) == (400, "InvalidArgument")


def test_a_change_needs_the_state_it_was_made_for(shared: Server) -> None:
    make(shared, "tagged", "f")
    path = f"{API}/services/tagged/functions/f"
    first = shared.manage("GET", path).headers["Etag"]
    changed = shared.manage("PUT", path, {"timeout": 9}, {"If-Match": first})

    assert (changed.status, changed.json["timeout"], changed.json["memorySize"]) == (200, 9, 128)
    assert changed.headers["Etag"] != first
    assert code_of(shared.manage("PUT", path, {"timeout": 8}, {"If-Match": first})) == (412, "PreconditionFailed")
    assert code_of(shared.manage("DELETE", path, None, {"If-Match": first})) == (412, "PreconditionFailed")
    assert shared.manage("GET", path).json["timeout"] == 9
    gone = shared.manage("DELETE", path, None, {"If-Match": changed.headers["Etag"]})
    assert (gone.status, gone.body, gone.headers.get("Content-Type")) == (204, b"", None)


def test_lists_come_in_pages_by_prefix_and_from_a_name_on(shared: Server) -> None:
    make(shared, "paged", *(f"f{number}" for number in range(5)), "other")
    path = f"{API}/services/paged/functions"
    names: list[str] = []
    token = ""
    while True:
        page = shared.manage("GET", f"{path}?limit=2&prefix=f{f'&nextToken={token}' if token else ''}").json
        names += [each["functionName"] for each in page["functions"]]
        token = page.get("nextToken", "")
        if not token:
            break

    assert names == ["f0", "f1", "f2", "f3", "f4"]
    started = shared.manage("GET", f"{path}?startKey=f3").json["functions"]
    assert [each["functionName"] for each in started] == ["f3", "f4", "other"]


NEW = {**FUNCTION, "functionName": "g"}
MISSING = {"functionName": "f", "runtime": "python3", "code": CODE}
ERRORS: list[tuple[str, str, Any, int, str]] = [
    ("POST", "/services", {"serviceName": "1x"}, 400, "InvalidArgument"),
    ("POST", "/services", {"serviceName": "e"}, 409, "ServiceAlreadyExists"),
    ("GET", "/services/nope", None, 404, "ServiceNotFound"),
    ("DELETE", "/services/e", None, 409, "ServiceNotEmpty"),
    ("GET", "/services/e.9", None, 404, "VersionNotFound"),
    ("GET", "/services/e.nope", None, 404, "AliasNotFound"),
    ("POST", "/services/e/functions", MISSING, 400, "InvalidArgument"),
    ("POST", "/services/e/functions", {**FUNCTION, "memorySize": 100}, 400, "InvalidArgument"),
    ("POST", "/services/e/functions", {**FUNCTION, "runtime": "cobol"}, 400, "InvalidArgument"),
    (
        "POST",
        "/services/e/functions",
        {**FUNCTION, "functionName": "g", "code": {"zipFile": "%%%"}},
        400,
        "InvalidArgument",
    ),
    (
        "POST",
        "/services/e/functions",
        {**FUNCTION, "functionName": "g", "code": {"zipFile": "AAAA"}},
        400,
        "InvalidArgument",
    ),
    ("POST", "/services/e/functions", {**FUNCTION, "functionName": "g", "code": {}}, 400, "InvalidArgument"),
    ("POST", "/services/e/functions", FUNCTION, 409, "FunctionAlreadyExists"),
    ("POST", "/services/nope/functions", FUNCTION, 404, "ServiceNotFound"),
    ("GET", "/services/e/functions/nope", None, 404, "FunctionNotFound"),
    ("PUT", "/services/e/functions/f", {"timeout": 0}, 400, "InvalidArgument"),
    ("PUT", "/services/e/functions/f", {"layers": ["acs:fc:r:1:layers/no/versions/1"]}, 404, "LayerVersionNotFound"),
    ("PUT", "/services/e/functions/f", {"environmentVariables": {"FC_X": "1"}}, 400, "InvalidArgument"),
    ("DELETE", "/services/e/functions/f", None, 409, "FunctionNotEmpty"),
    ("POST", "/services/e/functions/f/triggers", {"triggerName": "t", "triggerType": "x"}, 400, "InvalidArgument"),
    (
        "POST",
        "/services/e/functions/f/triggers",
        {"triggerName": "t", "triggerType": "oss", "triggerConfig": {}},
        409,
        "TriggerAlreadyExists",
    ),
    ("GET", "/services/e/functions/f/triggers/nope", None, 404, "TriggerNotFound"),
    ("POST", "/services/e/aliases", {"aliasName": "a", "versionId": "7"}, 404, "VersionNotFound"),
    ("POST", "/services/e/aliases", {"aliasName": "live", "versionId": "1"}, 409, "AliasAlreadyExists"),
    ("POST", "/services/e/aliases", {"aliasName": "LATEST", "versionId": "1"}, 400, "InvalidArgument"),
    ("GET", "/services/e/aliases/nope", None, 404, "AliasNotFound"),
    ("DELETE", "/services/e/versions/9", None, 404, "VersionNotFound"),
    ("POST", "/services/e/versions", {}, 409, "VersionPublishError"),
    ("GET", "/services/e/functions/f/provision-config", None, 404, "ProvisionConfigNotFound"),
    ("GET", "/services/e/functions/f/on-demand-config", None, 404, "OnDemandConfigNotFound"),
    ("GET", "/services/e/functions/f/async-invoke-config", None, 404, "AsyncConfigNotExists"),
    ("PUT", "/services/e.no/functions/f/provision-config", {"target": 1}, 404, "AliasNotFound"),
    ("PUT", "/services/e/functions/f/provision-config", {"target": -1}, 400, "InvalidArgument"),
    ("GET", "/custom-domains/nope.example.com", None, 404, "DomainNameNotFound"),
    ("POST", "/custom-domains", {"domainName": "e.example.com"}, 409, "DomainNameAlreadyExists"),
    ("POST", "/custom-domains", {"domainName": "x y"}, 400, "InvalidArgument"),
    ("GET", "/layers/nope/versions/1", None, 404, "LayerNotFound"),
    ("GET", "/layers/common/versions/9", None, 404, "LayerVersionNotFound"),
    ("POST", "/tag", {"resourceArn": "functions/x", "tags": {}}, 400, "InvalidArgument"),
    ("GET", "/nothing", None, 400, "PathNotSupported"),
    ("PATCH", "/services/e", None, 400, "PathNotSupported"),
]


@pytest.fixture(scope="module")
def prepared(shared: Server) -> Server:
    """With a service `e` that has one of everything."""
    make(shared, "e", "f")
    for path, document in (
        ("/services/e/functions/f/triggers", {"triggerName": "t", "triggerType": "oss", "triggerConfig": {}}),
        ("/services/e/versions", {}),
        ("/services/e/aliases", {"aliasName": "live", "versionId": "1"}),
        ("/custom-domains", {"domainName": "e.example.com"}),
        ("/layers/common/versions", {"code": CODE}),
    ):
        assert shared.manage("POST", API + path, document).status == 200
    return shared


@pytest.mark.parametrize(("method", "path", "document", "status", "code"), ERRORS)
def test_what_is_wrong_is_told_with_fcs_code(
    prepared: Server, method: str, path: str, document: Any, status: int, code: str
) -> None:
    answer = prepared.manage(method, API + path, document)

    assert code_of(answer) == (status, code), answer.body
    assert set(answer.json) == {"ErrorCode", "ErrorMessage"}
    assert len(answer.headers["X-Fc-Request-Id"]) == 36


@pytest.mark.parametrize(
    ("headers", "code"), [({}, "MissingRequiredHeader"), ({"Authorization": "FC x:y"}, "MissingRequiredHeader")]
)
def test_managing_takes_a_key_also_on_this_machine(shared: Server, headers: dict[str, str], code: str) -> None:
    for path in (f"{API}/services", "/pyfc/functions", "/pyfc/calls/x"):
        answer = shared.request("GET", path, None, headers)
        assert code_of(answer) == (400, code)
    newer = shared.request("GET", f"{NEWER}/functions", None, headers)
    assert (newer.status, set(newer.json)) == (400, {"RequestId", "Code", "Message"})


def test_functions_may_call_each_other_and_not_manage(shared: Server) -> None:
    show = (
        "def handler(event, context):\n    key = context.credentials\n"
        "    return [key.access_key_id, key.access_key_secret, key.security_token]\n"
    )
    make(shared, "roles", "show", code={"zipFile": zipped({"index.py": show})})
    name, secret, token = shared.invoke("roles/show").json

    path = f"{API}/services"
    headers = shared.signed_headers("GET", path, {"x-fc-security-token": token}, (name, secret))
    refused = shared.request("GET", path, None, headers)
    assert code_of(refused) == (403, "AccessDenied")
    headers = shared.signed_headers("GET", path, {}, (name, secret))
    assert code_of(shared.request("GET", path, None, headers)) == (403, "AccessDenied")


def test_a_version_is_what_was_published_and_an_alias_leads_to_it(shared: Server) -> None:
    make(shared, "kept", "f", environmentVariables={"A": "1"})
    path = f"{API}/services/kept"
    version = (
        "import os\ndef handler(event, context):\n"
        "    return [os.environ['A'], os.environ['FC_VER_ID'], context.service.version_id]\n"
    )
    shared.manage("PUT", f"{path}/functions/f", {"code": {"zipFile": zipped({"index.py": version})}})
    assert shared.manage("POST", f"{path}/versions", {"description": "one"}).json["versionId"] == "1"
    shared.manage("PUT", f"{path}/functions/f", {"environmentVariables": {"A": "2"}})

    assert shared.invoke("kept/f").json == ["2", "LATEST", "LATEST"]
    assert shared.invoke("kept.1/f").json == ["1", "1", "1"]
    alias = {"aliasName": "live", "versionId": "1"}
    shared.manage("POST", f"{path}/aliases", alias)
    answer = shared.invoke("kept.live/f")
    assert (answer.json[0], answer.headers["X-Fc-Invocation-Service-Version"]) == ("1", "1")
    assert shared.manage("POST", f"{path}/versions", {}).json["versionId"] == "2"
    shared.manage("PUT", f"{path}/aliases/live", {"versionId": "2"})
    assert shared.invoke("kept.live/f").json[0] == "2"
    shared.manage("DELETE", f"{path}/versions/1")
    assert shared.invoke("kept.1/f").status == 404
    shared.manage("PUT", f"{path}/functions/f", {"timeout": 7})
    assert shared.manage("POST", f"{path}/versions", {}).json["versionId"] == "3"  # numbers are never used again


def test_an_alias_may_choose_by_a_header(shared: Server) -> None:
    make(shared, "choosing", "f", environmentVariables={"A": "old"})
    path = f"{API}/services/choosing"
    body = {"zipFile": zipped({"index.py": "import os\ndef handler(event, context):\n    return os.environ['A']\n"})}
    shared.manage("PUT", f"{path}/functions/f", {"code": body})
    shared.manage("POST", f"{path}/versions", {})
    shared.manage("PUT", f"{path}/functions/f", {"environmentVariables": {"A": "new"}})
    shared.manage("POST", f"{path}/versions", {})
    item = {"type": "header", "key": "X-Beta", "operator": "=", "value": "yes"}
    document = {
        "aliasName": "live", "versionId": "1", "additionalVersionWeight": {"2": 1.0}, "resolvePolicy": "Content",
        "routePolicy": {"condition": "AND", "policyItems": [item]},
    }  # fmt: skip
    assert shared.manage("POST", f"{path}/aliases", document).status == 200

    assert shared.invoke("choosing.live/f").body == b"old"
    assert shared.invoke("choosing.live/f", X_Beta="yes").body == b"new"
    assert shared.invoke("choosing.live/f", X_Beta="no").body == b"old"


@pytest.mark.parametrize("mode", ["root", "user"])
def test_layers_lie_in_opt_and_of_the_same_file_the_first_counts(mode: str, tmp_path: Path) -> None:
    if reason := impossible(mode):
        pytest.skip(reason)
    server = server_in_mode(mode, tmp_path, {"other.py": ECHO})
    try:
        arns = []
        for name in ("upper", "lower"):
            files = {"python/which.py": f"NAME = '{name}'\n", f"bin/{name}": name, "same": name}
            answer = server.manage("POST", f"{API}/layers/{name}/versions", {"code": {"zipFile": zipped(files)}})
            arns.append(answer.json["arnV2"])
        text = (
            "import os, which\n\ndef handler(event, context):\n"
            "    files = sorted(os.listdir('/opt/bin'))\n"
            "    return [which.NAME, open('/opt/same').read(), files, os.access('/opt', os.W_OK)]\n"
        )
        make(server, "layered", "f", code={"zipFile": zipped({"index.py": text})}, layers=arns)

        assert server.invoke("layered/f").json == ["upper", "upper", ["lower", "upper"], False]
        server.manage("PUT", f"{API}/services/layered/functions/f", {"layers": arns[1:]})
        assert server.invoke("layered/f").json == ["lower", "lower", ["lower"], False]
    finally:
        server.stop()


def test_a_large_package_is_uploaded_first_and_named_then(shared: Server) -> None:
    make(shared, "uploads")
    token = shared.manage("GET", f"{API}/tempBucketToken").json
    data = base64.b64decode(CODE["zipFile"])
    host = {"Host": f"{token['ossBucket']}.oss-cn-hangzhou.aliyuncs.com"}
    assert shared.request("PUT", f"/{token['objectName']}", data, host).status == 200
    assert shared.request("PUT", "/not/promised", data, host).status == 403
    code = {"ossBucketName": token["ossBucket"], "ossObjectName": token["objectName"]}

    made = shared.manage("POST", f"{API}/services/uploads/functions", {**FUNCTION, "code": code})

    assert (made.status, shared.invoke("uploads/f", b"x").body) == (200, b"x")


def test_code_that_nothing_needs_any_more_is_removed(serve: Callable[..., Server]) -> None:
    server = serve({}, PYFC_SWEEP_AFTER="0.1")
    make(server, "swept", "f")
    path = f"{API}/services/swept"
    [first] = (server.data_dir / "blobs").iterdir()
    server.manage("POST", f"{path}/versions", {})
    server.manage("PUT", f"{path}/functions/f", {"code": {"zipFile": zipped({"index.py": ECHO + "X = 1\n"})}})
    server.manage("PUT", f"{path}/functions/f", {"code": {"zipFile": zipped({"index.py": ECHO + "X = 2\n"})}})

    def kept() -> set[str]:
        return {each.name for each in (server.data_dir / "blobs").iterdir()}

    wait_until(lambda: len(kept()) == 2 and first.name in kept(), "the code of the version and the newest alone")
    assert server.invoke("swept.1/f", b"x").body == server.invoke("swept/f", b"x").body == b"x"
    server.manage("DELETE", f"{path}/versions/1")
    server.manage("DELETE", f"{path}/functions/f")
    wait_until(lambda: not kept(), "nothing")
    assert not list((server.data_dir / "code").iterdir())


def test_a_hundred_who_create_the_same_function_make_one(shared: Server) -> None:
    make(shared, "crowd")
    path = f"{API}/services/crowd/functions"

    def create(number: int) -> Response:
        return shared.manage("POST", path, {**FUNCTION, "timeout": number + 1})

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(create, range(100)))
    [made] = [answer for answer in answers if answer.status == 200]
    assert {answer.status for answer in answers} == {200, 409}
    assert shared.manage("GET", f"{path}/f").json["timeout"] == made.json["timeout"]
    etag = made.headers["Etag"]
    # None of them is what is there already: such a change is none, and takes the ETag from nobody.
    with ThreadPoolExecutor(20) as pool:
        changed = list(
            pool.map(
                lambda number: shared.manage("PUT", f"{path}/f", {"timeout": number + 101}, {"If-Match": etag}),
                range(100),
            )
        )
    assert sorted({answer.status for answer in changed}) == [200, 412]
    assert len([answer for answer in changed if answer.status == 200]) == 1


def test_a_change_to_what_is_there_already_keeps_the_etag(shared: Server) -> None:
    make(shared, "still")
    path = f"{API}/services/still/functions"
    made = shared.manage("POST", path, {**FUNCTION, "timeout": 7})
    etag = {"If-Match": made.headers["Etag"]}
    same = shared.manage("PUT", f"{path}/f", {"timeout": 7}, etag)
    assert (same.status, same.headers["Etag"], same.json) == (200, made.headers["Etag"], made.json)
    other = shared.manage("PUT", f"{path}/f", {"timeout": 8}, etag)
    assert (other.status, shared.manage("PUT", f"{path}/f", {"timeout": 9}, etag).status) == (200, 412)


def test_a_reserve_and_a_limit_hold_for_the_version_that_an_alias_leads_to(shared: Server) -> None:
    make(shared, "scaled", "f")
    path = f"{API}/services/scaled"
    shared.manage("POST", f"{path}/versions", {})
    shared.manage("POST", f"{path}/aliases", {"aliasName": "live", "versionId": "1"})
    place = f"{API}/services/scaled.live/functions/f"
    assert shared.manage("PUT", f"{place}/provision-config", {"target": 2}).json["target"] == 2

    wait_until(lambda: shared.manage("GET", f"{place}/provision-config").json["current"] == 2, "two instances")
    listed = shared.manage("GET", f"{place}/instances").json["instances"]
    assert [each["versionId"] for each in listed] == ["1", "1"]
    shared.manage("PUT", f"{place}/provision-config", {"target": 0})
    assert shared.manage("PUT", f"{place}/on-demand-config", {"maximumInstanceCount": 0}).status == 200
    shared.manage("PUT", f"{place}/on-demand-config", {"maximumInstanceCount": 1})
    assert shared.manage("GET", f"{API}/on-demand-configs").json["configs"][0]["maximumInstanceCount"] == 1
    assert shared.manage("DELETE", f"{place}/on-demand-config").status == 204


def test_what_was_deployed_is_there_after_a_restart_and_after_a_kill(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "own.py").write_text(ECHO)
    server = Server(folder, tmp_path / "data")
    make(server, "lasting", "f")
    server.manage("POST", f"{API}/services/lasting/versions", {})
    server.stop(signal.SIGKILL)

    again = Server(folder, tmp_path / "data")
    assert sorted(each["function"] for each in again.ready["functions"]) == ["f", "own"]
    assert again.invoke("lasting/f", b"x").body == again.invoke("lasting.1/f", b"x").body == b"x"
    assert again.invoke("default/own", b"x").body == b"x"
    assert again.stop()[0] == 0
    (folder / "own.py").unlink()
    third = Server(folder, tmp_path / "data")
    assert third.invoke("default/own", b"x").status == 404  # what the folder declares no more is gone
    assert third.invoke("lasting/f", b"x").body == b"x"
    assert third.stop()[0] == 0


@pytest.mark.long
def test_a_kill_in_the_middle_of_writes_leaves_whole_things_only(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    acknowledged: set[str] = set()
    for round_ in range(5):
        server = Server(folder, tmp_path / "data")
        server.manage("POST", f"{API}/services", {"serviceName": "torn"})

        def write(number: int, server: Server = server, round_: int = round_) -> None:
            name = f"f{round_}x{number}"
            try:
                answer = server.manage("POST", f"{API}/services/torn/functions", {**FUNCTION, "functionName": name})
                if answer.status == 200:
                    acknowledged.add(name)
                if number == 10 + 3 * round_:
                    os.kill(server.process.pid, signal.SIGKILL)
                server.manage("POST", f"{API}/services/torn/versions", {})
            except (OSError, http.client.HTTPException):
                return  # it is dead

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(write, range(40)))
        server.stop(signal.SIGKILL)
    last = Server(folder, tmp_path / "data")
    listed: list[str] = []
    token = ""
    while True:
        page = last.manage("GET", f"{API}/services/torn/functions?limit=100&nextToken={token}").json
        listed += [each["functionName"] for each in page["functions"]]
        token = page.get("nextToken", "")
        if not token:
            break
    assert acknowledged
    assert acknowledged <= set(listed)
    for name in listed[::7]:
        assert last.invoke(f"torn/{name}", b"x").body == b"x", name
    versions = last.manage("GET", f"{API}/services/torn/versions?limit=100").json["versions"]
    for version in versions[:5]:
        assert last.manage("GET", f"{API}/services/torn.{version['versionId']}/functions?limit=1").status == 200
    assert last.stop()[0] == 0


def test_the_same_paths_are_served_as_2021_04_06_with_the_qualifier_in_the_query(shared: Server) -> None:
    make(shared, "middle", "f")
    shared.manage("POST", "/2021-04-06/services/middle/versions", {})

    assert shared.manage("GET", "/2021-04-06/services/middle/functions/f?qualifier=1").json["functionName"] == "f"
    assert shared.request("POST", "/2021-04-06/services/middle/functions/f/invocations", b"x").body == b"x"


def test_the_functions_of_a_version_come_in_pages_each_once(shared: Server) -> None:
    make(shared, "pages-of-one", "a", "b", "c")
    shared.manage("POST", f"{API}/services/pages-of-one/versions", {})
    place = f"{API}/services/pages-of-one.1/functions?limit=2"

    first = shared.manage("GET", place).json
    second = shared.manage("GET", f"{place}&nextToken={first['nextToken']}").json

    assert [each["functionName"] for part in (first, second) for each in part["functions"]] == ["a", "b", "c"]
    assert not second.get("nextToken")


def test_an_image_that_is_to_be_accelerated_is_told_to_be_ready_by_the_older_apis(shared: Server) -> None:
    shared.manage("POST", f"{API}/services", {"serviceName": "images"})
    functions = f"{API}/services/images/functions"
    base = {"functionName": "f", "runtime": "custom-container", "handler": "h"}

    def told(method: str, path: str, **config: str) -> Any:
        config = {"image": "registry.example/a:1", **config}
        document = None if method == "GET" else {**base, "customContainerConfig": config}
        return shared.manage(method, path, document).json["customContainerConfig"]

    assert told("POST", functions)["accelerationInfo"] == {"status": "Ready"}
    assert told("GET", f"{functions}/f")["accelerationInfo"] == {"status": "Ready"}
    assert "accelerationInfo" not in told("PUT", f"{functions}/f", accelerationType="None")


def test_the_description_has_every_operation_and_no_other(shared: Server) -> None:
    document = shared.request("GET", "/pyfc/openapi.json").json

    assert document["openapi"].startswith("3.1")
    ids = [each["operationId"] for path in document["paths"].values() for each in path.values()]
    assert len(ids) == len(set(ids)) > 150
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], path
            if "invocations" in path:
                continue
            filled = path.replace("{", "").replace("}", "")
            answer = shared.manage(method.upper(), filled, {} if method in {"post", "put"} else None)
            assert answer.status != 500, (method, path, answer.body)
            if answer.status >= 400:
                assert code_of(answer)[1] != "PathNotSupported", (method, path)


def test_https_is_served_with_a_certificate(serve: Callable[..., Server], tmp_path: Path) -> None:
    certificate, private = tmp_path / "cert.pem", tmp_path / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    made = subprocess.run(
        [*command, "-keyout", str(private), "-out", str(certificate)], capture_output=True, check=False
    )
    assert made.returncode == 0, made.stderr
    tls = ("--tls-certificate", str(certificate), "--tls-key", str(private))
    server = serve({"echo.py": ECHO}, *tls, PYFC_HEADER_TIMEOUT="2")
    context = ssl.create_default_context(cafile=str(certificate))
    connection = http.client.HTTPSConnection("localhost", server.port, context=context, timeout=20)
    connection.request("POST", f"{API}/services/default/functions/echo/invocations", b"x")
    answer = connection.getresponse()

    assert (answer.status, answer.read()) == (200, b"x")
    assert server.endpoint.startswith("https://")
    connection.close()
    with server.connect() as silent, server.connect() as plain:
        plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200" not in read_all(plain)
        assert read_all(silent) == b""


def spoken(socket: Any, until: str) -> str:
    """What a shell says until something is among it."""
    said = ""
    while until not in said:
        message = socket.recv(timeout=20)
        assert isinstance(message, str)
        assert message[:1] in {"\x01", "\x02"}, message
        said += message[1:]
    return said


@pytest.mark.parametrize("mode", OWN_MODE_FIRST)
def test_a_shell_runs_in_the_cage_of_an_instance(mode: str, tmp_path: Path) -> None:
    if reason := impossible(mode):
        pytest.skip(reason)
    text = "def handler(event, context):\n    open('/tmp/mine', 'w').close()\n    return 'ok'\n"
    text = text.replace("/tmp/mine", "mine") if mode == "plain" else text
    text = "import os\n" + text.replace("open('mine'", "open(os.environ['TMPDIR'] + '/mine'")
    server = server_in_mode(mode, tmp_path, {"one.py": text, "other.py": ECHO})
    try:
        assert server.invoke("default/one").body == b"ok"
        path = f"{API}/services/default/functions/one/instances"
        [instance] = server.manage("GET", path).json["instances"]
        place = f"{path}/{instance['instanceId']}/exec"
        url = f"ws://127.0.0.1:{server.port}{place}"

        def open_shell(query: str) -> Any:
            headers = server.signed_headers("GET", place, {})
            return connect(f"{url}?{query}", additional_headers=headers, open_timeout=20)

        with open_shell("command=/bin/sh") as socket:
            socket.send(b"\x00echo $FC_FUNCTION_NAME; id -u; ls $TMPDIR /tmp; ls /code; cat /etc/shadow; echo e''nd\n")
            said = spoken(socket, "end\r\n")
            assert "one\r\n" in said
            assert "mine" in said
            assert "one.py" in said or mode == "plain"
            assert "root:" not in said.replace("root:x", "")
            if mode != "plain":
                socket.send(b"\x00cat /proc/1/comm; ls /proc | grep -c '^[0-9]'; kill -9 $$\n")
            else:
                socket.send(b"\x00exit\n")
            with contextlib.suppress(ConnectionClosed):
                while True:
                    socket.recv(timeout=20)
        with open_shell(
            urlencode({"command": "/bin/sh -c 'echo out; echo err >&2'", "tty": "false", "stderr": "true"})
        ) as socket:
            messages = sorted([socket.recv(timeout=20), socket.recv(timeout=20)])
            assert messages == ["\x01out\n", "\x02err\n"]
        words = [("command", "/bin/sh"), ("command", "-c"), ("command", "read x; echo $x'  '$0; echo no >&2")]
        with open_shell(urlencode([*words, ("tty", "false"), ("stderr", "false")])) as socket:
            socket.send("\0typed\n")  # FC's clients for Go and Python send text
            assert spoken(socket, "\n") == "typed  /bin/sh\n"
            with pytest.raises(ConnectionClosed):
                socket.recv(timeout=20)
        with open_shell(urlencode({"command": "/bin/cat", "tty": "false", "stdin": "false"})) as socket:
            socket.send("\0typed\n")
            with pytest.raises(ConnectionClosed):  # it has no input, so it ends
                socket.recv(timeout=20)
        again = server.invoke("default/one")
        assert again.body == b"ok", again.body
        gone = place.replace(instance["instanceId"], "c-no")
        headers = server.signed_headers("GET", gone, {})
        for refused, sent, status, code in (
            (url, {}, 400, "MissingRequiredHeader"),
            (url.replace(place, gone), headers, 404, "InstanceNotFound"),
        ):
            with pytest.raises(InvalidStatus) as caught:
                connect(refused, additional_headers=sent, open_timeout=20)
            answer = caught.value.response
            assert (answer.status_code, json.loads(answer.body or b"")["ErrorCode"]) == (status, code)
            assert answer.headers["X-Fc-Request-Id"]
    finally:
        assert server.stop()[0] == 0


def test_a_request_to_a_newer_function_is_called_later_as_the_event_it_is(shared: Server) -> None:
    source = "import json\ndef handler(event, context):\n    print('PATH', json.loads(event)['rawPath'])\n"
    document = {
        "functionName": "newer", "runtime": "python3.10", "handler": "index.handler",
        "code": {"zipFile": zipped({"index.py": source})},
    }  # fmt: skip
    assert shared.manage("POST", f"{NEWER}/functions", document).status == 200
    config = '{"authType": "anonymous", "methods": ["POST"]}'
    trigger = {"triggerName": "http", "triggerType": "http", "triggerConfig": config}
    assert shared.manage("POST", f"{NEWER}/functions/newer/triggers", trigger).status == 200

    headers = {"X-Fc-Invocation-Type": "Async"}
    answer = shared.request("POST", "/2016-08-15/proxy/default/newer/a/b", b"x", headers)
    number = answer.headers["X-Fc-Request-Id"]
    record = wait_until(lambda: [each for each in shared.records if each.get("requestId") == number], "its run")[0]
    assert (answer.status, record["log"]) == (202, "PATH /a/b\n")
