"""The hostile suite: every handler of tests/functions/hostile against a live server, beside a healthy function.

    python tests/hostile.py [MODE ...] [HANDLER ...]

runs it, in every mode that is possible here if none is named, and prints the table of pyfc/sandbox/README.md.

Modes: `root`, the server is root's; `user`, an ordinary user's, who may make user namespaces; `plain`, one who may not.
With ` copies` after it every instance is a copy of a template; with ` import` each attack runs when its module is
imported, in a template first and then in an instance of its own; ` node` and ` custom` are other runtimes.
"""

from __future__ import annotations

import ast
import ctypes
import json
import os
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from pyfc.sandbox.sandbox import group_name
from support import FUNCTIONS, MODES, UID, Server, impossible, is_keeper, server_in_mode, template, wait_until

AT_ONCE = 4
ALL_MODES = (
    *MODES, "root copies", "user copies", "root import", "user import", *(f"{mode} node" for mode in MODES),
    *(f"{mode} custom" for mode in MODES),
)  # fmt: skip
IN_SUITE = (
    *MODES,
    "root copies",
    "user copies",
    "root import",
    "user import",
    "root node",
    "user custom",
    "plain node",
)
"""Those that every run of the tests takes; `python tests/hostile.py` takes all."""
RUNTIMES = {"node": "nodejs", "custom": "custom"}
KEY = 0x50594643
_SOURCE = FUNCTIONS / "hostile"

SLOW = (
    "disk_bomb",
    "inode_bomb",
    "zombie_flood",
    "become_root",
    "memory_shared_bomb",
    "memory_file_bomb",
    "memory_segment_bomb",
    "small_files",
    "pools_of_the_user",
    "paths_of_the_server",
)
"""Handlers that come to their end by themselves, if they are given more than a second."""
OF_ALL = ["/tmp", "/var/tmp", "/dev/shm"]
"""Folders where everybody may write: nothing of a function may appear in the host's."""

WEAKENED = {
    ("sockets_of_others", "plain"): "Landlock does not judge path sockets; file rights do",
    ("disk_bomb", "plain"): "each file is limited, not their sum",
    ("inode_bomb", "plain"): "files are not counted; they go with the instance",
    ("paths_of_the_server", "root"): "the kernel shows of a mount where it comes from",
    ("paths_of_the_server", "user"): "the kernel shows of a mount where it comes from",
    ("paths_of_the_server", "plain"): "functions run where their files lie, and are told so",
}
"""What a mode does not contain, and why; the server, its data and the healthy function are safe all the same."""

LAYERS = {
    "processor": ("loop_in_python", "loop_in_c", "loop_in_every_process", "sleep_for_ever", "timer_storm", "deaf"),
    "memory": (
        "memory_bomb", "memory_bomb_of_children", "memory_mapped_bomb", "memory_bomb_in_the_background", "giant_result",
        "deep_recursion", "memory_shared_bomb", "memory_file_bomb", "memory_segment_bomb",
    ),
    "processes": ("fork_bomb", "zombie_flood", "thread_bomb"),
    "limits": ("descriptor_bomb", "pipe_bomb", "raise_limits", "pools_of_the_user"),
    "tmp": ("disk_bomb", "inode_bomb", "small_files"),
    "output limit": ("endless_output", "endless_output_of_a_child"),
    "wire": (
        "segfault", "exit_at_once", "abort", "garbage_frames", "giant_frame", "long_header", "half_a_frame",
        "endless_frames", "forged_answers", "closed_pipes", "closed_output", "stopped",
    ),
    "orphans": ("daemon", "many_daemons", "outlive_the_server"),
    "namespaces, signals": ("kill_everybody", "kill_the_server", "change_the_servers_limits", "sockets_of_others"),
    "proc, files": (
        "read_the_server", "find_the_servers_environment", "proc_files", "descriptors_of_the_server",
        "paths_of_the_server",
    ),
    "files": (
        "read_secrets", "read_the_data_folder", "read_other_code", "import_the_servers_modules", "write_outside",
        "links", "change_what_is_known_of_files", "shared_memory", "devices", "control_groups",
    ),
    "system calls": (
        "trace_the_server", "mounts", "new_namespaces", "enter_namespaces", "kernel_doors", "keyrings", "host_name",
        "odd_sockets", "terminals",
    ),
    "privileges": ("become_root", "capabilities"),
    "no network": ("network",),
}  # fmt: skip


