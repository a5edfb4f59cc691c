"""Every error pyfc raises.

1. An error knows its Function Compute code and HTTP status, so the gateway needs no mapping table.
2. The docstring of a leaf class is the form of its message; its fields are the keyword arguments.
3. A user's failing function is never an exception here: it is a `Fault` in a `Result` (model/invocation.py).

Codes, statuses and message forms are those of FC's "Error codes" page; `Retry-After` is HTTP's.
"""

from __future__ import annotations

import contextlib
import errno
import json
from collections.abc import Iterator, Sequence
from typing import ClassVar

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""What the kernel says of a disk that is full, for this user or this file."""


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
        return _compact({"ErrorCode": self.code, "ErrorMessage": str(self)})

    def newer_document(self, request_id: str) -> bytes:
        """FC's error JSON (API 2023-03-30)."""
        return _compact({"RequestId": request_id, "Code": self.code, "Message": str(self)})


def _compact(document: dict[str, str]) -> bytes:
    """Without spaces, as FC writes it: clients look into the text of errors."""
    return json.dumps(document, separators=(",", ":")).encode()


class InvalidArgument(PyfcError):
    """{message}"""

    code = "InvalidArgument"
    status = 400


class EntityTooLarge(InvalidArgument):
    """payload size exceeds maximum allowed size ({limit} bytes)"""

    code = "EntityTooLarge"


class SessionExpired(InvalidArgument):
    """the session '{session}' has ended, and cannot be begun again"""

    code = "SessionExpired"


class PathNotSupported(InvalidArgument):
    """'{method}' against '{path}' is not supported"""

    code = "PathNotSupported"


class MethodNotAllowed(PyfcError):
    """{method} is not for {path}: {advice}"""

    code = "MethodNotAllowed"
    status = 405


class NotSupportedYet(InvalidArgument):
    """{what} is not supported yet: {advice}"""


class ProjectError(InvalidArgument):
    """{where}: {message}"""


class NotInstalled(ProjectError):
    """{where}: {message}"""

    def __init__(self, *, names: Sequence[str] = (), is_unreachable: bool = False, **fields: object) -> None:
        super().__init__(**fields)
        self.names = tuple(names)
        """Packages that the installer blames, without versions."""
        self.is_unreachable = is_unreachable
        """Whether it could not reach somebody."""


class ScriptRefused(NotInstalled):
    """{where}: {package} runs code while it is installed ({line}), and nobody has allowed that: `pyfc build --yes` \
does, for this folder and as long as its manifests stay as they are"""


class NoCage(InvalidArgument):
    """installers cannot be confined on this machine: {reason}"""


class Exhausted(InvalidArgument):
    """{command} was ended: it took more than {most}"""


class OutsideProject(InvalidArgument):
    """{path} leads out of the project {root}: only what lies in it is given to functions, unless --allow-outside says \
otherwise"""


class AccessDenied(PyfcError):
    """{message}"""

    code = "AccessDenied"
    status = 403


class MissingRequiredHeader(InvalidArgument):
    """required HTTP header {header} was not specified"""

    code = "MissingRequiredHeader"


class InvalidAccessKeyID(AccessDenied):
    """invalid access key ID '{key}'"""

    code = "InvalidAccessKeyID"


class SignatureNotMatch(AccessDenied):
    """The request signature we calculated does not match the signature you provided. Check your access key and \
signing method"""

    code = "SignatureNotMatch"


class RequestTimeTooSkewed(AccessDenied):
    """the request's time '{date}' is more than 15 minutes off; it is {now} here"""

    code = "RequestTimeTooSkewed"


class SignatureUsed(AccessDenied):
    """this signature was used before: sign each request anew, with a time and a nonce of its own"""

    code = "SignatureNonceUsed"


