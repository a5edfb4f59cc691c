"""Chooses what workers may see and use on this host: the profile that a zygote enters (enter.py), what is added for
each function, and the cell of each worker.

What is not possible here is left out layer by layer; layers.py tells a person what is in force.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import glob
import hashlib
import itertools
import logging
import os
import site
import sys
import sysconfig
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pyfc import nofollow
from pyfc.bundles.bundle import Artefact
from pyfc.errors import HostRefused, refusing
from pyfc.host.interpreters import prefix_of
from pyfc.host.process import PROCESSES, in_thread
from pyfc.host.runtimes import Runtimes
from pyfc.model.function import Limits
from pyfc.model.mounts import FOLDER, Mount
from pyfc.sandbox import configuration, metadata, seccomp
from pyfc.sandbox.group import Group
from pyfc.sandbox.groups import Groups
from pyfc.sandbox.inside import clone
from pyfc.sandbox.memory import Watch, Watched
from pyfc.sandbox.shared import Shared

_log = logging.getLogger(__name__)
LINUX = sys.platform.startswith("linux")
_COPIES = 8
"""Instances of a function that may have as many processes at the same time."""
LIMITS = {"CORE": 0, "NOFILE": 1024}
"""Resource limits of every worker, by the name after RLIMIT_ (descriptors: FC's limit)."""
FURTHER = {"MEMLOCK": 64 * 1024, "MSGQUEUE": 0, "RTPRIO": 0, "NICE": 0, "SIGPENDING": 1024}
_FIRST_UID = 70000
_USERS = 1024
"""Of which each worker gets one, where root serves."""
INSIDE = 1000
"""The number of the server's user inside a user namespace."""
SYSTEM = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32",
    *("/etc/" + name for name in (
        "ssl", "ca-certificates", "pki", "crypto-policies", "resolv.conf", "hosts", "host.conf", "nsswitch.conf",
        "gai.conf", "localtime", "timezone", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "protocols",
        "services", "mime.types", "magic", "fonts",
    )),
)  # fmt: skip
"""Of this machine, read-only; see `system`."""
_OWN = ("code", "cache", "packages", FOLDER)
"""Of the data folder, each function's part shown to its workers."""
DEVICES = tuple("/dev/" + name for name in ("null", "zero", "full", "random", "urandom"))
_PAUSES = (0.01, 0.1, 0.5, 2.0)
"""Seconds between tries to remove what a function has left."""
_RUNTIMES = "/var/fc/runtime"
_COMMANDS = "/var/fc/commands"
_MEGABYTE = 1024 * 1024
_STRENGTH = ("off", "plain", "user", "root")
"""The modes, the weakest first."""
_SPARE_DATA = 256
"""MB that a process may map beyond twice its function's memory where no control group counts: thread stacks and the
like are mapped and not used. The watch, not this limit, keeps to memorySize."""


def system() -> list[str]:
    """What programs of this machine need of it, to be shown read-only."""
    return list(dict.fromkeys((*SYSTEM, *configuration.folders())))


def group_name(data_folder: Path) -> str:
    """The name of the control groups of the server with this data folder."""
    return "pyfc-" + hashlib.sha256(os.fsencode(data_folder)).hexdigest()[:12]


class Cell:
    """What one worker occupies on this host, given back when it is gone."""

    def __init__(self, uid: int, group: Group | None, folder: Path | None, watch: Callable[[Watched], None]) -> None:
        self.uid = uid
        """The worker's own user; 0 where it keeps the server's."""
        self.group = group
        self.folder = folder
        """Its place for files where it has no /tmp of its own."""
        self.memory_size = 0
        """Bytes that its processes may hold together; 0 for any number."""
        self.watch = watch
        """Looks after its memory while it has calls."""

    def peak(self) -> float:
        """Most memory that all of its processes ever used together, in MB; 0 if nobody has counted."""
        return self.group.peak() / _MEGABYTE if self.group is not None else 0.0

    @property
    def environment(self) -> dict[str, str]:
        """Variables that its functions need to find their place."""
        return {} if self.folder is None else {"HOME": str(self.folder), "TMPDIR": str(self.folder)}


