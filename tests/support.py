"""What tests share: a pyfc in a subprocess, and waiting for conditions with a deadline."""

from __future__ import annotations

import asyncio
import atexit
import base64
import functools
import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Awaitable, Callable, Sequence
from email.utils import formatdate
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self, TypeVar

import psutil
import pytest

from pyfc.auth.keys import Key, Keys
from pyfc.auth.signature import Signed, sign, string_to_sign
from warm import HELD, Forked

FUNCTIONS = Path(__file__).parent / "functions"
DEADLINE = 20.0
COMMAND_DEADLINE = 60.0
SHARES_FILES = ("--sandbox", "off")
"""For tests whose functions and themselves talk by files: they are about something else than the sandbox."""


def wait_until(condition: Callable[[], Any], what: str, timeout: float = DEADLINE) -> Any:
    """What `condition` returns as soon as that is true; fails after `timeout` seconds."""
    end = time.monotonic() + timeout
    pause = threading.Event()
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"waited {timeout} s for {what}"
        pause.wait(0.01)


def time_passed(seconds: float) -> None:
    """Let what should not happen have had the time to."""
    end = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() > end, "time to pass", seconds + DEADLINE)


def namespace(pid: int) -> str:
    """The process namespace of a process; "" where there is no such thing."""
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return ""


def is_keeper(pid: int) -> bool:
    """Whether a child of a zygote is no worker: its third descriptor is a control socket."""
    try:
        return os.readlink(f"/proc/{pid}/fd/3").startswith("socket:")
    except OSError:
        return False


class Closable(Protocol):
    async def close(self) -> None: ...


Held = TypeVar("Held", bound=Closable)


def run_with(make: Callable[[], Held], scenario: Callable[[Held], Awaitable[None]]) -> None:
    """Run a scenario with what `make` makes in its loop, and close that whatever happens."""

    async def whole() -> None:
        held = make()
        try:
            await scenario(held)
        finally:
            await held.close()

    asyncio.run(whole())


_REAPER = """
import os, select, signal, sys
ended, known = select.poll(), set()
for line in sys.stdin:
    try:
        known.add(os.pidfd_open(int(line)))
    except ProcessLookupError:
        continue
    for each in known:
        ended.register(each, select.POLLIN)
    for each, _ in ended.poll(0):
        ended.unregister(each)
        known.remove(each)
        os.close(each)
for each in known:
    try:
        signal.pidfd_send_signal(each, signal.SIGTERM)
    except ProcessLookupError:
        pass
"""
"""Reads numbers of processes, and ends those that live when there is no more to read."""


@functools.cache
def _reaper() -> subprocess.Popen[str]:
    """Ends servers that live longer than this process: one of several that run tests ends without a farewell when a
    person interrupts them.
    """
    command = [sys.executable, "-I", "-S", "-c", _REAPER]
    started = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, bufsize=1, start_new_session=True)
    atexit.register(started.communicate)
    return started


class Response(NamedTuple):
    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @classmethod
    def lowered(cls, found: Response) -> Self:
        """The same answer, with a dict of headers whose names are in lower case."""
        return cls(found.status, {name.lower(): value for name, value in found.headers.items()}, found.body)


