"""Installs by uv and pip. uv takes what needs no building; pip takes everything, and its builds go through a door."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

from pyfc import nofollow
from pyfc.build import door
from pyfc.build.consent import Answer, Script
from pyfc.build.job import Hear
from pyfc.build.manifest import Manifest
from pyfc.build.provided import is_expected
from pyfc.build.steps import Consent, Output, fault_of, text_in
from pyfc.build.workshop import Workshop
from pyfc.errors import InvalidArgument, ProjectError

_HERE = Path(__file__).parent


class Pip:
    """Fills the result of a workshop with what a manifest names."""

    def __init__(self, manifest: Manifest, shop: Workshop, interpreter: str, consent: Consent, progress: Hear) -> None:
        self._manifest = manifest
        self._shop = shop
        self._interpreter = interpreter
        self._consent = consent
        self._progress = progress
        self._refusal: ProjectError | None = None
        self._pip = ""
        self._known: set[str] = set()
        """Folders of sources that FC's built-in modules come as: nobody has to be asked for these."""

    async def install(self) -> None:
        """Do it. Raises ProjectError."""
        tree = self._shop.furnish(self._manifest)
        wanted = list(self._manifest.words) or ["-r", "requirements.txt"]
        if not await self._by_uv(tree, wanted):
            await self._by_pip(tree, wanted)

    async def _by_uv(self, tree: Path, wanted: list[str]) -> bool:
        """Whether uv could install it without building anything; what is to be built is pip's."""
        uv = shutil.which("uv")
        if uv is None:
            return False
        command = [uv, "pip", "install", "--no-build", "--link-mode", "copy", "--python", self._interpreter]
        status = await self._shop.download(
            [*command, "--target", str(self._shop.result), *wanted], tree, "uv", self._progress,
            variables={"UV_CACHE_DIR": str(self._shop.downloads("uv"))}, programs=[self._interpreter],
            readable=[Path(os.path.realpath(uv)), Path(uv)],
        )  # fmt: skip
        if status:
            nofollow.empty(self._shop.result)
        return status == 0

    async def _by_pip(self, tree: Path, wanted: list[str]) -> None:
        if not await _has_pip(self._interpreter):
            self._pip = _own_pip()
            if not self._pip:
                where = str(self._manifest.folder / self._manifest.source)
                raise ProjectError(where=where, message=f"{self._interpreter} has no pip: `ensurepip` gives it one")
        output = Output(self._progress)
        async with door.opened(self._build) as descriptor:
            runner = [self._interpreter, "-I", "-u", str(_HERE / "pip_runner.py"), str(descriptor), self._pip]
            command = [*runner, "install", *_PIP, "--target", str(self._shop.result), *wanted]
            status = await self._shop.download(
                command, tree, "pip", output.hear, variables=self._caches(), programs=self._programs(),
                readable=self._own_files(), doors=[descriptor],
            )  # fmt: skip
        if self._refusal is not None:
            raise self._refusal
        if status:
            raise fault_of(self._manifest, output.lines, "pip")

    def _caches(self) -> dict[str, str]:
        """Its downloads are everybody's; wheels that were built are code of packages, and stay here."""
        cache = self._shop.home / "pip-cache"
        cache.mkdir(exist_ok=True)
        for name in ("http", "http-v2"):
            shared = self._shop.downloads("pip") / name
            if not shared.is_dir():
                shared.mkdir()
                self._shop.cage.lend(shared)
            (cache / name).symlink_to(shared)
        self._shop.cage.lend(cache)
        return {"PIP_CACHE_DIR": str(cache), "PIP_NO_CLEAN": "0"}

    def _programs(self) -> list[str]:
        return [self._interpreter, *([] if (git := shutil.which("git")) is None else [git])]

    def _own_files(self) -> list[Path]:
        return [_HERE / "pip_runner.py", _HERE / "pip_door.py", *([Path(self._pip)] if self._pip else [])]

    async def _build(self, request: door.Request) -> int:
        """Run what pip wants to be run of a package, if the user lets it."""
        script = self._script(request)
        try:
            answer = Answer.YES if self._is_known(request.folder) else await self._ask(script)
            return await self._shop.script(
                request.command, Path(request.folder), variables=request.environment, programs=[self._interpreter],
                readable=self._own_files(), network=answer is Answer.NETWORK, output=request.output,
            )  # fmt: skip
        except ProjectError as error:
            self._refusal = self._refusal or error
            return 1
        except InvalidArgument as error:
            os.write(request.output, f"{error}\n".encode())
            return 1

    async def _ask(self, script: Script) -> Answer:
        return await self._consent.to(self._manifest, [script], self._shop)

    def _is_known(self, folder: str) -> bool:
        """Whether it is a source that pyfc has named and knows; once it has run it may look otherwise."""
        if self._manifest.is_ours and folder not in self._known:
            archives = sorted(self._shop.tmp.glob("pip-unpack-*/*.tar.gz"))
            if is_expected(Path(folder), archives, self._shop.tmp):
                self._known.add(folder)
        return folder in self._known

    def _script(self, request: door.Request) -> Script:
        backend = next((value for name, value in request.environment.items() if name.endswith("_BACKEND")), "")
        return Script(self._name(request.folder), backend or "setup.py")

    def _name(self, folder: str) -> str:
        """Name and version of a source distribution, or the folder it lies in."""
        told: dict[str, str] = {}
        for line in text_in(self._shop.tmp.parent, folder, "PKG-INFO").splitlines():
            name, colon, value = line.partition(":")
            if not colon:
                break  # the head is over
            told.setdefault(name, value.strip())
        named = " ".join(told[name] for name in ("Name", "Version") if name in told)
        return named or Path(folder).name.removeprefix("pip-req-build-")


async def _has_pip(interpreter: str) -> bool:
    """Its own fits it; that of an older Python may not run in it."""
    if interpreter == sys.executable:
        return find_spec("pip") is not None
    process = await asyncio.create_subprocess_exec(
        interpreter, "-I", "-c", "import pip", stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL, cwd="/",
    )  # fmt: skip
    return await process.wait() == 0


def _own_pip() -> str:
    """The folder of the pip that pyfc's own interpreter has; '' if it has none."""
    found = find_spec("pip")
    return str(Path(found.origin).parent) if found is not None and found.origin else ""


_PIP = ("--no-input", "--disable-pip-version-check", "--no-warn-script-location", "--upgrade", "--retries", "1")
