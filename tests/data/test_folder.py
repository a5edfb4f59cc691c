"""A data folder goes on with every later pyfc, and is never half of one version and half of another."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pyfc import __version__
from pyfc.data import folder as folders
from pyfc.data import version as versions
from pyfc.data.folder import take_over
from pyfc.data.version import QUEUE, STORE, VERSION, Step, change_values
from pyfc.errors import DataFolderNotTakenOver, DataFolderTooNew, InvalidArgument, QueueFull
from pyfc.model.asynchronous import Event
from pyfc.model.names import Target
from pyfc.queues.interface import Filter
from pyfc.queues.sqlite import SqliteQueue
from pyfc.queues.usage import Bounds
from pyfc.registry import stored
from pyfc.registry.registry import readable, unreadable
from pyfc.stores.sqlite import SqliteStore, entries_of
from support import Server, pyfc, run_with, wait_until

HERE = Path(__file__).parent
RELEASES = sorted(path.name for path in HERE.iterdir() if (path / "blobs").is_dir())
EARLIEST = (
    """
CREATE TABLE entries (key TEXT PRIMARY KEY, value BLOB NOT NULL, revision INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE counter (revision INTEGER NOT NULL);
INSERT INTO counter VALUES (5);
INSERT INTO entries VALUES ('services/kept', '{"value":{"name":"kept"},"id":"i","created":1.0,"modified":2.0}', 5);
PRAGMA user_version=1;
""",
    """
CREATE TABLE events (
  number INTEGER PRIMARY KEY, id TEXT NOT NULL, request_id TEXT NOT NULL,
  service TEXT NOT NULL, function TEXT NOT NULL, qualifier TEXT NOT NULL,
  state INTEGER NOT NULL, due REAL NOT NULL, enqueued REAL NOT NULL, ended REAL NOT NULL,
  status TEXT NOT NULL, event BLOB NOT NULL, payload BLOB NOT NULL
);
CREATE UNIQUE INDEX names ON events (service, function, id);
CREATE INDEX requests ON events (request_id);
CREATE INDEX waiting ON events (service, function, qualifier, number) WHERE state = 0;
CREATE INDEX delayed ON events (due) WHERE state = 1;
CREATE INDEX kept ON events (number) WHERE state = 3;
PRAGMA user_version=1;
""",
)
"""The two files as they were before the first release."""


def made(folder: Path, *texts: str) -> Path:
    """A data folder of databases that are given as SQL."""
    folder.mkdir()
    for name, text in zip((STORE, QUEUE), texts, strict=False):
        with contextlib.closing(sqlite3.connect(folder / name)) as connection:
            connection.executescript(text)
    return folder


def of_release(folder: Path, release: str) -> Path:
    made(folder, *((HERE / release / f"{name}.sql").read_text() for name in (STORE, QUEUE)))
    shutil.copytree(HERE / release / "blobs", folder / "blobs")
    return folder


def earliest(folder: Path, events: int = 1) -> Path:
    """A folder of before the first release with so many calls that wait."""
    made(folder, *EARLIEST)
    with contextlib.closing(sqlite3.connect(folder / QUEUE)) as connection:
        for number in range(7, 7 + events):
            name = f"a{number}"
            kept = (name, f"r-{name}", ("s", "f", "LATEST"), None, 100.0, 0.0, False, "", 0, "Enqueued", 0, 0.0, 0.0,
                    "", b"", "", "", b"", "", [("Enqueued", 100.0, "")])  # fmt: skip
            row = (number, name, f"r-{name}", "s", "f", "LATEST", 0, 0.0, 100.0, 0.0, "Enqueued",
                   msgspec.msgpack.encode(kept), b"x" * 50)  # fmt: skip
            connection.execute(f"INSERT INTO events VALUES ({', '.join('?' * 13)})", row)
        connection.commit()
    return folder


def numbers(folder: Path, names: Iterable[str] = (STORE, QUEUE)) -> set[int]:
    """The versions of its files."""
    found = set()
    for name in names:
        with contextlib.closing(sqlite3.connect(folder / name)) as connection:
            found |= set(connection.execute("PRAGMA user_version").fetchone())
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    return found


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_the_folder_of_this_release_is_kept() -> None:
    assert ".dev" in __version__ or __version__ in RELEASES, "tests/data/make.py makes it"


@pytest.mark.parametrize("release", RELEASES)
def test_every_record_of_a_release_is_read_and_says_what_it_said(tmp_path: Path, release: str) -> None:
    data = of_release(tmp_path / "data", release)
    take_over(data)

    entries = entries_of(data / STORE)
    assert {key.partition("/")[0] for key in entries} == {
        "services", "functions", "versions", "aliases", "configs", "triggers", "layers", "domains",
    }  # fmt: skip
    assert unreadable(entries) == []
    for (key, data_of_it), value in zip(entries.items(), readable(entries), strict=True):
        kept = msgspec.json.decode(data_of_it)["value"]
        assert said(kept, msgspec.json.decode(msgspec.json.encode(value))) == kept, key

    async def scenario(queue: SqliteQueue) -> None:
        found = {each.id: each for each in await queue.list(Filter())}
        assert sorted(found) == ["delayed", "failed", "succeeded", "waiting"]
        assert (found["succeeded"].result, found["failed"].error) == (b"hello kept", "UnhandledInvocationError")
        assert found["failed"].history[-1][0] == "Failed"
        assert [each.id for each in await queue.list(Filter(only_kept=True))] == ["failed"]
        assert [each.payload for each in await queue.take(Target("shop", "pay"), 5)] == [b"waiting"]

    run_with(lambda: SqliteQueue(data / QUEUE), scenario)


def said(kept: Any, now: Any) -> Any:
    """What is said now of what was said then: there may be more."""
    if isinstance(kept, dict) and isinstance(now, dict):
        return {name: said(value, now.get(name)) for name, value in kept.items()}
    if isinstance(kept, list) and isinstance(now, list) and len(kept) == len(now):
        return [said(*pair) for pair in zip(kept, now, strict=True)]
    return now


@pytest.mark.parametrize("release", RELEASES)
def test_a_data_folder_of_a_release_is_served(tmp_path: Path, release: str) -> None:
    data = of_release(tmp_path / "data", release)
    (tmp_path / "project").mkdir()
    server = Server(tmp_path / "project", data)
    try:
        assert server.invoke("shop/pay", b"x").body == b"hello x"
        assert server.invoke("shop.live/pay", b"x").body == b"hello x"
        assert server.request("GET", "/", None, {"Host": "shop.example.com"}).body == b"web"
        calls = "/2016-08-15/services/shop/functions/{}/stateful-async-invocations/{}"
        waiting, failed = calls.format("pay", "waiting"), calls.format("fails", "failed")
        wait_until(lambda: server.manage("GET", waiting).json["status"] == "Succeeded", "what had waited")
        assert server.manage("GET", failed).json["status"] == "Failed"
        assert stored.examine(data) == []
    finally:
        status, errors = server.stop()
    assert (status, "not be" in errors) == (0, False)


def test_what_a_new_server_makes_is_what_an_older_folder_becomes(tmp_path: Path) -> None:
    old = earliest(tmp_path / "old")
    take_over(old)
    (tmp_path / "new").mkdir()
    run_with(lambda: SqliteQueue(tmp_path / "new" / QUEUE), _nothing)
    run_with(lambda: SqliteStore(tmp_path / "new" / STORE), _nothing)

    for name in (STORE, QUEUE):
        assert shape(old / name) == shape(tmp_path / "new" / name)


async def _nothing(_: object) -> None:
    pass


def shape(file: Path) -> dict[str, Any]:
    """Tables and indexes, without the spaces in them."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        made = connection.execute("SELECT name, sql FROM sqlite_master").fetchall()
        return {name: sql if sql is None else "".join(sql.split()) for name, sql in made}


def test_a_folder_of_before_the_first_release_is_taken_over_with_all_it_holds_and_a_copy_is_kept(
    tmp_path: Path,
) -> None:
    data = earliest(tmp_path / "data")
    (data / "objects").mkdir()
    (data / "objects" / "package").write_bytes(b"uploaded")

    [told] = take_over(data)

    assert f"before-{VERSION}" in told
    assert not (data / "objects").exists()

    assert numbers(data) == {VERSION}
    assert numbers(data / f"before-{VERSION}") == {1}
    assert readable(entries_of(data / STORE))
    assert readable(entries_of(data / f"before-{VERSION}" / STORE))
    assert take_over(data) == []

    async def scenario(queue: SqliteQueue) -> None:
        with pytest.raises(QueueFull):
            await queue.put([Event(id="b", request_id="b", target=Target("s", "f"), payload=b"")])
        [found] = await queue.take(Target("s", "f"), 5)
        assert (found.id, found.number, found.born, found.payload) == ("a7", 7, 100.0, b"x" * 50)
        assert found.size > 1024 + 50
        assert found.trace is None
        assert found.trigger == ""

    run_with(lambda: SqliteQueue(data / QUEUE, Bounds(events=1)), scenario)


@pytest.mark.parametrize("missing", [STORE, QUEUE])
def test_a_file_that_is_not_there_keeps_the_other_from_nothing(tmp_path: Path, missing: str) -> None:
    data = earliest(tmp_path / "data")
    (data / missing).unlink()
    [left] = {STORE, QUEUE} - {missing}

    take_over(data)

    assert numbers(data, [left]) == {VERSION}
    assert not (data / missing).exists()


def test_a_folder_that_another_program_reads_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "_WAIT", 0.1)
    data = earliest(tmp_path / "data")
    with contextlib.closing(sqlite3.connect(data / QUEUE, isolation_level=None)) as reader:
        reader.execute("PRAGMA journal_mode=WAL")
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM events").fetchone() == (1,)

        with pytest.raises(DataFolderNotTakenOver, match="locked"):
            take_over(data)

        assert numbers(data) == {1}
        reader.execute("ROLLBACK")
    assert take_over(data)
    assert numbers(data) == {VERSION}


