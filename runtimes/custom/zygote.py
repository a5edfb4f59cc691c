"""The zygote of custom runtimes: warm, single-threaded, trusted, forks bridges (bridge.py). It is that of Python but
for what its workers do.

    python -I -S zygote.py CONTROL HOST PROFILE
"""

from __future__ import annotations

import sys

sys.path[:0] = [__file__.rpartition("/")[0], __file__.rpartition("/")[0] + "/../python", sys.argv[2]]

import gc  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402

import bridge  # noqa: E402
import control  # noqa: E402
import enter  # noqa: E402
import wire  # noqa: E402


def main() -> None:
    """Fork bridges until the server goes away; in each, be one."""
    descriptor = int(sys.argv[1])
    os.set_inheritable(descriptor, False)
    cage = enter.nest(json.loads(sys.argv[3]))
    zygote = control.Control(descriptor)
    zygote.send(wire.NESTED, 0, (cage.mode, cage.missing))
    gc.collect()
    gc.freeze()
    while True:
        kind, token, header, descriptors = zygote.next()
        if kind == wire.FORK and zygote.fork(token, descriptors, cage) == 0:
            break
    control.become_worker(descriptors)
    cage.begin(header[0])
    bridge.main(3, 4, cage)


main()
