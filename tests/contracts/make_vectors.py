"""Writes vectors/frames.json anew, for a deliberate change of the wire: `python tests/contracts/make_vectors.py`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgpack

from pyfc.wire import frames

CASES: list[tuple[str, int, int, tuple[Any, ...], bytes]] = [
    ("hello", frames.HELLO, 0, frames.Hello(1, "python"), b""),
    (
        "init",
        frames.INIT,
        0,
        frames.Init(
            "index.handler", "", "/code", {"A": "1"}, {"region": "cn-hangzhou"}, [], "", "/src", 8, "5f2b", {}, {}, {}
        ),
        b"",
    ),
    ("ready", frames.READY, 0, frames.Ready(None), b""),
    ("ready-fault", frames.READY, 0, frames.Ready(("UNHANDLED", "no", "ValueError")), b'{"errorMessage":"no"}'),
    ("hook", frames.HOOK, 0, frames.Hook("initializer", "request-1"), b""),
    ("hook-done", frames.HOOK_DONE, 0, frames.HookDone(None), b""),
    ("invoke", frames.INVOKE, 1, frames.Invoke(False, 2, "request-1", 0, 0, 1700000000123, None, None), b"hi"),
    (
        "invoke-http",
        frames.INVOKE,
        2,
        frames.Invoke(
            False,
            0,
            "request-2",
            1,
            3,
            1700000000123,
            ("GET", "/a b", "/x/a%20b?q=1", "127.0.0.1", [["host", "localhost"]]),
            ("1:2:0:1", {"k": "v"}),
        ),
        b"",
    ),
    ("invoke-more", frames.INVOKE, 3, frames.Invoke(True, 1048577, "r", 0, 0, 0, None, None), b"x"),
    ("data", frames.DATA, 3, frames.Data(False), b"y"),
    ("credit", frames.CREDIT, 3, frames.Credit(262144), b""),
    ("cancel", frames.CANCEL, 3, frames.Cancel("disconnected"), b""),
    ("log", frames.LOG, 3, (), b"line\n"),
    ("reply", frames.REPLY, 1, frames.Reply(False, 2, None, 200, None, written=False), b"hi"),
    ("reply-http", frames.REPLY, 2, frames.Reply(False, 0, None, 404, [["Content-Type", "text/plain"]]), b""),
    ("reply-fault", frames.REPLY, 1, frames.Reply(False, 2, ("UNHANDLED", "caf\u00e9", "E"), 200, None), b"{}"),
    ("reply-more", frames.REPLY, 3, frames.Reply(True, None, None, 200, [["A", "b"]]), b""),
    ("data-out", frames.DATA, 3, frames.Data(True), b"piece"),
    ("end", frames.END, 3, frames.End(None), b""),
    ("end-fault", frames.END, 3, frames.End(("UNHANDLED", "no", "ValueError")), b""),
    ("stop", frames.STOP, 0, (), b""),
    ("fork", frames.FORK, 7, frames.Fork({"CORE": 0, "NOFILE": 1024}), b""),
    ("forked", frames.FORKED, 7, frames.Forked(12345, True), b""),
    ("forked-refused", frames.FORKED, 8, frames.Forked(-11, False), b""),
    ("exited", frames.EXITED, 0, frames.Exited(12345, 9, 10485760), b""),
    ("keep", frames.KEEP, 8, frames.Keep({"network": True}), b""),
    ("bear", frames.BEAR, 9, frames.Bear(70001, "w7", 512, 0), b""),
    ("forked-not", frames.FORKED, 9, frames.Forked(-1, False, "its import leaves a socket open"), b""),
    ("nested", frames.NESTED, 0, frames.Nested("user", {"proc": "EPERM"}), b""),
    ("exec", frames.EXEC, 10, frames.Exec({"CORE": 0}, {"uid": 70001}, ["/usr/bin/node", "x.js"], {"A": "1"}), b""),
    ("furnish", frames.FURNISH, 11, frames.Furnish({"digest": "d", "cache": "c", "packages": "", "opt": ""}), b""),
    ("furnished", frames.FURNISHED, 11, frames.Furnished(""), b""),
    ("shutdown", frames.SHUTDOWN, 0, (), b""),
]


def encoded(kind: int, call: int, header: tuple[Any, ...], payload: bytes) -> bytes:
    packed = msgpack.packb(tuple(header))
    return frames.PREFIX.pack(7 + len(packed) + len(payload), kind, call, len(packed)) + packed + payload


def main() -> None:
    rows = [
        {
            "name": name,
            "type": kind,
            "call": call,
            "header": header,
            "payload": payload.hex(),
            "frame": encoded(kind, call, header, payload).hex(),
        }
        for name, kind, call, given, payload in CASES
        for header in [given[:-1] if isinstance(given, frames.Invoke) and not given.alias else given]
    ]
    path = Path(__file__).parent / "vectors" / "frames.json"
    path.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
