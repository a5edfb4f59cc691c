"""Folders that functions share (pyfc/model/mounts.py): where they lie, and where zygotes and workers find them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from pyfc.model.mounts import FOLDER, Mount

_PREFIX = "shared-"
"""See root.py."""


class Shared:
    """Those of one server. `folders`: what is shown where something else would be mounted, by that place."""

    def __init__(self, data_folder: Path, folders: Mapping[str, Path]) -> None:
        self._root = data_folder / FOLDER
        self._folders = folders

    def own(self) -> dict[str, str]:
        """What a zygote shows its workers beside the folders of the data folder: name and path."""
        return {_name(at): str(path) for at, path in self._folders.items()}

    def place(self, mount: Mount) -> Path:
        """The folder that is mounted."""
        return self._folders.get(mount.at, self._root / mount.folder)

    def wish(self, mount: Mount) -> tuple[str, str, bool]:
        """What a worker is asked to mount: a name that its zygote shows, the place, and whether it is read-only. One of
        the data folder is made.
        """
        if mount.at in self._folders:
            return _name(mount.at), mount.at, mount.is_read_only
        folder = self.place(mount)
        if not folder.is_dir():
            folder.mkdir(parents=True)
            folder.chmod(0o777)  # instances have a user each; nobody else comes this far
        return f"{FOLDER}/{mount.folder}", mount.at, mount.is_read_only


def _name(at: str) -> str:
    return _PREFIX + hashlib.sha256(at.encode()).hexdigest()
