"""A Python function's process looks like a program of its own: nothing of pyfc's stands in it, and modules of the
standard library that start it once more work.
"""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import OWN_MODE_FIRST, Server, impossible, server_in_mode, template, wait_until

ROOT = str(Path(__file__).resolve().parents[2])
CODE = """
import concurrent.futures, inspect, json, multiprocessing, os, signal, sys, threading, time, traceback

def double(number):
    return number * 2

def put(pipe, value):
    pipe.send(os.getpid() != value)

def process(event, context):
    own = multiprocessing.get_context(event.decode())
    ours, theirs = own.Pipe()
    process = own.Process(target=put, args=(theirs, os.getpid()))
    process.start()
    found = ours.poll(15) and ours.recv()
    process.join()
    return [found, process.exitcode]

def pools(event, context):
    own = multiprocessing.get_context(event.decode())
    with own.Pool(2) as pool:
        second = pool.map(double, range(4))
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=own) as pool:
        third = list(pool.map(double, range(4)))
    return [second, third]

def ended(event, context):
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    os.kill(child, signal.SIGTERM)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def look(event, context):
    def modules():
        return {name: [str(getattr(each, key, "")) for key in ("__file__", "__spec__", "__path__")]
                for name, each in sys.modules.items()}
    try:
        raise ValueError
    except ValueError:
        trace = traceback.format_exc()
    main = sys.modules["__main__"]
    frames = [[each.filename, str(each.frame.f_globals.get("__file__")), str(each.frame.f_globals.get("__spec__"))]
              for each in inspect.stack()]
    return {"stack": frames, "printed": traceback.format_stack(), "trace": trace, "argv": sys.argv,
            "orig": getattr(sys, "orig_argv", []), "main": {key: str(value) for key, value in vars(main).items()},
            "modules": modules(), "path": sys.path, "cache": list(sys.path_importer_cache), "env": dict(os.environ)}

def hooked(event, context):
    sys.excepthook = lambda kind, error, trace: print("mine", kind.__name__, [
        each.filename for each in traceback.extract_tb(trace)])
    raise KeyboardInterrupt

def unhooked(event, context):
    raise KeyboardInterrupt

def thread(event, context):
    threading.excepthook = lambda told: print("my thread", told.exc_type.__name__)
    own = threading.Thread(target=lambda: 1 / 0)
    own.start()
    own.join()
"""
NAMES = ("process", "pools", "look", "hooked", "unhooked", "thread", "several", "ended")


@pytest.fixture(scope="module", params=[*OWN_MODE_FIRST, "copies"])
def served(request: pytest.FixtureRequest) -> Iterator[Server]:
    mode = "root" if request.param == "copies" else request.param
    if why := impossible(mode):
        pytest.skip(why)
    functions: dict[str, dict[str, Any]] = {
        name: {"Handler": f"index.{name}", "Timeout": 60, "MemorySize": 512} for name in NAMES
    }
    functions["several"].update(Handler="index.hooked", InstanceConcurrency=3)
    with tempfile.TemporaryDirectory(prefix="pyfc-hiding-") as folder:
        templates = "first" if request.param == "copies" else "off"
        files = {"index.py": CODE, "template.yml": template(functions)}
        server = server_in_mode(mode, Path(folder), files, PYFC_TEMPLATES=templates)
        yield server
        assert server.stop()[0] == 0


KINDS = pytest.mark.parametrize("kind", ["fork", "spawn", "forkserver"])


@KINDS
def test_a_process_of_the_standard_library_can_be_started_in_every_way(served: Server, kind: str) -> None:
    answer = served.invoke("demo/process", kind.encode())

    assert answer.json == [True, 0], answer.body


@KINDS
def test_pools_of_processes_work(served: Server, kind: str, request: pytest.FixtureRequest) -> None:
    answer = served.invoke("demo/pools", kind.encode())

    if request.node.callspec.params["served"] == "plain":  # their semaphores are files of everyone's /dev/shm
        assert answer.json["errorType"] == "PermissionError", answer.body
    else:
        assert answer.json == [[0, 2, 4, 6], [0, 2, 4, 6]], answer.body


def test_a_process_that_the_function_forks_is_ended_by_a_signal_as_any_other(served: Server) -> None:
    assert served.invoke("demo/ended").json == -signal.SIGTERM


def test_nothing_of_pyfcs_stands_in_the_process(served: Server) -> None:
    seen = served.invoke("demo/look").json

    assert seen["argv"] == [""]
    assert len(seen["orig"]) <= 1
    assert seen["main"]["__name__"] == "__main__"
    assert "__file__" not in seen["main"]
    assert "Traceback" in seen["trace"]
    own = {name for name in ("bootstrap", "zygote", "wire", "calls", "enter", "window") if name in seen["modules"]}
    assert own == set()
    for what, value in seen.items():
        text = str(value)
        for folder in (f"{ROOT}/runtimes", f"{ROOT}/pyfc"):
            assert folder not in text, what


def test_what_ends_the_process_is_told_by_the_hook_that_the_function_has_set(served: Server) -> None:
    for name in ("hooked", "several"):
        answer = served.invoke(f"demo/{name}")

        assert answer.json["errorMessage"].startswith("Process exited unexpectedly"), answer.body
        call = answer.headers["X-Fc-Request-Id"]
        line = wait_until(lambda call=call: "mine KeyboardInterrupt" in served.logged(call) + served.logged(""), name)
        assert line
        written = served.logged(call) + served.logged("")
        assert "runtimes/python" not in written


def test_what_ends_the_process_is_told_without_lines_of_ours(served: Server) -> None:
    answer = served.invoke("demo/unhooked")

    log = wait_until(lambda: served.logged(answer.headers["X-Fc-Request-Id"]), "the log")
    assert "in unhooked" in log
    assert "bootstrap" not in log


def test_what_ends_a_thread_is_told_by_the_functions_own_hook(served: Server) -> None:
    answer = served.invoke("demo/thread")

    wait_until(lambda: "my thread ZeroDivisionError" in served.logged(answer.headers["X-Fc-Request-Id"]), "the hook")
