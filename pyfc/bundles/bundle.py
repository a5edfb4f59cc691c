"""Code as its author has it (a file, a folder, a zip) becomes a digest; a digest becomes a read-only folder.

1. What is hashed is the copy, not the original, so a file that changes meanwhile can not belong to a wrong digest.
2. A folder is built beside and renamed into place: it is whole or not there.
3. Functions with the same code share one folder. Folders that no function uses are removed at the next start.
4. With `splits` the installed packages of a folder are kept apart, once for all versions of the author's own files: a
   change of those then copies nothing else. /code has links to /packages for them.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import logging
import os
import shutil
import stat
import tempfile
import uuid
import zipfile
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fastcrc import crc64

from pyfc import nofollow
from pyfc.blobs.interface import Blobs
from pyfc.boundary import Boundary
from pyfc.build.packages import installed
from pyfc.bundles.archive import pack, unpack
from pyfc.bundles.copying import Copy, readable
from pyfc.errors import CodeLost, InvalidArgument, NotFound, keeping
from pyfc.model.function import Code

_log = logging.getLogger(__name__)
_NEW = ".new-"
_BOOTSTRAP = "bootstrap"
_READ_ONLY = 0o555
"""For whatever user the worker runs as."""
_KEY = 32
"""Digits of the part of a cache's name that no digest of code is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefact:
    """Code where a worker finds it."""

    folder: Path
    """Read-only."""
    cache: Path
    """What a runtime has compiled of this code, with these packages and layers, for one interpreter."""
    source: str
    """The folder it was deployed from, '' if it was an archive."""
    packages: str = ""
    """Digest of the installed packages, which lie in a folder of their own and are linked to; '' if they do not."""
    opt: Path | None = None
    """The files of its layers, read-only."""


