"""What packages may do while they are installed: real pip and npm, with packages that try to get out of their cage."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import uuid
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest

from packages import PROBE, Registry, node_archive, node_package, source_distribution, source_files
from pyfc.boundary import Boundary
from pyfc.build.builder import Builder, Wanted
from pyfc.build.consent import Always, Answer, Consents
from pyfc.errors import PyfcError
from pyfc.sandbox.cage import Cage
from support import OWN_MODE_FIRST, UID, Server, impossible, wait_until

HAS_NPM = pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")


class Bench(NamedTuple):
    """A project of one function, a home with secrets in it, and how `pyfc build` is run there."""

    mode: str
    folder: Path
    home: Path
    given: dict[str, Any]

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def command(self, *options: str) -> list[str]:
        """`pyfc build` in this mode."""
        uid = UID if os.geteuid() == 0 else os.geteuid()
        wrapper = [sys.executable, str(Path(__file__).parents[1] / "as_user.py"), str(uid)]
        prefix = [] if self.mode == "root" else [*wrapper, "no" if self.mode == "plain" else "yes"]
        return [*prefix, sys.executable, "-m", "pyfc", "build", str(self.folder), *options]

    def environment(self, **others: str) -> dict[str, str]:
        """That of the user."""
        return {
            "PATH": os.environ["PATH"], "HOME": str(self.home), "LANG": "C.UTF-8", "TOKEN": "of my environment",
            "XDG_CACHE_HOME": "", "XDG_STATE_HOME": "", "PIP_NO_INDEX": "1", "npm_config_offline": "true",
            "PIP_FIND_LINKS": str(self.folder.parent / "packages"),
            "PIP_EXTRA_INDEX_URL": "http://me:index-secret@127.0.0.1:9/simple", **others,
        }  # fmt: skip

    def build(self, *options: str, **environment: str) -> tuple[int, str, str]:
        """Run it: exit status, standard output, standard error."""
        done = subprocess.run(
            self.command(*options), stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False, cwd="/",
            env=self.environment(**environment),
        )  # fmt: skip
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    @property
    def built(self) -> list[Path]:
        """What `pyfc build` has kept."""
        return list((self.home / ".cache/pyfc/build/built").glob("*"))


@pytest.fixture(params=OWN_MODE_FIRST)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """In each mode that is possible here."""
    if reason := impossible(request.param):
        pytest.skip(reason)
    yield from made(request.param, tmp_path)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Bench]:
    """In the mode of whoever runs the tests, for what is the same in all."""
    yield from made("root" if os.geteuid() == 0 else "user", tmp_path)


def made(mode: str, tmp_path: Path) -> Iterator[Bench]:
    for folder in [*reversed(tmp_path.parents), tmp_path]:
        if folder.stat().st_uid == os.geteuid():
            folder.chmod(folder.stat().st_mode | 0o111)
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "id").write_text("my key")
    (home / ".npmrc").write_text("//registry.invalid/:_authToken=npm-secret\n")
    (home / ".config/pip").mkdir(parents=True)
    (home / ".config/pip/pip.conf").write_text("[global]\ntimeout = 5\n# pip-secret\n")
    (tmp_path / "packages").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket(socket.AF_UNIX) as agent:
        agent.bind(str(home / "agent"))
        agent.listen()
        files = [".ssh/id", ".npmrc", ".config/pip/pip.conf", ".local/state/pyfc/consents.json"]
        given = {
            "secrets": [*(str(home / name) for name in files), "/etc/installer/0", "/etc/shadow"],
            "outside": [str(home / "mine"), str(tmp_path / "project/f/mine"), "/etc/mine", "/usr/mine"],
            "port": listener.getsockname()[1],
            "socket": str(home / "agent"),
        }
        if mode != "root" and os.geteuid() == 0:
            for path in [home, *home.rglob("*")]:
                os.chown(path, UID, UID)
        bench = Bench(mode, tmp_path / "project", home, given)
        bench.write({"f/index.py": "def handler(event, context):\n    pass\n"})
        yield bench
    assert not list((home / ".cache/pyfc/build/shop").glob("*")), "a workshop was left"


def expect_nothing_reached(told: dict[str, Any], bench: Bench) -> None:
    text = json.dumps(told)
    for secret in ("my key", "npm-secret", "pip-secret", "index-secret", "of my environment", "root:"):
        assert secret not in text, secret
    assert not [path for path in bench.given["outside"] if os.path.lexists(path)]
    assert told["port"] != "done"
    assert told.get("socket") != "done"
    if bench.mode == "root":
        assert told["uid"] not in {0, os.geteuid()}
    allowed = (
        "PATH",
        "LANG",
        "TZ",
        "HOME",
        "TMPDIR",
        "PYTHON",
        "PEP517_",
        "_PYPROJECT_",
        "npm_",
        "NODE",
        "PWD",
        "INIT_CWD",
    )
    assert not [
        name for name in told["environment"] if not name.startswith((*allowed, "LC_", "COLOR", "EDITOR", "SHLVL", "_"))
    ]


def told_by_python(bench: Bench) -> dict[str, Any]:
    """What `curious` has found out while it was built."""
    module = ast.parse((bench.built[0] / "curious.py").read_text()).body[0]
    assert isinstance(module, ast.Assign)
    told: dict[str, Any] = json.loads(ast.literal_eval(module.value))
    return told


def told_by_node(bench: Bench) -> dict[str, Any]:
    """What `curious` has found out while it was installed."""
    told: dict[str, Any] = json.loads((bench.built[0] / "node_modules/curious/told.json").read_text())
    return told


@pytest.mark.long
def test_a_package_that_is_built_from_source_reaches_nothing_of_its_user(bench: Bench) -> None:
    source_distribution(bench.folder.parent / "packages", "curious", source_files("curious", bench.given))
    bench.write({"f/requirements.txt": "curious\n"})

    status, told, errors = bench.build("--yes")

    assert status == 0, errors
    expect_nothing_reached(told_by_python(bench), bench)
    assert ("warning: there are no namespaces here" in told) is (bench.mode == "plain")


@pytest.mark.long
@HAS_NPM
def test_an_install_script_of_npm_reaches_nothing_of_its_user(bench: Bench) -> None:
    files = {f"f/vendor/{name}": text for name, text in node_package("curious", bench.given).items()}
    bench.write({**files, "f/package.json": json.dumps({"dependencies": {"curious": "file:./vendor"}})})

    status, _, errors = bench.build("--yes")

    assert status == 0, errors
    expect_nothing_reached(told_by_node(bench), bench)


def test_nothing_of_a_package_runs_before_somebody_has_allowed_it(bench: Bench) -> None:
    source_distribution(bench.folder.parent / "packages", "curious", source_files("curious", bench.given))
    bench.write({"f/requirements.txt": "curious\n"})

    status, _, errors = bench.build()

    assert status == 2
    assert "f/requirements.txt: curious 1.0 runs code while it is installed (own_backend)" in errors
    assert "`pyfc build --yes`" in errors
    assert not bench.built


@pytest.fixture
def registry(bench: Bench) -> Iterator[Registry]:
    """A registry for those who read the user's settings, of what is in `packages`."""
    registry = Registry(bench.folder.parent / "packages")
    address = f"http://me:pip-secret@{registry.host}/simple/"
    (bench.home / ".config/pip/pip.conf").write_text(f"[global]\nindex_url = {address}\n")
    (bench.home / ".npmrc").write_text(f"registry=http://{registry.host}/\n//{registry.host}/:_authToken=npm-secret\n")
    yield registry
    registry.close()


