"""Signatures between pods: nothing is made, changed, moved or sent again without the secret."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import orjson
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from deployd.config import Broker
from deployd.transport import EnvelopeError, EnvelopeFault, Scope
from deployd.transport.brokers import SIGNATURE_BYTES, Beat, Signer, beat, pack, probe, unpack
from deployd.transport.brokers import replay as replay_module
from deployd.transport.brokers.replay import WIDTH, Replays
from support.fake_broker import FakeBroker, FakeBus
from support.links import passes, sim_pods

OLD, NEW = (letter * 32 for letter in "on")
MESSAGES = [
    pack("pod1", 1, "tea", [(1, "id", "said", orjson.Fragment(b'{"a":"}\\"s\\":"}'), 1.5, 0, 0)]),
    pack("pod1", 1, None, [(2**53 - 1, "i" * 64, "x" * 1024, [], 0.0, 8, 1)]),
    probe("pod1", "nonce"),
    beat(Beat("pod1", 1, "hello")),
    beat(Beat("pod1", 1, "here")),
    beat(Beat("pod1", 1, "bye")),
]


class Clock:
    def __init__(self) -> None:
        self.now = 1_764_072_000.0

    def __call__(self) -> float:
        return self.now


def sealed(
    clock: Clock, *secrets: str, pod: str = "pod1", epoch: int = 1764072000123, window: float = 60.0
) -> Signer:
    return Signer(pod, epoch, [secret.encode() for secret in secrets or (OLD,)], window, clock)


def fault(signer: Signer, channel: str, payload: bytes) -> EnvelopeFault | None:
    try:
        signer.verify(channel, payload)
    except EnvelopeError as error:
        return error.fault
    return None


@pytest.mark.parametrize("payload", MESSAGES)
def test_what_is_signed_is_proven_and_reads_as_before(payload: bytes) -> None:
    clock = Clock()
    signed = sealed(clock).sign("room.tea", payload)
    assert fault(sealed(clock, pod="pod2"), "room.tea", signed) is None
    assert len(signed) <= len(payload) + SIGNATURE_BYTES
    assert unpack(signed) == unpack(payload)  # pods without the secret pass the signature over


def test_the_longest_signature_is_within_what_is_left_for_it() -> None:
    clock = Clock()
    signer = sealed(clock, pod="x" * 64, epoch=2**53 - 1)
    signer._number = 2**53
    assert len(signer.sign("room.tea", b"{}")) <= SIGNATURE_BYTES


Spoil = Callable[[Clock, str, bytes], tuple[str, bytes]]


def _again(clock: Clock, channel: str, signed: bytes) -> tuple[str, bytes]:
    return channel, signed


SPOILT: dict[str, tuple[EnvelopeFault, Spoil]] = {
    "no signature": (EnvelopeFault.UNSIGNED, lambda _, c, s: (c, s[: s.rindex(b',"k"')] + b"}")),
    "half a signature": (EnvelopeFault.UNSIGNED, lambda _, c, s: (c, s[:-5])),
    "only a signature": (EnvelopeFault.FORGED, lambda _, c, s: (c, s[s.rindex(b',"s"') :])),
    "another channel": (EnvelopeFault.FORGED, lambda _, c, s: (c + "x", s)),
    "everyone's channel": (EnvelopeFault.FORGED, lambda _, c, s: ("all.pods", s)),
    "another pod": (EnvelopeFault.FORGED, lambda _, c, s: (c, s.replace(b"pod1", b"pod9", 1))),
    "another signer": (
        EnvelopeFault.FORGED,
        lambda _, c, s: (c, s.replace(b'["pod1"', b'["pod9"')),
    ),
    "another epoch": (EnvelopeFault.FORGED, lambda _, c, s: (c, s.replace(b"000123,", b"000124,"))),
    "a later number": (EnvelopeFault.FORGED, lambda _, c, s: (c, s.replace(b"123,1,", b"123,2,"))),
    "a bit of the signature": (
        EnvelopeFault.FORGED,
        lambda _, c, s: (c, s[:-10] + bytes([s[-10] ^ 1]) + s[-9:]),
    ),
    "another secret": (
        EnvelopeFault.FORGED,
        lambda clock, c, s: (c, sealed(clock, NEW).sign(c, s[: s.rindex(b',"k"')] + b"}")),
    ),
    "a second field of keys": (
        EnvelopeFault.FORGED,
        lambda _, c, s: (c, s.replace(b',"s"', b',"k":["x",1,1,1],"s"')),
    ),
}


@pytest.mark.parametrize("payload", MESSAGES, ids=["room", "all", "probe", "hello", "here", "bye"])
@pytest.mark.parametrize("what", SPOILT)
def test_what_is_spoilt_is_refused_by_what_is_wrong(what: str, payload: bytes) -> None:
    clock = Clock()
    expected, spoil = SPOILT[what]
    channel = "room.tea"
    signed = sealed(clock).sign(channel, payload)
    reader = sealed(clock, pod="pod2")
    assert fault(reader, *spoil(clock, channel, signed)) is expected
    assert fault(reader, channel, signed) is None  # what was forged takes nothing from what is not


@pytest.mark.parametrize("payload", MESSAGES)
def test_what_comes_twice_or_late_is_refused(payload: bytes) -> None:
    clock = Clock()
    writer, reader = sealed(clock), sealed(clock, pod="pod2")
    first, second = writer.sign("room.tea", payload), writer.sign("room.tea", payload)
    assert fault(reader, "room.tea", second) is None
    assert fault(reader, "room.tea", first) is None  # overtaken, and not twice
    for signed in (first, second):
        assert fault(reader, "room.tea", signed) is EnvelopeFault.REPLAYED
    kept_back = writer.sign("room.tea", payload)
    clock.now += 59.0
    assert fault(sealed(clock, pod="pod3"), "room.tea", kept_back) is None
    clock.now += 2.0
    assert fault(reader, "room.tea", kept_back) is EnvelopeFault.STALE
    clock.now -= 200.0
    assert fault(reader, "room.tea", kept_back) is EnvelopeFault.STALE


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_a_changed_byte_anywhere_is_noticed(data: st.DataObject) -> None:
    clock = Clock()
    signed = sealed(clock).sign("room.tea", MESSAGES[0])
    place = data.draw(st.integers(0, len(signed) - 1))
    changed = data.draw(st.integers(0, 255).filter(lambda byte: byte != signed[place]))
    spoilt = signed[:place] + bytes([changed]) + signed[place + 1 :]
    assert fault(sealed(clock, pod="pod2"), "room.tea", spoilt) in (
        EnvelopeFault.FORGED,
        EnvelopeFault.UNSIGNED,
    )


@given(st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_bytes_of_anybody_are_refused(payload: bytes) -> None:
    assert fault(sealed(Clock()), "room.tea", payload) is not None


@pytest.mark.parametrize(
    "signer", [b"[]", b'["p",1,0,1]', b'["p",1,1]', b'["p",1.5,1,1]', b"x", b""]
)
def test_who_has_the_secret_and_does_not_say_who_it_is_is_not_read(signer: bytes) -> None:
    from deployd.transport.brokers import signing

    body = b'{"v":1,"k":' + signer
    for text in (body, b'{"v":1'):
        tag = signing._tag(OLD.encode(), "room.tea", text)
        signed = text + b',"s":"' + tag + b'"}'
        assert fault(sealed(Clock()), "room.tea", signed) is EnvelopeFault.MALFORMED


# Rotation ------------------------------------------------------------------------------------

STEPS: Sequence[tuple[str, ...]] = ((OLD,), (OLD, NEW), (NEW, OLD), (NEW,))


@pytest.mark.parametrize("step", range(3))
def test_while_a_secret_is_changed_all_hear_each_other(step: int) -> None:
    clock = Clock()
    before, after = STEPS[step], STEPS[step + 1]
    for one, other in ((before, after), (after, before)):
        signed = sealed(clock, *one).sign("room.tea", MESSAGES[0])
        assert fault(sealed(clock, *other, pod="pod2"), "room.tea", signed) is None


def test_what_was_signed_with_a_secret_that_is_over_is_refused() -> None:
    clock = Clock()
    for secrets in ((OLD,), (OLD, NEW)):
        signed = sealed(clock, *secrets).sign("room.tea", MESSAGES[0])
        assert fault(sealed(clock, NEW, pod="pod2"), "room.tea", signed) is EnvelopeFault.FORGED


def test_without_a_secret_nothing_is_signed_or_asked_for() -> None:
    assert Signer.of(Broker(), "pod1", 1, Clock()) is None
    both = Broker(secret=NEW, previous_secret=OLD)
    signer = Signer.of(both, "pod1", 1, Clock())
    assert signer is not None
    assert fault(sealed(Clock(), NEW), "room.tea", signer.sign("room.tea", MESSAGES[0])) is None
    assert NEW not in repr(signer)
    assert NEW not in repr(signer.__dict__.keys())


# Replays -------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 40), max_size=60), st.integers(1, 12))
@settings(max_examples=200, deadline=None)
def test_a_number_is_taken_once_and_only_within_the_window(numbers: list[int], width: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replay_module, "WIDTH", width)
        patch.setattr(replay_module, "_MASK", (1 << width) - 1)
        replays, taken, highest = Replays(), set[int](), 0
        for number in numbers:
            expected = number not in taken and number > highest - width
            assert replays.admit("pod", 1, number) == expected
            if expected:
                taken.add(number)
                highest = max(highest, number)


def test_every_start_of_every_pod_counts_anew() -> None:
    replays = Replays()
    for sender, epoch in (("a", 1), ("a", 2), ("b", 1)):
        assert replays.admit(sender, epoch, 7)
        assert not replays.admit(sender, epoch, 7)


def test_a_number_that_leaps_ahead_leaves_the_rest_behind() -> None:
    replays = Replays()
    assert replays.admit("a", 1, 1)
    assert replays.admit("a", 1, 2**53)
    assert not replays.admit("a", 1, 2)
    assert replays.admit("a", 1, 2**53 - WIDTH + 1)
    assert not replays.admit("a", 1, 2**53 - WIDTH)


def test_senders_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_module, "MOST_SENDERS", 3)
    replays = Replays()
    for number in range(20):
        replays.admit(f"pod{number}", 1, 1)
        replays.admit("pod0", 1, number + 2)  # who speaks is not forgotten
    assert len(replays) == 3
    assert not replays.admit("pod0", 1, 2)


# Size ----------------------------------------------------------------------------------------


async def test_what_is_signed_stays_within_what_the_broker_takes(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeBroker, "max_payload", 16_384)
    bus = FakeBus()
    async with sim_pods(bus, 2, ["tea"], secret=OLD) as [a, b]:
        await passes(lambda: a.well and b.well)
        outcomes = [a.say("tea", "x" * size) for size in range(12_000, 16_000, 32)]
        await trio.sleep(1)
        assert {a.outcome(event_id) for event_id in outcomes} == {Scope.CLUSTER, Scope.LOCAL}
        assert a.outages == b.outages == []
        assert 12_500 < max(len(payload) for _, payload in bus.published) <= 16_384
        assert b.state.counters.invalid == 0
