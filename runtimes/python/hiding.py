"""What a function must not see of the process it runs in: pyfc's modules, their paths, its arguments, its `__main__`.
Files and other processes are hidden by the sandbox (enter.py), not here.

A function that looks at its stack finds the places where FC's own runtime lies.
"""

from __future__ import annotations

import gc
import os
import sys
import types
from typing import Any

PLACE = "/var/fc/runtime/python3/"
"""Where FC has its runtime. It is no folder here: nothing reads it."""
_HERE = os.path.dirname(os.path.abspath(__file__)) + "/"


def is_ours(filename: str) -> bool:
    """Whether a line of a stack is pyfc's."""
    return filename.startswith((PLACE, _HERE))


def user_part(error: BaseException) -> types.TracebackType | None:
    """The traceback of an error from the user's first frame on; all of it if there is none."""
    found = error.__traceback__
    while found is not None and is_ours(found.tb_frame.f_code.co_filename):
        found = found.tb_next
    return found or error.__traceback__


def hide(folders: list[str]) -> None:
    """In the zygote, once everything is loaded: what all its workers are to look like. Our modules lie in `folders`."""
    places = [folder + "/" for folder in folders]
    main = types.ModuleType("__main__")  # without a file: multiprocessing's children would look for that
    ours = [sys.modules.pop(name) for name in _lying_in(places)]
    main.__dict__["__builtins__"] = __builtins__
    sys.modules["__main__"] = main
    _rename(places)
    for module in ours:
        module.__dict__.update(
            __file__=PLACE + module.__name__ + ".py", __cached__=None, __spec__=None, __loader__=None
        )
    sys.path[:] = [folder for folder in sys.path if folder not in folders]
    for place in [each for each in sys.path_importer_cache if each.startswith(tuple(folders))]:
        del sys.path_importer_cache[place]
    sys.argv[:] = [""]
    sys.orig_argv = [sys.executable]  # new in Python 3.10


def _lying_in(places: list[str]) -> list[str]:
    """The names of modules, `__main__` among them, whose files lie in these folders."""
    files = {name: getattr(module, "__file__", None) or "" for name, module in sys.modules.items()}
    return [name for name, file in files.items() if file.startswith(tuple(places))]


def _rename(folders: list[str]) -> None:
    """Let the code of our functions say that it lies in PLACE. Python does so itself with a compiled file whose source
    has moved.
    """
    import _imp

    fix: Any = getattr(_imp, "_fix_co_filename", None)
    if fix is None:
        return
    codes = [each.__code__ for each in gc.get_objects() if isinstance(each, types.FunctionType)]
    frame: Any = sys._getframe()
    while frame is not None:
        codes.append(frame.f_code)
        frame = frame.f_back
    for code in codes:
        for folder in folders:
            if code.co_filename.startswith(folder):
                fix(code, PLACE + code.co_filename.rpartition("/")[2])
