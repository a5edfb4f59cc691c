"""SLS's own clients, unmodified, use the log service by http_proxy."""

from __future__ import annotations

import subprocess
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyfc.auth.keys import Keys
from support import Server

pytestmark = pytest.mark.long
PACKAGES = ("aliyun-log-python-sdk==0.9.52", "zstd==1.5.7.2")
PYTHON = Path(__file__).parent / "sls_python.py"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that has the client for Python."""
    folder = tmp_path_factory.mktemp("client")
    venv.create(folder, with_pip=True)
    found = folder / "bin" / "python"
    command = [found, "-m", "pip", "install", "-q", *PACKAGES]
    subprocess.run(command, check=True, timeout=600, capture_output=True)
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    found = Server(tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("data") / "data")
    yield found
    found.stop()


@pytest.mark.parametrize("version", ["v1", "v4"])
def test_the_client_for_python_works_unmodified(python: Path, server: Server, version: str) -> None:
    key = Keys(server.data_dir).first()[0]
    words = [python, PYTHON, "cn-hangzhou.log.aliyuncs.com", f"life-{version}", key.id, key.secret, version]
    done = subprocess.run(
        words, env={"http_proxy": server.endpoint}, timeout=120, capture_output=True, text=True, check=False
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
