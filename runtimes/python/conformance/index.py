"""The functions of the conformance kit, which runtimes/README.md describes."""

import hashlib
import json
import logging
import threading
import time

state = {"initialized": False, "running": 0, "most": 0}
lock = threading.Lock()


def initialize(context):
    state["initialized"] = True


def freeze(context):
    print("preFreeze ran")


def stop(context):
    print("preStop ran")


def echo(event, context):
    return event


def fault(event, context):
    raise ValueError(event.decode())


def slow(event, context):
    time.sleep(int(event) / 1000)
    return "slept"


def log(event, context):
    print("printed %s" % event.decode())
    logging.getLogger().error("logged %s", event.decode())
    return "done"


def init(event, context):
    return "initialized" if state["initialized"] else "not initialized"


def binary(event, context):
    return bytes(range(256))


def big(event, context):
    return b"x" * (len(event) + 1)


def context(event, context):
    return {
        "requestId": context.request_id,
        "function": context.function.name,
        "handler": context.function.handler,
        "memory": context.function.memory,
        "timeout": context.function.timeout,
        "service": context.service.name,
        "region": context.region,
        "qualifier": context.service.qualifier,
        "accountId": context.account_id,
        "accessKeyId": context.credentials.access_key_id,
    }


def hooks(event, context):
    return "done"


def concurrency(event, context):
    with lock:
        state["running"] += 1
        state["most"] = max(state["most"], state["running"])
    time.sleep(0.3)
    with lock:
        state["running"] -= 1
    return str(state["most"])


def http(environ, start_response):
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"] or 0))
    answer = {
        "method": environ["REQUEST_METHOD"],
        "path": environ["PATH_INFO"],
        "query": environ["QUERY_STRING"],
        "header": environ["HTTP_X_SENT"],
        "body": body.decode(),
    }
    headers = [
        ("Content-Type", "application/json"),
        ("X-Conformance", "yes"),
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
    ]
    start_response("201 Created", headers)
    return [json.dumps(answer).encode()]


def stream(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"one\n"
    time.sleep(0.5)
    yield b"two\n"


def unread(environ, start_response):
    start_response("200 OK", [])
    return [b"unread"]


def pieces(environ, start_response):
    start_response("200 OK", [])
    for _ in range(int(environ["QUERY_STRING"])):
        yield b"x" * 65536


def digest(environ, start_response):
    digest = hashlib.sha256()
    while piece := environ["wsgi.input"].read(100_000):
        digest.update(piece)
        time.sleep(0.002)
    start_response("200 OK", [])
    return [digest.hexdigest().encode()]


def heads(environ, start_response):
    start_response("200 OK", [("X-Large", "x" * int(environ["QUERY_STRING"]))])
    return [b"heads"]
