"""Strangers' code: whatever a function does, its neighbour is served, the host is safe, and nothing is left."""

from __future__ import annotations

from pathlib import Path

import pytest

import hostile
from support import impossible

README = Path(__file__).parents[2] / "pyfc" / "sandbox" / "README.md"


@pytest.fixture(scope="module", params=hostile.IN_SUITE)
def report(request: pytest.FixtureRequest) -> tuple[str, hostile.Report]:
    """Every hostile handler, run once in each mode that is possible here."""
    if why := impossible(request.param.partition(" ")[0]):
        pytest.skip(why)
    return request.param, hostile.run(request.param)


@pytest.mark.long
def test_every_attack_is_contained_or_named_as_weakened_with_its_reason(report: tuple[str, hostile.Report]) -> None:
    mode, found = report

    assert len(found.outcomes) >= 50
    escaped = {each.name: each.escaped for each in found.outcomes if each.escaped}
    assert not {name: what for name, what in escaped.items() if (name, mode.partition(" ")[0]) not in hostile.WEAKENED}
    refused = [each for each in found.outcomes if each.text.startswith("refused: ")]
    assert not refused, "the platform answered, not the function"


@pytest.mark.long
def test_no_call_of_the_healthy_function_fails_meanwhile(report: tuple[str, hostile.Report]) -> None:
    _, found = report

    assert found.calls > 100
    assert not found.failures


@pytest.mark.long
def test_nothing_is_left_and_the_server_says_nothing_of_trouble(report: tuple[str, hostile.Report]) -> None:
    _, found = report

    assert not found.left
    assert "Traceback" not in found.errors


def test_the_table_names_every_handler_and_its_layer() -> None:
    text = README.read_text(encoding="utf-8")
    layers = {name for names in hostile.LAYERS.values() for name in names}

    assert layers == set(hostile.handlers())
    assert not [name for name in hostile.handlers() if f"| {name} |" not in text]
