"""Results as a table, a JSON file, a plot, and the comparison of two files that tells noise from change."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

BASELINE = "uvicorn_echo"
_NOISE = 0.10
"""Differences of less than this share are noise on the machines we measured on, whatever the spread says."""


def machine() -> dict[str, Any]:
    """What ran it."""
    packages = ("uvicorn", "uvloop", "httptools", "msgpack", "starlette")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    model = next(
        (line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "unknown"
    )
    return {
        "cpu": model,
        "cpus": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": sys.version.split()[0],
        "packages": {name: version(name) for name in packages},
        "commit": commit.stdout.strip(),
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def warm_table(rows: list[dict[str, Any]]) -> str:
    """A line per set-up, workload, connections and peer; the ratio is to the raw uvicorn echo of the same line."""
    base = {(row["setup"], row["workload"], row["connections"]): row for row in rows if row["peer"] == BASELINE}
    lines = [
        "| set-up | workload | conn. | peer | calls/s | x echo | p50 us | p99 us | own CPU us | children CPU us |",
        "|---|---|--:|---|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        echo = base.get((row["setup"], row["workload"], row["connections"]))
        ratio = f"{middle(row, 'per_second') / middle(echo, 'per_second'):.2f}" if echo else "-"
        lines.append(
            f"| {row['setup']} | {row['workload']} | {row['connections']} | {row['peer']} "
            f"| {middle(row, 'per_second'):,.0f} | {ratio} | {middle(row, 'p50') * 1e6:,.0f} "
            f"| {middle(row, 'p99') * 1e6:,.0f} | {middle(row, 'own_cpu') * 1e6:.0f} "
            f"| {middle(row, 'children_cpu') * 1e6:.0f} |"
        )
    return "\n".join(lines)


def middle(row: dict[str, Any], figure: str) -> float:
    """The median of a figure over the rounds."""
    return statistics.median(sample[figure] for sample in row["samples"])


def figures_table(figures: dict[str, float]) -> str:
    """The other measures."""
    return "\n".join(["| measure | |", "|---|--:|", *(f"| {name} | {value:.2f} |" for name, value in figures.items())])


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Throughput by peer, a group of bars per workload and connections, a panel per set-up."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    setups = sorted({row["setup"] for row in rows})
    peers = list(dict.fromkeys(row["peer"] for row in rows))
    figure, panels = pyplot.subplots(len(setups), 1, figsize=(13, 4.2 * len(setups)), squeeze=False)
    for panel, setup in zip(panels[:, 0], setups, strict=True):
        chosen = [row for row in rows if row["setup"] == setup]
        groups = list(dict.fromkeys((row["workload"], row["connections"]) for row in chosen))
        for index, peer in enumerate(peers):
            heights = {(row["workload"], row["connections"]): row for row in chosen if row["peer"] == peer}
            places = [at for at, group in enumerate(groups) if group in heights]
            values = [middle(heights[groups[at]], "per_second") for at in places]
            panel.bar([at + 0.8 * index / len(peers) for at in places], values, 0.8 / len(peers), label=peer)
        panel.set_yscale("log")
        panel.set_xticks([at + 0.4 for at in range(len(groups))])
        panel.set_xticklabels([f"{workload}\n{count} conn." for workload, count in groups], fontsize=8)
        panel.set_ylabel("calls per second")
        panel.set_title(setup)
        panel.legend(fontsize=8, ncols=3)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def compare(first: Path, second: Path) -> str:
    """What changed from one file to the other: a change is larger than the spread of both and than ten per cent."""
    before, after = (json.loads(path.read_text()) for path in (first, second))
    old = {_key(row): row for row in before["warm"]}
    lines = ["| set-up | workload | conn. | peer | before | after | change | |", "|---|---|--:|---|--:|--:|--:|---|"]
    for row in after["warm"]:
        other = old.get(_key(row))
        if other is None:
            continue
        was, now = middle(other, "per_second"), middle(row, "per_second")
        change = now / was - 1
        spread = max(_spread(other), _spread(row), _NOISE)
        verdict = "noise" if abs(change) <= spread else ("faster" if change > 0 else "SLOWER")
        lines.append(
            f"| {row['setup']} | {row['workload']} | {row['connections']} | {row['peer']} "
            f"| {was:,.0f} | {now:,.0f} | {change:+.0%} | {verdict} |"
        )
    return "\n".join(lines)


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["setup"], row["workload"], row["connections"], row["peer"]


def _spread(row: dict[str, Any]) -> float:
    """Half the distance between the best and the worst round, as a share of the median."""
    values = [sample["per_second"] for sample in row["samples"]]
    return (max(values) - min(values)) / 2 / max(statistics.median(values), 1e-9)