ONLINE = {"PIP_NO_INDEX": "0", "PIP_FIND_LINKS": "", "PIP_EXTRA_INDEX_URL": "", "npm_config_offline": "false"}


@pytest.mark.long
def test_what_downloads_has_the_users_settings_and_what_builds_has_not(bench: Bench, registry: Registry) -> None:
    bench.given["port"] = int(registry.host.partition(":")[2])
    source_distribution(bench.folder.parent / "packages", "curious", source_files("curious", bench.given))
    bench.write({"f/requirements.txt": "curious\n"})

    status, _, errors = bench.build("--yes", **ONLINE)

    assert status == 0, errors
    assert registry.asked == ["/simple/curious/", "/files/curious-1.0.tar.gz"]
    expect_nothing_reached(told_by_python(bench), bench)
    kept = bench.home / ".cache/pyfc/build/downloads/pip"
    assert {path.name for path in kept.iterdir()} == {"http", "http-v2"}, "what was built is no download"


@pytest.mark.long
@HAS_NPM
def test_npm_has_its_token_while_it_fetches_and_no_longer(bench: Bench, registry: Registry) -> None:
    node_archive(bench.folder.parent / "packages", "curious", node_package("curious", bench.given))
    bench.write({"f/package.json": json.dumps({"dependencies": {"curious": "1"}})})

    status, _, errors = bench.build("--yes", **ONLINE)

    assert status == 0, errors
    assert registry.asked == ["/curious", "/files/curious-1.0.0.tgz"]
    expect_nothing_reached(told_by_node(bench), bench)


