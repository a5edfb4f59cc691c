"""The files that pages load: all of them are of the package, and an address bears their digest, so that browsers keep
them for good.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

STATIC = "/console/static/"
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_FOREVER = "public, max-age=31536000, immutable"


class Assets:
    """What lies in static/, in memory."""

    def __init__(self) -> None:
        folder = Path(__file__).parent / "static"
        self._files = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in _TYPES}
        self._digest = hashlib.sha256(b"".join(self._files[name] for name in sorted(self._files))).hexdigest()[:16]

    def path(self, name: str) -> str:
        """The address of a file. Raises KeyError if there is none."""
        assert name in self._files, name
        return f"{STATIC}{self._digest}/{name}"

    async def answer(self, request: Request) -> Response:
        """One of them."""
        name = request.path_params["name"]
        data = self._files.get(name)
        if data is None or request.path_params["digest"] != self._digest:
            return PlainTextResponse("There is no such file.\n", 404)
        return Response(data, media_type=_TYPES[Path(name).suffix], headers={"cache-control": _FOREVER})
