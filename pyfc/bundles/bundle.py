"""Code as its author has it (a file, a folder, a zip) becomes a digest; a digest becomes a read-only folder.

1. What is hashed is the copy, not the original, so a file that changes meanwhile cannot belong to a wrong digest.
2. Functions with the same code share one folder (shelf.py). Those that no function uses are removed at the next start.
3. Where workers have a root of their own, /code has links to the packages that are kept apart (apart.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import stat
import zipfile
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fastcrc import crc64

from pyfc.blobs.interface import Blobs
from pyfc.boundary import Boundary
from pyfc.bundles.apart import Apart, CodeFolder
from pyfc.bundles.archive import pack, unpack
from pyfc.bundles.copying import CodeLimits, Copy, lay_over, readable
from pyfc.bundles.shelf import Shelf, remove, taken_away
from pyfc.errors import CodeLost, InvalidArgument, NotFound
from pyfc.model.function import Code

_log = logging.getLogger(__name__)
_CHUNK = 1024 * 1024
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

    def __init__(
        self,
        data_folder: Path,
        blobs: Blobs,
        limits: CodeLimits,
        *,
        has_roots: Callable[[], bool] = lambda: False,
        splits: bool = False,
    ) -> None:
        """`has_roots`, `splits`: see Apart."""
        self._blobs = blobs
        self._code = Shelf(data_folder, "code", limits)
        self._packages = Shelf(data_folder, "packages", limits)
        self._apart = Apart(self._packages, has_roots, splits=splits)
        self._cache = data_folder / "cache"
        self._cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._busy = self._kept = 0
        """How often code is being kept now, and how often that was so before."""

    async def put(
        self,
        path: Path,
        built: Sequence[Path] = (),
        boundary: Boundary | None = None,
        changed: frozenset[Path] | None = None,
    ) -> Code:
        """Keep the code at `path`, with what was built for it: folders whose contents are shown at its root, where that
        has nothing of the same name. It must lie in `boundary`, by default the folder itself, or that of the file.
        `changed`: see CodeFolder. Raises InvalidArgument saying what is wrong with it; then nothing is kept.
        """
        within = boundary or Boundary(path if path.is_dir() else path.parent)
        with within.opened(path) as (descriptor, status):
            if stat.S_ISDIR(status.st_mode):
                return await asyncio.to_thread(self._put_folder, CodeFolder(path, built, within, changed))
            with open(descriptor, "rb", closefd=False) as stream:
                if zipfile.is_zipfile(stream):
                    stream.seek(0)
                    return await self.put_archive(stream, str(path))
        if path.suffix == ".zip":
            raise InvalidArgument(message=f"{path} is not a zip file that can be read")
        return await asyncio.to_thread(self._put_file, path, within, built)

    def artefact(self, code: Code, opt: Code | None = None, compiler: str = "") -> Artefact:
        """Where kept code lies, and that of its layers. `compiler`: all else that decides what is compiled of it; who
        differs in it shares nothing.
        """
        folder = self._code.folder(code.digest)
        layers = self._code.folder(opt.digest) if opt is not None else None
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
        await asyncio.to_thread(remove, *self._taken_away(kept))
        for digest in blobs:
            if self._kept != kept_before or self._busy:
                return False
            await self._blobs.delete(digest)
        return True

    def _taken_away(self, kept: set[str]) -> list[Path]:
        """The folders of all other code, under names by which nobody finds them."""
        folders = [*self._code.taken_away(kept), *self._packages.taken_away(kept)]
        return folders + taken_away(self._cache, kept)

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
            checksum = await asyncio.to_thread(_checksum, archive)
            size = archive.tell()
            archive.seek(0)

            def fill(folder: Path) -> str:
                unpack(archive, name, folder, self._code.limits)
                return digest

            if not self._code.has(digest):
                await asyncio.to_thread(self._code.build, fill)
        return Code(digest=digest, kind="zip", checksum=checksum, size=size)

    def has(self, code: Code) -> bool:
        """Whether the folder of kept code is there."""
        return self._code.has(code.digest)

    async def restore(self, code: Code) -> None:
        """Unpack kept code again if its folder is gone. Raises CodeLost if what it was made of is not kept."""
        if not self._apart.has(code.packages):
            raise CodeLost(path=self._packages.folder(code.packages))
        folder = self._code.folder(code.digest)
        if self.has(code):
            return
        try:
            if code.kind == "zip":
                with self.busy():
                    await self._unpacked(code.digest, f"blob {code.digest}")
        except NotFound:
            raise CodeLost(path=folder) from None
        if not self.has(code):
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
        parts = [self._code.folder(digest), *([self._packages.folder(packages)] if packages else [])]
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
                lay_over(self._code.folder(code.digest), folder)
            return digest

        if not self._code.has(digest):
            await asyncio.to_thread(self._code.build, fill)
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

    def _put_file(self, path: Path, boundary: Boundary, built: Sequence[Path]) -> Code:
        def fill(copy: Copy, folder: Path) -> str:
            copy.file(boundary, path, folder / path.name)
            copy.built(built, folder, frozenset({path.name}))
            return copy.digest()

        return self._put_copy(path, path.parent, fill)

    def _put_folder(self, source: CodeFolder) -> Code:
        path, apart = source.path, self._apart.of(source)

        def fill(copy: Copy, folder: Path) -> str:
            own = copy.folder(source.boundary, path, folder, apart.left_out) | apart.left_out
            copy.built(source.built if not apart.names else (), folder, own)
            for name in apart.names:
                (folder / name).symlink_to(f"../packages/{name}")
            digest = copy.digest()
            return hashlib.sha256((digest + apart.digest).encode()).hexdigest() if apart.digest else digest

        return self._put_copy(path, path, fill, apart.digest)

    def _put_copy(self, path: Path, source: Path, fill: Callable[[Copy, Path], str], packages: str = "") -> Code:
        """Keep what `fill` makes of the code at `path`."""
        size = 0

        def filled(folder: Path) -> str:
            nonlocal size
            copy = self._code.copy(folder)
            with readable(path):
                digest = fill(copy, folder)
            size = copy.size
            return digest

        digest = self._code.build(filled)
        checksum = str(crc64.xz(digest.encode()))
        return Code(digest=digest, kind="folder", checksum=checksum, size=size, source=str(source), packages=packages)


def _checksum(archive: BinaryIO) -> str:
    """FC's codeChecksum of what is left of an open file."""
    found = 0
    while chunk := archive.read(_CHUNK):
        found = crc64.xz(chunk, found)
    return str(found)
