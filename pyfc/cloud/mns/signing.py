"""How endpoints see that a message comes from the message service: MNS's signature of what it pushes.

1. A data folder has a key pair of its own, made when it is first needed. The certificate is the server's, and is served
   where `x-mns-signing-cert-url` says; it is not one of Alibaba Cloud's.
2. What is signed is MNS's text (its page on HTTP endpoints): method, Content-MD5, Content-Type, Date, the x-mns-
   headers by name, path and query; by RSA with SHA-1.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from pyfc.auth import files
from pyfc.calls.paths import OURS
from pyfc.errors import InvalidArgument

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

NAME = "mns-signing.pem"
"""The file of the data folder with both keys."""
PATH = f"{OURS}/mns/certificate.pem"
_BITS, _YEARS = 2048, 30
_SIGNED = ("content-md5", "content-type", "date")


class _Pair(NamedTuple):
    key: RSAPrivateKey
    certificate: bytes
    """As PEM."""


class Signing:
    """That of one server."""

    def __init__(self, folder: Path, endpoint: Callable[[], str]) -> None:
        """`endpoint`: the server's own address."""
        self._path = folder / NAME
        self._endpoint = endpoint
        self._pair: _Pair | None = None
        self._turn = asyncio.Lock()

    async def certificate(self) -> bytes:
        """What endpoints check signatures by, as PEM. Raises InvalidArgument for a damaged file, OSError."""
        return (await self._keys()).certificate

    async def signed(self, url: str, headers: Mapping[str, str]) -> Mapping[str, str]:
        """The headers of a POST, with its signature. Raises as `certificate` does."""
        pair = await self._keys()
        place = base64.b64encode(f"{self._endpoint()}{PATH}".encode()).decode()
        whole = {**headers, "x-mns-signing-cert-url": place}
        signature = _signature(pair.key, text_of(url, whole))
        return {**whole, "Authorization": base64.b64encode(signature).decode()}

    async def _keys(self) -> _Pair:
        async with self._turn:
            if self._pair is None:
                self._pair = await asyncio.to_thread(_kept, self._path)
            return self._pair


def text_of(url: str, headers: Mapping[str, str]) -> bytes:
    """What is signed of a POST."""
    found = {name.lower(): value for name, value in headers.items()}
    own = sorted(f"{name}:{value}" for name, value in found.items() if name.startswith("x-mns-"))
    parts = urlsplit(url)
    resource = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    return "\n".join(["POST", *(found.get(name, "") for name in _SIGNED), *own, resource]).encode("latin-1")


def _signature(key: RSAPrivateKey, text: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15  # noqa: PLC0415  see _kept
    from cryptography.hazmat.primitives.hashes import SHA1  # noqa: PLC0415

    return key.sign(text, PKCS1v15(), SHA1())  # noqa: S303  MNS's


def _kept(path: Path) -> _Pair:
    """The pair in a file, made if there is none."""
    from cryptography import x509  # noqa: PLC0415  80 ms that only who pushes to endpoints should wait for
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        Encoding,
        load_pem_private_key,
    )

    if not path.exists():
        files.write(path, _made())
    text = path.read_bytes()
    try:
        key, certificate = load_pem_private_key(text, None), x509.load_pem_x509_certificate(text)
    except (ValueError, TypeError) as error:
        raise InvalidArgument(message=f"{path} is damaged: {error}; remove it to get new keys") from None
    if not isinstance(key, RSAPrivateKey) or key.public_key() != certificate.public_key():
        raise InvalidArgument(message=f"{path} is damaged: its keys do not belong together; remove it to get new ones")
    return _Pair(key, certificate.public_bytes(Encoding.PEM))


def _made() -> bytes:
    """A new pair: key and certificate as PEM."""
    from cryptography import x509  # noqa: PLC0415  see _kept
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        Encoding,
        NoEncryption,
        PrivateFormat,
    )
    from cryptography.x509.oid import NameOID  # noqa: PLC0415

    key = rsa.generate_private_key(public_exponent=65537, key_size=_BITS)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pyfc message service")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365 * _YEARS))
        .sign(key, SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private + certificate.public_bytes(Encoding.PEM)
