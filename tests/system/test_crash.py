"""The server's own end: asked for, demanded, or sudden."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from support import SHARES_FILES, Server, time_passed, wait_until

SLEEPER = (
    "import subprocess, time\n"
    "def handler(event, context):\n"
    "    child = subprocess.Popen(['sleep', '300'])\n"
    "    open(event.decode(), 'w').write(str(child.pid))\n"
    "    time.sleep(1.0)\n"
    "    return 'done'\n"
)


def running(server: Server, pool: ThreadPoolExecutor, flag: Path) -> tuple[object, int]:
    """A call that runs, and the process that its function has started."""
    call = pool.submit(server.invoke, "default/sleeper", str(flag).encode())
    return call, int(wait_until(lambda: flag.exists() and flag.read_text(), "the call to run"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_graceful_stop_answers_what_runs_and_takes_nothing_new(
    serve: Callable[..., Server], tmp_path: Path, number: int
) -> None:
    server = serve({"sleeper.py": SLEEPER}, *SHARES_FILES)
    with ThreadPoolExecutor(1) as pool:
        call, child = running(server, pool, tmp_path / "flag")
        server.process.send_signal(number)
        wait_until(lambda: refuses(server), "the server to accept nothing more")
        answer = call.result(10)  # type: ignore[attr-defined]

    assert (answer.status, answer.body) == (200, b"done")
    assert answer.headers["Connection"] == "close"
    assert server.stop()[0] == 0
    wait_until(lambda: not psutil.pid_exists(child), "the end of what the function had started")


def was_cut_off(call: object) -> bool:
    """The client saw its connection end, or was told that the process was ended."""
    if call.exception(10) is not None:  # type: ignore[attr-defined]
        return True
    return call.result().headers["X-Fc-Error-Type"] is not None  # type: ignore[attr-defined]


def refuses(server: Server) -> bool:
    try:
        server.connect().close()
    except OSError:
        return True
    return False


def test_a_call_that_does_not_end_in_time_is_cut_off_by_a_stop(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve({"sleeper.py": SLEEPER.replace("1.0", "60")}, *SHARES_FILES, PYFC_DRAIN_TIMEOUT="0.5")
    with ThreadPoolExecutor(1) as pool:
        call, child = running(server, pool, tmp_path / "flag")
        began = time.monotonic()
        status, errors = server.stop()

        assert status == 0
        assert "Traceback" not in errors
        assert time.monotonic() - began < 10
        assert was_cut_off(call)
    wait_until(lambda: not psutil.pid_exists(child), "the end of what the function had started")


def test_a_second_interrupt_kills_at_once(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve({"sleeper.py": SLEEPER.replace("1.0", "60")}, *SHARES_FILES)
    with ThreadPoolExecutor(1) as pool:
        call, child = running(server, pool, tmp_path / "flag")
        server.process.send_signal(signal.SIGINT)
        wait_until(lambda: refuses(server), "the first interrupt to be heard")
        began = time.monotonic()
        status, errors = server.stop(signal.SIGINT)

        assert status == 0
        assert "Traceback" not in errors
        assert time.monotonic() - began < 5
        assert was_cut_off(call)
    wait_until(lambda: not psutil.pid_exists(child), "the end of what the function had started")


def test_a_kill_9_of_the_server_takes_everything_with_it(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "sleeper.py").write_text(SLEEPER.replace("1.0", "60"))
    server = Server(folder, tmp_path / "data", *SHARES_FILES)
    with ThreadPoolExecutor(1) as pool:
        call, child = running(server, pool, tmp_path / "flag")
        processes = server.processes()
        server.stop(signal.SIGKILL)

        gone, alive = psutil.wait_procs(processes, timeout=5)
        assert call.exception(5) is not None  # type: ignore[attr-defined]
    assert not alive
    assert child in {process.pid for process in gone}

    again = Server(folder, tmp_path / "data")  # its lock died with it
    assert again.stop()[0] == 0


def test_a_second_server_on_the_same_data_folder_refuses(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve({})

    second = pyfc("serve", str(tmp_path), "--data-dir", str(server.data_dir), "--port", "0")

    assert second.returncode == 2
    assert f"(process {server.process.pid})" in second.stderr
    assert "--data-dir" in second.stderr


def test_a_taken_port_is_an_error_that_names_it(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve({})

    second = pyfc("serve", str(tmp_path), "--data-dir", str(tmp_path / "other"), "--port", str(server.port))

    assert second.returncode == 2
    assert f"127.0.0.1:{server.port} is taken" in second.stderr


def test_on_another_address_than_loopback_calls_must_be_signed_too(serve: Callable[..., Server]) -> None:
    files = {"echo.py": "def handler(event, context):\n    return event\n"}
    server = serve(files, "--host", "0.0.0.0")
    path = "/2016-08-15/services/default/functions/echo/invocations"

    assert server.request("GET", "/healthz").status == 200
    unsigned = server.invoke("default/echo", b"x")
    assert (unsigned.status, unsigned.json["ErrorCode"]) == (400, "MissingRequiredHeader")
    assert server.manage("POST", path).status == 200
    everybody = serve(files, "--host", "0.0.0.0", "--auth", "off")
    assert everybody.invoke("default/echo", b"x").status == 200
    assert any("--auth off" in note for note in everybody.ready["notes"])


def test_the_data_folder_is_the_users_own(serve: Callable[..., Server]) -> None:
    server = serve({"echo.py": "def handler(event, context):\n    return event\n"})

    assert server.data_dir.stat().st_mode & 0o777 == 0o700
    [code] = (server.data_dir / "code").iterdir()
    assert os.stat(code / "echo.py").st_mode & 0o222 == 0


def test_function_logs_are_json_lines_that_rotate(serve: Callable[..., Server]) -> None:
    import json

    server = serve(
        {"talks.py": "def handler(event, context):\n    print('x' * 500)\n"},
        PYFC_LOG_FILE_SIZE="2000", PYFC_LOG_FILE_COUNT="2",
    )  # fmt: skip
    numbers = []
    for _ in range(30):
        numbers.append(server.invoke("default/talks").headers["X-Fc-Request-Id"])
        server.record(numbers[-1])

    folder = server.data_dir / "logs" / "default"
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["talks.jsonl", "talks.jsonl.1", "talks.jsonl.2"] or names == ["talks.jsonl.1", "talks.jsonl.2"]
    lines = [json.loads(line) for path in folder.iterdir() for line in path.read_text().splitlines()]
    assert {line["requestId"] for line in lines} <= set(numbers)
    assert lines[0]["log"] == "x" * 500 + "\n"
    assert {"time", "status", "instanceId", "durationMs", "memoryMb", "cold"} <= set(lines[0])


def pyfc(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        [sys.executable, "-m", "pyfc", *arguments], capture_output=True, text=True, timeout=30, **options
    )


def test_a_server_whose_reader_has_gone_stops_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "f.py").write_text("def handler(event, context):\n    return 'x'\n")
    command = [sys.executable, "-m", "pyfc", "serve", str(tmp_path / "app"), "--port", "0"]
    server = subprocess.Popen([*command, "--data-dir", str(tmp_path / "data")], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    assert any("Ready" in line for line in server.stdout)
    server.stdout.close()

    server.send_signal(signal.SIGINT)

    try:
        server.wait(20)
    finally:
        server.kill()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")
def test_a_zygote_that_is_killed_before_it_has_read_its_orders_is_replaced_and_no_call_hears_of_it(
    serve: Callable[..., Server],
) -> None:
    echo = "def handler(event, context):\n    return event\n"
    server = serve({"echo.py": echo}, PYFC_SPARE_WORKERS="0", PYFC_TEMPLATES="off")
    [outside] = psutil.Process(server.process.pid).children()
    zygotes = [outside, *outside.children()]
    for each in zygotes:
        each.suspend()
    before = pipes(server)

    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(server.invoke, "default/echo", b"served")
        wait_until(lambda: pipes(server) > before, "the order to be sent")
        time_passed(0.05)
        for each in zygotes:
            each.kill()

        assert call.result(10).body == b"served"


def pipes(server: Server) -> int:
    """How many ends of pipes the server has: a worker's are made before it is ordered."""
    folder = f"/proc/{server.process.pid}/fd"
    found = 0
    for name in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):
            found += os.readlink(f"{folder}/{name}").startswith("pipe:")
    return found
