"""What the suites of FC's own SDKs expect of the API: fc-python-sdk 2.5 and fc-nodejs-sdk 2.6, made for FC itself."""

from __future__ import annotations

import base64
import hmac
import io
import json
import stat
import zipfile
from collections.abc import Callable
from email.utils import formatdate
from urllib.parse import quote, unquote
from xml.etree import ElementTree

import pytest

from pyfc.auth.keys import Keys
from pyfc.auth.signature import Signed, sign, string_to_sign
from support import Server, zipped

API = "/2016-08-15"
CODE = {"zipFile": zipped({"index.py": "def handler(event, context):\n    return event\n"})}
FUNCTION = {"functionName": "f", "runtime": "python3", "handler": "index.handler", "code": CODE}


def made(server: Server, service: str, **properties: object) -> str:
    """The path of a new service with one function."""
    path = f"{API}/services/{service}"
    assert server.manage("POST", f"{API}/services", {"serviceName": service, **properties}).status == 200
    assert server.manage("POST", f"{path}/functions", FUNCTION).status == 200
    return path


def test_a_version_goes_although_an_alias_leads_to_it_and_calls_of_that_fail(shared: Server) -> None:
    path = made(shared, "aliased")
    assert shared.manage("POST", f"{path}/versions", {}).json["versionId"] == "1"
    assert shared.manage("POST", f"{path}/aliases", {"aliasName": "live", "versionId": "1"}).status == 200

    kept = shared.manage("PUT", f"{path}/aliases/live", {"versionId": "", "description": "of fcli"}).json
    assert (kept["versionId"], kept["description"]) == ("1", "of fcli")

    assert shared.manage("DELETE", f"{path}/versions/1").status == 204
    assert shared.invoke("aliased.live/f", b"x").status == 404


def test_a_service_that_is_made_again_counts_its_versions_from_one(shared: Server) -> None:
    for _ in range(2):
        path = made(shared, "again")
        assert shared.manage("POST", f"{path}/versions", {"description": "first"}).json["versionId"] == "1"
        assert shared.manage("GET", f"{API}/services/again.1").json["description"] == "first"
        assert shared.manage("DELETE", f"{path}/versions/1").status == 204
        assert shared.manage("DELETE", f"{path}/functions/f").status == 204
        assert shared.manage("DELETE", path).status == 204


def test_a_domain_keeps_its_spelling_and_is_found_by_any(shared: Server) -> None:
    domain = {
        "domainName": "Shop.Example.com",
        "certConfig": {"certName": "c", "certificate": "public", "privateKey": "secret"},
    }

    assert shared.manage("POST", f"{API}/custom-domains", domain).json["domainName"] == "Shop.Example.com"
    found = shared.manage("GET", f"{API}/custom-domains/shop.EXAMPLE.com").json
    assert found["domainName"] == "Shop.Example.com"
    assert found["certConfig"] == {"certName": "c", "certificate": "public", "privateKey": None}
    assert shared.manage("PUT", f"{API}/custom-domains/Shop.Example.com", {"protocol": "HTTP"}).status == 200
    assert shared.manage("GET", f"{API}/custom-domains/shop.example.com").json["domainName"] == "Shop.Example.com"


def test_services_without_tracing_say_so_and_are_found_by_a_tag_of_any_value(shared: Server) -> None:
    made(shared, "traced", tracingConfig={"type": "Jaeger", "params": {"endpoint": "http://jaeger.example"}})
    off = shared.manage("PUT", f"{API}/services/traced", {"tracingConfig": {}}).json["tracingConfig"]
    assert off == {"type": None, "params": None}
    tags = {"resourceArn": "services/traced", "tags": {"kind": "shop"}}
    assert shared.manage("POST", f"{API}/tag", tags).status == 200

    for value, names in (("", ["traced"]), ("shop", ["traced"]), ("bank", [])):
        found = shared.manage("GET", f"{API}/services?tag_kind={value}").json["services"]
        assert [each["serviceName"] for each in found] == names


def test_an_http_trigger_has_no_source_and_its_role_as_it_was_given(shared: Server) -> None:
    path = made(shared, "triggered")
    trigger = {
        "triggerName": "t", "triggerType": "http", "sourceArn": "any", "invocationRole": "",
        "triggerConfig": {"authType": "anonymous", "methods": ["GET"]},
    }  # fmt: skip
    found = shared.manage("POST", f"{path}/functions/f/triggers", trigger).json

    assert (found["sourceArn"], found["invocationRole"]) == (None, "")


