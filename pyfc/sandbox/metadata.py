"""Keeps functions from the addresses at which clouds hand credentials to whoever asks: 169.254.169.254 and Alibaba
Cloud's 100.100.100.200, over IPv4 and as IPv4 addresses in IPv6, and those of IPv6; connected or not.

Four programs of a few instructions, attached to a control group of version 2 (whether or not it limits anything): the
kernel asks them at connect and sendmsg. Only root may attach them.
"""

from __future__ import annotations

import ctypes
import ipaddress
import os
import platform
import struct
from collections.abc import Sequence
from pathlib import Path

from pyfc.model.networks import METADATA, METADATA_V6

_BPF = {"x86_64": 321, "aarch64": 280}
_LOAD, _ATTACH = 5, 8
_SOCK_ADDR = 18
_CONNECT4, _CONNECT6, _SENDMSG4, _SENDMSG6 = 10, 11, 14, 15
_MULTI = 2
_IP4, _IP6 = 4, 8
"""Offsets in the address that a program is asked about."""
_PREFIXES = ("::ffff:0:0", "64:ff9b::")
"""What stands before an IPv4 address in an IPv6 one: of the same machine, and of a network that translates."""
_SET, _EXIT, _LOAD_WORD, _UNEQUAL, _EQUAL = 0xB7, 0x95, 0x61, 0x56, 0x16


def block(group: Path) -> str:
    """Block the addresses for all processes in `group` and below; '' or why it is not possible."""
    if platform.machine() not in _BPF:
        return "no program is written for this processor"
    try:
        folder = os.open(group, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        return f"{group}: {error.strerror}"
    try:
        for kind, program in (
            (_CONNECT4, _ipv4()), (_SENDMSG4, _ipv4()), (_CONNECT6, _ipv6()), (_SENDMSG6, _ipv6()),
        ):  # fmt: skip
            loaded = _load(program, kind)
            try:
                _call(_ATTACH, struct.pack("=IIII", folder, loaded, kind, _MULTI))
            finally:
                os.close(loaded)
    except OSError as error:
        return f"bpf: {error.strerror}"
    finally:
        os.close(folder)
    return ""


def _numbers() -> list[int]:
    """The addresses as a little-endian machine reads them from the wire."""
    return [_words(ipaddress.IPv4Address(each).packed)[0] for each in METADATA]


def _words(packed: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(packed) // 4}i", packed)


def _instruction(code: int, target: int = 0, source: int = 0, offset: int = 0, value: int = 0) -> bytes:
    return struct.pack("<BBhi", code, source << 4 | target, offset, value)


_ALLOW = _instruction(_SET, 0, value=1) + _instruction(_EXIT)
_DENY = _instruction(_SET, 0, value=0) + _instruction(_EXIT)


def _judge(at: int) -> bytes:
    """Deny if the word at `at` is one of the addresses, else allow."""
    numbers = _numbers()
    code = _instruction(_LOAD_WORD, 2, 1, at)
    for position, number in enumerate(numbers):
        left = len(numbers) - position - 1
        code += _instruction(_EQUAL, 2, offset=left + 2, value=number)
    return code + _ALLOW + _DENY


def _ipv4() -> bytes:
    return _judge(_IP4)


def _ipv6() -> bytes:
    whole = [_words(ipaddress.IPv6Address(each).packed) for each in METADATA_V6]
    prefixes = [_words(ipaddress.IPv6Address(each).packed)[:3] for each in _PREFIXES]
    code = b"".join(_if_begins(words, _DENY) for words in whole)
    return code + b"".join(_if_begins(words, _judge(_IP6 + 12)) for words in prefixes) + _ALLOW


def _if_begins(words: Sequence[int], then: bytes) -> bytes:
    """`then`, which ends, for an IPv6 address that begins with `words`; what follows for others."""
    code = b""
    for position, word in enumerate(words):
        left = 2 * (len(words) - position - 1) + len(then) // len(_instruction(0))
        code += _instruction(_LOAD_WORD, 2, 1, _IP6 + 4 * position) + _instruction(_UNEQUAL, 2, offset=left, value=word)
    return code + then


def _load(program: bytes, kind: int) -> int:
    code = ctypes.create_string_buffer(program, len(program))
    license_ = ctypes.create_string_buffer(b"Apache-2.0")
    pointers = ctypes.addressof(code), ctypes.addressof(license_)
    # type, count, program, licence; then log level, size and buffer, version, flags, name and device: none; attach type
    return _call(_LOAD, struct.pack("=IIQQ44xI", _SOCK_ADDR, len(program) // 8, *pointers, kind))


def _call(command: int, attributes: bytes) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    data = ctypes.create_string_buffer(attributes, len(attributes))
    number = ctypes.c_long(_BPF[platform.machine()])
    result: int = libc.syscall(number, ctypes.c_long(command), data, ctypes.c_long(len(attributes)))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