class Bundles:
    """The code of all functions of one server, under its data folder."""

    def __init__(self, data_folder: Path, blobs: Blobs, maximum_size: int, maximum_files: int) -> None:
        self._data_folder = data_folder.resolve()
        self._folder = data_folder / "code"
        self._cache = data_folder / "cache"
        self._blobs = blobs
        self._maximum_size = maximum_size
        self._maximum_files = maximum_files
        self._busy = self._kept = 0
        """How often code is being kept now, and how often that was so before."""
        self.splits = False
        self.changed: frozenset[Path] | None = None
        """What has changed on disk since the last time; None if that is not known."""
        self.links = False
        """Whether what is kept apart can be linked to: workers have a root of their own."""
        self._built: dict[str, tuple[frozenset[str], str]] = {}
        self._packages: dict[Path, tuple[frozenset[str], str]] = {}
        self._packages_folder = data_folder / "packages"
        for folder in (self._folder, self._cache, self._packages_folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for shown in (self._folder, self._packages_folder):
            shown.chmod(0o755)
            for unfinished in shown.glob(_NEW + "*"):
                _remove(unfinished)

    async def put(self, path: Path, built: Sequence[Path] = (), boundary: Boundary | None = None) -> Code:
        """Keep the code at `path`, with what was built for it: folders whose contents are shown at its root, where that
        has nothing of the same name. It must lie in `boundary`, by default the folder itself, or that of the file.
        Raises InvalidArgument saying what is wrong with it; then nothing is kept.
        """
        within = boundary or Boundary(path if path.is_dir() else path.parent)
        with within.opened(path) as (descriptor, status):
            if stat.S_ISDIR(status.st_mode):
                return await asyncio.to_thread(self._put_folder, path, built, within)
            with open(descriptor, "rb", closefd=False) as stream:
                if zipfile.is_zipfile(stream):
                    stream.seek(0)
                    return await self.put_archive(stream, str(path))
        if path.suffix == ".zip":
            raise InvalidArgument(message=f"{path} is not a zip file that can be read")
        return await asyncio.to_thread(self._put_file, path, within)

    def artefact(self, code: Code, opt: Code | None = None, compiler: str = "") -> Artefact:
        """Where kept code lies, and that of its layers. `compiler`: all else that decides what is compiled of it; who
        differs in it shares nothing.
        """
        folder = self._folder / code.digest
        layers = self._folder / opt.digest if opt is not None else None
        parts = (code.digest, code.packages, opt.digest if opt is not None else "", compiler)
        key = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()
        cache = self._cache / f"{code.digest}-{key[:_KEY]}"
        cache.mkdir(mode=0o755, parents=True, exist_ok=True)
        return Artefact(folder=folder, cache=cache, source=code.source, packages=code.packages, opt=layers)

    async def sweep(self, used: Callable[[], Awaitable[Iterable[str]]]) -> bool:
        """Remove the code whose digest is not among what `used` finds. False if other code came meanwhile: then
        something may be left.
        """
        kept_before = self._kept
        kept = set(await used())
        if self._kept != kept_before or self._busy:
            return False
        blobs = [digest for digest in self._blobs.digests() if digest not in kept]
        await asyncio.to_thread(_remove, *self._taken_away(kept))
        for digest in blobs:
            if self._kept != kept_before or self._busy:
                return False
            await self._blobs.delete(digest)
        return True

    def _taken_away(self, kept: set[str]) -> list[Path]:
        """The folders of all other code, under names by which nobody finds them."""
        roots = (self._folder, self._cache, self._packages_folder)
        unwanted = [each for root in roots for each in list(root.iterdir()) if each.name.partition("-")[0] not in kept]
        return [each.rename(each.with_name(_NEW + uuid.uuid4().hex)) for each in unwanted]

    async def put_archive(self, stream: BinaryIO, name: str) -> Code:
        """Keep the code in a zip file that messages call `name`. Raises InvalidArgument, StorageFull; then nothing is
        kept.
        """
        before = await asyncio.to_thread(lambda: set(self._blobs.digests()))
        digest = await self._blobs.put(stream)
        try:
            return await self._unpacked(digest, name)
        except BaseException:
            if digest not in before and self._busy <= 1:  # else somebody else may have put the same meanwhile
                await self._blobs.delete(digest)
            raise

    async def _unpacked(self, digest: str, name: str) -> Code:
        """The folder of an archive that is kept as a blob."""
        with await self._blobs.open(digest) as archive:
            checksum = await asyncio.to_thread(lambda: str(crc64.xz(archive.read())))
            size = archive.tell()
            archive.seek(0)

            def fill(folder: Path) -> str:
                unpack(archive, name, folder, self._maximum_size, self._maximum_files)
                return digest

            if not (self._folder / digest).exists():
                await asyncio.to_thread(self._build, fill, self._folder)
        return Code(digest=digest, kind="zip", checksum=checksum, size=size)

    def has(self, code: Code) -> bool:
        """Whether the folder of kept code is there."""
        return (self._folder / code.digest).is_dir()

    async def restore(self, code: Code) -> None:
        """Unpack kept code again if its folder is gone. Raises CodeLost if what it was made of is not kept."""
        if not self._has_packages(code.packages):
            raise CodeLost(path=self._packages_folder / code.packages)
        folder = self._folder / code.digest
        if folder.is_dir():
            return
        try:
            if code.kind == "zip":
                with self.busy():
                    await self._unpacked(code.digest, f"blob {code.digest}")
        except NotFound:
            raise CodeLost(path=folder) from None
        if not folder.is_dir():
            raise CodeLost(path=folder)
        _log.warning("%s was gone: it has been unpacked again", folder)

    async def archive(self, code: Code) -> BinaryIO:
        """Kept code as a zip file: the very one that was put, or one that is made of the folder."""
        if code.kind == "zip":
            with contextlib.suppress(NotFound):
                return await self._blobs.open(code.digest)
        return await self.packed(code.digest, code.packages)

    async def packed(self, digest: str, packages: str = "") -> BinaryIO:
        """Kept code by its digest, with the packages that are kept apart, as a zip file. Raises NotFound."""
        parts = [self._folder / digest, *([self._packages_folder / packages] if packages else [])]
        if not digest or not all(part.is_dir() for part in parts):
            raise NotFound(message=f"code {digest or 'without a digest'} is not kept any more")
        return await asyncio.to_thread(pack, *parts)

    async def merged(self, codes: Sequence[Code]) -> Code | None:
        """Code folders laid over each other, of files with the same name that of the first; None if there are none."""
        if len(codes) < 2:
            return codes[0] if codes else None
        digest = hashlib.sha256("\0".join(["merged", *(code.digest for code in codes)]).encode()).hexdigest()

        for code in codes:
            await self.restore(code)

        def fill(folder: Path) -> str:
            for code in reversed(codes):
                _lay_over(self._folder / code.digest, folder)
            return digest

        if not (self._folder / digest).exists():
            await asyncio.to_thread(self._build, fill, self._folder)
        return Code(digest=digest, kind="folder", checksum="", size=sum(code.size for code in codes))

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        """Meanwhile nothing is swept: code is being kept that nobody declares yet."""
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            self._kept += 1

    def _put_file(self, path: Path, boundary: Boundary) -> Code:
        def fill(copy: Copy, folder: Path) -> str:
            copy.file(boundary, path, folder / path.name)
            return copy.digest()

        return self._put_copy(path, path.parent, fill)

    def _put_folder(self, path: Path, built: Sequence[Path], boundary: Boundary) -> Code:
        names, packages, left_out = self._apart(path, built, boundary)

        def fill(copy: Copy, folder: Path) -> str:
            own = copy.folder(boundary, path, folder, left_out) | left_out
            for each in built if not names else ():
                own |= copy.folder(Boundary(each), each, folder, own)
            for name in names:
                (folder / name).symlink_to(f"../packages/{name}")
            return hashlib.sha256((copy.digest() + packages).encode()).hexdigest() if packages else copy.digest()

        return self._put_copy(path, path, fill, packages)

    def _put_copy(self, path: Path, source: Path, fill: Callable[[Copy, Path], str], packages: str = "") -> Code:
        """Keep what `fill` makes of the code at `path`."""
        size = 0

        def filled(folder: Path) -> str:
            nonlocal size
            copy = self._copy(folder)
            with readable(path):
                digest = fill(copy, folder)
            size = copy.size
            return digest

        digest = self._build(filled, self._folder)
        checksum = str(crc64.xz(digest.encode()))
        return Code(digest=digest, kind="folder", checksum=checksum, size=size, source=str(source), packages=packages)

    def _apart(
        self, path: Path, built: Sequence[Path], boundary: Boundary
    ) -> tuple[frozenset[str], str, frozenset[str]]:
        """What is kept apart and linked to: names and digest; and the names that are not copied with the rest."""
        if not (self.splits or self.links):
            return frozenset(), "", frozenset()
        if built and self.links:
            names, digest = self._put_built(path, built, boundary)
            return names, digest, frozenset()
        names, digest = self._put_packages(path, boundary) if self.splits else (frozenset(), "")
        return names, digest, names

    def _put_built(self, path: Path, built: Sequence[Path], boundary: Boundary) -> tuple[frozenset[str], str]:
        """What was built for a folder, as far as that has nothing of the same name: names and digest."""
        with readable(path):
            own = boundary.names(path)
        key = hashlib.sha256("\0".join((*map(str, built), *sorted(own))).encode("utf-8", "surrogateescape")).hexdigest()
        if key not in self._built or not self._has_packages(self._built[key][1]):
            names: set[str] = set()

            def fill(folder: Path) -> str:
                copy = self._copy(folder)
                for each in built:
                    with readable(each):
                        names.update(copy.folder(Boundary(each), each, folder, own | names))
                return copy.digest()

            digest = self._build(fill, self._packages_folder)
            self._built[key] = frozenset(names), digest
        return self._built[key]

    def _put_packages(self, path: Path, boundary: Boundary) -> tuple[frozenset[str], str]:
        """The installed packages of a folder: names and digest; as they were if nothing of them has changed."""
        known = self._packages.get(path)
        if known is not None and self._has_packages(known[1]) and not self._concerns(path, known[0]):
            return known
        names, digest = installed(path) & boundary.names(path), ""
        if names:

            def fill(folder: Path) -> str:
                copy = self._copy(folder)
                with readable(path):
                    for name in sorted(names):
                        (folder / name).mkdir()
                        copy.folder(boundary, path / name, folder / name)
                return copy.digest()

            digest = self._build(fill, self._packages_folder)
        self._packages[path] = names, digest
        return names, digest

    def _has_packages(self, digest: str) -> bool:
        """Whether they have not been swept; '' stands for none, which are always there."""
        return not digest or (self._packages_folder / digest).is_dir()

    def _concerns(self, path: Path, names: frozenset[str]) -> bool:
        """Whether something has changed among the packages of a folder, or that is not known."""
        if self.changed is None:
            return True
        for changed in self.changed:
            if changed.is_relative_to(path):
                parts = changed.relative_to(path).parts
                if not parts or parts[0] in names or parts[0].endswith(".dist-info"):
                    return True
        return False

    def _copy(self, folder: Path) -> Copy:
        return Copy(folder, self._data_folder, self._maximum_size, self._maximum_files)

    def _build(self, fill: Callable[[Path], str], place: Path) -> str:
        """Let `fill` fill a new folder in `place`, and give it the digest it returns as its name."""
        with keeping():
            return self._built_at(fill, place)

    def _built_at(self, fill: Callable[[Path], str], place: Path) -> str:
        new = Path(tempfile.mkdtemp(prefix=_NEW, dir=place))
        try:
            digest = fill(new)
            if (place / digest).exists():
                _remove(new)
            else:
                _protect(new)
                _put_in_place(new, place / digest)
        except BaseException:
            _remove(new)
            raise
        return digest


def _protect(folder: Path) -> None:
    """FC's /code is read-only; the program of a custom runtime can be run, whatever its archive or editor has left (as
    `fun` and `s` see to when they deploy).
    """
    for entry in nofollow.walk(folder):
        mode = entry.status.st_mode
        if stat.S_ISREG(mode):
            rights = 0o555 if entry.path == _BOOTSTRAP else mode & 0o555
            nofollow.set_mode(nofollow.open_plain(entry.name, entry.parent), rights)
        elif stat.S_ISDIR(mode):
            nofollow.set_mode(nofollow.open_folder(entry.name, entry.parent), _READ_ONLY)
    nofollow.set_mode(nofollow.open_folder(folder), _READ_ONLY)


def _put_in_place(new: Path, target: Path) -> None:
    """Give a finished folder its name, unless another thread has just done so with the same contents."""
    try:
        os.rename(new, target)
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise
        _remove(new)


def _lay_over(source: Path, target: Path) -> None:
    """Copy a folder over another: of entries with the same name, folders become one and others are replaced."""
    for entry in nofollow.walk(source):
        there, is_folder = target / entry.path, stat.S_ISDIR(entry.status.st_mode)
        if not (is_folder and there.is_dir()):
            nofollow.remove(there)
        if is_folder:
            there.mkdir(exist_ok=True)
            continue
        with (
            open(nofollow.open_plain(entry.name, entry.parent), "rb") as reader,
            there.open("xb") as writer,
        ):
            shutil.copyfileobj(reader, writer)
        there.chmod(stat.S_IMODE(entry.status.st_mode))


def _remove(*paths: Path) -> None:
    """Remove files and folders, read-only ones included; nothing happens if they are not there."""
    for path in paths:
        nofollow.remove(path)