@pytest.mark.long
def test_a_consent_is_kept_until_a_manifest_changes(own: Bench) -> None:
    source_distribution(own.folder.parent / "packages", "curious", source_files("curious", own.given))
    own.write({"f/requirements.txt": "curious\n"})
    assert own.build("--yes")[0] == 0
    shutil.rmtree(own.built[0])

    assert own.build()[0] == 0

    own.write({"f/requirements.txt": "curious>=1\n"})
    assert "nobody has allowed that" in own.build()[2]


@pytest.mark.long
def test_code_of_packages_has_the_network_if_the_user_says_so(own: Bench) -> None:
    source_distribution(own.folder.parent / "packages", "curious", source_files("curious", own.given))
    own.write({"f/requirements.txt": "curious\n"})

    assert own.build("--yes", "--network")[0] == 0

    told = told_by_python(own)
    assert told["port"] == "done"
    assert "my key" not in json.dumps(told)


@pytest.mark.long
def test_a_package_beside_the_code_is_built_in_a_copy_of_it(own: Bench) -> None:
    own.write({f"f/vendor/{name}": text for name, text in source_files("curious", own.given).items()})
    own.write({"f/requirements.txt": "./vendor\n"})

    assert "vendor runs code while it is installed" in own.build()[2].replace("curious 1.0", "vendor")
    assert own.build("--yes")[0] == 0

    assert not list(own.folder.rglob("*.pyc"))
    expect_nothing_reached(told_by_python(own), own)


@pytest.mark.parametrize("name", ["requirements.txt", ".npmrc"])
def test_a_manifest_that_would_send_a_secret_elsewhere_is_refused(own: Bench, name: str) -> None:
    own.write({"f/requirements.txt": "--find-links http://127.0.0.1:9/${PIP_EXTRA_INDEX_URL}\nsix\n"})
    if name == ".npmrc":
        (own.folder / "f/requirements.txt").unlink()
        own.write({"f/.npmrc": "registry=http://127.0.0.1:9/${npm_config_token}/"})
        own.write({"f/package.json": '{"dependencies": {"plain": "1"}}'})

    status, _, errors = own.build("--yes", npm_config_token="of npm")

    assert status == 2
    assert re.search(rf"f/{name}: \$\{{\w+\}} holds a secret of yours", errors), errors


@pytest.mark.long
def test_a_build_that_takes_too_long_is_told_as_any_other_failure(
    own: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source_distribution(tmp_path / "packages", "curious", source_files("curious", own.given, "while True: pass"))
    own.write({"f/requirements.txt": "curious\n"})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "packages"))
    builder = Builder(tmp_path / "built", Cage(seconds=5), Consents(tmp_path / "consents"))
    builder.ask_by(Always(Answer.YES))

    with pytest.raises(PyfcError, match="it took more than 5 s"):
        asyncio.run(builder.build(Wanted(own.folder / "f", sys.executable, "3", Boundary(own.folder))))

    assert not list((tmp_path / "built/shop").iterdir())


@pytest.mark.long
def test_an_interrupted_build_leaves_nothing(own: Bench) -> None:
    mark = uuid.uuid4().hex
    wait = f"import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)', '{mark}'])"
    source_distribution(own.folder.parent / "packages", "curious", source_files("curious", own.given, wait))
    own.write({"f/requirements.txt": "curious\n"})
    process = subprocess.Popen(own.command("--yes"), env=own.environment(), stdin=subprocess.DEVNULL)

    def running() -> list[psutil.Process]:
        return [each for each in psutil.process_iter(["cmdline"]) if mark in (each.info["cmdline"] or [])]

    wait_until(running, "the build", 60)
    process.send_signal(signal.SIGINT)

    assert process.wait(30) == 130
    assert not running()
    assert not own.built


