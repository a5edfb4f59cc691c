"""What the message service has acknowledged is received, whenever the server is killed, and nothing twice within its
visibility.
"""

from __future__ import annotations

import http.client
import signal
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from cloud.mns_client import Client, many
from support import Server, wait_until

BATCH, SENDERS, RECEIVERS = 10, 4, 2


class Killed:
    """A server that is killed and started again, with clients that send and receive meanwhile."""

    def __init__(self, folder: Path, data: Path, count: int) -> None:
        self._folder, self._data = folder, data
        self._lock = threading.Lock()
        self._left = list(range(0, count, BATCH))
        self.sent: set[str] = set()
        self.received: Counter[str] = Counter()
        self.is_over = False
        self.server = Server(folder, data)
        ask = Client(self.server)
        ask.create("queues/q", VisibilityTimeout=43200)
        ask.create("topics/t")

    def work(self, once: Callable[[Client], bool]) -> None:
        """Do it until it is done; a server that is gone is waited for."""
        while not self.is_over:
            try:
                if not once(Client(self.server)):
                    return
            except (OSError, http.client.HTTPException):
                threading.Event().wait(0.05)

    def send(self, ask: Client) -> bool:
        """A batch; one without an answer is not sent again, so nothing is there twice by its sender."""
        with self._lock:
            if not self._left:
                return False
            first = self._left.pop()
        texts = [str(number) for number in range(first, first + BATCH)]
        inner = "".join(f"<Message><MessageBody>{text}</MessageBody></Message>" for text in texts)
        try:
            answer = ask("POST", "/queues/q/messages", many("Messages", inner))
        except ConnectionRefusedError:
            with self._lock:
                self._left.append(first)
            raise
        assert answer.status == 201
        with self._lock:
            self.sent |= set(texts)
        return True

    def receive(self, ask: Client) -> bool:
        """A batch, each of which stays hidden for longer than this test takes."""
        answer = ask("GET", "/queues/q/messages?numOfMessages=16&waitseconds=1")
        if answer.status == 200:
            with self._lock:
                self.received.update(each["MessageBody"] for each in answer.each)
        return True

    def kill(self) -> None:
        self.server.stop(signal.SIGKILL)
        self.server = Server(self._folder, self._data)


def test_each_acknowledged_message_is_received_once_whatever_is_killed(tmp_path: Path, *, is_torture: bool) -> None:
    count, kills = (50_000, 20) if is_torture else (1_000, 1)
    (tmp_path / "project").mkdir()
    killed = Killed(tmp_path / "project", tmp_path / "data", count)
    senders = [threading.Thread(target=killed.work, args=(killed.send,)) for _ in range(SENDERS)]
    receivers = [threading.Thread(target=killed.work, args=(killed.receive,)) for _ in range(RECEIVERS)]
    for thread in (*senders, *receivers):
        thread.start()
    for kill in range(1, kills + 1):
        share = count * kill // (kills + 1)
        wait_until(lambda share=share: len(killed.sent) >= share or not any(map(threading.Thread.is_alive, senders)),
                   "some messages", 600)  # fmt: skip
        killed.kill()
    for thread in senders:
        thread.join()
    ask = Client(killed.server)

    def is_empty() -> bool:
        return ask("GET", "/queues/q").fields["ActiveMessages"] == "0"

    wait_until(is_empty, "an empty queue", 600)
    killed.is_over = True
    for thread in receivers:
        thread.join()
    hidden = int(ask("GET", "/queues/q").fields["InactiveMessages"])
    killed.server.stop()

    assert len(killed.sent) > count // 2
    assert {number for number, times in killed.received.items() if times > 1} == set()
    missing = killed.sent - set(killed.received)
    assert len(missing) <= hidden - len(killed.received), "lost, and not in an answer that a kill took"
    assert len(missing) <= 16 * RECEIVERS * kills
