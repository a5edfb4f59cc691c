"""What subscribers are told of a message, in each of MNS's formats."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from email.utils import formatdate
from typing import NamedTuple

from pyfc.cloud.markup import document
from pyfc.cloud.mns.faults import NAMESPACE
from pyfc.model.topic import Notice

XML, JSON, SIMPLIFIED = "XML", "JSON", "SIMPLIFIED"
FORMATS = (XML, JSON, SIMPLIFIED)
_TYPES = {XML: "text/xml", JSON: "application/json", SIMPLIFIED: "text/plain"}


class Subscription(NamedTuple):
    """Who hears of what is published to a topic."""

    topic: str
    name: str
    endpoint: str
    tag: str
    strategy: str
    format: str
    created: int
    modified: int
    """Both seconds since the epoch."""


def md5(body: str) -> str:
    """MNS's digest of a body."""
    return hashlib.md5(body.encode(), usedforsecurity=False).hexdigest().upper()


def told(notice: Notice, subscription: Subscription, account: str) -> str:
    """The text that a subscriber gets."""
    if subscription.format == SIMPLIFIED:
        return notice.body
    fields: dict[str, str | int] = {
        "TopicOwner": account, "TopicName": notice.topic, "Subscriber": account,
        "SubscriptionName": subscription.name, "MessageId": notice.id, "Message": notice.body,
        "MessageMD5": md5(notice.body), **({"MessageTag": notice.tag} if notice.tag else {}),
        "PublishTime": round(notice.time * 1000),
    }  # fmt: skip
    if subscription.format == JSON:
        return json.dumps(fields, ensure_ascii=False)
    return document("Notification", fields.items(), NAMESPACE).decode()


def headers(notice: Notice, subscription: Subscription, account: str, body: bytes) -> Mapping[str, str]:
    """Those of a request to an HTTP endpoint, but for its signature; each character is a byte."""
    digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
    tag = {"x-mns-message-tag": notice.tag.encode().decode("latin-1")} if notice.tag else {}
    return {
        "Content-Type": f"{_TYPES[subscription.format]};charset=utf-8",
        "Content-MD5": base64.b64encode(digest.encode()).decode(),
        "Date": formatdate(usegmt=True),
        "x-mns-version": "2015-06-06",
        "x-mns-request-id": secrets.token_hex(12).upper(),
        "x-mns-topic-owner": account,
        "x-mns-topic-name": notice.topic,
        "x-mns-subscriber": account,
        "x-mns-subscription-name": subscription.name,
        "x-mns-publish-time": str(round(notice.time * 1000)),
        "x-mns-message-id": notice.id,
        **tag,
    }
