"""The start of one instance: what its worker is told and has to answer, and whose fault it is when it does not."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from pyfc.errors import InstanceLost, Internal
from pyfc.host.process import Exit
from pyfc.model import faults
from pyfc.model.invocation import Fault, FaultKind, Phases, Result, Usage
from pyfc.observe.markers import hook_end, hook_start
from pyfc.supervisor.birth import Birth
from pyfc.wire import frames
from pyfc.workers.handshake import LinkClosed
from pyfc.workers.link import Link

_KEPT = 65536
"""Bytes of what is written in a start."""
_MEGABYTE = 1024 * 1024


class StartFailed(Exception):
    """A fault of user code while its instance was started: the answer of the call that needed the instance."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.fault.message if result.fault is not None else "")
        self.result = result


class StepFailed(Exception):
    """A step of the start ended badly by the user's doing."""

    def __init__(self, fault: Fault, body: bytes = b"") -> None:
        super().__init__(fault.message)
        self.fault = fault
        self.body = body or fault.document()


class Start:
    """The conversation with one worker. `is_unwanted` tells whether somebody has ended it."""

    def __init__(self, birth: Birth, instance_id: str, is_unwanted: Callable[[], bool]) -> None:
        self.imports = b""
        """What Ready carried: the times of imports, if they were asked for."""
        self.output = b""
        """What has been written in it."""
        self.has_loaded = False
        """Whether the user's module is loaded."""
        self._birth = birth
        self._id = instance_id
        self._is_unwanted = is_unwanted
        self._times = [time.monotonic()]

    @property
    def phases(self) -> Phases:
        """What it consisted of, as far as it came."""
        began, prepared, loaded, ended = (*self._times, *[self._times[-1]] * (4 - len(self._times)))
        return Phases(prepared - began, loaded - prepared, ended - loaded)

    def wrote(self, data: bytes) -> None:
        """The worker has written this; the newest is kept."""
        self.output = (self.output + data)[-_KEPT:]

    async def load(self, link: Link) -> None:
        """The worker settles, and loads the user's module. Raises StepFailed, HostRefused, InstanceLost."""
        timeout = self._birth.load_timeout
        await self._step(link, frames.HELLO, timeout, "Starting the runtime")
        cell = link.worker.cell
        sandbox = self._birth.confine(cell)
        cell.watch(link.life)
        self._times.append(time.monotonic())
        init = link.worker.init or self._birth.init._replace(sandbox=sandbox)
        environment = {**init.environment, **cell.environment, "FC_INSTANCE_ID": self._id}
        link.send(frames.INIT, init._replace(environment=environment))
        self.imports = await self._step(link, frames.READY, timeout, "Loading the handler's module")
        self.has_loaded = True
        self._times.append(time.monotonic())

    async def initialize(self, link: Link, request_id: str) -> None:
        """The user's initializer runs. Raises StepFailed, InstanceLost."""
        self.output += link.output.take() + hook_start("initializer", request_id)
        link.send(frames.HOOK, frames.Hook("initializer", request_id))
        failed = True
        try:
            await self._step(link, frames.HOOK_DONE, self._birth.initialization_timeout, "Initializer")
            failed = False
        finally:
            self.output += link.output.take() + hook_end("initializer", request_id, failed=failed)

    def check(self, link: Link) -> None:
        """Whether it still is as well as it was when it said so. Raises StepFailed, InstanceLost."""
        if link.life.is_lost:
            raise InstanceLost(reason="its process ended")
        if link.life.is_doomed or self._is_unwanted():
            raise StepFailed(_ended(link, None, time.monotonic() - self._times[0]))

    def succeeded(self, link: Link) -> None:
        """It takes calls from here on."""
        self.output += link.output.take()
        link.life.started()
        self._times.append(time.monotonic())

    def failed(self, link: Link, failure: StepFailed, peak: float) -> StartFailed:
        """What to raise when a step has failed; `peak`: MB."""
        self._times.append(time.monotonic())
        self.output += link.output.take()
        usage = Usage(self._times[-1] - self._times[0], peak, True, self._id)
        fault = failure.fault
        if fault.kind is FaultKind.PLATFORM:
            fault = faults.with_log(fault, self.output, lacks=self._birth.lacks())
        return StartFailed(Result(fault, failure.body, usage, startup=self.output))

    async def _step(self, link: Link, kind: int, timeout: float, what: str) -> bytes:
        """Wait for one frame of the start; its payload. A fault in it, its absence and the worker's death are user
        faults.
        """
        began = time.monotonic()
        try:
            header, payload = await link.expectation.frame(kind, timeout)
        except TimeoutError:
            raise StepFailed(self._late(link, kind, timeout, what)) from None
        except LinkClosed as closed:
            if self._is_lost(link, kind) and not self._is_unwanted():
                raise InstanceLost(reason="its process ended") from None
            raise StepFailed(_ended(link, closed.how, time.monotonic() - began)) from None
        if (failure := _read(kind, header, payload)) is None:
            return payload
        if link.life.has_outgrown(failure.fault):
            raise StepFailed(_ended(link, None, time.monotonic() - began))
        raise failure

    def _late(self, link: Link, kind: int, timeout: float, what: str) -> Fault:
        program = self._birth.init.program
        if program and kind == frames.READY:
            return faults.not_listening(timeout, program["port"])
        return faults.start_timed_out(what, timeout, link.life.peak.measure())

    def _is_lost(self, link: Link, kind: int) -> bool:
        """Whether nothing that the function did can have ended the worker."""
        return link.life.is_lost or (kind == frames.HELLO and self._birth.spec.runtime.start == "fork")


def _read(kind: int, header: list[Any], payload: bytes) -> StepFailed | None:
    """The fault that a frame of the start tells. Raises Internal for another wire than ours."""
    if kind == frames.HELLO:
        if header[0] != frames.VERSION:
            raise Internal(detail=f"the worker speaks version {header[0]} of the wire, not {frames.VERSION}")
    elif header[0] is not None:
        fault = faults.told(header[0])
        return StepFailed(
            fault if fault.kind is FaultKind.PLATFORM else fault._replace(kind=FaultKind.INIT_FAILED), payload
        )
    return None


def _ended(link: Link, how: Exit | None, duration: float) -> Fault:
    if link.life.is_exhausted:
        return link.life.out_of_memory(duration)
    peak = how.peak_memory / _MEGABYTE if how is not None else link.life.peak.megabytes
    return faults.exited(duration, peak, FaultKind.INIT_FAILED)
