"""Who may stay on a port, and who gives way to whom."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from deployd.transport import ConnectionSlot, ConnectionSlots, Grant
from deployd.transport.limits.connection_slots import EVICTABLE_AFTER


class Guest:
    """A connection with its slot."""

    def __init__(self, slots: ConnectionSlots, address: str, now: float = 0.0) -> None:
        self.woken = 0
        slot = slots.admit(address, now)
        assert slot is not None
        self.slot: ConnectionSlot = slot

    def wake(self) -> None:
        self.woken += 1

    def wait(self, now: float = 0.0) -> Guest:
        self.slot.wait(self.wake, now)
        return self


def slots_of(total: int = 4, share: int = 2, overflow: int = 1, last: int = 1) -> ConnectionSlots:
    return ConnectionSlots(total, share, overflow, last)


def test_an_address_over_its_share_takes_from_itself_whom_it_let_wait_longest() -> None:
    slots = slots_of()
    first, second = Guest(slots, "a").wait(), Guest(slots, "a").wait()
    other = Guest(slots, "b").wait()
    first.wait()
    third = Guest(slots, "a")
    assert (first.woken, second.woken, other.woken) == (1, 0, 0)
    assert (first.slot.evicted, third.slot.granted, len(slots)) == (True, True, 3)


def test_who_works_keeps_its_slot_and_the_next_of_its_address_is_overflow() -> None:
    slots = slots_of()
    for _ in range(2):
        Guest(slots, "2001:db8::1")
    third = Guest(slots, "2001:db8::2")  # the same subscriber
    assert third.slot.grant is Grant.OVER_SHARE
    assert Guest(slots, "b").slot.granted


def test_where_all_is_taken_the_address_that_holds_most_gives_way() -> None:
    slots = slots_of(total=3)
    small = Guest(slots, "a").wait(0.0)
    large = [Guest(slots, "b").wait(1.0) for _ in range(2)]
    assert Guest(slots, "c", 1.0 + EVICTABLE_AFTER).slot.granted
    assert (small.woken, large[0].woken, large[1].woken) == (0, 1, 0)


def test_where_those_who_hold_most_all_work_who_waited_longest_gives_way() -> None:
    slots = slots_of(total=3)
    small = Guest(slots, "a").wait()
    for _ in range(2):
        Guest(slots, "b")
    assert Guest(slots, "c", EVICTABLE_AFTER).slot.granted
    assert small.woken == 1


def test_what_is_on_its_way_to_us_is_waited_for() -> None:
    slots = slots_of(total=1)
    guest = Guest(slots, "a").wait()
    assert Guest(slots, "b", EVICTABLE_AFTER / 2).slot.grant is Grant.NONE_LEFT
    assert guest.woken == 0


def test_who_stands_gives_way_to_the_next_and_at_last_nobody_can_stand() -> None:
    slots = slots_of(total=1)
    Guest(slots, "a")
    overflow = Guest(slots, "b").wait()
    second = Guest(slots, "c")
    assert (overflow.woken, second.slot.granted) == (1, False)
    assert slots.admit("d", 0.0) is None
    second.slot.leave()
    assert slots.admit("d", 0.0) is not None


def test_the_last_descriptors_are_counted_by_themselves() -> None:
    slots = slots_of()
    slot = slots.admit("a", 0.0, scarce=True)
    assert slot is not None
    assert not slot.granted
    assert slots.admit("b", 0.0, scarce=True) is None
    assert not slots.clear()
    slot.wait(lambda: None, 0.0)
    assert slots.clear()
    assert slots.admit("b", 0.0, scarce=True) is not None
    assert Guest(slots, "c").slot.granted


def test_a_proxys_connection_is_on_the_account_of_whom_it_works_for() -> None:
    slots = slots_of()
    pooled, direct = Guest(slots, ""), Guest(slots, "a")
    assert pooled.slot.account("a")
    third = Guest(slots, "a")
    assert third.slot.grant is Grant.OVER_SHARE
    pooled.slot.account("")
    assert Guest(slots, "a").slot.granted
    assert pooled.slot.account("a") is Grant.OVER_SHARE
    assert pooled.slot.account("b")
    assert direct.slot.account("b")  # who comes by itself is who it is
    assert len(slots) == 4


def test_once_closed_nobody_waits_any_more() -> None:
    slots = slots_of()
    waiting, working = Guest(slots, "a").wait(), Guest(slots, "a")
    slots.close()
    assert (waiting.woken, working.woken) == (1, 0)
    assert working.slot.closing
    working.wait()
    assert working.woken == 1
    assert len(slots) == 0


@given(st.data())
def test_no_bound_is_ever_exceeded_and_all_comes_back(data: st.DataObject) -> None:
    total, overflow = 5, 2
    slots, here = ConnectionSlots(total, 3, overflow, 1), list[Guest]()
    for now in range(data.draw(st.integers(0, 40))):
        does = data.draw(st.sampled_from(["come", "wait", "work", "account", "leave"]))
        if does == "come":
            address = data.draw(st.sampled_from(["", "a", "b", "c"]))
            slot = slots.admit(address, float(now))
            if slot is not None:
                guest = Guest.__new__(Guest)
                guest.woken, guest.slot = 0, slot
                here.append(guest)
        elif here:
            guest = data.draw(st.sampled_from(here))
            if does == "wait":
                guest.wait(float(now))
            elif does == "work":
                guest.slot.work()
            elif does == "account":
                guest.slot.work()
                guest.slot.account(data.draw(st.sampled_from(["a", "b", "c"])))
            else:
                guest.slot.leave()
                here.remove(guest)
        here = [guest for guest in here if not guest.slot.evicted]
        assert len(slots) == len(here)
        assert sum(guest.slot.granted for guest in here) <= total
        assert sum(not guest.slot.granted for guest in here) <= overflow
    for guest in here:
        guest.slot.leave()
    assert len(slots) == 0
