"""Having what was written to a disk be there after the machine lost its power."""

from __future__ import annotations

import ctypes
import os
import sys

CAN_SYNC_AT_ONCE = sys.platform == "linux"
"""Whether one call makes all that was written to a file system durable, and waits for it."""


def sync_file_system(descriptor: int) -> None:
    """Make durable all that was written to the file system of an open file; where CAN_SYNC_AT_ONCE. Raises OSError."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.syncfs(descriptor):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
