"""Start a worker as a fork of its runtime's warm zygote: about a millisecond."""

from __future__ import annotations

from pyfc.errors import HostRefused
from pyfc.host.launch import LaunchSpec, Pipes, Worker
from pyfc.host.runtimes import Runtime
from pyfc.host.zygote import Zygote


class ForkLauncher:
    """Keeps one zygote per runtime; a zygote that has died is started again for the next worker."""

    def __init__(self) -> None:
        self._zygotes: dict[str, Zygote] = {}

    def prepare(self, runtime: Runtime) -> None:
        """Start the zygote ahead of its first worker; it warms up by itself."""
        self._zygote(runtime)

    async def launch(self, spec: LaunchSpec) -> Worker:
        """See Launcher."""
        try:
            pipes = Pipes()
        except OSError as error:
            raise HostRefused(reason=f"no pipes: {error.strerror}") from error
        try:
            process = await self._zygote(spec.runtime).fork(spec.limits, pipes.theirs)
        except BaseException:
            pipes.close()
            raise
        pipes.close_theirs()
        outgoing, incoming, output = pipes.ours
        return Worker(process=process, incoming=incoming, outgoing=outgoing, output=output)

    def _zygote(self, runtime: Runtime) -> Zygote:
        zygote = self._zygotes.get(runtime.name)
        if zygote is None or zygote.ended:
            zygote = self._zygotes[runtime.name] = Zygote(runtime.folder / runtime.zygote)
        return zygote

    async def close(self) -> None:
        """See Launcher."""
        for zygote in self._zygotes.values():
            await zygote.close()
