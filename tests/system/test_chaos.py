"""Whatever is killed, nothing that was promised is lost, and nothing is left."""

from __future__ import annotations

import pytest

import chaos
from support import impossible

SECONDS = 60.0


@pytest.mark.long
@pytest.mark.parametrize("mode", ["root", "user"])
def test_under_random_kills_no_promise_is_lost_and_nothing_is_left(mode: str) -> None:
    if why := impossible(mode):
        pytest.skip(why)

    report = chaos.run(mode, SECONDS, seed=16)

    assert not report.problems, report.text()
    assert report.kills["server"]
    assert report.kills["zygote"]
    assert report.begun >= report.promised - report.given_up
