"""`pyfc serve DIR`: serve a folder of functions until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import math
import os
import shlex
import signal
import threading
import time
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import uvloop

from pyfc.app import App, data_folder_of
from pyfc.auth.keys import Key
from pyfc.build.consent import refuse
from pyfc.calls.table import newest
from pyfc.client.credentials import announced
from pyfc.dev.console import Console
from pyfc.dev.output import one_line, say, say_json, tell
from pyfc.dev.question import asking
from pyfc.dev.reload import Reloader
from pyfc.dev.table import function_rows
from pyfc.gateway.application import describe
from pyfc.gateway.server import Stopped
from pyfc.model.mounts import mounts_of
from pyfc.project.interface import Project
from pyfc.project.load import load as load_project
from pyfc.project.overrides import read_folders
from pyfc.registry.deploy import Report
from pyfc.sandbox.protections import layers, summary
from pyfc.settings import Settings, fields
from pyfc.settings import load as load_settings
from pyfc.supervisor.builds import Builds, Outcome
from pyfc.tasks import Tasks

_log = logging.getLogger(__name__)
_STEPS, _SLACK = 3, 15.0
"""Stopping waits up to `drain_timeout` for each of calls, events and instances; seconds for all else."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command: the settings that have a flag."""
    parser.add_argument("dir", metavar="DIR", type=Path, help="the folder: a template file in it, or plain functions")
    for field in fields():
        if not field.metadata["flag"]:
            continue
        flag = f"--{field.name.replace('_', '-')}"
        text = field.metadata["doc"]
        if isinstance(field.default, bool):
            parser.add_argument(flag, action="store_true", default=None, help=text)
        elif isinstance(field.default, tuple):
            parser.add_argument(flag, action="append", metavar="NAME", help=text)
        else:
            shown = f" (default {field.default})" if field.default != "" else ""
            metavar = "|".join(field.metadata["choices"]) or field.name.upper()
            parser.add_argument(flag, type=type(field.default), metavar=metavar, help=text + shown)
    parser.epilog = "Every setting is also an environment variable; docs/reference/settings.md lists them all."


def run(options: argparse.Namespace, **forced: Any) -> int:
    """See module. `forced`: settings that the command has made up its mind about."""
    chosen = {field.name: getattr(options, field.name, None) for field in fields()}
    chosen |= {name: tuple(value) for name, value in chosen.items() if isinstance(value, list)}
    settings = load_settings(os.environ, **{**chosen, **forced})
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(options.dir, settings))
    return 0


async def _serve(root: Path, settings: Settings) -> None:
    folders = read_folders(root, allows_outside=settings.allow_outside, tolerates=True)
    async with App(settings, data_folder_of(root, settings), folders) as app:
        _catch_signals(app)
        console = Console(as_json=settings.json)
        began = time.time()
        try:
            project, report = await app.server.unless_stopped(_start(app, root, console))
        except Stopped:
            return
        except BaseException:
            _tell_of_key(app)
            raise
        with announced(app.endpoint, app.data_folder):
            _announce(app, project, report)  # who reads it finds the key already
            async with _reloading(app, project, console, began):
                app.deployment.start_builds(partial(_built, app, console), console.building)
                await app.serve()


async def _start(app: App, root: Path, console: Console) -> tuple[Project, Report]:
    """Everything that comes before serving. The loop goes on meanwhile, so that a signal is heard."""
    settings = app.settings
    app.server.console.bind()  # before any function runs, which could take the port
    project = await asyncio.to_thread(
        load_project,
        root,
        reads_variables=settings.reload,
        allows_outside=settings.allow_outside,
        tolerates=True,
        strict=settings.strict,
        settings=settings,
    )
    if not settings.json:
        app.deployment.builds.ask_by(asking())
    report = await app.deployment.deploy(project, beside=True)
    app.server.bind()
    if not settings.quiet:
        app.listen(console.listen)
    return project, report


def _built(app: App, console: Console, outcome: Outcome) -> None:
    """A build beside the server is over."""
    if outcome.warning:
        console.warned(outcome.warning)
    else:
        console.built(outcome.names, outcome.seconds)
    if not app.deployment.builds.names:
        app.deployment.builds.ask_by(refuse)  # a reload asks nobody


@contextlib.asynccontextmanager
async def _reloading(app: App, project: Project, console: Console, read: float) -> AsyncIterator[None]:
    """Meanwhile what is saved is served, if that is wanted, and what was since `read`."""
    if not app.settings.reload:
        yield
        return
    reloader = Reloader(app, project, console)
    task = Tasks().begin(f"watching {project.root}: changes are not served any more", reloader.run(read))
    try:
        yield
    finally:
        reloader.stop()
        await asyncio.wait({task})


def _catch_signals(app: App) -> None:
    loop = asyncio.get_running_loop()
    count = 0

    def caught() -> None:
        nonlocal count
        count += 1
        if count == 1:
            app.server.stop()
            _end_in(_STEPS * app.settings.drain_timeout + _SLACK)
            if not app.settings.json:
                with contextlib.suppress(BrokenPipeError):  # Ctrl-C has ended whoever read it
                    limit = f"{app.settings.drain_timeout:g} s"
                    say(f"\nStopping. Running calls get up to {limit}; Ctrl-C again kills them.", flush=True)
        else:
            app.kill()
            _end_in(_SLACK / count)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, caught)