class FunctionDisabled(AccessDenied):
    """calls of function '{function}' are disabled{reason}"""

    code = "FunctionDisabled"


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
    """trigger '{trigger}' does not exist in service '{service}' and function '{function}'"""

    code = "TriggerNotFound"


class NoHttpTrigger(TriggerNotFound):
    """function '{function}' in service '{service}' has no HTTP trigger: call it at {url}"""


class DomainNameNotFound(NotFound):
    """domain name '{domain}' does not exist"""

    code = "DomainNameNotFound"


class NoSuchRoute(NotFound):
    """domain name '{domain}' has no route for {path}"""

    code = "RouteNotFound"


class AsyncConfigNotExists(NotFound):
    """function '{function}' of service '{service}' has no asynchronous configuration for '{qualifier}'"""

    code = "AsyncConfigNotExists"


class ProvisionConfigNotFound(NotFound):
    """function '{function}' of service '{service}' has no reserved instances for '{qualifier}'"""

    code = "ProvisionConfigNotFound"


class OnDemandConfigNotFound(NotFound):
    """function '{function}' of service '{service}' has no on-demand configuration for '{qualifier}'"""

    code = "OnDemandConfigNotFound"


class ConcurrencyConfigNotFound(NotFound):
    """function '{function}' of service '{service}' has no concurrency configuration"""

    code = "ConcurrencyConfigNotFound"


class ScalingConfigNotFound(NotFound):
    """function '{function}' of service '{service}' has no scaling configuration for '{qualifier}'"""

    code = "ScalingConfigNotFound"


class LayerNotFound(NotFound):
    """layer '{layer}' does not exist"""

    code = "LayerNotFound"


class LayerVersionNotFound(NotFound):
    """version '{version}' of layer '{layer}' does not exist"""

    code = "LayerVersionNotFound"


class InvocationNotFound(NotFound):
    """there is no record of an asynchronous call '{invocation}' of function '{function}' of service '{service}'"""

    code = "StatefulAsyncInvocationNotFound"


class SessionNotFound(NotFound):
    """function '{function}' has no session '{session}'"""

    code = "SessionNotFound"


class SnapshotNotFound(NotFound):
    """there is no snapshot '{snapshot}'"""

    code = "SnapshotNotFound"


class EventSourceNotFound(NotFound):
    """'{source}' is no event source of function '{function}' of service '{service}'"""

    code = "EventSourceNotFound"


class InstanceNotFound(NotFound):
    """function '{function}' of service '{service}' has no running instance '{instance}'"""

    code = "InstanceNotFound"


class ObjectNotFound(NotFound):
    """there is no object '{name}' in bucket '{bucket}'"""

    code = "ObjectNotFound"


class KeyNotFound(NotFound):
    """there is no access key '{key}'"""

    code = "AccessKeyNotFound"


class Conflict(PyfcError):
    """{message}"""

    code = "ConcurrentUpdateError"
    status = 409


class AlreadyExists(Conflict):
    """{message}"""


class SessionAlreadyExists(AlreadyExists):
    """the session '{session}' lasts already"""

    code = "SessionAlreadyExists"


class ServiceAlreadyExists(AlreadyExists):
    """service '{service}' already exists"""

    code = "ServiceAlreadyExists"


class FunctionAlreadyExists(AlreadyExists):
    """function '{function}' already exists in service '{service}'"""

    code = "FunctionAlreadyExists"


class TriggerAlreadyExists(AlreadyExists):
    """trigger '{trigger}' already exists in service '{service}' and function '{function}'"""

    code = "TriggerAlreadyExists"


class AliasAlreadyExists(AlreadyExists):
    """alias '{alias}' of service '{service}' already exists"""

    code = "AliasAlreadyExists"


class DomainNameAlreadyExists(AlreadyExists):
    """domain name '{domain}' already exists"""

    code = "DomainNameAlreadyExists"


class InvocationAlreadyExists(AlreadyExists):
    """there is a call of this function with the id '{invocation}' already"""

    code = "StatefulAsyncInvocationAlreadyExists"


