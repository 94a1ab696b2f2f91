"""Which settings take effect while a pod runs."""

from __future__ import annotations

from attrs import evolve

from deployd.config import Access, Config, InForce, Limits, Rule, Server, Who, read_again


def test_what_is_live_is_taken_and_what_is_not_waits_for_a_start() -> None:
    rules = {"vip-*": Rule(join=Who.ROOT)}
    wanted = Config(
        access=Access(rules=rules),
        limits=Limits(message_rate_limit=7, ping_interval=20),
        server=Server(port=1),
    )
    reading = read_again(Config(), wanted)
    assert reading.changed == ("limits.messageRateLimit", "access.rules")
    assert reading.later == ("limits.pingInterval", "server.port")
    assert reading.config == Config(access=Access(rules=rules), limits=Limits(message_rate_limit=7))


def test_settings_that_are_the_same_change_nothing() -> None:
    reading = read_again(Config(), Config())
    assert (reading.config, reading.changed, reading.later) == (Config(), (), ())


def test_followers_hear_of_each_change_in_the_order_in_which_they_came() -> None:
    in_force, heard = InForce(Config()), list[tuple[str, float]]()
    for name in ("first", "second"):
        in_force.follow(lambda new, name=name: heard.append((name, new.limits.accept_rate)))  # type: ignore[misc]
    changed = evolve(Config(), limits=Limits(accept_rate=3))
    in_force.change(changed)
    assert in_force.config is changed
    assert heard == [("first", 3), ("second", 3)]
