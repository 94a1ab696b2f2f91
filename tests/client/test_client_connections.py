"""Connections, tokens and requests of a client whose pod does as it is told; time is fake."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from deployd.client import (
    CameUp,
    CannotSend,
    ClosedForGood,
    Degraded,
    Disconnected,
    NoAnswer,
    OutageCode,
    Refused,
    RoomEntered,
    RoomLeft,
    RoomLost,
    Unconfirmed,
    WentDown,
)
from deployd.client.conversation import WAITING
from deployd.client.endings import Ending
from deployd.transport import Auth, Emit, Failed, Join, Left, Ping, Problem
from support.fake_pod import FakePod, client_of


async def test_it_comes_back_with_full_jitter_and_waits_that_double(
    autojump_clock: MockClock,
) -> None:
    pod = FakePod()
    pod.refuse = [Ending()] * 8
    async with client_of(pod) as c:
        await c.ready(timeout=100)
    waits = [round(b - a, 3) for a, b in zip(pod.attempts, pod.attempts[1:], strict=False)]
    assert waits == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


async def test_it_waits_as_long_as_the_pod_asks_and_some_more(autojump_clock: MockClock) -> None:
    pod = FakePod()
    async with client_of(pod) as c:
        await c.ready()
        pod.refuse = [Ending(1006, "", 503, 7.0)]
        pod.wire.end(1012, "retry_after=3.5")
        await wait_all_tasks_blocked()
        assert not c.connected
        await c.ready(timeout=100)
    assert [round(at, 3) for at in pod.attempts] == [0.0, 3.75, 11.25]


async def test_it_shows_its_token_and_then_asks_for_its_rooms_again(
    autojump_clock: MockClock,
) -> None:
    pod = FakePod()
    async with client_of(pod, "a-token") as c:
        await c.ready()
        for room in ("tea", "milk"):
            await c.join(room)
        pod.asked.clear()
        pod.wire.end()
        await wait_all_tasks_blocked()
        with pytest.raises(Disconnected):
            await c.emit("tea", "said")
        await c.ready()
        assert [type(message) for message in pod.asked] == [Auth, Join, Join]
        await c.emit("tea", "said")


async def test_an_emit_whose_connection_ends_is_in_doubt(autojump_clock: MockClock) -> None:
    pod = FakePod()
    pod.deaf = {Emit}
    async with client_of(pod) as c:
        await c.ready()
        async with trio.open_nursery() as nursery:

            async def speak() -> None:
                with pytest.raises(Unconfirmed, match="nobody knows"):
                    await c.emit(None, "said")

            nursery.start_soon(speak)
            await wait_all_tasks_blocked()
            pod.wire.end()


async def test_an_emit_without_an_answer_says_so_in_time(autojump_clock: MockClock) -> None:
    pod = FakePod()
    pod.deaf = {Emit}
    async with client_of(pod) as c:
        await c.ready()
        began = trio.current_time()
        with pytest.raises(NoAnswer, match=r"No answer to this emit in 10 s\."):
            await c.emit(None, "said")
        assert trio.current_time() - began == 10
        with pytest.raises(NoAnswer):
            await c.emit(None, "said", timeout=2)
        assert c.connected  # the pod answers pings


async def test_a_final_code_ends_the_client_and_all_who_wait(autojump_clock: MockClock) -> None:
    pod = FakePod()
    pod.deaf = {Emit}
    async with client_of(pod) as c:
        await c.ready()
        await c.join("tea")
        told = []

        async def speak() -> None:
            with pytest.raises(Unconfirmed):
                await c.emit("tea", "said")
            told.append("emit")

        async def hear() -> None:
            with pytest.raises(ClosedForGood) as caught:
                await anext(c.events("tea"))
            assert caught.value.code == 4502
            told.append("events")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(speak)
            nursery.start_soon(hear)
            await wait_all_tasks_blocked()
            pod.wire.end(4502, "too many errors in a short time")
        assert sorted(told) == ["emit", "events"]
        with pytest.raises(ClosedForGood, match="too many errors"):
            await c.emit("tea", "said")
        with pytest.raises(ClosedForGood):
            await c.join("milk")
        with pytest.raises(ClosedForGood):
            await c.ready()
        await trio.sleep(1_000)
    assert len(pod.attempts) == 1


async def test_a_token_that_is_not_taken_ends_the_client_with_what_the_pod_says(
    autojump_clock: MockClock,
) -> None:
    pod = FakePod()
    pod.bad_tokens = {"old": "expired_token"}
    async with client_of(pod, "old") as c:
        with pytest.raises(Refused, match="not good") as caught:
            await c.ready()
        assert caught.value.code == "expired_token"


async def test_a_function_gets_another_token_for_each_connection(
    autojump_clock: MockClock,
) -> None:
    pod, tokens = FakePod(), iter(["old", "new", "newer", "newest"])
    pod.bad_tokens = {"old": "expired_token"}

    async def fetch() -> str:
        await trio.sleep(0.1)
        return next(tokens)

    async with client_of(pod, fetch) as c:
        await c.ready()
        pod.wire.end(4500, "your token has expired")
        await wait_all_tasks_blocked()
        await c.ready()
        # The pod makes nobody of us instead of closing: the rooms are asked for with another.
        pod.wire.say(Failed(Problem("expired_token", "It has expired."), 0.0))
        await wait_all_tasks_blocked()
        await c.ready()
    shown = [message.token for message in pod.asked if isinstance(message, Auth)]
    assert shown == ["old", "new", "newer", "newest"]


@pytest.mark.parametrize("code", ["too_fast", "too_many_guesses", "busy"])
async def test_a_token_that_cannot_be_looked_at_now_is_shown_again(
    autojump_clock: MockClock, code: str
) -> None:
    pod = FakePod()
    pod.no[""] = [Problem(code, "Later.", None, 2.0)]
    async with client_of(pod, "a-token") as c:
        await c.ready()
    assert pod.attempts == [0.0, 2.25]


async def test_silence_is_asked_about_and_a_pod_that_is_gone_is_left(
    autojump_clock: MockClock,
) -> None:
    pod = FakePod()
    async with client_of(pod) as c:
        await c.ready()
        await trio.sleep(24)
        assert pod.count(Ping) == 0
        await trio.sleep(2)
        assert pod.count(Ping) == 1
        pod.deaf = {Ping}
        await trio.sleep(35)
        assert len(pod.attempts) == 2  # silent at 25, asked at 50, given up at 60
        assert c.connected


async def test_what_is_not_answered_makes_it_ask_at_once(autojump_clock: MockClock) -> None:
    pod = FakePod()
    async with client_of(pod) as c:
        await c.ready()
        pod.deaf = {Emit, Ping}
        with pytest.raises(NoAnswer):
            await c.emit(None, "said")
        await trio.sleep_until(19.9)
        assert c.connected
        await trio.sleep_until(20.1)  # and not 25, and ten more
        assert not c.connected


async def test_a_pod_that_takes_nothing_is_left(autojump_clock: MockClock) -> None:
    pod = FakePod()
    async with client_of(pod) as c:
        await c.ready()
        pod.wire.blocked = True
        async with trio.open_nursery() as nursery:

            async def speak(number: int) -> None:
                with pytest.raises((Unconfirmed, Disconnected, NoAnswer)):
                    await c.emit(None, "said", number, timeout=60)

            for number in range(WAITING + 20):
                nursery.start_soon(speak, number)
        assert 9 < trio.current_time() < 12
        await c.ready()
        assert len(pod.attempts) == 2


async def test_a_pod_that_does_not_greet_is_left(autojump_clock: MockClock) -> None:
    pod = FakePod()
    pod.deaf = {"greeting"}
    async with client_of(pod) as c:
        with pytest.raises(Disconnected, match="no greeting in 10 s"):
            await c.ready(timeout=15)
        pod.deaf = set()
        await c.ready(timeout=15)


async def test_what_is_no_message_of_a_pod_ends_the_connection(autojump_clock: MockClock) -> None:
    pod = FakePod()
    async with client_of(pod) as c:
        await c.ready()
        pod.wire.raw('{"type":"emit","event":"sa')
        await wait_all_tasks_blocked()
        signals = c.signals()
        assert isinstance(await anext(signals), CameUp)
        down = await anext(signals)
        assert isinstance(down, WentDown)
        assert (down.code, down.final) == (1002, False)


async def test_what_cannot_be_sent_is_not_sent(autojump_clock: MockClock) -> None:
    pod = FakePod()
    pod.limit = 100
    async with client_of(pod) as c:
        await c.ready()
        for data, code in (({1, 2}, "not_json"), ("x" * 100, "too_large")):
            with pytest.raises(CannotSend) as caught:
                await c.emit(None, "said", data)  # type: ignore[arg-type]
            assert caught.value.code == code
        assert pod.asked == []


async def test_put_out_it_says_so_or_comes_back(autojump_clock: MockClock) -> None:
    pod = FakePod()
    async with client_of(pod) as c:
        await c.ready()
        await c.join("tea")
        pod.wire.say(Left("tea", 0.0, reason="it was busy"))
        pod.wire.say(Failed(Problem("room_busy", "Busy.", "tea"), 0.0))
        await wait_all_tasks_blocked()
        await c.ready()
        await c.emit("tea", "said")
        pod.wire.say(Left("tea", 0.0, reason="the host says so"))
        with pytest.raises(RoomLost, match="the host says so"):
            await anext(c.events("tea"))
        seen = [await anext(c.signals()) for _ in range(5)]
        assert isinstance(seen[-1], RoomLeft)
        assert seen[1] == seen[3] == RoomEntered("tea")


async def test_an_error_in_the_block_comes_out_as_it_is(autojump_clock: MockClock) -> None:
    pod = FakePod()
    pod.no["tea"] = [Problem("forbidden", "No.", "tea")]
    with pytest.raises(Refused):  # and no group of one
        async with client_of(pod) as c:
            await c.join("tea")


async def test_a_cancelled_block_ends_at_once(autojump_clock: MockClock) -> None:
    pod = FakePod()
    with trio.move_on_after(5) as scope:
        async with client_of(pod) as c:
            await c.ready()
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert trio.current_time() == 5


async def test_a_token_function_that_fails_is_asked_again(autojump_clock: MockClock) -> None:
    pod, failures = FakePod(), iter([OSError("no such host"), None])

    async def fetch() -> str:
        error = next(failures)
        if error is not None:
            raise error
        return "a-token"

    async with client_of(pod, fetch) as c:
        with pytest.raises(Disconnected, match=r"no token: OSError\('no such host'\)"):
            await c.ready(timeout=0.2)
        await c.ready()


async def test_a_token_function_that_hangs_is_given_up(autojump_clock: MockClock) -> None:
    pod = FakePod()
    async with client_of(pod, trio.sleep_forever) as c:
        with pytest.raises(Disconnected, match="no token in 10 s"):
            await c.ready(timeout=10.2)


async def test_the_pods_outage_is_forgotten_with_its_connection(autojump_clock: MockClock) -> None:
    pod, outage = FakePod(), Degraded(OutageCode.CUT_OFF, 1.0)
    async with client_of(pod) as c:
        await c.ready()
        pod.wire.tell(None, "system:degraded", outage.to_json())
        await wait_all_tasks_blocked()
        assert c.degraded == outage
        pod.wire.end()
        await wait_all_tasks_blocked()
        await c.ready()
        assert c.degraded is None


@pytest.mark.parametrize("token", [None, "a-token"])
async def test_an_outage_that_is_on_is_told_after_the_client_has_come_up(
    autojump_clock: MockClock, token: str | None
) -> None:
    pod, outage = FakePod(), Degraded(OutageCode.STARTING, 1.0)
    async with client_of(pod, token) as c:
        await c.ready()
        told = c.told()
        pod.outage = outage
        pod.wire.end()
        seen = [await anext(told) for _ in range(3)]
        assert [type(one) for one in seen] == [WentDown, CameUp, Degraded]
        assert c.degraded == outage
