"""CloudMonitor's own clients, unmodified, read metrics at a server's address."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pyfc.auth.keys import Keys
from support import Server
from vendors import done, python_with

pytestmark = pytest.mark.long
SCRIPT = Path(__file__).parent / "cms_python.py"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    project = tmp_path_factory.mktemp("project")
    (project / "index.py").write_text("def handler(event, context):\n    return event\n")
    server = Server(project, tmp_path_factory.mktemp("data") / "data")
    for _ in range(7):
        server.invoke("default/index")
    yield server
    server.stop()


@pytest.mark.parametrize(
    ("which", "packages"),
    [
        ("newer", ["alibabacloud-cms20190101==4.0.10"]),
        ("older", ["aliyun-python-sdk-cms==6.0.1", "aliyun-python-sdk-core==2.16.0"]),
    ],
)
def test_the_clients_for_python_work_unmodified(
    server: Server, tmp_path: Path, which: str, packages: list[str]
) -> None:
    key = Keys(server.data_dir).first()[0]

    python = python_with(tmp_path, *packages)

    done(python, "-W", "ignore", str(SCRIPT), server.endpoint, key.id, key.secret, "7", which)
