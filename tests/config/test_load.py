"""Files, placeholders, environment and command line become one `Config`, or sentences."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployd.config import Config, ConfigError, Loaded, Rule, Speaker, Who, load


@pytest.fixture
def load_text(tmp_path: Path) -> Callable[..., Loaded]:
    def load_it(
        text: str,
        name: str = "realtime.json",
        environ: dict[str, str] | None = None,
        overrides: dict[str, object] | None = None,
    ) -> Loaded:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return load(path, environ=environ or {}, overrides=overrides or {})

    return load_it


@pytest.fixture
def problems(load_text: Callable[..., Loaded], tmp_path: Path) -> Callable[..., list[str]]:
    def find(document: object, **given: object) -> list[str]:
        text = document if isinstance(document, str) else json.dumps(document)
        with pytest.raises(ConfigError) as caught:
            load_text(text, **given)
        assert str(caught.value) == "\n".join(caught.value.problems)
        return [problem.replace(f"{tmp_path}/", "") for problem in caught.value.problems]

    return find


def test_a_yaml_key_that_comes_twice_counts_the_last_time(
    load_text: Callable[..., Loaded],
) -> None:
    text = "realtime:\n  enabled: false\nrealtime:\n  messageTTL: 5\n"

    config = load_text(text, "a.yaml").config

    assert config.enabled
    assert config.message_ttl == 5


def test_no_file_is_all_defaults_and_says_so() -> None:
    loaded = load(None, environ={})

    assert loaded.config == Config()
    assert set(loaded.sources.values()) == {"default"}
    assert loaded.sources["limits.pingInterval"] == "default"


@pytest.mark.parametrize("text", ["", "# all of it is a comment\n", "realtime:\n"])
def test_an_empty_yaml_file_is_all_defaults(load_text: Callable[..., Loaded], text: str) -> None:
    assert load_text(text, "a.yaml").config == Config()


def test_what_comes_later_wins_and_its_source_is_told(
    load_text: Callable[..., Loaded], tmp_path: Path
) -> None:
    text = '{"limits": {"pingInterval": 20, "pongTimeout": 6}, "server": {"port": 1}}'

    loaded = load_text(
        text,
        environ={"DEPLOYD_LIMITS__PING_INTERVAL": "30", "DEPLOYD_SERVER__PORT": "2"},
        overrides={"server.port": 3, "server.host": None},
    )

    assert loaded.config.limits.pong_timeout == 6
    assert loaded.config.limits.ping_interval == 30
    assert loaded.config.server.port == 3
    assert loaded.sources["limits.pongTimeout"] == f"file {tmp_path}/realtime.json"
    assert loaded.sources["limits.pingInterval"] == "environment DEPLOYD_LIMITS__PING_INTERVAL"
    assert loaded.sources["server.port"] == "command line --port"
    assert loaded.sources["server.host"] == "default"


def test_rules_and_rooms_are_read(load_text: Callable[..., Loaded]) -> None:
    text = (
        '{"access": {"emitToAll": "root", "rules": {"admin-*": {"join": "root"}}},'
        ' "rooms": {"chat-*": "app.rooms:Chat"}}'
    )

    config = load_text(text).config

    assert config.access.emit_to_all is Who.ROOT
    assert config.access.rules == {"admin-*": Rule(join=Who.ROOT, emit=Speaker.MEMBERS)}
    assert config.rooms == {"chat-*": "app.rooms:Chat"}


FILE = "file realtime.json"


@pytest.mark.parametrize(("document", "sentence"), [
    ({"limits": {"pingIntervall": 3}},
     "limits.pingIntervall is not a setting; did you mean limits.pingInterval?"),
    ({"limits": {"ping_interval": 3}},
     "limits.ping_interval is not a setting; did you mean limits.pingInterval?"),
    ({"pingInterval": 3}, "pingInterval is not a setting; did you mean limits.pingInterval?"),
    ({"brokr": {}}, "brokr is not a setting; did you mean broker?"),
    ({"tls": {"zzz": 1}}, "tls.zzz is not a setting; known are certFile, keyFile"),
    ({"access": {"rules": {"a": {"jion": "root"}}}},
     "access.rules.a.jion is not a setting; known are join, emit, publish, list, members, rate"),
    ({"limits": {"pingInterval": "54"}},
     'limits.pingInterval must be a number above 0 (seconds), not "54"'),
    ({"limits": {"pingInterval": True}},
     "limits.pingInterval must be a number above 0 (seconds), not true"),
    ({"limits": {"pingInterval": None}},
     "limits.pingInterval must be a number above 0 (seconds), not null"),
    ({"limits": {"pingInterval": 0}},
     "limits.pingInterval must be a number above 0 (seconds), not 0.0"),
    ({"limits": {"maxConnections": 1.5}},
     "limits.maxConnections must be a whole number of at least 1 (connections), not 1.5"),
    ({"limits": {"maxConnections": True}},
     "limits.maxConnections must be a whole number of at least 1 (connections), not true"),
    ({"server": {"port": 70000}}, "server.port must be a number from 0 to 65535, not 70000"),
    ({"server": {"host": 5}}, "server.host must be text, not 5"),
    ({"enabled": 1}, "enabled must be true or false, not 1"),
    ({"enabled": "true"}, 'enabled must be true or false, not "true"'),
    ({"limits": 5}, "limits must be an object that holds settings"),
    ({"limits": None}, "limits must be an object that holds settings"),
    ([], "the document must be an object that holds settings"),
    ({"access": {"emitToAll": "all"}},
     'access.emitToAll must be one of anyone, authenticated, root, nobody, not "all"'),
    ({"access": {"rules": {"a": {"join": []}}}},
     "access.rules.a.join must be one of anyone, authenticated, root, nobody, not a list"),
    ({"access": {"rules": []}}, "access.rules must be an object, not a list"),
    ({"access": {"rules": {"": {}}}},
     "access.rules must be patterns of room names that are not empty"),
    ({"rooms": {"a": 5}}, "rooms.a must be text, not 5"),
    ({"origins": {"allowed": "https://a.org"}},
     'origins.allowed must be a list, not "https://a.org"'),
    ({"origins": {"allowed": ["https://a.org", 5]}}, "origins.allowed[1] must be text, not 5"),
    ({"auth": {"algorithms": ["None"]}},
     ('auth.algorithms must be one or more of HS256, HS384, HS512:'
      ' with "none" anybody could write tokens')),
    ({"broker": {"redis": {"password": 5}}},
     "broker.redis.password must be text, not what is there"),
    *(
        (
            {"broker": {"redis": {"url": url}}},
            ("broker.redis.url must be a URL such as rediss://user:password@host:6379/0, "
            "not what is there"),
        )
        for url in ("http://h", "redis://h:70000", "redis://h:x", "redis://h/db", "redis://[h")
    ),
    ({"limits": {"pingInterval": 5}}, "limits.pongTimeout must be below limits.pingInterval"),
    ({"realtime": {"limits": 5}}, "limits must be an object that holds settings"),
    ({"realtime": {}, "limits": {}},
     "limits stands beside realtime: put it inside, or do without it"),
])  # fmt: skip
def test_a_bad_file_is_told_in_one_sentence(
    problems: Callable[..., list[str]], document: object, sentence: str
) -> None:
    assert problems(document) == [f"{FILE}: {sentence}"]


def test_all_problems_are_told_at_once(problems: Callable[..., list[str]]) -> None:
    found = problems(
        {"limits": {"pingInterval": "a", "maxFragments": 0}, "x": 1, "broker": {"nats": {"y": 1}}},
        environ={"DEPLOYD_SERVER__PORT": "high", "DEPLOYD_SERVER__PROT": "1"},
        overrides={"server.prot": 1},
    )

    assert len(found) == 7
    for part in ("pingInterval", "maxFragments", "x is", "nats.y", "__PORT", "__PROT", "command"):
        assert any(part in sentence for sentence in found)


def test_a_conflict_names_the_places_of_both_values(problems: Callable[..., list[str]]) -> None:
    found = problems(
        {"limits": {"pingInterval": 20}}, environ={"DEPLOYD_LIMITS__PONG_TIMEOUT": "30"}
    )

    assert found == [
        (
            "environment DEPLOYD_LIMITS__PONG_TIMEOUT and file realtime.json: "
            "limits.pongTimeout must be below limits.pingInterval"
        )
    ]


@pytest.mark.parametrize(("name", "text", "part"), [
    ("a.json", '{"enabled": ', "it is not JSON"),
    ("a.json", "", "it is not JSON"),
    ("a.json", "[" * 5000, "it is not JSON"),
    ("a.yaml", "limits: [", "it is not YAML"),
    ("a.yaml", "a: 1\n---\nb: 2\n", "it is not YAML"),
    ("a.yaml", "a: !!python/object:os.system x\n", "it is not YAML"),
    ("a.yaml", "a: \x01\n", "it is not YAML"),
    ("a.yaml", "[" * 5000, "it is not YAML"),
    ("a.yaml", "rooms: &a\n  b: *a\n", "lies too deep"),
    ("a.yaml", "origins:\n  allowed: &a [*a]\n", "lies too deep"),
    ("a.toml", "", "end in .json, .yaml or .yml"),
])  # fmt: skip
def test_a_file_that_is_no_document_is_told_in_a_sentence(
    problems: Callable[..., list[str]], name: str, text: str, part: str
) -> None:
    first = problems(text, name=name)[0]

    assert first.startswith(f"file {name}: ")
    assert part in first


@pytest.mark.parametrize("number", [".inf", "-.inf", ".nan", "1" + "0" * 400, "-1" + "0" * 400])
def test_a_number_that_no_clock_can_count_is_refused(
    problems: Callable[..., list[str]], number: str
) -> None:
    (found,) = problems(f"limits:\n  pingInterval: {number}\n", name="a.yaml")

    assert found.startswith("file a.yaml: limits.pingInterval must be a number above 0 (seconds)")


def test_an_unreadable_yaml_file_does_not_show_its_contents(
    problems: Callable[..., list[str]],
) -> None:
    assert "hunter2" not in problems("password: hunter2: [", name="a.yaml")[0]


def test_a_file_that_is_not_text_is_told_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'{"a": "\xff"}')

    with pytest.raises(ConfigError, match="it is not JSON"):
        load(path, environ={})


def test_a_missing_file_and_a_folder_are_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file"):
        load(tmp_path / "none.json", environ={})
    folder = tmp_path / "folder.json"
    folder.mkdir()
    with pytest.raises(ConfigError, match="it cannot be read: Is a directory"):
        load(folder, environ={})


def test_a_byte_order_mark_is_passed_over(load_text: Callable[..., Loaded]) -> None:
    assert not load_text('\ufeff{"enabled": false}').config.enabled


# Any JSON that uses the words of the settings: most of it is wrong in some way.
_words = st.sampled_from(["limits", "broker", "redis", "access", "rules", "pingInterval", "join"])
_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | _words
_documents = st.recursive(
    _scalars | st.just("${A}") | st.just("${"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_words, inner, max_size=4),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(document=_documents)
def test_any_document_loads_or_is_refused_in_sentences(tmp_path: Path, document: object) -> None:
    path = tmp_path / "any.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")

    try:
        loaded = load(path, environ={})
    except ConfigError as error:
        assert all(str(path) in problem for problem in error.problems)  # noqa: PT017
    else:
        assert isinstance(loaded.config, Config)
