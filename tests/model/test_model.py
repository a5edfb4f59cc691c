"""Names and the life of an instance."""

from __future__ import annotations

import time
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyfc.errors import Internal
from pyfc.model.instance import TRANSITIONS, Event, State, advance
from pyfc.model.names import instance_id, is_name, request_id, request_ids


@pytest.mark.parametrize("name", ["a", "_", "A-b_9", "x" * 128])
def test_a_name_of_fcs_grammar_is_a_name(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize("name", ["", "9a", "-a", "a.b", "a/b", "a b", "x" * 129, "caf\u00e9", "a\n"])
def test_any_other_text_is_no_name(name: str) -> None:
    assert not is_name(name)


def test_ids_have_fcs_forms_and_are_all_different() -> None:
    before = time.time()
    numbers = [*request_ids(), *(request_id() for _ in range(10))]

    assert len(set(numbers)) == len(numbers)
    assert {(UUID(number).version, UUID(number).variant, len(number)) for number in numbers} == {(7, RFC_4122, 36)}
    times = [int(number[:8] + number[9:13], 16) / 1000 for number in numbers]
    assert times == sorted(times)
    assert before - 0.001 <= times[0] <= times[-1] <= time.time()
    prefix, first, second = instance_id().split("-")
    assert (prefix, len(first), len(second)) == ("c", 8, 20)


def test_the_table_of_an_instances_life_is_total() -> None:
    assert set(TRANSITIONS) == {(state, event) for state in State for event in Event}


@given(st.lists(st.sampled_from(list(Event)), max_size=12))
def test_no_sequence_of_events_leaves_the_table_or_comes_back_from_the_dead(events: list[Event]) -> None:
    state = State.STARTING
    for event in events:
        dead = state is State.DEAD
        try:
            state = advance(state, event)
        except Internal:
            continue
        assert isinstance(state, State)
        assert not dead or state is State.DEAD


@pytest.mark.parametrize("state", list(State))
def test_death_can_come_at_any_time_and_killing_never_revives(state: State) -> None:
    assert TRANSITIONS[state, Event.DIED] is State.DEAD
    assert TRANSITIONS[state, Event.KILL] in {State.KILLED, State.STUCK, State.DEAD}
