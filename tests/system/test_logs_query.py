"""`pyfc logs SERVICE/FUNCTION QUERY`: what a function has logged, asked in the language of SLS's searches."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest

from support import DEADLINE, Server, wait_until

_CHINA = timezone(timedelta(hours=8))
CODE = """
def handler(event, context):
    print("order", event.decode())
    if event == b"bad":
        raise ValueError("payment timed out")
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, list[str]]]:
    """A server, and the ids of three calls."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "pay.py").write_text(CODE)
    found = Server(folder, tmp_path_factory.mktemp("data") / "data")
    ids = [found.invoke("default/pay", each).headers["X-Fc-Request-Id"] for each in (b"one", b"bad", b"\xe9\x94\x99")]
    wait_until(lambda: ids[-1] in found.log("default", "pay"), "the log")
    yield found, ids
    status, errors = found.stop()
    assert (status, "Traceback" in errors) == (0, False), errors


def _command(server: Server, *words: str) -> list[str]:
    return [sys.executable, "-m", "pyfc", "logs", "default/pay", *words, "--endpoint", server.endpoint]


def _done(server: Server, *words: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(_command(server, *words), capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode == status, done.stderr
    return done


def _asked(server: Server, *words: str) -> list[str]:
    """The ids of the records that the command prints."""
    done = _done(server, *words, "--json")
    return [json.loads(line).get("requestId", "") for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("words", "which"),
    [
        (["order"], [0, 1, 2]),
        (["order", "-n", "2"], [1, 2]),
        (["order and one"], [0]),
        (['payment and "timed out"'], [1]),
        (["order not payment"], [0, 2]),
        (["错"], [2]),
        (["fault.message:payment"], [1]),
        (["durationMs >= 0"], [0, 1, 2]),
        (["cold:true and order"], [0]),
        (["nothing"], []),
        (["order", "--since", "1h"], [0, 1, 2]),
        (["order", "--since", "0s"], []),
    ],
    ids=str,
)
def test_a_query_finds_records(server: tuple[Server, list[str]], words: list[str], which: list[int]) -> None:
    found, ids = server

    assert _asked(found, *words) == [ids[each] for each in which]


def test_one_request_is_asked_for(server: tuple[Server, list[str]]) -> None:
    found, ids = server

    assert _asked(found, "--request", ids[1]) == [ids[1]]
    assert _asked(found, "one", "--request", ids[1]) == []


def test_sql_behind_a_query_is_answered(server: tuple[Server, list[str]]) -> None:
    sql = "order | select cold, count(1) as calls, max(durationMs) >= 0 as measured group by cold order by calls"
    shown = _done(server[0], sql)
    rows = _done(server[0], f"{sql} desc limit 1", "--json")

    assert [line.split() for line in shown.stdout.splitlines()] == [
        ["cold", "calls", "measured"], ["true", "1", "1"], ["false", "2", "1"],
    ]  # fmt: skip
    assert json.loads(rows.stdout) == {"cold": "false", "calls": "2", "measured": "1"}


def test_sql_asks_for_the_time_of_a_record_and_only_for_those_of_a_request(server: tuple[Server, list[str]]) -> None:
    found, ids = server
    sql = f"* | select date_format(from_unixtime(__time__), '%Y') as year, requestId where requestId = '{ids[0]}'"
    of_one = _done(found, "* | select count(*) as calls", "--request", ids[1], "--json")

    assert _done(found, sql).stdout.splitlines()[1].split() == [str(datetime.now(_CHINA).year), ids[0]]
    assert json.loads(of_one.stdout) == {"calls": "1"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["* | select nope(1)"], "nope"),
        (["* | drop table log"], "SELECT"),
        (["* | select count(*)", "-f"], "leave out -f"),
    ],
)
def test_sql_that_cannot_be_answered_is_told(server: tuple[Server, list[str]], words: list[str], told: str) -> None:
    done = _done(server[0], *words, status=2)

    assert told in done.stderr
    assert (done.stdout, "Traceback" in done.stderr) == ("", False)


def test_a_request_that_is_not_there_is_told(server: tuple[Server, list[str]]) -> None:
    done = _done(server[0], "--request", "nope")

    assert done.stdout == ""
    assert "no record of default/pay" in done.stderr
    assert "request nope" in done.stderr


def test_a_query_that_is_not_understood_is_told(server: tuple[Server, list[str]]) -> None:
    done = _done(server[0], "a and", status=2)

    assert "default/pay" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_followed_is_what_the_query_finds(server: tuple[Server, list[str]]) -> None:
    found, _ = server
    process = subprocess.Popen(_command(found, "follow-me", "-f"), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        lines = map(str.strip, process.stdout)
        first = wait_until(lambda: found.invoke("default/pay", b"another follow-me") and next(lines), "a record")
        second = next(lines)
    finally:
        process.kill()
        process.wait(DEADLINE)
        process.stdout.close()

    assert first.endswith("200")
    assert second == "default/pay | order another follow-me"
