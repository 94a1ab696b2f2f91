from __future__ import annotations

from attrs import define, field

from deployd.actors import Heartbeat


@define(eq=False)
class FakePulse:
    last_received: float = 0.0
    paused: bool = False
    log: list[str] = field(factory=list)

    def ping(self) -> None:
        self.log.append("ping")

    def flatline(self) -> None:
        self.log.append("flatline")


def test_a_connection_is_pinged_each_interval_as_long_as_it_answers() -> None:
    heartbeat, pulse = Heartbeat(54, 10), FakePulse()
    heartbeat.watch(pulse, 0)
    assert heartbeat.beat(0) == 54
    assert heartbeat.beat(54) == 64
    pulse.last_received = 54.1
    assert heartbeat.beat(64) == 108
    assert heartbeat.beat(108) == 118
    assert pulse.log == ["ping", "ping"]


def test_a_client_that_answers_at_once_is_not_silent_because_the_pod_looks_late() -> None:
    heartbeat, pulse = Heartbeat(54, 10), FakePulse()
    heartbeat.watch(pulse, 0)
    heartbeat.beat(54)
    pulse.last_received = 54.001
    heartbeat.beat(64.5)
    assert pulse.log == ["ping"]


def test_silence_after_a_ping_ends_the_connection_once() -> None:
    heartbeat, pulse = Heartbeat(54, 10), FakePulse()
    heartbeat.watch(pulse, 0)
    heartbeat.beat(54)
    assert heartbeat.beat(64) == float("inf")
    assert pulse.log == ["ping", "flatline"]
    assert len(heartbeat) == 0


def test_a_client_that_the_pod_does_not_read_from_is_not_silent() -> None:
    heartbeat, pulse = Heartbeat(54, 10), FakePulse(paused=True)
    heartbeat.watch(pulse, 0)
    heartbeat.beat(54)
    heartbeat.beat(64)
    assert pulse.log == ["ping"]
    pulse.paused = False
    heartbeat.beat(108)
    heartbeat.beat(118)
    assert pulse.log == ["ping", "ping", "flatline"]


def test_a_forgotten_connection_is_left_alone_also_while_its_answer_is_awaited() -> None:
    heartbeat = Heartbeat(54, 10)
    pulses = [FakePulse(), FakePulse()]
    heartbeat.watch(pulses[0], 0)
    heartbeat.forget(pulses[0])
    heartbeat.watch(pulses[1], 0)
    heartbeat.beat(54)
    heartbeat.forget(pulses[1])
    heartbeat.forget(pulses[1])
    assert heartbeat.beat(1000) == float("inf")
    assert [pulse.log for pulse in pulses] == [[], ["ping"]]


def test_connections_are_served_in_the_order_they_came() -> None:
    heartbeat = Heartbeat(54, 10)
    pulses = [FakePulse() for _ in range(3)]
    for now, pulse in enumerate(pulses):
        heartbeat.watch(pulse, now)
    assert heartbeat.beat(55) == 56
    assert [pulse.log for pulse in pulses] == [["ping"], ["ping"], []]


def test_who_was_heard_needs_no_ping_and_one_that_fell_silent_is_pinged_as_soon_as_ever() -> None:
    heartbeat, pulse = Heartbeat(40, 10, spare_the_lively=True), FakePulse()
    heartbeat.watch(pulse, 0)
    pulse.last_received = 30
    assert heartbeat.beat(40) == 70
    assert pulse.log == []
    assert heartbeat.beat(70) == 80
    assert heartbeat.beat(80) == float("inf")
    assert pulse.log == ["ping", "flatline"]


def test_an_answer_to_a_ping_does_not_put_off_the_next() -> None:
    heartbeat, pulse = Heartbeat(40, 10, spare_the_lively=True), FakePulse()
    heartbeat.watch(pulse, 0)
    heartbeat.beat(40)
    pulse.last_received = 40.2
    assert heartbeat.beat(50) == 80
    assert heartbeat.beat(80) == 90
    assert pulse.log == ["ping", "ping"]


def test_every_client_is_pinged_where_nobody_is_spared() -> None:
    heartbeat, pulse = Heartbeat(40, 10), FakePulse(last_received=39)
    heartbeat.watch(pulse, 0)
    assert heartbeat.beat(40) == 50
    assert pulse.log == ["ping"]
