"""Access keys of one data folder: a file that only its owner can read, looked at again when it has changed, so that
`pyfc keys` needs no server and no restart.
"""

from __future__ import annotations

import hmac
import json
import secrets
import string
import time
from dataclasses import dataclass
from pathlib import Path

from pyfc.auth import files
from pyfc.errors import InvalidArgument, KeyNotFound
from pyfc.model.names import Target

NAME = "keys.json"
METRICS = "metrics"
"""The scope of keys that are good for GET /metrics."""
_ALPHABET = string.ascii_letters + string.digits
_ID, _SECRET, _TOKEN = 20, 30, 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An access key. One with a security token is of a function, or good for uploads only."""

    id: str
    secret: str
    note: str = ""
    created: float = 0.0
    token: str = ""
    function: Target | None = None
    """Whose credentials these are, if they are a function's."""
    scope: str = ""
    """What alone it is good for, as a bearer token (`secret`); '' for signing whatever its holder may do."""

    def as_context(self) -> dict[str, str]:
        """As the context of a function has it."""
        return {"access_key_id": self.id, "access_key_secret": self.secret, "security_token": self.token}

    @property
    def may_manage(self) -> bool:
        """Whether it may do everything: it is one of the operator's."""
        return not self.token


class Keys:
    """The keys in a data folder."""

    def __init__(self, data_folder: Path) -> None:
        self._path = data_folder / NAME
        self._stamp: tuple[int, int] = (0, 0)
        self._keys: dict[str, Key] = {}
        self._seed = secrets.token_bytes(32)
        self._functions: dict[str, Key] = {}
        """Those of functions, by id; others at every start."""
        self.uploads = Key(id="STS." + _random(_ID), secret=_random(_SECRET), token=_random(_TOKEN))
        """What clients are given for the temporary bucket, where the name of an object is the permission."""

    def first(self) -> tuple[Key, bool]:
        """The oldest key, and whether it was made just now because there was none."""
        keys = self.all()
        return (keys[0], False) if keys else (self.create("made by the first start"), True)

    def all(self) -> list[Key]:
        """Every key that signs, the oldest first."""
        return [key for key in self.listed() if not key.scope]

    def listed(self) -> list[Key]:
        """Every key, the oldest first."""
        self._look()
        return sorted(self._keys.values(), key=lambda key: key.created)

    def opens(self, token: str, scope: str) -> bool:
        """Whether something is the bearer token of a key for this scope."""
        tokens = [key.secret for key in self.listed() if key.scope == scope]
        return any(hmac.compare_digest(each.encode(), token.encode()) for each in tokens)

    def of(self, function: Target) -> Key:
        """The credentials of a function: always the same while the server runs, so that a change of the function does
        not take them from its instances.
        """
        name, secret, token = (self._derived(kind, function) for kind in ("id", "secret", "token"))
        key = Key(id=f"STS.{name[:_ID]}", secret=secret[:_SECRET], token=token[:_TOKEN], function=function)
        return self._functions.setdefault(key.id, key)

    def _derived(self, kind: str, function: Target) -> str:
        digest = hmac.digest(self._seed, "\0".join((kind, *function)).encode(), "sha512")
        return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in digest)

    def find(self, name: str) -> Key | None:
        """The key with this id that signs."""
        if name in self._functions:
            return self._functions[name]
        if name == self.uploads.id:
            return self.uploads
        self._look()
        key = self._keys.get(name)
        return None if key is None or key.scope else key

    def create(self, note: str = "", scope: str = "") -> Key:
        """A new key."""
        self._look()
        secret = _random(_TOKEN if scope else _SECRET)
        key = Key(id="LTAI" + _random(_ID), secret=secret, note=note, created=time.time(), scope=scope)
        self._write({**self._keys, key.id: key})
        return key

    def revoke(self, name: str) -> None:
        """Forget a key. Raises KeyNotFound."""
        self._look()
        if name not in self._keys:
            raise KeyNotFound(key=name)
        self._write({other: key for other, key in self._keys.items() if other != name})

    def _look(self) -> None:
        """Read the file if it is another one than before."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            self._keys, self._stamp = {}, (0, 0)
            return
        stamp = (status.st_mtime_ns, status.st_ino)
        if stamp != self._stamp:
            try:
                self._keys = {each["id"]: Key(**each) for each in json.loads(self._path.read_bytes())}
            except (ValueError, TypeError, KeyError) as error:
                raise InvalidArgument(message=f"{self._path} is damaged: {error}; remove it to get a new key") from None
            self._stamp = stamp

    def _write(self, keys: dict[str, Key]) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        files.write(self._path, json.dumps([_kept(key) for key in keys.values()], indent=1).encode("ascii"))
        self._look()


def _kept(key: Key) -> dict[str, str | float]:
    """As the file has it."""
    kept: dict[str, str | float] = {"id": key.id, "secret": key.secret, "note": key.note, "created": key.created}
    return {**kept, "token": "", **({"scope": key.scope} if key.scope else {})}


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
