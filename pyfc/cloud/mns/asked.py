"""One request to an operation of the message service, and its answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple
from xml.etree.ElementTree import Element

from pyfc.auth.keys import Key
from pyfc.cloud import markup
from pyfc.cloud.markup import Node, document, texts
from pyfc.cloud.mns.faults import NAMESPACE, Fault
from pyfc.cloud.mns.messages import Messages
from pyfc.cloud.mns.model import Kind, Resource, whole
from pyfc.cloud.mns.request import Sent
from pyfc.cloud.mns.signing import Signing
from pyfc.cloud.mns.store import Store
from pyfc.cloud.mns.topics import Topics
from pyfc.outgoing.client import Outgoing

_NONE: Mapping[str, str] = MappingProxyType({})


class Answer(NamedTuple):
    """What is answered."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = _NONE


class Environment(NamedTuple):
    """What every operation works with."""

    store: Store
    messages: Messages
    topics: Topics
    account: str
    region: str
    led_by: Callable[[Key], int]
    """How many calls have led to what the holder of a key does."""
    signing: Signing
    outgoing: Outgoing


class Asked(NamedTuple):
    """One request."""

    environment: Environment
    sent: Sent
    names: tuple[str, ...]
    """What the path names: a queue, a topic, a subscription."""
    gone: Callable[[], Awaitable[object]]
    """Ends when the client does."""
    depth: int
    """How many calls led to it."""
    reaches_out: bool
    """Whether addresses that it names may be asked for it."""

    def resource(self, kind: Kind) -> Resource:
        """The queue or topic that is named. Raises Fault QueueNotExist, TopicNotExist."""
        return self.environment.store.resource(kind, self.names[0])

    def element(self, *roots: str) -> Element:
        """The body. Raises Fault MalformedXML."""
        try:
            return markup.read(self.sent.body, *roots)
        except markup.Malformed as error:
            raise Fault("MalformedXML", str(error)) from None

    def fields(self, root: str, *names: str) -> dict[str, str]:
        """The texts of a body that may be missing; '' for one that is not there. Raises Fault MalformedXML."""
        return texts(self.element(root), *names) if self.sent.body.strip() else dict.fromkeys(names, "")

    def number(self, name: str, usual: int, least: int, most: int) -> int:
        """A parameter, by its name in lower case. Raises Fault InvalidArgument."""
        return whole(name, self.sent.query.get(name, ""), usual, least, most)

    def url(self, path: str) -> str:
        """Where clients find something."""
        return f"http://{self.sent.host}{path}"


def answer(name: str, children: Iterable[Node], status: int = 200) -> Answer:
    """XML."""
    return Answer(status, document(name, children, NAMESPACE))


def made(asked: Asked, path: str, *, is_new: bool) -> Answer:
    """Something is there, now or since before."""
    return Answer(201 if is_new else 204, headers={"Location": asked.url(path)})
