"""The system-call filter of a worker: classic BPF, built once in the supervisor, loaded by the child last of all.

1. It is an allow-list, Docker's default profile without the calls that need privileges, and stricter where a function
   needs less: no io_uring, userfaultfd, ptrace, process_vm_*, keyrings, personality, no sockets but UNIX, INET, INET6
   and NETLINK_ROUTE, no raw ones, no new namespaces.
2. A call that the kernel headers know and the list does not have is EPERM; one that is newer than the list is ENOSYS,
   so that a C library falls back to an older one; so is clone3, whose flags no filter can read.
3. The numbers are searched by bisection: a call costs about seven comparisons, not three hundred.
"""

from __future__ import annotations

import errno
import platform
import struct
from collections.abc import Sequence
from typing import NamedTuple

CALLS = """
accept 43 202, accept4 288 242, access 21 -, alarm 37 -, arch_prctl 158 -, bind 49 200, brk 12 214,
cachestat 451 451, capget 125 90, capset 126 91, chdir 80 49, chmod 90 -, chown 92 -, clock_getres 229 114,
clock_gettime 228 113, clock_nanosleep 230 115, clone 56 220, clone3 435 435, close 3 57, close_range 436 436,
connect 42 203, copy_file_range 326 285, creat 85 -, dup 32 23, dup2 33 -, dup3 292 24, epoll_create 213 -,
epoll_create1 291 20, epoll_ctl 233 21, epoll_pwait 281 22, epoll_pwait2 441 441, epoll_wait 232 -, eventfd 284 -,
eventfd2 290 19, execve 59 221, execveat 322 281, exit 60 93, exit_group 231 94, faccessat 269 48,
faccessat2 439 439, fadvise64 221 223, fallocate 285 47, fchdir 81 50, fchmod 91 52, fchmodat 268 53,
fchmodat2 452 452, fchown 93 55, fchownat 260 54, fcntl 72 25, fdatasync 75 83, fgetxattr 193 10, flistxattr 196 13,
flock 73 32, fork 57 -, fremovexattr 199 16, fsetxattr 190 7, fstat 5 80, fstatfs 138 44, fsync 74 82,
ftruncate 77 46, futex 202 98, futex_requeue 456 456, futex_wait 455 455, futex_waitv 449 449, futex_wake 454 454,
futimesat 261 -, get_robust_list 274 100, getcpu 309 168, getcwd 79 17, getdents 78 -, getdents64 217 61,
getegid 108 177, geteuid 107 175, getgid 104 176, getgroups 115 158, getitimer 36 102, getpeername 52 205,
getpgid 121 155, getpgrp 111 -, getpid 39 172, getppid 110 173, getpriority 140 141, getrandom 318 278,
getresgid 120 150, getresuid 118 148, getrlimit 97 163, getrusage 98 165, getsid 124 156, getsockname 51 204,
getsockopt 55 209, gettid 186 178, gettimeofday 96 169, getuid 102 174, getxattr 191 8, inotify_add_watch 254 27,
inotify_init 253 -, inotify_init1 294 26, inotify_rm_watch 255 28, io_cancel 210 3, io_destroy 207 1,
io_getevents 208 4, io_pgetevents 333 292, io_setup 206 0, io_submit 209 2, ioctl 16 29, ioprio_get 252 31,
ioprio_set 251 30, kill 62 129, landlock_add_rule 445 445, landlock_create_ruleset 444 444,
landlock_restrict_self 446 446, lchown 94 -, lgetxattr 192 9, link 86 -, linkat 265 37, listen 50 201,
listxattr 194 11, llistxattr 195 12, lremovexattr 198 15, lseek 8 62, lsetxattr 189 6, lstat 6 -, madvise 28 233,
map_shadow_stack 453 453, membarrier 324 283, memfd_create 319 279, mincore 27 232, mkdir 83 -, mkdirat 258 34,
mknod 133 -, mknodat 259 33, mlock 149 228, mlock2 325 284, mlockall 151 230, mmap 9 222, mprotect 10 226,
mq_getsetattr 245 185, mq_notify 244 184, mq_open 240 180, mq_timedreceive 243 183, mq_timedsend 242 182,
mq_unlink 241 181, mremap 25 216, mseal 462 462, msgctl 71 187, msgget 68 186, msgrcv 70 188, msgsnd 69 189,
msync 26 227, munlock 150 229, munlockall 152 231, munmap 11 215, nanosleep 35 101, newfstatat 262 79, open 2 -,
openat 257 56, openat2 437 437, pause 34 -, pidfd_open 434 434, pidfd_send_signal 424 424, pipe 22 -, pipe2 293 59,
pkey_alloc 330 289, pkey_free 331 290, pkey_mprotect 329 288, poll 7 -, ppoll 271 73, prctl 157 167, pread64 17 67,
preadv 295 69, preadv2 327 286, prlimit64 302 261, process_mrelease 448 448, pselect6 270 72, pwrite64 18 68,
pwritev 296 70, pwritev2 328 287, read 0 63, readahead 187 213, readlink 89 -, readlinkat 267 78, readv 19 65,
recvfrom 45 207, recvmmsg 299 243, recvmsg 47 212, remap_file_pages 216 234, removexattr 197 14, rename 82 -,
renameat 264 38, renameat2 316 276, restart_syscall 219 128, rmdir 84 -, rseq 334 293, rt_sigaction 13 134,
rt_sigpending 127 136, rt_sigprocmask 14 135, rt_sigqueueinfo 129 138, rt_sigreturn 15 139, rt_sigsuspend 130 133,
rt_sigtimedwait 128 137, rt_tgsigqueueinfo 297 240, sched_get_priority_max 146 125, sched_get_priority_min 147 126,
sched_getaffinity 204 123, sched_getattr 315 275, sched_getparam 143 121, sched_getscheduler 145 120,
sched_rr_get_interval 148 127, sched_setaffinity 203 122, sched_setattr 314 274, sched_setparam 142 118,
sched_setscheduler 144 119, sched_yield 24 124, seccomp 317 277, select 23 -, semctl 66 191, semget 64 190,
semop 65 193, semtimedop 220 192, sendfile 40 71, sendmmsg 307 269, sendmsg 46 211, sendto 44 206,
set_robust_list 273 99, set_tid_address 218 96, setfsgid 123 152, setfsuid 122 151, setgid 106 144,
setgroups 116 159, setitimer 38 103, setpgid 109 154, setpriority 141 140, setregid 114 143, setresgid 119 149,
setresuid 117 147, setreuid 113 145, setrlimit 160 164, setsid 112 157, setsockopt 54 208, setuid 105 146,
setxattr 188 5, shmat 30 196, shmctl 31 195, shmdt 67 197, shmget 29 194, shutdown 48 210, sigaltstack 131 132,
signalfd 282 -, signalfd4 289 74, socket 41 198, socketpair 53 199, splice 275 76, stat 4 -, statfs 137 43,
statx 332 291, symlink 88 -, symlinkat 266 36, sync 162 81, sync_file_range 277 84, syncfs 306 267, sysinfo 99 179,
tee 276 77, tgkill 234 131, time 201 -, timer_create 222 107, timer_delete 226 111, timer_getoverrun 225 109,
timer_gettime 224 108, timer_settime 223 110, timerfd_create 283 85, timerfd_gettime 287 87, timerfd_settime 286 86,
times 100 153, tkill 200 130, truncate 76 45, umask 95 166, uname 63 160, unlink 87 -, unlinkat 263 35, utime 132 -,
utimensat 280 88, utimes 235 -, vfork 58 -, wait4 61 260, waitid 247 95, write 1 64, writev 20 66
"""
"""Each allowed call with its number on x86_64 and on aarch64 (`-`: it has none there)."""
_OF_A_BRIDGE = {"process_vm_readv": (310, 270), "pidfd_getfd": (438, 438)}
_OF_A_PROFILER = {"process_vm_readv": (310, 270), "ptrace": (101, 117)}
NEWEST = 462
"""The last number that the list judges; both architectures number newer calls alike."""

