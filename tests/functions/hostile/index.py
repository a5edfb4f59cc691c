"""Handlers that try to get out, to take everything, or to break the server. Each is one case of the hostile suite.

A handler that only tries things answers {"escaped": [...], "denied": {...}}; the others are ended by pyfc. The event
tells what there is to attack: pids, paths and names of the host.
"""

import ctypes
import errno
import fcntl
import json
import mmap
import os
import platform
import resource
import signal
import socket
import stat
import struct
import subprocess
import sys
import termios
import threading
import time

LIBC = ctypes.CDLL(None, use_errno=True)
ARM = platform.machine() == "aarch64"
NUMBERS = {  # x86_64, aarch64
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "mount": (165, 40), "umount2": (166, 39), "chroot": (161, 51),
    "pivot_root": (155, 41), "unshare": (272, 97), "setns": (308, 268), "clone": (56, 220), "clone3": (435, 435),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218), "bpf": (321, 280),
    "io_uring_setup": (425, 425), "userfaultfd": (323, 282), "perf_event_open": (298, 241), "kexec_load": (246, 104),
    "init_module": (175, 105), "reboot": (169, 142), "swapon": (167, 224), "acct": (163, 89), "settimeofday": (164, 170),
    "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264), "fsopen": (430, 430), "open_tree": (428, 428),
    "move_mount": (429, 429), "pidfd_getfd": (438, 438), "personality": (135, 92), "quotactl": (179, 60),
    "syslog": (103, 116), "sethostname": (170, 161), "iopl": (172, -1), "modify_ldt": (154, -1), "vmsplice": (278, 75),
    "memfd_secret": (447, 447), "fanotify_init": (300, 262), "lookup_dcookie": (212, 18), "mbind": (237, 235),
    "move_pages": (279, 239), "kcmp": (312, 272), "mount_setattr": (442, 442),
}  # fmt: skip


class Tries:
    """What was tried."""

    def __init__(self):
        self.escaped = []
        self.denied = {}

    def attempt(self, name, action):
        """`action` succeeds by returning something true."""
        try:
            found = action()
        except OSError as error:
            self.denied[name] = errno.errorcode.get(error.errno, str(error))
        except Exception as error:
            self.denied[name] = type(error).__name__
        else:
            if found:
                self.escaped.append("%s: %.60r" % (name, found))
            else:
                self.denied[name] = "nothing"

    def syscall(self, name, *arguments):
        number = NUMBERS[name][ARM]
        if number >= 0:
            self.attempt(name, lambda: call(number, *arguments) is not None)

    def answer(self):
        return json.dumps({"escaped": self.escaped, "denied": self.denied})


def call(number, *arguments):
    """A raw system call; OSError if it fails."""
    given = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    result = LIBC.syscall(ctypes.c_long(number), *given)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def tries(function):
    """A handler that only tries things."""

    def handler(event, context):
        found = Tries()
        function(found, json.loads(event or b"{}"))
        return found.answer()

    return handler


def read(path):
    with open(path, "rb") as file:
        return file.read(64)


def write(path, text="x"):
    with open(path, "w") as file:
        return file.write(text)


# takes everything


def fork_bomb(event, context):
    while True:
        try:
            os.fork()
        except OSError:
            pass


def zombie_flood(event, context):
    made = 0
    try:
        while made < 100000:
            if os.fork() == 0:
                os._exit(0)
            made += 1
    except OSError as error:
        return json.dumps({"escaped": [], "denied": {"fork": "%s after %d" % (errno.errorcode[error.errno], made)}})
    return json.dumps({"escaped": ["100000 zombies"], "denied": {}})


def memory_bomb(event, context):
    kept = []
    while True:
        kept.append(b"x" * (4 << 20))


def memory_bomb_of_children(event, context):
    for _ in range(4):
        if os.fork() == 0:
            memory_bomb(event, context)
    time.sleep(60)


