"""The warm interpreter of the Python runtime: single-threaded, trusted, runs no user code, forks workers and keepers.

    python -I -S zygote.py CONTROL HOST PROFILE

CONTROL is the descriptor of a stream socket to the supervisor (control.py), HOST the folder with `enter.py`, PROFILE a
JSON object for it. Rules:

0. First of all it locks itself in (enter.py), and tells how far it came: Nested. The process that was started stays
   outside of the namespaces and waits for the one that becomes the zygote.
1. It reads Fork(limits) with descriptors, answers Forked(pid) with a pidfd, and goes on. So it does with Keep, whose
   child is the keeper of one function (keeper.py), and with Exec, whose child settles and becomes another program. Such
   a one may have been started before it has a function: Furnish shows it the code.
"""

from __future__ import annotations

import sys

_BARE = frozenset(sys.modules)
_HERE, _HOST = __file__.rpartition("/")[0], sys.argv[2]
sys.path[:0] = [_HERE, _HOST]

import gc  # noqa: E402  what is loaded from here on is ours, not the bare interpreter's
import importlib  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402

import births  # noqa: E402
import bootstrap  # noqa: E402
import context  # noqa: E402
import control  # noqa: E402
import enter  # noqa: E402
import hiding  # noqa: E402
import keeper  # noqa: E402
import output  # noqa: E402
import wire  # noqa: E402

_REHEARSALS = 20
_UNUSED_MODULE = "nturl2path"
"""A small module of the standard library that nobody needs: importing it is importing."""


def _serve(zygote: control.Control, cage: enter.Cage) -> tuple[dict[str, int], births.Births | None]:
    """Serve the supervisor. Returns in each worker, with its limits; in a template also with the socket to its keeper.
    Never returns in the zygote itself.
    """
    while True:
        kind, token, header, descriptors = zygote.next()
        if kind == wire.FORK and zygote.fork(token, descriptors, cage) == 0:
            control.become_worker(descriptors)
            return header[0], None
        if kind == wire.KEEP and zygote.fork(token, descriptors, cage) == 0:
            return keeper.Keeper(control.take_only(descriptors[0]), cage, header[0]).serve()
        if kind == wire.EXEC and zygote.fork(token, descriptors, cage) == 0:
            control.become_program(descriptors, cage, *header[:4])
        if kind == wire.FURNISH:
            zygote.furnish(token, descriptors, cage, header[0])


def _rehearse() -> None:
    """Do once, without consequences, what every worker does first.

    A page that is first written in a worker is copied there; code that has run here is specialised, its memory is
    allocated, and its pages are shared.
    """
    init = {"A" * 20: "b" * 30, "numbers": [0, 1, 200, 70000, -1, None, True, "x" * 300]}
    for _ in range(_REHEARSALS):
        wire.unpack(wire.pack([init, init]))
        wire.unpack(wire.pack((False, 100, "r" * 36, 0, 0, 1 << 40, None, None)))
        wire.plain_reply(1, b"x", False)
        compile("import json\n\n\ndef handler(event, context):\n    return json.dumps({'a': [1]})\n", "<none>", "exec")
        context.rehearse()
        output.rehearse()
    importlib.import_module(_UNUSED_MODULE)
    del sys.modules[_UNUSED_MODULE]


def main() -> None:
    """Fork workers; in each of them, enter its limits and serve."""
    bootstrap.KEPT = _BARE
    descriptor = int(sys.argv[1])
    os.set_inheritable(descriptor, False)
    sys.executable = os.path.realpath(sys.executable)  # a virtual environment is no function's to see
    cage = enter.nest(json.loads(sys.argv[3]))
    zygote = control.Control(descriptor)
    zygote.send(wire.NESTED, 0, (cage.mode, cage.missing))  # the server goes on with its own start meanwhile
    _rehearse()
    hiding.hide([_HERE, _HOST])
    gc.collect()
    gc.freeze()
    limits, copies = _serve(zygote, cage)
    cage.begin(limits)
    bootstrap.main(3, 4, cage.settle, copies)


main()
