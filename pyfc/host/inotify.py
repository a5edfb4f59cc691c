"""The kernel's notices of what becomes of files in folders: inotify, which Linux alone has."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from typing import NamedTuple

CLOSE_WRITE, MOVED_FROM, MOVED_TO, CREATE, DELETE = 0x8, 0x40, 0x80, 0x100, 0x200
OVERFLOW, IGNORED, IS_FOLDER = 0x4000, 0x8000, 0x40000000
_ONLY_FOLDER = 0x01000000
_WANTED = CLOSE_WRITE | MOVED_FROM | MOVED_TO | CREATE | DELETE | _ONLY_FOLDER
_HEAD = struct.Struct("iIII")
_READ = 256 * 1024


class Notice(NamedTuple):
    """Something has become of a file or folder."""

    watch: int
    """Of the folder it is in; -1 for an overflow."""
    mask: int
    """Of the bits above."""
    name: bytes


class Inotify:
    """Watches folders. Everything raises OSError, also where the kernel has no such thing."""

    def __init__(self) -> None:
        if sys.platform != "linux":
            raise OSError("there is no inotify here")
        self._library = ctypes.CDLL(None, use_errno=True)
        self.descriptor = self._checked(self._library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        """Readable when there are notices."""

    def add(self, folder: int) -> int:
        """Watch a folder that is open; its number."""
        path = f"/proc/self/fd/{folder}".encode()
        return self._checked(self._library.inotify_add_watch(self.descriptor, path, _WANTED))

    def remove(self, watch: int) -> None:
        """Watch a folder no longer; one that is gone is watched no longer anyway."""
        self._library.inotify_rm_watch(self.descriptor, watch)

    def read(self) -> list[Notice]:
        """What has come."""
        try:
            data = os.read(self.descriptor, _READ)
        except BlockingIOError:
            return []
        found, place = [], 0
        while place < len(data):
            watch, mask, _, length = _HEAD.unpack_from(data, place)
            place += _HEAD.size
            found.append(Notice(watch, mask, data[place : place + length].rstrip(b"\0")))
            place += length
        return found

    def close(self) -> None:
        """Watch nothing any more."""
        os.close(self.descriptor)

    def _checked(self, result: int) -> int:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return result
