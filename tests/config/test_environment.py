"""Settings from the environment, all of them, and variables that are none."""

import pytest

from deployd.config import Config, ConfigError, Row, Rule, Who, explain, load

ROWS = {row.path: row for row in explain(load(None, environ={}))}
TEXTS = {
    "broker.type": "nats",
    "broker.policy": "buffer",
    "broker.policies": '{"a": "reject"}',
    "broker.receipts": '{"a": "heard"}',
    "broker.options": '{"a": "b"}',
    "broker.ready": "started",
    "broker.timeout": "1.5",
    "broker.maxBackoff": "1",
    "broker.redis.url": "rediss://h/1",
    "broker.redis.nodes": "a:1,b:2",
    "broker.redis.sentinels": "a:1",
    "broker.nats.servers": "a:1",
    "auth.algorithms": "HS384,HS512",
    "auth.onExpiry": "downgrade",
    "access.emitToAll": "nobody",
    "access.rules": '{"a": {"join": "root"}}',
    "origins.allowed": "https://a.org",
    "rooms": '{"a": "b:C"}',
    "logging.level": "error",
    "logging.format": "json",
    "auth.signUpPeriod": "7200",
    "limits.pongTimeout": "11",
    "limits.addressShare": "0.9",
    "limits.userShare": "0.8",
    "limits.reserve": "0.2",
    "drain.window": "4",
    "drain.delay": "5",
    "drain.retryAfterMin": "2",
    "store.url": "postgresql://db/pods",
    "store.poolSize": "5",
    "store.durability": "normal",
    "store.ready": "ignore_store",
    "metrics.bind": "127.0.0.1:9090",
    "broker.secret": "a secret of at least 32 bytes for tests",
    "server.trustedProxies": "10.0.0.0/8",
}
# Each of these is refused without the other.
PAIRED = ("tls.certFile", "tls.keyFile", "broker.previousSecret")
TOGETHER = {"DEPLOYD_TLS__CERT_FILE": "c.pem", "DEPLOYD_TLS__KEY_FILE": "k.pem"}


def changed(row: Row) -> str:
    """Give a text that is possible for this setting and is not its default."""
    if isinstance(row.value, bool):
        return "off" if row.value else "on"
    if row.path in TEXTS:
        return TEXTS[row.path]
    return str(row.value + 1000) if isinstance(row.value, int | float) else "other"


def variable(path: str) -> str:
    snake = "".join(f"_{letter}" if letter.isupper() else letter for letter in path)
    return f"DEPLOYD_{snake.upper().replace('.', '__').replace('_T_T_L', '_TTL')}"


@pytest.mark.parametrize("path", [path for path in ROWS if path not in PAIRED])
def test_every_setting_can_come_from_the_environment(path: str) -> None:
    name = variable(path)

    loaded = load(None, environ={name: changed(ROWS[path])})

    rows = {row.path: row for row in explain(loaded)}
    assert rows[path].source == f"environment {name}"
    assert loaded.config != Config()
    others = {row.source for row in rows.values() if row.path != path}
    assert others == {"default"}


def test_the_two_files_of_tls_come_together() -> None:
    assert load(None, environ=TOGETHER).config.tls.key_file == "k.pem"


def test_a_brokers_previous_secret_comes_with_the_one_that_signs() -> None:
    given = {"DEPLOYD_BROKER__PREVIOUS_SECRET": TEXTS["broker.secret"]}
    with pytest.raises(ConfigError, match=r"broker\.secret must be set too"):
        load(None, environ=given)
    both = given | {"DEPLOYD_BROKER__SECRET": TEXTS["broker.secret"][::-1]}
    config = load(None, environ=both).config
    assert config.broker.previous_secret == TEXTS["broker.secret"]
    rows = {row.path: row.value for row in explain(load(None, environ=both))}
    assert rows["broker.secret"] == rows["broker.previousSecret"] == "********"


