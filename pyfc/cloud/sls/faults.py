"""SLS's errors: a code, its status, and the JSON that clients read."""

from __future__ import annotations

import json
from types import MappingProxyType

from pyfc.cloud.faults import ServiceFault

STATUS = MappingProxyType(
    {
        "ConsumerGroupAlreadyExist": 400,
        "ConsumerGroupNotExist": 404,
        "ConsumerNotMatch": 400,
        "IndexAlreadyExist": 400,
        "IndexConfigNotExist": 404,
        "IndexInfoInvalid": 400,
        "InternalServerError": 500,
        "InvalidBodyRawSize": 400,
        "InvalidCompressType": 400,
        "InvalidCursor": 400,
        "LogStoreAlreadyExist": 400,
        "LogStoreInfoInvalid": 400,
        "LogStoreNotExist": 404,
        "MissingBodyRawSize": 400,
        "NotSupported": 404,
        "ParameterInvalid": 400,
        "PostBodyInvalid": 400,
        "PostBodyTooLarge": 400,
        "PostBodyUncompressError": 400,
        "ProjectAlreadyExist": 400,
        "ProjectNotExist": 404,
        "ProjectNotSpecified": 400,
        "ReadQuotaExceed": 403,
        "RequestTimeExpired": 400,
        "ServerBusy": 503,
        "ShardNotExist": 404,
        "SignatureNotMatch": 401,
        "Unauthorized": 401,
    }
)
"""By code. A client repeats what is answered with 5xx ten times, so nothing that its user did wrong is."""


class Fault(ServiceFault):
    """A request is answered with an error."""

    statuses = STATUS

    @property
    def body(self) -> bytes:
        """What clients read."""
        return json.dumps({"errorCode": self.code, "errorMessage": self.message}).encode()


def no_project(name: str) -> Fault:
    """There is no project of this name."""
    return Fault("ProjectNotExist", f"The Project does not exist : {name[:200]}")


def no_logstore(name: str) -> Fault:
    """The project has no logstore of this name."""
    return Fault("LogStoreNotExist", f"logstore {name[:200]} does not exist")


def internal() -> Fault:
    """Something is wrong in here."""
    return Fault("InternalServerError", "Internal error: see the server's log.")
