"""What instances may take and see, in each mode: memory, time, files, network; and what is left when they are gone."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from support import (
    DEADLINE,
    MODES,
    OWN_MODE_FIRST,
    UID,
    Response,
    Server,
    impossible,
    server_in_mode,
    template,
    wait_until,
)

UNHANDLED = "UnhandledInvocationError"
CODE = """
import json, os, socket, subprocess, sys, threading, time

def handler(event, context):
    given = json.loads(event)
    return globals()[given.pop('do')](**given)

def echo(text):
    return text

def hold(size, seconds=0):
    kept = b'x' * (size << 20)
    time.sleep(seconds)
    return str(len(kept))

def hold_in_children(count, size, seconds):
    program = "import time; kept = b'x' * (%d << 20); print(flush=True); time.sleep(%f)" % (size, seconds)
    children = [subprocess.Popen([sys.executable, '-c', program], stdout=subprocess.PIPE) for _ in range(count)]
    for child in children:
        child.stdout.readline()
    return str([child.wait() for child in children])

def fill(size):
    with open(os.environ.get('TMPDIR', '/tmp') + '/filled', 'wb') as file:
        for _ in range(size):
            file.write(b'x' * (1 << 20))
    return str(size)

def room():
    return str(os.statvfs('/tmp').f_blocks * os.statvfs('/tmp').f_frsize >> 20)

def mark(name):
    open(os.environ.get('TMPDIR', '/tmp') + '/' + name, 'w').close()
    time.sleep(0.5)
    return sorted(os.listdir(os.environ.get('TMPDIR', '/tmp')))

def connect(port):
    try:
        socket.create_connection(('127.0.0.1', port), 5).close()
    except OSError as error:
        return 'no: %s' % error.strerror
    return 'yes'

def wait(seconds):
    time.sleep(seconds)
    return 'waited'

def crowd(threads, port):
    over = threading.Event()
    for _ in range(threads):
        threading.Thread(target=over.wait).start()
    with socket.create_connection(('127.0.0.1', port)) as connection:
        connection.recv(1)
    over.set()
    return 'over'

def spawn():
    return str(subprocess.Popen(['sleep', '300']).pid)

def cached():
    import large
    return [large.__cached__, os.path.exists(large.__cached__), try_to_write(large.__cached__)]

def try_to_write(path):
    try:
        open(path, 'r+b').close()
    except OSError as error:
        return error.strerror
    return 'written'
