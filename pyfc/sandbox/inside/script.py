"""Why the file that a custom runtime starts from cannot be started, as far as its first bytes tell. Standard library
only, Python 3.9 syntax, imports no pyfc: the server looks before there is a call, the bridge when its program has
ended.
"""

from __future__ import annotations

import os
import re
import stat

_LOOKED_AT = 512
_LARGEST_SCRIPT = 65536
_SHELL = re.compile(rb"#! ?(/usr)?/bin/(env )?(ba|da)?sh\b")
_COMMAND = re.compile(r"(?:exec |nohup )?([A-Za-z][\w.+-]*)(?=\s+[^=(\s]|\s*$)")
"""A program by its name at the beginning of a line; what is set or defined there is none."""
_OF_SHELL = re.compile(
    "alias|break|case|cd|command|continue|declare|do|done|echo|elif|else|esac|eval|exit|export|fi|for|function|if|let|local"
    "|printf|pwd|read|readonly|return|select|set|shift|source|test|then|time|trap|type|ulimit|umask|unset|until|wait|while"
)
_ELF = b"\x7fELF"
_MARK = b"\xef\xbb\xbf"


def beginning(path: str) -> bytes:
    """The first bytes of a plain file; b"" for what is none. A link is followed only by its own user, in its sandbox.
    Raises OSError.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return b""
        return os.read(descriptor, _LOOKED_AT)
    finally:
        os.close(descriptor)


def flaw(name: str, first: bytes) -> str:
    """What is wrong with a file `name` that begins with `first`, and what to do; "" if nothing is known to be."""
    if first.startswith(_MARK):
        return f"{name} begins with a byte order mark, so that it is no script: save it as UTF-8 without BOM"
    if first.startswith(_ELF):
        return ""
    if not first:
        return f"{name} is empty"
    line, end, _ = first.partition(b"\n")
    if not line.startswith(b"#!"):
        return (
            f"{name} has no interpreter line: its first line must be one like #!/bin/sh, or it must be a Linux program"
        )
    if end and line.endswith(b"\r"):
        return (
            f"{name} has Windows line ends, so that its interpreter is taken to be {_shown(line[2:])}: convert it, with"
            f" sed -i 's/\\r$//' {name}, and keep it so (.gitattributes: {name} text eol=lf)"
        )
    return "" if line[2:].strip() else f"{name} names no interpreter in its first line"


def why_not(command: str, folder: str, path: str) -> str:
    """Why the program `command`, started in `folder` with PATH `path`, cannot be; "" if nothing is known."""
    place = os.path.normpath(os.path.join(folder, command)) if "/" in command else _found(command, path)
    name = os.path.relpath(place, folder) if place.startswith(folder + "/") else place
    if not place:
        return f"{command} is not on PATH"
    try:
        first = beginning(place)
    except FileNotFoundError:
        return f"there is no file {name} in the code"
    except OSError as error:
        return f"{name}: {error.strerror}"
    why = flaw(name, first) or _of_interpreter(name, first, path) or _of_mode(name, place)
    return why or _of_script(place, first, path)


def _found(command: str, path: str) -> str:
    places = [os.path.join(folder, command) for folder in path.split(os.pathsep) if folder]
    return next((each for each in places if os.path.isfile(each)), "")


def _of_interpreter(name: str, first: bytes, path: str) -> str:
    if not first.startswith(b"#!"):
        return ""
    words = os.fsdecode(first.partition(b"\n")[0][2:]).split()
    if not os.path.isfile(words[0]):
        return f"the interpreter of {name}, {words[0]}, is not on this machine"
    wanted = [each for each in words[1:] if not each.startswith("-") and "=" not in each][:1]
    if os.path.basename(words[0]) == "env" and wanted and "/" not in wanted[0] and not _found(wanted[0], path):
        return f"the interpreter of {name}, {wanted[0]}, is not on PATH"
    return ""


def _of_mode(name: str, place: str) -> str:
    return "" if os.access(place, os.X_OK) else f"{name} may not be executed: chmod +x {name}"


def _of_script(place: str, first: bytes, path: str) -> str:
    """The first program that a script of the shell starts by name and that is not there."""
    if not _SHELL.match(first):
        return ""
    with open(place, encoding="utf-8", errors="replace") as file:
        lines = file.read(_LARGEST_SCRIPT).splitlines()[1:]
    for line in lines:
        found = _COMMAND.match(line)
        if found is not None and not _OF_SHELL.fullmatch(found[1]) and not _found(found[1], path):
            return found[1] + " is not on PATH"
    return ""


def _shown(text: bytes) -> str:
    return ascii(text.decode("utf-8", "replace").strip(" ").split(" ")[-1])