class Sandbox:
    """The sandbox of one server's workers. `choice`: auto, required or off."""

    def __init__(
        self,
        choice: str,
        data_folder: Path,
        packages: Sequence[str],
        runtimes: Runtimes,
        shared: Mapping[str, Path] = MappingProxyType({}),
    ) -> None:
        self.choice = choice
        self.shared = Shared(data_folder.resolve(), shared)
        self._folders_of_runtimes = [runtime.folder for runtime in runtimes.all]
        self._runtimes = runtimes
        self._system: list[str] = []
        self.mode = ""
        """What a zygote has entered (enter.py); '' until one has told."""
        self.refused: dict[str, str] = {}
        """Layers that this host refuses, with its words."""
        self.groups = Groups(group_name(data_folder), self._guard)
        self.metadata = ""
        """Why functions can reach the addresses of cloud metadata; '' if they cannot."""
        self._data_folder = data_folder.resolve()
        self._folders = self._data_folder / "tmp"
        self._packages = [os.path.realpath(path) for path in packages if os.path.isdir(path)]
        self._watch = Watch()
        self._numbers = itertools.count(1)
        self._uids = list(range(_FIRST_UID + _USERS - 1, _FIRST_UID - 1, -1))

    def open(self) -> None:
        """Find out about this host, and clear away what a server that was killed has left."""
        _clear(self._folders)
        self._make_folders()
        self._system = system()
        if LINUX and self.choice != "off":
            self.groups.open()
            self.metadata = "no control groups of version 2 for this user"
            if self.groups.fence is not None:
                self._guard(self.groups.fence)

    def _guard(self, fence: Path) -> None:
        self.metadata = metadata.block(fence)

    def _make_folders(self) -> None:
        """What the sandbox needs of the data folder. Raises OSError."""
        for name in ("tmp", "root", *_OWN):
            (self._data_folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        commands = self._data_folder / "commands"
        commands.mkdir(mode=0o755, exist_ok=True)
        for name, path in self._runtimes.commands().items():
            link = commands / name
            if not link.is_symlink() or os.readlink(link) != path:
                link.unlink(missing_ok=True)
                link.symlink_to(path)

    @property
    def commands(self) -> str:
        """Where programs of custom runtimes find interpreters by name, for their PATH."""
        return _COMMANDS if self.has_namespaces else str(self._data_folder / "commands")

    def close(self) -> None:
        """Every worker is gone."""
        self._watch.close()
        self.groups.close()
        _clear(self._folders)

    @property
    def has_namespaces(self) -> bool:
        """Whether workers have a root of their own."""
        return self.mode in {"root", "user"}

    @property
    def bears_templates(self) -> bool:
        """Whether instances may be copies of a template here: their namespaces and the filter are its boundary."""
        return self.has_namespaces and "seccomp" not in self.refused and "proc" not in self.refused

    @property
    def most_processes(self) -> int:
        """Most processes that an instance may have where no control group counts them; else 0."""
        return 0 if "pids" in self.groups.controllers else PROCESSES

    def told(self, mode: str, refused: dict[str, str]) -> None:
        """A zygote has entered `mode`. Raises HostRefused for one that is weaker than those before: what failed for a
        moment must not open the server for good.
        """
        if self.mode and _STRENGTH.index(mode) < _STRENGTH.index(self.mode):
            raise HostRefused(reason=f"a new worker would be less locked in ({mode}) than those before ({self.mode})")
        self.mode, self.refused = mode, refused
        self._watch.count_by_group(mode == "plain")

    def profile(self, interpreter: str) -> dict[str, Any]:
        """What a zygote that is run by `interpreter` needs to know before it enters: see enter.py and root.py."""
        self._make_folders()  # somebody may have removed them, as with a folder of temporary files
        installations = _installations([interpreter, *self._runtimes.programs()])
        program = functools.partial(seccomp.program, counted="memory" in self.groups.controllers)
        modes = ["user", "plain"] if os.geteuid() else ["root", "user", "plain"]
        return {
            "modes": ["off"] if self.choice == "off" or not LINUX else modes,
            "join": self.groups.zygotes,
            "root": str(self._data_folder / "root"),
            "show": [*self._system, *installations, *self._packages],
            "place": {
                **{f"{_RUNTIMES}/{folder.name}": str(folder) for folder in self._folders_of_runtimes},
                _COMMANDS: str(self._data_folder / "commands"),
            },
            "hide": [path for path in _foreign_packages(installations) if path not in self._packages],
            "own": {
                **{name: str(self._data_folder / name) for name in _OWN},
                **self.shared.own(),
            },
            "users": [("fc", INSIDE), *((f"fc{number}", _FIRST_UID + number) for number in range(_USERS))],
            "first_uid": _FIRST_UID,
            "inside": INSIDE,
            "filters": {
                "own": _text(program(shared_processes=False)),
                "shared": _text(program(shared_processes=True)),
                "offline": _text(program(shared_processes=True, network=False)),
                "template": _text(program(shared_processes=False, bears=clone.FLAGS)),
                "bridge": _text(program(shared_processes=False, bridges=True)),
                "copy": _text(seccomp.program_of_copy()),
            },
        }

    def for_profiler(self) -> dict[str, Any]:
        """What of `profile` someone needs who looks into a worker that is locked in."""
        return {"inside": INSIDE, "filters": {"profiler": _filter_of_profiler()}}

    def cell(self, joins_as: int = 0) -> Cell:
        """Room for a new worker, which joins its control groups as a user of its own where that is not 0. Raises
        HostRefused.
        """
        if not self._uids:
            raise HostRefused(reason=f"{_USERS} instances have a user of their own, there are no more")
        folder = self._folders / f"w{next(self._numbers)}" if self.mode == "plain" else None
        with refusing("no place for another instance"):
            if folder is not None:
                folder.mkdir(mode=0o700, parents=True)
            group = self.groups.make(joins_as)
        return Cell(self._uids.pop() if self.mode == "root" else 0, group, folder, self._watch.add)

    def give_back(self, cell: Cell) -> None:
        """The worker is gone."""
        if cell.group is not None:
            self.groups.give_back(cell.group)
        if cell.uid:
            self._uids.append(cell.uid)
        if cell.folder is not None:  # with any number of files in it
            in_thread(_clear, cell.folder)

    def layers(self, artefact: Artefact) -> str:
        """Where a worker finds the files of its layers; '' if it has none."""
        return "" if artefact.opt is None else "/opt" if self.has_namespaces else str(artefact.opt)

    def places(self, artefact: Artefact) -> tuple[str, str]:
        """Where a worker finds its code, and what has been compiled of it."""
        return ("/code", "/cache") if self.has_namespaces else (str(artefact.folder), str(artefact.cache))

    def wish(
        self,
        artefact: Artefact,
        limits: Limits,
        interpreter: str,
        *,
        network: bool,
        compiles: bool = False,
        mounts: Sequence[Mount] = (),
        changes: bool = False,
    ) -> dict[str, Any]:
        """What a worker of one function settles into (enter.py); its cell is added by `confine`. `changes`: it may
        change its code, for itself.
        """
        if self.mode == "off":
            return {}
        code, cache = str(artefact.folder), str(artefact.cache)
        return {
            "digest": artefact.folder.name,
            "cache": artefact.cache.name,
            "packages": artefact.packages,
            "opt": artefact.opt.name if artefact.opt is not None else "",
            "network": network,
            "disk": limits.disk_size,
            "mounts": [self.shared.wish(each) for each in mounts] if self.has_namespaces else [],
            "compiles": compiles,
            "changes": changes,
            "uid": 0,
            "limits": self._limits(limits),
            "read": [
                *self._system,
                *_installations([interpreter]),
                *self._packages,
                code,
                cache,
                *([str(artefact.opt)] if artefact.opt is not None else []),
                "/proc/self",
                str(self._data_folder / "commands"),
                *map(str, self._folders_of_runtimes),
            ],
            "write": [*DEVICES, *([cache] if compiles else [])],
        }

    def blank(self, cell: Cell, limits: Limits) -> dict[str, Any]:
        """The wish of a worker that is started for any function with these limits."""
        if self.mode == "off":
            return {}
        return {
            "digest": "", "cache": "", "packages": "", "opt": "", "network": True, "disk": limits.disk_size,
            "compiles": False, "uid": cell.uid, "limits": self._limits(limits), "read": [], "write": [],
        }  # fmt: skip

    def place_of(self, runtime: Path) -> str:
        """Where a worker finds the folder of a runtime."""
        return f"{_RUNTIMES}/{runtime.name}" if self.has_namespaces else str(runtime)

    def confine(self, wish: dict[str, Any], cell: Cell, limits: Limits) -> dict[str, Any]:
        """The wish for the worker in `cell`, whose groups are given the function's limits. Raises HostRefused."""
        if not wish:
            return wish
        if cell.group is not None and not cell.memory_size:  # a copy of a template was limited before it was needed
            with refusing("its limits cannot be set"):
                cell.group.limit(limits.memory_size, limits.disk_size, PROCESSES)
        cell.memory_size = limits.memory_size * _MEGABYTE
        own = [*wish["write"], *([str(cell.folder)] if cell.folder is not None else [])]
        files = {"read": [], "write": []} if self.has_namespaces else {"write": own}
        return {**wish, **files, "uid": cell.uid}

    def for_template(self, wish: dict[str, Any]) -> dict[str, Any]:
        """The wish of a template. Where no control group counts processes, those of its copies count as its own."""
        limits = dict(wish["limits"])
        if "NPROC" in limits:
            limits["NPROC"] *= _COPIES
        return {**wish, "limits": limits, "template": True}

    def _limits(self, limits: Limits) -> dict[str, int]:
        """Resource limits that depend on the function or on what else there is."""
        found = {**FURTHER, "FSIZE": limits.disk_size * _MEGABYTE}
        if "pids" not in self.groups.controllers:
            found["NPROC"] = PROCESSES if self.mode == "user" else PROCESSES + _tasks_of_user()
        if "memory" not in self.groups.controllers:
            found["DATA"] = (2 * limits.memory_size + _SPARE_DATA) * _MEGABYTE
        return found


def _clear(folder: Path) -> None:
    """Remove a folder of a function's, whatever it has left there. What it has started may take a moment to die."""
    for pause in _PAUSES:
        try:
            nofollow.remove(folder)
        except OSError as error:
            failure = error
            time.sleep(pause)
        else:
            return
    _log.warning("%s can not be removed: %s", folder, failure)


@functools.cache
def _filter_of_profiler() -> str:
    return _text(seccomp.program(shared_processes=False, network=False, profiles=True))


def _text(program: bytes) -> str:
    return base64.b64encode(program).decode("ascii")


@functools.cache
def _tasks_of_user() -> int:
    """Processes of this user when it was first asked; where nothing else counts them, they count in the limit."""
    uid, count = os.getuid(), 0
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            count += os.stat(f"/proc/{name}").st_uid == uid
    return count


def _installations(interpreters: Sequence[str]) -> list[str]:
    """Where interpreters have their programs and libraries, as far as that is no part of the system."""
    found: dict[str, None] = {}
    for path in interpreters:
        prefixes = [sys.base_prefix, sys.base_exec_prefix] if path == sys.executable else [prefix_of(path)]
        found.update(dict.fromkeys(os.path.realpath(prefix) for prefix in prefixes))
    return [prefix for prefix in found if prefix not in {"/usr", "/"}]


def _foreign_packages(installations: Sequence[str]) -> list[str]:
    """Packages of the interpreters, which are no function's."""
    prefixes = list(dict.fromkeys([sys.base_prefix, sys.base_exec_prefix, *installations]))
    version = "python" + sysconfig.get_python_version()
    named = [f"{prefix}/lib/{folder}/dist-packages" for prefix in prefixes for folder in ("python3", version)]
    others = [path for prefix in prefixes for path in glob.glob(f"{prefix}/lib/python3*/site-packages")]
    return list(dict.fromkeys(os.path.realpath(path) for path in [*site.getsitepackages(prefixes), *named, *others]))
