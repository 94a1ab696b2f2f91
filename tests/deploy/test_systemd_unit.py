"""The unit of systemd: what can be known of it without systemd."""

from __future__ import annotations

import shlex
from configparser import ConfigParser
from pathlib import Path

from click.testing import CliRunner

from deployd.config import Config, load
from deployd.tools.cli import cli

DEPLOY = Path(__file__).parents[2] / "deploy"


def service() -> dict[str, str]:
    unit = ConfigParser(strict=True, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(DEPLOY / "deployd.service")
    return dict(unit["Service"])


def test_its_command_is_one_of_ours_with_options_that_exist() -> None:
    command = shlex.split(service()["ExecStart"])
    assert command[:2] == ["/opt/deployd/bin/deployd", "serve"]
    text = CliRunner().invoke(cli, ["serve", "--help"]).stdout
    assert all(word in text for word in command if word.startswith("--"))


def test_it_waits_for_ready_feeds_a_watchdog_and_reloads_by_hup() -> None:
    unit = service()
    assert (unit["Type"], unit["NotifyAccess"]) == ("notify", "main")
    assert unit["ExecReload"].endswith("kill -HUP $MAINPID")
    assert int(unit["WatchdogSec"]) > 10  # the longest that a loop may stand still unharmed


def test_a_pod_is_given_the_time_that_it_drains_in() -> None:
    environ = {"BROKER_PASSWORD": "x"}
    shipped = load(DEPLOY / "realtime.json", environ=environ).config
    for drain in (Config().drain, shipped.drain):
        assert int(service()["TimeoutStopSec"]) > drain.delay + drain.deadline + 5


def test_it_may_open_files_for_all_its_clients() -> None:
    limits = Config().limits
    assert int(service()["LimitNOFILE"]) > 3 * (
        limits.max_connections + limits.max_http_connections + 64
    )
