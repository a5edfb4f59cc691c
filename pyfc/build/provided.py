"""What FC's images of Python and Node.js have beside the language: by which name it is imported, and what is installed
for it. Every package is of one version for each Python; those that come as source, and so run code while they are
installed, are known by the SHA-256 of the archive, whatever it says of itself.
"""

from __future__ import annotations

import hashlib
import io
import stat
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from pyfc import nofollow
from pyfc.errors import InvalidArgument

_LARGEST = 16 * 1024 * 1024


class Pin(NamedTuple):
    """A version of a package."""

    package: str
    version: str
    modules: tuple[str, ...]
    """Names by which it is imported; of namespaces with the next part."""
    since: str = ""
    """The first Python that it is for; '' for the first there is."""
    sha256: str = ""
    """Of the archive, if it comes as source."""


PYTHON = (
    Pin("oss2", "2.19.1", ("oss2",), sha256="a8ab9ee7eb99e88a7e1382edc6ea641d219d585a7e074e3776e9dec9473e59c1"),
    Pin("aliyun-fc2", "2.5.2", ("fc2",), sha256="f1d4908942b68d27a0362d043f97dbac7c98739b222e4c6ac4d577a3451ea894"),
    Pin("aliyun-mns", "1.1.5", ("mns",), sha256="7722725874480985d1576f17d244f48bbfa3cee3c68910a0bc6f21c606f0c817"),
    Pin("crcmod", "1.7", ("crcmod",), sha256="dc7051a0db5f2bd48665a990d3ec1cc305a466a77358ca4492826f41f283601e"),
    Pin("cbor", "1.0.0", ("cbor",), sha256="13225a262ddf5615cbd9fd55a76a0d53069d18b07d2e9f19c39e6acb8609bbb6"),
    Pin(
        "aliyun-log-python-sdk", "0.9.52", ("aliyun.log",),
        sha256="8c1efd5e9f48fb8ae694c9701d6cfe80354bd5a06817d708e79128d3616b4a10",
    ),
    Pin("tablestore", "6.4.8", ("tablestore",), "3.8"),
    Pin("aliyun-python-sdk-core", "2.16.1", ("aliyunsdkcore",), "3.7"),
    Pin("aliyun-python-sdk-ecs", "4.24.83", ("aliyunsdkecs",)),
    Pin("aliyun-python-sdk-vpc", "3.0.48", ("aliyunsdkvpc",)),
    Pin("aliyun-python-sdk-rds", "2.7.53", ("aliyunsdkrds",)),
    Pin("aliyun-python-sdk-kms", "2.16.5", ("aliyunsdkkms",)),
    Pin("aliyun-python-sdk-cdn", "3.8.8", ("aliyunsdkcdn",)),
    Pin("aliyun-python-sdk-ram", "3.3.1", ("aliyunsdkram",)),
    Pin("aliyun-python-sdk-sts", "3.1.3", ("aliyunsdksts",)),
    Pin("aliyun-python-sdk-iot", "8.59.0", ("aliyunsdkiot",)),
    Pin("Wand", "0.6.13", ("wand",)),
    Pin("numpy", "1.19.5", ("numpy",)),
    Pin("numpy", "1.24.4", ("numpy",), "3.8"),
    Pin("numpy", "1.26.4", ("numpy",), "3.9"),
    Pin("numpy", "2.2.6", ("numpy",), "3.13"),
    Pin("scipy", "1.5.4", ("scipy",)),
    Pin("scipy", "1.10.1", ("scipy",), "3.8"),
    Pin("scipy", "1.13.1", ("scipy",), "3.9"),
    Pin("scipy", "1.15.3", ("scipy",), "3.13"),
    Pin("matplotlib", "3.3.4", ("matplotlib",)),
    Pin("matplotlib", "3.7.5", ("matplotlib",), "3.8"),
    Pin("matplotlib", "3.9.4", ("matplotlib",), "3.9"),
    Pin("opencv-python-headless", "4.10.0.84", ("cv2",), "3.7"),
    Pin("Scrapy", "2.6.3", ("scrapy",)),
    Pin("Scrapy", "2.11.2", ("scrapy",), "3.8"),
    Pin("PyMySQL", "1.0.2", ("pymysql",)),
    Pin("PyMySQL", "1.1.1", ("pymysql",), "3.7"),
    Pin("elasticsearch", "7.17.9", ("elasticsearch",)),
    Pin("elasticsearch", "8.13.2", ("elasticsearch",), "3.7"),
    Pin("Pillow", "8.4.0", ("PIL",)),
    Pin("Pillow", "10.4.0", ("PIL",), "3.8"),
    Pin("pyOpenSSL", "22.0.0", ("OpenSSL",)),
    Pin("pyOpenSSL", "24.2.1", ("OpenSSL",), "3.7"),
    Pin("redis", "4.3.6", ("redis",)),
    Pin("redis", "5.0.8", ("redis",), "3.7"),
    Pin("requests", "2.27.1", ("requests",)),
    Pin("requests", "2.32.3", ("requests",), "3.8"),
    Pin("setuptools", "59.6.0", ("setuptools", "pkg_resources")),
    Pin("setuptools", "75.3.2", ("setuptools", "pkg_resources"), "3.8"),
    Pin("six", "1.17.0", ("six",)),
    Pin("chardet", "4.0.0", ("chardet",)),
    Pin("chardet", "5.2.0", ("chardet",), "3.7"),
    Pin("idna", "3.10", ("idna",)),
    Pin("urllib3", "1.26.20", ("urllib3",)),
    Pin("certifi", "2025.4.26", ("certifi",)),
    Pin("pytz", "2025.2", ("pytz",)),
    Pin("simplejson", "3.20.1", ("simplejson",)),
    Pin("python-dateutil", "2.9.0.post0", ("dateutil",)),
    Pin("jmespath", "0.10.0", ("jmespath",)),
    Pin("jmespath", "1.0.1", ("jmespath",), "3.7"),
    Pin("pycryptodome", "3.22.0", ("Crypto",), "3.7"),
    Pin("PyYAML", "6.0.1", ("yaml",)),
    Pin("PyYAML", "6.0.2", ("yaml",), "3.8"),
    Pin("lxml", "5.4.0", ("lxml",)),
)  # fmt: skip
NODE = {
    "raw-body": "2.5.2", "body": "5.1.0", "co": "4.6.0", "gm": "1.25.1", "ali-oss": "6.23.0", "aliyun-sdk": "1.12.10",
    "@alicloud/fc2": "2.6.6", "ali-mns": "2.6.8", "tablestore": "5.6.5",
}  # fmt: skip
"""Versions of packages of npm, by their names."""


