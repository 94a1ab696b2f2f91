"""Which faults are active when, and whom they strike: decided without a pod and without a clock."""

from __future__ import annotations

from typing import Any

import pytest

from deployd.supervisors import BadFault
from deployd.supervisors.chaos import KINDS, LONGEST, ChaosState, InPodFault, PodFault, read_fault
from deployd.supervisors.chaos.state import MOST_ACTIVE, refuse_nobody
from deployd.transport.brokers import Fate, room_channel

CHAT = "pod/rooms/chat"
CHANNEL = room_channel("chat")


def state(*faults: InPodFault) -> ChaosState:
    made = ChaosState()
    for fault in faults:
        made.begin(fault, 0.0)
    return made


def read(**wanted: Any) -> InPodFault:
    return read_fault(wanted)


def always() -> float:
    return 0.0


# Reading ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PodFault)
def test_every_fault_can_be_had_with_its_defaults(kind: PodFault) -> None:
    path = {"path": CHAT} if KINDS[kind].path else {}
    fault = read(fault=kind.value, **path)
    assert fault.kind is kind
    assert 0 < fault.seconds <= LONGEST
    assert fault.shown()["fault"] == kind.value
    assert fault.described().startswith(kind.value)
    assert read_fault(fault.shown()) == fault


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ({}, "Name a fault"),
        ({"fault": 7}, "Name a fault"),
        ({"fault": "actor.crahs"}, "did you mean actor.crash?"),
        ({"fault": "drop"}, "There is no fault 'drop'"),
        ({"fault": "actor.hang", "path": CHAT, "secnods": 1}, "did you mean seconds?"),
        ({"fault": "actor.hang", "path": CHAT, "share": 1}, "takes no 'share'"),
        ({"fault": "actor.hang"}, "Let path be a text"),
        ({"fault": "actor.hang", "path": "x" * 301}, "Let path be a text"),
        ({"fault": "link.drop", "room": 7}, "Let room be a text"),
        ({"fault": "link.drop", "share": 0}, "Let share be a number above 0 and of at most 1"),
        ({"fault": "link.drop", "share": 1.1}, "at most 1"),
        ({"fault": "link.drop", "share": float("nan")}, "Let share be a number"),
        ({"fault": "link.drop", "seconds": True}, "Let seconds be a number"),
        ({"fault": "link.drop", "seconds": "10"}, "Let seconds be a number"),
        ({"fault": "link.drop", "seconds": LONGEST + 1}, f"at most {LONGEST:g}"),
        ({"fault": "actor.crash", "path": CHAT, "times": 1.5}, "whole number"),
        ({"fault": "actor.crash", "path": CHAT, "times": 101}, "from 1 to 100"),
        ({"fault": "clock.skew", "skew": 1e300}, "Let skew be a number from"),
    ],
)
def test_what_is_no_fault_is_refused_with_a_sentence(
    wanted: dict[str, object], sentence: str
) -> None:
    with pytest.raises(BadFault) as raised:
        read_fault(wanted)
    assert sentence in str(raised.value)


def test_a_path_that_nobody_has_is_refused_with_the_nearest() -> None:
    fault = read(fault="actor.crash", path="pod/room/chat")
    with pytest.raises(BadFault, match="did you mean pod/rooms/chat"):
        refuse_nobody(fault, ["pod/everyone", CHAT])
    with pytest.raises(BadFault, match="deployd tree"):
        refuse_nobody(fault, [])
    refuse_nobody(read(fault="actor.crash", path="pod/rooms/*"), [])


# Time ---------------------------------------------------------------------------------------


def test_a_fault_is_over_when_its_time_is_though_nobody_tidies() -> None:
    made = state(
        read(fault="actor.hang", path=CHAT, seconds=5),
        read(fault="link.drop", seconds=5, share=1),
        read(fault="store.fail", seconds=5),
        read(fault="clock.skew", seconds=5, skew=7),
    )
    assert made.disturbance(CHAT, 4.9) is not None
    assert made.fate(CHANNEL, 4.9, always) == Fate(copies=0)
    assert made.store_fails(4.9, always) == pytest.approx(0.1)
    assert made.skew(4.9) == 7
    assert made.disturbance(CHAT, 5.0) is None
    assert made.fate(CHANNEL, 5.0, always) is None
    assert made.store_fails(5.0, always) is None
    assert made.skew(5.0) == 0
    assert made.active(5.0) == []
    assert len(made.forget_over(5.0)) == 4
    assert made.next_end() is None


