"""A data folder before its files are opened: one process has it, and it is of this program's version.

1. A folder of an older version is copied as it was (`before-N` in it), then all of its files are taken over in one
   transaction: SQLite's journal of several files makes it one step also for a kill or a loss of power in the middle.
   Of such copies the newest two stay.
2. A folder of a newer version is refused and left as it is.
3. What is damaged is nobody's version: opening it tells what is wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from pyfc import nofollow
from pyfc.data.version import METRICS, MNS, OSS, QUEUE, REQUESTS, SLS, STEPS, STORE, VERSION
from pyfc.errors import DataFolderInUse, DataFolderNotTakenOver, DataFolderTooNew, InvalidArgument
from pyfc.sqlite import identity, transaction
from pyfc.tasks import Tasks

_log = logging.getLogger(__name__)
_LOOK = 2.0
"""Seconds between two looks at whether it is still there."""
_FILES = {
    STORE: "store", QUEUE: "queue", OSS: "oss", SLS: "sls", MNS: "mns", METRICS: "metrics", REQUESTS: "requests",
}  # fmt: skip
"""Files that bear the version, and what of a Step is theirs."""
_MAIN = "main"
"""SQLite's name for the file that was opened first."""
_BEFORE = "before-"
_PACKAGES = "objects"
"""A folder of before: packages that clients had uploaded for one day."""
_COPIES = 2
"""Copies of before a take-over that stay, the one just made among them."""
_WAIT = 5.0
"""Seconds for somebody else who reads a file."""


def lock(folder: Path) -> IO[str]:
    """Make the data folder and lock it for this process; closing the file unlocks it. Raises DataFolderInUse,
    InvalidArgument.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        file = (folder / "lock").open("a+", encoding="ascii")
    except OSError as error:
        raise InvalidArgument(message=f"the data folder {folder} can not be used: {error.strerror}") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        pid = file.read().strip() or "unknown"
        file.close()
        raise DataFolderInUse(path=folder, pid=pid) from None
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file


class FolderWatch:
    """Notices when a data folder is removed or replaced under a running server: what is written to it is lost then."""

    def __init__(self, folder: Path) -> None:
        self.problem = ""
        """For people; '' while all is well."""
        self._folder = folder
        self._tasks = Tasks()
        self._tasks.begin("watching the data folder", self._watch(identity(folder)))

    async def _watch(self, known: tuple[int, int] | None) -> None:
        while True:
            lost = identity(self._folder) != known
            if lost and not self.problem:
                self.problem = (
                    f"the data folder {self._folder} was removed or replaced under the running server: nothing can "
                    "be deployed and no asynchronous call is taken. Stop the server, put the folder back, start again"
                )
                _log.error("%s", self.problem)
            elif not lost:
                self.problem = ""
            await asyncio.sleep(_LOOK)

    async def close(self) -> None:
        """Watch no longer."""
        await self._tasks.close()


def check_version(folder: Path) -> dict[str, int]:
    """The versions of the files that hold something, by their names. Raises DataFolderTooNew."""
    found = {}
    for name in _FILES:
        version = _version(folder / name)
        if version > VERSION:
            copy = folder / f"{_BEFORE}{version}"
            back = f"put back what it has kept in {copy}, without what was done since, " if copy.is_dir() else ""
            raise DataFolderTooNew(path=folder, found=version, known=VERSION, back=back)
        if version:
            found[name] = version
    return found


def _version(path: Path) -> int:
    """0 for a file that is not there, holds nothing yet, or is damaged."""
    if not path.is_file():
        return 0
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=_WAIT)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error:
        return 0
    return int(version)


def take_over(folder: Path) -> list[str]:
    """Make a locked data folder be of this version; what was done, for people. Raises DataFolderTooNew,
    DataFolderNotTakenOver; then it is as it was.
    """
    versions = check_version(folder)
    if all(version == VERSION for version in versions.values()):
        return []
    copy = folder / f"{_BEFORE}{VERSION}"
    try:
        _copy(folder, versions, copy)
        _migrate(folder, versions)
        nofollow.remove(folder / _PACKAGES)
    except (sqlite3.Error, OSError) as error:
        raise DataFolderNotTakenOver(path=folder, known=VERSION, reason=error) from error
    told = f"the data folder {folder} was an older pyfc's and is this one's now; {copy} has its files of before"
    removed = _remove_copies(folder, copy)
    return [told + (f"; removed, as the newest {_COPIES} stay: {', '.join(removed)}" if removed else "")]


def _remove_copies(folder: Path, newest: Path) -> list[str]:
    """Remove the copies of before earlier take-overs, but for the newest of them; the names of those that are gone."""
    found = {path: int(path.name.removeprefix(_BEFORE)) for path in folder.iterdir() if _is_copy(path)}
    found.pop(newest, None)
    removed = []
    for path in sorted(found, key=found.__getitem__)[: 1 - _COPIES]:
        with contextlib.suppress(OSError):  # it is in nobody's way
            nofollow.remove(path)
            removed.append(path.name)
    return removed


def _is_copy(path: Path) -> bool:
    number = path.name.removeprefix(_BEFORE)
    return path.name.startswith(_BEFORE) and number.isascii() and number.isdecimal() and path.is_dir()


def _copy(folder: Path, names: Mapping[str, int], place: Path) -> None:
    """Keep files as they are: the whole of them, or nothing."""
    unfinished = place.with_name(f".{place.name}")
    for old in (unfinished, place):  # not whole, or of before an attempt that has changed nothing
        nofollow.remove(old)
    unfinished.mkdir(mode=0o700)
    for name in names:
        with (
            contextlib.closing(sqlite3.connect(folder / name, timeout=_WAIT)) as source,
            contextlib.closing(sqlite3.connect(unfinished / name)) as target,
        ):
            source.backup(target)
        _sync(unfinished / name)
    _sync(unfinished)
    unfinished.rename(place)
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _migrate(folder: Path, versions: Mapping[str, int]) -> None:
    """Do every step that the files need, in one transaction. Raises sqlite3.Error."""
    first, *others = versions
    schemas = {first: _MAIN, **{name: _FILES[name] for name in others}}
    with contextlib.closing(sqlite3.connect(folder / first, timeout=_WAIT, isolation_level=None)) as connection:
        for name in others:
            connection.execute(f"ATTACH ? AS {schemas[name]}", (str(folder / name),))
        for schema in schemas.values():
            # A log of its own for each file, as the server has them, would make it several transactions.
            (mode,) = connection.execute(f"PRAGMA {schema}.journal_mode=DELETE").fetchone()
            if mode != "delete":
                raise sqlite3.OperationalError("another program uses its files")
            connection.execute(f"PRAGMA {schema}.synchronous=EXTRA")
        with transaction(connection):
            for number in range(min(versions.values()) + 1, VERSION + 1):
                for name, schema in schemas.items():
                    change = getattr(STEPS[number], _FILES[name])
                    if versions[name] < number and change is not None:
                        change(connection, schema)
            for schema in schemas.values():
                connection.execute(f"PRAGMA {schema}.user_version={VERSION}")