_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_DENY, _MISSING = _ERRNO | errno.EPERM, _ERRNO | errno.ENOSYS
_PRETEND = _ERRNO
"""The call is not made and answers 0."""

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN, _AND = 0x20, 0x15, 0x35, 0x45, 0x06, 0x54
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
"""Offsets in seccomp_data."""

_NEW_NAMESPACES = 0x7E020000
_CLONE_PARENT = 0x8000
_BY_PATH = (
    "chmod", "fchmodat", "fchmodat2", "chown", "lchown", "fchownat", "utime", "utimes", "futimesat", "setxattr",
    "lsetxattr", "removexattr", "lremovexattr",
)  # fmt: skip
_BY_KEY = ("shmget", "semget", "msgget")
_PLAIN_FAMILIES = (1, 2, 10)
"""AF_UNIX, AF_INET, AF_INET6."""
_NETLINK, _RAW, _KIND = 16, 3, 0xF
_TERMINAL_REQUESTS = (0x5412, 0x541C, 0x5423)
"""TIOCSTI types for the user, TIOCLINUX pastes, TIOCSETD loads drivers."""
_PROCESS_OPTIONS = (1, 35)
"""PR_SET_PDEATHSIG would outlive the supervisor, PR_SET_MM forges /proc."""
_EVERYBODY = 0xFFFFFFFF
_OF_A_PROCESS = {
    "ioprio_set": 1, "prlimit64": 0, "sched_setaffinity": 0, "sched_setattr": 0, "sched_setparam": 0,
    "sched_setscheduler": 0, "setpriority": 1,
}  # fmt: skip
"""Calls that change another process of the same user, and the argument that names it: 0 is the caller."""