def test_lists_of_configurations_end_as_the_sdks_read_them(shared: Server) -> None:
    path = made(shared, "listed")

    assert shared.manage("GET", f"{API}/on-demand-configs").json == {"configs": None}
    assert shared.manage("GET", f"{path}/functions/f/async-invoke-configs").json == {"configs": None, "nextToken": ""}
    limits = shared.manage("GET", f"{API}/accountConfigs?config=CodeSizeLimit&config=Concurrency").json
    assert limits == {"CodeSizeLimit": "104857600", "Concurrency": "100"}


def test_fcs_words_for_what_is_not_allowed(shared: Server) -> None:
    path = made(shared, "worded")
    for runtime in (10, "cobol"):
        answer = shared.manage("PUT", f"{path}/functions/f", {"runtime": runtime})
        assert (answer.status, answer.json["ErrorCode"]) == (400, "InvalidArgument")
        assert "Runtime is set to an invalid value" in answer.json["ErrorMessage"]
    wrong = shared.invoke("worded/f", b"", x_fc_log_type="Head")
    assert (wrong.status, "LogType is set to an invalid value" in wrong.json["ErrorMessage"]) == (400, True)
    both = shared.invoke("worded/f", b"", x_fc_log_type="Tail", x_fc_invocation_type="Async")
    assert (both.status, both.json["ErrorCode"]) == (400, "InvalidArgument")


def bucket(server: Server) -> tuple[str, dict[str, str]]:
    """A name that was given out, and the host of its bucket."""
    token = server.manage("GET", f"{API}/tempBucketToken").json
    return token["objectName"], {"Host": f"{token['ossBucket']}.oss-cn-hangzhou.aliyuncs.com"}


@pytest.mark.parametrize("above", ["", "1234567890123456/", "1234567890123456/uploads/"])
def test_a_package_is_uploaded_where_fcs_clients_put_it(shared: Server, above: str) -> None:
    service = f"uploads{len(above)}"
    path = made(shared, service)
    name, host = bucket(shared)
    data = base64.b64decode(zipped({"index.py": "def handler(event, context):\n    return 'uploaded'\n"}))
    assert "/" not in name
    assert shared.request("PUT", f"/{above}{name}", data, host).status == 200
    code = {"ossBucketName": "fc-temp", "ossObjectName": f"{above}{name}"}

    assert shared.manage("PUT", f"{path}/functions/f", {"code": code}).status == 200
    assert shared.invoke(f"{service}/f", b"x").body == b"uploaded"


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("{end}", 403, "AccessDenied"),
        ("{name}0", 403, "AccessDenied"),
        ("4711/{name}", 403, "AccessDenied"),
        ("1234567890123456/a/b/{name}", 403, "AccessDenied"),
        ("1234567890123456//{name}", 403, "AccessDenied"),
        ("{name}/", 403, "AccessDenied"),
        ("{name}?partNumber=1&uploadId=x", 404, "NoSuchUpload"),
        ("{name}?tagging", 403, "AccessDenied"),
    ],
)
def test_an_upload_that_is_refused_is_told_so_as_an_object_store_would(
    shared: Server, path: str, status: int, code: str
) -> None:
    name, host = bucket(shared)

    answer = shared.request("PUT", f"/{path.format(name=name, end=name[1:])}", b"data", host)

    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/xml"
    error = ElementTree.fromstring(answer.body)
    assert (error.tag, error.findtext("Code")) == ("Error", code)


def test_a_package_is_uploaded_in_parts_and_is_nothing_that_everybody_may_read(shared: Server) -> None:
    path = made(shared, "parts")
    name, host = bucket(shared)
    data = base64.b64decode(zipped({"index.py": "def handler(event, context):\n    return 'in parts'\n"}))
    begun = ElementTree.fromstring(shared.request("POST", f"/{name}?uploads", b"", host).body)
    upload = f"/{name}?uploadId={begun.findtext('UploadId')}"
    etag = shared.request("PUT", f"{upload}&partNumber=1", data, host).headers["ETag"]
    part = f"<Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>"
    body = f"<CompleteMultipartUpload>{part}</CompleteMultipartUpload>".encode()
    assert shared.request("POST", upload, body, host).status == 200

    code = {"ossBucketName": "fc-temp", "ossObjectName": name}
    assert shared.manage("PUT", f"{path}/functions/f", {"code": code}).status == 200
    assert shared.invoke("parts/f", b"x").body == b"in parts"
    for method in ("GET", "DELETE"):
        assert shared.request(method, f"/{name}", b"", host).status == 403


