"""Whether subscriptions live: probes that come back, that do not, and what is done then."""

from __future__ import annotations

from itertools import pairwise

import orjson

from deployd.actors.cluster.proofs import DOUBT, SILENT, TOGETHER, Proofs
from deployd.transport.brokers.contract import Message


def nonce_of(messages: list[Message]) -> str:
    read = orjson.loads(messages[0][1])
    return str(read["p"] if "p" in read else read["ask"]["echo"])


def begun(*channels: str, witnesses: tuple[str, ...] = ()) -> tuple[Proofs, list[Message]]:
    it = Proofs("me")
    it.begin(channels, 0.0, witnesses)
    return it, list(it.step(0.0, witnesses).messages)


def test_a_channel_is_proven_when_its_own_probe_comes_back() -> None:
    it, said = begun("room.tea")
    assert [channel for channel, _ in said] == ["room.tea"]
    assert it.under_proof("room.tea")
    assert it.hears("room.tea", "me", "another") == ()
    assert it.hears("room.cake", "me", nonce_of(said)) == ()
    assert it.hears("room.tea", "me", nonce_of(said)) == ("room.tea",)
    assert it.done


def test_it_is_proven_to_each_other_server_too() -> None:
    it, said = begun("room.tea", witnesses=("ann", "bob"))
    assert [channel for channel, _ in said] == ["room.tea", "pod.ann", "pod.bob"]
    nonce = nonce_of(said)
    assert it.hears("room.tea", "me", nonce) == ()
    assert it.hears("room.tea", "bob", nonce) == ()
    assert it.hears("room.tea", "ann", nonce) == ("room.tea",)


def test_a_witness_that_is_gone_is_not_waited_for() -> None:
    it, said = begun("room.tea", witnesses=("ann",))
    it.hears("room.tea", "me", nonce_of(said))
    it.step(1.0, ())  # what is awaited is asked for anew, of those that are there
    assert it.hears("room.tea", "me", nonce_of(said)) == ("room.tea",)


def test_of_many_that_were_subscribed_together_the_last_prove_all() -> None:
    channels = [f"room.{n}" for n in range(50)]
    it, said = begun(*channels)
    assert [channel for channel, _ in said] == channels[-TOGETHER:]
    proven: tuple[str, ...] = ()
    for channel, _ in said:
        assert proven == ()
        proven = it.hears(channel, "me", nonce_of(said))
    assert set(proven) == set(channels)


def test_a_probe_is_said_again_ever_more_slowly_and_the_subscription_made_anew() -> None:
    it, _ = begun("room.tea")
    said, renewed, now = 0, [], 0.0
    while now < 4.0:
        now += 0.01
        steps = it.step(now, ())
        said += len(steps.messages)
        if steps.renew:
            assert list(steps.renew) == ["room.tea"]
            renewed.append(now)
    assert 8 <= said <= 14
    assert DOUBT <= renewed[0] <= 1.3
    assert 3 <= len(renewed) <= 5


def test_where_nothing_comes_for_long_it_is_proven_again_and_elsewhere_not() -> None:
    it = Proofs("me")
    for channel in ("room.silent", "room.loud"):
        it.watch(channel, 0.0)
    for channel, payload in it.step(0.0, ()).messages:
        it.hears(channel, "me", str(orjson.loads(payload)["p"]))
    assert it.done
    asked: list[str] = []
    for second in range(1, int(SILENT * 1.25) + 3):
        it.sounds["room.loud"] = float(second)
        asked += [channel for channel, _ in it.step(float(second), ()).messages]
    assert "room.silent" in asked
    assert "room.loud" not in asked


def test_where_the_broker_has_several_servers_it_is_proven_again_whatever_comes() -> None:
    it = Proofs("me")
    it.watch("room.loud", 0.0)
    asked: list[tuple[float, str]] = []
    for tenth in range(700):
        now = tenth / 10
        it.sounds["room.loud"] = now  # its own words alone: the other server may have forgotten it
        for channel, payload in it.step(now, ("ann",)).messages:
            asked.append((now, channel))
            it.hears("room.loud", "ann", nonce_of([(channel, payload)]))
            it.hears("room.loud", "me", nonce_of([(channel, payload)]))
    times = sorted({round(now) for now, channel in asked if channel == "pod.ann"})
    assert len(times) >= 3
    assert all(later - sooner <= SILENT * 1.25 + 1 for sooner, later in pairwise(times))


def test_what_nobody_wants_is_not_looked_after() -> None:
    it, said = begun("room.tea", "room.cake")
    it.forget(["room.tea"])
    assert it.hears("room.cake", "me", nonce_of(said)) == ("room.tea", "room.cake")
    assert it.done
    assert it.step(100.0, ()).messages == [] or all(
        channel != "room.tea" for channel, _ in it.step(101.0, ()).messages
    )
    it.clear()
    assert it.step(200.0, ()).messages == []


def test_who_waits_for_a_channel_is_not_forgotten_with_those_that_were_to_prove_it() -> None:
    channels = [f"room.{n}" for n in range(TOGETHER + 3)]
    it, _ = begun(*channels)
    it.forget(channels[3:])  # all that the proof was made of
    said = list(it.step(1.0, ()).messages)
    assert sorted(channel for channel, _ in said) == channels[:3]
    proven = [it.hears(channel, "me", nonce_of(said)) for channel, _ in said]
    assert set(proven[-1]) == set(channels[:3])
    assert it.done


def test_where_this_pod_may_not_speak_the_word_of_the_others_is_enough() -> None:
    it, said = begun("room.tea", "room.cake", witnesses=("ann",))
    assert it.unsayable(["room.tea", "pod.ann"]) == ()
    assert it.hears("room.tea", "ann", nonce_of(said)) == ()
    it.hears("room.cake", "me", nonce_of(said))
    assert it.hears("room.cake", "ann", nonce_of(said)) == ("room.tea", "room.cake")
    it, said = begun("room.tea")
    assert it.unsayable(["room.tea"]) == ("room.tea",)
    assert it.done


def test_what_was_proven_a_moment_after_it_was_subscribed_is_proven_again_in_time() -> None:
    for _ in range(100):  # when is drawn
        it, said = begun("room.tea")
        it.hears("room.tea", "me", nonce_of(said))
        it.sounds["room.tea"] = 0.4
        assert any(it.step(SILENT + n / 4, ()).messages for n in range(1, 25))


def test_what_may_be_deaf_to_others_is_made_anew_once_whatever_its_own_probe_shows() -> None:
    it, said = begun("room.tea")
    it.hears("room.tea", "me", nonce_of(said))
    it.renew(["room.tea", "room.tea", "room.left"])
    it.forget(["room.left"])
    assert list(it.step(1.0, ()).renew) == ["room.tea"]
    assert list(it.step(2.0, ()).renew) == []
