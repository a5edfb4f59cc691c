"""Watches the folders of buckets for what people do in them.

1. On Linux the kernel says when a writer has closed a file, and what was renamed or removed. A folder is watched before
   it is listed, so nothing that is put into a new one is missed; what may be written yet is left to its writer's close.
2. All of a bucket is compared with its rows at the start, for what has changed meanwhile, and when the kernel has had
   more to say than it keeps.
3. Elsewhere that is done every few seconds, and a file counts when it has not changed for one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import stat
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from pyfc import nofollow
from pyfc.cloud.oss.dropped import SMALL, Dropped
from pyfc.cloud.oss.faults import Fault
from pyfc.cloud.oss.files import OWN, key_of
from pyfc.cloud.oss.index import key_bytes
from pyfc.cloud.oss.listing import behind
from pyfc.cloud.oss.model import Place, Seen
from pyfc.cloud.oss.store import Store
from pyfc.errors import PyfcError
from pyfc.host import inotify
from pyfc.host.inotify import Inotify, Notice
from pyfc.tasks import Tasks

_GATHER = 0.01
"""Seconds from a notice to the look: what the store itself writes has its row then."""
_BATCH = 64
_ROWS = 1000
_AGAIN = 1.0
"""Seconds until the next look at what may be written yet."""
_SCAN = 2.0
"""Seconds between two comparisons where the kernel says nothing."""
_log = logging.getLogger(__name__)


class _Folder(NamedTuple):
    """A folder that is watched."""

    bucket: str
    path: str
    """From the bucket's; '' for that, else with a slash at its end."""


