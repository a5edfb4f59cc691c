"""Which server a person means: `--endpoint`, the environment, a profile (`pyfc config`), Funcraft's and fcli's file, or
this machine's port 8000.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from pyfc.auth.keys import Key
from pyfc.errors import InvalidArgument

DEFAULT_ENDPOINT = "http://127.0.0.1:8000"
_FCLI = ".fcli/config.yaml"
_FIELDS = ("endpoint", "access_key_id", "access_key_secret")


class Choice(NamedTuple):
    """A server, the key for it if one is known, and who says so."""

    endpoint: str
    key: Key | None
    source: str


def path(environment: Mapping[str, str] = os.environ) -> Path:
    """The file of profiles: `$XDG_CONFIG_HOME/pyfc/profiles.json`."""
    base = environment.get("XDG_CONFIG_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".config") / "pyfc" / "profiles.json"


def read() -> dict[str, Any]:
    """`profiles` by name, and the `current` one. Raises InvalidArgument for a file that is damaged."""
    try:
        found = json.loads(path().read_bytes())
        return {"current": str(found["current"]), "profiles": dict(found["profiles"])}
    except FileNotFoundError:
        return {"current": "", "profiles": {}}
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidArgument(message=f"{path()} is damaged ({error}): mend or remove it") from None


def write(profiles: dict[str, Any]) -> None:
    """Keep them, for their owner's eyes only."""
    place = path()
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = place.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_text(json.dumps(profiles, indent=1))
    new.replace(place)


def chosen(environment: Mapping[str, str] = os.environ) -> Choice:
    """The server that is meant when nobody says which."""
    for name in ("PYFC_ENDPOINT", "FC_ENDPOINT"):
        if environment.get(name):
            return Choice(environment[name], None, name)
    profiles = read()
    profile = profiles["profiles"].get(profiles["current"])
    if profile is not None:
        endpoint, name, secret = (str(profile.get(field, "")) for field in _FIELDS)
        key = Key(id=name, secret=secret) if name else None
        return Choice(endpoint or DEFAULT_ENDPOINT, key, f"profile {profiles['current']}")
    return _of_fcli() or Choice(DEFAULT_ENDPOINT, None, "default")


def _of_fcli() -> Choice | None:
    """What Funcraft and fcli were configured with, if that is another server than Alibaba's."""
    try:
        found = yaml.safe_load((Path.home() / _FCLI).read_bytes())
        endpoint = str(found["endpoint"])
    except (OSError, yaml.YAMLError, TypeError, KeyError):
        return None
    if "aliyuncs.com" in endpoint or not endpoint.startswith("http"):
        return None
    name, secret = str(found.get("access_key_id") or ""), str(found.get("access_key_secret") or "")
    return Choice(endpoint, Key(id=name, secret=secret) if name else None, f"~/{_FCLI}")
