"""Where one build takes place: folders that its commands may write, made for it and removed when it is over.

ROOT/shop/NAME/tree       copies of the manifest and of the files that it names
               result     what is installed
               tmp        what commands see as /tmp
               home       HOME of what downloads
               own-home   HOME of code of packages
               cache      of code of packages: downloads, with what it changes of them in a layer apart
ROOT/downloads/TOOL       what was downloaded, for every build; only what downloads fills it
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from pyfc import nofollow
from pyfc.build import surroundings
from pyfc.build.job import Cage, Hear, Job
from pyfc.build.leaving import reduced
from pyfc.build.manifest import SKIPPED, Manifest
from pyfc.errors import ProjectError

_LARGEST = 1024 * 1024
_FOLDERS = ("tree", "result", "tmp", "home", "own-home", "cache")


class Workshop:
    """The folders of one build, and how commands run in them."""

    def __init__(self, place: Path, downloads: Path, cage: Cage) -> None:
        self.tree, self.result, self.tmp, self.home, self.own_home, self.cache = (place / name for name in _FOLDERS)
        self.cage = cage
        self._downloads = downloads

    def downloads(self, tool: str) -> Path:
        """What this tool has downloaded."""
        place = self._downloads / tool
        if not place.is_dir():
            place.mkdir(parents=True, exist_ok=True)
            self.cage.lend(place)
        return place

    def furnish(self, manifest: Manifest) -> Path:
        """Copy what `manifest` depends on into the tree; the folder there that stands for the manifest's own."""
        place = self.tree / os.path.relpath(manifest.folder, manifest.root)  # `_inside` has judged all of the paths
        self._make(place)
        owner = self.tree.stat().st_uid
        if not manifest.packages:
            for path in manifest.files:
                self._copy(path, manifest, owner)
            _expect_no_secrets(manifest)
            self._reduce(manifest)
        return place

    def _reduce(self, manifest: Manifest) -> None:
        """Take out of the copies, which nothing else has seen yet, what is left out."""
        named = [manifest.folder / "package.json"] if manifest.tool == "npm" else manifest.files
        for path in [self.tree / os.path.relpath(each, manifest.root) for each in named if manifest.without]:
            with contextlib.suppress(UnicodeDecodeError, IsADirectoryError):  # an archive, a folder
                path.write_text(reduced(path.name, path.read_text("utf-8"), manifest.without), "utf-8")

    def _copy(self, path: Path, manifest: Manifest, owner: int) -> None:
        target = self.tree / os.path.relpath(path, manifest.root)
        if path.is_dir():
            self._make(target)
            nofollow.copy(path.resolve(), target, SKIPPED, owner)
        elif not target.exists():
            self._make(target.parent)
            try:
                nofollow.copy_file(path.resolve(), target, owner)
            except OSError as error:
                raise ProjectError(where=str(path), message=f"can not be read: {error.strerror}") from error

    def _make(self, folder: Path) -> None:
        """A folder in the tree, as those above it, for the user of the commands."""
        missing = [each for each in (folder, *folder.parents) if not each.exists()]
        for each in reversed(missing):
            each.mkdir()
            self.cage.lend(each)

    async def download(
        self, command: Sequence[str], folder: Path, tool: str, hear: Hear, *,
        variables: dict[str, str], programs: Sequence[str], readable: Sequence[Path] = (), doors: Sequence[int] = (),
    ) -> int:  # fmt: skip
        """Run what only downloads and unpacks: with the network, the user's settings and the tool's own downloads."""
        environment = _replaced(surroundings.for_downloads(), variables)
        private = surroundings.settings()
        named = surroundings.named_in(environment, private.values())
        certificates = {str(path): path for path in named if path.is_file() and str(path) not in private}
        job = Job(
            command=command, folder=folder, environment={**environment, "HOME": str(self.home)},
            writable=(self.tree, self.result, self.tmp, self.home, self.downloads(tool)), temporary=self.tmp,
            programs=programs, readable=(*readable, *(path for path in named if path.is_dir())),
            private={**certificates, **private}, network=True, is_trusted=True, doors=doors,
        )  # fmt: skip
        return await self.cage.run(job, hear)

    async def script(
        self, command: Sequence[str], folder: Path, hear: Hear = lambda _: None, *,
        variables: dict[str, str], programs: Sequence[str], readable: Sequence[Path] = (), network: bool = False,
        downloads: str = "", output: int | None = None,
    ) -> int:  # fmt: skip
        """Run code of packages: without secrets, and without the network unless the user has allowed it that. Without
        it `cache` holds what the tool of the name `downloads` has downloaded.
        """
        layered = {self.cache: self.downloads(downloads)} if downloads and not network else {}
        environment = {**surroundings.for_scripts(network=network), **variables, "HOME": str(self.own_home)}
        job = Job(
            command=command, folder=folder, environment=environment,
            writable=(self.tree, self.tmp, self.own_home, self.cache), temporary=self.tmp, programs=programs,
            readable=readable, layered=layered, network=network, output=output,
        )  # fmt: skip
        return await self.cage.run(job, hear)


def _expect_no_secrets(manifest: Manifest) -> None:
    for path in [path for path in (*manifest.files, manifest.folder / ".npmrc") if path.is_file()]:
        text = nofollow.read_plain(path.resolve(), _LARGEST).decode("utf-8", "replace")
        if found := surroundings.secrets_named_in(text):
            message = f"${{{found[0]}}} holds a secret of yours: name the registry in your own settings instead"
            raise ProjectError(where=str(path), message=message)


def _replaced(environment: dict[str, str], variables: dict[str, str]) -> dict[str, str]:
    """`variables` win, however the user writes theirs."""
    taken = {name.lower() for name in variables}
    return {**{name: value for name, value in environment.items() if name.lower() not in taken}, **variables}


@contextlib.contextmanager
def opened(root: Path, cage: Cage) -> Iterator[Workshop]:
    """A workshop below `root`; nothing of it is left afterwards, nor of those whose process was killed."""
    works = root / "shop"
    works.mkdir(mode=0o700, parents=True, exist_ok=True)
    _clear(works)
    new = Path(tempfile.mkdtemp(prefix=".", dir=works))
    with (new / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        place = new.rename(works / new.name[1:])  # from here on others may look at it
        try:
            for name in _FOLDERS:
                (place / name).mkdir()
                cage.lend(place / name)
            yield Workshop(place, root / "downloads", cage)
        finally:
            nofollow.remove(place)


def _clear(works: Path) -> None:
    for place in works.glob("[!.]*"):
        with contextlib.suppress(OSError), (place / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            nofollow.remove(place)
