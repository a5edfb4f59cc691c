"""Functions use their credentials: of the object store, of FC's API, to call others."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from objects import Client
from support import Server, template, wait_until

CODE = '''
import base64, hashlib, hmac, http.client, json
from email.utils import formatdate


def signed(kind, digest, method, path, port, key, token_header, body=b"", resource="", **headers):
    """A request that is signed by hand, as old clients of OSS and FC do it."""
    fields = {"date": formatdate(usegmt=True), token_header: key.security_token, **headers}
    prefix = token_header[:token_header.index("-", 2) + 1]
    own = "".join(f"{name}:{fields[name]}\\n" for name in sorted(fields) if name.startswith(prefix))
    text = f"{method}\\n\\n\\n{fields['date']}\\n{own}{resource or path}"
    signature = base64.b64encode(hmac.new(key.access_key_secret.encode(), text.encode(), digest).digest()).decode()
    fields["authorization"] = f"{kind} {key.access_key_id}:{signature}"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, path, body, fields)
    answer = connection.getresponse()
    return [answer.status, answer.read().decode()]


def handler(event, context):
    said = json.loads(event)
    key = context.credentials
    if said.get("wrong"):
        key.security_token = "other"
    if said["door"] == "oss":
        return json.dumps(signed("OSS", hashlib.sha1, said["method"], said["path"], said["port"], key,
                                 "x-oss-security-token", said.get("body", "").encode(), **said.get("headers", {})))
    return json.dumps(signed("FC", hashlib.sha256, said["method"], said["path"], said["port"], key,
                             "x-fc-security-token", said.get("body", "").encode(), said.get("resource", "")))
'''
WEB = "def handler(environ, start):\n    start('200 OK', [])\n    return [b'web']\n"
ECHO = "def handler(event, context):\n    return event\n"


def served(
    serve: Callable[..., Server], policies: object = None, more: str = "", *options: str, **variables: str
) -> Server:
    functions: dict[str, dict[str, Any]] = {
        "f": {"CodeUri": "code", "Timeout": 30, "EnvironmentVariables": variables},
        "echo": {"CodeUri": "echo"},
        "web": {"CodeUri": "web", "http": ["GET"]},
    }
    document = json.loads(template(functions))
    document["Resources"]["demo"]["web"]["Events"]["web"]["Properties"]["AuthType"] = "FUNCTION"
    if policies is not None:
        document["Resources"]["demo"]["Properties"] = {"Policies": policies}
    files = {"template.yml": json.dumps(document), "code/index.py": CODE, "echo/index.py": ECHO}
    files["web/index.py"] = WEB
    return serve({**files, "pyfc.yml": more} if more else files, *options)


def ask(server: Server, door: str, method: str, path: str, **more: object) -> tuple[int, str]:
    said = {"door": door, "method": method, "path": path, "port": server.port, **more}
    answer = server.invoke("demo/f", json.dumps(said).encode())
    assert answer.status == 200, answer.body
    assert "X-Fc-Error-Type" not in answer.headers, answer.body
    status, body = json.loads(answer.body)
    return status, body


def test_a_function_uses_the_bucket_that_it_names_and_no_other(serve: Callable[..., Server]) -> None:
    server = served(serve, BUCKET="photos")

    assert ask(server, "oss", "PUT", "/photos/")[0] == 200
    assert ask(server, "oss", "PUT", "/photos/a.txt", body="hello")[0] == 200
    assert ask(server, "oss", "GET", "/photos/a.txt") == (200, "hello")
    status, body = ask(server, "oss", "PUT", "/films/a.txt", body="hello")
    assert (status, "<Code>AccessDenied</Code>" in body) == (403, True)
    for part in ("oss:PutObject", "acs:oss:*:*:films/a.txt", "AliyunOSSFullAccess", "permissions: all"):
        assert part in body
    assert "InvalidAccessKeyId" in ask(server, "oss", "GET", "/photos/a.txt", wrong=True)[1]


def test_a_copy_takes_the_right_to_read_its_source(serve: Callable[..., Server]) -> None:
    policies = [{"Effect": "Allow", "Action": "oss:*", "Resource": ["acs:oss:*:*:films", "acs:oss:*:*:photos*"]},
                {"Effect": "Deny", "Action": "oss:Get*", "Resource": "acs:oss:*:*:photos/secret/*"}]  # fmt: skip
    server = served(serve, policies)
    assert [ask(server, "oss", "PUT", path)[0] for path in ("/photos/", "/films/")] == [200, 200]
    for name in ("secret/a", "b"):
        assert ask(server, "oss", "PUT", f"/photos/{name}", body="x")[0] == 200

    def copied(source: str) -> int:
        return ask(server, "oss", "PUT", "/photos/copy", headers={"x-oss-copy-source": source})[0]

    assert (copied("/photos/b"), copied("/photos/secret/a"), copied("/films/a")) == (200, 403, 403)
    assert ask(server, "oss", "PUT", "/films/a", body="x")[0] == 403


def test_batches_are_deleted_if_each_object_may_be(serve: Callable[..., Server]) -> None:
    policies = ["AliyunOSSFullAccess", {"Effect": "Deny", "Action": "oss:DeleteObject", "Resource": "*/kept/*"}]
    server = served(serve, policies)
    assert ask(server, "oss", "PUT", "/photos/")[0] == 200
    for name in ("a", "kept/a"):
        assert ask(server, "oss", "PUT", f"/photos/{name}", body="x")[0] == 200

    def deleted(*names: str) -> int:
        body = f"<Delete>{''.join(f'<Object><Key>{name}</Key></Object>' for name in names)}</Delete>"
        return ask(server, "oss", "POST", "/photos/?delete", body=body)[0]

    assert deleted("a", "kept/a") == 403
    assert ask(server, "oss", "GET", "/photos/a")[0] == 200
    assert deleted("a") == 200


def test_without_policies_a_function_calls_others_and_manages_nothing(serve: Callable[..., Server]) -> None:
    server = served(serve)
    echo = "/2016-08-15/services/demo/functions/echo"

    assert ask(server, "fc", "POST", f"{echo}/invocations", body="hi") == (200, "hi")
    status, body = ask(server, "fc", "GET", echo)
    assert (status, json.loads(body)["ErrorCode"]) == (403, "AccessDenied")
    for part in ("fc:GetFunction", "acs:fc:*:*:services/demo/functions/echo", "AliyunFCFullAccess"):
        assert part in json.loads(body)["ErrorMessage"]
    assert ask(server, "fc", "GET", "/pyfc/functions")[0] == 403


def test_policies_say_what_of_the_api_a_function_may_do(serve: Callable[..., Server]) -> None:
    named = {"Effect": "Allow", "Action": "fc:InvokeFunction", "Resource": "acs:fc:*:*:services/demo/functions/f"}
    server = served(serve, ["AliyunFCReadOnlyAccess", named])
    echo = "/2016-08-15/services/demo/functions/echo"

    assert ask(server, "fc", "GET", echo)[0] == 200
    status, body = ask(server, "fc", "POST", f"{echo}/invocations", body="hi")
    assert (status, "fc:InvokeFunction" in body) == (403, True)
    assert ask(server, "fc", "DELETE", echo)[0] == 403


def test_pyfc_yml_opens_everything(serve: Callable[..., Server]) -> None:
    server = served(serve, more="permissions: all\n")

    assert ask(server, "oss", "PUT", "/films/")[0] == 200
    assert ask(server, "oss", "PUT", "/films/a", body="x")[0] == 200
    assert ask(server, "fc", "GET", "/2016-08-15/services")[0] == 200


def test_an_http_trigger_that_wants_signatures_takes_the_right_to_call(serve: Callable[..., Server]) -> None:
    path = "/2016-08-15/proxy/demo/web/"
    resource = f"{path}\n"  # the parameters come last, of which there are none

    assert ask(served(serve), "fc", "GET", path, resource=resource) == (200, "web")
    status, body = ask(served(serve, "AliyunOSSFullAccess"), "fc", "GET", path, resource=resource)
    assert (status, "fc:InvokeFunction" in body) == (403, True)


def test_policies_change_without_a_new_instance(serve: Callable[..., Server]) -> None:
    server = served(serve, None, "", "--reload")
    assert ask(server, "oss", "GET", "/")[0] == 403
    before = server.invoke("demo/f", b"{").headers["X-Fc-Instance-Id"]
    document = json.loads((server.folder / "template.yml").read_text())
    document["Resources"]["demo"]["Properties"] = {"Policies": "AliyunOSSReadOnlyAccess"}
    (server.folder / "template.yml").write_text(json.dumps(document))

    wait_until(lambda: ask(server, "oss", "GET", "/")[0] == 200, "the new policies to count")
    assert server.invoke("demo/f", b"{").headers["X-Fc-Instance-Id"] == before


def test_a_function_is_called_back_of_an_upload_and_its_answer_is_the_uploads(serve: Callable[..., Server]) -> None:
    hook = """import json
def handler(environ, start):
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])).decode()
    start("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"told": body}).encode()]
"""
    document = json.loads(template({"hook": {"CodeUri": "hook", "http": ["POST"]}}))
    server = serve({"template.yml": json.dumps(document), "hook/index.py": hook}, "--allow-outgoing", "127.0.0.1")
    client = Client(server)
    assert client("PUT").status == 200
    url = f"{server.endpoint}/2016-08-15/proxy/demo/hook/"
    said = json.dumps({"callbackUrl": url, "callbackBody": "object=${object}&size=${size}"}).encode()
    answer = client("PUT", "a.txt", body=b"hello", x_oss_callback=base64.b64encode(said).decode())

    assert (answer.status, json.loads(answer.body)) == (200, {"told": "object=a.txt&size=5"})