def _end_in(seconds: float) -> None:
    """If stopping itself is stuck, the process ends all the same; what it has started ends with it."""

    def end() -> None:
        _log.error("stopping has taken more than %g s: the server ends without the rest of it", seconds)
        os._exit(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    try:
        timer.start()
    except RuntimeError:  # there is no thread left: then without a word
        signal.alarm(math.ceil(seconds))


def _announce(app: App, project: Project, report: Report) -> None:
    """The table, what is not supported, and the ready line."""
    settings = app.settings
    endpoint = app.endpoint
    milliseconds = round((time.time() - psutil.Process().create_time()) * 1000)  # the interpreter's own start counts
    functions = [describe(entry) for entry in newest(app.supervisor.table)]
    notes = _notes(app, project, report)
    if settings.json:
        ready = {"ready": endpoint, "milliseconds": milliseconds, "functions": functions, "notes": notes}
        ready["console"] = app.server.console.url
        say_json(ready, flush=True)
        return
    if functions:
        say(function_rows(functions, endpoint))
    else:
        say(f"{project.root} has no functions yet.")
    for note in notes:
        say(note)
    if app.new_key is not None and settings.auth != "off":
        say(_exports(app, app.new_key))
    say(f"Console at {app.server.console.url} (`pyfc console` opens it, with a login that is good once)")
    say(f"Ready at {endpoint} in {milliseconds} ms. Ctrl-C stops.", flush=True)


def _exports(app: App, key: Key) -> str:
    """What other clients need to manage the server; told once."""
    shown = {
        "FC_ENDPOINT": app.endpoint,
        "ACCOUNT_ID": app.settings.account_id,
        "REGION": app.settings.region,
        "ACCESS_KEY_ID": key.id,
        "ACCESS_KEY_SECRET": key.secret,
    }
    lines = " ".join(f"{name}={value}" for name, value in shown.items())
    what = "A key for managing this server, shown this once (`pyfc` finds it by itself, `pyfc keys` makes more):"
    return f"{what}\n  export {lines}"


def _tell_of_key(app: App) -> None:
    """The first start has made a key, and does not come to showing it."""
    if app.new_key is not None and not app.settings.json:
        command = f"pyfc keys list --secrets --data-dir {shlex.quote(str(app.data_folder))}"
        tell(f"pyfc: a key for managing this server was made, which later starts do not show: `{command}` does")


def _built_beside(builds: Builds) -> Iterator[str]:
    """The functions whose packages are still being installed."""
    held = builds.held
    again = [name for name in builds.names if name not in held]
    if held:
        whose, how = ("it needs", "its calls wait") if len(held) == 1 else ("they need", "their calls wait")
        yield f"{', '.join(held)}: what {whose} is being installed, and {how}"
    if again:
        yield f"{', '.join(again)}: what was left out is tried again, and what could be had serves meanwhile"


def _notes(app: App, project: Project, report: Report) -> list[str]:
    notes = [f"mistake: {one_line(str(each.error))} (left out; the rest is served)" for each in project.mistakes]
    notes += [
        "\n  ".join(f"warning: {text}".splitlines()) for text in (*app.findings, *project.notes, *report.warnings)
    ]
    if project.actions:
        notes.append(f"warning: the template's {len(project.actions)} actions are not run here: `pyfc build` runs them")
    later = list(dict.fromkeys([*report.refused, *project.unsupported]))
    if later:
        notes.append("not supported yet: " + "; ".join(later))
    notes += _built_beside(app.deployment.builds)
    names = sorted({function.runtime for function in report.functions if function.code is not None})
    if text := app.runtimes.note(names):
        notes.append(text)
    if app.settings.auth == "off":
        notes.append(
            "warning: --auth off: whoever reaches this server can manage it, functions with network access among them"
        )
    if app.server.console.is_kept_local:
        notes.append("the console is reachable from this machine only: other machines need --tls-certificate")
    notes += _mounted(app, project, report)
    notes += _reachable(app, report)
    notes += _debugged(app, report)
    notes += _plain(app)
    notes += summary(layers(app.sandbox))
    return notes


def _mounted(app: App, project: Project, report: Report) -> list[str]:
    """Where on this machine lies what functions find mounted."""
    services = {each.name: each for each in project.services}
    functions = [each for each in report.functions if each.service in services]
    found = {mount for each in functions for mount in mounts_of(services[each.service], each)}
    if found and not app.sandbox.has_namespaces:
        return ["warning: without namespaces nothing is mounted: nasConfig and ossMountConfig mean nothing here"]
    return [f"mounted at {each.at}: {app.sandbox.shared.place(each)}" for each in sorted(found)]


def _reachable(app: App, report: Report) -> list[str]:
    """Which functions' servers can be reached past this one."""
    if app.sandbox.has_namespaces:
        return []
    names = [
        f"{each.service}/{each.name}"
        for each in report.functions
        if each.code is not None and each.runtime.startswith("custom")
    ]
    if not names:
        return []
    return [
        f"warning: without namespaces every process of this machine reaches the servers of {', '.join(names)}, and"
        " they can not tell its x-fc- headers from pyfc's"
    ]


def _plain(app: App) -> list[str]:
    """Which domains want TLS that this server has not."""
    if app.settings.tls_certificate:
        return []
    domains = [each for each in app.supervisor.table.domains.values() if "HTTPS" in each.protocol]
    advice = "and is answered over HTTP here: give --tls-certificate"
    return [f"warning: the domain {each.name} says {each.protocol}, {advice}" for each in domains]


def _debugged(app: App, report: Report) -> list[str]:
    """Which functions wait for a debugger, or that none does."""
    wanted = app.settings.debug
    if not wanted:
        return []
    names = [f"{each.service}/{each.name}" for each in report.functions if each.is_called(wanted)]
    if not names:
        return [f"warning: there is no function '{wanted}' to debug"]
    return [f"{', '.join(names)} waits for a debugger at 127.0.0.1:{app.settings.debug_port} when it is called"]