class Architecture(NamedTuple):
    """What differs between processors."""

    audit: int
    column: int
    """In CALLS."""


ARCHITECTURES = {"x86_64": Architecture(0xC000003E, 0), "aarch64": Architecture(0xC00000B7, 1)}

Instruction = tuple[int, int, int, int]
"""Code, jump if true, jump if false, operand."""


def numbers(machine: str) -> dict[str, int]:
    """The allowed calls that `machine` has: name -> number."""
    column = ARCHITECTURES[machine].column
    rows = (row.split() for row in CALLS.replace("\n", " ").split(","))
    return {name: int(found[column]) for name, *found in rows if found[column] != "-"}


def program(
    machine: str = platform.machine(),
    *,
    shared_processes: bool,
    network: bool = True,
    counted: bool = True,
    changes_files: bool = False,
    bears: int = 0,
    bridges: bool = False,
    profiles: bool = False,
) -> bytes:
    """The filter as the kernel takes it; b"" for a processor that it is not written for. `bears`: the flags of a clone
    that a template may make although they name namespaces (clone.py); 0 for none. `bridges`: it may read the memory of
    the program that it has started, and take its sockets. `profiles`: it may look into the other
    processes of its instance.

    Without `network` no socket can be made but pairs: a UNIX one would reach whatever listens for this user. Unless the
    kernel counts its memory (`counted`) it gets none that no process shows: in files without a name, or shared by key.

    With `shared_processes` the worker sees other processes of its user: it may not signal all of them, change one of
    them, share memory by key, take of the user's few watches of files, or leave its process group, by which what it
    starts is found and ended. Leaving seems to succeed, because many programs do it for no reason but tidiness. So does
    a change of the rights, owner, times and attributes of a file by its path, unless it `changes_files`: Landlock does
    not judge that, and any file of the user has one. By a descriptor it works.
    """
    if machine not in ARCHITECTURES:
        return b""
    calls = numbers(machine)
    for name, found in {**(_OF_A_BRIDGE if bridges else {}), **(_OF_A_PROFILER if profiles else {})}.items():
        calls[name] = found[ARCHITECTURES[machine].column]
    code: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, ARCHITECTURES[machine].audit),
        (_RETURN, 0, 0, _MISSING),
        (_LOAD, 0, 0, _NUMBER),
    ]
    special = {**_arguments(network=network), **({} if counted else _uncounted())}
    if shared_processes:
        special.update({**_among_others(), **({} if changes_files else _of_files())})
    if bears:
        special.update(_of_template(special["clone"], bears))
    code += _judged(calls, special)
    code += _bisect(_regions(sorted(calls.values())))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


