"""The ground that public sample functions cover: trigger events as text, payloads, a checker of connections."""

import json
import logging
import socket


def trigger(event, context):
    logger = logging.getLogger()
    logger.info("event: %s", event)
    return "mns_topic trigger event = {}".format(event)


def timer(event, context):
    return "Timer Payload: " + json.loads(event)["payload"]


def check(host, port):
    try:
        with socket.create_connection((host, port), timeout=1):
            return {"Available": True}
    except OSError as error:
        return {"Available": False, "Reason": str(error)}


def event_checker(event, context):
    target = json.loads(event)
    return check(target.get("host", "127.0.0.1"), target.get("port", 1))


def http_checker(environ, start_response):
    size = int(environ.get("CONTENT_LENGTH") or 0)
    target = json.loads(environ["wsgi.input"].read(size) or b"{}")
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(check(target.get("host", "127.0.0.1"), target.get("port", 1)), indent=4).encode()]
