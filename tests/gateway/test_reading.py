"""The table of what may be read of a connection is total, and says what the theory says."""

from __future__ import annotations

import pytest

from pyfc.gateway.reading import TRANSITIONS, Happening, Reading

IDLE, HEAD, BODY, DEAF, TUNNEL = Reading
BEGUN, HEADED, WHOLE, SWITCHED, ENDED = Happening
ALLOWED = {
    (IDLE, BEGUN): HEAD,
    (IDLE, SWITCHED): TUNNEL,
    (HEAD, HEADED): BODY,
    (BODY, WHOLE): IDLE,
    **{(reading, ENDED): DEAF for reading in Reading},
    **{(DEAF, happening): DEAF for happening in Happening},
}
"""All that can happen."""


@pytest.mark.parametrize("reading", Reading)
@pytest.mark.parametrize("happening", Happening)
def test_every_pair_of_state_and_happening_has_an_answer(reading: Reading, happening: Happening) -> None:
    assert TRANSITIONS[reading][happening] is ALLOWED.get((reading, happening))


def test_the_states_that_are_deaf_to_the_parser_are_the_last_ones() -> None:
    """data_received compares with `>=`."""
    assert [reading for reading in Reading if reading >= DEAF] == [DEAF, TUNNEL]


def test_every_state_can_be_reached_and_left_by_the_end_of_the_connection() -> None:
    reached = {IDLE}
    for _ in Reading:
        reached |= {after for reading in reached for after in TRANSITIONS[reading] if after is not None}

    assert reached == set(Reading)
    assert all(TRANSITIONS[reading][ENDED] is DEAF for reading in Reading)
