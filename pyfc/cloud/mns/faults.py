"""MNS's errors: a code, its status, and the XML that clients read."""

from __future__ import annotations

from types import MappingProxyType

from pyfc.cloud.faults import ServiceFault
from pyfc.cloud.markup import document

NAMESPACE = "http://mns.aliyuncs.com/doc/v1/"
_OF_ERRORS = "http://mns.aliyuncs.com/doc/v1"
"""The client for Java reads errors in this one alone, and looks at none elsewhere."""
STATUS = MappingProxyType(
    {
        "AccessDenied": 403,
        "EndpointInvalid": 400,
        "InternalError": 500,
        "InvalidAccessKeyId": 403,
        "InvalidArgument": 400,
        "InvalidAuthorizationHeader": 400,
        "InvalidDateHeader": 400,
        "InvalidDegist": 400,
        "InvalidRequestURL": 400,
        "MalformedXML": 400,
        "MessageNotExist": 404,
        "MissingAuthorizationHeader": 400,
        "MissingReceiptHandle": 400,
        "MissingVisibilityTimeout": 400,
        "QueueAlreadyExist": 409,
        "QueueNameLengthError": 400,
        "QueueNotExist": 404,
        "ReceiptHandleError": 400,
        "ServiceUnavailable": 503,
        "SignatureDoesNotMatch": 403,
        "SubscriptionAlreadyExist": 409,
        "SubscriptionNameLengthError": 400,
        "SubscriptionNotExist": 404,
        "TimeExpired": 408,
        "TopicAlreadyExist": 409,
        "TopicNameLengthError": 400,
        "TopicNotExist": 404,
    }
)
"""By code, spelt as MNS does."""


class Fault(ServiceFault):
    """A request is answered with an error."""

    statuses = STATUS

    def body(self, request_id: str, host: str) -> bytes:
        """What clients read."""
        told = (("Code", self.code), ("Message", self.message), ("RequestId", request_id), ("HostId", host))
        return document("Error", told, _OF_ERRORS)


def internal() -> Fault:
    """The service itself has failed."""
    return Fault("InternalError", "The message service has failed: see the server's log.")


def no_message() -> Fault:
    """A queue has none that could be received, or a handle is not good any more."""
    return Fault("MessageNotExist", "Message not exist.")
