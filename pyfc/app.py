"""The composition root: the only file that knows every part. Parts are built bottom up and stopped top down."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import resource
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

from pyfc.auth.keys import Key, Keys
from pyfc.auth.once import Once
from pyfc.auth.permissions import Permissions
from pyfc.auth.signature import Verifier
from pyfc.blobs.disk import DiskBlobs
from pyfc.build.builder import Builder, cache_folder
from pyfc.build.consent import Consents, consents_file
from pyfc.bundles.bundle import Bundles
from pyfc.bundles.copying import CodeLimits
from pyfc.calls.table import Table, subject_of
from pyfc.cloud.cms import door as cms_door
from pyfc.cloud.mns import door as mns_door
from pyfc.cloud.mns import parts as mns_parts
from pyfc.cloud.mns.inbox import LocalInbox
from pyfc.cloud.oss.door import Door
from pyfc.cloud.sls import door as sls_door
from pyfc.cloud.sls.files import LogFiles
from pyfc.data.folder import FolderWatch, lock, take_over
from pyfc.data.version import QUEUE, STORE
from pyfc.deployment import Deployment
from pyfc.destinations.eventbridge import EventBus
from pyfc.destinations.mns import MessageService
from pyfc.destinations.webhook import Webhook
from pyfc.dispatch.attempts import DispatchContext
from pyfc.dispatch.dispatcher import Dispatcher
from pyfc.dispatch.records import Records
from pyfc.documents.reader import JsonReader
from pyfc.errors import InvalidArgument
from pyfc.gateway.apis import ApiDoor
from pyfc.gateway.application import application
from pyfc.gateway.checks import Callers
from pyfc.gateway.console import ConsoleLinks
from pyfc.gateway.context import ServerContext
from pyfc.gateway.events import EventDoor
from pyfc.gateway.guard import Guard
from pyfc.gateway.invocations import Invocations
from pyfc.gateway.management import Api
from pyfc.gateway.promises import Promises
from pyfc.gateway.server import GatewayServer
from pyfc.gateway.sites import Sites
from pyfc.host.descriptors import BUDGET
from pyfc.host.local_names import LocalNames
from pyfc.host.runtimes import Runtimes
from pyfc.model.hosts import is_loopback
from pyfc.observe import parts as observe_parts
from pyfc.observe.journal import Listener
from pyfc.observe.metrics.gauges import Source
from pyfc.project.interface import NO_FOLDERS, Folders
from pyfc.queues.interface import Queue
from pyfc.queues.sqlite import SqliteQueue
from pyfc.queues.usage import Bounds
from pyfc.registry import stored
from pyfc.registry.built_in import BuiltIn
from pyfc.registry.configs import Configs
from pyfc.registry.domains import Domains
from pyfc.registry.functions import Functions
from pyfc.registry.layers import Layers
from pyfc.registry.operations import Operations
from pyfc.registry.packages import Packages
from pyfc.registry.registry import Registry
from pyfc.registry.versions import Versions
from pyfc.sandbox.cage import Cage
from pyfc.sandbox.sandbox import Sandbox
from pyfc.services import Ground, Services
from pyfc.services import build as build_services
from pyfc.settings import Settings, state_folder
from pyfc.stores.sqlite import SqliteStore
from pyfc.supervisor.birth import BirthContext, debugger, packages
from pyfc.supervisor.builds import Builds
from pyfc.supervisor.interface import PoolContext
from pyfc.supervisor.making import Maker
from pyfc.supervisor.profiles import Profiling
from pyfc.supervisor.scaler import Scaler
from pyfc.supervisor.supervisor import Supervisor
from pyfc.supervisor.trials import Trials
from pyfc.tasks import end_of
from pyfc.triggers.trail import Trail
from pyfc.workers.launchers.by_runtime import Launchers


class App:
    """One server: `async with App(settings, data_folder) as app`, `deployment.deploy`, `server.bind`, `serve`."""

    def __init__(self, settings: Settings, data_folder: Path, folders: Folders = NO_FOLDERS) -> None:
        """`folders`: those of the project that stand for what is elsewhere in the cloud."""
        self.settings = settings
        self.data_folder = data_folder
        self.findings: list[str] = []
        """What was found wrong with the stored files, for people."""
        self._folders = folders
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        if bool(self.settings.tls_certificate) != bool(self.settings.tls_key):
            raise InvalidArgument(message="--tls-certificate and --tls-key belong together: give both or none")
        try:
            await self._build()
            self.supervisor.start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def _build(self) -> None:
        settings = self.settings
        _raise_descriptor_limit()
        self._open_folder()
        registry = await self._open_registry()
        queue = SqliteQueue(self.data_folder / QUEUE, _bounds(settings))
        self._stack.push_async_callback(queue.close)
        self.runtimes = Runtimes()
        self._build_sandbox()
        bundles = self._build_bundles()
        keys = Keys(self.data_folder)
        key, is_new = keys.first()
        self.new_key = key if is_new else None
        """The first key, if it was made just now."""
        cage, consents = Cage(is_required=settings.sandbox == "required"), Consents(consents_file())
        builder = Builder(cache_folder(), cage, consents)
        builds = Builds(builder, self.runtimes)
        self._build_supervisor(registry, bundles, builds, keys)
        mns = mns_parts.build(self.data_folder, settings, self._stack, self._led_by, lambda: self.endpoint)
        webhook = Webhook(settings.destination_endpoint)
        told_bus = EventBus(webhook)
        deliver = MessageService(LocalInbox(mns.store, mns.messages, mns.topics), told_bus)
        journal, sampling = self.observed.journal, self.observed.sampling
        metrics = self.observed.metrics
        context = DispatchContext(settings, self.supervisor, journal, deliver, sampling, metrics.note)
        self.dispatcher = Dispatcher(queue, context)
        metrics.gauges.source = Source(self.supervisor.held, self.supervisor.samples, self.dispatcher.queued)
        self._stack.push_async_callback(webhook.close)
        self._stack.push_async_callback(self.dispatcher.close)
        ground = Ground(self.data_folder, settings, self._stack, self._led_by)
        journal, buckets = self.observed.journal, self._folders.buckets
        services = await build_services(ground, buckets, mns, journal, self.supervisor, self.dispatcher)
        self._sources = services.sources
        told_bus.serve(services.bus.deliver)
        operations = Operations(
            registry, bundles, settings, self.supervisor.caught_up, self._codes,
            sweeps=not stored.is_marked(self.data_folder),
        )  # fmt: skip
        self._stack.callback(operations.close)
        self.deployment = Deployment(operations, self.runtimes, builds, self.supervisor, self.sandbox)
        self._stack.push_async_callback(builds.close)
        built_in = BuiltIn(builder, bundles, self.runtimes, installs=settings.build)
        self._stack.push_async_callback(built_in.close)
        await self._build_gateway(operations, keys, built_in, services)
        self._watch = FolderWatch(self.data_folder)
        self._stack.push_async_callback(self._watch.close)

    def _open_folder(self) -> None:
        """The data folder becomes this process's, and of this version; what happens is written to it."""
        folder, settings = self.data_folder, self.settings
        self._stack.enter_context(lock(folder))
        taken_over = take_over(folder)
        self.observed = observe_parts.build(folder, settings, self._stack)
        stored.mark_loss(folder)
        self.findings = [*stored.losses(folder), *taken_over]

    async def _open_registry(self) -> Registry:
        store = SqliteStore(self.data_folder / STORE)
        self._stack.push_async_callback(store.close)
        registry = Registry(store)
        self.findings += [stored.told(each) for each in await registry.set_aside()]
        return registry

    def _build_sandbox(self) -> None:
        settings, runtimes = self.settings, self.runtimes
        shown = _shown(runtimes, settings)
        self.sandbox = Sandbox(settings.sandbox, self.data_folder, shown, runtimes, self._folders.mounts)
        self._stack.callback(self.sandbox.close)
        self.sandbox.open()

    def _build_bundles(self) -> Bundles:
        settings, sandbox = self.settings, self.sandbox
        blobs = DiskBlobs(self.data_folder / "blobs")
        limits = CodeLimits(settings.maximum_code_size, settings.maximum_code_files)
        return Bundles(
            self.data_folder, blobs, limits, has_roots=lambda: sandbox.has_namespaces, splits=settings.reload
        )

    def _build_supervisor(self, registry: Registry, bundles: Bundles, builds: Builds, keys: Keys) -> None:
        settings = self.settings
        launcher = Launchers(settings, self.runtimes, self.sandbox)
        scaler = Scaler(settings.maximum_server_instances)
        journal, reserved = self.observed.journal, self.observed.metrics.reserved
        pools = PoolContext(settings, launcher, scaler, journal.wrote, journal.passed, reserved)
        births = BirthContext(settings, self.sandbox, lambda target: keys.of(target).as_context())
        profiling = Profiling(self.sandbox, self.observed.bounds, self.observed.profiles)
        self._stack.push_async_callback(profiling.close)
        looks = profiling if self.observed.requests.is_kept else None
        maker = Maker(registry, bundles, self.runtimes, builds, pools, births, looks)
        self.supervisor = Supervisor(settings, registry, maker, launcher, scaler)
        self._stack.push_async_callback(self.supervisor.close)

    async def _build_gateway(self, operations: Operations, keys: Keys, built_in: BuiltIn, services: Services) -> None:
        settings, is_local = self.settings, is_loopback(self.settings.host)
        verifier = Verifier(keys.find, None if is_local else Once())
        guard = Guard((settings.host, *settings.allow_host))
        promises = Promises(self.dispatcher, settings.account_id)
        permissions = Permissions(lambda target: subject_of(self.supervisor.table, target))
        callers = Callers(keys, verifier, permissions)
        observed = self.observed
        invocations = Invocations(
            settings, guard, observed.journal, callers, promises.accept, observed.sampling, is_local=is_local
        )
        context = ServerContext(settings, invocations, Sites(settings.site, guard.is_known))

        def use(table: Table) -> None:
            """Serve by another table from now on."""
            context.use(table)
            self.dispatcher.use(table)
            services.sources.use(table)
            services.sls.functions.use(table.functions)

        self.supervisor.publish(use)
        is_open = settings.auth == "off"
        oss, sls, mns, bus, _ = services
        door = Door(oss, keys.find, permissions, is_open=is_open)
        logs = sls_door.Door(sls.environment, keys.find, permissions, is_open=is_open)
        trail = Trail(bus, self._led_by, settings.account_id, settings.region)
        messages = mns_door.Door(mns, keys.find, permissions, trail, oss.store.has, is_open=is_open)
        api = self._build_api(operations, callers, services, built_in, trail)
        monitor = cms_door.Door(self.observed.metrics, verifier, permissions, settings)
        apis = ApiDoor(api.table, self.observed.journal, guard, settings.maximum_body, is_local=is_local or is_open)
        events = EventDoor(api, bus, self._led_by, is_local=is_local)
        self.server = GatewayServer(
            application(api, guard, self.observed.recent, self.sandbox, (apis, logs, messages, monitor, door), events),
            context,
            BUDGET,
            console=api.console.door,
            release=(mns.messages.arrivals.close, api.trials.end),
        )
        self._stack.callback(self.server.unbind)
        self._stack.push_async_callback(api.console.door.close)

    def _build_api(
        self, operations: Operations, callers: Callers, services: Services, built_in: BuiltIn, trail: Trail
    ) -> Api:
        """What the management API works with."""
        versions = Versions(operations)
        packages = Packages(operations.bundles, services.oss.store, self.settings.maximum_upload)
        functions = Functions(operations, versions, packages, self.runtimes, built_in)
        return Api(
            settings=self.settings,
            operations=operations,
            functions=functions,
            versions=versions,
            configs=Configs(operations, functions),
            domains=Domains(operations),
            layers=Layers(operations, packages),
            reader=JsonReader(),
            temporary=services.oss.temporary,
            buckets=services.oss.store.index,
            keys=callers.keys,
            permissions=callers.permissions,
            verifier=callers.verifier,
            records=Records(self.queue, self.dispatcher),
            sources=services.sources,
            trail=trail,
            table=lambda: self.supervisor.table,
            metrics=self.observed.metrics,
            requests=self.observed.requests,
            profiles=self.observed.profiles,
            logs=LogFiles(self.data_folder / "logs", services.sls.environment.searcher),
            endpoint=lambda: self.endpoint,
            local_names=LocalNames(),
            builds=self.deployment.builds.describe,
            problems=self.problems,
            trials=Trials(self.supervisor.maker, lambda: self.supervisor.table),
            samples=self.supervisor.samples,
            console=ConsoleLinks(self.settings, self.data_folder, lambda: self.endpoint),
        )

    def _led_by(self, key: Key) -> int:
        """How many calls have led to what the holder of a key does: of those that its function runs, it may be any."""
        return 0 if key.function is None else 1 + self.dispatcher.deepest(key.function)

    def _codes(self) -> list[str]:
        """Digests of code that stays although nothing declares it."""
        return [*self.supervisor.codes(), *self.dispatcher.kept_codes]

    @property
    def queue(self) -> Queue:
        """What has been promised."""
        return self.dispatcher.queue

    @property
    def endpoint(self) -> str:
        """The server's own address."""
        host = f"[{self.settings.host}]" if ":" in self.settings.host else self.settings.host
        return f"{'https' if self.settings.tls_certificate else 'http'}://{host}:{self.server.port}"

    def problems(self) -> list[str]:
        """What keeps the server from doing all that it should, for people."""
        following = self.supervisor.following
        found = [self._watch.problem] if self._watch.problem else []
        if following is not None and following.done():
            found.append(f"{following.get_name()}: {end_of(following)}; restart the server")
        return found

    def listen(self, listener: Listener) -> None:
        """Hand batches of call records to `listener`."""
        self.observed.journal.listeners.append(listener)

    async def serve(self) -> None:
        """Answer requests until `server.stop`; then answer what has begun, for at most `drain_timeout`."""
        gc.collect()
        gc.freeze()  # what was built to serve stays: later collections need not look at it
        await self.dispatcher.start()
        await self._sources.start(self.supervisor.table)
        await self.server.answer(self._refuse_held)

    async def _refuse_held(self) -> None:
        """Nothing more is installed, and nobody waits for that."""
        await self.deployment.builds.close()
        self.supervisor.refuse_held()

    def kill(self) -> None:
        """End `serve` and everything that runs, now."""
        self.supervisor.kill()
        self.server.kill()

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()


def _shown(runtimes: Runtimes, settings: Settings) -> list[str]:
    """Folders of packages that functions see, or a debugger."""
    shown = packages(runtimes.base, sys.executable, settings, debugs=False)
    if settings.debug and not shown:
        with contextlib.suppress(InvalidArgument):  # Deployment tells who needs it
            shown = debugger(runtimes.base, settings.debugger)
    return shown


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
