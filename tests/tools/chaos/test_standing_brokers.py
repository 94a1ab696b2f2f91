"""A broker that was there before: how it is named, and that nothing is done to it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from deployd.tools.chaos.command import chaos
from deployd.tools.chaos.scenario import FAULTS
from deployd.tools.chaos.servers import (
    BadEndpoint,
    DoesNotAnswer,
    Endpoint,
    StandingBroker,
    free_port,
    read_endpoint,
    standing_broker,
)
from deployd.tools.cli import cli
from support.deployments import Trouble
from support.redis_server import MakeRedisServer


@pytest.mark.parametrize(
    ("url", "kind", "address", "told"),
    [
        ("redis://h", "redis", "h:6379", "redis://h:6379"),
        ("nats://u:p@h:1", "nats", "h:1", "nats://u@h:1"),
        ("amqp://u:p%40@h/v", "rabbitmq", "h:5672", "amqp://u@h:5672/v"),
    ],
)
def test_a_url_says_where_a_broker_is_and_is_told_without_its_password(
    url: str, kind: str, address: str, told: str
) -> None:
    where = read_endpoint(url)
    assert (where.kind, str(where.address), str(where)) == (kind, address, told)
    assert "p@" not in repr(where)


@pytest.mark.parametrize(
    "url",
    ["rediss://h", "h:6379", "redis://", "redis://h:port", "redis://h?db=1", "redis://h:70000"],
)
def test_what_is_no_endpoint_is_told_and_not_repeated(url: str) -> None:
    with pytest.raises(BadEndpoint) as refused:
        read_endpoint(url)
    assert url not in str(refused.value)


def broker(url: str, folder: Path) -> StandingBroker:
    return StandingBroker(read_endpoint(url), folder)


def test_pods_sign_in_as_the_url_says_through_their_proxies(tmp_path: Path) -> None:
    through = {Endpoint("h", 5672): Endpoint("127.0.0.1", 9)}
    settings = broker("amqp://u:p%40@h/v", tmp_path).settings(2, through=through)
    own = settings["rabbitmq"]
    assert isinstance(own, dict)
    name = own.pop("exchange")
    assert own == {"host": "127.0.0.1", "port": 9, "username": "u", "password": "p@", "vhost": "v"}
    assert (settings["type"], settings["enabled"]) == ("rabbitmq", True)
    assert name.startswith("chaos-")


@pytest.mark.parametrize(
    ("url", "kind", "setting"),
    [("redis://h", "redis", "prefix"), ("nats://h", "nats", "subject"),
     ("amqp://h", "rabbitmq", "exchange")],
)  # fmt: skip
def test_each_has_a_name_that_keeps_its_pods_from_all_others(
    url: str, kind: str, setting: str, tmp_path: Path
) -> None:
    told = [broker(url, tmp_path).settings(pod)[kind] for pod in (0, 0)]
    assert told[0] != told[1]
    one = broker(url, tmp_path)
    assert one.settings(0) == one.settings(1)
    assert all(isinstance(each, dict) and each[setting] for each in told)


def test_whatever_is_done_to_a_broker_is_refused_in_a_sentence(tmp_path: Path) -> None:
    standing = broker("redis://u:p@h", tmp_path)
    for name in FAULTS:
        if name.startswith("broker."):
            assert standing.cannot(Trouble(name)) == (
                f"redis://u@h:6379 was not started here, so nothing is done to it ({name})."
            )


async def test_one_that_does_not_answer_is_told(tmp_path: Path) -> None:
    where = read_endpoint(f"redis://127.0.0.1:{free_port()}")
    with pytest.raises(DoesNotAnswer, match=r"^Nothing answers at redis://127\.0\.0\.1:"):
        async with standing_broker(where, tmp_path):
            pass


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--target", "python-socketio"), "only deployd's pods keep apart from others."),
        (("--simulated",), "The simulator uses no --endpoint."),
        (("--broker", "nats"), "redis://h:6379 is one server of redis, and nothing else."),
        (("--topology", "cluster"), "redis://h:6379 is one server of redis, and nothing else."),
    ],
)
def test_what_has_no_sense_with_an_endpoint_is_told(words: tuple[str, ...], sentence: str) -> None:
    result = CliRunner().invoke(chaos, ["run", "way-reset", "--endpoint", "redis://:p@h", *words])
    assert result.exit_code == 2
    assert sentence in result.stderr


def test_ways_fail_and_the_broker_does_not(
    servers_wanted: None, make_redis_server: MakeRedisServer, tmp_path: Path
) -> None:
    server = make_redis_server("--requirepass", "hidden", login=["-a", "hidden"])
    file, told = tmp_path / "cut.toml", tmp_path / "told.json"
    file.write_text(
        'title = "A way is cut"\n[pods]\ncount = 2\n[load]\nclients = 1\nrate = 10\n'
        '[[steps]]\nat = 1\nfault = "way.cut"\n[expect]\nhealed_within = 20\n'
    )
    result = CliRunner().invoke(
        cli,
        ["chaos", "run", str(file), "broker-crash", "--json", str(told)],
        env={"CHAOS_ENDPOINT": f"redis://:hidden@127.0.0.1:{server.port}"},
    )
    assert result.exit_code == 0, result.output
    assert "hidden" not in told.read_text() + result.output
    [run] = json.loads(told.read_text())["runs"]
    assert [each["verdict"] for each in run["scenarios"]] == ["passed", "not_injectable"]
    assert "PONG" in server.ask("PING")