def memory_mapped_bomb(event, context):
    kept = []
    while True:
        area = mmap.mmap(-1, 8 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        area.write(b"x" * (8 << 20))
        kept.append(area)


MOST = 1500 << 20  # far above all memory sizes here; no reason to take the machine's last


def held(escaped="%d MB" % (MOST >> 20)):
    return json.dumps({"escaped": [escaped], "denied": {}})


def memory_shared_bomb(event, context):
    kept = []
    while len(kept) << 23 < MOST:
        kept.append(mmap.mmap(-1, 8 << 20))
        kept[-1].write(b"x" * (8 << 20))
        kept[-1].madvise(mmap.MADV_DONTNEED)  # it stays in memory, and no process shows it
    return held()


def memory_file_bomb(event, context):
    kept = []
    while len(kept) << 23 < MOST:
        kept.append(os.memfd_create("x"))
        os.write(kept[-1], b"x" * (8 << 20))
    return held()


def memory_segment_bomb(event, context):
    LIBC.shmat.restype = ctypes.c_void_p
    for _ in range(MOST >> 23):
        segment = LIBC.shmget(0, 8 << 20, 0o1600)
        if segment < 0:
            raise OSError(ctypes.get_errno(), "shmget")
        area = LIBC.shmat(segment, None, 0)
        ctypes.memset(area, 1, 8 << 20)
        LIBC.shmdt(ctypes.c_void_p(area))
    return held()


def memory_bomb_in_the_background(event, context):
    if os.fork() == 0:
        memory_bomb(event, context)
    while True:
        time.sleep(1)


@tries
def descriptor_bomb(found, there):
    kept = []

    def open_all():
        while len(kept) < 200000:
            kept.append(os.open("/dev/null", os.O_RDONLY))
        return True

    found.attempt("200000 descriptors", open_all)


@tries
def pipe_bomb(found, there):
    kept = []

    def open_all():
        while len(kept) < 100000:
            kept.extend(os.pipe())
            os.set_blocking(kept[-1], False)
            os.write(kept[-1], b"x" * 65536)
        return True

    found.attempt("50000 full pipes", open_all)


def thread_bomb(event, context):
    made = 0
    threading.stack_size(65536)
    try:
        while made < 20000:
            threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
            made += 1
    except (RuntimeError, MemoryError):
        return json.dumps({"escaped": [], "denied": {"thread": "refused after %d" % made}})
    return json.dumps({"escaped": ["20000 threads"], "denied": {}})


@tries
def disk_bomb(found, there):
    folder = os.environ.get("TMPDIR", "/tmp")

    def fill():
        for number in range(8):
            with open("%s/full%d" % (folder, number), "wb") as file:
                for _ in range(256):
                    file.write(b"x" * (1 << 20))
        return True

    found.attempt("2 GB in /tmp", fill)


@tries
def inode_bomb(found, there):
    folder = os.environ.get("TMPDIR", "/tmp")

    def make():
        for number in range(500000):
            os.close(os.open("%s/i%d" % (folder, number), os.O_CREAT | os.O_WRONLY))
        return True

    found.attempt("500000 files", make)


@tries
def small_files(found, there):
    def make():
        for number in range(20000):
            os.close(os.open("/dev/shm/i%d" % number, os.O_CREAT | os.O_WRONLY))
        return True

    found.attempt("20000 files in /dev/shm", make)


@tries
def pools_of_the_user(found, there):
    """What the kernel counts for a user: all instances together, where none has a user of its own."""

    def until_refused(make, most):
        made = 0
        while made < most and make() >= 0:
            made += 1
        if made < most:
            raise OSError(ctypes.get_errno(), "refused")
        return made

    timer = ctypes.c_void_p()
    if not there["own_user"]:
        found.attempt("watches of files", lambda: until_refused(lambda: LIBC.inotify_init1(0), 100))
    found.attempt("timers", lambda: until_refused(lambda: LIBC.timer_create(0, None, ctypes.byref(timer)), 5000))
    contexts = ctypes.c_ulong()
    found.attempt("asynchronous requests", lambda: call(0 if ARM else 206, 1024, ctypes.byref(contexts)) == 0)


def loop_in_python(event, context):
    while True:
        pass


def loop_in_c(event, context):
    return sum(range(10**14))


def sleep_for_ever(event, context):
    time.sleep(10**6)


def loop_in_every_process(event, context):
    for _ in range(16):
        if os.fork() == 0:
            break
    while True:
        pass


def timer_storm(event, context):
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 1e-6, 1e-6)
    while True:
        pass


def endless_output(event, context):
    line = b"spam and eggs " * 4096
    while True:
        os.write(1, line)


def endless_output_of_a_child(event, context):
    subprocess.Popen(["yes"])
    while True:
        time.sleep(1)