class Outcome(NamedTuple):
    """How one handler ended."""

    name: str
    text: str
    """In a few words, for the table."""
    escaped: list[str]


class Report(NamedTuple):
    """One mode's run."""

    outcomes: list[Outcome]
    failures: list[str]
    """Healthy calls that failed."""
    calls: int
    left: list[str]
    """Processes that were still there a while after the last call."""
    errors: str
    """What the server wrote to its standard error."""


def handlers() -> list[str]:
    """The cases: functions that take an event, and decorated ones."""
    tree = ast.parse((_SOURCE / "index.py").read_text())
    return [
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and (node.decorator_list or [each.arg for each in node.args.args] == ["event", "context"])
    ]


def run(mode: str, names: Sequence[str] = ()) -> Report:
    """Every handler in one mode, or those that are named."""
    base, _, way = mode.partition(" ")
    with ExitStack() as stack:
        scratch = Path(tempfile.mkdtemp(prefix="pyfc-hostile-"))
        stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        server = _server(base, scratch, way)
        stack.callback(server.stop)
        there = stack.enter_context(_surroundings(server, scratch, base))
        outcomes, failures, calls = _attack(server, base, json.dumps(there).encode(), names or handlers())
        left = _left(server, base) + [f"{path}/escaped" for path in OF_ALL if Path(path, "escaped").exists()]
        errors = server.stop()[1]
    if way in RUNTIMES:  # the parent of what attacks is the worker of its own instance
        outcomes = [each._replace(escaped=[e for e in each.escaped if e != "parent: True"]) for each in outcomes]
    return Report(outcomes, failures, calls, left, errors)


AT_IMPORT = """
import json, os
import attacks
there = json.loads(os.environ["THERE"])
there["pids"] = {"keeper": 1, "parent": os.getppid(), "neighbour": 3}
there["descriptors"] = [6]  # of a template: its own end of its keeper's socket
RESULT = getattr(attacks, os.environ["ATTACK"])(json.dumps(there).encode(), None)

def handler(event, context):
    return RESULT
"""


def _server(mode: str, scratch: Path, way: str) -> Server:
    source = (_SOURCE / "index.py").read_text()
    files = {
        **({"index.py": AT_IMPORT, "attacks.py": source} if way == "import" else {"index.py": source}),
        **{name: (_SOURCE / name).read_text() for name in ("index.js", "bootstrap")},
        "healthy/index.py": "def handler(event, context):\n    return event\n",
        "template.yml": _template(scratch if way == "import" else None, RUNTIMES.get(way, "python3"), mode),
    }
    way_settings = {
        "PYFC_TEMPLATES": "first" if way in {"copies", "import"} else "off",
        **({"PYFC_LOAD_TIMEOUT": "3"} if way == "import" else {}),
    }
    server = server_in_mode(mode, scratch, files, PYFC_CANARY="1", PYFC_IDLE_TIMEOUT="1", **way_settings)
    (scratch / "home" / "secret").write_text("of the user")
    if mode != "root" and os.geteuid() == 0:
        os.chown(scratch / "home" / "secret", UID, UID)
    return server


def _template(scratch: Path | None, runtime: str, mode: str) -> str:
    """The functions; with `scratch` they attack when they are imported, what can be known before there is a server."""
    functions: dict[str, dict[str, Any]] = {}
    for name in handlers():
        if name != "network":
            timeout = 10 if name in SLOW else 1
            functions[name] = {"Handler": f"index.{name}", "Timeout": timeout, "Runtime": runtime}
            if scratch is not None:
                variables = {"ATTACK": name, "THERE": json.dumps(_known(scratch, mode))}
                functions[name] |= {"Handler": "index.handler", "EnvironmentVariables": variables}
    document = json.loads(template(functions, "hostile"))
    healthy = {"echo": {"CodeUri": "./healthy", "Timeout": 60}}
    document["Resources"] |= json.loads(template(healthy, "healthy"))["Resources"]
    network: dict[str, Any] = {"Handler": "index.network", "Runtime": runtime}
    if scratch is not None:
        variables = {"ATTACK": "network", "THERE": json.dumps(_known(scratch, mode))}
        network = {"Handler": "index.handler", "EnvironmentVariables": variables}
    document["Resources"] |= json.loads(template({"network": network}, "offline"))["Resources"]
    document["Resources"]["offline"]["Properties"] = {"InternetAccess": False}
    return json.dumps(document)