"""
BOMB = "kept = []\nwhile True:\n    kept.append(b'x' * (4 << 20))\n"
FUNCTIONS: dict[str, dict[str, Any]] = {
    "small": {"Timeout": 20},
    "roomy": {"Timeout": 20, "DiskSize": 10240, "MemorySize": 512},
    "bomb": {"Timeout": 20, "Handler": "bomb.handler"},
}


def project() -> dict[str, str]:
    document = json.loads(template(FUNCTIONS))
    document["Resources"] |= json.loads(template({"cut": {"Timeout": 20}}, "offline"))["Resources"]
    document["Resources"]["offline"]["Properties"] = {"InternetAccess": False}
    large = "\n".join(f"def function_{number}(a, b):\n    return a + b * {number}\n" for number in range(3000))
    return {"template.yml": json.dumps(document), "index.py": CODE, "bomb.py": BOMB, "large.py": large}


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="pyfc-sandbox-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module", params=MODES)
def locked(request: pytest.FixtureRequest, scratch: Path) -> Iterator[tuple[str, Server]]:
    """A server of `project` in each mode."""
    mode = request.param
    if why := impossible(mode):
        pytest.skip(why)
    (scratch / mode).mkdir()
    server = server_in_mode(mode, scratch / mode, project())
    yield mode, server
    processes = server.processes()
    status, errors = server.stop()
    assert status == 0, errors
    assert "Traceback" not in errors, errors
    assert not psutil.wait_procs(processes, 10)[1]
    assert not (server.data_dir / "tmp").exists()
    assert not groups_of(server)


def groups_of(server: Server) -> list[Path]:
    """The control groups of a server."""
    name = f"pyfc-{digest(server.data_dir)}"
    return [path for path in Path("/sys/fs/cgroup").rglob(f"{name}*") if path.is_dir()]


def digest(folder: Path) -> str:
    import hashlib

    return hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]


def do(server: Server, what: str, function: str = "demo/small", **given: Any) -> Response:
    return server.invoke(function, json.dumps({"do": what, **given}).encode())


def described(server: Server, name: str) -> dict[str, Any]:
    functions = server.functions()
    found: dict[str, Any] = next(each for each in functions if each["function"] == name)
    return found


def test_more_than_memory_size_ends_the_instance_and_says_how_much_it_was(locked: tuple[str, Server]) -> None:
    _, server = locked
    before = described(server, "small").get("deaths", {}).get("outOfMemory", 0)

    answer = do(server, "hold", size=400, seconds=10)

    assert (answer.status, answer.headers["X-Fc-Error-Type"]) == (200, UNHANDLED)
    assert answer.json["errorType"] == "FunctionOOMError"
    assert answer.json["errorMessage"].startswith(
        "Function ran out of memory: its instance needed more than its 128 MB"
    )
    assert float(answer.headers["X-Fc-Max-Memory-Usage"]) > 128
    assert server.record(answer.headers["X-Fc-Request-Id"])["fault"]["kind"] == "OUT_OF_MEMORY"
    wait_until(lambda: described(server, "small")["deaths"]["outOfMemory"] == before + 1, "the death to be counted")
    assert do(server, "echo", text="again").body == b"again"


def test_what_child_processes_hold_counts(locked: tuple[str, Server]) -> None:
    _, server = locked

    answer = do(server, "hold_in_children", count=3, size=70, seconds=10)

    assert answer.json["errorType"] == "FunctionOOMError"
    assert do(server, "hold_in_children", count=2, size=20, seconds=0.2).body == b"[0, 0]"


def test_a_function_may_hold_what_it_has(locked: tuple[str, Server]) -> None:
    _, server = locked

    answer = do(server, "hold", size=60, seconds=0.3)

    assert answer.body == str(60 << 20).encode()
    assert 60 < float(answer.headers["X-Fc-Max-Memory-Usage"]) < 128


def test_the_peak_is_that_of_all_processes_together(locked: tuple[str, Server]) -> None:
    _, server = locked

    answer = do(server, "hold_in_children", function="demo/roomy", count=2, size=100, seconds=2)

    assert answer.body == b"[0, 0]"
    assert 200 < float(answer.headers["X-Fc-Max-Memory-Usage"]) < 400


def test_a_bomb_that_goes_off_while_the_module_is_loaded_is_out_of_memory_too(locked: tuple[str, Server]) -> None:
    _, server = locked

    answer = server.invoke("demo/bomb")

    assert answer.headers["X-Fc-Error-Type"] == UNHANDLED
    assert answer.json["errorType"] == "FunctionOOMError"


def test_what_lies_in_tmp_is_limited_by_disk_size_and_not_by_memory_size(locked: tuple[str, Server]) -> None:
    mode, server = locked

    assert do(server, "fill", size=300).body == b"300"
    if mode == "plain":
        pytest.skip("the folder of an instance has no limit of its own")
    assert do(server, "room").body == b"512"
    assert do(server, "room", function="demo/roomy").body == b"10240"
    assert do(server, "fill", size=600).headers["X-Fc-Error-Type"] == UNHANDLED


def test_instances_do_not_see_each_others_files(locked: tuple[str, Server]) -> None:
    _, server = locked
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda name: do(server, "mark", function="demo/roomy", name=name), ["one", "two"]))

    assert [each.json for each in answers] == [["one"], ["two"]]


def test_a_service_without_internet_access_reaches_nothing_and_others_reach_this_machine(
    locked: tuple[str, Server],
) -> None:
    _, server = locked

    assert do(server, "connect", port=server.port).body == b"yes"
    assert do(server, "connect", function="offline/cut", port=server.port).body.startswith(b"no: ")


def test_modules_are_compiled_ahead_and_functions_can_not_change_what_others_run(locked: tuple[str, Server]) -> None:
    _, server = locked
    wait_until(lambda: list(server.data_dir.glob("cache/*/.compiled")), "the compiled code")

    _, exists, written = do(server, "cached", function="demo/roomy").json

    assert exists
    assert written in {"Read-only file system", "Permission denied"}


def test_a_zygote_that_dies_takes_its_instances_and_is_replaced(locked: tuple[str, Server]) -> None:
    _, server = locked
    do(server, "spawn")
    processes = server.processes()

    for zygote in psutil.Process(server.process.pid).children():
        zygote.kill()

    wait_until(lambda: not any(each.is_running() for each in processes), "their end", 10)
    wait_until(lambda: do(server, "echo", text="again").body == b"again", "an instance of a new zygote")


@pytest.mark.parametrize("mode", OWN_MODE_FIRST)
def test_kill_9_of_the_server_leaves_nothing_and_the_next_one_cleans_up(mode: str, tmp_path: Path) -> None:
    if why := impossible(mode):
        pytest.skip(why)
    with tempfile.TemporaryDirectory(prefix="pyfc-kill-") as folder:
        server = server_in_mode(mode, Path(folder), project())
        do(server, "spawn")
        processes = server.processes()
        assert any(each.name() == "sleep" for each in processes)

        server.stop(signal.SIGKILL)

        assert not psutil.wait_procs(processes, 5)[1]
        again = server_in_mode(mode, Path(folder), project())
        assert do(again, "echo", text="again").body == b"again"
        assert again.stop()[0] == 0
        assert not groups_of(again)
        assert not (again.data_dir / "tmp").exists()


FREEZER = Path("/sys/fs/cgroup/freezer")


@pytest.mark.skipif(not os.access(FREEZER / "cgroup.procs", os.W_OK), reason="needs a freezer that holds back SIGKILL")
def test_a_process_that_can_not_be_killed_is_counted_and_told_until_it_is_gone() -> None:
    freezer = FREEZER / f"pyfc-test-{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="pyfc-stuck-") as folder:
        files = {"template.yml": template({"stuck": {"Timeout": 1}}), "index.py": CODE}
        server = server_in_mode("root", Path(folder), files, PYFC_TEMPLATES="off")
        freezer.mkdir()
        try:
            with ThreadPoolExecutor(1) as pool:
                call = pool.submit(do, server, "wait", function="demo/stuck", seconds=60)
                wait_until(lambda: described(server, "stuck")["instances"].get("ready"), "the call to run")
                worker = busy(server)
                (freezer / "cgroup.procs").write_text(str(worker))
                (freezer / "freezer.state").write_text("FROZEN")
                answer = call.result(DEADLINE)
            assert answer.json["errorMessage"].startswith("Function timed out after 1 seconds")
            wait_until(lambda: described(server, "stuck")["instances"].get("stuck") == 1, "the stuck instance")
            assert do(server, "echo", function="demo/stuck", text="others are served").status == 200
        finally:
            (freezer / "freezer.state").write_text("THAWED")
        wait_until(lambda: "stuck" not in described(server, "stuck")["instances"], "its end")
        wait_until(lambda: removed(freezer), "the end of the freezer's group")
        status, errors = server.stop()
    assert status == 0
    assert "does not die of SIGKILL" in errors


def test_a_crowd_of_threads_is_told_that_it_gets_little_of_the_processors(locked: tuple[str, Server]) -> None:
    mode, server = locked
    if mode != "root":
        pytest.skip("an ordinary user has control groups where they are delegated")
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        listener.settimeout(DEADLINE)
        call = pool.submit(do, server, "crowd", threads=300, port=listener.getsockname()[1])
        with listener.accept()[0]:
            told = "more than 256 processes and threads"
            wait_until(lambda: told in server.log("demo", "small"), "the line in its log")
        assert call.result().body == b"over"
    assert do(server, "echo", text="again").body == b"again"


def busy(server: Server) -> int:
    """The worker that has entered its function's group, i.e. the one with a limit."""
    for worker in server.workers():
        for line in Path(f"/proc/{worker.pid}/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            limit = Path("/sys/fs/cgroup/memory" + path) / "memory.limit_in_bytes"
            if controllers == "memory" and int(limit.read_text()) == (128 + 512) << 20:
                return worker.pid
    return 0


def removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except OSError:
        return False
    return True


@pytest.mark.parametrize(("mode", "lacking"), [("user", "processor ("), ("plain", "namespaces (")])
def test_required_refuses_to_start_and_names_what_is_missing(mode: str, lacking: str, tmp_path: Path) -> None:
    if why := impossible(mode):
        pytest.skip(why)
    with (
        tempfile.TemporaryDirectory(prefix="pyfc-required-") as folder,
        pytest.raises(AssertionError, match="--sandbox required, but missing here: ") as failure,
    ):
        server_in_mode(mode, Path(folder), project(), "--sandbox", "required").stop()
    assert lacking in str(failure.value)
    assert "pyfc doctor" in str(failure.value)


def test_off_is_a_loud_choice(serve: Callable[..., Server]) -> None:
    server = serve({"echo.py": "def handler(event, context):\n    return event\n"}, "--sandbox", "off")

    assert any(note.startswith("WARNING: no sandbox (--sandbox off)") for note in server.ready["notes"])
    assert server.invoke("default/echo", b"x").body == b"x"


@pytest.mark.parametrize("text", ["on", "never", ""])
def test_a_sandbox_that_does_not_exist_is_a_wrong_setting(text: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pyfc", "serve", str(tmp_path), "--sandbox", text]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)

    assert done.returncode == 2
    assert "auto, required or off" in done.stderr


@pytest.mark.parametrize("mode", OWN_MODE_FIRST)
def test_doctor_tells_each_layer_what_it_protects_and_how_to_get_it(mode: str) -> None:
    if why := impossible(mode):
        pytest.skip(why)
    uid = str(UID) if os.geteuid() == 0 else str(os.geteuid())
    wrapper = [sys.executable, str(Path(__file__).parents[1] / "as_user.py"), uid, "no" if mode == "plain" else "yes"]
    command = [*([] if mode == "root" else wrapper), sys.executable, "-m", "pyfc", "doctor"]

    shown = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=True)
    told = json.loads(subprocess.run([*command, "--json"], capture_output=True, timeout=DEADLINE, check=True).stdout)

    assert not shown.stderr
    states = {layer["name"]: layer["state"] for layer in told["layers"]}
    assert len(states) == 16
    assert states["namespaces"] == ("missing" if mode == "plain" else "on")
    assert states["system calls"] == states["privileges"] == states["no network"] == states["orphans"] == "on"
    for layer in told["layers"]:
        assert layer["name"] in shown.stdout
        assert layer["protects"]
        assert layer["detail"]
    assert ("To have more:" in shown.stdout) == any(state in {"weaker", "missing"} for state in states.values())


@pytest.mark.parametrize("mode", MODES)
def test_the_start_says_plainly_when_functions_reach_sockets_of_the_user(mode: str, tmp_path: Path) -> None:
    if why := impossible(mode):
        pytest.skip(why)
    server = server_in_mode(mode, tmp_path, {"index.py": CODE, "template.yml": template(FUNCTIONS)})
    server.stop()

    warned = [note for note in server.ready["notes"] if note.startswith("WARNING: UNIX sockets of your user")]
    assert bool(warned) == (mode == "plain")


def test_doctor_looks_at_the_functions_of_a_folder(tmp_path: Path) -> None:
    for name, text in project().items():
        (tmp_path / name).write_text(text)
    command = [sys.executable, "-m", "pyfc", "doctor", str(tmp_path)]

    shown = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=True).stdout

    assert any(line.startswith("offline/cut") and line.endswith("cut off") for line in shown.splitlines())
    assert any(line.startswith("demo/roomy") and "10240 MB" in line for line in shown.splitlines())


