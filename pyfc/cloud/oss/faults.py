"""OSS's errors: a code, its status, and the XML that clients read."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pyfc.cloud.faults import ServiceFault

STATUS = MappingProxyType(
    {
        "AccessDenied": 403,
        "BucketAlreadyExists": 409,
        "BucketNotEmpty": 409,
        "CallbackFailed": 203,
        "EntityTooLarge": 400,
        "EntityTooSmall": 400,
        "FieldItemTooLong": 400,
        "FileAlreadyExists": 409,
        "IncorrectNumberOfFilesInPOSTRequest": 400,
        "InternalError": 500,
        "InvalidAccessKeyId": 403,
        "InvalidArgument": 400,
        "InvalidBucketName": 400,
        "InvalidDigest": 400,
        "InvalidObjectName": 400,
        "InvalidPart": 400,
        "InvalidPartOrder": 400,
        "InvalidPolicyDocument": 400,
        "InvalidRange": 416,
        "InvalidTag": 400,
        "MalformedPOSTRequest": 400,
        "MalformedXML": 400,
        "MethodNotAllowed": 405,
        "MissingContentLength": 411,
        "NoSuchBucket": 404,
        "NoSuchKey": 404,
        "NoSuchUpload": 404,
        "NotImplemented": 501,
        "NotModified": 304,
        "ObjectNotAppendable": 409,
        "PositionNotEqualToLength": 409,
        "PreconditionFailed": 412,
        "RequestTimeTooSkewed": 403,
        "ServiceUnavailable": 503,
        "SignatureDoesNotMatch": 403,
    }
)
"""By code. The codes are those of OSS's documentation of its errors."""
_NOTHING: Mapping[str, str] = MappingProxyType({})


class Fault(ServiceFault):
    """A request is answered with an error."""

    statuses = STATUS

    def __init__(
        self, code: str, message: str, headers: Mapping[str, str] = _NOTHING, more: Mapping[str, str] = _NOTHING
    ) -> None:
        """`code`: one of STATUS. `headers` of the answer; `more` elements of its XML."""
        super().__init__(code, message)
        self.headers = headers
        self.more = more


def no_such_bucket(name: str) -> Fault:
    """There is no bucket of this name."""
    return Fault("NoSuchBucket", "The specified bucket does not exist.", more={"BucketName": name})


def bucket_exists(name: str) -> Fault:
    """There is a bucket of this name already; everybody's buckets are the account's."""
    text = "The requested bucket name is not available: it is one of yours already."
    return Fault("BucketAlreadyExists", text, more={"BucketName": name})


def invalid_bucket(name: str, why: str = "") -> Fault:
    """No bucket can have this name."""
    return Fault("InvalidBucketName", f"The specified bucket is not valid{why}.", more={"BucketName": name})


def no_such_key(key: str) -> Fault:
    """There is no object of this key."""
    return Fault("NoSuchKey", "The specified key does not exist.", more={"Key": key})


def no_such_upload(name: str) -> Fault:
    """There is no upload of this name, or it has ended."""
    return Fault(
        "NoSuchUpload", "The specified upload does not exist: it is complete or aborted.", more={"UploadId": name}
    )


def not_implemented(operation: str) -> Fault:
    """OSS has this operation; pyfc has not."""
    return Fault("NotImplemented", f"pyfc's object store does not have {operation}.")


def internal() -> Fault:
    """The service itself has failed."""
    return Fault("InternalError", "We encountered an internal error: see the server's log.")