class ServiceNotEmpty(Conflict):
    """service '{service}' still has {what}: delete them first"""

    code = "ServiceNotEmpty"


class FunctionNotEmpty(Conflict):
    """function '{function}' has active triggers"""

    code = "FunctionNotEmpty"


class NothingToPublish(Conflict):
    """No changes were made since last publish"""

    code = "VersionPublishError"


class PreconditionFailed(Conflict):
    """the resource being modified has been changed"""

    code = "PreconditionFailed"
    status = 412


class SandboxIncomplete(InvalidArgument):
    """--sandbox required, but missing here: {layers}. `pyfc doctor` tells what to do, --sandbox auto goes without"""


class DataFolderInUse(Conflict):
    """another pyfc serves from the data folder {path} (process {pid}): stop it, or give this one its own --data-dir"""


class DataFolderTooNew(Conflict):
    """the data folder {path} is of version {found}, and this pyfc knows none after {known}: nothing was changed. \
Use the newer pyfc that wrote it, {back}or give this one its own --data-dir"""


class DataFolderNotTakenOver(PyfcError):
    """the data folder {path} is an older pyfc's and cannot be made version {known}: {reason}. It is as it was; \
mend that, or use the pyfc that wrote it"""


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


class QueueFull(ResourceExhausted):
    """function '{function}' of service '{service}' can be promised no more calls: {reason}"""


class InvocationNotEnded(Conflict):
    """the call '{invocation}' has not ended, it is {status}: it can be {what} when it has"""

    code = "StatefulAsyncInvocationNotEnded"


class InvocationEnded(InvalidArgument):
    """the call '{invocation}' has ended already: it is {status}"""


class Unavailable(PyfcError):
    """{message}"""

    code = "ResourceThrottled"
    status = 503
    retry_after = 1


class NotReached(Unavailable):
    """{url} was not reached: {reason}"""


class StorageFull(Unavailable):
    """what was sent cannot be kept: {reason} on the disk of the data folder. Make room; nothing of it was kept"""


class CodeLost(Unavailable):
    """the code in {path} is gone, and what it was made of is not kept: deploy it again (or start `pyfc serve` anew)"""


class HostRefused(Unavailable):
    """this host refused a new instance: {reason}"""


class NoDescriptors(HostRefused):
    """this host refused a new instance: {reason}: all descriptors that this server may have are in use (ulimit -n)"""


class InstanceLost(HostRefused):
    """an instance was lost before it had begun: {reason}"""


class Internal(PyfcError):
    """an internal error has occurred. Please retry. ({detail})"""


@contextlib.contextmanager
def keeping() -> Iterator[None]:
    """Inside, files are written into the data folder. Raises StorageFull if its disk has no room for them."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise StorageFull(reason=error.strerror or str(error)) from error


@contextlib.contextmanager
def refusing(what: str) -> Iterator[None]:
    """Inside, something of a new instance is made; `what`: what there is not if it cannot be. Raises HostRefused,
    NoDescriptors.
    """
    try:
        yield
    except OSError as error:
        refused = NoDescriptors if error.errno == errno.EMFILE else HostRefused
        raise refused(reason=f"{what}: {error.strerror or error}") from error


class AddressInUse(Conflict):
    """{host}:{port} is taken by another program: stop it, or choose another with --port (--port 0 takes a free one)"""


class ConsolePortInUse(Conflict):
    """{host}:{port}, the setting console_port, is taken by another program: stop it, or choose another port with
    --console-port (--console-port 0 takes a free one)
    """


class NotUnderstood(Unavailable):
    """what {endpoint} answers is not what a pyfc of this version would ({reason}): is it one? See --endpoint"""


class ServerUnreachable(Unavailable):
    """no pyfc answers at {endpoint} ({reason}): start one with `pyfc serve DIR`, or name it with --endpoint"""
