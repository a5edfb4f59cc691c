"""The cage of installers, with commands that want more than they may have."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import uuid
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from pyfc.build.job import Job
from pyfc.errors import Exhausted
from pyfc.sandbox.cage import Cage
from support import wait_until

MODES = ("root" if os.geteuid() == 0 else "user", "plain", "off") if sys.platform == "linux" else ("off",)
DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open(sys.argv[1], "w").close()
        time.sleep(600)
    os._exit(0)
os.wait()
"""
"""Leaves a process that belongs to nobody, and says when it is there."""


class Bench:
    """A cage in one mode, and folders for its commands."""

    def __init__(self, mode: str, folder: Path) -> None:
        self.mode = mode
        self.folder = folder
        self.mark = uuid.uuid4().hex
        """Stands in the command line of whatever is run."""

    def job(self, cage: Cage, program: str, *words: str) -> Job:
        names = ("place", "tmp", "home")
        for name in names:
            (self.folder / name).mkdir(exist_ok=True)
            cage.lend(self.folder / name)
        return Job(
            command=(sys.executable, "-I", "-S", "-c", program, *words, self.mark), folder=self.folder / "place",
            environment={"HOME": str(self.folder / "home"), "PATH": os.environ["PATH"]}, temporary=self.folder / "tmp",
            writable=[self.folder / name for name in names], programs=[sys.executable], is_trusted=True,
        )  # fmt: skip

    def run(self, program: str, *words: str, **limits: float) -> tuple[int, list[str]]:
        """Exit status and lines of a Python program."""
        cage, lines = Cage((self.mode,), **limits), []  # type: ignore[arg-type, var-annotated]
        return asyncio.run(cage.run(self.job(cage, program, *words), lines.append)), lines

    @property
    def left(self) -> list[psutil.Process]:
        """Processes that are still there."""
        return [each for each in psutil.process_iter(["cmdline"]) if self.mark in (each.info["cmdline"] or [])]