LIMITED = (
    "import os, resource, sys; resource.setrlimit(resource.RLIMIT_{0}, ({1}, {1})); os.execv(sys.argv[1], sys.argv[1:])"
)


def test_a_server_without_descriptors_left_sheds_load_and_recovers(tmp_path: Path) -> None:
    files = {"echo.py": "def handler(event, context):\n    return event\n"}
    before = [sys.executable, "-c", LIMITED.format("NOFILE", 64)]
    mode = "root" if os.geteuid() == 0 else "user"
    server = server_in_mode(mode, tmp_path, files, before=before)
    assert server.invoke("default/echo", b"x").body == b"x"

    connections = [server.connect() for _ in range(100)]
    for each in connections:
        each.close()

    wait_until(lambda: served(server), "an answer again")
    status, errors = server.stop()
    assert status == 0
    assert "Traceback" not in errors


def served(server: Server) -> bool:
    try:
        return server.invoke("default/echo", b"x").body == b"x"
    except OSError:
        return False


def test_a_host_that_has_no_process_left_is_a_503_and_recovers(tmp_path: Path) -> None:
    if why := impossible("user"):
        pytest.skip(why)
    if os.geteuid() != 0:
        pytest.skip("the limit counts all processes of an ordinary user")
    with tempfile.TemporaryDirectory(prefix="pyfc-processes-") as folder:
        before = [sys.executable, "-c", LIMITED.format("NPROC", 12)]
        server = server_in_mode(
            "plain", Path(folder), {"index.py": CODE, "template.yml": template(FUNCTIONS)}, before=before
        )
        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(lambda _: do(server, "wait", seconds=0.5), range(20)))
        assert do(server, "echo", text="again").body == b"again"
        status, errors = server.stop()

    assert {each.status for each in answers} <= {200, 503}
    assert any(each.body == b"waited" for each in answers)
    assert status == 0
    assert "Traceback" not in errors


