"""What code that builds settings itself can rely on."""

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployd.config import (
    AuthSettings,
    BrokerSettings,
    Config,
    ConfigError,
    DrainSettings,
    LimitSettings,
    LoggingSettings,
    OriginSettings,
    RedisSettings,
    Rule,
    ServerSettings,
    Speaker,
    TlsSettings,
    Who,
    explain,
    load,
)

ROWS = explain(load(None, environ={}))


def test_a_config_without_arguments_has_the_documented_defaults() -> None:
    config = Config()

    assert (config.enabled, config.message_ttl, config.server.port) == (True, 3600, 2403)
    assert config.broker.type == "memory"
    assert config.broker.enabled is False
    limits = config.limits
    assert (limits.max_connections, limits.max_rooms_per_client) == (10_000, 100)
    assert (limits.message_rate_limit, limits.ping_interval, limits.pong_timeout) == (100, 54, 10)
    assert (limits.message_buffer_size, limits.room_cleanup_interval) == (256, 300)
    assert limits.dead_client_timeout == 60
    assert (limits.max_message_bytes, limits.max_buffer_bytes) == (65_536, 1_048_576)
    assert limits.room_mailbox_bytes == 8 * 1_048_576
    assert config.access.emit_to_all is Who.AUTHENTICATED
    assert config.server.host == "127.0.0.1"


def test_settings_are_frozen_and_evolve() -> None:
    config = Config()

    changed = attrs.evolve(config, limits=attrs.evolve(config.limits, ping_interval=30))

    assert changed.limits.ping_interval == 30
    assert config.limits.ping_interval == 54
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        config.enabled = False  # type: ignore[misc]


def test_two_configs_share_no_default_object() -> None:
    assert Config().rooms is not Config().rooms


@pytest.mark.parametrize("build", [
    lambda: LimitSettings(ping_interval=0),
    lambda: LimitSettings(ping_interval=float("nan")),
    lambda: LimitSettings(emit_timeout=float("inf")),
    lambda: LimitSettings(max_connections=0),
    lambda: LimitSettings(message_rate_limit=-1),
    lambda: LimitSettings(max_connections=10**400 * -1),
    lambda: ServerSettings(port=65_536),
    lambda: RedisSettings(port=0),
    lambda: AuthSettings(on_expiry="ignore"),
    lambda: AuthSettings(algorithms=("none",)),
    lambda: AuthSettings(algorithms=("RS256",)),
    lambda: AuthSettings(algorithms=()),
    lambda: LoggingSettings(level="LOUD"),
    lambda: BrokerSettings(type="kafka"),
    lambda: Config(rooms={"chat-*": "ChatRoom"}),
    lambda: Config(rooms={"": "app:ChatRoom"}),
])  # fmt: skip
def test_an_impossible_value_is_refused_in_code_too(build: type) -> None:
    with pytest.raises(ConfigError, match=r"\w+\(\w+=…\) must be "):
        build()


def test_a_refused_secret_is_not_repeated() -> None:
    field = attrs.fields(RedisSettings).password

    assert field.metadata["deployd.setting"].refuse("text", "hunter2") == (
        "must be text, not what is there"
    )


@pytest.mark.parametrize(("build", "sentence"), [
    (lambda: Config(limits=LimitSettings(ping_interval=10, pong_timeout=10)),
     "limits.pongTimeout must be below limits.pingInterval"),
    (lambda: Config(drain=DrainSettings(window=20)), "drain.window must be at most drain.deadline"),
    (lambda: Config(drain=DrainSettings(retry_after_min=6)),
     "drain.retryAfterMin must be at most drain.retryAfterMax"),
    (lambda: Config(tls=TlsSettings(cert_file="a.pem")),
     "tls.keyFile must be set too where tls.certFile is"),
    (lambda: Config(tls=TlsSettings(key_file="a.pem")),
     "tls.certFile must be set too where tls.keyFile is"),
])  # fmt: skip
def test_values_that_do_not_go_together_are_refused(build: type, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build()

    assert caught.value.problems == (sentence,)


@pytest.mark.parametrize("origin", [
    "https://example.org", "http://localhost:8080", "HTTPS://EXAMPLE.ORG", "http://[::1]:80",
    "capacitor://localhost", "https://xn--bcher-kva.example", "https://straße.de",
])  # fmt: skip
def test_an_exact_origin_is_accepted(origin: str) -> None:
    assert OriginSettings(allowed=(origin,)).allowed == (origin,)


@pytest.mark.parametrize("origin", [
    "*", "null", "", "example.org", "https://", "https://example.org/", "https://a.org/path",
    "https://*.example.org", "https://user@example.org", "https://example.org:70000",
    "https://example.org:", "https://a b", "https://a.org?x", "https://a.org\n",
    "https://☃\u200d.net", "https://" + "x" * 300,
])  # fmt: skip
def test_anything_but_an_exact_origin_is_refused(origin: str) -> None:
    with pytest.raises(ConfigError):
        OriginSettings(allowed=("https://good.example", origin))


@pytest.mark.parametrize("origin", ["*", "null"])
def test_an_origin_that_lets_everyone_in_is_refused_with_the_reason(origin: str) -> None:
    with pytest.raises(ConfigError, match=r"would let every site|any sandboxed page"):
        OriginSettings(allowed=(origin,))


def test_a_broker_may_be_a_class_of_ones_own() -> None:
    assert BrokerSettings(type="package.module:Class").type == "package.module:Class"


def test_a_broker_that_is_nearly_known_is_named() -> None:
    with pytest.raises(ConfigError, match='did you mean "redis"'):
        BrokerSettings(type="reddis")


def test_rules_let_anyone_in_and_members_speak_unless_told_otherwise() -> None:
    assert Rule() == Rule(join=Who.ANYONE, emit=Speaker.MEMBERS)


def test_every_setting_has_a_help_text_that_is_a_sentence() -> None:
    assert [row.path for row in ROWS if not row.help.endswith(".")] == []


def test_every_duration_and_size_has_a_unit() -> None:
    endings = ("Interval", "Timeout", "TTL", "Period", "Bytes", "Size", "window", "deadline")

    assert [row.path for row in ROWS if row.path.endswith(endings) and not row.unit] == []


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_a_setting_in_force_is_always_within_its_bounds(value: float) -> None:
    try:
        limits = LimitSettings(ping_interval=value)
    except ConfigError:
        assert not 0 < value < float("inf")
    else:
        assert 0 < limits.ping_interval < float("inf")
