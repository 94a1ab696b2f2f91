"""What is done with collections once it may be done: for HTTP, and for event scripts.

No rule holds scripts back, but loops of their calls end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeVar, cast

import orjson
from attrs import evolve, frozen

from ...actors import ActorError, AskTimeout, Poisoned, Request, Unanswered
from ...transport import JSON, TooManyWaiting
from ..errors import RequestRefused, refused_for
from ..scripts import InternalMethod, Response
from ..users import POD, Method, new_password
from .batch import BatchRequest
from .directory import Directory
from .environment import CHAIN, Collection, CollectionEnvironment
from .reading import Reader
from .scripting import Call
from .turns import Turns
from .unstored import run_unstored
from .view import Viewer
from .writing import WriteRequest, Written

__all__ = ["CollectionService", "WriteAnswer"]

T = TypeVar("T")

_NOTHING: Final[Mapping[str, JSON]] = {}


@frozen
class WriteAnswer:
    """What a write is answered: the document as the caller sees it, or a script's own response."""

    body: JSON
    response: Response | None = None


class CollectionService:
    """Reads and writes for scripts, and for HTTP once it has been let in.

    A script holds the turn of the collection it runs in: what it writes there is carried out
    within that turn, and what it writes elsewhere waits for its own. Where scripts would wait for
    each other's turns, the one that closes the circle writes within the turn that waits for it.
    """

    def __init__(
        self,
        directory: Directory,
        reader: Reader,
        viewer: Viewer,
        environment: CollectionEnvironment,
        *,
        max_depth: int,
        timeout: float,
    ) -> None:
        self._directory = directory
        self._reader = reader
        self._viewer = viewer
        self._env = environment
        self._max_depth = max_depth
        self._timeout = timeout
        self._turns = Turns()

    async def call(
        self,
        collection: str,
        method: InternalMethod,
        id: str | None,  # noqa: A002
        data: JSON,
    ) -> JSON:
        """Read or write as the pod itself: with root's eyes. Raises `RequestRefused`."""
        found = self._directory.find(collection)
        if found is None:
            raise RequestRefused(404, f"There is no collection '{collection}'.")
        chain = CHAIN.get()
        if chain.depth >= self._max_depth:
            raise RequestRefused(
                508, f"Scripts call each other more than {self._max_depth} deep; end the loop."
            )
        verb = "GET" if method in ("COUNT", "PAGE") else method
        call = Call(POD, method=verb, parts=(id,) if id else ())
        token = CHAIN.set(chain.deeper())
        try:
            if found.definition.no_store:
                return await self._run(found, method, call, data)
            return await self._read_or_write(found, method, id, data, call)
        finally:
            CHAIN.reset(token)

    async def submit_batch(
        self, collection: Collection, requests: Sequence[WriteRequest]
    ) -> list[JSON]:
        """Have a collection's actor do writes together, all or none. Raises `RequestRefused`.

        Return what each is answered.
        """
        await collection.usable()
        nbytes = sum(request.nbytes for request in requests)
        batch = BatchRequest(tuple(requests), nbytes)
        written = await self._ask(collection, batch)
        answers = [
            await self._shown(collection, *pair) for pair in zip(requests, written, strict=True)
        ]
        return [each.body if each.response is None else each.response.body for each in answers]

    async def submit(self, collection: Collection, request: WriteRequest) -> WriteAnswer:
        """Have a collection's actor do a write in its turn. Raises `RequestRefused`."""
        return await self._shown(collection, request, await self._delegate(collection, request))

    async def _shown(
        self, collection: Collection, request: WriteRequest, written: Written
    ) -> WriteAnswer:
        if request.method == "delete":
            return WriteAnswer({"deleted": 1}, written.response)
        shown = await self._viewer.written(
            collection, request.call, written.document, written.hidden
        )
        return WriteAnswer(shown, written.response)

    async def _delegate(self, collection: Collection, request: WriteRequest) -> Written:
        await collection.usable()
        name, held = collection.name, request.chain.held
        if name not in held:
            request = await self._with_hashed_password(collection, request)
        writer = collection.writer
        if writer is None or not self._turns.would_close_a_circle(held, name):
            with self._turns.waiting(held, name):
                return await self._ask(collection, request)
        written = await writer.perform(request)
        await writer.after_commit(request, written)
        return written

    async def _ask(self, collection: Collection, request: Request[T]) -> T:
        if collection.ref is None:
            raise RequestRefused(503, "The collection is not up yet.", headers={"Retry-After": "1"})
        try:
            return await collection.ref.ask(request, timeout=self._timeout)
        except RequestRefused:
            raise
        except ActorError as error:
            raise _unwritten(collection.name, error) from error

    async def _with_hashed_password(
        self, collection: Collection, request: WriteRequest
    ) -> WriteRequest:
        """Hash a user's new password before the write waits for its turn, and not in it."""
        password = new_password(collection.definition, request.data)
        if password is None:
            return request
        try:
            hashed = await self._env.passwords.hash(password, request.call.asker)
        except TooManyWaiting as error:
            raise refused_for(error) from error
        return evolve(request, hashed=hashed)

    async def _run(
        self, collection: Collection, method: InternalMethod, call: Call, data: JSON
    ) -> JSON:
        given = data if isinstance(data, Mapping) else _NOTHING
        if method == "COUNT":
            call = evolve(call, parts=("count",))
        if call.method == "GET":
            call, given = evolve(call, query=given), _NOTHING
        outcome = await run_unstored(collection, self._env, call, given)
        return outcome.data if outcome.response is None else outcome.response.body

    async def _read_or_write(
        self,
        collection: Collection,
        method: InternalMethod,
        id: str | None,  # noqa: A002
        data: JSON,
        call: Call,
    ) -> JSON:
        given = data if isinstance(data, Mapping) else _NOTHING
        if method == "GET" and id is not None:
            return await self._reader.get(collection, call, id)
        if method == "GET":
            found = await self._reader.find(collection, call, given, whole=True)
            return cast("JSON", orjson.loads(found.body))
        if method == "PAGE":
            found = await self._reader.find(collection, call, given)
            return {"documents": orjson.loads(found.body), "more": bool(found.headers)}
        if method == "COUNT":
            return await self._reader.count(collection, call, given)
        request = WriteRequest(cast("Method", method.lower()), id, given, call, CHAIN.get())
        return (await self.submit(collection, request)).body


def _unwritten(name: str, error: ActorError) -> RequestRefused:
    """Return what the asker is told: 503 only where the write was certainly not done."""
    late = isinstance(error, AskTimeout) and error.begun
    if late or isinstance(error, Unanswered | Poisoned):
        what = "was not done with this write in time" if late else "failed on this write"
        return RequestRefused(500, f"The pod {what}, which may be done or not; look first.")
    sentence = f"'{name}' is too busy or has failed; try again."
    return RequestRefused(503, sentence, headers={"Retry-After": "2"}, detail=str(error))
