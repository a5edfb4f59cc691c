"""`pyfc.Client` and `pyfc.AsyncClient`: manage and call functions over the HTTP API."""

from pyfc.client.asynchronous import AsyncClient as AsyncClient
from pyfc.client.client import Answer as Answer
from pyfc.client.client import Client as Client
from pyfc.client.client import Collection as Collection

__all__ = ["Answer", "AsyncClient", "Client", "Collection"]