def test_output_without_end_is_left_out_and_a_line_says_how_much(serve: Callable[..., Server]) -> None:
    spam = "import os, time\ndef handler(event, context):\n    end = time.time() + 1\n    while time.time() < end:\n"
    server = serve({"spam.py": spam + "        os.write(1, b'spam and eggs ' * 1000)\n"}, PYFC_LOG_RATE="10000")

    answer = server.invoke("default/spam", X_Fc_Log_Type="Tail")

    assert answer.headers["X-Fc-Error-Type"] is None
    written = server.logged(answer.headers["X-Fc-Request-Id"]) + server.logged("")
    assert len(written) < 400_000
    wait_until(
        lambda: "[pyfc left out " in server.logged("") + server.logged(answer.headers["X-Fc-Request-Id"]), "the line"
    )


def test_what_a_function_has_locked_away_in_its_folder_does_not_stop_the_next_server(tmp_path: Path) -> None:
    if why := impossible("plain"):
        pytest.skip(why)
    hides = (
        "import os\ndef handler(event, context):\n    folder = os.environ['TMPDIR'] + '/a/b'\n    os.makedirs(folder)\n"
    )
    hides += "    for path in (folder, os.path.dirname(folder)):\n        os.chmod(os.open(path, os.O_RDONLY), 0)\n"
    with tempfile.TemporaryDirectory(prefix="pyfc-hides-") as folder:
        server = server_in_mode("plain", Path(folder), {"hides.py": hides})
        assert server.invoke("default/hides").body == b"null"
        server.stop(signal.SIGKILL)
        assert list((server.data_dir / "tmp").iterdir())

        again = server_in_mode("plain", Path(folder), {"hides.py": hides})
        assert again.invoke("default/hides").body == b"null"
        assert again.stop()[0] == 0
        assert not (server.data_dir / "tmp").exists()