def program_of_copy(machine: str = platform.machine()) -> bytes:
    """The second filter of a template's copy: it makes no namespaces and no siblings."""
    if machine not in ARCHITECTURES:
        return b""
    denial = _if_any_bit(0, _NEW_NAMESPACES | _CLONE_PARENT, _DENY)
    code: list[Instruction] = [
        (_LOAD, 0, 0, _NUMBER),
        (_EQUAL, 0, len(denial), numbers(machine)["clone"]),
        *denial,
        _return(_ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


def _arguments(*, network: bool) -> dict[str, list[Instruction]]:
    """Calls whose arguments decide."""
    return {
        "clone": [*_if_any_bit(0, _NEW_NAMESPACES | _CLONE_PARENT, _DENY), _return(_ALLOW)],
        "clone3": [_return(_MISSING)],
        "ioctl": [*_if_one_of(1, _TERMINAL_REQUESTS, _DENY), _return(_ALLOW)],
        "prctl": [*_if_one_of(0, _PROCESS_OPTIONS, _DENY), _return(_ALLOW)],
        "socket": _socket() if network else [_return(_DENY)],
        "io_setup": [_return(_MISSING)],  # all users of the machine share a few thousand of these
    }


def _uncounted() -> dict[str, list[Instruction]]:
    """Memory that belongs to no process, where only what processes hold is added up (memory.py)."""
    by_key = {name: [_return(_DENY)] for name in _BY_KEY}
    return {"memfd_create": [_return(_MISSING)], **by_key}


def _among_others() -> dict[str, list[Instruction]]:
    """Further ones, of a worker without a process namespace of its own."""
    return {
        **_of_itself(),
        **{name: [_return(_DENY)] for name in _BY_KEY},  # its memory is everybody's
        **{name: [_return(_ERRNO | errno.EMFILE)] for name in ("inotify_init", "inotify_init1")},
        "kill": [*_if_one_of(0, (_EVERYBODY,), _DENY), _return(_ALLOW)],
        "setpgid": [_return(_PRETEND)],
        "setsid": [_return(_PRETEND)],
    }


def _of_files() -> dict[str, list[Instruction]]:
    """Calls that change what is known of a file. utimensat without a path is about a descriptor."""
    by_path: dict[str, list[Instruction]] = {name: [_return(_PRETEND)] for name in _BY_PATH}
    no_path = [_load(1), (_EQUAL, 0, 3, 0), _load_high(1), (_EQUAL, 0, 1, 0), _return(_ALLOW)]
    return {**by_path, "utimensat": [*no_path, _return(_PRETEND)]}


def _of_itself() -> dict[str, list[Instruction]]:
    """Calls that may change nobody but the caller."""
    return {name: [*_if_one_of(argument, (0,), _ALLOW), _return(_DENY)] for name, argument in _OF_A_PROCESS.items()}


def _judged(calls: dict[str, int], special: dict[str, list[Instruction]]) -> list[Instruction]:
    """The calls whose arguments are looked at, as far as the processor has them."""
    blocks = [(calls[name], block) for name, block in special.items() if name in calls]
    return [each for number, block in blocks for each in ((_EQUAL, 0, len(block), number), *block)]


def _of_template(clone: list[Instruction], flags: int) -> dict[str, list[Instruction]]:
    """It may make copies, and change nobody else: its keeper may have the same user. `clone`: what else is judged."""
    return {**_of_itself(), "clone": [*_if_one_of(0, (flags,), _ALLOW), *clone]}


def _socket() -> list[Instruction]:
    netlink: list[Instruction] = [
        (_EQUAL, 0, 4, _NETLINK),
        _load(2),
        (_EQUAL, 0, 1, 0),
        _return(_ALLOW),
        _return(_DENY),
    ]
    kind: list[Instruction] = [
        _load(1),
        (_AND, 0, 0, _KIND),
        (_EQUAL, 0, 1, _RAW),
        _return(_DENY),
        _return(_ALLOW),
    ]
    families: list[Instruction] = []
    for position, family in enumerate(_PLAIN_FAMILIES):
        left = len(_PLAIN_FAMILIES) - position - 1
        families.append((_EQUAL, left + 1, 0, family))
    return [_load(0), *netlink, *families, _return(_DENY), *kind]


def _load(argument: int) -> Instruction:
    """The low half of an argument; the high half of what is compared here means nothing to the kernel."""
    return (_LOAD, 0, 0, _ARGUMENTS + 8 * argument)


def _load_high(argument: int) -> Instruction:
    return (_LOAD, 0, 0, _ARGUMENTS + 8 * argument + 4)


def _return(action: int) -> Instruction:
    return (_RETURN, 0, 0, action)


def _if_any_bit(argument: int, bits: int, action: int) -> list[Instruction]:
    return [_load(argument), (_ANY_BIT, 0, 1, bits), _return(action)]


def _if_one_of(argument: int, values: Sequence[int], action: int) -> list[Instruction]:
    code = [_load(argument)]
    for value in values:
        code += [(_EQUAL, 0, 1, value), _return(action)]
    return code


def _regions(allowed: Sequence[int]) -> list[tuple[int, int]]:
    """(first number, action) of each run of numbers with one action."""
    regions = [(0, _ALLOW if 0 in allowed else _DENY)]
    for number in range(1, NEWEST + 1):
        action = _ALLOW if number in allowed else _DENY
        if action != regions[-1][1]:
            regions.append((number, action))
    return [*regions, (NEWEST + 1, _MISSING)]


def _bisect(regions: list[tuple[int, int]]) -> list[Instruction]:
    if len(regions) == 1:
        return [_return(regions[0][1])]
    middle = len(regions) // 2
    below, above = _bisect(regions[:middle]), _bisect(regions[middle:])
    return [(_AT_LEAST, len(below), 0, regions[middle][0]), *below, *above]