class Server:
    """`python -m pyfc serve` in a process of its own, with --json and a free port."""

    are_forked = False
    """Whether those that need no command line of their own are forks of one process (warm.py)."""

    def __init__(
        self,
        folder: Path,
        data_dir: Path,
        *options: str,
        prefix: Sequence[str] = (),
        command: Sequence[str] = (),
        python: str = sys.executable,
        **environment: str,
    ) -> None:
        """`command`: words to start it by in its folder, instead of `serve FOLDER`. `python`: whose pyfc that is."""
        self.folder = folder
        self.data_dir = data_dir
        words = [*command] or ["serve", str(folder), "--json", "--data-dir", str(data_dir)]
        if command:
            environment |= {"PYFC_JSON": "1", "PYFC_DATA_DIR": str(data_dir)}
        words += ["--port", "0", *options]
        self.process: subprocess.Popen[str] | Forked
        if self.are_forked and not prefix and not command and python == sys.executable:
            self.process = Forked(words, {**os.environ, **environment})
        else:
            self.process = subprocess.Popen(
                [*prefix, python, "-m", "pyfc", *words],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                cwd=folder if command else None,
                env={**os.environ, **environment},
                start_new_session=True,
            )
        if sys.platform.startswith("linux"):
            reader = _reaper().stdin
            assert reader is not None
            reader.write(f"{self.process.pid}\n")
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(self.process.communicate()[1])
        self.ready = json.loads(line)
        self.endpoint: str = self.ready["ready"]
        self.host, _, port = self.endpoint.partition("://")[2].rpartition(":")
        self.port = int(port)
        self.records: list[dict[str, Any]] = []
        self._ended: tuple[int, str] | None = None
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.records.append(json.loads(line))

    def request(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Response:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE * 2)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return Response(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def manage(self, method: str, path: str, document: Any = None, headers: dict[str, str] | None = None) -> Response:
        """A request to the management API, signed with the server's key; `document` is sent as JSON."""
        body = None if document is None else json.dumps(document).encode()
        return self.request(method, path, body, self.signed_headers(method, path, headers or {}))

    def signed_headers(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        key: tuple[str, str] | None = None,
        query: Sequence[str] | None = None,
    ) -> dict[str, str]:
        """`headers` with a signature of `key` (id and secret), or of the server's own. `query`: of an HTTP trigger."""
        signer = Key(id=key[0], secret=key[1]) if key is not None else Keys(self.data_dir).first()[0]
        given = {"date": formatdate(usegmt=True), **{name.lower(): text for name, text in headers.items()}}
        text = string_to_sign(Signed(method, path, given), given["date"], query)
        return {**given, "authorization": f"FC {signer.id}:{sign(signer.secret, text)}"}

    def functions(self) -> list[dict[str, Any]]:
        """What the server serves."""
        found: list[dict[str, Any]] = self.manage("GET", "/pyfc/functions").json["functions"]
        return found

    def invoke(self, function: str, event: bytes = b"", **headers: str) -> Response:
        """Call SERVICE/FUNCTION; header names with _ for -."""
        service, _, name = function.partition("/")
        path = f"/2016-08-15/services/{service}/functions/{name}/invocations"
        return self.request("POST", path, event, {key.replace("_", "-"): value for key, value in headers.items()})

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE)

    def record(self, request_id: str) -> dict[str, Any]:
        """The console's record of a call."""

        def found() -> dict[str, Any] | None:
            return next((each for each in self.records if each.get("requestId") == request_id), None)

        return wait_until(found, f"the record of {request_id}")

    def logged(self, request_id: str) -> str:
        """What has been printed for a call so far; for "", by no call."""
        own = [each for each in self.records if request_id == each.get("callId", each.get("requestId"))]
        return "".join(each.get("log", "") for each in own)

    def log(self, service: str, function: str) -> str:
        """What stands in a function's log file."""
        file = self.data_dir / "logs" / service / f"{function}.jsonl"
        return file.read_text() if file.exists() else ""

    def processes(self) -> list[psutil.Process]:
        """Everything the server has started."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def workers(self) -> list[psutil.Process]:
        """Workers, spares and templates. A zygote in namespaces has a process outside that waits for it."""
        found: list[psutil.Process] = []
        for outside in psutil.Process(self.process.pid).children():
            children = outside.children()
            if children and namespace(children[0].pid) != namespace(outside.pid):
                children = children[0].children()
            for child in children:
                found += child.children() if is_keeper(child.pid) else [child]
        return found

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Signal the server and wait for its end: exit status and standard error. Again: what it was."""
        if self._ended is not None:
            return self._ended
        if self.process.poll() is None:
            self.process.send_signal(number)
        assert self.process.stderr is not None
        try:
            self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        self._reader.join(DEADLINE)
        errors = self.process.stderr.read()
        self.process.stderr.close()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._ended = (self.process.returncode, errors)
        return self._ended