def test_a_link_that_a_function_leaves_in_its_folder_is_removed_and_what_it_names_stays(tmp_path: Path) -> None:
    if why := impossible("plain"):
        pytest.skip(why)
    links = "import os\ndef handler(event, context):\n    os.symlink(event.decode(), os.environ['TMPDIR'] + '/link')\n"
    with tempfile.TemporaryDirectory(prefix="pyfc-links-") as folder:
        server = server_in_mode("plain", Path(folder), {"links.py": links})
        kept = server.data_dir.parent / "kept"
        (kept / "inside").mkdir(parents=True)
        kept.chmod(0o755)
        assert server.invoke("default/links", str(kept).encode()).body == b"null"
        assert server.stop()[0] == 0

        assert not (server.data_dir / "tmp").exists()
        assert (kept / "inside").exists()
        assert kept.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("mode", OWN_MODE_FIRST)
def test_a_function_may_write_over_a_file_of_its_own(mode: str, tmp_path: Path) -> None:
    if reason := impossible(mode):
        pytest.skip(reason)
    text = """
import os

def handler(event, context):
    name = os.path.join(os.environ.get("TMPDIR", "/tmp"), "mine")
    with open(name, "w") as file:
        file.write("x" * int(event))
    return os.stat(name).st_size
"""
    server = server_in_mode(mode, tmp_path, {"one.py": text})
    try:
        assert [server.invoke("default/one", size).body for size in (b"9", b"3")] == [b"9", b"3"]
    finally:
        assert server.stop()[0] == 0
