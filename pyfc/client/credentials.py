"""Where clients find a key: in the environment, by the names that FC's own clients use, or beside a server of the same
user on this machine, which leaves word of where its data folder is.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from pyfc.auth.keys import Key, Keys
from pyfc.settings import state_folder

_NAMES = (
    ("PYFC_ACCESS_KEY_ID", "PYFC_ACCESS_KEY_SECRET", "PYFC_SECURITY_TOKEN"),
    ("ACCESS_KEY_ID", "ACCESS_KEY_SECRET", "SECURITY_TOKEN"),
    ("ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET", "ALIBABA_CLOUD_SECURITY_TOKEN"),
)
"""pyfc's own, Funcraft's, those of the SDKs."""


def find(endpoint: str, environment: Mapping[str, str] = os.environ) -> Key | None:
    """The key for a server; None if none is known."""
    own = _NAMES[0]
    if environment.get(own[0]):
        return _from(environment, own)
    folder = data_folder(endpoint)
    if folder is not None:
        with contextlib.suppress(OSError):
            keys = Keys(folder).all()
            return keys[0] if keys else None
    return next((_from(environment, names) for names in _NAMES[1:] if environment.get(names[0])), None)


def _from(environment: Mapping[str, str], names: tuple[str, str, str]) -> Key:
    name, secret, token = (environment.get(each, "") for each in names)
    return Key(id=name, secret=secret, token=token)


def _place(endpoint: str) -> Path:
    """The word that a server at this address leaves."""
    parts = urlsplit(endpoint)
    return state_folder() / "servers" / f"{parts.port or (443 if parts.scheme == 'https' else 80)}.json"


def data_folder(endpoint: str) -> Path | None:
    """The data folder of a server of this user that serves at `endpoint`, as far as it has left word."""
    host = urlsplit(endpoint).hostname or ""
    if host not in {"127.0.0.1", "localhost", "::1", "0.0.0.0"} and not host.endswith(".localhost"):  # noqa: S104
        return None
    try:
        return Path(json.loads(_place(endpoint).read_bytes())["dataFolder"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


@contextlib.contextmanager
def announced(endpoint: str, folder: Path) -> Iterator[None]:
    """Meanwhile clients of the same user find the key of the server at `endpoint`."""
    place = _place(endpoint)
    new = place.with_name(f"{place.name}.{os.getpid()}")
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new.write_text(json.dumps({"endpoint": endpoint, "dataFolder": str(folder.resolve()), "pid": os.getpid()}))
        new.replace(place)  # whole, for who reads it meanwhile
    except OSError:
        yield  # then its user has to name the key
        return
    try:
        yield
    finally:
        with contextlib.suppress(OSError, ValueError, KeyError):
            if json.loads(place.read_bytes())["pid"] == os.getpid():
                place.unlink()
