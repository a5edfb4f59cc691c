"""The cage of installers and builds: code of packages runs on this machine by this door and no other (caged.py is the
other side of it).

1. A command writes the folders that were lent to it. It sees the system, the programs it runs and what the job names;
   of the user's home, of the server and of other processes nothing.
2. As root it is an unprivileged user in namespaces of its own; as a user the same inside a user namespace. Where there
   are none Landlock is the boundary, and where there is no Landlock either its environment and limits are all there is.
3. When `run` returns or raises, no process, mount or folder of it is left.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil

from pyfc import nofollow
from pyfc.build.job import Hear, Job
from pyfc.errors import Exhausted, NoCage
from pyfc.sandbox import inside, seccomp
from pyfc.sandbox.sandbox import DEVICES, FURTHER, INSIDE, LINUX, system

UID = 69999
"""The user that commands run as where root serves."""
_SCRIPT = Path(inside.__file__).with_name("caged.py")
_SECONDS = 1800.0
_PROCESSES = 1024
_MEGABYTE = 1024 * 1024
_MEMORY = 8192 * _MEGABYTE
_DISK = 10240 * _MEGABYTE
_LOOK = 1.0
"""Seconds between two looks at memory and disk."""
_GRACE = 10.0
"""Seconds in which everything in a cage is gone after it was ended."""
_LINE = 64 * 1024
_READABLE = ("/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/version", "/proc/loadavg", "/proc/filesystems")
"""Of the machine's /proc, where there is no own one."""
_TOLD = ("passwd", "group", "*release*", "*_version", "gitconfig", "inputrc", "python3*")
"""Of /etc, where what is not shown is there and refused: programs can do without a file, but not without its rights."""
_COPIES = "/etc/installer"
_WEAKNESSES = {
    "root": "",
    "user": "",
    "plain": "there are no namespaces here: Landlock keeps installers from files, but they see other processes, and "
    "while they download they can reach UNIX sockets of this user",
    "off": "there are neither namespaces nor Landlock here: nothing but their environment and limits keeps installers "
    "from what this user can reach",
}


class Cage:
    """See build/job.py. `modes`: what is tried, in this order, instead of what is usual; `is_required`: nothing weaker
    than namespaces will do; `seconds`, `memory`, `disk`: limits of one command, the last two in bytes.
    """

    def __init__(
        self,
        modes: tuple[str, ...] = (),
        *,
        is_required: bool = False,
        seconds: float = _SECONDS,
        memory: int = 0,
        disk: int = _DISK,
    ) -> None:
        usual = ("root" if os.geteuid() == 0 else "user", "plain", "off")
        self._modes = (modes or (usual[:1] if is_required else usual)) if LINUX else ("off",)
        self._mode = ""
        self._seconds = seconds
        self._memory = memory or min(_MEMORY, psutil.virtual_memory().total * 3 // 4)
        self._disk = disk

    @property
    def weakness(self) -> str:
        """What does not hold here, once something has run."""
        return _WEAKNESSES.get(self._mode, "")

    def lend(self, folder: Path) -> None:
        """Give a new, empty folder to the user that commands run as."""
        if self._modes[0] == "root":
            os.chown(folder, UID, UID, follow_symlinks=False)

    async def run(self, job: Job, hear: Hear = lambda _: None) -> int:
        """See build/job.py."""
        if not self._mode:
            self._mode = await self._found(job)
        if self._mode == "off" and os.geteuid() == 0 and not job.is_trusted:
            raise NoCage(reason="there are neither namespaces nor Landlock, and code of packages is not run as root")
        return await self._run(job, self._mode, hear)

    async def _found(self, job: Job) -> str:
        """The first mode in which a command that does nothing comes to its end."""
        reasons = []
        nothing = ("/bin/true",) if LINUX else ("/usr/bin/true",)
        for mode in self._modes:
            try:
                if await self._run(_with(job, command=nothing, doors=(), output=None), mode, lambda _: None) == 0:
                    return mode
            except NoCage as error:
                reasons.append(str(error.fields["reason"]))
        raise NoCage(reason="; ".join(reasons) or "no command can be run")

    async def _run(self, job: Job, mode: str, hear: Hear) -> int:
        read, write = os.pipe()
        status = os.fdopen(read, "rb")
        try:
            process = await self._started(job, mode, write)
        except BaseException:
            status.close()
            raise
        finally:
            os.close(write)
        gone = asyncio.ensure_future(asyncio.to_thread(status.read))
        watch = asyncio.ensure_future(self._watch(process, job))
        try:
            async with asyncio.timeout(self._seconds):
                async for line in _lines(process):
                    hear(line)
                code = await process.wait()
        except TimeoutError:
            raise Exhausted(command=job.command[0], most=f"{self._seconds:g} s") from None
        finally:
            await asyncio.shield(_end(process, watch, gone))
            status.close()
        if text := gone.result():
            raise NoCage(reason=f"{mode}: {text.decode('utf-8', 'replace')}")
        if watch.done() and not watch.cancelled() and (most := watch.result()):
            raise Exhausted(command=job.command[0], most=most)
        return 128 - code if code > 128 else code

    async def _started(self, job: Job, mode: str, status: int) -> asyncio.subprocess.Process:
        order = json.dumps(self._order(job, mode, status)).encode()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", str(_SCRIPT), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if job.output is None else job.output, stderr=subprocess.STDOUT,
            pass_fds=(status, *job.doors), cwd="/", env={}, limit=_LINE,
        )  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(order)
        process.stdin.close()
        return process

    def _order(self, job: Job, mode: str, status: int) -> dict[str, Any]:
        """What caged.py reads."""
        has_namespaces = mode in {"root", "user"}
        home = Path(job.environment["HOME"])
        copies = []
        for number, (name, source) in enumerate(sorted(job.private.items())):
            if name.startswith("/"):
                copies.append((str(source), name))
                continue
            place = f"{_COPIES}/{number}"
            copies.append((str(source), place))
            _link(home / name, place if has_namespaces else str(source))
        base = system()
        shown = [path for program in job.programs for path in installation(program)]
        return {
            "mode": mode, "status": status, "command": [*job.command], "folder": str(job.folder),
            "environment": {"TMPDIR": str(job.temporary), **job.environment}, "doors": [*job.doors],
            "network": job.network, "uid": UID, "inside": INSIDE, "limits": self._limits(mode),
            "filter": base64.b64encode(_filter(job, mode)).decode(),
            "read": [*base, *_of_the_machine(), *shown, *map(str, job.readable), *(source for source, _ in copies)],
            "write": [*DEVICES, *map(str, job.writable)],
            "root": {
                "root": str(_mount_point(job)), "show": base, "place": {}, "hide": [], "own": {},
                "users": [("fc", UID if mode == "root" else INSIDE)],
                "lent": [(str(job.temporary), "/tmp"), *((str(path), str(path)) for path in job.writable)],  # noqa: S108
                "layers": [self._layer(job, place, below) for place, below in job.layered.items()],
                "further": [*shown, *map(str, job.readable)],
                "copies": copies,
            },
        }  # fmt: skip

    def _layer(self, job: Job, place: Path, below: Path) -> tuple[str, str, str]:
        """What is below a folder, the folder, and where its changes go."""
        layer = job.temporary.parent / f"layer-{place.name}"
        for folder in (layer, layer / "upper", layer / "work"):
            if not folder.is_dir():
                folder.mkdir()
                self.lend(folder)
        return str(below), str(place), str(layer)

    def _limits(self, mode: str) -> dict[str, int]:
        others = 0
        if mode in {"plain", "off"} and LINUX:
            others = sum(1 for each in psutil.process_iter() if _is_ours(each))
        return {
            **FURTHER, "CORE": 0, "NOFILE": 8192, "FSIZE": self._disk, "DATA": self._memory,
            "NPROC": _PROCESSES + 8 * others,
        }  # fmt: skip

    async def _watch(self, process: asyncio.subprocess.Process, job: Job) -> str:
        """End it when it holds too much; what that was."""
        while True:
            await asyncio.sleep(_LOOK)
            most = await asyncio.to_thread(self._exceeded, process.pid, job)
            if most:
                _signal(process, signal.SIGTERM)
                return most

    def _exceeded(self, pid: int, job: Job) -> str:
        held = 0
        with contextlib.suppress(psutil.Error):
            for each in psutil.Process(pid).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    held += each.memory_info().rss
        if held > self._memory:
            return f"{self._memory // _MEGABYTE} MB of memory"
        if sum(nofollow.size(folder) for folder in job.writable) > self._disk:
            return f"{self._disk // _MEGABYTE} MB of disk"
        return ""


