from __future__ import annotations

import signal

import pytest
import structlog
import trio
import trio.testing

from deployd.tools.process.signals import Signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_first_signal_asks(number: signal.Signals) -> None:
    left: list[int] = []
    signals = Signals(left.append)
    with signals.heard():
        signal.raise_signal(number)
        with trio.fail_after(10):
            await signals.wait()
    assert signals.first is number
    assert left == []


@pytest.mark.parametrize(("second", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
async def test_the_second_leaves_at_once_even_if_the_loop_does_not_turn(
    second: signal.Signals, code: int
) -> None:
    left: list[int] = []
    signals = Signals(left.append)
    with signals.heard():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(second)  # no await since the first
        assert left == [code]
    assert signals.first is signal.SIGTERM


async def test_afterwards_signals_mean_what_they_meant_before() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with Signals().heard():
        assert signal.getsignal(signal.SIGTERM) is not before[0]
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


MEANT = {
    *(signal.SIGTERM, signal.SIGINT),
    *(signal.SIGKILL, signal.SIGSTOP),
    # to crash with a core
    *(signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL),
    *(signal.SIGTRAP, signal.SIGSYS),
    # ignored by default, or by Python
    *(signal.SIGCHLD, signal.SIGURG, signal.SIGWINCH, signal.SIGCONT),
    *(signal.SIGPIPE, signal.SIGXFSZ),
    # of the shell's job control
    *(signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU),
}
"""What may end or stop a pod, or is ignored in any case."""


@pytest.mark.parametrize("number", sorted(set(signal.valid_signals()) - MEANT), ids=str)
async def test_what_nobody_gave_a_meaning_is_told_in_the_log_and_does_nothing(number: int) -> None:
    left: list[int] = []
    signals = Signals(left.append)
    with signals.heard(), structlog.testing.capture_logs() as lines:
        for _ in range(5):  # the log may be told once of several that come together
            signal.raise_signal(number)
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert [line["event"] for line in lines] == ["a signal that means nothing here"]
        assert lines[0]["signal"].startswith("SIG") or lines[0]["signal"] == str(number)
    assert (signals.first, left) == (None, [])


async def test_what_a_signal_asks_for_is_done_on_the_loop_but_for_what_cannot_wait() -> None:
    signals, done = Signals(), list[str]()
    signals.on(signal.SIGQUIT, lambda: done.append("later"), at_once=lambda: done.append("at once"))
    with signals.heard():
        signal.raise_signal(signal.SIGQUIT)
        assert done == ["at once"]
        await trio.testing.wait_all_tasks_blocked(0.01)
    assert done == ["at once", "later"]
    assert signals.first is None


async def test_what_a_signal_asks_for_may_fail_and_the_next_one_is_heard() -> None:
    signals, done = Signals(), list[str]()

    def fails() -> None:
        raise ValueError("a bug")

    signals.on(signal.SIGHUP, fails)
    signals.on(signal.SIGUSR1, lambda: done.append("heard"))
    with signals.heard(), structlog.testing.capture_logs() as lines:
        for number in (signal.SIGHUP, signal.SIGUSR1):
            signal.raise_signal(number)
            await trio.testing.wait_all_tasks_blocked(0.01)
    assert (lines[0]["log_level"], lines[0]["signal"]) == ("error", "SIGHUP")
    assert done == ["heard"]


async def test_a_terminal_that_is_closed_stops_the_pod_that_it_shows() -> None:
    signals, asked = Signals(hung_up=lambda: True), list[str]()
    signals.on(signal.SIGHUP, lambda: asked.append("reload"))
    with signals.heard():
        signal.raise_signal(signal.SIGHUP)
        with trio.fail_after(10):
            await signals.wait()
    assert (signals.first, asked) == (signal.SIGHUP, [])


async def test_a_hangup_that_somebody_had_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nohup(1)
    try:
        with Signals(hung_up=lambda: True).heard():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