def test_there_are_only_so_many_at_once_and_those_that_are_over_make_place() -> None:
    made = ChaosState()
    for _ in range(MOST_ACTIVE):
        made.begin(read(fault="clock.skew", seconds=5), 0.0)
    with pytest.raises(BadFault, match="stop one"):
        made.begin(read(fault="clock.skew"), 1.0)
    made.begin(read(fault="clock.skew"), 5.0)


def test_a_fault_that_was_ended_strikes_no_more_and_is_ended_once() -> None:
    made = ChaosState()
    begun = made.begin(read(fault="clock.skew", skew=7), 0.0)
    assert made.end(begun.number) is begun
    assert made.end(begun.number) is None
    assert made.skew(1.0) == 0


# Whom ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "path", "meant"),
    [
        (CHAT, CHAT, True),
        (CHAT, "pod/rooms/chat-2", False),
        ("pod/rooms/*", CHAT, True),
        ("*/chat", CHAT, True),
        ("*", "pod/broker/link", True),
        ("pod/rooms/[c]hat", CHAT, False),
    ],
)
def test_a_path_is_meant_by_its_pattern(pattern: str, path: str, meant: bool) -> None:
    made = state(read(fault="actor.slow", path=pattern, delay=0.5))
    assert (made.disturbance(path, 1.0) is not None) == meant


def test_an_actor_crashes_as_often_as_was_said_and_each_for_itself() -> None:
    made = state(read(fault="actor.crash", path="pod/rooms/*", times=2))
    crashes = [made.disturbance(CHAT, 1.0) is not None for _ in range(4)]
    assert crashes == [True, True, False, False]
    assert made.disturbance("pod/rooms/other", 1.0) is not None
    assert made.struck[PodFault.CRASH] == 3


def test_the_longest_wait_counts_and_a_crash_comes_after_it() -> None:
    made = state(
        read(fault="actor.slow", path=CHAT, delay=0.5),
        read(fault="actor.slow", path=CHAT, delay=2),
        read(fault="actor.crash", path=CHAT),
    )
    found = made.disturbance(CHAT, 1.0)
    assert found is not None
    assert found.wait == 2
    assert found.crash is not None
    hung = state(read(fault="actor.hang", path=CHAT, seconds=8)).disturbance(CHAT, 3.0)
    assert hung is not None
    assert hung.wait == 5


def test_nobody_is_held_up_beyond_the_end() -> None:
    made = state(read(fault="actor.slow", path=CHAT, seconds=1, delay=10))
    found = made.disturbance(CHAT, 0.75)
    assert found is not None
    assert found.wait == 0.25


def test_messages_are_struck_by_their_share_and_their_room() -> None:
    made = state(read(fault="link.duplicate", share=0.25, room="chat"))
    assert made.fate(CHANNEL, 1.0, lambda: 0.2499) == Fate(copies=2)
    assert made.fate(CHANNEL, 1.0, lambda: 0.25) is None
    assert made.fate(room_channel("other"), 1.0, always) is None
    assert made.fate("all.pods", 1.0, always) is None
    assert made.struck[PodFault.DUPLICATE] == 1


def test_each_fault_of_the_link_has_its_own_fate() -> None:
    fates = {
        "link.drop": Fate(copies=0),
        "link.duplicate": Fate(copies=2),
        "link.delay": Fate(delay=0.3),
        "link.reorder": Fate(behind=True),
    }
    for kind, fate in fates.items():
        more = {"delay": 0.3} if kind == "link.delay" else {}
        assert state(read(fault=kind, share=1, **more)).fate(CHANNEL, 1.0, always) == fate


def test_skews_add_up() -> None:
    made = state(read(fault="clock.skew", skew=60), read(fault="clock.skew", skew=-10))
    assert made.skew(1.0) == 50
