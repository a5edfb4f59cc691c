"""`pyfc.Client`: calls functions over the HTTP API."""

from pyfc.client.client import Answer as Answer
from pyfc.client.client import Client as Client

__all__ = ["Answer", "Client"]
