"""How many instances a pool has: they are started when calls wait too long, and for the reserve; who waits for one that
cannot be started is told.
"""

from __future__ import annotations

import logging
import time
from functools import partial

from pyfc.errors import HostRefused, InstanceLost, Internal, PyfcError
from pyfc.host.process import Exit
from pyfc.model.function import Function
from pyfc.model.names import request_id
from pyfc.observe.flood import Flood
from pyfc.observe.lives import Passed
from pyfc.supervisor.birth import Birth
from pyfc.supervisor.instance import Instance
from pyfc.supervisor.interface import PoolContext, Tended
from pyfc.supervisor.reserve import Reserve
from pyfc.supervisor.starting import StartFailed
from pyfc.tasks import Tasks

_log = logging.getLogger(__name__)
_MOST_LOSSES = 3


class Population:
    """The starts and the ends of one pool's instances."""

    def __init__(self, pool: Tended, function: Function, birth: Birth, context: PoolContext) -> None:
        self.birth = birth
        self.launcher = context.launcher
        self.reserve = Reserve(pool, function.provision, partial(context.reserved, function))
        self.start_took = 0.0
        """Seconds, of the last one that went well; 0 if there was none."""
        self.is_over = False
        """No further one is started."""
        self._pool = pool
        self._function = function
        self._room = context.room
        self._sink = context.sink
        self._told = context.told
        self._log_rate = context.settings.log_rate
        self._starting: set[Instance] = set()
        self._losses = 0
        """Instances in succession that were lost while they were started."""
        self._tasks = Tasks()

    @property
    def starting(self) -> int:
        """How many are being started."""
        return len(self._starting)

    def grow(self) -> None:
        """See Tended."""
        pool = self._pool
        while len(pool.waiting) > self.starting * pool.concurrency and self._may_grow():
            is_quicker = pool.predicted_wait() > self.start_took
            if self.reserve.must_wait or not is_quicker or not self._room.take(pool):
                return
            self._start(pool.waiting[self.starting].call.request_id)

    def start_reserved(self) -> bool:
        """See Tended."""
        has_room = self._may_grow() and self._room.take(self._pool)
        if has_room:
            self._start(request_id())
        return has_room

    def end(self) -> None:
        """Start no further one."""
        self.is_over = True

    def _may_grow(self) -> bool:
        return not self.is_over and len(self._pool.roster.instances) < self._pool.limit

    def _start(self, request_id: str) -> None:
        """`request_id`: of the call that needs it."""
        instance = Instance(self.birth, self.launcher, self._dead)
        self._pool.roster.add(instance)
        self._starting.add(instance)
        self._told(self._function, instance.id, Passed.CREATING, instance.created)
        name = f"a start of {self._function.service}/{self._function.name}"
        self._tasks.begin(name, self._bring_up(instance, request_id))

    async def _bring_up(self, instance: Instance, request_id: str) -> None:
        began = time.monotonic()
        try:
            try:
                await instance.start(request_id)
            finally:
                self._room.started()
            self._starting.discard(instance)
            self._losses = 0
            self.start_took = time.monotonic() - began
            self.reserve.succeeded()
            self._tell_start(instance)
            instance.serve(self._pool, Flood(partial(self._sink, self._function, instance.id), self._log_rate))
            self._pool.started(instance)
        except BaseException as error:
            self._not_started(instance, error, request_id)
            if not isinstance(error, Exception):
                raise

    def _not_started(self, instance: Instance, error: BaseException, request_id: str) -> None:
        """The one way out of every start that failed: who waits is told, and nothing of the instance stays counted."""
        self._starting.discard(instance)
        self._tell_failure(instance)
        if isinstance(error, StartFailed):
            self.reserve.failed(error, error.result)
            if not self._pool.waiting.fail_next(error.result) and error.result.startup:
                self._sink(self._function, instance.id, "", error.result.startup)
        else:
            refusal = error if isinstance(error, PyfcError) else Internal(detail="an instance could not be started")
            if isinstance(error, Exception) and not isinstance(error, HostRefused):
                _log.error("starting an instance failed", exc_info=error, extra={"request_id": request_id})
            self.reserve.failed(refusal)
            self._losses = self._losses + 1 if isinstance(error, InstanceLost) else 0
            if not 0 < self._losses <= _MOST_LOSSES:  # else another one is started for those who wait
                self._pool.refuse_all(refusal)
        instance.abandon()
        self.grow()

    def _tell_start(self, instance: Instance) -> None:
        """Each step when it ended."""
        prepared, loaded, initialized = instance.beginning.phases
        steps = [(Passed.CODE_PREPARED, prepared), (Passed.RUNTIME_READY, loaded)]
        if self.birth.init.initializer:
            steps.append((Passed.INITIALIZED, initialized))
        when = instance.created
        for passed, took in steps:
            when += took
            self._told(self._function, instance.id, passed, when)
        self._told(self._function, instance.id, Passed.CREATED, time.time())

    def _tell_failure(self, instance: Instance) -> None:
        failed = Passed.NOT_INITIALIZED if instance.beginning.has_loaded else Passed.RUNTIME_FAILED
        for passed in (failed, Passed.NOT_CREATED):
            self._told(self._function, instance.id, passed, time.time())

    def _dead(self, instance: Instance, _how: Exit) -> None:
        self._told(self._function, instance.id, Passed.DESTROYED, time.time())
        self._pool.roster.forget(instance)
        self._room.give_back()
        self.grow()
        if self._pool.size < self.reserve.target:
            self.reserve.look()
