"""Returns its input."""


def handler(event, context):
    return event
