"""The composition root: the only file that knows every part. Parts are built bottom up and stopped top down."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import logging
import resource
import socket
import sys
from collections.abc import Awaitable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Self, TypeVar

from pyfc.auth.keys import Keys
from pyfc.auth.once import Once
from pyfc.auth.signature import Verifier
from pyfc.blobs.disk import DiskBlobs
from pyfc.blobs.objects import Objects
from pyfc.build.builder import Builder, cache_folder
from pyfc.build.consent import Consents, consents_file
from pyfc.build.official import name_of, packages_of, stand_in
from pyfc.bundles.bundle import Bundles
from pyfc.bundles.copying import Limits
from pyfc.calls.table import Table
from pyfc.cloud.oss.appends import Appends
from pyfc.cloud.oss.asked import Environment
from pyfc.cloud.oss.door import Door
from pyfc.cloud.oss.store import Store
from pyfc.cloud.oss.uploads import Uploads
from pyfc.data.folder import identity, lock, take_over
from pyfc.data.version import OSS, QUEUE, STORE
from pyfc.destinations.webhook import Webhook
from pyfc.dispatch.dispatcher import Dispatcher
from pyfc.dispatch.records import Records
from pyfc.documents.reader import JsonReader
from pyfc.errors import InvalidArgument, PyfcError
from pyfc.gateway.addresses import listening
from pyfc.gateway.application import application
from pyfc.gateway.context import ServerContext
from pyfc.gateway.guard import Guard, is_loopback
from pyfc.gateway.invocations import Invocations
from pyfc.gateway.management import Api
from pyfc.gateway.promises import Promises
from pyfc.gateway.server import GatewayServer
from pyfc.gateway.sites import Sites
from pyfc.host.descriptors import BUDGET
from pyfc.host.runtimes import Runtimes
from pyfc.observe.journal import Journal, Listener
from pyfc.observe.logs import FunctionLogs
from pyfc.observe.recent import Recent
from pyfc.project.interface import Project
from pyfc.queues.sqlite import SqliteQueue
from pyfc.queues.usage import Bounds
from pyfc.registry import stored
from pyfc.registry.configs import Configs
from pyfc.registry.deploy import Deployer, Given, Report
from pyfc.registry.domains import Domains
from pyfc.registry.functions import Functions
from pyfc.registry.layers import Layers
from pyfc.registry.operations import Operations
from pyfc.registry.packages import Packages
from pyfc.registry.registry import Registry
from pyfc.registry.versions import Versions
from pyfc.sandbox.cage import Cage
from pyfc.sandbox.protections import require
from pyfc.sandbox.sandbox import Sandbox
from pyfc.settings import Settings, state_folder
from pyfc.stores.sqlite import SqliteStore
from pyfc.supervisor.birth import debugger, packages
from pyfc.supervisor.builds import Builds, Outcome
from pyfc.supervisor.supervisor import Supervisor
from pyfc.tasks import Tasks, end_of

_log = logging.getLogger(__name__)
_LOOK = 2.0
"""Seconds between two looks at the data folder."""
T = TypeVar("T")


class Stopped(Exception):
    """The server was told to stop before it served."""


class App:
    """One server: `async with App(settings, data_folder) as app`, `deploy`, `bind`, `serve`."""

    def __init__(
        self, settings: Settings, data_folder: Path, shared: Mapping[str, Path] = MappingProxyType({})
    ) -> None:
        """`shared`: see Sandbox."""
        self.settings = settings
        self.data_folder = data_folder
        self._shared = shared
        self.is_local = is_loopback(settings.host)
        self.port = settings.port
        self.findings: list[str] = []
        """What was found wrong with the stored files, for people."""
        self._stack = AsyncExitStack()
        self._tasks = Tasks()
        self._folder_lost = ""
        self._deploying = asyncio.Lock()
        self._project: Project | None = None
        self._sockets: list[socket.socket] = []
        self._serving: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if bool(self.settings.tls_certificate) != bool(self.settings.tls_key):
            raise InvalidArgument(message="--tls-certificate and --tls-key belong together: give both or none")
        try:
            self._build()
            self.findings += [stored.told(each) for each in await self._registry.set_aside()]
            await self._oss.appends.start()
            self.supervisor.start()
            self._tasks.begin("watching the data folder", self._watch_folder())
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    def _build(self) -> None:
        settings = self.settings
        _raise_descriptor_limit()
        self.descriptors = BUDGET
        self._stack.enter_context(lock(self.data_folder))
        taken_over = take_over(self.data_folder)
        self.journal = Journal()
        logs = FunctionLogs(self.data_folder / "logs", settings.log_file_size, settings.log_file_count)
        self.journal.listeners.append(logs.listen)
        self._stack.callback(logs.close)
        self._stack.callback(self.journal.flush)
        stored.mark_loss(self.data_folder)
        self.findings = [*stored.losses(self.data_folder), *taken_over]
        store = SqliteStore(self.data_folder / STORE)
        self._stack.push_async_callback(store.close)
        registry = self._registry = Registry(store)
        self.queue = SqliteQueue(self.data_folder / QUEUE, _bounds(settings))
        self._stack.push_async_callback(self.queue.close)
        runtimes = Runtimes()
        blobs = DiskBlobs(self.data_folder / "blobs")
        shown = packages(runtimes.base, sys.executable, settings, debugs=False)
        if settings.debug and not shown:
            with contextlib.suppress(InvalidArgument):  # `deploy` tells who needs it
                shown = debugger(runtimes.base, settings.debugger)
        self.sandbox = Sandbox(settings.sandbox, self.data_folder, shown, runtimes, self._shared)
        self._stack.callback(self.sandbox.close)
        self.sandbox.open()
        limits = Limits(settings.maximum_code_size, settings.maximum_code_files)
        bundles = Bundles(
            self.data_folder, blobs, limits, has_roots=lambda: self.sandbox.has_namespaces, splits=settings.reload
        )
        self.keys = Keys(self.data_folder)
        self.key, self.has_new_key = self.keys.first()
        self.verifier = Verifier(self.keys.find, None if self.is_local else Once())
        self.supervisor = Supervisor(
            settings, registry, bundles, runtimes, self.journal, self.sandbox, self.keys.role.as_context()
        )
        self._stack.push_async_callback(self.supervisor.close)
        self.dispatcher = Dispatcher(
            settings, self.queue, self.supervisor, self.journal, Webhook(settings.destination_endpoint)
        )
        self._stack.push_async_callback(self.dispatcher.close)
        self._bundles = bundles
        self.runtimes = runtimes
        cage, consents = Cage(is_required=settings.sandbox == "required"), Consents(consents_file())
        self.builder = Builder(cache_folder(), cage, consents)
        self.builds = Builds(self.builder, runtimes, self._serve_built)
        self.supervisor.hold_for(self.builds)
        self._deployer = Deployer(registry, bundles, runtimes)
        self._build_gateway(registry)

    def _build_api(self, registry: Registry) -> Api:
        """What the management API works with."""
        settings = self.settings
        operations = self._operations = Operations(
            registry, self._bundles, settings, self.supervisor.caught_up, self._codes,
            sweeps=not stored.is_marked(self.data_folder),
        )  # fmt: skip
        self._stack.callback(operations.close)
        versions = Versions(operations)
        objects = Objects(self.data_folder / "objects", settings.maximum_upload)
        packages = Packages(self._bundles, objects, self._oss.store, settings.maximum_upload)
        functions = Functions(operations, versions, packages, self.runtimes)
        return Api(
            settings=settings,
            operations=operations,
            functions=functions,
            versions=versions,
            configs=Configs(operations, functions),
            domains=Domains(operations),
            layers=Layers(operations, packages),
            reader=JsonReader(),
            objects=objects,
            keys=self.keys,
            verifier=self.verifier,
            records=Records(self.queue, self.dispatcher),
            table=lambda: self.supervisor.table,
            logs=self.data_folder / "logs",
            endpoint=lambda: self.endpoint,
            problems=self.problems,
        )

    def _codes(self) -> list[str]:
        """Digests of code that stays although nothing declares it."""
        return [*self.supervisor.codes(), *self.dispatcher.kept_codes]

    @property
    def endpoint(self) -> str:
        """The server's own address."""
        host = f"[{self.settings.host}]" if ":" in self.settings.host else self.settings.host
        return f"{'https' if self.settings.tls_certificate else 'http'}://{host}:{self.port}"

    def _build_gateway(self, registry: Registry) -> None:
        settings = self.settings
        guard = Guard((settings.host, *settings.allow_host))
        promises = Promises(self.dispatcher, settings.account_id)
        invocations = Invocations(settings, guard, self.journal, self.verifier, promises.accept, is_local=self.is_local)
        self.supervisor.publish(self._use)
        recent = Recent()
        self.journal.listeners.append(recent.listen)
        context = self._context = ServerContext(settings, invocations, Sites(settings.site, guard.is_known))
        oss = self._build_oss()
        api = application(self._build_api(registry), guard, recent, self.sandbox, oss)
        self._server = GatewayServer(api, context, self.descriptors)

    def _build_oss(self) -> Door:
        settings = self.settings
        store = Store(self.data_folder / "buckets", self.data_folder / OSS)
        self._stack.push_async_callback(store.close)
        oss = self._oss = Environment(store, Uploads(store), Appends(store), settings.account_id, settings.region)
        return Door(oss, self.keys.find, lambda key, *_: key.may_manage, is_open=settings.auth == "off")

    def _use(self, table: Table) -> None:
        """Serve by another table from now on."""
        self._context.use(table)
        self.dispatcher.use(table)

    def problems(self) -> list[str]:
        """What keeps the server from doing all that it should, for people."""
        following = self.supervisor.following
        found = [self._folder_lost] if self._folder_lost else []
        if following is not None and following.done():
            found.append(f"{following.get_name()}: {end_of(following)}; restart the server")
        return found

    async def _watch_folder(self) -> None:
        """Say so when the data folder is removed or replaced: what is written to it is lost then."""
        known = identity(self.data_folder)
        while True:
            lost = identity(self.data_folder) != known
            if lost and not self._folder_lost:
                self._folder_lost = (
                    f"the data folder {self.data_folder} was removed or replaced under the running server: nothing can "
                    "be deployed and no asynchronous call is taken. Stop the server, put the folder back, start again"
                )
                _log.error("%s", self._folder_lost)
            elif not lost:
                self._folder_lost = ""
            await asyncio.sleep(_LOOK)

    def listen(self, listener: Listener) -> None:
        """Hand batches of call records to `listener`."""
        self.journal.listeners.append(listener)

    async def deploy(self, project: Project, changed: frozenset[Path] | None = None, *, beside: bool = False) -> Report:
        """Serve `project`. Returns when every function of it can be called. `changed`: what has changed on disk since
        the last time, if that is known. `beside`: what functions need is installed while the server answers, from
        `start_builds` on; until then their calls wait.
        """
        report = await self._deploy(project, changed, beside=beside, again=False)
        self.supervisor.follow_builds()
        return report

    async def _deploy(self, project: Project, changed: frozenset[Path] | None, *, beside: bool, again: bool) -> Report:
        async with self._deploying:
            for declaration in project.functions:
                runtime = self.runtimes.get(declaration.function.runtime)
                if runtime is not None and declaration.function.is_called(self.settings.debug):
                    debugger(runtime, self.settings.debugger)
            built: dict[Path, list[Path]] = {}
            warnings: list[str] = []
            if self.settings.build:
                built, warnings = await self.builds.built_for(project, beside=beside, again=again)
            official = await self._official_layers(project, warnings)
            if built or self.settings.reload:
                await self.supervisor.prepared()  # how workers are locked in decides how they find packages
            report = (await self._deployer.deploy(project, Given(built, official, changed)))._replace(warnings=warnings)
            self._project = project
            await self.supervisor.caught_up(report.revision)
            self._operations.collect()
            require(self.sandbox)
            return report

    async def _serve_built(self, outcome: Outcome) -> Outcome:
        """A build beside the server is over: serve what it was for. What is to be told of it."""
        warnings = [outcome.warning] if outcome.warning else []
        if self._project is not None:
            try:
                await self._deploy(self._project, None, beside=False, again=True)
            except PyfcError as error:
                warnings.append(str(error))
        self.supervisor.follow_builds()
        return outcome._replace(warning="\n".join(warnings))

    async def _official_layers(self, project: Project, warnings: list[str]) -> dict[str, Path]:
        """The official layers of the project's functions, as far as they are packages that can be had; of all others
        it is told what stands in for them, or what is missing.
        """
        functions = [
            each.function for each in project.functions if self.runtimes.get(each.function.runtime) is not None
        ]
        wanted = {arn: each.runtime for each in functions for arn in each.layers if name_of(arn)}
        found = {arn: await self._official_layer(arn, runtime, warnings) for arn, runtime in wanted.items()}
        return {arn: folder for arn, folder in found.items() if folder is not None}

    async def _official_layer(self, arn: str, runtime: str, warnings: list[str]) -> Path | None:
        packages, interpreter = packages_of(arn), self.runtimes.interpreter(runtime)
        if packages is None or interpreter is None or not self.settings.build:
            warnings.append(stand_in(arn))
            return None
        try:
            return await self.builder.layer(name_of(arn), packages, interpreter.path, interpreter.version)
        except PyfcError as error:
            warnings.append(f"{error}; its functions have to do without")
            return None

    def bind(self) -> None:
        """Take the port; `port` is then the real one. Raises AddressInUse."""
        self._sockets = listening(self.settings.host, self.settings.port)
        self.port = self._sockets[0].getsockname()[1]

    async def serve(self) -> None:
        """Answer requests until `stop`; then answer what has begun, for at most `drain_timeout`."""
        assert self._sockets
        gc.collect()
        gc.freeze()  # what was built to serve stays: later collections need not look at it
        await self.dispatcher.start()
        self._serving = asyncio.get_running_loop().create_task(self._server.serve(sockets=self._sockets))
        stopping = asyncio.get_running_loop().create_task(self._server.wait_stopping())
        await asyncio.wait([self._serving, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        await self.builds.close()
        self.supervisor.refuse_held()
        await asyncio.wait([self._serving], timeout=self.settings.drain_timeout)
        self._serving.cancel()
        await asyncio.wait([self._serving])
        if not self._serving.cancelled():
            self._serving.result()

    async def unless_stopped(self, work: Awaitable[T]) -> T:
        """What `work` gives. Raises Stopped when the server is told to stop before: nothing that a start waits for may
        keep it from that.
        """
        starting = asyncio.ensure_future(work)
        stopping = asyncio.ensure_future(self._server.wait_stopping())
        try:
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                raise Stopped
            return starting.result()
        finally:
            starting.cancel()
            stopping.cancel()

    def stop(self) -> None:
        """End `serve` gracefully, or the start."""
        self._server.stop()

    def kill(self) -> None:
        """End `serve` and everything that runs, now."""
        self._server.stop()
        self.supervisor.kill()
        if self._serving is not None:
            self._serving.cancel()

    async def __aexit__(self, *_: object) -> None:
        for each in self._sockets:
            each.close()
        await self.builds.close()
        await self._tasks.close()
        await self._stack.aclose()


def _bounds(settings: Settings) -> Bounds:
    return Bounds(
        events=settings.async_queue_events,
        size=settings.async_queue_bytes,
        all_events=settings.async_queue_total_events,
        all_size=settings.async_queue_total_bytes,
        records_size=settings.async_record_bytes,
    )


def data_folder_of(root: Path, settings: Settings) -> Path:
    """The data folder of a served folder: the setting, or one of its own in the user's state folder."""
    if settings.data_dir:
        return Path(settings.data_dir).expanduser().absolute()
    real = str(root.resolve())
    digest = hashlib.sha256(real.encode("utf-8", "surrogateescape")).hexdigest()[:12]
    return state_folder() / f"{root.resolve().name or 'root'}-{digest}"


def _raise_descriptor_limit() -> None:
    """Each instance needs a handful of descriptors here."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = max(soft, 65536)
    if soft != resource.RLIM_INFINITY and soft < hard:
        with contextlib.suppress(ValueError):  # macOS has a lower limit of its own
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
