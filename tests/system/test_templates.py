"""Templates: an instance that is a copy of a process which has imported its function is an instance all the same."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from support import Server, impossible, is_keeper, server_in_mode, template, wait_until

CODE = """
import json, os, random, socket, sys, tempfile, threading, time, uuid
print("imported")
IMPORT = str(uuid.uuid4())
OWN = random.Random()
FORKED = []
os.register_at_fork(after_in_child=lambda: FORKED.append("hook"))
INITIALIZED = []

def initializer(context):
    INITIALIZED.append(str(uuid.uuid4()))

def facts(event, context):
    time.sleep(0.5)
    open("/tmp/mine", "w").close()
    return {
        "import": IMPORT, "random": random.random(), "own": OWN.random(), "uuid1": str(uuid.uuid1())[9:],
        "name": next(tempfile._get_candidate_names()), "pid": os.getpid(), "uid": os.getuid(), "forked": FORKED,
        "processes": [each for each in os.listdir("/proc") if each.isdigit()], "files": os.listdir("/tmp"),
        "instance": os.environ["FC_INSTANCE_ID"], "initialized": INITIALIZED, "cwd": os.getcwd(),
        "descriptors": sorted(map(int, os.listdir("/proc/self/fd")))[:-1],
    }

def bomb(event, context):
    kept = []
    while True:
        kept.append(b"x" * (4 << 20))

def large(event, context):
    kept = b"x" * (60 << 20)
    return len(kept)

def crash(event, context):
    os.kill(os.getpid(), 11)
    os._exit(7)

def printing(event, context):
    print("called")
    return "printed"
