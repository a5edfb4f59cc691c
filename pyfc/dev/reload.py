"""The reload loop: what is saved is served, by the same path by which it was first deployed.

1. Changes are gathered for a moment, so that an editor's several steps and a checkout of many files are one change.
2. The whole folder is read again, but only what is different is deployed (registry/deploy.py), and a new version takes
   over when an instance of it has started (supervisor.py). What cannot be read or does not start changes nothing; what
   has not started when the next change comes is given up for that.
3. What was read and is away, if only for a moment, is not taken for a change: what was served goes on until it is back.
4. When folders or links come or go, other folders are watched (watched.py), and all is read once more, since nobody
   has seen what happened in between. What was saved between the first reading and the first watch is seen by the times
   of the files.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from pathlib import Path

import watchfiles

from pyfc.app import App
from pyfc.boundary import Boundary
from pyfc.dev.console import Console
from pyfc.dev.output import first_line
from pyfc.dev.watched import SKIPPED, Watched, look
from pyfc.errors import InvalidArgument, PyfcError
from pyfc.model.invocation import Result
from pyfc.project.files import MOST, is_folder, is_there
from pyfc.project.interface import Project
from pyfc.project.load import load, templates

_STEP, _DEBOUNCE = 2, 30
"""Milliseconds: without a change for so long a batch is whole; at most so long is it gathered."""
_AGAIN = 0.05
"""Seconds after which one looks again whether a change waits for versions to start."""
_ANCHORS = 500
"""Milliseconds after which one looks whether a watched folder has been exchanged for another one."""
_ENDINGS = ("~", ".swp", ".swx", ".swo", ".tmp", ".pyc", ".part", ".bak")
_log = logging.getLogger(__name__)


class Reloader:
    """Watches the folder of `project`, which `app` serves."""

    def __init__(self, app: App, project: Project, console: Console) -> None:
        self._app = app
        self._project = project
        self._console = console
        self._data_folder = Path(os.path.realpath(app.data_folder))
        self._stopped = False
        self._ended = asyncio.Event()
        """Of the present watch: it goes on with other folders, or not at all."""
        self._watched = Watched(frozenset(), {}, {})
        self._polls = False
        """The machine does not tell of changes in so many folders."""
        self._running: asyncio.Task[None] | None = None
        self._changed: set[Path] = set()
        """Since the last deployment that succeeded."""
        self._is_unknown = False
        """Whether anything may have changed since then."""
        self._is_moved = False
        """Whether folders or links have come or gone since one has looked for what is to be watched."""
        self._is_new = False
        """Whether this watch has begun after another one, and what came in between is not read yet."""
        self._away: Path | None = None
        self._told = set(_notes(project))

    async def run(self, read: float) -> None:
        """Reload until the server stops. `read`: when the project began to be read, in seconds since the epoch: what
        was saved from then on is served too.
        """
        since: float | None = read
        while not self._stopped:
            self._ended.clear()
            self._watched = await self._look()
            try:
                await self._watch(since)
            except FileNotFoundError:  # one of the folders has gone meanwhile
                self._is_new = True
            except (OSError, RuntimeError) as error:  # too many folders for this machine
                if self._polls:
                    raise
                self._polls = self._is_new = True
                self._console.warned(f"this machine does not tell of changes ({error}): pyfc looks for them by itself")
            await self._finish()
            since = None  # where a watch ends, another one begins with everything

    async def _look(self) -> Watched:
        most = self._app.settings.maximum_code_files
        self._is_moved = False
        return await asyncio.to_thread(look, self._project, self._data_folder, most)

    async def _watch(self, since: float | None) -> None:
        """Hear of changes until other folders are to be watched; also, once, of what was saved `since`."""
        async for changes in watchfiles.awatch(
            *self._watched.folders,
            watch_filter=lambda _, path: self._is_of_interest(path),
            step=_STEP,
            debounce=_DEBOUNCE,
            stop_event=self._ended,
            rust_timeout=_ANCHORS,
            yield_on_timeout=True,
            force_polling=self._polls,
            ignore_permission_denied=True,
            recursive=False,
        ):
            is_exchanged = self._watched.is_exchanged()
            if since is not None:
                self._is_new |= await asyncio.to_thread(self._watched.saved_since, since, self._is_of_interest)
                since = None
            if not changes and not is_exchanged and not self._is_new:
                continue
            await self._finish()
            paths = [Path(path) for _, path in changes]
            self._changed.update(paths)
            self._is_unknown |= self._is_new or is_exchanged or any(map(self._watched.leads_to, paths))
            self._is_moved |= is_exchanged or any(map(self._watched.concerns, paths))
            self._is_new = self._ended.is_set()  # else what comes before the next watch begins would be read by nobody
            self._running = asyncio.get_running_loop().create_task(self._follow())

    async def _finish(self) -> None:
        """Return when the change before this one is served, or given up because it waits for versions to start."""
        if self._running is None:
            return
        while not self._running.done():
            self._app.supervisor.give_up_proofs()
            await asyncio.wait({self._running}, timeout=_AGAIN)
        await self._running

    def stop(self) -> None:
        """End `run`."""
        self._stopped = True
        self._ended.set()

    def _is_of_interest(self, text: str) -> bool:
        path = Path(text)
        name = path.name
        if name.endswith(_ENDINGS) or name.startswith((".#", "#", ".goutputstream", ".sb-")) or name == "4913":
            return False  # what editors write beside the file itself
        return not SKIPPED.intersection(path.parts) and not path.is_relative_to(self._data_folder)

    async def _follow(self) -> None:
        """Serve what has changed, and watch what is to be watched then."""
        codes = {each.code for each in self._project.functions}
        try:
            await self._reload()
        except Exception as error:  # a mistake of ours must not end the watch
            _log.exception("a change could not be served")
            self._console.not_reloaded(str(self._project.root), str(self._project.root), repr(error))
        if not self._is_moved and codes == {each.code for each in self._project.functions}:
            return
        watched = await self._look()
        if watched != self._watched:
            self._is_new = True
            self._ended.set()

    async def _reload(self) -> None:
        """Serve what has changed."""
        began = time.monotonic()
        try:
            project = await self._load()
            if project is None:
                return
            report = await self._app.deployment.deploy(project, None if self._is_unknown else frozenset(self._changed))
        except PyfcError as error:
            where, message = str(error.fields.get("where", "")), str(error.fields.get("message", error))
            self._console.not_reloaded(str(self._project.root), where, message, _source_line(where))
            return
        except OSError as error:  # a file that was there a moment ago: the next change tells more
            self._console.not_reloaded(str(self._project.root), str(error.filename), str(error.strerror))
            return
        self._tell_mistakes(project)
        self._project = project
        self._changed.clear()
        self._is_unknown = False
        self._warn(project)
        failed = self._failed()
        for name in report.changed:
            if name in failed:
                self._tell(name, failed[name])
        served = [name for name in report.changed if name not in failed]
        self._console.reloaded(served, time.monotonic() - began)

    async def _load(self) -> Project | None:
        """The project as it is now. None, which is told once, while something is away that it was read from. Raises
        ProjectError.
        """
        away, project = self._missing(), None
        try:
            if away is None:
                project = await self._read()
                away = self._missing(project)
        except PyfcError:
            away = self._missing()  # it may have gone meanwhile
            if away is None:
                raise
        if away is not None and away != self._away:
            self._console.away(str(away))
        self._away = away
        return project

    async def _read(self) -> Project:
        allowed = self._app.settings.allow_outside
        return await asyncio.to_thread(
            load,
            self._project.root,
            reads_variables=True,
            allows_outside=allowed,
            tolerates=True,
            strict=self._app.settings.strict,
            settings=self._app.settings,
        )

    def _missing(self, project: Project | None = None) -> Path | None:
        """What was read the last time and is not there now, or was not for `project`. A template with another name
        stands in for the old one.
        """
        old = self._project
        if not is_folder(old.root):
            return old.root
        if project is None:
            lost, is_replaced = [path for path in old.files if not is_there(path)], bool(templates(old.root))
        else:
            lost, is_replaced = [path for path in old.files if path not in project.files], project.source is not None
        return next((path for path in lost if path != old.source or not is_replaced), None)

    def _tell_mistakes(self, project: Project) -> None:
        """Those that have come: what was served of a function before goes on."""
        old = {str(each.error) for each in self._project.mistakes}
        for error, function in project.mistakes:
            if str(error) not in old:
                where = str(error.fields["where"])
                what = "/".join(function) if function is not None else where
                self._console.not_reloaded(what, where, str(error.fields["message"]), _source_line(where))

    def _warn(self, project: Project) -> None:
        notes = _notes(project)
        for text in notes:
            if text not in self._told:
                self._console.warned(text)
        self._told = set(notes)

    def _failed(self) -> dict[str, Result]:
        """SERVICE/FUNCTION of those whose newest version does not start, and what it ended with."""
        entries = self._app.supervisor.table.entries.items()
        return {
            f"{target.service}/{target.function}": entry.newest for target, entry in entries if entry.newest is not None
        }

    def _tell(self, name: str, result: Result) -> None:
        """A function whose new version does not start: where, and what stands there."""
        fault = result.fault
        assert fault is not None
        where, line = _last_frame(result.body)
        if where.startswith("/code/"):
            where = self._source_of(name) + where.removeprefix("/code")
        kind = f"{fault.type}: " if fault.type else ""
        told = line or _source_line(where)
        self._console.not_reloaded(name, where or name, f"{kind}{first_line(fault.message)}", told)

    def _source_of(self, name: str) -> str:
        """The folder that a function's /code is a copy of."""
        for each in self._project.functions:
            if f"{each.function.service}/{each.function.name}" == name and each.code is not None:
                return str(each.code if each.code.is_dir() else each.code.parent)
        return "/code"


def _notes(project: Project) -> list[str]:
    """What a change may have brought that cannot be honoured."""
    return [*project.notes, *(f"not supported yet: {each}" for each in project.unsupported)]


def _last_frame(body: bytes | bytearray | memoryview) -> tuple[str, str]:
    """File, line number and text of the last frame of an error JSON; ('', '') if it has none."""
    try:
        stack = json.loads(bytes(body))["stackTrace"]
        if isinstance(stack, dict):  # PHP's
            return f"{stack['file']}:{stack['line']}" if stack["file"] else "", ""
        place, number, _, text = stack[-1]
    except (ValueError, KeyError, IndexError, TypeError):
        return "", ""
    return f"{place.removeprefix('File ').strip(chr(34))}:{number.removeprefix('line ')}", str(text)


def _source_line(where: str) -> str:
    """The text at `file:line`; '' if there is none."""
    file, _, number = where.rpartition(":")
    try:
        data = Boundary(None).read(Path(file), MOST)
        return data.decode("utf-8", "replace").splitlines()[int(number) - 1].strip()
    except (OSError, ValueError, IndexError, InvalidArgument):
        return ""
