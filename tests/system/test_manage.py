"""The commands that manage a server, and pyfc's own client."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pyfc import AsyncClient, Client
from pyfc.auth.keys import Keys
from support import Server, template, wait_until

CODE = """import os

def handler(event, context):
    print('logged')
    return os.environ.get('A', '') + event.decode()

"""
WEB = "def web(environ, start_response):\n    start_response('200 OK', [])\n    return [b'web']\n"


@pytest.fixture
def server(serve: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    return serve({}, HOME=str(tmp_path))


def pyfc(server: Server, *words: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pyfc", *words], capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PYFC_ENDPOINT": server.endpoint, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def project(folder: Path, **properties: object) -> Path:
    folder.mkdir(exist_ok=True)
    code = {"CodeUri": "code"}
    functions = {"f": {**code, **properties}, "web": {**code, "Handler": "index.web", "http": ["GET"]}}
    (folder / "template.yml").write_text(template(functions))
    (folder / "code").mkdir(exist_ok=True)
    (folder / "code" / "index.py").write_text(CODE + WEB)
    return folder


def test_a_folder_is_deployed_once_and_then_what_has_changed(server: Server, tmp_path: Path) -> None:
    folder = project(tmp_path / "app", Timeout=3)
    shown = pyfc(server, "deploy", str(folder), "--dry-run")
    assert "+ function demo/f" in shown
    assert server.invoke("demo/f").status == 404

    assert "deployed to" in pyfc(server, "deploy", str(folder))
    assert server.invoke("demo/f", b"x").body == b"x"
    assert server.request("GET", "/2016-08-15/proxy/demo/web/").body == b"web"
    assert "is up to date" in pyfc(server, "deploy", str(folder))
    project(folder, Timeout=9, EnvironmentVariables={"A": "b"})
    changed = pyfc(server, "deploy", str(folder))
    assert "~ function demo/f: timeout 3 -> 9, environmentVariables\n" in changed
    assert "= function demo/web" in changed
    assert server.invoke("demo/f", b"x").body == b"bx"
    (folder / "code" / "index.py").write_text(CODE.replace("event.decode()", "'new'") + WEB)
    assert "~ function demo/f: code\n" in pyfc(server, "deploy", str(folder))
    assert server.invoke("demo/f", b"x").body == b"bnew"
    assert "removed service demo" in pyfc(server, "remove", "--dir", str(folder))
    assert server.invoke("demo/f").status == 404


@pytest.mark.long
def test_commands_show_and_change_what_belongs_to_a_service(server: Server, tmp_path: Path) -> None:
    pyfc(server, "deploy", str(project(tmp_path / "app")))
    assert json.loads(pyfc(server, "get", "demo/f"))["handler"] == "index.handler"
    assert json.loads(pyfc(server, "get", "demo"))["serviceName"] == "demo"
    assert pyfc(server, "versions", "demo", "--publish") == "version 1\n"
    assert "live" in pyfc(server, "aliases", "demo", "live", "1")
    assert server.invoke("demo.live/f", b"x").body == b"x"
    assert json.loads(pyfc(server, "versions", "demo", "--json"))[0]["versionId"] == "1"
    assert "http" in pyfc(server, "triggers", "demo/web")
    assert "www.example.com" in pyfc(server, "domains", "www.example.com", "/*", "demo/web")
    assert server.request("GET", "/", None, {"Host": "www.example.com"}).body == b"web"
    (tmp_path / "layer" / "python").mkdir(parents=True)
    (tmp_path / "layer" / "python" / "shared.py").write_text("X = 1\n")
    assert "layers/common/versions/1" in pyfc(server, "layers", "common", "--publish", str(tmp_path / "layer"))
    assert "common" in pyfc(server, "layers")
    assert "1" in pyfc(server, "provision", "demo.live/f", "1")
    wait_until(lambda: "logged" in pyfc(server, "logs", "demo/f"), "the log")
    assert "removed function demo/f" in pyfc(server, "remove", "demo/f")


@pytest.mark.long
def test_keys_are_made_and_revoked_while_the_server_runs(server: Server) -> None:
    line = pyfc(server, "keys", "create", "ci")
    _, name, secret = (part.partition("=")[2] for part in line.split())
    listed = json.loads(pyfc(server, "keys", "list", "--json"))
    assert [each["note"] for each in listed] == ["made by the first start", "ci"]
    assert all("secret" not in each for each in listed)
    own = {"PYFC_ACCESS_KEY_ID": name, "PYFC_ACCESS_KEY_SECRET": secret}
    assert pyfc(server, "list", **own)
    pyfc(server, "keys", "revoke", name)
    key = Keys(server.data_dir).all()[0]
    assert Client(server.endpoint, key=key).functions() == []
    refused = subprocess.run(
        [sys.executable, "-m", "pyfc", "list"], capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PYFC_ENDPOINT": server.endpoint, **own},
    )  # fmt: skip
    assert (refused.returncode, f"invalid access key ID '{name}'" in refused.stderr) == (2, True)


@pytest.mark.long
def test_a_profile_says_which_server_is_meant(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    key = Keys(server.data_dir).all()[0]
    monkeypatch.delenv("PYFC_ENDPOINT", raising=False)
    words = ("--endpoint", server.endpoint, "--access-key-id", key.id, "--access-key-secret", key.secret)
    pyfc(server, "config", "set", "work", *words)
    shown = json.loads(pyfc(server, "config", "--json", PYFC_ENDPOINT=""))
    assert shown == [{"endpoint": server.endpoint, "from": "profile work", "accessKeyId": key.id}]
    profiles = Path(os.environ["HOME"]) / ".config" / "pyfc" / "profiles.json"
    assert profiles.stat().st_mode & 0o777 == 0o600
    assert "no functions" in pyfc(server, "list", PYFC_ENDPOINT="")
    pyfc(server, "config", "remove", "work")
    assert json.loads(pyfc(server, "config", "--json", PYFC_ENDPOINT=""))[0]["from"] == "default"


def test_the_client_for_event_loops_does_many_things_at_once(server: Server, tmp_path: Path) -> None:
    pyfc(server, "deploy", str(project(tmp_path / "app")))

    async def scenario() -> list[bytes]:
        async with AsyncClient(server.endpoint) as client:
            names = [each["serviceName"] for each in await client.run(lambda c: list(c.services().list()))]
            assert "demo" in names
            assert (await client.api("GET", "/services/demo"))["serviceName"] == "demo"
            answers = await asyncio.gather(*(client.invoke("demo", "f", b"%d" % number) for number in range(20)))
            return [answer.body for answer in answers]

    assert asyncio.run(scenario()) == [b"%d" % number for number in range(20)]


def test_properties_that_are_not_known_are_ignored_and_stand_in_the_servers_log_once(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    server = Server(tmp_path / "project", tmp_path / "data")
    for number in range(3):
        document = {"serviceName": f"s{number}", "brandNew": {"a": 1}, "logConfig": {"project": "", "later": 1}}
        answer = server.manage("POST", "/2016-08-15/services", document)
        assert answer.status == 200, answer.body
        assert "brandNew" not in answer.json

    status, log = server.stop()
    assert status == 0
    for shape, name in (("Service", "brandNew"), ("LogConfig", "later")):
        assert log.count(f'requests have properties of {shape} that are not known and ignored: ["{name}"]') == 1
