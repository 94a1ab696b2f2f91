from __future__ import annotations

import pytest

from deployd.actors import AccessPolicy
from deployd.config import AccessSettings, Rule, Speaker, Who
from deployd.config.patterns import PatternMap
from deployd.transport import Identity

ADA = Identity("ada", "Ada", is_root=False, expires_at=None)
ROOT = Identity("root", "Root", is_root=True, expires_at=None)


def code(problem: object) -> str | None:
    return getattr(problem, "code", None)


@pytest.mark.parametrize("room", ["collections", "collection:todos", "collection:", "system:x"])
@pytest.mark.parametrize("identity", [None, ADA, ROOT])
def test_no_rule_and_no_role_lets_a_client_emit_where_the_server_speaks(
    room: str, identity: Identity | None
) -> None:
    policy = AccessPolicy(AccessSettings(rules={"*": Rule(emit=Speaker.ANYONE)}))
    assert code(policy.emit(room, identity)) == "room_reserved"


def test_the_first_rule_that_matches_counts() -> None:
    policy = AccessPolicy(
        AccessSettings(
            rules={"a-public": Rule(), "a-*": Rule(join=Who.ROOT), "*": Rule(join=Who.NOBODY)}
        )
    )
    assert policy.join("a-public", None) is None
    assert code(policy.join("a-secret", ADA)) == "forbidden"
    assert policy.join("a-secret", ROOT) is None
    assert code(policy.join("b", ROOT)) == "forbidden"


def test_clients_cannot_use_the_names_of_system_events() -> None:
    policy = AccessPolicy(AccessSettings())
    assert code(policy.event("system:degraded")) == "event_reserved"
    assert policy.event("said") is None


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("chat-*", "chat-1", True),
        ("chat-*", "chat-", True),
        ("chat-*", "xchat-1", False),
        ("chat-*", "chat", False),
        ("*", "anything/at:all", True),
        ("a.c", "abc", False),
        ("*-log", "x-log", True),
        ("*-log", "x-log2", False),
        ("a*b*c", "a1b2c", True),
    ],
)
def test_only_the_star_is_special_in_a_pattern(pattern: str, name: str, matches: bool) -> None:
    assert PatternMap({pattern: True}).match(name) is (True if matches else None)


def test_a_later_binding_can_come_first_and_leaves_the_old_map_alone() -> None:
    first = PatternMap({"*": 1})
    second = first.preceded_by("a", 2)
    assert (second.match("a"), second.match("b"), first.match("a")) == (2, 1, 1)