UID = 20000 + os.getpid() % 40000
"""The ordinary user for whom root's tests start servers: each run's own, since the kernel counts by user."""
MODES = ("root", "user", "plain")
"""How a server's functions are locked in: it is root's; an ordinary user's, who may make user namespaces; one who may
not.
"""
OWN_MODE = "root" if os.geteuid() == 0 else "user"
"""That of whoever runs the tests."""
OWN_MODE_FIRST = [pytest.param(mode, marks=[] if mode == OWN_MODE else [pytest.mark.long]) for mode in MODES]
"""For what is about something else than the modes: the others run with --all."""


def impossible(mode: str) -> str:
    """Why a mode can not be tried here; '' if it can."""
    if not sys.platform.startswith("linux"):
        return "needs Linux"
    return "needs root" if mode == "root" and os.geteuid() != 0 else ""


def server_in_mode(
    mode: str, scratch: Path, files: dict[str, str], *options: str, before: Sequence[str] = (), **environment: str
) -> Server:
    """A server in one of MODES; `scratch` gets the folders `project` and `home`. `before`: a command that runs it."""
    for folder in [*reversed(scratch.parents), scratch]:
        if folder.stat().st_uid == os.geteuid():
            folder.chmod(folder.stat().st_mode | 0o111)
    home = scratch / "home"
    home.mkdir(exist_ok=True)
    for name, text in files.items():
        path = scratch / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if text.startswith("#!") else 0o644)
    if mode != "root" and os.geteuid() == 0:
        os.chown(home, UID, UID)
    uid = UID if os.geteuid() == 0 else os.geteuid()
    wrapper = [sys.executable, str(Path(__file__).parent / "as_user.py"), str(uid), "no" if mode == "plain" else "yes"]
    prefix = [*([] if mode == "root" else wrapper), *before]
    return Server(scratch / "project", home / "data", *options, prefix=prefix, HOME=str(home), **environment)


def send_raw(server: Server, data: bytes, *, shut: bool = False) -> bytes:
    """Everything the server answers to raw bytes, until it closes the connection."""
    with server.connect() as connection:
        connection.sendall(data)
        if shut:
            connection.shutdown(socket.SHUT_WR)
        return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    chunks = []
    while True:
        try:
            chunk = connection.recv(65536)
        except ConnectionResetError:
            break
        if not chunk:
            break
        chunks.append(chunk)
    return b"".join(chunks)


def template(functions: dict[str, dict[str, Any]], service: str = "demo") -> str:
    """A Funcraft template of functions: name -> properties; `http` among them makes an HTTP trigger."""
    resources: dict[str, Any] = {"Type": "Aliyun::Serverless::Service"}
    for name, given in functions.items():
        properties = {"Handler": "index.handler", "Runtime": "python3", "CodeUri": "./", **given}
        methods = properties.pop("http", None)
        resources[name] = {"Type": "Aliyun::Serverless::Function", "Properties": properties}
        if methods:
            event = {"Type": "HTTP", "Properties": {"AuthType": "ANONYMOUS", "Methods": methods}}
            resources[name]["Events"] = {"web": event}
    return json.dumps({"Transform": "Aliyun::Serverless-2018-04-03", "Resources": {service: resources}})


def pyfc(*arguments: str, given: bytes = b"", folder: Path | None = None, **environment: str) -> tuple[int, str, str]:
    """Run a command: exit status, standard output, standard error."""
    if Server.are_forked and len(given) <= HELD and not any(name.startswith(("PYTHON", "LC_")) for name in environment):
        forked = Forked(arguments, {**os.environ, **environment}, folder, given)
        told = forked.communicate(COMMAND_DEADLINE)
        return forked.wait(), *told
    done = subprocess.run(
        [sys.executable, "-m", "pyfc", *arguments],
        input=given,
        capture_output=True,
        timeout=COMMAND_DEADLINE,
        cwd=folder,
        env={**os.environ, **environment},
        check=False,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def zipped(files: dict[str, str]) -> str:
    """A package as the management API takes it: a zip file in base64."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return base64.b64encode(data.getvalue()).decode()
