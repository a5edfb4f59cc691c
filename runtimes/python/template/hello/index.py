"""An event function: called with bytes, answers with text, bytes or anything that JSON can hold."""

import json
import logging


def handler(event, context):
    name = json.loads(event or b"{}").get("name", "world")
    logging.getLogger().info("greeting %s", name)
    return {"greeting": f"Hello, {name}!", "requestId": context.request_id}