def deep_recursion(event, context):
    sys.setrecursionlimit(10**9)

    def down(depth):
        return down(depth + 1) + 1

    try:
        return str(down(0))
    except (RecursionError, MemoryError, SystemError):
        return json.dumps({"escaped": [], "denied": {"recursion": "ended"}})


def giant_result(event, context):
    return b"x" * (1 << 30)


# breaks itself


def segfault(event, context):
    ctypes.string_at(0)


def exit_at_once(event, context):
    os._exit(3)


def abort(event, context):
    os.abort()


def garbage_frames(event, context):
    os.write(4, os.urandom(4096))
    time.sleep(60)


def giant_frame(event, context):
    os.write(4, b"\xff\xff\xff\xff" + b"x" * 65536)
    time.sleep(60)


def long_header(event, context):
    os.write(4, struct.pack(">IBIH", 100, 18, 1, 60000) + b"x" * 100)
    time.sleep(60)


def half_a_frame(event, context):
    os.write(4, b"\x00\x00")
    while True:
        time.sleep(0.1)
        os.write(4, b"\x00")


def endless_frames(event, context):
    frame = struct.pack(">IBIH", 8, 99, 0, 1) + b"\x90"
    while True:
        os.write(4, frame * 4096)


def forged_answers(event, context):
    for number in range(1, 2000):
        header = b"\x96\xc2\x06\xc0\xcc\xc8\xc0\xc2"
        os.write(4, struct.pack(">IBIH", 7 + len(header) + 6, 18, number, len(header)) + header + b"forged")
    time.sleep(60)


def closed_pipes(event, context):
    for descriptor in range(3, 64):
        try:
            os.close(descriptor)
        except OSError:
            pass
    time.sleep(60)


def closed_output(event, context):
    os.closerange(0, 3)
    time.sleep(60)


def stopped(event, context):
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(60)


def deaf(event, context):
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 64))
    while True:
        pass


# leaves something behind


def daemon(event, context):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for number in range(1, 32):
                try:
                    signal.signal(number, signal.SIG_IGN)
                except OSError:
                    pass
            time.sleep(300)
        os._exit(0)
    os._exit(0)


def many_daemons(event, context):
    for _ in range(20):
        subprocess.Popen(["sleep", "300"], start_new_session=True, stdin=subprocess.DEVNULL)
    while True:
        pass


# attacks others


@tries
def kill_everybody(found, there):
    found.attempt("kill(-1, 0)", lambda: os.kill(-1, 0) is None)
    found.attempt("kill(-1, 9)", lambda: LIBC.kill(-1, 9) == 0)


@tries
def kill_the_server(found, there):
    for name, pid in there["pids"].items():
        found.attempt(name, lambda pid=pid: os.kill(pid, signal.SIGKILL) is None)
        found.attempt("stop " + name, lambda pid=pid: os.kill(pid, signal.SIGSTOP) is None)
    found.attempt("parent", lambda: os.getppid() > 0 and os.kill(os.getppid(), signal.SIGKILL) is None)


@tries
def change_the_servers_limits(found, there):
    for name, pid in there["pids"].items():
        found.attempt(name, lambda pid=pid: resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, 3)) is not None)
        found.attempt("priority of " + name, lambda pid=pid: os.setpriority(os.PRIO_PROCESS, pid, 19) is None)


@tries
def read_the_server(found, there):
    for name, pid in there["pids"].items():
        for file in ("environ", "mem", "maps", "cmdline", "root/etc/hostname", "cwd/", "fd/0"):
            found.attempt("%s of %s" % (file, name), lambda pid=pid, file=file: read("/proc/%d/%s" % (pid, file)))


@tries
def trace_the_server(found, there):
    for pid in there["pids"].values():
        for request in (16, 0x4206):  # ATTACH, SEIZE
            found.syscall("ptrace", request, pid, 0, 0)
        found.syscall("process_vm_readv", pid, 0, 0, 0, 0, 0)
        found.attempt("pidfd", lambda pid=pid: call(NUMBERS["pidfd_getfd"][ARM], os.pidfd_open(pid), 0))


@tries
def read_secrets(found, there):
    for path in ("/etc/shadow", "/etc/sudoers", "~root/.ssh/id_rsa", "~root/.bash_history", "/var/log/syslog"):
        found.attempt(path, lambda path=path: read(os.path.expanduser(path)))
    for path in there["secrets"]:
        found.attempt(path, lambda path=path: read(path))