class Watcher:
    """Watches the buckets of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._dropped = Dropped(store)
        self._tasks = Tasks()
        self._inotify: Inotify | None = None
        self._is_open = False
        """Whether the kernel was asked: a server without buckets does not."""
        self._folders: dict[int, _Folder] = {}
        self._buckets: dict[str, float] = {}
        """Those that are watched, and when they were made."""
        self._waiting: dict[Place, bool] = {}
        """What is to be looked at, and whether its writer has closed it."""
        self._large: dict[Place, bool] = {}
        """The same, of large files: they are measured one at a time, and nothing waits for that."""
        self._measures = asyncio.Event()
        """Set when there are such."""
        self._noticed = asyncio.Event()
        self._room = asyncio.Event()
        """Set while not too much waits for those who compare."""
        self._room.set()

    def start(self) -> None:
        """Watch from now on; what has changed before is found."""
        self._follow()
        self._tasks.begin("looking at files that people put into buckets", self._work())
        self._tasks.begin("measuring large files that people put into buckets", self._measure())
        self._tasks.begin("watching the folders of buckets", self._keep_up())

    def _open(self) -> None:
        self._is_open = True
        try:
            self._inotify = Inotify()
        except OSError as error:
            self._give_up(error)
        else:
            asyncio.get_running_loop().add_reader(self._inotify.descriptor, self._read)

    async def close(self) -> None:
        """Watch no longer."""
        self._unwatch()
        await self._tasks.close()

    def _unwatch(self) -> None:
        if self._inotify is not None:
            asyncio.get_running_loop().remove_reader(self._inotify.descriptor)
            self._inotify.close()
        self._inotify = None
        self._folders = {}

    def _give_up(self, error: OSError) -> None:
        """Compare from time to time instead."""
        self._unwatch()
        _log.warning(
            "the folders of buckets cannot be watched (%s): they are looked through every %g seconds, and a file that "
            "is put there by hand counts when it has not changed for %g", error.strerror or error, _SCAN, _AGAIN,
        )  # fmt: skip

    # which buckets there are

    async def _keep_up(self) -> None:
        while True:
            if self._is_open and self._inotify is None:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_SCAN):
                        await self._store.changed.wait()
                await asyncio.gather(*(self._tried(self._compare(name)) for name in list(self._store.index.buckets)))
            else:
                await self._store.changed.wait()
            self._follow()

    def _follow(self) -> None:
        """Watch the buckets that are there now."""
        self._store.changed.clear()
        before, now = self._buckets, {name: each.created for name, each in self._store.index.buckets.items()}
        for name in before.keys() - now.keys():
            self._leave(name, "")
        new = [name for name, created in now.items() if before.get(name) != created]
        self._buckets = now
        if now and not self._is_open:
            self._open()
        for name in new:
            self._tasks.begin(f"comparing bucket {name} with its folder", self._tried(self._compare(name)))

    async def _tried(self, work: Awaitable[None]) -> None:
        try:
            await work
        except (OSError, PyfcError, Fault) as error:
            _log.warning("the folder of a bucket cannot be looked at: %s", error)

    # what the kernel says

    def _read(self) -> None:
        notices = self._inotify.read() if self._inotify is not None else []
        for notice in notices:
            if notice.mask & inotify.OVERFLOW:
                for name in self._buckets:
                    self._tasks.begin(f"comparing bucket {name} with its folder", self._tried(self._compare(name)))
            elif notice.mask & inotify.IGNORED:
                self._folders.pop(notice.watch, None)
            elif (folder := self._folders.get(notice.watch)) is not None:
                self._take(folder, notice)

    def _take(self, folder: _Folder, notice: Notice) -> None:
        path = folder.path + os.fsdecode(notice.name)
        if not notice.mask & inotify.IS_FOLDER:
            if not notice.mask & inotify.CREATE:
                self._notice(folder.bucket, path, is_closed=True)
        elif path == OWN:
            return
        elif notice.mask & (inotify.CREATE | inotify.MOVED_TO):
            self._tasks.begin(f"looking into {path}", self._tried(self._enter(folder.bucket, f"{path}/")))
        else:
            self._leave(folder.bucket, f"{path}/")
            self._tasks.begin(f"missing {path}", self._tried(self._miss(folder.bucket, f"{path}/")))

    def _notice(self, bucket: str, path: str, *, is_closed: bool) -> None:
        key = key_of(path)
        if key is not None:
            self._wait(Place(bucket, key), is_closed=is_closed)

    def _wait(self, place: Place, *, is_closed: bool) -> None:
        if len(self._waiting) >= _ROWS:
            self._room.clear()
        self._waiting[place] = is_closed or self._waiting.get(place, False)
        self._noticed.set()

    def _leave(self, bucket: str, path: str) -> None:
        """Watch a folder no longer, and all below it."""
        for watch, folder in list(self._folders.items()):
            if folder.bucket == bucket and folder.path.startswith(path):
                del self._folders[watch]
                if self._inotify is not None:
                    self._inotify.remove(watch)

    # comparing

    async def _compare(self, bucket: str) -> None:
        """Look at all that is not as its row says."""
        await self._enter(bucket, "")
        await self._miss(bucket, "")

    async def _enter(self, bucket: str, path: str) -> None:
        """Watch a folder and all below it, and look at the files in them."""
        left = [path]
        while left and bucket in self._store.index.buckets:
            at = left.pop()
            try:
                files, folders = await self._listed(bucket, at)
            except OSError:
                continue  # it is gone, or is a link now
            left += folders
            keys = [key for key in map(key_of, files) if key is not None]
            for number in range(0, len(keys), _ROWS):
                for key, _ in await self._changed(bucket, keys[number : number + _ROWS]):
                    self._wait(Place(bucket, key), is_closed=False)
                await self._room.wait()

    async def _listed(self, bucket: str, path: str) -> tuple[list[str], list[str]]:
        """The paths of files and folders in a folder, which is watched from now on."""
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(nofollow.opened_folder(self._store.files_in(bucket).root))
            for each in path.split("/")[:-1]:
                folder = stack.enter_context(nofollow.opened_folder(each, folder))
            if self._inotify is not None:
                try:
                    self._folders[self._inotify.add(folder)] = _Folder(bucket, path)
                except OSError as error:
                    self._give_up(error)
            return await asyncio.to_thread(_list, folder, path)

    async def _miss(self, bucket: str, path: str) -> None:
        """Look at the rows below a folder whose files are not there."""
        begin, end = key_bytes(path), behind(key_bytes(path))
        while rows := await self._store.index.objects(bucket, begin, end, _ROWS):
            keys = [row.key for row in rows if not row.is_aside]
            there = await asyncio.to_thread(_there, self._store.files_in(bucket).root, keys)
            for key in keys:
                if key not in there:
                    self._wait(Place(bucket, key), is_closed=True)
            await self._room.wait()
            begin = key_bytes(rows[-1].key) + b"\0"

    async def _changed(self, bucket: str, keys: Sequence[str]) -> list[tuple[str, int]]:
        """Those of the keys whose files are not as their rows say, with the bytes of the files."""
        there = await asyncio.to_thread(_there, self._store.files_in(bucket).root, keys)
        known = await self._store.index.seen(bucket, keys)
        gone = Seen(0, 0, 0)
        return [(key, there.get(key, gone).size) for key in keys if there.get(key) != known.get(key)]

    # looking

    async def _work(self) -> None:
        while True:
            await self._noticed.wait()
            await asyncio.sleep(_GATHER)
            batch = {place: self._waiting.pop(place) for place in list(self._waiting)[:_BATCH]}
            if not self._waiting:
                self._noticed.clear()
            if len(self._waiting) < _ROWS:
                self._room.set()
            for bucket in {place.bucket for place in batch}:
                await self._tried(
                    self._look_at(bucket, {key: batch[Place(bucket, key)] for name, key in batch if name == bucket})
                )

    async def _look_at(self, bucket: str, keys: Mapping[str, bool]) -> None:
        """Look at keys, which are told with whether their writers have closed them."""
        if bucket not in self._store.index.buckets:
            return
        small = []
        for key, size in await self._changed(bucket, list(keys)):
            if size <= SMALL:
                small.append(key)
            else:
                self._large[Place(bucket, key)] = keys[key]
                self._measures.set()
        await asyncio.gather(*(self._look(Place(bucket, key), is_closed=keys[key], most=SMALL) for key in small))

    async def _measure(self) -> None:
        while True:
            await self._measures.wait()
            while self._large:
                place = next(iter(self._large))
                await self._look(place, is_closed=self._large.pop(place))
            self._measures.clear()

    async def _look(self, place: Place, *, is_closed: bool, most: int | None = None) -> None:
        try:
            if not await self._dropped.look(place, is_closed=is_closed, most=most):
                again = partial(self._wait, place, is_closed=False)
                asyncio.get_running_loop().call_later(_AGAIN, again)
        except (OSError, PyfcError, Fault) as error:
            _log.warning("a file in the folder of bucket %s cannot be looked at: %s", place.bucket, error)


def _list(folder: int, path: str) -> tuple[list[str], list[str]]:
    files, folders = [], []
    for name in os.listdir(folder):
        with contextlib.suppress(OSError):
            mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
            if stat.S_ISREG(mode):
                files.append(path + name)
            elif stat.S_ISDIR(mode) and path + name != OWN:
                folders.append(f"{path}{name}/")
    return files, folders


def _there(root: Path, keys: Iterable[str]) -> dict[str, Seen]:
    """By what the plain files of keys are known."""
    found = {}
    for key in keys:
        with contextlib.suppress(OSError, ValueError):
            status = (root / key).stat(follow_symlinks=False)
            if stat.S_ISREG(status.st_mode):
                found[key] = Seen(status.st_mtime_ns, status.st_ino, status.st_size)
    return found
