from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from rich.console import Console

from deployd.tools.cli import cli
from deployd.tools.common import Address, NotAPod
from deployd.tools.pods import ClusterAnswer, PodLine, draw, read_cluster
from support.asked_pods import AskedPod

HERE = Address("http", "localhost", 2403)
ANSWER = {
    "pod": "a1",
    "breaker": "closed",
    "pods": [
        {"id": "a1", "name": "ann", "state": "self", "version": "1.0", "hears": ["b1"], "rooms": 3},
        {"id": "b1", "name": "bob", "state": "heard", "hears": [], "load": 0.25, "later": True},
        {"id": "c1", "name": "", "state": "missing", "heard_seconds": 12.4, "hears": ["a1"]},
    ],
}


def drawn(cluster: ClusterAnswer) -> str:
    console = Console(width=200, highlight=False)
    with console.capture() as capture:
        console.print(draw(cluster))
    return capture.get()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return AskedPod(monkeypatch, ANSWER, lambda it: it.path).asked


def test_the_pods_are_drawn_with_how_they_are_and_whom_they_do_not_hear(
    runner: CliRunner, asked: list[str]
) -> None:
    result = runner.invoke(cli, ["pods"])
    assert result.exit_code == 0
    assert asked == ["/_dashboard/api/pods"]
    lines = result.stdout.splitlines()
    [ann] = [line for line in lines if "ann a1" in line]
    [bob] = [line for line in lines if "bob b1" in line]
    [gone] = [line for line in lines if "c1" in line]
    assert "self" in ann
    assert "25%" in bob
    assert "a1" in bob.rpartition("25%")[2]  # whom it does not hear
    assert "missing for 12 s" in gone
    assert "breaker closed" in result.stdout


def test_json_is_what_the_pod_answers(runner: CliRunner, asked: list[str]) -> None:
    result = runner.invoke(cli, ["pods", "--json"])
    assert json.loads(result.stdout) == ANSWER


@pytest.mark.parametrize("answer", [None, [], {"pods": 1}, {"pod": "a", "breaker": None}])
def test_what_is_no_pod_is_named(answer: object) -> None:
    with pytest.raises(NotAPod, match="--url"):
        read_cluster(answer, HERE)


def test_it_says_whose_name_another_pod_has_and_what_to_do() -> None:
    line = PodLine("b1", "self", name="ann-2", wanted_name="ann", name_taken_by="a1")
    shown = drawn(ClusterAnswer("b1", "closed", (line,)))
    assert "ann-2 b1" in shown
    assert "b1 was to be called ann, as pod a1 is" in shown
    assert "server.name" in shown
    assert "server.name" not in drawn(ClusterAnswer("a1", "closed", (PodLine("a1", "self"),)))


def test_a_pod_cannot_steer_the_terminal() -> None:
    line = PodLine(
        *("x\x1b[31m", "heard\x1b[0m"),
        name="\x07",
        wanted_name="\x1b[31m",
        name_taken_by="\x1b[31m",
    )
    assert "\x1b[31m" not in drawn(ClusterAnswer("a", None, (line,)))