def stored(server: Server, resource: str) -> dict[str, str]:
    """Headers that sign a PUT to the object store (OSS's version 1)."""
    key = json.loads((server.data_dir / "keys.json").read_text())[0]
    date = formatdate(usegmt=True)
    digest = hmac.digest(key["secret"].encode(), f"PUT\n\n\n{date}\n{resource}".encode(), "sha1")
    return {"Date": date, "Authorization": f"OSS {key['id']}:{base64.b64encode(digest).decode()}"}


def test_code_comes_from_a_bucket_of_ones_own(shared: Server) -> None:
    path = made(shared, "owned")
    data = base64.b64decode(zipped({"index.py": "def handler(event, context):\n    return 'from a bucket'\n"}))
    assert shared.request("PUT", "/codes", b"", stored(shared, "/codes/")).status == 200
    assert shared.request("PUT", "/codes/app/code.zip", data, stored(shared, "/codes/app/code.zip")).status == 200

    code = {"ossBucketName": "codes", "ossObjectName": "app/code.zip"}
    assert shared.manage("PUT", f"{path}/functions/f", {"code": code}).status == 200
    assert shared.invoke("owned/f", b"x").body == b"from a bucket"
    for missing in ({**code, "ossObjectName": "other"}, {**code, "ossBucketName": "others"}):
        answer = shared.manage("PUT", f"{path}/functions/f", {"code": missing})
        assert (answer.status, answer.json["ErrorCode"]) == (404, "ObjectNotFound")


def test_errors_are_written_without_spaces_since_clients_look_into_their_text(shared: Server) -> None:
    answer = shared.manage("GET", f"{API}/services/absent")

    assert answer.body.startswith(b'{"ErrorCode":"ServiceNotFound","ErrorMessage":"')


@pytest.mark.parametrize("limit", ["0", "-1", "abc", "1.5"])
def test_a_limit_that_is_no_number_of_objects_is_refused(shared: Server, limit: str) -> None:
    for path in ("/services", "/provision-configs", "/custom-domains", "/layers"):
        answer = shared.manage("GET", f"{API}{path}?limit={limit}")
        assert (answer.status, answer.json["ErrorCode"]) == (400, "InvalidArgument")


def test_the_token_of_a_list_is_the_first_name_of_its_next_part(shared: Server) -> None:
    path = made(shared, "tokens")
    assert shared.manage("POST", f"{path}/versions", {}).json["versionId"] == "1"
    for number in range(3):
        alias = {"aliasName": f"a{number}", "versionId": "1"}
        assert shared.manage("POST", f"{path}/aliases", alias).status == 200
        one = f"/services/tokens.a{number}/functions/f/async-invoke-config"
        assert shared.manage("PUT", f"{API}{one}", {"maxAsyncRetryAttempts": 1}).status == 200
    many = f"{path}/functions/f/async-invoke-configs"

    first = shared.manage("GET", f"{many}?limit=1").json
    rest = shared.manage("GET", f"{many}?nextToken={first['nextToken']}").json

    assert ([each["qualifier"] for each in first["configs"]], first["nextToken"]) == (["a0"], "a1")
    assert ([each["qualifier"] for each in rest["configs"]], rest["nextToken"]) == (["a1", "a2"], "")


def test_limits_of_instances_may_be_set_ahead_and_are_listed_by_what_they_are_about(shared: Server) -> None:
    names = [f"services/ahead.q{number}/functions/f" for number in range(5)]
    for number, name in enumerate(names):
        answer = shared.manage("PUT", f"{API}/{name}/on-demand-config", {"maximumInstanceCount": number})
        assert (answer.status, answer.json["maximumInstanceCount"]) == (200, number)

    def listed(query: str) -> tuple[list[str], str]:
        found = shared.manage("GET", f"{API}/on-demand-configs?prefix=services/ahead{query}").json
        return [each["resource"] for each in found["configs"] or []], found.get("nextToken", "")

    assert listed("") == (names, "")
    assert listed(".q1") == (names[1:2], "")
    assert listed("&startKey=services/ahead.q3") == (names[3:], "")
    assert listed("&limit=3") == (names[:3], names[3])
    assert listed(f"&limit=3&nextToken={names[3]}") == (names[3:], "")
    for name in names:
        assert shared.manage("DELETE", f"{API}/{name}/on-demand-config").status == 204
    assert listed("") == ([], "")


