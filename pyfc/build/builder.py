"""Builds what functions need, once for each content, and remembers the last result of each folder that was good.

    ROOT/built/DIGEST/        what is shown at the root of the code: packages, or node_modules
    ROOT/layers/DIGEST/NAME/  an official layer: links to what was built, where FC's layers have it
    ROOT/last/FOLDER          for a folder of code: the digests of its last good result, by manifest

What cannot be had is left out of a result, which says so in a file (`NOTE`); it is tried again by the next build.

A result is built in a workshop, examined and made the server's own when its writers are gone, and renamed into place:
it is whole or not there.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from pyfc import nofollow
from pyfc.boundary import Boundary
from pyfc.build import workshop
from pyfc.build.actions import Action, run
from pyfc.build.builtins import builtins_of
from pyfc.build.commands import make_portable
from pyfc.build.consent import Ask, Consents, refuse
from pyfc.build.job import Cage
from pyfc.build.lean import import_time, size_of, strip
from pyfc.build.leaving import install_what_can_be_had
from pyfc.build.manifest import Manifest, canonical, manifests, name_of
from pyfc.build.official import Packages
from pyfc.build.programs import programs
from pyfc.build.steps import Consent
from pyfc.build.tools import install
from pyfc.build.workshop import Workshop
from pyfc.errors import InvalidArgument, NotInstalled, ProjectError, ScriptRefused


class Wanted(NamedTuple):
    """What is asked for: all that the code in a folder needs."""

    folder: Path
    interpreter: str
    version: str
    """The interpreter's."""
    boundary: Boundary
    """The project's."""
    starts: tuple[str, ...] = ()
    """Paths in the folder of programs that its functions start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What was installed for one manifest."""

    manifest: Manifest
    folder: Path
    is_new: bool
    seconds: float
    size: int
    size_before: int = 0
    """Of what was installed, before a lean build took away what is not needed; 0 if it took nothing away."""
    import_seconds: tuple[float | None, float | None] = (None, None)
    """Of a lean build: before and after."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Packages that could not be had, each with the reason."""


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where results are kept: `$XDG_CACHE_HOME/pyfc/build`, by default `~/.cache/pyfc/build`."""
    base = environment.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "pyfc" / "build"


NOTE = ".left-out"
"""Begins the name of a file in a result: names of packages that were left out, one a line. Runtimes read it."""
_LEAVES_OUT = frozenset({"pip", "npm"})
"""Tools whose packages are named one by one."""
_FORM = "with commands"
"""Of results: those of another form are none."""
_Gain = tuple[int, tuple[float | None, float | None]]
"""Bytes before, and seconds of importing before and after."""


class Builder:
    """`root`: where results are kept. `progress(source, line)` hears what the installers say."""

    def __init__(
        self, root: Path, cage: Cage, consents: Consents, progress: Callable[[str, str], None] = lambda *_: None
    ) -> None:
        self._root = root
        self._cage = cage
        self._consents = consents
        self._progress = progress
        self._ask: Ask = refuse
        self._follow: Callable[[Path, str], None] = lambda *_: None
        self.said: dict[Path, str] = {}
        """The last line of an installer, by the folder that it works for."""

    def ask_by(self, ask: Ask) -> None:
        """Before code of packages runs `ask` is asked from now on; nobody is, before this is called."""
        self._ask = ask

    def follow_by(self, follow: Callable[[Path, str], None]) -> None:
        """`follow(folder, line)` hears what the installers say from now on, and the folder that they work for."""
        self._follow = follow

    async def build(self, wanted: Wanted, *, lean: bool | None = None) -> list[Built]:
        """Install what is wanted. `lean`: without what no function needs; None for whatever was built last. Raises
        ProjectError; what was built before stays.
        """
        found: list[Built] = []
        last = self._last(wanted.folder)
        for manifest in _all_of(wanted):
            is_lean = _is_lean(last, manifest) if lean is None else lean
            found.append(await self._one(manifest, wanted.interpreter, wanted.version, lean=is_lean))
            whole = self._place(manifest, wanted.version, lean=is_lean).name
            last[manifest.source] = {
                "digest": found[-1].folder.name, "lean": is_lean, "of": whole, "left_out": dict(found[-1].left_out),
            }  # fmt: skip
        if found:
            self._remember(wanted.folder, last)
        return found

    async def act(self, actions: Sequence[Action], template: Path) -> list[Path]:
        """Run the actions of a template; the files of the project that are new or different. Raises ProjectError,
        InvalidArgument, also of a machine without a cage.
        """
        consent = Consent(consents=self._consents, ask=self._ask)
        return await run(
            actions, template, self._root, self._cage, consent, lambda line: self._progress("actions", line)
        )

    async def layer(self, name: str, packages: Packages, interpreter: str, version: str) -> Path:
        """A folder that has the packages of an official layer where FC's layers have them. Raises ProjectError."""
        empty, source = self._root / "official", f"official layer {name}"
        empty.mkdir(parents=True, exist_ok=True)
        manifest = Manifest(
            tool=packages.tool, folder=empty, source=source, packages=packages.words,
            names=tuple(name_of(word) for word in packages.words), is_ours=True,
        )  # fmt: skip
        built = await self._one(manifest, interpreter, version, lean=False)
        place = self._root / "layers" / built.folder.name / name
        place.mkdir(parents=True, exist_ok=True)
        for below, target in ((packages.place, built.folder), ("bin", built.folder / "bin")):
            if target.is_dir() and not (place / below).exists():
                (place / below).symlink_to(target)
        return place

    def layer_of(self, name: str, files: Mapping[str, bytes]) -> Path:
        """A folder with these files, by their paths, all of which can be run: an official layer of programs."""
        told = json.dumps([(path, hashlib.sha256(content).hexdigest()) for path, content in sorted(files.items())])
        place = self._root / "layers" / hashlib.sha256(told.encode()).hexdigest() / name
        if place.is_dir():
            return place
        place.parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(dir=place.parent))
        for path, content in files.items():
            (new / path).parent.mkdir(parents=True, exist_ok=True)
            (new / path).write_bytes(content)
            (new / path).chmod(0o755)
        with contextlib.suppress(OSError):  # another server was quicker
            new.rename(place)
        return place

    def is_at_hand(self, wanted: Wanted, *, partly: bool = False) -> bool:
        """Whether `build` has nothing to do for this; with `partly` also if it would only try again what was left out.
        Raises ProjectError.
        """
        last = self._last(wanted.folder)

        def is_there(manifest: Manifest) -> bool:
            place = self._place(manifest, wanted.version, lean=_is_lean(last, manifest))
            known = last.get(manifest.source, {})
            is_part = partly and known.get("of") == place.name and (place.parent / known["digest"]).is_dir()
            return is_part or place.is_dir()

        return all(is_there(each) for each in _all_of(wanted))

    def left_out(self, folder: Path) -> dict[str, str]:
        """What was left out of the last good result for `folder`, each with the reason."""
        return {name: why for each in self._last(folder).values() for name, why in each.get("left_out", {}).items()}

    def missing(self, wanted: Wanted) -> list[Manifest]:
        """What the code needs and does not bring along itself. Raises ProjectError."""
        return [manifest for manifest in _all_of(wanted) if not _is_vendored(manifest)]

    @property
    def weakness(self) -> str:
        """What of the cage does not hold here, once something was built; '' if everything does."""
        return self._cage.weakness

    def last_good(self, folder: Path) -> list[Path]:
        """What was last built for `folder`."""
        places = [self._root / "built" / each["digest"] for each in self._last(folder).values()]
        return [place for place in places if place.is_dir()]

    async def _one(self, manifest: Manifest, interpreter: str, version: str, *, lean: bool) -> Built:
        place = self._place(manifest, version, lean=lean)
        began = time.monotonic()
        if place.is_dir():
            return Built(manifest=manifest, folder=place, is_new=False, seconds=0.0, size=size_of(place))
        place.parent.mkdir(parents=True, exist_ok=True)
        gain: _Gain = (0, (None, None))
        ask = self._ask

        async def attempt(without: frozenset[str], keeps: bool) -> NotInstalled | None:
            nonlocal gain, place, ask
            part = replace(manifest, without=tuple(sorted(without)))
            place = self._place(part, version, lean=lean)
            if keeps and place.is_dir():
                return None
            try:
                consent = Consent(consents=self._consents, ask=ask)
                gain = await self._made(part, interpreter, place if keeps else None, consent, lean=lean)
            except NotInstalled as error:
                ask = refuse if isinstance(error, ScriptRefused) else ask  # a person is asked once
                return error
            return None

        try:
            left_out = await install_what_can_be_had(manifest.names if manifest.tool in _LEAVES_OUT else (), attempt)
        except OSError as error:
            where = str(manifest.folder / manifest.source)
            raise ProjectError(where=where, message=f"can not be built: {error}") from error
        return Built(
            manifest=manifest,
            folder=place,
            is_new=True,
            seconds=time.monotonic() - began,
            size=size_of(place),
            size_before=gain[0],
            import_seconds=gain[1],
            left_out=left_out,
        )

    def _place(self, manifest: Manifest, version: str, *, lean: bool) -> Path:
        """Where its result is, or will be."""
        runs = version if manifest.tool == "pip" else ""
        digest = manifest.digest(runs, platform.machine(), platform.system(), "lean" if lean else "", _FORM)
        return self._root / "built" / digest

    async def _made(
        self, manifest: Manifest, interpreter: str, place: Path | None, consent: Consent, *, lean: bool
    ) -> _Gain:
        """Put what `manifest` needs at `place`, or only see whether it can be had; what a lean build gains."""
        with workshop.opened(self._root, self._cage) as shop:
            hear = functools.partial(self._hear, manifest)
            await install(manifest, shop, interpreter, consent, hear)
            if place is None:
                return 0, (None, None)
            await asyncio.to_thread(_examine, shop.result, manifest)
            if manifest.tool == "pip":
                await asyncio.to_thread(make_portable, shop.result)
            is_stripped = lean and manifest.tool in _LEAVES_OUT
            gain = await _stripped(manifest, shop, interpreter) if is_stripped else (0, (None, None))
            if manifest.without:
                note = shop.result / f"{NOTE}-{manifest.tool}-{place.name[:8]}"
                note.write_text("\n".join(manifest.without), "utf-8")
            if not place.is_dir():
                shop.result.rename(place)
        return gain

    def _hear(self, manifest: Manifest, line: str) -> None:
        self.said[manifest.folder] = line
        self._follow(manifest.folder, line)
        self._progress(manifest.source, line)

    def _file_of(self, folder: Path) -> Path:
        name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:32]
        return self._root / "last" / name

    def _last(self, folder: Path) -> dict[str, dict[str, Any]]:
        try:
            found: dict[str, dict[str, Any]] = json.loads(self._file_of(folder).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found

    def _remember(self, folder: Path, last: dict[str, dict[str, Any]]) -> None:
        path = self._file_of(folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".new").write_text(json.dumps(last), encoding="utf-8")
        path.with_suffix(".new").replace(path)


def _is_lean(last: Mapping[str, Mapping[str, Any]], manifest: Manifest) -> bool:
    """Whether what was built last was without what no function needs."""
    return bool(last.get(manifest.source, {}).get("lean", False))


def _examine(result: Path, manifest: Manifest) -> None:
    """Make what was installed the server's own, if nothing in it is odd."""
    try:
        nofollow.adopt(result)
    except InvalidArgument as error:
        message = f"what {manifest.tool} installed is not taken: {error}"
        raise ProjectError(where=str(manifest.folder / manifest.source), message=message) from error


async def _stripped(manifest: Manifest, shop: Workshop, interpreter: str) -> _Gain:
    """The size before, and the import times before and after what no function needs is gone."""
    before, first = size_of(shop.result), await import_time(manifest, shop.result, interpreter, shop)
    strip(manifest.tool, shop.result)
    return before, (first, await import_time(manifest, shop.result, interpreter, shop))


def _all_of(wanted: Wanted) -> list[Manifest]:
    """What the code needs. Raises ProjectError."""
    folder, boundary = wanted.folder, wanted.boundary
    try:
        return [
            *manifests(folder, boundary.root or Path("/")),  # --allow-outside
            *builtins_of(folder, boundary),
            *(programs(folder.resolve(), boundary, wanted.starts) if folder.is_dir() else []),
        ]
    except OSError as error:
        where = str(error.filename or folder)
        raise ProjectError(where=where, message=f"can not be read: {error.strerror}") from error


def _is_vendored(manifest: Manifest) -> bool:
    """Whether what is needed lies in the folder already, put there by hand."""
    if manifest.tool in {"go", "maven"}:
        return False  # else it would not be asked for
    if manifest.tool == "npm":
        return all((manifest.folder / "node_modules" / name).exists() for name in manifest.names)
    found = {canonical(path.name.partition("-")[0]) for path in manifest.folder.glob("*.dist-info")}
    return bool(manifest.names) and all(canonical(name) in found for name in manifest.names)
