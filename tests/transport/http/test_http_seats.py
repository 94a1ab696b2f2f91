"""Who may stay on a port, and who gives way to whom."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from deployd.transport import Grant, Seat, Seats
from deployd.transport.limits.seats import PATIENT


class Guest:
    """A connection with its seat."""

    def __init__(self, seats: Seats, address: str, now: float = 0.0) -> None:
        self.woken = 0
        seat = seats.admit(address, now)
        assert seat is not None
        self.seat: Seat = seat

    def wake(self) -> None:
        self.woken += 1

    def wait(self, now: float = 0.0) -> Guest:
        self.seat.wait(self.wake, now)
        return self


def hall(total: int = 4, share: int = 2, standing: int = 1, last: int = 1) -> Seats:
    return Seats(total, share, standing, last)


def test_an_address_over_its_share_takes_from_itself_whom_it_let_wait_longest() -> None:
    seats = hall()
    first, second = Guest(seats, "a").wait(), Guest(seats, "a").wait()
    other = Guest(seats, "b").wait()
    first.wait()
    third = Guest(seats, "a")
    assert (first.woken, second.woken, other.woken) == (1, 0, 0)
    assert (first.seat.evicted, third.seat.sitting, len(seats)) == (True, True, 3)


def test_who_works_keeps_its_seat_and_the_next_of_its_address_has_to_stand() -> None:
    seats = hall()
    for _ in range(2):
        Guest(seats, "2001:db8::1")
    third = Guest(seats, "2001:db8::2")  # the same subscriber
    assert third.seat.grant is Grant.OVER_SHARE
    assert Guest(seats, "b").seat.sitting


def test_where_all_is_taken_the_address_that_holds_most_gives_way() -> None:
    seats = hall(total=3)
    small = Guest(seats, "a").wait(0.0)
    large = [Guest(seats, "b").wait(1.0) for _ in range(2)]
    assert Guest(seats, "c", 1.0 + PATIENT).seat.sitting
    assert (small.woken, large[0].woken, large[1].woken) == (0, 1, 0)


def test_where_those_who_hold_most_all_work_who_waited_longest_gives_way() -> None:
    seats = hall(total=3)
    small = Guest(seats, "a").wait()
    for _ in range(2):
        Guest(seats, "b")
    assert Guest(seats, "c", PATIENT).seat.sitting
    assert small.woken == 1


def test_what_is_on_its_way_to_us_is_waited_for() -> None:
    seats = hall(total=1)
    guest = Guest(seats, "a").wait()
    assert Guest(seats, "b", PATIENT / 2).seat.grant is Grant.NONE_LEFT
    assert guest.woken == 0


def test_who_stands_gives_way_to_the_next_and_at_last_nobody_can_stand() -> None:
    seats = hall(total=1)
    Guest(seats, "a")
    standing = Guest(seats, "b").wait()
    second = Guest(seats, "c")
    assert (standing.woken, second.seat.sitting) == (1, False)
    assert seats.admit("d", 0.0) is None
    second.seat.leave()
    assert seats.admit("d", 0.0) is not None


def test_the_last_descriptors_are_counted_by_themselves() -> None:
    seats = hall()
    seat = seats.admit("a", 0.0, scarce=True)
    assert seat is not None
    assert not seat.sitting
    assert seats.admit("b", 0.0, scarce=True) is None
    assert not seats.clear()
    seat.wait(lambda: None, 0.0)
    assert seats.clear()
    assert seats.admit("b", 0.0, scarce=True) is not None
    assert Guest(seats, "c").seat.sitting


def test_a_proxys_connection_is_on_the_account_of_whom_it_works_for() -> None:
    seats = hall()
    pooled, direct = Guest(seats, ""), Guest(seats, "a")
    assert pooled.seat.account("a")
    third = Guest(seats, "a")
    assert third.seat.grant is Grant.OVER_SHARE
    pooled.seat.account("")
    assert Guest(seats, "a").seat.sitting
    assert pooled.seat.account("a") is Grant.OVER_SHARE
    assert pooled.seat.account("b")
    assert direct.seat.account("b")  # who comes by itself is who it is
    assert len(seats) == 4


def test_once_closed_nobody_waits_any_more() -> None:
    seats = hall()
    waiting, working = Guest(seats, "a").wait(), Guest(seats, "a")
    seats.close()
    assert (waiting.woken, working.woken) == (1, 0)
    assert working.seat.closing
    working.wait()
    assert working.woken == 1
    assert len(seats) == 0


@given(st.data())
def test_no_bound_is_ever_exceeded_and_all_comes_back(data: st.DataObject) -> None:
    total, standing = 5, 2
    seats, here = Seats(total, 3, standing, 1), list[Guest]()
    for now in range(data.draw(st.integers(0, 40))):
        does = data.draw(st.sampled_from(["come", "wait", "work", "account", "leave"]))
        if does == "come":
            address = data.draw(st.sampled_from(["", "a", "b", "c"]))
            seat = seats.admit(address, float(now))
            if seat is not None:
                guest = Guest.__new__(Guest)
                guest.woken, guest.seat = 0, seat
                here.append(guest)
        elif here:
            guest = data.draw(st.sampled_from(here))
            if does == "wait":
                guest.wait(float(now))
            elif does == "work":
                guest.seat.work()
            elif does == "account":
                guest.seat.work()
                guest.seat.account(data.draw(st.sampled_from(["a", "b", "c"])))
            else:
                guest.seat.leave()
                here.remove(guest)
        here = [guest for guest in here if not guest.seat.evicted]
        assert len(seats) == len(here)
        assert sum(guest.seat.sitting for guest in here) <= total
        assert sum(not guest.seat.sitting for guest in here) <= standing
    for guest in here:
        guest.seat.leave()
    assert len(seats) == 0
