"""Every error pyfc raises.

1. An error knows its Function Compute code and HTTP status, so the gateway needs no mapping table.
2. The docstring of a leaf class is the form of its message; its fields are the keyword arguments.
3. A user's failing function is never an exception here: it is a `Fault` in a `Result` (model/invocation.py).

Codes, statuses and message forms are those of FC's "Error codes" page; `Retry-After` is HTTP's.
"""

from __future__ import annotations

import json
from typing import ClassVar


class PyfcError(Exception):
    """{message}"""

    code: ClassVar[str] = "InternalServerError"
    status: ClassVar[int] = 500
    retry_after: ClassVar[int | None] = None
    """Seconds after which a client may try again, sent as `Retry-After`."""

    def __init__(self, **fields: object) -> None:
        self.fields = fields
        super().__init__((type(self).__doc__ or "{message}").format(**fields))

    def document(self) -> bytes:
        """FC's error JSON (API 2016-08-15)."""
        return json.dumps({"ErrorCode": self.code, "ErrorMessage": str(self)}).encode()


class InvalidArgument(PyfcError):
    """{message}"""

    code = "InvalidArgument"
    status = 400


class EntityTooLarge(InvalidArgument):
    """payload size exceeds maximum allowed size ({limit} bytes)"""

    code = "EntityTooLarge"


class PathNotSupported(InvalidArgument):
    """'{method}' against '{path}' is not supported"""

    code = "PathNotSupported"


class NotSupportedYet(InvalidArgument):
    """{what} is not supported yet: {advice}"""


class ProjectError(InvalidArgument):
    """{where}: {message}"""


class AccessDenied(PyfcError):
    """{message}"""

    code = "AccessDenied"
    status = 403


class NotFound(PyfcError):
    """{message}"""

    status = 404


class ServiceNotFound(NotFound):
    """service '{service}' does not exist"""

    code = "ServiceNotFound"


class FunctionNotFound(NotFound):
    """function '{function}' does not exist in service '{service}'"""

    code = "FunctionNotFound"


class AliasNotFound(NotFound):
    """alias '{alias}' of service '{service}' does not exist"""

    code = "AliasNotFound"


class VersionNotFound(NotFound):
    """version '{version}' of service '{service}' does not exist"""

    code = "VersionNotFound"


class TriggerNotFound(NotFound):
    """function '{function}' in service '{service}' has no HTTP trigger: call it at {url}"""

    code = "TriggerNotFound"


class Conflict(PyfcError):
    """{message}"""

    code = "ConcurrentUpdateError"
    status = 409


class SandboxIncomplete(InvalidArgument):
    """--sandbox required, but missing here: {layers}. `pyfc doctor` tells what to do, --sandbox auto goes without"""


class DataFolderInUse(Conflict):
    """another pyfc serves from the data folder {path} (process {pid}): stop it, or give this one its own --data-dir"""


class ProgramFailed(Conflict):
    """{message}"""

    code = "CAExited"
    status = 412


class FunctionNotStarted(ProgramFailed):
    """{message}"""

    code = "FunctionNotStarted"


class ResourceExhausted(PyfcError):
    """function '{function}' of service '{service}' has no free instance: {reason}"""

    code = "ResourceExhausted"
    status = 429
    retry_after = 1


class Unavailable(PyfcError):
    """{message}"""

    code = "ResourceThrottled"
    status = 503
    retry_after = 1


class HostRefused(Unavailable):
    """this host refused a new instance: {reason}"""


class Internal(PyfcError):
    """an internal error has occurred. Please retry. ({detail})"""


class AddressInUse(Conflict):
    """{host}:{port} is taken by another program: stop it, or choose another with --port (--port 0 takes a free one)"""


class ServerUnreachable(Unavailable):
    """no pyfc answers at {endpoint} ({reason}): start one with `pyfc serve DIR`, or name it with --endpoint"""
