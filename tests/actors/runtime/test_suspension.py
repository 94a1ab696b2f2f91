from __future__ import annotations

import pytest
import trio

from deployd.actors.runtime.suspension import on_suspend


async def test_a_coroutine_that_never_waits_is_run_without_acting() -> None:
    acts: list[str] = []

    async def hook() -> int:
        return 7

    assert await on_suspend(hook(), lambda: acts.append("act")) == 7
    assert acts == []


async def test_each_wait_is_preceded_by_the_act(autojump_clock: trio.testing.MockClock) -> None:
    log: list[str] = []

    async def hook() -> str:
        log.append("one")
        await trio.sleep(1)
        log.append("two")
        await trio.sleep(1)
        log.append("three")
        return "done"

    assert await on_suspend(hook(), lambda: log.append("act")) == "done"
    assert [entry for entry in log if entry != "act"] == ["one", "two", "three"]
    assert log[1] == "act"
    assert log[log.index("two") + 1] == "act"
    assert log[-1] == "three"


async def test_errors_come_out_before_and_after_a_wait() -> None:
    async def hook(wait: bool) -> None:
        if wait:
            await trio.lowlevel.checkpoint()
        raise ValueError("mine")

    for wait in (False, True):
        with pytest.raises(ValueError, match="mine"):
            await on_suspend(hook(wait), lambda: None)


async def test_a_cancellation_reaches_the_coroutine_and_its_cleanup_runs() -> None:
    cleaned: list[bool] = []

    async def hook() -> None:
        try:
            await trio.sleep_forever()
        finally:
            cleaned.append(True)

    with trio.CancelScope() as scope:
        scope.cancel()
        await on_suspend(hook(), lambda: None)
    assert scope.cancelled_caught
    assert cleaned == [True]
