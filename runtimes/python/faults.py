"""What user code raises, as the supervisor and FC's callers see it. Who catches it and answers with it is
bootstrap.py.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback

import hiding

_MESSAGE_KEPT = 65536
_FRAMES_KEPT = 200
_COMPILED = (".so", ".pyd")
_NAMES_KEPT = 1000


class HandlerError(Exception):
    """The handler string does not lead to a function. `kind` is FC's errorType."""

    def __init__(self, message: str, kind: str) -> None:
        super().__init__(message)
        self.kind = kind


def text(error: BaseException) -> str:
    """The error's own text, whatever its class does."""
    try:
        return str(error)[:_MESSAGE_KEPT]
    except Exception as broken:  # a user's exception class may fail in its own __str__
        return "the error's own text could not be made: %s" % type(broken).__name__


def fault(error: BaseException) -> tuple[str, str, str]:
    """The fault of a frame: kind, message, type."""
    return ("UNHANDLED", text(error)[:1000], _kind(error)[:200])


def hint(error: BaseException) -> str:
    """Goes on with the text of a failed import: which of the function's packages is another Python's, or could not be
    installed.
    """
    folder, names = os.environ.get("FC_FUNC_CODE_PATH", ""), ""
    if compiled := _of_another_python(folder, error):
        return "; %s was compiled for another Python than this, %d.%d" % (compiled, *sys.version_info[:2])
    try:
        for name in sorted(os.listdir(folder)) if isinstance(error, ImportError) else []:
            if name.startswith(".left-out-pip-"):
                with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
                    names += file.read(_NAMES_KEPT) + "\n"
    except OSError:
        pass
    told = "; of its packages these could not be had: %s (`pyfc list` says why)"
    return told % ", ".join(names.split()) if names else ""


def _of_another_python(folder: str, error: BaseException) -> str:
    """The file in `folder` that has the missing module, as it was compiled for another Python; "" if there is none."""
    missing = error.name if type(error) is ModuleNotFoundError else None
    if not isinstance(missing, str) or not missing:
        return ""
    place, _, name = os.path.join(folder, *missing.split(".")).rpartition("/")
    try:
        found = sorted(file for file in os.listdir(place) if file.startswith(name + ".") and file.endswith(_COMPILED))
    except (OSError, ValueError):
        return ""
    return os.path.relpath(os.path.join(place, found[0]), folder) if found else ""


def _kind(error: BaseException) -> str:
    return error.kind if isinstance(error, HandlerError) else type(error).__name__


def document(error: BaseException) -> bytes:
    """FC's error JSON for Python: errorMessage, errorType, stackTrace with one list of four texts per frame."""
    shown = error.__cause__ if isinstance(error, HandlerError) and error.__cause__ else error
    frames = [entry for entry in traceback.extract_tb(shown.__traceback__) if not _is_ours(entry.filename)]
    stack = [
        ['File "%s"' % entry.filename, "line %s" % entry.lineno, "in %s" % entry.name, entry.line or ""]
        for entry in frames[-_FRAMES_KEPT:]
    ]
    if isinstance(shown, SyntaxError) and shown.filename:
        line = (shown.text or "").strip()
        stack.append(['File "%s"' % shown.filename, "line %s" % shown.lineno, "in <module>", line])
    found = {"errorMessage": text(error) + hint(error), "errorType": _kind(error), "stackTrace": stack}
    return json.dumps(found).encode("utf-8", "replace")


def _is_ours(filename: str) -> bool:
    return hiding.is_ours(filename) or filename.startswith("<frozen importlib") or filename == importlib.__file__


def log(error: BaseException) -> None:
    """Write where it was raised to the function's log, as FC's runtime does."""
    shown = error.__cause__ if isinstance(error, HandlerError) and error.__cause__ else error
    try:
        traceback.print_exception(type(shown), shown, hiding.user_part(shown))
        if told := hint(shown):
            print(told[2:], file=sys.stderr)
    except Exception:  # a user's exception class, or what the user has made of sys.stderr, may fail
        pass


def tell(error: BaseException) -> None:
    """What ends the process is told as Python tells it: by the hook that the function has set, if it has set one."""
    error.__traceback__ = hiding.user_part(error)
    try:
        sys.excepthook(type(error), error, error.__traceback__)
    except BaseException as broken:  # as Python does with a hook that fails
        broken.__traceback__ = hiding.user_part(broken)
        sys.__excepthook__(type(broken), broken, broken.__traceback__)
