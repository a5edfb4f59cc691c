"""Projects that somebody else has written: nothing leads out of them, and no odd file in them stops anything."""

from __future__ import annotations

import base64
import io
import json
import os
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import jwt
import pytest

from support import Server, pyfc, template, wait_until

SOURCE = "import os\ndef handler(event, context):\n    return sorted(os.listdir('.'))\n"
ODD = {
    "pipe": "is a named pipe", "socket": "is a socket", "dangling": "leads nowhere", "device": "is a device",
    "circle": "is a link in a circle", "up": "is a link to a folder that contains it",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of one function, beside which a key lies; its data folder is no one's of the user."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("secret")
    folder = tmp_path / "project"
    (folder / "one").mkdir(parents=True)
    (folder / "one" / "index.py").write_text(SOURCE)
    (folder / "template.yml").write_text(template({"one": {"CodeUri": "./one"}}))
    return folder


def make_odd(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket"))
    (folder / "dangling").symlink_to("nowhere")
    (folder / "circle").symlink_to("circle")
    (folder / "up").symlink_to("../one")
    (folder / "device").symlink_to("/dev/null")


def words(command: str, folder: Path, server: Server | None) -> list[str]:
    endpoint = ["--endpoint", server.endpoint] if server is not None else []
    return {
        "serve": ["serve", str(folder), "--port", "0", "--data-dir", str(folder.parent / "data")],
        "dev": ["dev", str(folder), "--port", "0", "--data-dir", str(folder.parent / "data")],
        "deploy": ["deploy", str(folder), *endpoint],
        "layers": ["layers", "shared", "--publish", str(folder / "one"), *endpoint],
        "build": ["build", str(folder)],
        "local": ["local", "invoke", "one", "-t", str(folder / "template.yml")],
        "local start": ["local", "start", "-t", str(folder / "template.yml"), "--port", "0"],
    }[command]


@pytest.mark.parametrize("command", ["serve", "dev", "deploy", "layers", "build", "local", "local start"])
def test_a_link_out_of_the_project_is_refused_by_every_command_that_reads_it(
    serve: Callable[..., Server], folder: Path, command: str
) -> None:
    (folder / "one" / "keys.py").symlink_to(folder.parent / "secret" / "key")
    server = serve({}, "--auth", "off") if command in {"deploy", "layers"} else None

    status, said, complaint = pyfc(*words(command, folder, server))

    assert status == 2, said + complaint
    assert f"keys.py leads out of the project {folder if command != 'layers' else folder / 'one'}: " in complaint
    assert "--allow-outside" in complaint
    assert "Traceback" not in complaint
    if command != "layers":
        assert f"{folder}/template.yml:1: " in complaint
    if server is not None:
        assert server.functions() == []


@pytest.mark.parametrize("command", ["deploy", "layers", "build", "local"])
def test_odd_files_are_named_and_left_out_by_every_command(
    serve: Callable[..., Server], folder: Path, command: str
) -> None:
    make_odd(folder / "one")
    server = serve({}, "--auth", "off") if command in {"deploy", "layers"} else None

    status, said, complaint = pyfc(*words(command, folder, server), "--allow-outside")

    assert status == 0, said + complaint
    for name, why in ODD.items():
        assert complaint.count(f"warning: {folder}/one/{name} {why}: it is left out") == 1
    if command == "local":
        assert said == '["index.py"]\n'
    if command == "deploy":
        assert server is not None
        assert server.invoke("demo/one").json == ["index.py"]


def test_odd_files_are_named_once_when_serving_begins(folder: Path, tmp_path: Path) -> None:
    make_odd(folder / "one")
    server = Server(folder, tmp_path / "data", "--allow-outside")
    try:
        assert server.invoke("demo/one").json == ["index.py"]
        for name, why in ODD.items():
            assert server.ready["notes"].count(f"warning: {folder}/one/{name} {why}: it is left out") == 1
    finally:
        assert server.stop() == (0, "")


def test_what_may_lead_outside_is_served_for_this_start(folder: Path, tmp_path: Path) -> None:
    (folder / "one" / "keys").symlink_to("../../secret")
    server = Server(folder, tmp_path / "data", "--allow-outside")
    try:
        assert server.invoke("demo/one").json == ["index.py", "keys"]
    finally:
        assert server.stop() == (0, "")


def test_init_makes_nothing_where_something_is(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to("elsewhere")
    (tmp_path / "dangling").symlink_to("elsewhere/new")
    (tmp_path / "file").touch()
    (tmp_path / "full" / "x").mkdir(parents=True)
    os.mkfifo(tmp_path / "pipe")

    for name in ("link", "dangling", "file", "full", "pipe", "file/below", "x" * 300):
        status, said, complaint = pyfc("init", name, folder=tmp_path)
        assert (status in {2, 3}, said) == (True, ""), complaint
        assert complaint.startswith("pyfc: "), complaint
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert pyfc("init", ".", folder=tmp_path / "elsewhere")[0] == 0
    assert (tmp_path / "elsewhere" / "template.yml").is_file()


@pytest.mark.long
def test_an_event_is_a_file_a_pipe_or_text_and_not_endless(folder: Path) -> None:
    (folder / "one" / "index.py").write_text("def handler(event, context):\n    return event\n")
    (folder / "event").write_text("from a file")
    local = ["local", "invoke", "one", "-t", str(folder / "template.yml")]

    assert pyfc(*local, "-e", str(folder / "event"))[:2] == (0, "from a file\n")
    assert pyfc(*local, "-e", "\u4e00" * 150)[:2] == (0, "\u4e00" * 150 + "\n")
    assert pyfc(*local, "-e", "x" * 5000)[:2] == (0, "x" * 5000 + "\n")
    reader = 'exec "$@" -f <(printf "from a pipe")'
    done = subprocess.run(
        ["bash", "-c", reader, "bash", sys.executable, "-m", "pyfc", *local],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "from a pipe\n"), done.stderr
    for options, why in (
        (["-f", str(folder)], "Is a directory"),
        (["-f", str(folder / "gone")], "No such file"),
        (["-f", "/dev/zero"], "more than 33554432 bytes"),
    ):
        status, said, complaint = pyfc(*local, *options)
        assert (status in {2, 3}, said) == (True, ""), complaint
        assert why in complaint
        assert "Traceback" not in complaint


GOOD = "def handler(event, context):\n    return 'good'\n"


def mistaken() -> dict[str, str]:
    return {
        "template.yml": template({"good": {}, "wrong": {"Handler": "index"}, "twice": {"CodeUri": "twice.zip"}}),
        "index.py": GOOD,
    }


def archive_with_a_duplicate() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("index.py", GOOD)
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("index.py", GOOD)
    return data.getvalue()


def test_a_mistake_in_one_function_is_shown_and_the_others_are_served(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    (tmp_path / "project0").mkdir()
    (tmp_path / "project0" / "twice.zip").write_bytes(archive_with_a_duplicate())

    server = serve(mistaken())

    assert server.invoke("demo/good").body == b"good"
    assert server.invoke("demo/wrong").status == server.invoke("demo/twice").status == 404
    shown = [note for note in server.ready["notes"] if note.startswith("mistake: ")]
    assert ["Handler is 'index'" in shown[0], "index.py" in shown[1]] == [True, True], shown
    assert all(f"{tmp_path}/project0/template.yml:" in note for note in shown)


@pytest.mark.parametrize("command", ["serve", "deploy"])
def test_a_strict_server_and_a_deployment_refuse_any_mistake(
    serve: Callable[..., Server], tmp_path: Path, command: str
) -> None:
    for name, text in mistaken().items():
        (tmp_path / name).write_text(text)
    here = ["--port", "0", "--data-dir", str(tmp_path / "data")]
    options = ["--strict", *here] if command == "serve" else ["--endpoint", serve({}).endpoint]

    status, _, complaint = pyfc(command, str(tmp_path), *options)

    assert status == 2
    assert complaint.count(f"{tmp_path}/template.yml:") == 2
    assert "Handler is 'index'" in complaint


@pytest.mark.parametrize("command", ["serve", "dev", "deploy"])
def test_what_there_is_a_warning_about_is_refused_strictly_before_anything_is_served(
    serve: Callable[..., Server], tmp_path: Path, command: str
) -> None:
    (tmp_path / "index.py").write_text(GOOD)
    (tmp_path / "template.yml").write_text(template({"good": {"Timout": 5}}))
    here = ["--port", "0", "--data-dir", str(tmp_path / "data")]
    options = here if command != "deploy" else ["--endpoint", serve({}).endpoint]

    status, printed, complaint = pyfc(command, str(tmp_path), "--strict", *options)

    assert (status, printed) == (2, "")
    assert "Properties.Timout is not a property that pyfc knows" in complaint


def test_a_function_that_becomes_mistaken_goes_on_as_it_was_while_others_change(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    server = serve({"template.yml": template({"one": {}, "two": {}}), "index.py": GOOD}, "--reload")
    server.invoke("demo/one")
    text = template({"one": {"Handler": "index"}, "two": {"CodeUri": "two/"}})
    (tmp_path / "project0" / "two").mkdir()
    (tmp_path / "project0" / "two" / "index.py").write_text(GOOD.replace("good", "better"))

    (tmp_path / "project0" / "template.yml").write_text(text)

    wait_until(lambda: server.invoke("demo/two").body == b"better", "the change")
    assert server.invoke("demo/one").body == b"good"
    told = [each for each in server.records if "notReloaded" in each]
    assert [each["notReloaded"] for each in told] == ["demo/one"]


def test_variables_of_dot_env_are_known_before_the_template_is_read(serve: Callable[..., Server]) -> None:
    function = "props: {functionName: '${env(WHO)}', runtime: python3, handler: index.handler, code: ./}"
    files = {"s.yaml": f"resources: {{a: {{component: fc3, {function}}}}}", "index.py": GOOD, ".env": "WHO=ada\n"}

    assert serve(files).invoke("default/ada").body == b"good"


def test_what_an_ignore_file_names_reaches_no_function_and_is_not_deployed(
    serve: Callable[..., Server], folder: Path
) -> None:
    (folder / ".fcignore").write_text("*.pem\n!keep.pem\n")
    (folder / "one" / ".funignore").write_text("data/\n")
    (folder / "one" / "data").mkdir()
    for name in ("data/x", "a.pem", "keep.pem"):
        (folder / "one" / name).touch()
    files = {each.relative_to(folder).as_posix(): each.read_text() for each in folder.rglob("*") if each.is_file()}
    served, other = serve(files), serve({}, "--auth", "off")

    assert pyfc("deploy", str(folder), "--endpoint", other.endpoint)[0] == 0

    for server in (served, other):
        assert server.invoke("demo/one").json == [".funignore", "index.py", "keep.pem"]


TOKENS = """
resources:
  a:
    component: fc3
    props:
      functionName: a
      runtime: python3
      handler: index.handler
      code: ./
      triggers:
        - triggerName: web
          triggerType: http
          qualifier: LATEST
          triggerConfig:
            authType: jwt
            methods: [GET]
            authConfig:
              jwks: ${json(file('keys.json'))}
              tokenLookup: [{readPosition: header, parameterName: Authorization, prefix: "Bearer "}]
              claimPassBy: [{mappingParameterPosition: header, claimName: sub, mappingParameterName: X-User}]
              whitelist: [/open]
"""
SECRET = "0123456789abcdef0123456789abcdef"


def test_a_function_whose_trigger_wants_a_token_is_called_with_its_claims(serve: Callable[..., Server]) -> None:
    key = {"kty": "oct", "alg": "HS256", "k": base64.urlsafe_b64encode(SECRET.encode()).decode().rstrip("=")}
    code = (
        "import json\ndef handler(event, context):\n    return json.loads(event)['headers'].get('X-User', 'nobody')\n"
    )
    server = serve({"s.yaml": TOKENS, "index.py": code, "keys.json": json.dumps({"keys": [key]})})
    path = "/2016-08-15/proxy/default/a"
    forged = {"X-User": "root"}

    good = {"Authorization": f"Bearer {jwt.encode({'sub': 'ada'}, SECRET)}", **forged}
    assert server.request("GET", f"{path}/", b"", good).body == b"ada"
    assert server.request("GET", f"{path}/open", b"", forged).body == b"nobody"
    for headers in (forged, {"Authorization": f"Bearer {jwt.encode({'sub': 'ada'}, SECRET[::-1])}"}):
        answer = server.request("GET", f"{path}/", b"", headers)
        assert (answer.status, answer.json["ErrorCode"]) == (403, "AccessDenied")


def test_a_key_set_that_is_none_is_shown_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(TOKENS.replace("${json(file('keys.json'))}", "{keys: []}"))

    status, _, complaint = pyfc("deploy", str(tmp_path), "--endpoint", "http://127.0.0.1:1")

    assert status == 2
    assert "s.yaml:17: resources.a.props.triggers[0].triggerConfig.authConfig checks no tokens: " in complaint


def test_a_trigger_with_a_qualifier_calls_that_version(serve: Callable[..., Server]) -> None:
    trigger = "triggers: [{name: web, type: http, qualifier: 1, config: {authType: anonymous, methods: [GET]}}]"
    function = "function: {name: f, runtime: python3, handler: index.handler, codeUri: ./}"
    text = f"services: {{a: {{component: fc, props: {{service: {{name: shop}}, {function}, {trigger}}}}}}}"
    code = "def handler(environ, start_response):\n    start_response('200 OK', [])\n    return [b'version']\n"
    server = serve({"s.yaml": text, "index.py": code})
    host = {"Host": f"f.shop.localhost:{server.port}"}

    assert server.request("GET", "/", b"", host).json["ErrorCode"] == "VersionNotFound"
    assert server.manage("POST", "/2016-08-15/services/shop/versions", {}).status == 200

    assert server.request("GET", "/", b"", host).body == b"version"
    assert server.request("GET", "/2016-08-15/proxy/shop.1/f/").body == b"version"
    assert server.request("GET", "/2016-08-15/proxy/shop/f/").status == 404
