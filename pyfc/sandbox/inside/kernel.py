"""The kernel's calls that Python 3.9 has no function for, by ctypes: standard library only, imports no pyfc.
When and why they are made is for enter.py, root.py, examine.py and caged.py to say.

Each raises OSError naming the call. On other systems than Linux the module can be imported and nothing in it called.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import socket
import struct
import sys

LINUX = sys.platform.startswith("linux")
_libc = ctypes.CDLL(None, use_errno=True) if LINUX else None

NEWNS, NEWCGROUP, NEWUTS, NEWIPC = 0x20000, 0x2000000, 0x4000000, 0x8000000
NEWUSER, NEWPID, NEWNET = 0x10000000, 0x20000000, 0x40000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND = 1, 2, 4, 8, 32, 4096
MS_REC, MS_PRIVATE = 16384, 1 << 18
_MNT_DETACH = 2

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 24, 36, 38
PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT, _AMBIENT_RAISE = 47, 2
CAP_SYS_PTRACE = 19

_NUMBERS = {"x86_64": (155, 317, 117), "aarch64": (41, 277, 147)}
"""pivot_root, seccomp and setresuid; what is newer has one number everywhere."""
_PIVOT_ROOT, _SECCOMP, _SETRESUID = _NUMBERS.get(platform.machine(), (-1, -1, -1))
_MOUNT_SETATTR, _LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 442, 444, 445, 446
_IDMAP = 0x100000
_AT_RECURSIVE, _AT_EMPTY_PATH, _AT_FDCWD = 0x8000, 0x1000, -100
_SCOPES = 3
"""Landlock: no abstract UNIX socket of, and no signal to, a process outside."""
SCOPES_SINCE = 6

_NEUTRAL = b"function"

READ = 1 | 4 | 8
"""Landlock: execute, read files, list folders."""
WRITE = 2 | 16 | 32 | 128 | 256 | 512 | 1024 | 4096
_REFER, _TRUNCATE, _OF_FILES = 8192, 16384, 1 | 2 | 4 | 16384


def _call(name: str, *arguments: object) -> int:
    assert _libc is not None
    result: int = getattr(_libc, name)(*arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), name)
    return result


def syscall(name: str, number: int, *arguments: object) -> int:
    """A call by its number. Integers go as C longs: pointers are passed as they are."""
    if number < 0:
        raise OSError(38, "no number is known for this processor", name)
    assert _libc is not None
    given = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    result: int = _libc.syscall(ctypes.c_long(number), *given)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), name)
    return result


def unshare(flags: int) -> None:
    """Leave the namespaces in `flags` for new ones."""
    _call("unshare", flags)


def unshare_user(flags: int, inside: int, proc: int | None = None) -> None:
    """Leave the user namespace, and those in `flags`, for new ones, in which this user has the number `inside`. `proc`:
    a descriptor of a /proc that can be written to; /proc itself without it.
    """
    uid, gid = os.geteuid(), os.getegid()
    unshare(flags | NEWUSER)
    maps = (("setgroups", "deny"), ("uid_map", "%d %d 1" % (inside, uid)), ("gid_map", "%d %d 1" % (inside, gid)))
    for name, text in maps:
        write_proc("self/" + name, text, proc)


def write_proc(name: str, text: str, proc: int | None = None) -> None:
    """Write a file below /proc, or the one with the descriptor `proc`."""
    descriptor = os.open(name if proc is not None else "/proc/" + name, os.O_WRONLY | os.O_CLOEXEC, dir_fd=proc)
    try:
        os.write(descriptor, text.encode("ascii"))
    finally:
        os.close(descriptor)


def hide_command_line() -> None:
    """Nobody who looks at this process or its forks in /proc is told by which path the server's programs are run."""
    with open("/proc/self/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    start, end = int(fields[45]), int(fields[46])
    if 0 < start < end:
        ctypes.memset(start, 0, end - start)
        ctypes.memmove(start, _NEUTRAL[: end - start - 1], min(len(_NEUTRAL), end - start - 1))


def setns(descriptor: int, kind: int) -> None:
    """Enter a namespace."""
    _call("setns", descriptor, kind)


def change_user(uid: int) -> None:
    """Be another effective user, in this thread alone (the C library's call changes all); root may come back."""
    syscall("setresuid", _SETRESUID, -1, uid, -1)


def prctl(option: int, value: int) -> None:
    """Change something of this process."""
    _call("prctl", option, value, 0, 0, 0)


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    """Mount something. '' stands for nothing."""
    texts = [os.fsencode(text) if text else None for text in (source, target, kind)]
    try:
        _call("mount", *texts, ctypes.c_ulong(flags), os.fsencode(data) if data else None)
    except OSError as error:
        raise OSError(error.errno, error.strerror, "mount " + target) from None


def bind(source: str, target: str, *, writable: bool = False, devices: bool = False) -> None:
    """Show `source` at `target` too, with what is mounted below it: read-only and without setuid programs."""
    mount(source, target, "", MS_BIND | MS_REC)
    flags = MS_NOSUID | (0 if writable else MS_RDONLY) | (0 if devices else MS_NODEV)
    try:
        set_mount_flags(_AT_FDCWD, target, flags)  # these flags have the same values here
    except OSError as error:
        if error.errno != 38:
            raise
        mount("", target, "", MS_REMOUNT | MS_BIND | flags)  # before Linux 5.12: the topmost mount alone


def set_mount_flags(descriptor: int, path: str, flags: int) -> None:
    """Add flags to the mount at `path`, or that of `descriptor` if it is "", and to all below it. Linux 5.12."""
    attributes = struct.pack("=QQQQ", flags, 0, 0, 0)
    how = _AT_RECURSIVE | (0 if path else _AT_EMPTY_PATH)
    syscall("mount_setattr", _MOUNT_SETATTR, descriptor, os.fsencode(path), how, attributes, len(attributes))


def map_owners(descriptor: int, space: int) -> None:
    """Show the files of the mount `descriptor`, attached nowhere, with the owners that the user namespace `space` has
    for them. Linux 5.12.
    """
    attributes = struct.pack("=QQQQ", _IDMAP, 0, 0, space)
    syscall("mount_setattr", _MOUNT_SETATTR, descriptor, b"", _AT_EMPTY_PATH, attributes, len(attributes))


def unmount(target: str) -> None:
    """Take away what is mounted at `target`, also while it is in use."""
    _call("umount2", os.fsencode(target), _MNT_DETACH)


def pivot_root() -> None:
    """Make the current folder, a mount, the root, and forget the old one."""
    syscall("pivot_root", _PIVOT_ROOT, b".", b".")
    unmount(".")
    os.chdir("/")


def drop_capabilities(kept: int = -1) -> None:
    """None is left, in no set that could give it back, but the one with the number `kept`, which programs have too."""
    header, bits = struct.pack("=Ii", 0x20080522, 0), 1 << kept if kept >= 0 else 0
    _call("capset", header, struct.pack("=6I", bits, bits, bits, 0, 0, 0))
    if bits:
        _call("prctl", _PR_CAP_AMBIENT, _AMBIENT_RAISE, kept, 0, 0)


def drop_bounding_set() -> None:
    """No program that is started later gains a capability from its file."""
    for capability in range(64):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError:
            return  # the first that the kernel does not know


def load_filter(program: bytes) -> None:
    """Let `program` (seccomp.py) judge every system call from now on."""
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    syscall("seccomp", _SECCOMP, 1, 0, header)


def landlock_version() -> int:
    """The version of Landlock, 0 where there is none."""
    try:
        return syscall("landlock", _LANDLOCK_CREATE, None, 0, 1)
    except OSError:
        return 0


def landlock(read: list[str], write: list[str]) -> None:
    """From now on this process and its children read only below `read`, write only below `write`; with both empty
    files are left alone. No process outside can be signalled or talked to by abstract sockets, where the kernel can.
    """
    version = landlock_version()
    files = _rights_of(version) if read else 0
    scopes = _SCOPES if version >= SCOPES_SINCE else 0
    if not files and not scopes:
        return
    attributes = struct.pack("=QQQ", files, 0, scopes)[: 24 if scopes else 8]
    rules = syscall("landlock", _LANDLOCK_CREATE, attributes, len(attributes), 0)
    try:
        for path in read:
            _landlock_rule(rules, path, READ & files)
        for path in write:
            _landlock_rule(rules, path, (READ | WRITE | _REFER | _TRUNCATE) & files)
        syscall("landlock", _LANDLOCK_RESTRICT, rules, 0)
    finally:
        os.close(rules)


def _rights_of(version: int) -> int:
    """The rights to files that a version of Landlock knows."""
    return READ | WRITE | (_REFER if version >= 2 else 0) | (_TRUNCATE if version >= 3 else 0)


def _landlock_rule(rules: int, path: str, access: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there needs no rule
    try:
        if not os.path.isdir(path):
            access &= _OF_FILES
        syscall("landlock", _LANDLOCK_ADD, rules, 1, struct.pack("=Qi", access, place), 0)
    finally:
        os.close(place)


def raise_loopback() -> None:
    """Bring up the `lo` of a new network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        fcntl.ioctl(probe, 0x8914, struct.pack("16sh22x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP
