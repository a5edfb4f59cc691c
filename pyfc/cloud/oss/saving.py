"""What a write changes in a bucket's folder is as it was if the write fails: a file has a second name meanwhile, which
lies with what is being written, or beside the file where that is on another disk. Everything raises OSError.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import NamedTuple

from pyfc.cloud.database import SideEffects

_NO_LINKS = {errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP}
"""There can be no second name of a file: it is on a disk that has none, or is somebody else's."""
_PASSING = re.compile(r"\.[0-9a-f]{32}\.part")
Where = Callable[[], AbstractContextManager[tuple[int, str]]]
"""Opens the folder of a file: that, and the file's name in it."""


class Named(NamedTuple):
    """A file, or what is to be one."""

    folder: int
    name: str
    where: Where
    """Opens the folder again."""


def passing(name: str) -> str:
    """What lies beside a file for a moment, and is nobody's object, under a new name of 32 hexadecimal digits."""
    return f".{name}.part"


def is_passing(name: str) -> bool:
    """Whether a file is of that sort."""
    return _PASSING.fullmatch(name) is not None


def save(file: Named, apart: int, effects: SideEffects, prune: Callable[[], object]) -> None:
    """Before a file comes, is replaced or removed: have it as it is now if the write fails. `apart`: the folder of what
    is being written. `prune` removes folders that are empty when its second name is gone.
    """
    old = secrets.token_hex(16)
    try:
        _link(file, old, apart)
    except FileNotFoundError:
        effects.add(lambda: unlink(file.where))
    except OSError as error:
        if error.errno == errno.EXDEV:
            _save_beside(file, passing(old), effects, prune)
        elif error.errno not in _NO_LINKS:
            raise
        # its row does not fit it then, and it is measured anew
    else:
        effects.add(lambda: _restore(file.where, old, apart), lambda: _unlink(old, apart))


def _save_beside(file: Named, old: str, effects: SideEffects, prune: Callable[[], object]) -> None:
    def restore() -> None:
        with file.where() as (folder, _):
            _restore(file.where, old, folder)

    def forget() -> None:
        with file.where() as (folder, _):
            _unlink(old, folder)
        prune()

    try:
        _link(file, old, file.folder)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
    else:
        effects.add(restore, forget)


def _link(file: Named, old: str, folder: int) -> None:
    os.link(file.name, old, src_dir_fd=file.folder, dst_dir_fd=folder, follow_symlinks=False)


def _restore(where: Where, old: str, above: int) -> None:
    with where() as (folder, name):
        os.replace(old, name, src_dir_fd=above, dst_dir_fd=folder)
    _unlink(old, above)  # there yet if it was not replaced


def unlink(where: Where) -> None:
    """Remove a file, if it is there."""
    with contextlib.suppress(FileNotFoundError), where() as (folder, name):
        os.unlink(name, dir_fd=folder)


def _unlink(name: str, folder: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)