@pytest.mark.long
def test_what_a_lean_build_imports_reaches_nothing_either(own: Bench) -> None:
    path = own.folder.parent / "packages" / "curious-1.0-py3-none-any.whl"
    info = "curious-1.0.dist-info"
    files = {
        "curious/__init__.py": f"import json, sys\nfrom curious import probe\ntold = probe.seen({own.given!r})\n"
        "sys.exit(0 if 'my key' in json.dumps(told) or told['port'] == 'done' else 1)\n",
        "curious/probe.py": PROBE,
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: curious\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {**files, f"{info}/RECORD": "".join(f"{name},,\n" for name in files)}.items():
            archive.writestr(name, text)
    own.write({"f/requirements.txt": "curious\n"})

    status, told, errors = own.build("--lean")

    assert status == 0, errors
    assert "import" not in told, "it could be imported, so it has reached something"
    assert not [path for path in own.given["outside"] if os.path.lexists(path)]


@pytest.mark.long
@HAS_NPM
def test_a_script_that_puts_a_link_in_the_place_of_its_project_moves_nothing_of_its_users(own: Bench) -> None:
    (own.folder / "f/node_modules").mkdir(parents=True)
    place = own.folder / "f"
    script = (
        f"node -e \"const fs = require('fs'), at = require('path').resolve('../..'); fs.renameSync(at, at + '.old');"
        f" fs.symlinkSync('{place}', at)\""
    )
    own.write({f"f/vendor/{name}": text for name, text in node_package("curious", own.given, script).items()})
    own.write({"f/package.json": json.dumps({"dependencies": {"curious": "file:./vendor"}})})

    status, _, errors = own.build("--yes")

    assert status == 2
    assert "f/package.json: " in errors
    assert (own.folder / "f/node_modules").is_dir()
    assert not own.built


@pytest.mark.long
@HAS_NPM
@pytest.mark.parametrize("target", ["/etc/passwd", "../../../../outside"])
def test_a_result_with_a_link_that_leads_out_of_it_is_not_taken(own: Bench, target: str) -> None:
    script = f"node -e \"require('fs').symlinkSync('{target}', 'link')\""
    own.write({f"f/vendor/{name}": text for name, text in node_package("curious", own.given, script).items()})
    own.write({"f/package.json": json.dumps({"dependencies": {"curious": "file:./vendor"}})})

    status, _, errors = own.build("--yes")

    assert status == 2
    assert "what npm installed is not taken: 'node_modules/curious/link' is a link that leads out of it" in errors
    assert not own.built


@HAS_NPM
def test_packages_without_scripts_need_no_consent_and_their_preparation_does_not_run(own: Bench) -> None:
    document = {"name": "plain", "version": "1.0.0", "scripts": {"prepare": "node -e \"fs.writeFileSync('made', '')\""}}
    own.write({"f/vendor/package.json": json.dumps(document), "f/vendor/main.js": ""})
    own.write({"f/package.json": json.dumps({"dependencies": {"plain": "file:./vendor"}})})

    assert own.build()[0] == 0

    assert {path.name for path in (own.built[0] / "node_modules/plain").iterdir()} == {"main.js", "package.json"}


@pytest.mark.parametrize("kind", ["named", "link", "npm"])
def test_manifests_reach_nothing_outside_of_the_project(own: Bench, kind: str) -> None:
    own.write({"f/requirements.txt": "-r ../../home/.ssh/id\n"})
    if kind == "link":
        (own.folder / "f/requirements.txt").unlink()
        (own.folder / "f/requirements.txt").symlink_to(own.home / ".ssh/id")
    elif kind == "npm":
        (own.folder / "f/requirements.txt").unlink()
        own.write({"f/package.json": json.dumps({"dependencies": {"keys": "file:../../home/.ssh"}})})

    status, _, errors = own.build("--yes")

    assert status == 2
    assert "lies outside of" in errors
    assert "my key" not in errors


@pytest.mark.long
def test_a_person_is_asked_and_sees_what_will_run(own: Bench) -> None:
    files = node_package("curious", own.given, "node probe.js # \x1b[2Khidden")
    own.write({f"f/vendor/{name}": text for name, text in files.items()})
    own.write({"f/package.json": json.dumps({"dependencies": {"curious": "file:./vendor"}})})
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        own.command(), stdin=theirs, stderr=theirs, stdout=theirs, env=own.environment(), cwd="/"
    )
    os.close(theirs)
    shown = b""

    while b"anything else: no" not in shown:
        shown += os.read(ours, 4096)
    os.write(ours, b"y\n")

    with contextlib.suppress(OSError):  # the end of a terminal
        while piece := os.read(ours, 4096):
            shown += piece
    os.close(ours)
    assert process.wait(60) == 0
    assert rb"curious 1.0.0  install: node probe.js # \x1b[2Khidden" in shown
    expect_nothing_reached(told_by_node(own), own)


@pytest.mark.long
def test_serving_goes_on_without_what_nobody_has_allowed(own: Bench, serve: Callable[..., Server]) -> None:
    source_distribution(own.folder.parent / "packages", "curious", source_files("curious", own.given))
    files = {"f/index.py": "def handler(event, context):\n    return 'f'\n", "f/requirements.txt": "curious\n"}

    server = serve({**files, "g/index.py": "def handler(event, context):\n    return 'g'\n"}, **own.environment())

    assert server.invoke("default/g").body == b"g"
    assert server.invoke("default/f").body == b"f"
    told = wait_until(lambda: [each["warning"] for each in server.records if "warning" in each], "the warning")
    note = next(text for text in told if "curious" in text)
    assert "`pyfc build --yes`" in note
    assert "the function has to do without" in note
