"""What of /etc functions and installers see, beside what every program needs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyfc.sandbox import configuration
from support import Server, template


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A machine with an /etc, an /usr and a state folder of its own."""
    for name in ("etc", "usr/bin", "usr/lib/deep"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.setattr(configuration, "_ETC", str(tmp_path / "etc"))
    monkeypatch.setattr(configuration, "_INSTALLED", str(tmp_path / "usr"))
    monkeypatch.setattr(configuration, "_PROGRAMS", (str(tmp_path / "usr/bin"),))
    monkeypatch.setattr(configuration, "_CHANGES", (str(tmp_path / "usr/bin"),))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    configuration._linked.cache_clear()
    yield tmp_path
    configuration._linked.cache_clear()


def put(path: Path, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    path.chmod(mode)


def shown(machine: Path) -> list[str]:
    return [os.path.relpath(path, machine / "etc") for path in configuration.folders()]


def test_a_folder_that_something_installed_links_to_is_shown(machine: Path) -> None:
    put(machine / "etc/java-17/net.properties")
    put(machine / "etc/other/conf")
    (machine / "usr/lib/deep/net.properties").symlink_to(machine / "etc/java-17/net.properties")

    assert shown(machine) == ["java-17"]


def test_a_folder_with_the_name_of_a_program_is_shown(machine: Path) -> None:
    put(machine / "etc/nginx/nginx.conf")
    put(machine / "usr/bin/nginx", 0o755)

    assert shown(machine) == ["nginx"]


def test_what_not_everybody_may_read_stays_out_with_its_folder(machine: Path) -> None:
    for name in ("keys", "folders", "plain"):
        put(machine / f"etc/{name}/deep/conf")
        put(machine / f"usr/bin/{name}", 0o755)
    put(machine / "etc/keys/deep/key", 0o640)
    (machine / "etc/folders/deep").chmod(0o750)

    assert shown(machine) == ["plain"]


def test_what_administers_the_machine_and_single_files_stay_out(machine: Path) -> None:
    for name in ("apt", "ssh", "docker"):
        put(machine / f"etc/{name}/conf")
        put(machine / f"usr/bin/{name}", 0o755)
    put(machine / "etc/environment")
    put(machine / "usr/bin/environment", 0o755)
    (machine / "usr/lib/linked").symlink_to(machine / "etc/environment")

    assert shown(machine) == []


def test_links_are_looked_for_again_when_something_is_installed(machine: Path) -> None:
    put(machine / "etc/new/conf")
    os.utime(machine / "usr/bin", ns=(1, 1))
    assert shown(machine) == []
    (machine / "usr/lib/new").symlink_to(machine / "etc/new/conf")
    configuration._linked.cache_clear()
    assert shown(machine) == [], "it is kept"

    os.utime(machine / "usr/bin", ns=(2, 2))
    configuration._linked.cache_clear()

    assert shown(machine) == ["new"]


def test_a_kept_list_that_is_damaged_is_made_again(machine: Path) -> None:
    put(machine / "etc/new/conf")
    (machine / "usr/lib/new").symlink_to(machine / "etc/new/conf")
    for text in ("", "[]", "{", '{"key": 1}'):
        put(machine / "state/pyfc/configuration.json")
        (machine / "state/pyfc/configuration.json").write_text(text)
        configuration._linked.cache_clear()

        assert shown(machine) == ["new"]


HANDLER = """
import subprocess
def handler(event, context):
    done = subprocess.run(event.decode(), shell=True, capture_output=True, text=True)
    return done.stdout + done.stderr
"""


@pytest.mark.skipif(shutil.which("java") is None, reason="needs Java")
def test_java_finds_its_configuration_in_the_sandbox(serve: Callable[..., Server]) -> None:
    given = {"MemorySize": 1024, "Timeout": 30}
    server = serve({"index.py": HANDLER, "template.yml": template({"run": given})})

    command = b"ls -L $(dirname $(dirname $(readlink -f $(which java))))/conf/net.properties; java -version"
    answer = server.invoke("demo/run", command).body.decode()

    assert "No such file" not in answer
    assert "Runtime Environment" in answer