@pytest.fixture(params=MODES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    for folder in [*reversed(tmp_path.parents), tmp_path]:
        if folder.stat().st_uid == os.geteuid():
            folder.chmod(folder.stat().st_mode | 0o111)
    return Bench(request.param, tmp_path)


def test_a_command_tells_its_lines_and_its_status(bench: Bench) -> None:
    status, lines = bench.run("print('one'); print('x' * 100000); print('end', end=''); raise SystemExit(3)")

    assert status == 3
    assert lines[0] == "one"
    assert lines[-1] == "end"
    assert "".join(lines[1:-1]) == "x" * 100000


def test_what_a_command_leaves_is_gone_when_it_has_ended(bench: Bench) -> None:
    program = f"{DAEMON}\nwhile not os.path.exists(sys.argv[1]): time.sleep(0.01)"

    assert bench.run(program, str(bench.folder / "place/there"))[0] == 0

    assert (bench.folder / "place/there").exists()
    assert not bench.left


def test_a_command_that_takes_too_long_is_ended_with_all_it_has_started(bench: Bench) -> None:
    with pytest.raises(Exhausted, match="it took more than 2 s"):
        bench.run(f"{DAEMON}\nwhile True: pass", str(bench.folder / "place/there"), seconds=2)

    assert (bench.folder / "place/there").exists()
    assert not bench.left


def test_who_gives_up_waiting_leaves_nothing_behind(bench: Bench) -> None:
    async def scenario() -> None:
        cage = Cage((bench.mode,))
        run = asyncio.ensure_future(
            cage.run(bench.job(cage, f"{DAEMON}\ntime.sleep(600)", str(bench.folder / "place/there")))
        )
        there = bench.folder / "place/there"
        await asyncio.to_thread(wait_until, lambda: there.exists() or run.done(), "the command", 60)
        assert not run.done(), run.result()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert not bench.left

    asyncio.run(scenario())


def test_a_server_that_is_killed_takes_its_installers_with_it(bench: Bench) -> None:
    there = bench.folder / "place/there"
    program = (
        "import sys; sys.path[:0] = sys.argv[1:3]\nfrom pathlib import Path\n"
        "from sandbox.test_cage import Bench, DAEMON\n"
        "bench = Bench(sys.argv[3], Path(sys.argv[4])); bench.mark = sys.argv[5]\n"
        "sys.exit(str(bench.run(DAEMON + 'time.sleep(600)', sys.argv[6])))"
    )
    tests = Path(__file__).parents[1]
    server = subprocess.Popen(
        [
            sys.executable,
            "-c",
            program,
            str(tests),
            str(tests.parent),
            bench.mode,
            str(bench.folder),
            bench.mark,
            str(there),
        ]
    )
    wait_until(lambda: there.exists() or server.poll() is not None, "the command", 60)

    assert server.poll() is None
    server.kill()
    server.wait()

    wait_until(lambda: not bench.left, "the end of everything")


def test_a_cage_that_is_told_to_end_again_and_again_leaves_nothing(bench: Bench) -> None:
    async def scenario() -> None:
        cage, there = Cage((bench.mode,)), bench.folder / "place/there"
        before = psutil.Process().children()
        run = asyncio.ensure_future(cage.run(bench.job(cage, f"{DAEMON}\ntime.sleep(600)", str(there))))
        await asyncio.to_thread(wait_until, lambda: there.exists() or run.done(), "the command", 60)
        launchers = [each for each in psutil.Process().children() if each not in before]
        while not run.done():
            for each in launchers:
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.terminate()
            await asyncio.sleep(0)
        assert await run == -signal.SIGKILL
        assert not bench.left

    asyncio.run(scenario())


MANY = """
import subprocess, sys
hold = "x = bytearray(60 << 20); import time; time.sleep(600)"
for child in [subprocess.Popen([sys.executable, "-I", "-S", "-c", hold]) for _ in range(4)]:
    child.wait()
"""


def test_processes_that_hold_too_much_memory_together_are_ended(bench: Bench) -> None:
    with pytest.raises(Exhausted, match="it took more than 150 MB of memory"):
        bench.run(MANY, memory=150 << 20)

    assert not bench.left


def test_files_that_are_too_large_together_are_the_end(bench: Bench) -> None:
    program = "import time\nfor n in range(40): open(str(n), 'wb').write(bytes(1 << 20))\ntime.sleep(600)"

    with pytest.raises(Exhausted, match="it took more than 20 MB of disk"):
        bench.run(program, disk=20 << 20)


def test_a_fork_bomb_meets_a_limit(bench: Bench) -> None:
    program = """
import os, time
count = 0
try:
    while True:
        if os.fork() == 0:
            time.sleep(600)
        count += 1
except OSError:
    print(count)
"""
    if bench.mode == "root" or os.geteuid() != 0:  # elsewhere root is root, whom the kernel does not count
        status, lines = bench.run(program)

        assert 100 < int(lines[0]) < 8000
        assert status == 0
        assert not bench.left


def test_a_command_may_change_what_lies_below_a_layer_of_its_own_and_nobody_else_sees_it(bench: Bench) -> None:
    cage = Cage((bench.mode,))
    below = bench.folder / "below"
    below.mkdir()
    cage.lend(below)
    (below / "kept").write_text("as it was")
    cage.lend(below / "kept")
    (bench.folder / "cache").mkdir()
    cage.lend(bench.folder / "cache")
    program = "import os\nprint(sorted(os.listdir('.')))\nopen('kept', 'w').close()\nopen('new', 'w').close()"
    job = bench.job(cage, program)
    place = bench.folder / "cache"
    job = replace(job, folder=place, writable=[*job.writable, place], layered={place: below})
    lines: list[str] = []

    assert asyncio.run(cage.run(job, lines.append)) == 0

    assert lines == (["['kept']"] if bench.mode in {"root", "user"} else ["[]"])
    assert [path.name for path in below.iterdir()] == ["kept"]
    assert (below / "kept").read_text() == "as it was"