async def _end(process: asyncio.subprocess.Process, watch: asyncio.Future[str], gone: asyncio.Future[bytes]) -> None:
    """Return when no process of the cage is left."""
    watch.cancel() if not watch.done() else None
    if process.returncode is None:
        _signal(process, signal.SIGTERM)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_GRACE):
            await process.wait()
            await asyncio.shield(gone)
    if process.returncode is None:
        _signal(process, signal.SIGKILL)
        await process.wait()
    await gone


def _signal(process: asyncio.subprocess.Process, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)


async def _lines(process: asyncio.subprocess.Process) -> AsyncIterator[str]:
    """What it prints, in lines; of one that is too long what fits."""
    stream = process.stdout
    while stream is not None:
        try:
            data = await stream.readuntil(b"\n")
        except asyncio.IncompleteReadError as error:
            if error.partial:
                yield error.partial.decode("utf-8", "replace")
            return
        except asyncio.LimitOverrunError as error:
            data = await stream.readexactly(error.consumed or _LINE)
        if line := data.decode("utf-8", "replace").rstrip():
            yield line


def _of_the_machine() -> list[str]:
    return [*_READABLE, *(str(path) for pattern in _TOLD for path in Path("/etc").glob(pattern))]


def _filter(job: Job, mode: str) -> bytes:
    if not LINUX:
        return b""
    if mode in {"root", "user"}:
        return seccomp.program(shared_processes=False)
    return seccomp.program(shared_processes=True, network=job.network, changes_files=True)


def _mount_point(job: Job) -> Path:
    place = job.temporary.parent / "root"
    with contextlib.suppress(FileExistsError):
        place.mkdir()
    return place


def _link(place: Path, target: str) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)  # of a mode that was tried before
    place.symlink_to(target)


def _is_ours(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.uids().real == os.getuid()
    return False


def _with(job: Job, **others: Any) -> Job:
    return Job(**{**{name: getattr(job, name) for name in Job.__slots__}, **others})


def installation(program: str) -> list[str]:
    """What of this machine a program needs to run, as far as that is no part of the system: its installation, but
    never a whole home folder.
    """
    real = os.path.realpath(program)
    places = dict.fromkeys(os.path.dirname(os.path.dirname(path)) for path in (os.path.abspath(program), real))
    home = os.path.realpath(os.path.expanduser("~"))
    shown = [] if program == real else [program]
    for prefix in places:
        if f"{home}/".startswith(f"{prefix}/") or prefix == f"{home}/.local":
            parts = ("lib/node_modules", "include/node", "lib/python3*")
            shown += [real, *(str(path) for part in parts for path in Path(prefix).glob(part))]
        elif prefix not in {"/usr", "/"}:
            shown.append(prefix)
    return shown