def test_a_put_of_a_reserve_tells_what_was_put_and_a_get_what_is_in_force(shared: Server) -> None:
    path = made(shared, "reserving")
    shared.manage("POST", f"{path}/versions", {})
    one = f"{API}/services/reserving.1/functions/f/provision-config"
    action = {"name": "a", "target": 1, "scheduleExpression": "at(2020-10-20T10:10:10Z)"}

    put = shared.manage("PUT", one, {"target": 0, "scheduledActions": [action]})

    assert (put.status, put.json["target"]) == (200, 0)
    assert shared.manage("GET", one).json["target"] == 1
    assert shared.manage("PUT", one, {"target": 0, "scheduledActions": []}).status == 200


def test_a_change_of_a_trigger_leaves_parts_of_its_configuration_that_it_does_not_name(shared: Server) -> None:
    path = made(shared, "logged")
    config = {"sourceConfig": {"logstore": "access"}, "jobConfig": {"maxRetryTime": 3, "triggerInterval": 60}}
    trigger = {
        "triggerName": "t",
        "triggerType": "log",
        "sourceArn": "acs:log:r:1:project/web",
        "triggerConfig": config,
    }
    assert shared.manage("POST", f"{path}/functions/f/triggers", trigger).status == 200

    job = {"jobConfig": {"maxRetryTime": 5, "triggerInterval": 120}}
    changed = shared.manage("PUT", f"{path}/functions/f/triggers/t", {"triggerConfig": job}).json["triggerConfig"]

    assert changed == {**config, **job}


def test_a_route_without_a_qualifier_is_told_without_one(shared: Server) -> None:
    route = {"path": "/", "serviceName": "s", "functionName": "f"}
    domain = {"domainName": "plain.example.com", "protocol": "HTTP", "routeConfig": {"routes": [route]}}

    assert shared.manage("POST", f"{API}/custom-domains", domain).status == 200
    found = shared.manage("GET", f"{API}/custom-domains/plain.example.com").json

    assert found["routeConfig"]["routes"][0]["qualifier"] is None


def test_a_network_is_unbound_as_java_does_it(shared: Server) -> None:
    path = made(shared, "bound")
    assert shared.manage("POST", f"{path}/binding", {"vpcId": "vpc-1"}).status == 200
    assert shared.manage("DELETE", f"{path}/binding", {"vpcId": "vpc-1"}).status == 200
    assert shared.manage("GET", f"{path}/bindings").json == {"vpcIds": []}


@pytest.mark.parametrize(
    ("source", "bus"),
    [({"eventSourceType": "Default"}, "default"), ({"eventSourceType": "MNS"}, "MNS-f-t"), (None, "default")],
)
def test_a_trigger_of_eventbridge_tells_the_rule_that_fc_makes(
    shared: Server, source: dict[str, str] | None, bus: str
) -> None:
    service = f"ruled-{bus}-{source is None}"
    path = made(shared, service)
    config = {"triggerEnable": True, "eventSourceConfig": source} if source is not None else {}
    trigger = {"triggerName": "t", "triggerType": "eventbridge", "triggerConfig": config}

    found = shared.manage("POST", f"{path}/functions/f/triggers", trigger).json

    assert found["sourceArn"] == f"acs:eventbridge:cn-hangzhou:1234567890123456:eventbus/{bus}/rule/{service}-f-t"


def test_links_in_code_and_layers_lead_where_functions_find_them(shared: Server) -> None:
    layer = linked_archive({"python/upper.py": "WHO = 'layer'"}, {"lib": "python", "whole": "/opt/python/upper.py"})
    arn = shared.manage(
        "POST", f"{API}/layers/links/versions", {"code": {"zipFile": layer}, "compatibleRuntime": ["python3"]}
    ).json["arn"]
    source = (
        "import own, os\n"
        "def handler(event, context):\n"
        "    return [own.WHO, open('/opt/lib/upper.py').read(), open('/opt/whole').read(), open('/code/opt').read()]\n"
    )
    links = {"own.py": "lib/real.py", "opt": "/opt/python/upper.py"}
    code = {"zipFile": linked_archive({"index.py": source, "lib/real.py": "WHO = 'code'"}, links)}
    path = made(shared, "links")

    changed = shared.manage("PUT", f"{path}/functions/f", {"code": code, "layers": [arn]})

    assert changed.status == 200
    text = "WHO = 'layer'"
    assert shared.invoke("links/f", b"x").json == ["code", text, text, text]


