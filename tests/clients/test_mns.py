"""MNS's own clients, unmodified, use the message service at a server's address."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pyfc.auth.keys import Keys
from support import Server
from vendors import done, java_classes, node_modules, python_with

pytestmark = pytest.mark.long
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    found = Server(tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("data") / "data")
    yield found
    found.stop()


def run(server: Server, name: str, *words: str, **more: str) -> None:
    """A script of the life of a queue called `name`; it ends with status 0 when all was as it expects."""
    key = Keys(server.data_dir).first()[0]
    done(*words, server.endpoint, key.id, key.secret, name, **more)


@pytest.mark.parametrize("package", ["aliyun-mns-sdk==1.3.0", "aliyun-mns==1.1.5"])
def test_the_clients_for_python_work_unmodified(server: Server, tmp_path: Path, package: str) -> None:
    python = python_with(tmp_path, package)

    run(server, f"life-{len(package)}", python, "-W", "ignore", str(HERE / "mns_python.py"))


def test_the_client_for_node_works_unmodified(server: Server, tmp_path: Path) -> None:
    modules = node_modules(tmp_path, "@alicloud/mns@1.2.0")

    run(server, "life-node", "node", str(HERE / "mns_node.js"), NODE_PATH=modules)


def test_the_client_for_java_works_unmodified(server: Server, tmp_path: Path) -> None:
    java_classes(tmp_path, ("com.aliyun.mns", "aliyun-sdk-mns", "1.4.0"), HERE / "MnsLife.java")

    run(server, "life-java", "java", "-cp", f"{tmp_path}/lib/*:{tmp_path}", "MnsLife")