def test_a_value_that_can_not_be_read_is_left_as_it_is(tmp_path: Path) -> None:
    data = earliest(tmp_path / "data", 3)
    with contextlib.closing(sqlite3.connect(data / QUEUE)) as connection, connection:
        connection.execute("UPDATE events SET event = x'c1ff' WHERE id = 'a8'")

    take_over(data)

    async def scenario(queue: SqliteQueue) -> None:
        assert [each.id for each in await queue.take(Target("s", "f"), 5)] == ["a7", "a9"]

    run_with(lambda: SqliteQueue(data / QUEUE), scenario)
    with contextlib.closing(sqlite3.connect(data / QUEUE)) as connection:
        assert connection.execute("SELECT event FROM events WHERE id = 'a8'").fetchone() == (b"\xc1\xff",)


@pytest.mark.parametrize("name", [STORE, QUEUE])
def test_a_folder_of_a_newer_pyfc_is_refused_says_what_to_do_and_stays_as_it_is(tmp_path: Path, name: str) -> None:
    data = of_release(tmp_path / "data", RELEASES[-1])
    with contextlib.closing(sqlite3.connect(data / name)) as connection:
        connection.execute("PRAGMA user_version=99")
    (data / "before-99").mkdir()
    before = content(data)
    (tmp_path / "project").mkdir()

    with pytest.raises(DataFolderTooNew, match="is of version 99") as caught:
        take_over(data)
    status, _, errors = pyfc("serve", str(tmp_path / "project"), "--port", "0", "--data-dir", str(data))

    assert status != 0
    assert str(caught.value) in errors
    for advice in ("Use the newer pyfc", f"{data / 'before-99'}", "--data-dir", f"none after {VERSION}"):
        assert advice in errors
    assert "Traceback" not in errors
    assert {key: value for key, value in content(data).items() if key != "lock"} == before
    assert stored.examine(data) == [str(caught.value)]
    engine: Callable[[Path], object] = SqliteQueue if name == QUEUE else SqliteStore
    with pytest.raises(InvalidArgument, match="newer pyfc"):
        engine(data / name)