def linked_archive(files: dict[str, str], links: dict[str, str]) -> str:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("./", b"")
        for name, text in files.items():
            archive.writestr(f"./{name}", text)
        for name, target in links.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(entry, target)
    return base64.b64encode(stream.getvalue()).decode()


@pytest.mark.parametrize("decode", [unquote, str], ids=["decoded", "as sent"])
def test_the_arn_of_a_layer_in_a_path_is_signed_decoded_or_as_it_is_sent(
    shared: Server, decode: Callable[[str], str]
) -> None:
    code = {"code": {"zipFile": CODE["zipFile"]}, "compatibleRuntime": ["python3"]}
    arn = shared.manage("POST", f"{API}/layers/signed/versions", code).json["arn"]
    short = f"1234567890123456#signed#{arn.rpartition('/')[2]}"
    key = Keys(shared.data_dir).first()[0]
    for name in (arn, short):
        path, date = f"{API}/layerarn/{quote(name, safe='')}", formatdate(usegmt=True)
        text = string_to_sign(Signed("GET", path, {"date": date}), date, None, decode)
        headers = {"date": date, "authorization": f"FC {key.id}:{sign(key.secret, text)}"}

        answer = shared.request("GET", path, None, headers)

        assert (answer.status, answer.json["arn"]) == (200, arn)


def test_flags_of_a_log_configuration_are_both_told_where_one_was_given(shared: Server) -> None:
    given = {"project": "p", "logstore": "s", "enableRequestMetrics": True}
    off = {"project": "", "logstore": "", "enableRequestMetrics": False}
    path = made(shared, "measured", logConfig=given)
    made(shared, "unmeasured", logConfig={"project": "p", "logstore": "s"})

    assert shared.manage("GET", path).json["logConfig"] == {**given, "enableInstanceMetrics": False}
    assert shared.manage("PUT", path, {"logConfig": off}).json["logConfig"] == {**off, "enableInstanceMetrics": False}
    assert shared.manage("GET", f"{API}/services/unmeasured").json["logConfig"] == {"project": "p", "logstore": "s"}


def test_the_error_of_a_function_is_told_as_json_and_its_result_as_bytes(shared: Server) -> None:
    path = made(shared, "typed")
    source = "def handler(event, context):\n    return event if event == b'x' else 1 / 0\n"
    code = {"code": {"zipFile": zipped({"index.py": source})}}
    assert shared.manage("PUT", f"{path}/functions/f", code).status == 200

    assert shared.invoke("typed/f", b"x").headers["Content-Type"] == "application/octet-stream"
    failed = shared.invoke("typed/f", b"")
    assert (failed.status, failed.headers["Content-Type"]) == (200, "application/json")
    assert (failed.headers["X-Fc-Error-Type"], failed.json["errorType"]) == (
        "UnhandledInvocationError",
        "ZeroDivisionError",
    )


@pytest.mark.parametrize("way", ["request", "bucket"])
def test_a_package_is_larger_than_an_event_may_be(shared: Server, way: str) -> None:
    path = made(shared, f"large-{way}")
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("index.py", "def handler(event, context):\n    return 'large'\n")
        archive.writestr("large", bytes(34 * 1024 * 1024))
    name, host = bucket(shared)
    code = {"zipFile": base64.b64encode(stream.getvalue()).decode()}
    if way == "bucket":
        assert shared.request("PUT", f"/{name}", stream.getvalue(), host).status == 200
        code = {"ossBucketName": "fc-temp", "ossObjectName": name}

    assert shared.manage("PUT", f"{path}/functions/f", {"code": code}).status == 200
    assert shared.invoke(f"large-{way}/f", b"x").body == b"large"
    refused = shared.invoke(f"large-{way}/f", bytes(33 * 1024 * 1024))
    assert (refused.status, refused.json["ErrorCode"]) == (400, "EntityTooLarge")


def test_who_may_not_manage_is_refused_before_a_body_is_sent(shared: Server) -> None:
    with shared.connect() as connection:
        connection.sendall(
            f"PUT {API}/services/s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n"
            f"Date: {formatdate(usegmt=True)}\r\nAuthorization: FC nobody:x\r\n\r\n".encode()
        )

        assert connection.recv(1000).startswith(b"HTTP/1.1 403 ")
