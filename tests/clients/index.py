import json
import os


def start(context):
    print("started")  # noqa: T201  a function of a user


def handler(event, context):
    if event == b"raise":
        raise ValueError("wanted")
    if event == b"layer":
        return f"/opt has {','.join(sorted(os.listdir('/opt')))}"
    if event[:1] == b"{" and b"rawPath" in event:
        return json.dumps({"statusCode": 200, "body": event.decode()})
    return os.environ["GREETING"].encode() + b" " + event


def web(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    size = int(environ["CONTENT_LENGTH"] or 0)
    body = environ["wsgi.input"].read(size).decode()
    told = {"path": environ["PATH_INFO"], "query": environ["QUERY_STRING"], "body": body}
    return [json.dumps(told).encode()]
