"""An exception raised in another thread arrives while its work runs, and at no other time."""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from deployd.documents.scripts import interruption as module
from deployd.documents.scripts.interruption import Interrupted, Interruption
from support.scripts import PATIENCE

ENOUGH = 300
"""Interruptions that have to arrive before a thread has shown anything."""
SOME = 100
"""Rounds after which the other thread has had a turn."""
MOST = 3 * 1_000_000
"""Rounds after which it is given up."""


class Slot:
    """Where the thread that works shows its interruption to the one that interrupts."""

    def __init__(self) -> None:
        self.current: Interruption | None = None
        self.over = False
        self.turns = 0

    def let_the_other_run(self) -> None:
        """Return when the one that interrupts has had a turn: a busy machine gives it few."""
        seen = self.turns
        while self.turns == seen:
            time.sleep(0)


@pytest.fixture(autouse=True)
def _threads_switch_often() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


def interrupt_everything(slot: Slot) -> None:
    """Interrupt what runs whenever this thread gets a turn: amid the work, or too late."""
    while not slot.over:
        slot.turns += 1
        if slot.current is not None:
            slot.current.interrupt()
        time.sleep(0)  # a turn of the other thread, not a wait


def spin(times: int) -> None:
    for _ in range(times):
        pass


def beside_an_interrupter(work: Callable[[Slot], None]) -> None:
    slot, escaped = Slot(), list[BaseException]()

    def run() -> None:
        try:
            work(slot)
        except BaseException as error:  # noqa: BLE001 - what leaks is an Interrupted
            escaped.append(error)
        finally:
            slot.over = True

    threads = [
        threading.Thread(target=interrupt_everything, args=(slot,), daemon=True),
        threading.Thread(target=run, daemon=True),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in threads)
    assert not escaped


def test_it_never_arrives_after_the_work_it_is_meant_for() -> None:
    arrived = rounds = 0

    def work(slot: Slot) -> None:
        nonlocal arrived, rounds
        chance = random.Random(2)
        while arrived < ENOUGH and rounds < MOST:
            rounds += 1
            if rounds % SOME == 0:
                slot.let_the_other_run()
            interruption = Interruption()
            try:
                try:
                    slot.current = interruption
                    spin(chance.randrange(120))
                finally:
                    interruption.leave()
            except Interrupted:
                arrived += 1
            spin(60)  # whatever arrives from here on is a leak

    beside_an_interrupter(work)
    assert arrived == ENOUGH
    assert rounds > ENOUGH


class Watched:
    """The lock that is opened when an interruption was sent; tells that somebody waits for it."""

    def __init__(self, lock: threading.Lock, somebody_waits: threading.Event) -> None:
        self._lock = lock
        self._somebody_waits = somebody_waits
        self.release = lock.release

    def acquire(self) -> bool:
        self._somebody_waits.set()
        return self._lock.acquire()


def test_who_leaves_waits_for_what_is_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    claimed, waits_or_has_left = threading.Event(), threading.Event()
    send = module._set_async_exc

    def slowly(ident: int, error: object) -> None:
        if ident == main and threading.get_ident() != main:
            claimed.set()
            waits_or_has_left.wait(PATIENCE)
        send(ident, error)

    main = threading.get_ident()
    monkeypatch.setattr(module, "_set_async_exc", slowly)
    interruption = Interruption()
    monkeypatch.setattr(interruption, "_sent", Watched(interruption._sent, waits_or_has_left))
    interrupter = threading.Thread(target=interruption.interrupt)
    try:
        try:
            interrupter.start()
            claimed.wait(PATIENCE)
        finally:
            interruption.leave()
    except Interrupted:
        pass
    waits_or_has_left.set()
    interrupter.join()
    spin(1000)  # whatever arrives from here on is a leak


def test_it_never_arrives_behind_a_shield_and_is_not_forgotten_there() -> None:
    whole = arrived = rounds = 0

    def work(slot: Slot) -> None:
        nonlocal whole, arrived, rounds
        while arrived < ENOUGH and rounds < MOST:
            rounds += 1
            if rounds % SOME == 0:
                slot.let_the_other_run()
            interruption = Interruption()
            entered = left = False
            try:
                try:
                    slot.current = interruption
                    with interruption.shield():
                        entered = True
                        spin(60)
                        left = True
                finally:
                    interruption.leave()
            except Interrupted:
                arrived += 1
            whole += entered
            assert entered == left

    beside_an_interrupter(work)
    assert arrived == ENOUGH
    assert whole > 0


def test_what_is_wanted_behind_a_shield_is_raised_at_its_end() -> None:
    interruption = Interruption()
    steps = []
    with pytest.raises(Interrupted):  # noqa: PT012 - the steps are the point
        with interruption.shield():
            with interruption.shield():  # one within the other, as when a log line logs
                other = threading.Thread(target=interruption.interrupt)
                other.start()
                other.join()
            steps.append("still shielded")
        steps.append("never reached")
    interruption.leave()
    assert steps == ["still shielded"]


def test_a_shield_is_for_its_thread_alone() -> None:
    interruption = Interruption()

    def other() -> None:
        with interruption.shield(), interruption.shield():
            steps.append("passed")

    steps: list[str] = []
    with interruption.shield():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    interruption.leave()
    assert steps == ["passed"]


def test_who_has_left_is_not_interrupted() -> None:
    interruption = Interruption()
    interruption.leave()
    interruption.interrupt()
    spin(1000)