"""
AT_IMPORT = {
    "thread": "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
    "socket": "KEPT = socket.socket()",
    "file": "KEPT = open('/tmp/open', 'w')",
    "child": "__import__('subprocess').Popen(['sleep', '60'])",
    "error": "raise ValueError('no such luck')",
    "exit": "os._exit(3)",
}
REASONS = {
    "thread": "its import leaves 1 threads running",
    "socket": "its import leaves a socket open",
    "file": "its import leaves /tmp/open open",
    "child": "its import leaves a child process running",
    "error": "its import fails: Unable to import module 'leaves_error': no such luck",
    "exit": "its import ends the process",
}
FUNCTIONS: dict[str, dict[str, Any]] = {
    "facts": {"Handler": "index.facts", "Timeout": 20, "Initializer": "index.initializer"},
    "bomb": {"Handler": "index.bomb", "Timeout": 20},
    "large": {"Handler": "index.large", "Timeout": 20},
    "crash": {"Handler": "index.crash"},
    "printing": {"Handler": "index.printing"},
    "snapshot": {"Handler": "index.facts", "Timeout": 20, "Initializer": "index.initializer"},
    **{name: {"Handler": f"leaves_{name}.handler", "Timeout": 20} for name in AT_IMPORT},
}
PYFC_YML = "services: {demo: {snapshot: {snapshot: initialized}}}\n"


def project() -> dict[str, str]:
    files = {"index.py": CODE, "template.yml": template(FUNCTIONS), "pyfc.yml": PYFC_YML}
    for name, line in AT_IMPORT.items():
        body = f"import os, socket, threading, time\n{line}\ndef handler(event, context):\n    return event\n"
        files[f"leaves_{name}.py"] = body
    return files


@pytest.fixture(scope="module", params=["root", "user"])
def served(request: pytest.FixtureRequest) -> Iterator[tuple[str, Server]]:
    """A server whose instances are copies from the first on."""
    if why := impossible(request.param):
        pytest.skip(why)
    with tempfile.TemporaryDirectory(prefix="pyfc-templates-") as folder:
        server = server_in_mode(request.param, Path(folder), project(), PYFC_TEMPLATES="first")
        yield request.param, server
        status, errors = server.stop()
        assert (status, errors) == (0, "")


def described(server: Server, name: str) -> dict[str, Any]:
    functions = server.functions()
    return next(each for each in functions if each["function"] == name)


def at_once(server: Server, name: str, count: int) -> list[dict[str, Any]]:
    with ThreadPoolExecutor(count) as pool:
        answers = list(pool.map(lambda _: server.invoke(f"demo/{name}"), range(count)))
    assert [answer.status for answer in answers] == [200] * count
    return [answer.json for answer in answers]


def test_copies_share_one_import_and_nothing_that_happens_afterwards(served: tuple[str, Server]) -> None:
    _, server = served

    facts = at_once(server, "facts", 4)

    assert len({each["import"] for each in facts}) == 1
    for name in ("instance", "random", "own", "uuid1", "name"):
        assert len({each[name] for each in facts}) == 4, name
    assert len({each["initialized"][0] for each in facts}) == 4, "the initializer runs in every instance"
    for each in facts:
        assert (each["pid"], each["uid"], each["processes"], each["files"]) == (1, 1000, ["1"], ["mine"])
        assert each["forked"] == ["hook"], "a function may react to the copying"
        assert each["descriptors"] == [0, 1, 2, 3, 4, 5]
        assert each["cwd"] == "/code"
    assert described(server, "facts")["template"] == "ready"


def test_the_output_of_the_import_is_shown_once_with_the_first_call(served: tuple[str, Server]) -> None:
    _, server = served

    logs = [server.logged(server.record(first_id(server))["requestId"]) for _ in range(2)]

    assert logs == ["imported\ncalled\n", "called\n"]


def first_id(server: Server) -> str:
    return str(server.invoke("demo/printing").headers["X-Fc-Request-Id"])


def test_a_snapshot_has_run_the_initializer_once_for_all(served: tuple[str, Server]) -> None:
    _, server = served

    facts = at_once(server, "snapshot", 3)

    assert len({tuple(each["initialized"]) for each in facts}) == 1
    assert len({each["random"] for each in facts}) == 3


def test_memory_is_limited_and_measured_for_each_copy(served: tuple[str, Server]) -> None:
    _, server = served

    answers = [server.invoke("demo/bomb") for _ in range(2)]
    large = server.invoke("demo/large")

    for answer in answers:
        assert answer.json["errorMessage"].startswith("Function ran out of memory")
    assert 60 < float(large.headers["X-Fc-Max-Memory-Usage"]) < 128


def test_a_crash_ends_the_copy_alone(served: tuple[str, Server]) -> None:
    _, server = served

    answers = [server.invoke("demo/crash") for _ in range(3)]

    assert {answer.json["errorMessage"].split(" (")[0] for answer in answers} == {
        answers[0].json["errorMessage"].split(" (")[0]
    }
    assert described(server, "crash")["deaths"] == {"exited": 3}
    assert described(server, "crash")["template"] == "ready"


@pytest.mark.parametrize("name", sorted(AT_IMPORT))
def test_what_an_import_leaves_behind_rules_a_template_out_and_the_index_says_what(
    served: tuple[str, Server], name: str
) -> None:
    _, server = served

    answer = server.invoke(f"demo/{name}", b"echo")

    if name == "error":
        assert answer.json["errorMessage"] == "Unable to import module 'leaves_error': no such luck"
    elif name == "exit":
        assert answer.json["errorMessage"].startswith("Process exited")
    else:
        assert answer.body == b"echo"
    assert described(server, name)["template"] == REASONS[name]


def test_a_template_that_dies_leaves_its_copies_and_is_made_again(served: tuple[str, Server]) -> None:
    _, server = served
    before = at_once(server, "facts", 8)
    keeper = keeper_of(server)

    templates = [each for each in keeper.children() if keeper_namespace(each) == keeper_namespace(keeper)]
    assert len(templates) == 1, [(e.pid, e.status(), keeper_namespace(e)) for e in [keeper, *keeper.children()]]
    templates[0].kill()
    assert not psutil.wait_procs(templates, 10)[1]
    old, after = {each["import"] for each in before}, list[dict[str, Any]]()
    sizes = itertools.count(12, 12)

    def is_made_again() -> bool:
        """Only calls that would wait for longer than a start takes get another instance."""
        after.extend(at_once(server, "facts", next(sizes)))
        return len({each["import"] for each in after}) > 1

    wait_until(is_made_again, "a copy of a new template")
    assert len(old) == 1
    assert len({each["import"] for each in after}) == 2, "new ones are of one new template"
    assert {each["instance"] for each in after if each["import"] in old} & {each["instance"] for each in before}


def keeper_namespace(process: psutil.Process) -> str:
    return Path(f"/proc/{process.pid}/ns/pid").readlink().name


def keeper_of(server: Server) -> psutil.Process:
    """The keeper with the most children: that of the function which has been called most."""
    keepers = [each for each in server.processes() if is_keeper(each.pid) and is_keeper(each.ppid())]
    return max(keepers, key=lambda each: len(each.children()))


def test_by_default_the_first_instance_imports_for_itself_and_the_template_comes_behind(
    serve: Callable[..., Server],
) -> None:
    code = (
        "import time, uuid\nID = str(uuid.uuid4())\ndef handler(event, context):\n    time.sleep(0.2)\n    return ID\n"
    )
    server = serve({"hello/index.py": code})
    if described(server, "hello")["template"] != "none":
        pytest.skip(described(server, "hello")["template"])

    first = server.invoke("default/hello").body
    wait_until(lambda: described(server, "hello")["template"] == "ready", "the template")
    with ThreadPoolExecutor(4) as pool:
        others = {each.body for each in pool.map(lambda _: server.invoke("default/hello"), range(4))}

    assert len(others | {first}) == 2


@pytest.mark.long
def test_no_two_copies_draw_the_same_random_numbers(serve: Callable[..., Server]) -> None:
    code = (
        "import os, random, secrets, ssl, time, uuid\nrandom.random(), ssl.RAND_bytes(8), uuid.uuid1()\n"
        "def handler(event, context):\n    time.sleep(0.3)\n"
        "    drawn = [random.random(), uuid.uuid4().hex, uuid.uuid1().hex, secrets.token_hex(8)]\n"
        "    return [*drawn, ssl.RAND_bytes(8).hex()]\n"
    )
    server = serve({"index.py": code}, PYFC_TEMPLATES="first")

    with ThreadPoolExecutor(64) as pool:
        drawn = list(pool.map(lambda _: server.invoke("default/index"), range(128)))

    instances = {answer.headers["X-Fc-Instance-Id"] for answer in drawn}
    assert len(instances) > 20
    for numbers in zip(*(answer.json for answer in drawn), strict=True):
        assert len(set(numbers)) == len(drawn)
