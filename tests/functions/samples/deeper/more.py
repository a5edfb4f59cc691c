"""A module in a folder of the code."""

from deeper.text import TEXT


def handler(event, context):
    return TEXT
