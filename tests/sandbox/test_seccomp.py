"""The system-call filter: its tables are the kernel's, and it decides as it says."""

from __future__ import annotations

import errno
import re
import struct
from pathlib import Path

import pytest

from pyfc.sandbox import seccomp

HEADERS = {
    "x86_64": "/usr/include/x86_64-linux-gnu/asm/unistd_64.h",
    "aarch64": "/usr/include/asm-generic/unistd.h",
}
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


def judge(program: bytes, audit: int, number: int, *arguments: int) -> str:
    """What the filter answers to one call: `allow`, or the name of an errno. A classic BPF machine of a few lines."""
    given = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("=IIQ6Q", number, audit, 0, *given)
    code = [struct.unpack_from("=HBBI", program, at) for at in range(0, len(program), 8)]
    at = register = 0
    while True:
        operation, true, false, operand = code[at]
        at += 1
        if operation == 0x20:
            (register,) = struct.unpack_from("=I", data, operand)
        elif operation == 0x54:
            register &= operand
        elif operation == 0x06:
            if operand == ALLOW:
                return "allow"
            assert operand & 0xFFFF0000 == ERRNO
            return errno.errorcode.get(operand & 0xFFFF, "pretended")
        else:
            taken = {0x15: register == operand, 0x35: register >= operand, 0x45: bool(register & operand)}[operation]
            at += true if taken else false


@pytest.mark.parametrize("machine", HEADERS)
def test_the_numbers_are_those_of_the_kernels_headers(machine: str) -> None:
    path = Path(HEADERS[machine])
    if not path.exists():
        pytest.skip(f"no headers here: {path}")
    text = path.read_text(encoding="ascii")
    known = {name: int(number) for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)\b", text)}
    known |= {"newfstatat": known.get("fstatat", known.get("newfstatat", -1))}  # asm-generic has names of its own
    numbers = seccomp.numbers(machine)

    assert len(numbers) > 200
    assert {name: known[name] for name in numbers if name in known} == {
        name: number for name, number in numbers.items() if name in known
    }
    assert len(set(numbers) - set(known)) < 10, "calls newer than the headers"


@pytest.mark.parametrize("machine", HEADERS)
@pytest.mark.parametrize("shared", [False, True])
def test_what_is_allowed_is_what_the_list_names(machine: str, *, shared: bool) -> None:
    program = seccomp.program(machine, shared_processes=shared)
    named = {number: name for name, number in seccomp.numbers(machine).items()}
    special = {"clone", "clone3", "ioctl", "prctl", "socket", "kill", "prlimit64", "setpgid", "setsid"} | {
        *("ioprio_set", "sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler", "setpriority"),
        *("chmod", "fchmodat", "fchmodat2", "chown", "lchown", "fchownat", "utime", "utimes", "futimesat", "utimensat"),
        *("setxattr", "lsetxattr", "removexattr", "lremovexattr"),
        *("shmget", "semget", "msgget", "io_setup", "inotify_init", "inotify_init1"),
    }

    for number in range(600):
        if named.get(number) not in special:
            expected = "allow" if number in named else "EPERM" if number <= seccomp.NEWEST else "ENOSYS"
            assert judge(program, AUDIT[machine], number) == expected, number


def call(name: str, *arguments: int, shared: bool = False, network: bool = True) -> str:
    program = seccomp.program("x86_64", shared_processes=shared, network=network)
    return judge(program, AUDIT["x86_64"], seccomp.numbers("x86_64")[name], *arguments)


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("clone", (0x11,), "allow"),
        ("clone", (0x3D0F00,), "allow"),
        ("clone", (0x10000011,), "EPERM"),
        ("clone", (0x8011,), "EPERM"),
        ("clone3", (), "ENOSYS"),
        ("ioctl", (1, 0x5401), "allow"),
        ("ioctl", (1, 0x5412), "EPERM"),
        ("prctl", (1,), "EPERM"),
        ("prctl", (15,), "allow"),
        ("socket", (1, 1, 0), "allow"),
        ("socket", (2, 1 | 0o2000000, 6), "allow"),
        ("socket", (10, 2, 0), "allow"),
        ("socket", (2, 3, 1), "EPERM"),
        ("socket", (2, 3 | 0o2000000, 1), "EPERM"),
        ("socket", (16, 3, 0), "allow"),
        ("socket", (16, 3, 9), "EPERM"),
        ("socket", (17, 3, 0), "EPERM"),
        ("socket", (38, 5, 0), "EPERM"),
        ("kill", (0xFFFFFFFF,), "allow"),
        ("io_setup", (128,), "ENOSYS"),
        ("inotify_init1", (), "allow"),
        ("memfd_create", (), "allow"),
        ("shmget", (), "allow"),
    ],
)
def test_arguments_decide(name: str, arguments: tuple[int, ...], expected: str) -> None:
    assert call(name, *arguments) == expected


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("kill", (0xFFFFFFFF,), "EPERM"),
        ("kill", (5,), "allow"),
        ("prlimit64", (0,), "allow"),
        ("prlimit64", (7,), "EPERM"),
        ("setpriority", (0, 7), "EPERM"),
        ("setpriority", (0, 0), "allow"),
        ("setsid", (), "pretended"),
        ("setpgid", (), "pretended"),
        ("shmget", (), "EPERM"),
        ("inotify_init1", (), "EMFILE"),
        ("chmod", (), "pretended"),
        ("fchmod", (), "allow"),
        ("utimensat", (0, 0x7F0012345678), "pretended"),
        ("utimensat", (0, 0x100000000), "pretended"),
        ("utimensat", (5, 0), "allow"),
    ],
)
def test_who_sees_others_may_do_less(name: str, arguments: tuple[int, ...], expected: str) -> None:
    assert call(name, *arguments, shared=True) == expected


def test_without_a_network_there_are_pairs_of_sockets_alone() -> None:
    for family in (1, 2, 10, 16):
        assert call("socket", family, 1, network=False) == "EPERM"
    assert call("socketpair", 1, 1, network=False) == "allow"


def test_memory_that_no_process_shows_is_refused_where_the_kernel_does_not_count_it() -> None:
    program = seccomp.program("x86_64", shared_processes=False, counted=False)

    found = {
        name: judge(program, AUDIT["x86_64"], seccomp.numbers("x86_64")[name]) for name in ("memfd_create", "shmget")
    }
    assert found == {"memfd_create": "ENOSYS", "shmget": "EPERM"}


def test_another_architecture_and_its_other_half_find_nothing() -> None:
    program = seccomp.program("x86_64", shared_processes=False)

    assert judge(program, 0x40000003, 1) == "ENOSYS"  # 32-bit calls of the same machine
    assert judge(program, AUDIT["x86_64"], 0x40000000 | 1) == "ENOSYS"  # x32


def test_a_processor_without_a_table_has_no_filter() -> None:
    assert seccomp.program("riscv64", shared_processes=False) == b""
