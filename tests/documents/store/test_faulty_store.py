"""A store that fails on purpose fails as one that is away does, and did nothing."""

from __future__ import annotations

import pytest

from deployd.documents.errors import StoreUnavailable, StoreUncertain
from deployd.documents.store import DatabaseStore, FaultyStore, Query, Store
from support.documents import TODOS, document, put


class Failing:
    """Fails while `left` is something."""

    left: float | None = None

    def __call__(self) -> float | None:
        return self.left


async def test_it_fails_as_one_that_is_away_does_and_then_works(store: DatabaseStore) -> None:
    failing = Failing()
    faulty: Store = FaultyStore(store, failing)
    await faulty.prepare(TODOS)
    await faulty.commit(TODOS, [put("a", title="tea")])
    failing.left = 3.0
    for call in (
        lambda: faulty.prepare(TODOS),
        lambda: faulty.find(TODOS, Query()),
        lambda: faulty.count(TODOS, Query().filter),
        lambda: faulty.get(TODOS, "a"),
        lambda: faulty.commit(TODOS, [put("b", title="milk")]),
        lambda: faulty.claim_outbox(TODOS, 10),
        lambda: faulty.clear_outbox(TODOS, [1]),
    ):
        with pytest.raises(StoreUnavailable, match=r"for 3\.0 s more") as raised:
            await call()
        assert not isinstance(raised.value, StoreUncertain)
        assert raised.value.public == StoreUnavailable("away").public
    failing.left = None
    assert await faulty.get(TODOS, "a") == document("a", title="tea")
    assert await faulty.get(TODOS, "b") is None
    assert len(await faulty.claim_outbox(TODOS, 10)) == 1
