"""What is kept of the compiler's worker, which runs strangers' code, and who shares it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyfc.errors import InvalidArgument
from pyfc.host.interpreters import Interpreter
from pyfc.host.runtimes import Runtimes
from pyfc.model.function import Function
from pyfc.supervisor.birth import compiler_of
from pyfc.supervisor.compiler import keep

MOST = 1000
NODE = Interpreter("/usr/bin/node", "22.1.0", is_exact=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a worker has left."""
    path = tmp_path / "cache" / "digest-key.work"
    (path / "v22").mkdir(parents=True)
    (path / "v22" / "module").write_text("compiled")
    return path


@pytest.fixture
def cache(folder: Path) -> Path:
    path = folder.with_name("digest-key")
    path.mkdir()
    return path


def test_plain_files_are_kept_whole_and_nothing_else_is_left(folder: Path, cache: Path) -> None:
    keep(folder, cache, MOST)

    assert (cache / "v22" / "module").read_text() == "compiled"
    assert (cache / ".compiled").exists()
    assert {path.name for path in cache.parent.iterdir()} == {cache.name, folder.name}


def test_what_a_server_that_was_killed_has_left_half_done_is_replaced(folder: Path, cache: Path) -> None:
    (cache / "v22").mkdir()
    (cache / "v22" / "half").write_text("ha")
    folder.with_name("digest-key.new").mkdir()

    keep(folder, cache, MOST)

    assert [path.name for path in (cache / "v22").iterdir()] == ["module"]


@pytest.mark.parametrize("kind", ["link", "second name"])
def test_a_link_refuses_it_all_and_the_rights_of_what_it_names_stay(
    kind: str, folder: Path, cache: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("of the user")
    secret.chmod(0o600)
    if kind == "link":
        (folder / "v22" / "planted").symlink_to(secret)
    else:
        (folder / "v22" / "planted").hardlink_to(secret)

    with pytest.raises(InvalidArgument, match="planted"):
        keep(folder, cache, MOST)

    assert secret.stat().st_mode & 0o777 == 0o600
    assert not list(cache.iterdir())
    assert not folder.with_name("digest-key.new").exists()


def test_whoever_differs_in_what_decides_how_code_is_compiled_shares_nothing() -> None:
    runtime = Runtimes().get("nodejs22")
    assert runtime is not None

    def of(interpreter: Interpreter = NODE, **variables: str) -> str:
        function = Function(name="f", service="s", handler="i.h", runtime="nodejs22", environment_variables=variables)
        return compiler_of(function, runtime, interpreter)

    assert of() == of(ANY="thing")
    assert len({of(), of(NODE_OPTIONS="--no-opt"), of(Interpreter("/usr/bin/node", "22.2.0", is_exact=True))}) == 3
