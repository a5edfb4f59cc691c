"""Packages of code that are kept in a folder of their own, to which /code has links: once for all versions of the
author's own files, so that a change of those copies nothing else. The author's own files are bundle.py's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from pyfc.boundary import Boundary
from pyfc.build.packages import installed
from pyfc.bundles.copying import readable
from pyfc.bundles.shelf import Shelf


class CodeFolder(NamedTuple):
    """A folder of code, and what is known of it."""

    path: Path
    built: Sequence[Path]
    """Folders of what was built for it, whose contents are shown at its root."""
    boundary: Boundary
    changed: frozenset[Path] | None
    """What has changed on disk since it was put last; None if that is not known."""


class KeptApart(NamedTuple):
    """What of a folder of code is kept apart."""

    names: frozenset[str] = frozenset()
    """Linked to at the root of the code."""
    digest: str = ""
    """Of the folder they lie in; '' if nothing is kept apart."""
    left_out: frozenset[str] = frozenset()
    """Not copied with the author's own files."""


class Apart:
    """Packages on a shelf of their own. `splits`: those that lie among the author's files are kept apart too, which
    pays where files are watched. `has_roots`: whether workers have a root of their own, in which links can lead there.
    """

    def __init__(self, shelf: Shelf, has_roots: Callable[[], bool], *, splits: bool) -> None:
        self._shelf = shelf
        self._has_roots = has_roots
        self._splits = splits
        self._built: dict[str, tuple[frozenset[str], str]] = {}
        self._installed: dict[Path, tuple[frozenset[str], str]] = {}

    def of(self, source: CodeFolder) -> KeptApart:
        """What of a folder is kept apart from now on. Raises InvalidArgument, OutsideProject, StorageFull."""
        if not self._has_roots():
            return KeptApart()
        if source.built:
            return self._link(source)
        return self._split(source) if self._splits else KeptApart()

    def has(self, digest: str) -> bool:
        """Whether they have not been swept; '' stands for none, which are always there."""
        return not digest or self._shelf.has(digest)

    def _link(self, source: CodeFolder) -> KeptApart:
        """What was built for a folder, as far as that has nothing of the same name."""
        with readable(source.path):
            own = source.boundary.names(source.path)
        parts = (*map(str, source.built), *sorted(own))
        key = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()
        if key not in self._built or not self.has(self._built[key][1]):
            names: set[str] = set()

            def fill(folder: Path) -> str:
                copy = self._shelf.copy(folder)
                names.update(copy.built(source.built, folder, own))
                return copy.digest()

            digest = self._shelf.build(fill)
            self._built[key] = frozenset(names), digest
        return KeptApart(*self._built[key])

    def _split(self, source: CodeFolder) -> KeptApart:
        """The installed packages of a folder; as they were if nothing of them has changed."""
        path, boundary, known = source.path, source.boundary, self._installed.get(source.path)
        if known is None or not self.has(known[1]) or _concerns(source, known[0]):
            names, digest = installed(path) & boundary.names(path), ""
            if names:

                def fill(folder: Path) -> str:
                    copy = self._shelf.copy(folder)
                    with readable(path):
                        for name in sorted(names):
                            (folder / name).mkdir()
                            copy.folder(boundary, path / name, folder / name)
                    return copy.digest()

                digest = self._shelf.build(fill)
            known = self._installed[path] = names, digest
        return KeptApart(*known, left_out=known[0])


def _concerns(source: CodeFolder, names: frozenset[str]) -> bool:
    """Whether something has changed among the packages of a folder, or that is not known."""
    if source.changed is None:
        return True
    for changed in source.changed:
        if changed.is_relative_to(source.path):
            parts = changed.relative_to(source.path).parts
            if not parts or parts[0] in names or parts[0].endswith(".dist-info"):
                return True
    return False
