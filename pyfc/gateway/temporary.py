"""The bucket of GetTempBucketToken: packages that are too large for a request come in as to an object store, and what
is wrong is told as one would, in XML.
"""

from __future__ import annotations

import secrets
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response

from pyfc.auth.digest import BodyDigest
from pyfc.blobs.objects import TEMPORARY
from pyfc.cloud.oss.asked import failure
from pyfc.cloud.oss.faults import STATUS, Fault, not_implemented
from pyfc.errors import PyfcError
from pyfc.gateway.guard import host_name
from pyfc.gateway.management import Api

_PARTS = ("uploadId", "partNumber", "append")
"""Parameters that make another operation of an upload."""


def is_meant(host: bytes, path: str) -> bool:
    """Whether an upload is for this bucket: by its host, as object stores have it, or by its path."""
    return host_name(host.decode("latin-1")).startswith(f"{TEMPORARY}.") or path.startswith(f"/{TEMPORARY}/")


async def upload(api: Api, request: Request) -> Response:
    """Keep a package. Its name, which only who may manage was told, is the permission."""
    number = secrets.token_hex(12).upper()
    try:
        digest = await _keep(api, request)
    except (PyfcError, Fault) as error:
        fault = error if isinstance(error, Fault) else _fault(error)
        told = failure(fault, number, request.headers.get("host", ""), is_head=False)
        return Response(told.body, told.status, {**told.headers, "x-oss-request-id": number})
    return Response(b"", headers={"ETag": f'"{digest.upper()}"', "x-oss-request-id": number})


async def _keep(api: Api, request: Request) -> str:
    """The MD5 of the content. Raises Fault, PyfcError."""
    for name in _PARTS:
        if name in request.query_params:
            raise not_implemented(f"PUT ?{name} in the bucket {TEMPORARY}; send the package in one piece")
    path = unquote(request.scope["raw_path"].decode("latin-1")).lstrip("/").removeprefix(f"{TEMPORARY}/")
    api.objects.check(path, api.settings.account_id)
    stated = BodyDigest(request.headers.get("content-md5", "").encode("latin-1"))
    return await api.objects.put(TEMPORARY, path, request.stream(), stated)


def _fault(error: PyfcError) -> Fault:
    """The same as OSS has it."""
    code = error.code if error.code in STATUS else "InvalidArgument" if error.status < 500 else "ServiceUnavailable"
    return Fault(code, str(error))
