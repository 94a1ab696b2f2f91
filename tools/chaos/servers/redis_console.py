"""A connection to a Redis server that is held: on a server that is full nobody else gets one."""

from __future__ import annotations

import socket
from typing import Final

from .errors import NotObeyed
from .redis import RedisServer

__all__ = ["RedisConsole"]

ANSWERED: Final = 10.0
"""Seconds for an answer."""


class RedisConsole:
    """Tells a server commands, one a line."""

    def __init__(self, server: RedisServer) -> None:
        self._maxclients = server.ask("CONFIG", "GET", "maxclients").split()[-1]
        self._socket = socket.create_connection((server.host, server.port), ANSWERED)

    def order(self, words: str) -> str:
        """Return the first line of the answer, errors too. Raises `NotObeyed` when none comes."""
        try:
            self._socket.sendall(f"{words}\r\n".encode())
            answer = b""
            while b"\r\n" not in answer:
                data = self._socket.recv(4096)
                if not data:
                    raise NotObeyed(f"Redis closed the connection instead of answering {words!r}.")
                answer += data
        except TimeoutError:
            raise NotObeyed(f"Redis does not answer {words!r}.") from None
        return answer.partition(b"\r\n")[0].decode()

    def leave(self) -> None:
        """Let others in again, and close; a server that has died meanwhile does so by itself."""
        try:
            self.order(f"CONFIG SET maxclients {self._maxclients}")
        except (OSError, NotObeyed):
            pass
        finally:
            self._socket.close()
