"""MNS's own clients, unmodified, use the message service at a server's address."""

from __future__ import annotations

import shutil
import subprocess
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyfc.auth.keys import Keys
from support import Server

pytestmark = pytest.mark.long
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    found = Server(tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("data") / "data")
    yield found
    found.stop()


def run(server: Server, name: str, *words: str | Path) -> None:
    """A script of the life of a queue called `name`; it ends with status 0 when all was as it expects."""
    key = Keys(server.data_dir).first()[0]
    command = [*words, server.endpoint, key.id, key.secret, name]
    done = subprocess.run(command, timeout=120, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr + done.stdout


@pytest.mark.parametrize("package", ["aliyun-mns-sdk==1.3.0", "aliyun-mns==1.1.5"])
def test_the_clients_for_python_work_unmodified(server: Server, tmp_path: Path, package: str) -> None:
    venv.create(tmp_path, with_pip=True)
    python = tmp_path / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", package], check=True, timeout=600, capture_output=True)

    run(server, f"life-{len(package)}", python, "-W", "ignore", HERE / "mns_python.py")


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_the_client_for_node_works_unmodified(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", tmp_path]
    subprocess.run([*command, "@alicloud/mns@1.2.0"], check=True, timeout=600, capture_output=True)
    monkeypatch.setenv("NODE_PATH", str(tmp_path / "node_modules"))

    run(server, "life-node", "node", HERE / "mns_node.js")


@pytest.mark.skipif(shutil.which("mvn") is None, reason="Maven is not installed")
def test_the_client_for_java_works_unmodified(server: Server, tmp_path: Path) -> None:
    wanted = "<groupId>com.aliyun.mns</groupId><artifactId>aliyun-sdk-mns</artifactId>"
    (tmp_path / "pom.xml").write_text(
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>life</groupId>'
        f"<artifactId>life</artifactId><version>1</version><dependencies><dependency>{wanted}"
        f"<version>1.4.0</version></dependency></dependencies></project>"
    )
    command = ["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=600, capture_output=True)
    subprocess.run(
        ["javac", "-cp", "lib/*", "-d", ".", HERE / "MnsLife.java"], cwd=tmp_path, check=True, timeout=200,
    )  # fmt: skip

    run(server, "life-java", "java", "-cp", f"{tmp_path}/lib/*:{tmp_path}", "MnsLife")