def modules() -> dict[str, str]:
    """The packages of Python, by the name that is imported."""
    return {module: pin.package for pin in PYTHON for module in pin.modules}


def words(package: str) -> list[str]:
    """What pip is asked for: one version for each range of Python."""
    pins = sorted((pin for pin in PYTHON if pin.package == package), key=lambda pin: _number(pin.since))
    found = []
    for pin, following in zip(pins, [*pins[1:], None], strict=True):
        ends = [f"python_version >= '{pin.since}'"] if pin.since else []
        ends += [f"python_version < '{following.since}'"] if following is not None else []
        found.append("; ".join([f"{package}=={pin.version}", *([" and ".join(ends)] if ends else [])]))
    return found


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split("."))) if version else ()


_SOURCES = frozenset(pin.sha256 for pin in PYTHON if pin.sha256)


def is_expected(folder: Path, archives: Iterable[Path], root: Path) -> bool:
    """Whether a folder below `root` holds what one of these archives, of a known digest, does, and nothing else.
    Strangers may have written all of it: no link is followed.
    """
    try:
        held = _held(folder, root)
        return any(held == _packed(data) for data in _known(archives, root))
    except (OSError, InvalidArgument, tarfile.TarError):
        return False


def _known(archives: Iterable[Path], root: Path) -> Iterator[bytes]:
    for archive in archives:
        with open(nofollow.open_below(root, archive), "rb") as file:
            data = file.read(_LARGEST)
        if hashlib.sha256(data).hexdigest() in _SOURCES:
            yield data


def _packed(data: bytes) -> dict[str, bytes]:
    """The files of an archive, without the one folder that holds them all."""
    found = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isreg() else None
            if file is not None:
                found[member.name.partition("/")[2]] = file.read()
    return found


def _held(folder: Path, root: Path) -> dict[str, bytes]:
    """The files of a folder. Raises InvalidArgument for what is neither file nor folder, and for too much of it."""
    found, room = {}, 4 * _LARGEST
    if not folder.is_relative_to(root):
        raise InvalidArgument(message=f"{folder} is not in {root}")
    for entry in nofollow.walk(folder):
        room -= entry.status.st_size
        if room < 0 or (not stat.S_ISREG(entry.status.st_mode) and not stat.S_ISDIR(entry.status.st_mode)):
            raise InvalidArgument(message=f"{entry.path} is not of an archive")
        if stat.S_ISREG(entry.status.st_mode):
            with open(nofollow.open_plain(entry.name, entry.parent), "rb") as file:
                found[entry.path] = file.read(_LARGEST)
    return found
