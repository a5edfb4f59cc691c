"""Where the server listens, and what it does when its connections use up the descriptors."""

from __future__ import annotations

import contextlib
import http.client
import resource
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from pyfc.errors import AddressInUse
from pyfc.gateway.addresses import listening
from pyfc.host.descriptors import OF_INSTANCE, Descriptors
from support import Server, pyfc, read_all, template, time_passed, wait_until

LIMIT = 256
MANY = [f"f{number}" for number in range(24)]
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n"
SLOW = "import time\n\n\ndef handler(event, context):\n    time.sleep(float(event))\n    return 'done'\n"


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="needs ::1")


@needs_ipv6
def test_the_server_answers_at_both_loopback_addresses(cases: Server) -> None:
    with socket.create_connection(("::1", cases.port), timeout=10) as connection:
        connection.sendall(HEALTH % b"Connection: close\r\n")

        assert read_all(connection).startswith(b"HTTP/1.1 200 ")


@needs_ipv6
@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "0.0.0.0", "localhost"])
def test_nobody_else_can_listen_where_localhost_may_lead(host: str) -> None:
    sockets = listening(host, 0)
    port = sockets[0].getsockname()[1]

    with contextlib.ExitStack() as stack:
        for each in sockets:
            stack.enter_context(each)
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            other = stack.enter_context(socket.socket(family))
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with pytest.raises(OSError, match="in use"):
                other.bind((address, port))


@needs_ipv6
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_port_that_another_program_has_on_the_other_loopback_address_is_refused(host: str) -> None:
    with socket.socket(socket.AF_INET6) as other:
        other.bind(("::1", 0))
        other.listen()
        port = other.getsockname()[1]

        with pytest.raises(AddressInUse, match=rf"\[::1\]:{port} is taken by another program"):
            listening(host, port)


@needs_ipv6
def test_a_start_says_who_has_the_port(tmp_path: Path) -> None:
    (tmp_path / "template.yml").write_text(template({"f": {}}))
    (tmp_path / "index.py").write_text(SLOW)
    with socket.socket(socket.AF_INET6) as other:
        other.bind(("::1", 0))
        other.listen()

        port = str(other.getsockname()[1])
        status, _, errors = pyfc("serve", str(tmp_path), "--port", port, "--data-dir", str(tmp_path / "data"))

    assert status != 0
    assert f"[::1]:{port} is taken by another program" in errors


def test_connections_leave_descriptors_to_instances_and_those_to_what_runs() -> None:
    used, counts = 40, 0

    def count() -> tuple[int, int]:
        nonlocal counts
        counts += 1
        return 100, used

    budget = Descriptors(count)
    connections = 0
    while budget.has_room_for_connection(connections):
        used += 1
        connections += 1

    assert connections == 29  # more than their quarter; another quarter and a sixteenth are left
    assert counts < 20  # not for each
    assert budget.are_short()
    assert budget.has_room_for_instance()
    assert not budget.has_room_for_instance()  # since the first has yet to open its descriptors
    budget.instance_has_started()
    assert budget.has_room_for_instance()
    while budget.has_room_for_connection(0):
        used += 1
    assert used == 100 - 6