@pytest.mark.parametrize("name", ["SECRET", "PREVIOUS_SECRET"])
def test_a_brokers_secret_that_is_short_is_refused_and_not_repeated(name: str) -> None:
    with pytest.raises(ConfigError, match="32 bytes") as caught:
        load(None, environ={f"DEPLOYD_BROKER__{name}": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_lists_and_objects_have_a_text_form() -> None:
    config = load(
        None,
        environ={
            "DEPLOYD_ORIGINS__ALLOWED": "https://a.org, https://b.org",
            "DEPLOYD_ACCESS__RULES": '{"a*": {"join": "root"}}',
            "DEPLOYD_AUTH__ALGORITHMS": "HS512",
        },
    ).config

    assert config.origins.allowed == ("https://a.org", "https://b.org")
    assert config.access.rules == {"a*": Rule(join=Who.ROOT)}
    assert config.auth.algorithms == ("HS512",)


@pytest.mark.parametrize(("name", "value", "path", "expected"), [
    ("REALTIME_ENABLED", "false", "enabled", False),
    ("API_ENABLED", "false", "server.apiEnabled", False),
    ("LOG_LEVEL", "debug", "logging.level", "DEBUG"),
    ("REALTIME_DEBUG", "true", "logging.realtimeDebug", True),
])  # fmt: skip
def test_the_specified_names_work(name: str, value: str, path: str, expected: object) -> None:
    rows = {row.path: row for row in explain(load(None, environ={name: value}))}

    assert (rows[path].value, rows[path].source) == (expected, f"environment {name}")


def test_the_longer_name_goes_before_the_specified_one() -> None:
    environ = {"DEPLOYD_LOGGING__LEVEL": "ERROR", "LOG_LEVEL": "DEBUG"}

    assert load(None, environ=environ).config.logging.level == "ERROR"


@pytest.mark.parametrize("text", ["true", "TRUE", "1", "yes", "On", " true "])
def test_a_boolean_is_written_in_several_ways(text: str) -> None:
    environ = {"DEPLOYD_AUTH__REQUIRED": text}

    assert load(None, environ=environ).config.auth.required


@pytest.mark.parametrize(("name", "value", "sentence"), [
    ("REALTIME_ENABLED", "maybe", 'enabled must be true or false, not "maybe"'),
    ("DEPLOYD_SERVER__PORT", "1_000",
     'server.port must be a whole number from 0 to 65535, not "1_000"'),
    ("DEPLOYD_SERVER__PORT", "9" * 30,
     f'server.port must be a whole number from 0 to 65535, not "{"9" * 30}"'),
    ("DEPLOYD_SERVER__PORT", "", 'server.port must be a whole number from 0 to 65535, not ""'),
    ("DEPLOYD_LIMITS__EMIT_TIMEOUT", "nan",
     "limits.emitTimeout must be a number above 0 (seconds), not NaN"),
    ("DEPLOYD_ROOMS", "{", 'rooms must be an object, not "{"'),
    ("LOG_LEVEL", "loud",
     'logging.level must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL, not "loud"'),
    ("DEPLOYD_ACCESS__RULES", '{"a": {"join": "me"}}',
     'access.rules.a.join must be one of anyone, authenticated, root, nobody, not "me"'),
    ("DEPLOYD_LIMITS__PING_INTERVALL", "3",
     ("DEPLOYD_LIMITS__PING_INTERVALL is not a setting; did you mean"
      " DEPLOYD_LIMITS__PING_INTERVAL?")),
    ("DEPLOYD_JWT_SECRETS", "3",
     "DEPLOYD_JWT_SECRETS is not a setting; did you mean DEPLOYD_JWT_SECRET?"),
    ("DEPLOYD_PORT", "8080", "DEPLOYD_PORT is not a setting; did you mean DEPLOYD_SERVER__PORT?"),
])  # fmt: skip
def test_a_bad_variable_is_told_in_one_sentence(name: str, value: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, environ={name: value})

    assert caught.value.problems == (f"environment {name}: {sentence}",)


@pytest.mark.parametrize(("name", "value"), [
    ("DEPLOYD_MASTER_KEY", "k"),
    ("DEPLOYD_JWT_SECRET", "s"),
    ("PATH", "/bin"),
    ("DEPLOYDX", "1"),
    # What Kubernetes sets for a service called deployd, or deployd-redis.
    ("DEPLOYD_SERVICE_HOST", "10.0.0.1"),
    ("DEPLOYD_SERVICE_PORT", "2403"),
    ("DEPLOYD_SERVICE_PORT_HTTP", "2403"),
    ("DEPLOYD_PORT", "tcp://10.0.0.1:2403"),
    ("DEPLOYD_PORT_2403_TCP", "tcp://10.0.0.1:2403"),
    ("DEPLOYD_PORT_2403_TCP_ADDR", "10.0.0.1"),
    ("DEPLOYD_REDIS_SERVICE_HOST", "10.0.0.1"),
    ("DEPLOYD_REDIS_PORT", "tcp://10.0.0.1:6379"),
])  # fmt: skip
def test_a_variable_that_is_not_meant_as_a_setting_is_passed_over(name: str, value: str) -> None:
    assert load(None, environ={name: value}).config == Config()
