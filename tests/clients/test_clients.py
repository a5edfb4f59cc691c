"""FC's own clients, unmodified, manage and call functions of pyfc: only the endpoint is another."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pyfc.auth.keys import Keys
from support import Server

HERE = Path(__file__).parent
ACCOUNT = "1234567890123456"
TIMEOUT = 240


@pytest.fixture
def package(tmp_path: Path) -> Path:
    path = tmp_path / "code.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(HERE / "index.py", "index.py")
    return path


@pytest.fixture(scope="session")
def modules() -> Path:
    """FC's clients of npm, installed here once."""
    if shutil.which("npm") is None:
        if os.environ.get("CI"):
            pytest.fail("the tests of npm's clients need Node.js with npm")
        pytest.skip("needs Node.js with npm")
    mark, wanted = HERE / "node_modules" / ".installed", (HERE / "package.json").read_text()
    if not mark.exists() or mark.read_text() != wanted:
        command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
        done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stderr
        mark.write_text(wanted)
    return HERE / "node_modules"


def run(command: list[str], **options: object) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stdout + done.stderr
    text: str = done.stdout
    return text


def arguments(server: Server, package: Path) -> list[str]:
    key = Keys(server.data_dir).first()[0]
    return [server.endpoint, key.id, key.secret, str(package)]


def test_aliyun_fc2_of_pypi(serve: Callable[..., Server], package: Path) -> None:
    server = serve({})

    seen = json.loads(run([sys.executable, str(HERE / "aliyun_fc2.py"), *arguments(server, package)]))

    assert "started" in seen["log"]
    assert "FC Invoke End RequestId" in seen["log"]


def test_alibabacloud_fc20230330_of_pypi(serve: Callable[..., Server], package: Path) -> None:
    run([sys.executable, str(HERE / "fc20230330.py"), *arguments(serve({}), package)])


def test_alibabacloud_fc_open20210406_of_pypi(serve: Callable[..., Server], package: Path) -> None:
    if importlib.util.find_spec("alibabacloud_fc_open20210406") is None and not os.environ.get("CI"):
        pytest.skip("needs alibabacloud-fc-open20210406, one of the test dependencies")
    run([sys.executable, str(HERE / "fc20210406.py"), *arguments(serve({}), package)])


@pytest.mark.long
@pytest.mark.parametrize("script", ["fc2.js", "fc20230330.js"])
def test_clients_of_npm(serve: Callable[..., Server], package: Path, modules: Path, script: str) -> None:
    assert modules.exists()
    run(["node", str(HERE / script), *arguments(serve({}), package)])


TEMPLATE = """
ROSTemplateFormatVersion: '2015-09-01'
Transform: 'Aliyun::Serverless-2018-04-03'
Resources:
  demo:
    Type: 'Aliyun::Serverless::Service'
    Properties: {Role: 'acs:ram::1234567890123456:role/fc', Description: fun helloworld}
    hello:
      Type: 'Aliyun::Serverless::Function'
      Properties:
        {Handler: index.handler, Runtime: python3, CodeUri: ./, Timeout: 10, EnvironmentVariables: {GREETING: hello}}
      Events:
        tick: {Type: Timer, Properties: {CronExpression: '0 0 8 * * *', Enable: true, Payload: x}}
    web:
      Type: 'Aliyun::Serverless::Function'
      Properties: {Handler: index.web, Runtime: python3, CodeUri: ./}
      Events:
        http-test: {Type: HTTP, Properties: {AuthType: ANONYMOUS, Methods: [GET, POST]}}
  www.example.com:
    Type: 'Aliyun::Serverless::CustomDomain'
    Properties:
      Protocol: HTTP
      RouteConfig: {Routes: {'/api/*': {ServiceName: demo, FunctionName: web}}}
"""


@pytest.mark.long
def test_funcraft_deploys_twice_and_invokes(serve: Callable[..., Server], modules: Path, tmp_path: Path) -> None:
    server = serve({})
    project = tmp_path / "app"
    project.mkdir()
    (project / "template.yml").write_text(TEMPLATE)
    shutil.copy(HERE / "index.py", project)
    _, name, secret, _ = arguments(server, project)
    settings = {
        "FC_ENDPOINT": server.endpoint, "ACCOUNT_ID": ACCOUNT, "REGION": "cn-hangzhou", "ACCESS_KEY_ID": name,
        "ACCESS_KEY_SECRET": secret, "HOME": str(tmp_path), "TIMEOUT": "30", "RETRIES": "1",
    }  # fmt: skip
    environment = {**os.environ, **settings}
    fun = [shutil.which("node") or "node", str(modules / "@alicloud" / "fun" / "bin" / "fun.js")]

    def command(*words: str) -> str:
        return run([*fun, *words], cwd=project, env=environment, stdin=subprocess.DEVNULL)

    for _ in range(2):
        assert "deploy success" in command("deploy", "-y")
    assert "hello ada" in command("invoke", "demo/hello", "-e", "ada")

    assert server.invoke("demo/hello", b"bob").body == b"hello bob"
    answer = server.request("GET", "/2016-08-15/proxy/demo/web/x")
    assert answer.json["path"] == "/x"
    routed = server.request("GET", "/api/y?z=1", None, {"Host": "www.example.com"})
    assert (routed.json["path"], routed.json["query"]) == ("/api/y", "z=1")
    trigger = server.manage("GET", "/2016-08-15/services/demo/functions/hello/triggers/tick").json
    assert trigger["triggerConfig"]["cronExpression"] == "0 0 8 * * *"