def test_instances_leave_their_quarter_to_connections() -> None:
    used = 100 - 6 - 25 - OF_INSTANCE
    budget = Descriptors(lambda: (100, used))

    assert budget.has_room_for_instance()
    used += OF_INSTANCE
    budget.instance_has_started()
    assert not budget.has_room_for_instance()
    for connections in range(25):
        assert budget.has_room_for_connection(connections)
        used += 1


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Server]:
    """A server that may have 256 descriptors."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "template.yml").write_text(template({"slow": {"Timeout": 60}, **{name: {} for name in MANY}}))
    (project / "index.py").write_text(SLOW)
    limited = ("sh", "-c", f'ulimit -n {LIMIT}; exec "$@"', "sh")
    server = Server(project, tmp_path / "data", prefix=limited)
    yield server
    assert server.stop()[0] == 0


@contextlib.contextmanager
def crowd(server: Server, number: int) -> Iterator[list[socket.socket]]:
    """So many connections, each with a head that is not whole."""
    with contextlib.ExitStack() as stack:
        connections = []
        for _ in range(number):
            connection = stack.enter_context(server.connect())
            with contextlib.suppress(OSError):
                connection.sendall(HEALTH[:20])
            connections.append(connection)
        yield connections


def answered(connections: list[socket.socket]) -> list[bytes]:
    """What the server has said to those it has said something to."""
    found = []
    for connection in connections:
        connection.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            found.append(read_all(connection))
        connection.settimeout(20)
    return found


def test_connections_beyond_the_descriptors_are_refused_and_running_calls_go_on(small: Server) -> None:
    process = psutil.Process(small.process.pid)
    with small.connect() as running:
        path = b"/2016-08-15/services/demo/functions/slow/invocations"
        running.sendall(b"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\n\r\n3" % path)
        with crowd(small, LIMIT + 100) as connections:
            refused = wait_until(lambda: found if len(found := answered(connections)) >= 100 else None, "refusals")
            before, most = sum(process.cpu_times()[:2]), process.num_fds()
            time_passed(0.5)
            spent = sum(process.cpu_times()[:2]) - before

            assert all(each.startswith(b"HTTP/1.1 503 ") and b"Retry-After: 1" in each for each in refused if each)
            assert any(refused)
            assert most < LIMIT
            assert spent < 0.3
            assert running.recv(65536).endswith(b"done")

    assert wait_until(lambda: small.request("GET", "/healthz").status == 200, "the server's next answer")


def test_unused_connections_are_closed_before_anybody_is_refused(small: Server) -> None:
    with contextlib.ExitStack() as stack:
        kept = []
        for _ in range(100):
            connection = stack.enter_context(small.connect())
            connection.sendall(HEALTH % b"")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
            kept.append(connection)
        time_passed(3.5)
        with crowd(small, 100) as connections:
            wait_until(lambda: len(answered(kept)) >= 32, "the end of some that are unused")
            for connection in connections:
                connection.sendall(HEALTH[20:] % b"Connection: close\r\n")
            answers = [read_all(connection) for connection in connections]

        assert all(each.startswith(b"HTTP/1.1 200 ") for each in answers)


@pytest.mark.long
def test_idle_instances_give_their_descriptors_to_those_that_are_called(small: Server) -> None:
    process = psutil.Process(small.process.pid)
    most = 0
    for name in MANY * 2:
        assert small.invoke(f"demo/{name}", b"0").status == 200
        most = max(most, process.num_fds())
    with ThreadPoolExecutor(24) as threads:
        answers = list(threads.map(lambda name: small.invoke(f"demo/{name}", b"0").status, MANY * 3))

    assert most < LIMIT - 16
    assert set(answers) == {200}
    assert small.stop() == (0, "")


def test_a_start_without_a_descriptor_is_tried_until_one_is_given_back(serve: Callable[..., Server]) -> None:
    server = serve({"echo.py": "def handler(event, context):\n    return event\n"}, PYFC_SPARE_WORKERS="0")
    pid = server.process.pid
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    path = "/2016-08-15/services/default/functions/echo/invocations"
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)) as connection:
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, limits[1]))

        connection.request("POST", path, b"x")
        refused = (refusal := connection.getresponse()).status, refusal.read()
        connection.request("POST", path, b"x")
        time_passed(0.3)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        answered = (answer := connection.getresponse()).status, answer.read()

    assert refused[0] == 503
    assert b"(ulimit -n)" in refused[1]
    assert answered == (200, b"x")


def test_a_quiet_server_that_may_have_few_descriptors_leaves_most_to_the_first_call(tmp_path: Path) -> None:
    (tmp_path / "echo.py").write_text("def handler(event, context):\n    return event\n")
    server = Server(tmp_path, tmp_path / "data", prefix=("sh", "-c", 'ulimit -n 64; exec "$@"', "sh"))
    time_passed(0.5)
    process = psutil.Process(server.process.pid)

    assert process.num_fds() + OF_INSTANCE + 64 // 16 <= 64
    assert not server.workers()  # no spare
    assert server.invoke("default/echo", b"x").body == b"x"
    assert server.stop() == (0, "")


def test_a_server_that_listens_twice_stops_as_before(serve: Callable[..., Server]) -> None:
    server = serve({"template.yml": template({"slow": {}}), "index.py": SLOW})
    families = {each.family for each in psutil.Process(server.process.pid).net_connections("tcp")}

    assert families == ({socket.AF_INET, socket.AF_INET6} if has_ipv6() else {socket.AF_INET})
    assert server.stop() == (0, "")