def test_a_file_of_an_older_folder_is_not_opened_by_itself(tmp_path: Path) -> None:
    data = earliest(tmp_path / "data")

    for engine, name in ((SqliteQueue, QUEUE), (SqliteStore, STORE)):
        with pytest.raises(InvalidArgument, match="start a server on its folder"):
            engine(data / name)


def marking(connection: sqlite3.Connection, schema: str) -> None:
    change_values(connection, f"{schema}.entries", "key", "value", lambda value: value + b"#")


def test_a_step_that_fails_changes_nothing_and_can_be_done_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(connection: sqlite3.Connection, schema: str) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    data = of_release(tmp_path / "data", RELEASES[-1])
    take_over(data)
    entries = entries_of(data / STORE)
    for module in (folders, versions):
        monkeypatch.setattr(module, "VERSION", VERSION + 1)
    monkeypatch.setitem(versions.STEPS, VERSION + 1, Step(marking, fails))

    with pytest.raises(DataFolderNotTakenOver, match="disk is full"):
        take_over(data)
    assert numbers(data) == {VERSION}
    assert entries_of(data / STORE) == entries

    monkeypatch.setitem(versions.STEPS, VERSION + 1, Step(marking))
    assert take_over(data)
    assert numbers(data) == {VERSION + 1}
    assert entries_of(data / STORE) == {key: value + b"#" for key, value in entries.items()}
    assert entries_of(data / f"before-{VERSION + 1}" / STORE) == entries


