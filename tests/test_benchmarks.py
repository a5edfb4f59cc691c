"""The benchmark harness: its folders are whole, and it tells noise from change."""

from __future__ import annotations

import importlib
import json
import sys
import tomllib
from pathlib import Path

import pytest

HERE = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(autouse=True)
def harness(monkeypatch: pytest.MonkeyPatch) -> None:
    """The harness is a program of its own: its folder is on the path only here."""
    monkeypatch.syspath_prepend(str(HERE))
    for name in ("report", "load", "servers", "peers"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("path", sorted(HERE.glob("peers/[a-z]*.py")), ids=lambda path: path.stem)
def test_a_peer_says_what_it_needs_and_how_it_starts(path: Path, tmp_path: Path) -> None:
    peer = importlib.import_module(f"peers.{path.stem}")

    assert peer.__doc__
    assert {"event", "http"} >= peer.KINDS
    command, url = peer.start("/bin/python", HERE / "workloads" / "event_100b", 12345, tmp_path / "scratch")
    assert "12345" in " ".join(command)
    assert url.startswith("/")


@pytest.mark.parametrize("folder", sorted(HERE.glob("workloads/*")), ids=lambda path: path.name)
def test_a_workload_is_a_function_and_three_numbers(folder: Path) -> None:
    table = tomllib.loads((folder / "workload.toml").read_text())

    assert table["kind"] in {"event", "http"}
    assert table["body"] > 0
    assert table["connections"]
    assert "def handler(" in (folder / "index.py").read_text()


def test_a_comparison_tells_noise_from_change(tmp_path: Path) -> None:
    report = importlib.import_module("report")
    rows = {
        "quiet": ([100.0, 104.0], [98.0, 106.0]),
        "slow": ([100.0, 101.0], [60.0, 61.0]),
        "wild": ([50.0, 150.0], [140.0, 145.0]),
    }
    for index, name in enumerate(("before", "after")):
        warm = [
            {"setup": "free", "workload": peer, "connections": 1, "peer": peer,
             "samples": [{"per_second": value} for value in samples[index]]}
            for peer, samples in rows.items()
        ]  # fmt: skip
        (tmp_path / f"{name}.json").write_text(json.dumps({"warm": warm}))

    lines = report.compare(tmp_path / "before.json", tmp_path / "after.json").splitlines()

    verdicts = {line.split("|")[4].strip(): line.split("|")[8].strip() for line in lines[2:]}
    assert verdicts == {"quiet": "noise", "slow": "SLOWER", "wild": "noise"}