def _known(scratch: Path, mode: str) -> dict[str, Any]:
    """Those of `_surroundings` that have nothing to do with a running server."""
    name = f"pyfc-hostile-{os.getpid()}"
    data = scratch / "home" / "data"
    return {
        "data": str(data),
        "home": str(scratch / "home"),
        "own_user": mode == "root",
        "code": [],
        "secrets": [str(scratch / "home" / "secret"), str(scratch / "project" / "template.yml")],
        "writable": [str(scratch / "home"), str(scratch / "project"), str(data)],
        "of_all": OF_ALL,
        "abstract": name,
        "socket": str(scratch / "socket"),
        "shared": name,
        "key": KEY,
        "groups": [str(each) for each in Path("/sys/fs/cgroup").glob("*/pyfc-*")],
        "port": 1,
    }


@contextmanager
def _surroundings(server: Server, scratch: Path, mode: str) -> Iterator[dict[str, Any]]:
    """What there is to attack, made by the host: sockets, shared memory, files."""
    name = f"pyfc-hostile-{os.getpid()}"
    shared = Path("/dev/shm") / name
    shared.write_text("of the host")
    libc = ctypes.CDLL(None)
    segment = libc.shmget(KEY, 4096, 0o1666)
    abstract, path = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    abstract.bind(f"\0{name}")
    path.bind(str(scratch / "socket"))
    (scratch / "socket").chmod(0o777)
    for each in (abstract, path):
        each.listen(64)
    own = psutil.Process(server.process.pid)
    zygotes = own.children(recursive=True)
    try:
        code = (server.data_dir / "code").iterdir()
        yield {
            **_known(scratch, mode),
            "pids": {"server": own.pid, **{f"zygote {number}": each.pid for number, each in enumerate(zygotes)}},
            "data": str(server.data_dir),
            "code": [str(path) for path in code if not (path / "template.yml").exists()],
            "port": server.port,
        }
    finally:
        shared.unlink(missing_ok=True)
        libc.shmctl(segment, 0, None)
        abstract.close()
        path.close()


def _attack(server: Server, mode: str, event: bytes, names: Sequence[str]) -> tuple[list[Outcome], list[str], int]:
    """Run every handler, several at a time, while a healthy function is called all the time."""
    failures: list[str] = []
    calls = 0
    ended = threading.Event()

    def call() -> None:
        nonlocal calls
        while not ended.is_set():
            calls += 1
            text = b"healthy %d" % calls
            try:
                answer = server.invoke("healthy/echo", text)
            except OSError as error:
                failures.append(repr(error))
                continue
            if (answer.status, answer.body) != (200, text):
                failures.append(f"{answer.status} {answer.body[:200]!r}")

    healthy = threading.Thread(target=call)
    healthy.start()
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            alone = [
                name for name in LAYERS["processes"] if name in names
            ]  # two of these at once keep two processors busy with ending them for a minute
            outcomes = [_alone(server, mode, name, event) for name in alone]
            others = [name for name in names if name not in alone]
            outcomes += pool.map(lambda name: _one(server, name, event), others)
    finally:
        ended.set()
        healthy.join()
    return outcomes, failures, calls


def _alone(server: Server, mode: str, name: str, event: bytes) -> Outcome:
    """Where a user's processes are counted together, those that have been killed count until they are gone."""
    outcome = _one(server, name, event)
    wait_until(lambda: len(_of(server, mode)) < 50, "the end of a bomb's processes", 60)
    return outcome


def _one(server: Server, name: str, event: bytes) -> Outcome:
    began = time.monotonic()
    answer = server.invoke(f"offline/{name}" if name == "network" else f"hostile/{name}", event)
    took = time.monotonic() - began
    if answer.status == 412 and answer.json["ErrorCode"] == "CAExited":
        return Outcome(name, "its instance alone died", [])
    if answer.status != 200:
        return Outcome(name, f"refused: {answer.status} {answer.body[:80]!r}", [])
    try:
        found = answer.json
    except ValueError:
        if answer.body == b"forged":
            return Outcome(name, "its own answer alone", [])
        return Outcome(name, f"answered {answer.body[:40]!r}", [f"answered {answer.body[:40]!r}"])
    if not isinstance(found, dict):
        return Outcome(name, f"answered {found!r}", [f"answered {found!r}"])
    if found.get("errorType") in {"HandlerNotFound", "SyntaxError"} or "No module named" in str(found):
        return Outcome(name, f"refused: {found['errorMessage']}", [])
    if "errorMessage" in found:
        return Outcome(
            name, _fault(found["errorMessage"] or found["errorType"]), [] if took < 20 else [f"took {took:.0f} s"]
        )
    denied = sorted(set(found["denied"].values()))
    return Outcome(name, ", ".join(denied)[:60], found["escaped"])


