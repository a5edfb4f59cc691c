"""HTTP functions: each handler is one case."""

import json


def environ(environ, start_response):
    shown = {key: value for key, value in environ.items() if isinstance(value, (str, bool, tuple))}
    shown["body"] = environ["wsgi.input"].read().decode("latin-1")
    shown["request_id"] = environ["fc.context"].request_id
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(shown).encode()]


def status(environ, start_response):
    start_response(environ["QUERY_STRING"].replace("+", " "), [("X-Mine", "1")])
    return [b"body"]


def headers(environ, start_response):
    start_response("200 OK", [
        ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Content-Length", "999"), ("Connection", "close"),
        ("Server", "mine"), ("Date", "never"), ("X-Fc-Request-Id", "forged"), ("Transfer-Encoding", "chunked"),
        ("X-Ok", "yes"), ("X-Latin", "caf\xe9"),
    ])
    return [b"body"]


def bad_header(environ, start_response):
    start_response("200 OK", [("X-Split", "a\r\nX-Injected: 1")])
    return [b"body"]


def generates(environ, start_response):
    start_response("200 OK", [])
    for number in range(1000):
        yield b"%d\n" % number


def fails_midway(environ, start_response):
    start_response("200 OK", [])
    yield b"first"
    raise RuntimeError("midway")


def writes(environ, start_response):
    write = start_response("200 OK", [])
    write(b"written ")
    return [b"returned"]


def big(environ, start_response):
    start_response("200 OK", [])
    return [b"a" * int(environ["QUERY_STRING"])]


def text(environ, start_response):
    start_response("200 OK", [])
    return "not bytes"


def forgets(environ, start_response):
    return [b"body"]


def event_style(event, context):
    return "not an HTTP handler"


def raises(environ, start_response):
    raise KeyError("missing")


def json_event(event, context):
    request = json.loads(event)
    if request["rawPath"] == "/plain":
        return "plain"
    return {"statusCode": 201, "headers": {"X-Path": request["rawPath"]}, "body": request["body"]}
