"""Measures pyfc beside what people would use instead, interleaved, in one run on one machine.

    python benchmarks/run.py [--quick] [--measure warm] [--setup pinned] [--only event_100b] [--json FILE] [--plot FILE]
    python benchmarks/run.py --compare BEFORE.json AFTER.json

Two set-ups: `pinned`, everything on one CPU, for comparison; `free`, no pinning. The peers of a line run in turns,
round after round, each alone, so that what disturbs the machine disturbs all of them.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import load
import measures
import report

from servers import Server, free_port

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pyfc-benchmarks"
QUICK = ("event_100b", "event_1mb", "http_100b")
QUICK_PEERS = ("pyfc", "uvicorn_echo", "functions_framework")


def main() -> int:
    """See module."""
    options = _options()
    if options.compare:
        print(report.compare(*options.compare))
        return 0
    peers = {path.stem: importlib.import_module(f"peers.{path.stem}") for path in _files("peers/*.py")}
    python = _install(peers)
    result: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(sys.argv),
        "machine": report.machine(),
        "load": load.name(),
    }
    print(f"load: {result['load']}")
    with tempfile.TemporaryDirectory(prefix="pyfc-bench-") as scratch:
        result["warm"] = _warm(options, peers, python, Path(scratch)) if options.measure != "other" else []
        _save(result, options.json)
        result["other"] = _other(options, python, Path(scratch)) if options.measure != "warm" else {}
    _save(result, options.json)
    print(report.warm_table(result["warm"]))
    print(report.figures_table(result["other"]))
    if options.plot:
        report.plot(result["warm"], options.plot)
    return 0


def _save(result: dict[str, Any], path: Path | None) -> None:
    """What there is so far: a measurement that fails must not cost those before it."""
    if path is not None:
        path.write_text(json.dumps(result, indent=1) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="under two minutes: few workloads, peers and rounds")
    parser.add_argument("--measure", choices=["warm", "other", "both"], default="both")
    parser.add_argument("--setup", choices=["pinned", "free", "both"], default="both")
    parser.add_argument("--only", action="append", metavar="WORKLOAD", help="this workload only (repeatable)")
    parser.add_argument("--peers", action="append", metavar="PEER", help="this peer only (repeatable)")
    parser.add_argument("--rounds", type=int, help="rounds per line (default 3, quick 1)")
    parser.add_argument("--seconds", type=float, help="seconds per measurement (default 3, quick 1)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="a PNG; needs matplotlib")
    parser.add_argument("--compare", nargs=2, type=Path, metavar=("BEFORE", "AFTER"))
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.seconds = options.seconds or (1.0 if options.quick else 3.0)
    return options


def _files(pattern: str) -> list[Path]:
    return sorted(path for path in HERE.glob(pattern) if not path.name.startswith("_"))


def _install(peers: dict[str, ModuleType]) -> str:
    """The peers' packages in an environment of their own, made once; its interpreter."""
    packages = sorted({package for peer in peers.values() for package in peer.PACKAGES})
    python = CACHE / "venv" / "bin" / "python"
    stamp = CACHE / "installed"
    if not python.exists() or not stamp.exists() or stamp.read_text() != "\n".join(packages):
        print(f"installing {', '.join(packages)} into {CACHE / 'venv'}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(CACHE / "venv")], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *packages], check=True)
        stamp.write_text("\n".join(packages))
    return str(python)


def _warm(
    options: argparse.Namespace, peers: dict[str, ModuleType], python: str, scratch: Path
) -> list[dict[str, Any]]:
    setups = ["pinned", "free"] if options.setup == "both" else [options.setup]
    rows: list[dict[str, Any]] = []
    for setup in setups:
        cpus = {min(os.sched_getaffinity(0))} if setup == "pinned" else os.sched_getaffinity(0)
        for file in _files("workloads/*/workload.toml"):
            workload = tomllib.loads(file.read_text())
            name = file.parent.name
            if name not in (options.only or (QUICK if options.quick else [name])):
                continue
            chosen = {
                peer: module
                for peer, module in peers.items()
                if workload["kind"] in module.KINDS
                and peer in (options.peers or (QUICK_PEERS if options.quick else [peer]))
            }
            rows += _workload(options, setup, cpus, file.parent, workload, chosen, python, scratch / setup / name)
    return rows


def _workload(
    options: argparse.Namespace, setup: str, cpus: set[int], folder: Path, workload: dict[str, Any],
    peers: dict[str, ModuleType], python: str, scratch: Path,
) -> list[dict[str, Any]]:  # fmt: skip
    scratch.mkdir(parents=True)
    servers: dict[str, Server] = {}
    rows: dict[tuple[int, str], dict[str, Any]] = {}
    try:
        for peer, module in peers.items():
            port = free_port()
            command, path = module.start(python, folder, port, scratch / peer)
            servers[peer] = Server(command, path, port, cpus, scratch)
        for connections in workload["connections"] if not options.quick else workload["connections"][:2]:
            for number in range(options.rounds):
                for peer, server in servers.items():
                    sample = _sample(server, workload["body"], connections, options.seconds, cpus)
                    row = rows.setdefault((connections, peer), {"setup": setup, "workload": folder.name})
                    row |= {"connections": connections, "peer": peer}
                    row.setdefault("samples", []).append(sample)
                    print(_progress(setup, folder.name, connections, number + 1, peer, sample), flush=True)
    finally:
        for server in servers.values():
            server.stop()
    return list(rows.values())


def _progress(setup: str, workload: str, connections: int, number: int, peer: str, sample: dict[str, float]) -> str:
    errors = f" ERRORS {sample['errors']:.0f}" if sample["errors"] else ""
    return (
        f"{setup} {workload} c={connections} round {number} {peer}: {sample['per_second']:,.0f}/s "
        f"p50 {sample['p50'] * 1e6:,.0f} us p99 {sample['p99'] * 1e6:,.0f} us{errors}"
    )


def _sample(server: Server, body: int, connections: int, seconds: float, cpus: set[int]) -> dict[str, float]:
    own, children = server.cpu()
    done = load.run(server.port, server.path, body, connections, seconds, cpus)
    own_after, children_after = server.cpu()
    count = max(done.requests, 1)
    return {
        **done._asdict(),
        "own_cpu": (own_after - own) / count,
        "children_cpu": (children_after - children) / count,
    }


def _other(options: argparse.Namespace, python: str, scratch: Path) -> dict[str, float]:
    cpus = os.sched_getaffinity(0)
    figures: dict[str, float] = {}
    rounds = 10 if options.quick else 40
    for text, measure in (
        ("cold starts", lambda: measures.cold_starts(scratch, cpus, rounds)),
        (
            "cold starts of functions-framework",
            lambda: measures.framework_cold_starts(scratch, cpus, 3 if options.quick else 10, python),
        ),
        ("hostile neighbours", lambda: measures.neighbours(scratch, cpus, 1.0 if options.quick else 3.0)),
        ("100 instances at once", lambda: measures.burst(scratch, cpus)),
        ("start-up", lambda: measures.start_up(scratch, cpus, 1 if options.quick else 3, 1000)),
        ("idle memory", lambda: measures.idle_memory(scratch, cpus)),
        ("growth", lambda: _growth(scratch, cpus, 20_000 if options.quick else 200_000)),
    ):
        print(f"measuring {text}", flush=True)
        figures |= measure()
    return figures


def _growth(scratch: Path, cpus: set[int], calls: int) -> dict[str, float]:
    """MB by which the supervisor grows over many calls, after the first tenth of them."""
    folder = scratch / "growth"
    folder.mkdir()
    (folder / "hello0.py").write_text("def handler(event, context):\n    return event\n")
    server = measures.pyfc_server(folder, cpus, "hello0")
    try:
        done, first = 0, 0.0
        end = time.monotonic() + 300
        while done < calls and time.monotonic() < end:
            done += load.run(server.port, server.path, 100, 16, 2.0, cpus).requests
            first = first or server.memory()
        return {f"supervisor growth over {done} calls, MB": server.memory() - first}
    finally:
        server.stop()


if __name__ == "__main__":
    sys.exit(main())
