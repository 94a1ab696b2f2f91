"""Somebody who looks at a pod once a second, as Prometheus and a dashboard do."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from _serve_deployd import KEYS

__all__ = ["Looks", "looking"]


class Looks:
    """How long each path took to answer, in seconds, and the answers that were none."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.taken: dict[str, list[float]] = {path: [] for path in paths}
        self.failed: list[str] = []

    def look(self, port: int) -> None:
        """Ask each path once, on a connection of its own."""
        for path, taken in self.taken.items():
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            began = time.perf_counter()
            try:
                connection.request("GET", path, headers={"X-Master-Key": KEYS.master_key})
                response = connection.getresponse()
                response.read()
                taken.append(time.perf_counter() - began)
                if response.status != 200:
                    self.failed.append(f"{path}: {response.status}")
            except OSError as error:
                self.failed.append(f"{path}: {error}")
            finally:
                connection.close()


@contextmanager
def looking(port: int, *paths: str) -> Iterator[Looks]:
    """Look once a second for the length of the block, from a thread."""
    looks, ended = Looks(paths), threading.Event()

    def run() -> None:
        while not ended.wait(1.0):
            looks.look(port)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield looks
    finally:
        ended.set()
        thread.join(30)
