"""Reading what a worker writes to its descriptors 1 and 2, beyond the one read that the warm path makes."""

from __future__ import annotations

import os

READ = 65536
_READS_AT_ONCE = 15


def read_on(descriptor: int) -> bytes:
    """What a pipe still holds, up to a limit: a writer that never pauses must not hold the loop."""
    chunks = []
    for _ in range(_READS_AT_ONCE):
        try:
            chunk = os.read(descriptor, READ)
        except BlockingIOError:
            break
        chunks.append(chunk)
        if len(chunk) < READ:
            break
    return b"".join(chunks)
