from __future__ import annotations

import json
import time
from math import ceil
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from deployd.config import Config, load_secrets
from deployd.tools.cli import cli
from deployd.tools.token import seconds
from deployd.transport import Identity, RoomRights, Tokens


def verified(token: str, data: str = "data", *, for_rooms: bool = False) -> Identity:
    auth = Config().auth
    tokens = Tokens(
        load_secrets(Path(data), {}).jwt_secret,
        algorithms=auth.algorithms,
        issuer=auth.issuer,
        require_issuer=True,
        leeway=0.0,
    )
    return tokens.verify(token, for_rooms=for_rooms)


def lasts(identity: Identity, ttl: float, began: float) -> bool:
    """Whether a token that was signed since `began` (unix seconds) is good for `ttl` seconds."""
    expires_at = identity.expires_at
    return expires_at is not None and began + ttl <= expires_at <= ceil(time.time() + ttl)


def test_a_token_is_all_that_is_printed_and_the_data_folders_secret_verifies_it(
    runner: CliRunner,
) -> None:
    began = time.time()
    result = runner.invoke(cli, ["token", "--user", "ann"])
    assert (result.exit_code, result.stderr) == (0, "")
    identity = verified(result.stdout.removesuffix("\n"))
    assert (identity.user_id, identity.username, identity.is_root) == ("ann", "ann", False)
    assert lasts(identity, Config().auth.token_ttl, began)


def test_root_and_ttl_and_data_are_heard(runner: CliRunner) -> None:
    arguments = ["token", "--user", "ann", "--root", "--ttl", "7d", "--data", "elsewhere"]
    began = time.time()
    identity = verified(runner.invoke(cli, arguments).stdout.strip(), "elsewhere")
    assert identity.is_root
    assert lasts(identity, 7 * 86_400, began)
    assert not Path("data").exists()


def test_the_settings_say_where_the_secret_lies_and_how_long_it_lasts(runner: CliRunner) -> None:
    settings = {"server": {"data": "kept"}, "auth": {"tokenTTL": 500}}
    Path("pod.json").write_text(json.dumps(settings))
    began = time.time()
    result = runner.invoke(cli, ["token", "--user", "ann", "--config", "pod.json"])
    identity = verified(result.stdout.strip(), "kept")
    assert lasts(identity, 500, began)


def test_no_settings_are_written_for_a_token(runner: CliRunner) -> None:
    runner.invoke(cli, ["token", "--user", "ann"])
    assert not Path("config").exists()


def test_secrets_that_others_can_read_are_refused_in_one_line(runner: CliRunner) -> None:
    runner.invoke(cli, ["token", "--user", "ann"])
    Path("data/secrets.json").chmod(0o644)
    result = runner.invoke(cli, ["token", "--user", "ann"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert "chmod 600" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_user_without_a_name_is_wrong_usage(runner: CliRunner) -> None:
    result = runner.invoke(cli, ["token", "--user", " "])
    assert result.exit_code == 2
    assert "'--user'" in result.stderr
    assert not Path("data").exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90", 90), ("45s", 45), ("30m", 1800), ("1h", 3600), ("7d", 604_800), ("3650d", 315_360_000)],
)
def test_a_time_is_a_number_and_perhaps_a_unit(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize(
    "text", ["", "0", "0d", "-1", "1.5h", "1w", "h", "1 h", "1e3", "3651d", "9" * 40, "٣", "1h\n"]
)
def test_any_other_time_is_wrong_usage_that_shows_how(runner: CliRunner, text: str) -> None:
    result = runner.invoke(cli, ["token", "--user", "ann", "--ttl", text])
    assert result.exit_code == 2
    assert "Invalid value for '--ttl'" in result.stderr
    assert "write 90, 30m, 1h or 7d" in result.stderr


@given(st.text(max_size=12))
def test_no_text_is_read_as_a_time_below_a_second(text: str) -> None:
    try:
        found = seconds(text)
    except click.BadParameter:
        return
    assert 1 <= found <= 3650 * 86_400


def test_a_token_for_rooms_says_which_and_is_none_of_roots(runner: CliRunner) -> None:
    made = runner.invoke(
        cli, ["token", "--user", "shop", "--publish", "a-*", "--publish", "b", "--list", "*"]
    )
    assert made.exit_code == 0
    identity = verified(made.stdout.strip(), for_rooms=True)
    assert identity.rooms == RoomRights(publish=("a-*", "b"), list=("*",))
    both = runner.invoke(cli, ["token", "--user", "shop", "--publish", "a-*", "--root"])
    assert both.exit_code == 2
    assert "not for root" in both.stderr
