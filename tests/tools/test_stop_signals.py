from __future__ import annotations

import signal

import pytest
import trio

from deployd.tools.signals import StopSignals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_first_signal_asks(number: signal.Signals) -> None:
    left: list[int] = []
    signals = StopSignals(left.append)
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
    signals = StopSignals(left.append)
    with signals.heard():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(second)  # no await since the first
        assert left == [code]
    assert signals.first is signal.SIGTERM


async def test_afterwards_signals_mean_what_they_meant_before() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with StopSignals().heard():
        assert signal.getsignal(signal.SIGTERM) is not before[0]
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before
