"""Which folders of /etc programs of the system need to start: those that their installation has links into (Java), and
those that have the name of a program (PHP, nginx).

A folder counts only if everybody may read all of it, so what only its owner or a group may see stays out, and never if
its program administers the machine.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import stat
from collections.abc import Iterator

from pyfc.settings import state_folder

_ETC = "/etc"
_INSTALLED = "/usr"
_PROGRAMS = ("/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin")
_CHANGES = (
    "/etc", "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/share", "/var/lib/dpkg/status", "/var/lib/rpm/rpmdb.sqlite",
    "/lib/apk/db/installed",
)  # fmt: skip
"""Change when something is installed."""
_SKIPPED = frozenset({
    "site-packages", "dist-packages", "node_modules", "man", "doc", "locale", "include", "src", "zoneinfo", "icons",
    "firmware", "modules", "systemd", "environment.d",
})  # fmt: skip
_OF_ADMINISTRATION = frozenset({
    "apt", "cron.d", "docker", "dpkg", "environment.d", "iproute2", "kubernetes", "opt", "pam.d", "rpm", "security",
    "ssh", "sudoers.d", "systemd", "ufw",
})  # fmt: skip
_DEEPEST, _MOST = 6, 5000


def folders() -> list[str]:
    """Paths below /etc."""
    try:
        names = {entry.name for entry in os.scandir(_ETC) if entry.is_dir(follow_symlinks=False)}
    except OSError:
        return []
    named = {name for name in names if any(os.access(f"{place}/{name}", os.X_OK) for place in _PROGRAMS)}
    wanted = (names & (named | _linked())) - _OF_ADMINISTRATION
    return [f"{_ETC}/{name}" for name in sorted(wanted) if _is_public(f"{_ETC}/{name}")]


@functools.cache
def _linked() -> frozenset[str]:
    """The names in /etc that something installed links to. Looking takes a moment, so it is kept until something else
    is installed.
    """
    key = [_changed(path) for path in _CHANGES]
    kept = state_folder() / "configuration.json"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        told = json.loads(kept.read_text(encoding="utf-8"))
        if told["key"] == key:
            return frozenset(map(str, told["names"]))
    names = sorted(set(_links(_INSTALLED, 0)))
    new = kept.with_name(f"{kept.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new.write_text(json.dumps({"key": key, "names": names}), encoding="utf-8")
        new.replace(kept)
    return frozenset(names)


def _changed(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def _links(folder: str, depth: int) -> Iterator[str]:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if entry.is_symlink():
            with contextlib.suppress(OSError):
                target = os.readlink(entry.path)
                if target.startswith(_ETC + "/"):
                    yield target[len(_ETC) + 1 :].partition("/")[0]
        elif depth < _DEEPEST and entry.name not in _SKIPPED and entry.is_dir(follow_symlinks=False):
            yield from _links(entry.path, depth + 1)


def _is_public(folder: str) -> bool:
    """Whether everybody may read all of it."""
    count = 0
    pending = [folder]
    while pending:
        place = pending.pop()
        try:
            if not os.lstat(place).st_mode & stat.S_IROTH:
                return False
            entries = list(os.scandir(place))
        except OSError:
            return False
        count += len(entries)
        if count > _MOST:
            return False
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                pending.append(entry.path)
            elif not entry.is_symlink() and not entry.stat(follow_symlinks=False).st_mode & stat.S_IROTH:
                return False
    return True
