"""Links are good once and not for long; sessions need both of their secrets, and end when nobody uses them."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pyfc.auth.sessions import IDLE_SECONDS, LINK_SECONDS, Logins


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def logins(tmp_path: Path, clock: Clock) -> Logins:
    return Logins(tmp_path, clock)


def test_of_many_who_use_a_link_at_the_same_time_one_is_let_in(logins: Logins) -> None:
    token = logins.link()

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: logins.redeem(token), range(8)))

    assert sum(each is not None for each in found) == 1


def test_a_link_is_good_for_ten_minutes(logins: Logins, clock: Clock) -> None:
    old, new = logins.link(), logins.link(reads_only=True)
    clock.now += LINK_SECONDS - 1
    session = logins.redeem(new)
    clock.now += 2

    assert session is not None
    assert session.reads_only
    assert logins.redeem(old) is None


@pytest.mark.parametrize("token", ["", "../sessions", "absent", "\udc80"])
def test_what_is_no_link_opens_nothing(logins: Logins, token: str) -> None:
    logins.link()

    assert logins.redeem(token) is None


def test_a_session_needs_its_address_and_its_cookie(logins: Logins) -> None:
    one, other = logins.open(), logins.open()

    assert logins.find(one.place, one.secret) == one
    assert logins.find(one.place, other.secret) is None
    assert logins.find(other.place, one.secret) is None
    assert logins.find("", "") is None
    assert one.csrf != other.csrf


def test_a_session_ends_when_it_was_idle_for_eight_hours_and_not_before(logins: Logins, clock: Clock) -> None:
    session = logins.open()
    for _ in range(3):
        clock.now += IDLE_SECONDS - 1
        assert logins.find(session.place, session.secret) == session
    clock.now += IDLE_SECONDS + 1

    assert logins.find(session.place, session.secret) is None


def test_a_logout_ends_one_session_and_revoking_all_of_them_and_the_links(logins: Logins) -> None:
    one, other, token = logins.open(), logins.open(), logins.link()

    logins.close(one)
    assert logins.find(one.place, one.secret) is None
    assert logins.find(other.place, other.secret) == other

    assert logins.revoke() == 1
    assert logins.find(other.place, other.secret) is None
    assert logins.redeem(token) is None


def test_only_digests_are_kept_and_only_their_owner_reads_them(logins: Logins, tmp_path: Path) -> None:
    session, token = logins.open(), logins.link()

    files = [path for path in tmp_path.rglob("*") if path.is_file()]

    assert len(files) == 2
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        for secret in (session.place, session.secret, token):
            assert secret not in path.read_text() + str(path)


def test_a_damaged_file_is_no_session(logins: Logins, tmp_path: Path) -> None:
    session = logins.open()
    [path] = (tmp_path / "console" / "sessions").iterdir()
    path.write_text("[]")

    assert logins.find(session.place, session.secret) is None


def test_sessions_do_not_pile_up(logins: Logins, tmp_path: Path) -> None:
    for _ in range(130):
        logins.open()

    assert len(list((tmp_path / "console" / "sessions").iterdir())) == 100
