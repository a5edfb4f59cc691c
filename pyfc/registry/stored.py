"""What a data folder holds, looked at before a server uses it, and by `pyfc doctor`.

A store that is missing or empty where functions have run is no new installation: their code may be all that is left of
them. So it is told, and nothing is removed any more, at later starts either, until a person has deleted a file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path

from pyfc.data.folder import check_version
from pyfc.data.version import QUEUE, STORE
from pyfc.errors import DataFolderTooNew
from pyfc.model.function import Code, Function
from pyfc.model.resources import Layer, Version
from pyfc.registry.registry import Declared, Unreadable, readable, unreadable
from pyfc.stores.sqlite import entries_of

LOST = "store-was-lost"
_MOST = 5
"""Names in a message."""


def mark_loss(data_folder: Path) -> None:
    """Remember that the store is gone, if it is: before a new one is made."""
    if _is_lost(data_folder):
        text = "The store of this data folder was missing or empty when a server started. While this file is here, no\n"
        text += "code is removed. Delete it when you do not need the code of before any more.\n"
        (data_folder / LOST).write_text(text, encoding="ascii")


def is_marked(data_folder: Path) -> bool:
    """Whether nothing may be removed, since the store was lost once."""
    return (data_folder / LOST).exists()


def losses(data_folder: Path) -> list[str]:
    """What is not there although it should be, for people. To be asked before a server makes anew what is missing."""
    found = []
    store, marker = data_folder / STORE, data_folder / LOST
    if _is_lost(data_folder) or marker.exists():
        names = _logged(data_folder)
        shown = ", ".join(names[:_MOST]) + (f" and {len(names) - _MOST} more" if len(names) > _MOST else "")
        found.append(
            f"the store {store} was missing or empty, although this data folder has {' and '.join(_left(data_folder))}"
            + (f" (calls were logged of {shown})" if names else "")
            + ": what the management API deployed is not known any more. If there is a copy of it, stop the server and "
            f"put it back. Nothing is removed from this folder until you delete {marker}"
        )
    if _size(store) and not (data_folder / QUEUE).exists():
        found.append(f"the queue {data_folder / QUEUE} is missing: asynchronous calls that waited in it are lost")
    return found


def _is_lost(data_folder: Path) -> bool:
    """A store is made before anything else; what has no revision yet has served nobody, so there are no logs."""
    if not _size(data_folder / STORE):
        return bool(_left(data_folder))
    try:
        return bool(_logged(data_folder)) and not entries_of(data_folder / STORE)
    except sqlite3.Error:
        return False  # opening it tells more


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _left(data_folder: Path) -> list[str]:
    """Which of its folders are not empty."""
    folders = {"blobs": "blobs", "code": "code", "logs": "logs", "objects": "uploads"}
    return [
        what for name, what in folders.items() if (data_folder / name).is_dir() and any((data_folder / name).iterdir())
    ]


def _logged(data_folder: Path) -> list[str]:
    """SERVICE/FUNCTION of those that have a log."""
    return sorted(
        {f"{path.parent.name}/{path.name.partition('.')[0]}" for path in (data_folder / "logs").glob("*/*.jsonl*")}
    )


def told(each: Unreadable) -> str:
    """A record that is aside, for people."""
    return (
        f"the record {each.key} can not be read and is set aside: {each.reason}. Everything else is served. Declare it "
        "again, or use the pyfc that wrote it"
    )


def examine(data_folder: Path) -> list[str]:
    """Everything that is wrong with the stored files of a data folder, a running server's too; nothing is changed."""
    found = losses(data_folder)
    store = data_folder / STORE
    if not _size(store):
        return found
    try:
        check_version(data_folder)
        entries = entries_of(store)
    except DataFolderTooNew as error:
        return [str(error)]
    except sqlite3.Error as error:
        return [*found, f"the store {store} can not be read: {error}"]
    found += [told(each) for each in unreadable(entries)]
    return found + _missing(data_folder, readable(entries))


def _missing(data_folder: Path, values: Iterable[Declared]) -> list[str]:
    """Code that is declared and not there."""
    found = {}
    for value in values:
        for name, code in _codes(value):
            for digest, folder in ((code.digest, "code"), (code.packages, "packages")):
                if digest and not (data_folder / folder / digest).is_dir():
                    has_source = folder == "code" and code.kind == "zip" and (data_folder / "blobs" / digest).exists()
                    advice = "it is unpacked again when it is needed" if has_source else "deploy it again"
                    found[digest, name] = f"{folder}/{digest} of {name} is gone: {advice}"
    return list(found.values())


def _codes(value: Declared) -> list[tuple[str, Code]]:
    match value:
        case Function():
            own = (value.code, value.opt)
            return [(f"{value.service}/{value.name}", code) for code in own if code is not None]
        case Version():
            return [pair for function in value.functions for pair in _codes(function)]
        case Layer():
            return [(f"layer {value.name}", value.code)]
    return []
