"""Initializers: each pair is one case."""

import time

STARTS = []

print("imported")


def initializer(context):
    print("initializing")
    STARTS.append(context.request_id)


def handler(event, context):
    return {"starts": STARTS, "request_id": context.request_id}


def failing(context):
    raise RuntimeError("the initializer failed")


def slow(context):
    time.sleep(60)


def leaving(context):
    raise SystemExit(1)
