"""Who may do what with a collection's documents."""

from __future__ import annotations

import pytest

from deployd.config import Definition, Permissions, Right
from deployd.documents import RequestRefused
from deployd.documents.store import All, Any, Document, Equal
from deployd.documents.users import (
    POD,
    Caller,
    Method,
    demand,
    demand_owner,
    may_listen,
    may_see,
    readable,
)
from deployd.transport import Identity

NOBODY = Caller()
ADA = Caller(Identity("ada", "Ada", is_root=False, expires_at=None))
BEN = Caller(Identity("ben", "Ben", is_root=False, expires_at=None))
ROOT = Caller(Identity("root", "root", is_root=True, expires_at=None))
METHODS: tuple[Method, ...] = ("get", "post", "put", "delete")
PUT_BY_OWNERS = Definition("notes", access=Permissions(put=Right.OWNER))
ADAS: Document = {"id": "1", "ownerId": "ada"}


def with_right(right: Right) -> Definition:
    return Definition("notes", access=Permissions(right, right, right, right))


def status(definition: Definition, method: Method, caller: Caller) -> int:
    refused = None
    try:
        demand(definition, method, caller)
    except RequestRefused as error:
        refused = error
    if refused is None:
        return 200
    assert "notes" in refused.sentence
    assert ("WWW-Authenticate" in refused.headers) == (refused.status == 401)
    return refused.status


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("right", "nobody", "user"),
    [
        (Right.ANYONE, 200, 200),
        (Right.AUTHENTICATED, 401, 200),
        (Right.OWNER, 401, 200),
        (Right.ROOT, 401, 403),
    ],
)
def test_a_right_holds_for_its_method(method: Method, right: Right, nobody: int, user: int) -> None:
    definition = with_right(right)
    found = [status(definition, method, caller) for caller in (NOBODY, ADA, ROOT, POD)]
    assert found == [nobody, user, 200, 200]


@pytest.mark.parametrize("method", METHODS)
def test_each_method_has_its_own_right(method: Method) -> None:
    closed = Definition("notes", access=Permissions(**{method: Right.ROOT}))
    assert [status(closed, other, ADA) for other in METHODS] == [
        403 if other == method else 200 for other in METHODS
    ]


def test_only_the_owner_and_root_touch_what_is_owned() -> None:
    owned = with_right(Right.OWNER)
    for caller in (ADA, ROOT, POD):
        demand_owner(owned, "put", caller, ADAS)
    for definition, refusal in ((owned, 404), (PUT_BY_OWNERS, 403)):
        for caller in (BEN, NOBODY):
            with pytest.raises(RequestRefused) as caught:
                demand_owner(definition, "put", caller, ADAS)
            assert caught.value.status == refusal  # what one may not read is not there


def test_a_document_may_have_several_owners() -> None:
    both: Document = {"id": "1", "ownerId": ["ada", "ben"]}
    for owner in (ADA, BEN):
        assert may_see(with_right(Right.OWNER), owner, both)
        demand_owner(with_right(Right.OWNER), "put", owner, both)
    assert not may_see(with_right(Right.OWNER), NOBODY, both)


def test_a_document_without_an_owner_is_nobodys() -> None:
    owned = with_right(Right.OWNER)
    assert not may_see(owned, NOBODY, {"id": "1", "ownerId": None})
    assert not may_see(owned, ADA, {"id": "1"})
    assert may_see(owned, ROOT, {"id": "1"})


def test_where_owners_read_a_query_finds_ones_own() -> None:
    owned = with_right(Right.OWNER)
    assert readable(owned, ADA) == Equal(("ownerId",), ("ada",))
    assert readable(owned, ROOT) == All()
    assert readable(owned, NOBODY) == Any(())
    assert readable(with_right(Right.ANYONE), NOBODY) == All()


def test_who_may_not_read_may_not_listen() -> None:
    assert may_listen(with_right(Right.ANYONE), NOBODY) is None
    assert may_listen(with_right(Right.OWNER), ADA) is None
    refused = may_listen(with_right(Right.AUTHENTICATED), NOBODY)
    assert refused is not None
    assert refused.status == 401
    assert may_see(with_right(Right.ROOT), ROOT, ADAS)
    assert not may_see(with_right(Right.ROOT), ADA, ADAS)