@tries
def read_the_data_folder(found, there):
    for path in (there["data"], there["data"] + "/code", there["data"] + "/cache", there["data"] + "/logs", "/.pyfc/code"):
        found.attempt(path, lambda path=path: os.listdir(path))
    found.attempt("lock", lambda: read(there["data"] + "/lock"))


@tries
def read_other_code(found, there):
    for path in there["code"]:
        found.attempt(path, lambda path=path: os.listdir(path))
        found.attempt("hidden", lambda path=path: os.listdir("/.pyfc/code/" + os.path.basename(path)))


@tries
def find_the_servers_environment(found, there):
    found.attempt("os.environ", lambda: [name for name in os.environ if name == "PYFC_CANARY"])
    found.attempt("own /proc", lambda: b"PYFC_CANARY" in open("/proc/self/environ", "rb").read())
    found.attempt("memory", lambda: b"PYFC_" + b"CANARY" in everything_readable())


def everything_readable():
    """The first bytes of each writable area of this process."""
    data = b""
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
        for line in maps:
            area, rights = line.split()[:2]
            if rights.startswith("rw") and "[stack]" in line:
                start, end = (int(part, 16) for part in area.split("-"))
                memory.seek(start)
                data += memory.read(end - start)
    return data


@tries
def import_the_servers_modules(found, there):
    for name in ("pyfc", "msgpack", "uvloop", "psutil", "bootstrap", "wire", "enter", "kernel"):
        found.attempt(name, lambda name=name: __import__(name))


@tries
def write_outside(found, there):
    code = os.environ["FC_FUNC_CODE_PATH"]
    has_layer = code == "/code" and os.environ["FC_RUNTIME_VERSION"].startswith("custom")  # it may change that over its code
    own = [] if has_layer else ["/code/x", code + "/y"]
    for path in ("/x", "/usr/x", "/etc/x", *own, "/cache/x", "/opt/x", "/dev/x", "/proc/sys/kernel/core_pattern"):
        found.attempt(path, lambda path=path: write(path))
    for path in there["writable"]:
        found.attempt(path, lambda path=path: write(path + "/escaped"))
    for path in there["of_all"]:  # it may have some of its own at the same path: the host looks
        try:
            write(path + "/escaped")
        except OSError as error:
            found.denied[path] = errno.errorcode.get(error.errno)


@tries
def change_what_is_known_of_files(found, there):
    """Some of these seem to work where they do nothing: the host looks at the rights of the file."""
    for path in there["secrets"]:
        for change in (
            lambda path: os.chmod(path, 0o777), lambda path: os.chmod(path, 0o777, dir_fd=os.open("/", os.O_RDONLY)),
            lambda path: os.utime(path, (1, 1)), lambda path: os.setxattr(path, "user.pyfc", b"1"),
        ):  # fmt: skip
            try:
                change(path)
            except OSError as error:
                found.denied[path] = errno.errorcode.get(error.errno)
        found.attempt("rights of " + path, lambda path=path: stat.S_IMODE(os.stat(path).st_mode) == 0o777)
        found.attempt("times of " + path, lambda path=path: os.stat(path).st_mtime == 1)
        found.attempt("attributes of " + path, lambda path=path: os.getxattr(path, "user.pyfc"))


@tries
def links(found, there):
    folder = os.environ.get("TMPDIR", "/tmp")
    for number, target in enumerate(["/etc/shadow", there["data"] + "/lock", *there["secrets"]]):
        link = "%s/link%d" % (folder, number)
        found.attempt("symlink " + target, lambda link=link, target=target: os.symlink(target, link) or read(link))
        found.attempt("hard link " + target, lambda link=link, target=target: os.link(target, link + "h") or read(link + "h"))
    found.attempt("/proc/self/root", lambda: read(os.path.join("/proc/self", "root", "etc/shadow")))
    found.attempt("/proc/self/cwd", lambda: os.listdir("/proc/self/cwd/../../.."[:0] + there["data"]))


@tries
def sockets_of_others(found, there):
    def connect(address):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(address)
        return True

    found.attempt("abstract", lambda: connect("\0" + there["abstract"]))
    found.attempt("path", lambda: connect(there["socket"]))


@tries
def shared_memory(found, there):
    found.attempt("files of others", lambda: [name for name in os.listdir("/dev/shm") if name == there["shared"]])
    found.attempt("write", lambda: read("/dev/shm/" + there["shared"]))
    identity = LIBC.shmget(there["key"], 0, 0)
    found.attempt("segment of others", lambda: identity >= 0)


