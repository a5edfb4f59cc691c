"""Every pair of a lane's states and events has an answer, and whatever the order, nothing in the queue is forgotten."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyfc.dispatch.lane import GATE, SUPPLY, Gate, Lane, News, Supply, Turn
from pyfc.errors import Internal
from pyfc.model.names import Target

READS = {Supply.READING, Supply.STALE}


def lane(supply: Supply = Supply.MORE, gate: Gate = Gate.OPEN) -> Lane:
    made = Lane(Target("s", "f"), gate)
    made.supply = supply
    return made


@pytest.mark.parametrize(("supply", "news"), [*itertools.product(Supply, News)])
def test_every_supply_has_an_answer_to_all_news(supply: Supply, news: News) -> None:
    one = lane(supply)
    following = SUPPLY[supply][news]

    if following is None:
        with pytest.raises(Internal, match=f"'{supply.value}' was told '{news.value}'"):
            one.heard(news)
        assert one.supply is supply
    else:
        one.heard(news)
        assert one.supply is following


@pytest.mark.parametrize(("gate", "turn"), [*itertools.product(Gate, Turn)])
def test_every_gate_has_an_answer_to_every_turn(gate: Gate, turn: Turn) -> None:
    one = lane(gate=gate)

    one.turned(turn)

    assert one.gate is GATE[gate][turn]


def test_a_reading_begins_once_and_ends_once() -> None:
    for supply in Supply:
        is_read = supply in READS
        assert (SUPPLY[supply][News.FOUND] is not None) == is_read
        assert (SUPPLY[supply][News.NOTHING] is not None) == is_read
        assert (SUPPLY[supply][News.READ] is not None) == (supply in {Supply.MORE, Supply.STARVED})
        assert SUPPLY[supply][News.CAME] is not None
        assert SUPPLY[supply][News.ROOM] is not None


@given(st.lists(st.sampled_from(News), max_size=60))
def test_what_has_come_is_never_taken_for_nothing(story: list[News]) -> None:
    one = lane()
    is_there, is_seen = True, False
    """Whether something may be in the queue, and whether a reading that goes on would find it."""
    for news in story:
        if SUPPLY[one.supply][news] is None:
            continue
        one.heard(news)
        if news is News.CAME:
            is_there, is_seen = True, False
        elif news is News.READ:
            is_seen = True
        elif news is News.NOTHING and is_seen:
            is_there = False

        assert (one.supply is Supply.NONE) == (not is_there)


@given(st.lists(st.sampled_from(News), max_size=60))
def test_from_wherever_it_is_a_lane_is_read_to_its_end(story: list[News]) -> None:
    one = lane()
    for news in story:
        if SUPPLY[one.supply][news] is not None:
            one.heard(news)
    for _ in range(2):  # what came meanwhile is read by another reading
        if one.supply in READS:
            one.heard(News.NOTHING)
        if one.supply is not Supply.NONE:
            one.heard(News.READ)
    if one.supply in READS:
        one.heard(News.NOTHING)

    assert one.supply is Supply.NONE


@given(st.lists(st.sampled_from(Turn), max_size=20))
def test_a_lane_opens_again_unless_it_was_closed_for_good(story: list[Turn]) -> None:
    one = lane()
    for turn in story:
        one.turned(turn)
    one.turned(Turn.RESUMED)

    assert one.gate is (Gate.CLOSED if Turn.CLOSED in story else Gate.OPEN)


def test_a_function_that_is_disabled_is_remembered_as_such_whatever_is_refused_meanwhile() -> None:
    one = lane()
    for turn in (Turn.REFUSED, Turn.FORBIDDEN, Turn.REFUSED):
        one.turned(turn)

    assert one.gate is Gate.DISABLED
