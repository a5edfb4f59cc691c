"""Texts in SLS's SQL: their parts, patterns, URLs, hashes and addresses of networks."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

_LONGEST = 100_000
"""Characters that a pattern is tried on, and that a text is made long."""
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _text(work: Callable[..., Any]) -> Callable[..., Any]:
    """A function of texts that is NULL for NULL."""
    return lambda *values: None if None in values else work(*map(str, values))


def _split_part(text: str, mark: str, place: str) -> str | None:
    parts = text.split(mark) if mark else [text]
    return parts[int(place) - 1] if 0 < int(place) <= len(parts) else None


def _regexp_extract(text: str, pattern: str, group: str = "0") -> str | None:
    found = re.search(pattern, text[:_LONGEST])
    return None if found is None else found[int(group)]


def _parameter(address: str, name: str) -> str | None:
    return next(iter(parse_qs(urlsplit(address).query).get(name, [])), None)


def _concat(*values: Any) -> str | None:
    return None if None in values else "".join(map(str, values))


def _groups(text: str) -> str:
    """A replacement as Python writes it: SLS's groups are $1, and its \\ means itself."""
    return re.sub(r"\$(\d)", r"\\g<\1>", text.replace("\\", "\\\\"))


def _padded(text: str, size: str, filling: str) -> str:
    """What stands beside a text of this size."""
    missing = min(int(size), _LONGEST) - len(text)
    return (filling * missing)[:missing] if missing > 0 else ""


def _lpad(text: str, size: str, filling: str = " ") -> str:
    return _padded(text, size, filling) + text[: int(size)]


def _rpad(text: str, size: str, filling: str = " ") -> str:
    return text[: int(size)] + _padded(text, size, filling)


def _concat_ws(mark: Any, *values: Any) -> str | None:
    return None if mark is None else str(mark).join(str(each) for each in values if each is not None)


def _distance(one: str, two: str) -> int:
    """How many characters are to be put in, taken out or changed (Levenshtein)."""
    one, two = one[:1000], two[:1000]
    row = list(range(len(two) + 1))
    for place, letter in enumerate(one, 1):
        before, row[0] = row[0], place
        for column, other in enumerate(two, 1):
            before, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, before + (letter != other))
    return row[-1]


def _of_bytes(work: Callable[[bytes], Any]) -> Callable[[Any], Any]:
    """A function of bytes, or of a text that stands for its own, which is NULL for NULL."""

    def made(value: Any) -> Any:
        return None if value is None else work(value if isinstance(value, bytes) else str(value).encode())

    return made


def _hashed(name: str) -> Callable[[Any], Any]:
    return _of_bytes(lambda data: hashlib.new(name, data, usedforsecurity=False).digest())


def _network(prefix: str) -> Network:
    return ipaddress.ip_network(prefix, strict=False)


def _ip_prefix(address: str, bits: str) -> str:
    return str(_network(f"{address}/{int(bits)}"))


def _is_subnet_of(prefix: str, address: str) -> bool:
    inner, outer = _network(address), _network(prefix)
    if inner.version != outer.version:
        return False
    ends = int(outer[0]), int(outer[-1])
    return ends[0] <= int(inner[0]) and int(inner[-1]) <= ends[1]


def _ip_to_domain(address: str) -> str:
    return "internet" if ipaddress.ip_address(address).is_global else "intranet"


FUNCTIONS: Mapping[str, tuple[Callable[..., Any], tuple[int, ...]]] = {
    "split_part": (_text(_split_part), (3,)), "strpos": (_text(lambda text, part: text.find(part) + 1), (2,)),
    "regexp_like": (_text(lambda text, pattern: bool(re.search(pattern, text[:_LONGEST]))), (2,)),
    "regexp_extract": (_text(_regexp_extract), (2, 3)),
    "regexp_replace": (_text(lambda text, pattern, by="": re.sub(pattern, _groups(by), text[:_LONGEST])), (2, 3)),
    "regexp_count": (_text(lambda text, pattern: len(re.findall(pattern, text[:_LONGEST]))), (2,)),
    "reverse": (_text(lambda text: text[::-1]), (1,)), "concat": (_concat, (-1,)), "concat_ws": (_concat_ws, (-1,)),
    "lpad": (_text(_lpad), (2, 3)), "rpad": (_text(_rpad), (2, 3)),
    "starts_with": (_text(lambda text, part: text.startswith(part)), (2,)),
    "ends_with": (_text(lambda text, part: text.endswith(part)), (2,)),
    "levenshtein_distance": (_text(_distance), (2,)), "chr": (_text(lambda number: chr(int(number))), (1,)),
    "codepoint": (_text(ord), (1,)),
    "url_extract_host": (_text(lambda address: urlsplit(address).hostname), (1,)),
    "url_extract_path": (_text(lambda address: urlsplit(address).path), (1,)),
    "url_extract_query": (_text(lambda address: urlsplit(address).query or None), (1,)),
    "url_extract_fragment": (_text(lambda address: urlsplit(address).fragment or None), (1,)),
    "url_extract_port": (_text(lambda address: urlsplit(address).port), (1,)),
    "url_extract_protocol": (_text(lambda address: urlsplit(address).scheme or None), (1,)),
    "url_extract_parameter": (_text(_parameter), (2,)),
    "url_decode": (_text(unquote), (1,)), "url_encode": (_text(lambda text: quote(text, safe="")), (1,)),
    "to_base64": (_of_bytes(lambda data: base64.b64encode(data).decode()), (1,)),
    "from_base64": (_of_bytes(base64.b64decode), (1,)), "to_utf8": (_of_bytes(bytes), (1,)),
    "from_utf8": (_of_bytes(lambda data: data.decode("utf-8", "replace")), (1,)),
    "to_hex": (_of_bytes(lambda data: data.hex().upper()), (1,)),
    "from_hex": (_text(bytes.fromhex), (1,)),
    "md5": (_hashed("md5"), (1,)), "sha1": (_hashed("sha1"), (1,)), "sha256": (_hashed("sha256"), (1,)),
    "sha512": (_hashed("sha512"), (1,)),
    "ip_prefix": (_text(_ip_prefix), (2,)), "is_subnet_of": (_text(_is_subnet_of), (2,)),
    "is_prefix_subnet_of": (_text(_is_subnet_of), (2,)), "ip_to_domain": (_text(_ip_to_domain), (1,)),
    "ip_subnet_min": (_text(lambda prefix: str(_network(prefix)[0])), (1,)),
    "ip_subnet_max": (_text(lambda prefix: str(_network(prefix)[-1])), (1,)),
}  # fmt: skip
"""By name: what it does, and how many arguments it may have."""