# gains something


@tries
def become_root(found, there):
    for name in ("setuid", "setgid"):
        found.attempt(name, lambda name=name: getattr(os, name)(0) is None and name)
    found.attempt("setresuid", lambda: os.setresuid(0, 0, 0) is None)
    found.attempt("setgroups", lambda: os.setgroups([0]) is None)
    for program in (["su", "-c", "id -u"], ["sudo", "-n", "id", "-u"], ["mount", "-t", "tmpfs", "x", "/tmp"]):
        found.attempt(program[0], lambda program=program: run(program))


def run(program):
    done = subprocess.run(program, stdin=subprocess.DEVNULL, capture_output=True, timeout=5)
    return done.returncode == 0


@tries
def capabilities(found, there):
    text = open("/proc/self/status").read()
    for line in text.splitlines():
        if line.startswith(("CapPrm", "CapEff", "CapInh", "CapAmb")):
            found.attempt(line.split()[0], lambda line=line: int(line.split()[1], 16))
    found.attempt("NoNewPrivs", lambda: "NoNewPrivs:\t1" not in text)
    found.attempt("capset", lambda: LIBC.capset(struct.pack("=Ii", 0x20080522, 0), struct.pack("=6I", 1 << 21, 1 << 21, 0, 0, 0, 0)) == 0)


@tries
def mounts(found, there):
    found.syscall("mount", b"tmpfs", b"/tmp", b"tmpfs", 0, 0)
    found.syscall("mount", b"proc", b"/proc", b"proc", 0, 0)
    found.syscall("mount", b"none", b"/", 0, 32 | 4096, 0)
    found.syscall("umount2", b"/proc", 2)
    found.syscall("umount2", b"/code", 2)
    found.syscall("pivot_root", b"/tmp", b"/tmp")
    found.syscall("chroot", b"/tmp")
    found.syscall("fsopen", b"tmpfs", 0)
    found.syscall("open_tree", -100, b"/", 1)
    found.syscall("move_mount", -1, b"", -1, b"/tmp", 4)
    found.syscall("mount_setattr", -100, b"/code", 0, struct.pack("=QQQQ", 0, 1, 0, 0), 32)


@tries
def new_namespaces(found, there):
    for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        found.attempt("unshare %x" % flag, lambda flag=flag: call(NUMBERS["unshare"][ARM], flag) == 0)
        found.attempt("clone %x" % flag, lambda flag=flag: clone(flag))
    found.syscall("clone3", struct.pack("=11Q", 0x10000000, *[0] * 10), 88)


