"""Real brokers, as ordinary processes in a folder of the test."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import wait_until
from vendors import done, java_libraries

_SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""Of Debian's package; the one on the path would change to another user."""


@contextlib.contextmanager
def rabbitmq(folder: Path) -> Iterator[str]:
    """The address of a RabbitMQ that runs meanwhile. Skips the test where it is not installed."""
    mapper = shutil.which("epmd")
    if not _SERVER.exists() or mapper is None:
        pytest.skip("needs RabbitMQ: apt-get install rabbitmq-server")
    port, distribution, mapping = (_free() for _ in range(3))
    (folder / "plugins").write_text("[].")
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(folder), "ERL_EPMD_PORT": str(mapping),
        "RABBITMQ_NODENAME": "pyfc@localhost", "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port), "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"), "RABBITMQ_LOG_BASE": str(folder / "logs"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"), "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_CONFIG_FILE": str(folder / "none"), "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "none.config"),
    }  # fmt: skip
    with contextlib.ExitStack() as stack, (folder / "output").open("wb") as output:
        for command in ([mapper, "-port", str(mapping), "-relaxed_command_check"], [str(_SERVER)]):
            process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder,
                start_new_session=True,
            )  # fmt: skip
            stack.callback(_end, process)
            if command[0] == mapper:
                wait_until(lambda: _answers(mapping), "the port mapper")
        wait_until(lambda: _answers(port), "RabbitMQ", 60.0)
        yield f"amqp://guest:guest@127.0.0.1:{port}"


@contextlib.contextmanager
def kafka(folder: Path) -> Iterator[str]:
    """The address of a Kafka that runs meanwhile, as Maven has it. Skips the test where that is missing."""
    java_libraries(folder, ("org.apache.kafka", "kafka_2.13", "4.1.1"))
    port, controller = _free(), _free()
    (folder / "server.properties").write_text(
        "process.roles=broker,controller\nnode.id=1\ncontroller.listener.names=CONTROLLER\n"
        f"controller.quorum.voters=1@127.0.0.1:{controller}\nadvertised.listeners=PLAINTEXT://127.0.0.1:{port}\n"
        f"listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\nlog.dirs={folder / 'data'}\n"
        "offsets.topic.replication.factor=1\noffsets.topic.num.partitions=1\ngroup.initial.rebalance.delay.ms=0\n"
        "auto.create.topics.enable=false\ngroup.min.session.timeout.ms=100\n"
    )
    java = ("java", "-Xmx256m", "-cp", f"{folder / 'lib'}/*")
    done(
        *java,
        "kafka.tools.StorageTool",
        "format",
        "-t",
        "MkU3OEVBNTcwNTJENDM2Qg",
        "-c",
        "server.properties",
        cwd=folder,
    )
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            [*java, "kafka.Kafka", "server.properties"], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            cwd=folder, start_new_session=True,
        )  # fmt: skip
        try:
            wait_until(lambda: _answers(port), "Kafka", 60.0)
            yield f"127.0.0.1:{port}"
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
