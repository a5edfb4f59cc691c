"""What functions cost: the bill of a month, and trials with other memory sizes."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from pyfc.errors import InvalidArgument
from pyfc.gateway import bills
from pyfc.gateway.management import Api, json_response, read_body, read_document
from pyfc.model.names import LATEST, Target, whole
from pyfc.supervisor.trials import MOST_CALLS, Trial
from pyfc.tasks import Tasks, while_alive

_MEMORY = range(128, 32769, 64)
_WARM = 5
_MOST_PRICES = 1024 * 1024


class Costs:
    """The paths of what functions cost."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._tasks = Tasks()

    async def bill(self, request: Request) -> Response:
        """What has been used in a month, and what it would cost; by a price table if one is sent."""
        body = await read_body(request, _MOST_PRICES)
        prices = read_document(body) if body.strip() else None
        api = self._api
        return json_response(await bills.document(api.metrics, api.table(), dict(request.query_params), prices))

    async def tune(self, request: Request) -> Response:
        """Run a function with the event that is sent, in an instance of `memory` MB: once cold, `warm` times after
        that. It ends when the client leaves.
        """
        trial = _trial(request)._replace(event=await read_body(request, self._api.settings.maximum_body))
        listening = self._tasks.begin(f"the client that tunes {trial.target.function}", _left(request))
        try:
            return json_response(await while_alive(listening, self._api.trials.run(trial)))
        finally:
            listening.cancel()


def _trial(request: Request) -> Trial:
    """What is to be tried, but for the event. Raises InvalidArgument."""
    names, query = request.path_params, request.query_params
    target = Target(names["service"], names["function"], query.get("qualifier") or LATEST)
    memory, warm = whole(query.get("memory", "")), whole(query.get("warm", str(_WARM)))
    if memory is None or memory not in _MEMORY:
        raise InvalidArgument(message="memory must be 128 to 32768 (MB), in steps of 64")
    if warm is None or not 0 < warm <= MOST_CALLS:
        raise InvalidArgument(message=f"warm must be 1 to {MOST_CALLS}: calls after the one that is cold")
    return Trial(target, memory, b"", warm)


async def _left(request: Request) -> None:
    """Return when the client has gone; its body has been read."""
    await request.receive()