def clone(flag):
    pid = call(NUMBERS["clone"][ARM], flag | signal.SIGCHLD, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    return pid


@tries
def enter_namespaces(found, there):
    for pid in there["pids"].values():
        for kind in ("mnt", "pid", "user", "net"):
            path = "/proc/%d/ns/%s" % (pid, kind)
            found.attempt(path, lambda path=path: call(NUMBERS["setns"][ARM], os.open(path, os.O_RDONLY), 0) == 0)
    found.attempt("setns", lambda: call(NUMBERS["setns"][ARM], 0, 0) == 0)


@tries
def kernel_doors(found, there):
    names = (
        "bpf", "io_uring_setup", "userfaultfd", "perf_event_open", "kexec_load", "init_module", "swapon", "acct",
        "settimeofday", "open_by_handle_at", "name_to_handle_at", "personality", "quotactl", "syslog", "iopl",
        "modify_ldt", "vmsplice", "memfd_secret", "fanotify_init", "lookup_dcookie", "move_pages", "kcmp",
    )  # fmt: skip
    for name in names:
        found.syscall(name, 0, 0, 0, 0, 0, 0)


@tries
def keyrings(found, there):
    found.syscall("keyctl", 0, -3, 0, 0, 0)
    found.syscall("add_key", b"user", b"pyfc", b"x", 1, -3)
    found.syscall("request_key", b"user", b"pyfc", 0, -3)


@tries
def host_name(found, there):
    found.syscall("sethostname", b"owned", 5)
    found.syscall("reboot", 0xFEE1DEAD, 672274793, 0, 0)


@tries
def odd_sockets(found, there):
    for name, family, kind, protocol in (
        ("raw", 2, 3, 1), ("raw6", 10, 3, 58), ("packet", 17, 3, 3), ("vsock", 40, 1, 0), ("alg", 38, 5, 0),
        ("netlink audit", 16, 3, 9), ("netlink uevent", 16, 3, 15), ("bluetooth", 31, 1, 3), ("can", 29, 3, 1),
        ("xdp", 44, 3, 0),
    ):  # fmt: skip
        found.attempt(name, lambda family=family, kind=kind, protocol=protocol: socket.socket(family, kind, protocol))


@tries
def devices(found, there):
    for path in ("/dev/mem", "/dev/kmsg", "/dev/sda", "/dev/vda", "/dev/kvm", "/dev/fuse", "/dev/tty", "/dev/net/tun"):
        found.attempt(path, lambda path=path: os.open(path, os.O_RDWR | os.O_NONBLOCK))
    folder = os.environ.get("TMPDIR", "/tmp")
    found.attempt("mknod", lambda: os.mknod(folder + "/disk", 0o600 | 0o060000, os.makedev(8, 0)) is None)


@tries
def terminals(found, there):
    found.attempt("TIOCSTI", lambda: fcntl.ioctl(1, termios.TIOCSTI, b"x") == 0)
    found.attempt("pty", lambda: os.openpty())


@tries
def proc_files(found, there):
    for path in (
        "/proc/sys/kernel/core_pattern", "/proc/sys/vm/drop_caches", "/proc/sysrq-trigger", "/proc/sys/kernel/hostname",
        "/proc/1/mem", "/proc/kcore", "/sys/kernel/uevent_helper", "/sys/fs/cgroup/memory/tasks",
    ):  # fmt: skip
        found.attempt(path, lambda path=path: write(path))
    for value in ("-1000", "0"):
        found.attempt("oom_score_adj", lambda value=value: write("/proc/self/oom_score_adj", value))


@tries
def paths_of_the_server(found, there):
    for name in ("cmdline", "environ", "mounts", "mountinfo"):
        found.attempt(name, lambda name=name: named(there["home"], "/proc/self/" + name))
    found.attempt("cmdline of the first", lambda: named(there["home"], "/proc/1/cmdline"))
    found.attempt("cmdline of a child", lambda: named(there["home"], "/proc/self/cmdline", in_child=True))


def named(folder, path, in_child=False):
    """Whether a file names the folder."""
    if not in_child:
        with open(path, "rb") as file:
            return folder.encode() in file.read()
    child = os.fork()
    if child == 0:
        code = 0
        try:
            code = 1 if named(folder, path) else 0
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] != 0


@tries
def control_groups(found, there):
    for path in there["groups"]:
        found.attempt(path, lambda path=path: write(path + "/cgroup.procs", "0"))
        found.attempt("limit of " + path, lambda path=path: write(path + "/memory.limit_in_bytes", "-1"))


@tries
def raise_limits(found, there):
    for name in ("NOFILE", "NPROC", "CORE", "DATA", "MEMLOCK", "FSIZE"):
        kind = getattr(resource, "RLIMIT_" + name)
        hard = resource.getrlimit(kind)[1]
        if hard != resource.RLIM_INFINITY:
            found.attempt(name, lambda kind=kind, hard=hard: resource.setrlimit(kind, (hard, hard + 1)) is None)
    found.attempt("nice", lambda: os.nice(-20) < -10)
    found.attempt("real time", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50)) is None)


@tries
def outlive_the_server(found, there):
    found.attempt("PR_SET_PDEATHSIG", lambda: LIBC.prctl(1, 0, 0, 0, 0) == 0)
    found.attempt("PR_SET_MM", lambda: LIBC.prctl(35, 8, 0, 0, 0) == 0)


@tries
def descriptors_of_the_server(found, there):
    known = {0, 1, 2, 3, 4, 5, *there.get("descriptors", ())}

    def foreign():
        names = []
        for number in range(256):
            try:
                name = os.readlink("/proc/self/fd/%d" % number)
            except OSError:
                continue
            if number not in known:
                names.append(name)
        return names

    found.attempt("inherited", foreign)


@tries
def network(found, there):
    def connect():
        with socket.create_connection(("127.0.0.1", there["port"]), 2):
            return True

    def connect_by_path():
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(there["socket"])
        return True

    found.attempt("loopback of the host", connect)
    found.attempt("socket of the user", connect_by_path)
