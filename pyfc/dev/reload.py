"""The reload loop: what is saved is served, by the same path by which it was first deployed.

1. Changes are gathered for a moment, so that an editor's several steps and a checkout of many files are one change.
2. The whole folder is read again, but only what is different is deployed (registry/deploy.py), and a new version takes
   over when an instance of it has started (supervisor.py). What can not be read or does not start changes nothing; what
   has not started when the next change comes is given up for that.
"""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import watchfiles
from watchfiles import Change

from pyfc.app import App
from pyfc.dev.console import Console
from pyfc.dev.output import first_line
from pyfc.errors import PyfcError
from pyfc.model.invocation import Result
from pyfc.project.interface import Project
from pyfc.project.load import load

_STEP, _DEBOUNCE = 2, 30
"""Milliseconds: without a change for so long a batch is whole; at most so long is it gathered."""
_AGAIN = 0.05
"""Seconds after which one looks again whether a change waits for versions to start."""
_SKIPPED = {".git", ".hg", ".svn", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".idea", ".vscode"}
_ENDINGS = ("~", ".swp", ".swx", ".swo", ".tmp", ".pyc", ".part", ".bak")


class Reloader:
    """Watches the folder of `project`, which `app` serves."""

    def __init__(self, app: App, project: Project, console: Console) -> None:
        self._app = app
        self._project = project
        self._console = console
        self._data_folder = app.data_folder.resolve()
        self._stopped = False
        self._ended = asyncio.Event()
        """Of the present watch: it goes on with other folders, or not at all."""
        self._running: asyncio.Task[None] | None = None
        self._changed: set[Path] = set()
        """Since the last deployment that succeeded."""

    async def run(self) -> None:
        """Reload until the server stops."""
        while not self._stopped:
            self._ended.clear()
            folders = self._folders()
            async for changes in watchfiles.awatch(
                *folders,
                watch_filter=self._is_of_interest,
                step=_STEP,
                debounce=_DEBOUNCE,
                stop_event=self._ended,
                ignore_permission_denied=True,
                recursive=True,
            ):
                await self._finish()
                self._changed.update(Path(path) for _, path in changes)
                self._running = asyncio.get_running_loop().create_task(self._reload(folders))
            await self._finish()

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

    def _folders(self) -> list[Path]:
        """The project's folder, and those of code that lies elsewhere."""
        root = self._project.root.resolve()
        codes = {each.code.resolve() for each in self._project.functions if each.code is not None}
        outside = {code if code.is_dir() else code.parent for code in codes if not code.is_relative_to(root)}
        return [root, *sorted(folder for folder in outside if folder.exists())]

    def _is_of_interest(self, _change: Change, text: str) -> bool:
        path = Path(text)
        name = path.name
        if name.endswith(_ENDINGS) or name.startswith((".#", "#", ".goutputstream", ".sb-")) or name == "4913":
            return False  # what editors write beside the file itself
        return not _SKIPPED.intersection(path.parts) and not path.is_relative_to(self._data_folder)

    async def _reload(self, folders: list[Path]) -> None:
        """Serve what has changed; `folders` are those that are watched."""
        began = time.monotonic()
        try:
            project = load(self._project.root, reads_variables=True, allows_outside=self._app.settings.allow_outside)
            report = await self._app.deploy(project, frozenset(self._changed))
        except PyfcError as error:
            where, message = str(error.fields.get("where", "")), str(error.fields.get("message", error))
            self._console.not_reloaded(str(self._project.root), where, message, _source_line(where))
            return
        except OSError as error:  # a file that was there a moment ago: the next change tells more
            self._console.not_reloaded(str(self._project.root), str(error.filename), str(error.strerror))
            return
        self._project = project
        self._changed.clear()
        failed = self._failed()
        for name in report.changed:
            if name in failed:
                self._tell(name, failed[name])
        served = [name for name in report.changed if name not in failed]
        self._console.reloaded(served, time.monotonic() - began)
        if self._folders() != folders:
            self._ended.set()

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
        self._console.not_reloaded(name, where or name, f"{kind}{first_line(fault.message)}", line)

    def _source_of(self, name: str) -> str:
        """The folder that a function's /code is a copy of."""
        for each in self._project.functions:
            if f"{each.function.service}/{each.function.name}" == name and each.code is not None:
                return str(each.code if each.code.is_dir() else each.code.parent)
        return "/code"


def _last_frame(body: bytes | bytearray | memoryview) -> tuple[str, str]:
    """File, line number and text of the last frame of an error JSON; ('', '') if it has none."""
    try:
        place, number, _, text = json.loads(bytes(body))["stackTrace"][-1]
    except (ValueError, KeyError, IndexError, TypeError):
        return "", ""
    return f"{place.removeprefix('File ').strip(chr(34))}:{number.removeprefix('line ')}", str(text)


def _source_line(where: str) -> str:
    """The text at `file:line`; '' if there is none."""
    file, _, number = where.rpartition(":")
    try:
        return Path(file).read_text(encoding="utf-8", errors="replace").splitlines()[int(number) - 1].strip()
    except (OSError, ValueError, IndexError):
        return ""