def test_of_the_copies_of_before_the_newest_two_stay_and_it_is_said_which_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = of_release(tmp_path / "data", RELEASES[-1])
    (data / "before-lunch").mkdir()
    told = []
    for version in range(98, 102):  # by number, not by letter
        for module in (folders, versions):
            monkeypatch.setattr(module, "VERSION", version)
        monkeypatch.setattr(versions, "STEPS", dict.fromkeys(range(version + 1), Step()))
        monkeypatch.setattr(folders, "STEPS", versions.STEPS)
        told += take_over(data)

    newest = 101
    assert sorted(path.name for path in data.glob("before-*")) == [
        f"before-{newest - 1}", f"before-{newest}", "before-lunch",
    ]  # fmt: skip
    assert numbers(data / f"before-{newest}") == {newest - 1}
    assert [text.partition("; removed, as the newest 2 stay: ")[2] for text in told] == [
        "", "", f"before-{newest - 3}", f"before-{newest - 2}",
    ]  # fmt: skip


TAKE_OVER = """
import os, signal, sqlite3, sys
from pathlib import Path
from pyfc.data import folder

class Dying(sqlite3.Connection):
    "Kills its process after so many steps of SQLite's machine, of all connections together."
    left = int(sys.argv[2])

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.set_progress_handler(self.step, 100)

    def step(self):
        Dying.left -= 1
        if not Dying.left:
            os.kill(os.getpid(), signal.SIGKILL)

connect = sqlite3.connect
folder.sqlite3.connect = lambda *arguments, **options: connect(*arguments, factory=Dying, **options)
folder.take_over(Path(sys.argv[1]))
print(Dying.left)
"""
"""Takes a folder over, and is killed in the middle."""


def killed_after(data: Path, steps: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", TAKE_OVER, str(data), str(steps)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.long
def test_a_kill_in_the_middle_of_a_migration_loses_nothing(tmp_path: Path) -> None:
    original = earliest(tmp_path / "original", 400)
    whole = killed_after(Path(shutil.copytree(original, tmp_path / "whole")), 1_000_000)
    assert whole.returncode == 0, whole.stderr
    steps = 1_000_000 - int(whole.stdout)
    seen = set()

    for place in range(1, 7):
        data = Path(shutil.copytree(original, tmp_path / f"killed{place}"))
        assert killed_after(data, max(1, steps * place // 7)).returncode == -signal.SIGKILL
        seen.add(frozenset(numbers(Path(shutil.copytree(data, tmp_path / f"seen{place}")))))
        take_over(data)
        is_whole(data)
    assert seen == {frozenset({1})}


def is_whole(data: Path) -> None:
    """It is of this version and has all that it had."""
    assert numbers(data) == {VERSION}
    assert numbers(data / f"before-{VERSION}") == {1}
    assert [path.name for path in data.iterdir() if path.name.startswith(".") or "journal" in path.name] == []
    assert [value.name for value in readable(entries_of(data / STORE))] == ["kept"]  # type: ignore[union-attr]

    async def events() -> list[str]:
        queue = SqliteQueue(data / QUEUE)
        found = await queue.take(Target("s", "f"), 1000)
        await queue.close()
        assert {each.born for each in found} == {100.0}
        return [each.id for each in found]

    assert asyncio.run(events()) == [f"a{number}" for number in range(7, 407)]


@pytest.fixture
def tracer(tmp_path: Path) -> Callable[[Path, int], int]:
    """Takes a folder over under `strace`, which kills it at so many calls of the kernel that change files."""
    if shutil.which("strace") is None:
        pytest.skip("needs strace")

    def run(data: Path, number: int) -> int:
        calls = "fsync,fdatasync,rename,unlink,mkdir,rmdir"
        inject = [f"--inject={calls}:signal=KILL:when={number}"]
        command = ["strace", "-f", "-qq", "-o", str(tmp_path / "trace"), f"--trace={calls}", *inject]
        text = "import sys; from pathlib import Path; from pyfc.data import folder; folder.take_over(Path(sys.argv[1]))"
        done = subprocess.run(
            [*command, sys.executable, "-c", text, str(data)], env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        return done.returncode

    return run


@pytest.mark.long
def test_a_kill_at_each_write_to_the_disk_loses_nothing(tmp_path: Path, tracer: Callable[[Path, int], int]) -> None:
    original = earliest(tmp_path / "original", 400)
    seen = set()
    for number in range(1, 200):
        data = Path(shutil.copytree(original, tmp_path / f"killed{number}"))
        status = tracer(data, number)
        seen.add(frozenset(numbers(Path(shutil.copytree(data, tmp_path / f"seen{number}")))))
        take_over(data)
        is_whole(data)
        if status == 0:
            break
    assert status == 0
    assert number > 10
    assert seen == {frozenset({1}), frozenset({VERSION})}
