"""What protects this machine from its functions, for people: each layer, what it protects, what it costs, whether it
is in force here, and how to get it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NamedTuple

from pyfc.errors import SandboxIncomplete
from pyfc.model.networks import METADATA, METADATA_V6
from pyfc.sandbox.sandbox import Sandbox

ON, WEAKER, MISSING, OFF = "on", "weaker", "missing", "off"


class Layer(NamedTuple):
    """One layer. `state`: on; weaker: something else stands in for it; missing; off by choice."""

    name: str
    protects: str
    cost: str
    state: str
    detail: str
    """How it is in force, or why it is not."""
    remedy: str
    """How to get it, '' where there is nothing to get."""


_NAMESPACES = (
    "let users make namespaces: sysctl kernel.unprivileged_userns_clone=1 (Debian), "
    "kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu 24.04), user.max_user_namespaces=10000; or run pyfc as root"
)
_GROUPS = "start pyfc in a group that is yours: systemd-run --user --scope -p Delegate=yes pyfc serve ...; or as root"
_KERNEL = "a newer Linux kernel: 6.12 or later has everything"


def layers(sandbox: Sandbox) -> list[Layer]:
    """The layers of a sandbox whose zygote has told its mode."""
    rows: list[tuple[str, str, str, Callable[[Sandbox], tuple[str, str, str]]]] = [
        ("namespaces", "other processes, mounts, IPC", "0.3 ms a start", _namespaces),
        ("files", "your files, other functions' code", "3 ms once, 0.1 ms a start", _files),
        ("proc", "facts about other processes", "0.05 ms a start", _proc),
        ("tmp", "other functions' files, your disk", "0.05 ms a start", _tmp),
        ("user", "processes of other instances", "none", _user),
        ("privileges", "everything that needs root", "none", _privileges),
        ("system calls", "the kernel", "0.1 us a call", _calls),
        ("signals", "processes and abstract sockets outside", "0.05 ms a start", _signals),
        ("sockets", "UNIX sockets of your user: session bus, ssh and gpg agents", "none", _sockets),
        ("limits", "what the kernel counts for a user, from one instance that takes all", "0.1 ms a start", _limits),
        ("memory", "this machine's memory", "0.2 ms a start", _memory),
        ("processes", "this machine from fork bombs", "with memory", _processes),
        ("processor", "other functions' time", "with memory", _processor),
        ("no network", "the network from internetAccess: false", "0.6 ms a start of such a function", _no_network),
        ("metadata", "credentials that clouds hand out by address", "0.1 us a connection", _metadata),
        ("orphans", "you from what functions leave running", "none", _orphans),
    ]
    if sandbox.mode == "off":
        why = "--sandbox off" if sandbox.choice == "off" else f"{sys.platform} has nothing of the kind"
        state = OFF if sandbox.choice == "off" else MISSING
        remedy = "start without --sandbox off" if sandbox.choice == "off" else "serve strangers' functions on Linux"
        return [Layer(name, protects, cost, state, why, remedy) for name, protects, cost, _ in rows]
    return [Layer(name, protects, cost, *judge(sandbox)) for name, protects, cost, judge in rows]


def summary(found: list[Layer]) -> list[str]:
    """For the start of a server: one line, and what nobody should have to look up."""
    if all(layer.state in {OFF, MISSING} for layer in found):
        return [_warning("--sandbox off" if found[0].state == OFF else found[0].detail)]
    names = {state: [layer.name for layer in found if layer.state == state] for state in (ON, WEAKER, MISSING)}
    lacking = [f"{state}: {', '.join(names[state])}" for state in (WEAKER, MISSING) if names[state]]
    told = "; ".join([f"sandbox: {len(names[ON])} of {len(found)} layers", *lacking])
    told += " (`pyfc doctor` says why)" if lacking else ""
    return [told, *_exposed(found)]


def _exposed(found: list[Layer]) -> list[str]:
    sockets = [layer for layer in found if layer.name == "sockets" and layer.state != ON]
    return [f"WARNING: {layer.protects}: {layer.detail}" for layer in sockets]


def _warning(why: str) -> str:
    return (
        f"WARNING: no sandbox ({why}): functions run with your user's rights, can read your files, use your "
        "network and manage this server; memory sizes are not enforced"
    )


def require(sandbox: Sandbox) -> None:
    """Raise SandboxIncomplete if the operator wants every layer and one is missing."""
    lacking = [layer for layer in layers(sandbox) if layer.state == MISSING]
    if sandbox.choice == "required" and lacking:
        raise SandboxIncomplete(layers="; ".join(f"{layer.name} ({layer.detail})" for layer in lacking))


def _why_plain(sandbox: Sandbox) -> str:
    return "; ".join(text for name, text in sandbox.refused.items() if name.startswith("namespaces")) or "refused"


def _namespaces(sandbox: Sandbox) -> tuple[str, str, str]:
    if sandbox.mode == "root":
        return ON, "made by root", ""
    if sandbox.mode == "user":
        return ON, "inside a user namespace", ""
    return MISSING, _why_plain(sandbox), _NAMESPACES


def _files(sandbox: Sandbox) -> tuple[str, str, str]:
    if sandbox.has_namespaces:
        return ON, "a root of their own: system programs and /code read-only, nothing else", ""
    if "landlock" not in sandbox.refused:
        return (
            WEAKER,
            "Landlock: a list of folders, in the machine's own tree; no path sockets are kept away",
            _NAMESPACES,
        )
    return MISSING, sandbox.refused["landlock"], _NAMESPACES


def _proc(sandbox: Sandbox) -> tuple[str, str, str]:
    if sandbox.has_namespaces:
        if "proc" in sandbox.refused:
            return WEAKER, f"there is no /proc at all: {sandbox.refused['proc']}", "unmask /proc of the container"
        return ON, "shows the instance's own processes, read-only", ""
    if "landlock" not in sandbox.refused:
        return WEAKER, "Landlock: /proc/self alone", _NAMESPACES
    return MISSING, _why_plain(sandbox), _NAMESPACES


def _tmp(sandbox: Sandbox) -> tuple[str, str, str]:
    if sandbox.has_namespaces:
        return ON, "in memory, of diskSize, gone with the instance", ""
    return (
        WEAKER,
        "a folder of their own in TMPDIR; diskSize limits each file, not all; /tmp itself is denied",
        _NAMESPACES,
    )


def _user(sandbox: Sandbox) -> tuple[str, str, str]:
    if sandbox.mode == "root":
        return ON, "a user of its own for each instance", ""
    return WEAKER, "all instances run as your user; the other layers separate them", "run pyfc as root"


def _privileges(sandbox: Sandbox) -> tuple[str, str, str]:
    return ON, "no capabilities, none to be gained (no_new_privs)", ""


def _calls(sandbox: Sandbox) -> tuple[str, str, str]:
    if "seccomp" in sandbox.refused:
        return MISSING, sandbox.refused["seccomp"], "a kernel with CONFIG_SECCOMP_FILTER on x86_64 or aarch64"
    return ON, "seccomp: a list of what is allowed", ""


def _signals(sandbox: Sandbox) -> tuple[str, str, str]:
    for layer in ("landlock", "scopes"):
        if layer in sandbox.refused:
            if sandbox.has_namespaces:
                return WEAKER, f"processes by namespaces; abstract sockets are open: {sandbox.refused[layer]}", _KERNEL
            return MISSING, sandbox.refused[layer], _KERNEL
    return ON, "Landlock scopes", ""


def _sockets(sandbox: Sandbox) -> tuple[str, str, str]:
    if sandbox.has_namespaces:
        return ON, "a root of their own, in which they are not", ""
    if "seccomp" in sandbox.refused:
        return MISSING, f"any function can use them: {_why_plain(sandbox)}", _NAMESPACES
    return WEAKER, "kept from functions with internetAccess: false; others can use them", _NAMESPACES


def _limits(sandbox: Sandbox) -> tuple[str, str, str]:
    if sandbox.mode == "root":
        return ON, "a user of its own for each instance", ""
    shared = "descriptors under way, pages of pipes and epoll's entries are one pool of your user"
    if sandbox.mode == "user":
        return (
            WEAKER,
            f"watches of files, signals and timers are limited for each instance; {shared}",
            "run pyfc as root",
        )
    return (
        WEAKER,
        f"no watches of files, few signals and timers for all instances together; {shared}",
        "run pyfc as root",
    )


def _memory(sandbox: Sandbox) -> tuple[str, str, str]:
    if "memory" in sandbox.groups.controllers:
        return ON, f"control groups, version {sandbox.groups.version}", ""
    return WEAKER, f"watched and killed, by 50 looks a second: {sandbox.groups.missing.get('memory', 'none')}", _GROUPS


def _processes(sandbox: Sandbox) -> tuple[str, str, str]:
    if "pids" in sandbox.groups.controllers:
        return ON, f"control groups, version {sandbox.groups.version}", ""
    why = sandbox.groups.missing.get("pids", "none")
    if sandbox.mode == "user":
        return ON, "RLIMIT_NPROC in a user namespace of the instance's own", ""
    return WEAKER, f"RLIMIT_NPROC, which counts all processes of your user: {why}", _GROUPS


def _processor(sandbox: Sandbox) -> tuple[str, str, str]:
    if "cpu" in sandbox.groups.controllers:
        return ON, "shared in proportion to memorySize", ""
    return MISSING, sandbox.groups.missing.get("cpu", "none"), _GROUPS


def _no_network(sandbox: Sandbox) -> tuple[str, str, str]:
    if sandbox.has_namespaces:
        return ON, "a network of its own with nothing but lo", ""
    if "seccomp" not in sandbox.refused:
        return ON, "seccomp: no sockets but pairs", ""
    return MISSING, _why_plain(sandbox), _NAMESPACES


def _metadata(sandbox: Sandbox) -> tuple[str, str, str]:
    if sandbox.metadata:
        return (
            MISSING,
            sandbox.metadata,
            "run pyfc as root, with control groups of version 2 mounted (Linux 4.17)",
        )
    return ON, f"{', '.join([*METADATA, *METADATA_V6])} are blocked", ""


def _orphans(sandbox: Sandbox) -> tuple[str, str, str]:
    if sandbox.has_namespaces:
        return ON, "end with their instance, instances with the server", ""
    if "seccomp" in sandbox.refused:
        return WEAKER, "a process that leaves the group of its instance outlives it", _NAMESPACES
    return ON, "can not leave the process group of their instance", ""