def _fault(message: str) -> str:
    for start, text in (
        ("Function timed out", "ended at its timeout"),
        ("Function ran out of memory", "killed, out of memory"),
        ("Process exited", "its instance alone died"),
        ("the result of", "refused, too large"),
    ):
        if message.startswith(start):
            return text
    return message.splitlines()[0][:60]


def _left(server: Server, mode: str) -> list[str]:
    """What is still there when idle instances have been released: more than zygotes, spares and a healthy worker."""

    def strangers() -> list[str]:
        known = {each.pid for each in server.workers()} | {server.process.pid}
        known |= {each.ppid() for each in server.workers()}
        known |= {each.pid for each in psutil.Process(server.process.pid).children()}
        known |= {each.pid for each in server.processes() if is_keeper(each.pid)}
        mine = _of(server, mode) if os.geteuid() == 0 else []  # an ordinary user has other processes too
        everything = {each.pid: each for each in [*server.processes(), *mine]}
        found = [f"{pid} {' '.join(each.cmdline())[:80]}" for pid, each in everything.items() if pid not in known]
        functions = server.functions()
        instances = sum(sum(each.get("instances", {}).values()) for each in functions)
        return [*found, *(["too many instances"] if instances > 1 else [])]

    try:
        wait_until(lambda: not _safely(strangers), "the end of what hostile functions have left", 60)
    except AssertionError:
        return _safely(strangers)
    return []


def _safely(find: Any) -> list[str]:
    """Processes come and go while they are looked at."""
    try:
        found: list[str] = find()
    except psutil.NoSuchProcess:
        return ["still changing"]
    return found


def _of(server: Server, mode: str) -> list[psutil.Process]:
    """Processes of this server's functions, also those that it has lost: root's by the name of its control groups, a
    user's by the user, who has no other servers.
    """
    if mode != "root":
        found = psutil.process_iter(["uids"])
        return [each for each in found if each.info["uids"] is not None and each.info["uids"].real == UID]
    return [each for each in psutil.process_iter() if group_name(server.data_dir) in _groups_of(each.pid)]


def _groups_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cgroup").read_text(encoding="ascii")
    except OSError:
        return ""


def table(reports: dict[str, Report]) -> str:
    """Markdown: handler, layer, and how each mode ended it."""
    layer_of = {name: layer for layer, names in LAYERS.items() for name in names}
    lines = [f"| handler | layer | {' | '.join(reports)} |", f"|---|---|{'---|' * len(reports)}"]
    outcomes = {mode: {each.name: each for each in report.outcomes} for mode, report in reports.items()}
    for name in next(iter(outcomes.values())):
        cells = []
        for mode in reports:
            outcome = outcomes[mode][name]
            reason = WEAKENED.get((name, mode.partition(" ")[0]))
            cells.append(f"**weakened**: {reason}" if reason and outcome.escaped else outcome.text)
        lines.append(f"| {name} | {layer_of[name]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    """See module."""
    names = [name for name in sys.argv[1:] if name in handlers()]
    wanted = [mode for mode in sys.argv[1:] if mode not in names] or ALL_MODES
    reports = {mode: run(mode, names) for mode in wanted if not impossible(mode.partition(" ")[0])}
    sys.stdout.write(table(reports) + "\n")
    for mode, report in reports.items():
        sys.stderr.write(f"{mode}: {report.calls} healthy calls, failed: {report.failures[:5]}; left: {report.left}\n")
        for outcome in report.outcomes:
            if outcome.escaped:
                sys.stderr.write(f"  {outcome.name}: {outcome.escaped[:6]}\n")
        sys.stderr.write(report.errors)
    return 0


if __name__ == "__main__":
    sys.exit(main())
