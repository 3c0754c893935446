"""Clients that send while the server is killed again and again."""

import random
import threading
import time
from pathlib import Path
from typing import TypeVar

from tests.process import Server


class Client(threading.Thread):
    """Sends until told to stop; subclasses say what in `run`, and remember what was acknowledged."""

    def __init__(self, port: int, key: str, number: int, seed: int) -> None:
        super().__init__(daemon=True)
        self.port = port
        self.key = key
        self.number = number
        self.chance = random.Random(seed * 1000 + number)
        self.stopping = threading.Event()


C = TypeVar("C", bound=Client)


def kill_under_load(folder: Path, rounds: int, seed: int, kind: type[C]) -> tuple[Server, list[C]]:
    """Let four clients send while the server is killed so many times, then stop both; gives them as they are then."""
    chance = random.Random(seed)
    server = Server(folder)
    with server:
        key = server.project()["public_key"]
        clients = [kind(server.port, key, number, seed) for number in range(4)]
        for client in clients:
            client.start()
        for _ in range(rounds):
            time.sleep(chance.uniform(0.05, 0.5))
            server.kill()
            server.start()
        time.sleep(0.3)
        for client in clients:
            client.stopping.set()
        for client in clients:
            client.join(20)
        assert server.stop() == 0
    return server, clients
