"""One connection to a Redis server: commands go out in batches, replies come back in order.

redis-py makes the connection and reads replies; nothing of it that connects again is used. Its
`PubSub` hides gaps and its commands shift by one reply when cancelled, so both are done here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

from redis.exceptions import RedisError, ResponseError

from ...errors import BrokerError, BrokerRefused, BrokerUnavailable
from ..bridge import CancelledError, Future, Task, beside, ended
from ..network import causes
from .errors import translate
from .login import Login, Plain, Secure, ServerAddress

__all__ = ["RedisConnection", "Reply", "pack", "visit"]

Reply: TypeAlias = object
"""Bytes, an integer, None, a list of replies, or a `ResponseError`."""

_MESSAGES: Final = (b"message", b"smessage")


def _nobody(error: BrokerError) -> None:
    """Nobody wants to know: it was closed, or what is wrong is raised as well."""


class RedisConnection:
    """A connection from `open` to `close`; the first thing that goes wrong ends it.

    `lost` learns of that, once. `hear` gets (name of the channel, payload) of each message; while
    it waits nothing is read. Methods are for the loop's thread.
    """

    def __init__(
        self,
        server: ServerAddress,
        login: Login,
        lost: Callable[[BrokerError], None] = _nobody,
        hear: Callable[[bytes, bytes], Awaitable[None]] | None = None,
    ) -> None:
        self.server = server
        self._login = login
        self._lost = lost
        self._hear = hear
        self._pipelines: deque[_Pipeline] = deque()
        self._connection: Plain | Secure | None = None
        self._reader: Task[None] | None = None
        self._failure: BrokerError | None = None

    async def open(self) -> None:
        """Connect and sign in. Raises `BrokerUnavailable` or `BrokerRefused`."""
        self._connection = connection = self._login.connection(self.server)
        try:
            await connection.connect()
        except (RedisError, OSError) as error:
            raise self._not_let_in(error) from error
        if self._failure is not None:  # closed meanwhile
            await connection.cut()
            raise self._failure
        self._reader = beside(self._read(connection), self._reader_ended)

    async def ask(self, commands: Sequence[bytes], leaving: bool = False) -> list[Reply]:
        """Send commands and return their replies, of which some may be `ResponseError`s.

        `leaving` is for SUNSUBSCRIBE, whose reply without a request means that a slot moved.
        A call that is cancelled leaves nothing but `close`: the connection counts as lost.
        """
        connection = self._connected()
        pipeline = _Pipeline(len(commands), leaving)
        if not commands:
            return pipeline.replies
        self._pipelines.append(pipeline)
        try:
            await connection.send_packed_command(commands, check_health=False)
            await pipeline.done
        except (RedisError, OSError) as error:
            raise self._fail(translate(error, self.server)) from error
        except CancelledError:
            self._fail(BrokerUnavailable(f"{self.server} was asked something and given up on."))
            raise
        if len(pipeline.replies) < pipeline.wanted:
            raise self._fail(BrokerUnavailable(f"{self.server} has not replied."))
        return pipeline.replies

    async def order(self, commands: Sequence[bytes], leaving: bool = False) -> list[Reply]:
        """As `ask`, where any error that the server replies ends the connection and is raised."""
        replies = await self.ask(commands, leaving)
        for reply in replies:
            if isinstance(reply, ResponseError):
                raise self.fail(translate(reply, self.server))
        return replies

    def fail(self, error: BrokerError) -> BrokerError:
        """End it for what it has replied; returns the first failure, to be raised."""
        return self._fail(error)

    async def close(self) -> None:
        """Close the socket, in any state; more than once is fine."""
        self._lost = _nobody
        self._fail(BrokerUnavailable(f"{self.server}: the connection is closed."))
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.cut()
        if self._reader is not None:
            await ended([self._reader])

    def _not_let_in(self, error: Exception) -> BrokerError:
        said = "" if self._connection is None else self._connection.parting_words
        told = translate(ResponseError(said) if said else error, self.server)
        if said or isinstance(told, BrokerRefused) or not _is_hang_up(error):
            return told
        why = "it has too many clients (maxclients)"
        if self._login.tls and not self._login.cert_file:
            why += (
                ", or asks for a certificate (tls-auth-clients): set broker.redis.certFile and "
                "keyFile"
            )
        return BrokerUnavailable(f"{str(told).rstrip('.')}: a server hangs up so when {why}.")

    def _connected(self) -> Plain | Secure:
        connection = self._connection
        if self._failure is not None:
            raise self._failure
        if connection is None or not connection.is_connected:
            # Sending would connect anew, which nobody would learn of.
            raise self._fail(BrokerUnavailable(f"{self.server} is not connected."))
        return connection

    async def _read(self, connection: Plain | Secure) -> None:
        reply: Reply
        while True:
            try:
                reply = await connection.read_response(disable_decoding=True)
            except ResponseError as error:
                reply = error
            if isinstance(reply, list) and reply and reply[0] in _MESSAGES:
                if self._hear is not None:
                    await self._hear(reply[1], reply[2])
            else:
                self._take(reply)

    def _take(self, reply: Reply) -> None:
        pipeline = self._pipelines[0] if self._pipelines else None
        moved = isinstance(reply, list) and reply and reply[0] == b"sunsubscribe"
        if pipeline is None or (moved and not pipeline.leaving):
            what = "has given slots of the cluster away" if moved else "says what nobody asked for"
            raise BrokerUnavailable(f"{self.server} {what}.")
        pipeline.replies.append(reply)
        if len(pipeline.replies) == pipeline.wanted:
            self._pipelines.popleft()
            pipeline.finish()

    def _reader_ended(self, error: BaseException | None) -> None:
        if error is not None:
            self._fail(translate(error, self.server))

    def _fail(self, error: BrokerError) -> BrokerError:
        """Note the first failure, tell who waits, and return it."""
        if self._failure is None:
            self._failure = error
            self._lost(error)
            for pipeline in self._pipelines:
                pipeline.finish()
        return self._failure


def _is_hang_up(error: Exception) -> bool:
    """Whether the connection was made, and then broken, and not by a server that is not there."""
    kinds = (ConnectionResetError, BrokenPipeError, EOFError)
    return any(isinstance(cause, kinds) for cause in causes(error)) or "closed" in str(error)


class _Pipeline:
    """Commands that are under way, and the replies that have come."""

    def __init__(self, wanted: int, leaving: bool = False) -> None:
        self.wanted = wanted
        self.leaving = leaving
        self.replies: list[Reply] = []
        self.done: Future[None] = Future()

    def finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


@asynccontextmanager
async def visit(server: ServerAddress, login: Login) -> AsyncIterator[RedisConnection]:
    """Open a connection for a question or two, and close it."""
    connection = RedisConnection(server, login)
    try:
        await connection.open()
        yield connection
    finally:
        await connection.close()


def pack(*words: bytes) -> bytes:
    """Return a command as it goes over the wire."""
    parts = [b"*%d\r\n" % len(words)]
    parts += [b"$%d\r\n%b\r\n" % (len(word), word) for word in words]
    return b"".join(parts)
