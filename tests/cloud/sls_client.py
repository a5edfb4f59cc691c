"""A client of the log service, which signs by version 1 as that of Python does."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from email.utils import formatdate
from typing import Any
from urllib.parse import urlencode

from pyfc.auth.keys import Key, Keys
from pyfc.cloud.sls.groups import Labels, Log, write_group
from support import Response, Server

PROJECT = "web-logs"
LOGSTORE = "access"
LABELS = Labels("topic", "10.0.0.1")


class Answer(Response):
    @property
    def code(self) -> str:
        return str(self.json["errorCode"])


class Client:
    def __init__(self, server: Server, project: str = PROJECT) -> None:
        self.server = server
        self.project = project
        self.key: Key | None = Keys(server.data_dir).first()[0]

    def __call__(
        self, method: str, path: str, query: dict[str, Any] | None = None, body: Any = None, **headers: str
    ) -> Answer:
        """`body`: bytes, or what is sent as JSON."""
        query = {name: str(value) for name, value in (query or {}).items()}
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        fields = {"host": f"{self.project}.cn-hangzhou.log.aliyuncs.com", "x-log-apiversion": "0.6.0"}
        fields |= {name.replace("_", "-").lower(): value for name, value in headers.items()}
        if self.key is not None:
            self._sign(self.key, method, path, query, data, fields)
        return Answer.lowered(
            self.server.request(method, f"{path}?{urlencode(query)}" if query else path, data, fields)
        )

    def _sign(
        self, key: Key, method: str, path: str, query: dict[str, str], data: bytes, fields: dict[str, str]
    ) -> None:
        fields |= {"x-log-signaturemethod": "hmac-sha1", "date": formatdate(usegmt=True)}
        if data:
            fields.setdefault("content-type", "application/json")
            fields["content-md5"] = hashlib.md5(data).hexdigest().upper()
        own = "".join(f"{each}:{fields[each]}\n" for each in sorted(fields) if each.startswith(("x-log-", "x-acs-")))
        resource = path + ("?" + "&".join(f"{name}={query[name]}" for name in sorted(query)) if query else "")
        head = (method, fields.get("content-md5", ""), fields.get("content-type", ""), fields["date"])
        text = "\n".join(head) + f"\n{own}{resource}"
        digest = hmac.new(key.secret.encode(), text.encode(), hashlib.sha1).digest()
        fields["authorization"] = f"LOG {key.id}:{base64.b64encode(digest).decode()}"

    def put(self, *logs: Log, labels: Labels = LABELS, logstore: str = LOGSTORE) -> Answer:
        """PutLogs."""
        return self("POST", f"/logstores/{logstore}/shards/lb", body=write_group(labels, logs))

    def cursor(self, begin: object, logstore: str = LOGSTORE) -> str:
        """GetCursor."""
        return str(self("GET", f"/logstores/{logstore}/shards/0", {"type": "cursor", "from": begin}).json["cursor"])

    def pull(self, cursor: str, logstore: str = LOGSTORE, **headers: str) -> Answer:
        """PullLogs."""
        query = {"type": "log", "cursor": cursor, "count": 100}
        return self("GET", f"/logstores/{logstore}/shards/0", query, accept="application/x-protobuf", **headers)
