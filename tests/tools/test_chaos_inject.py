"""`deployd chaos inject`, `stop` and `status`, against a pod that answers in place of one."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import trio
from attrs import evolve
from click.testing import CliRunner

from deployd.config import Chaos
from deployd.supervisors.chaos import KINDS, PodFault
from deployd.tools.cli import cli
from deployd.tools.common import Declined
from support import KEYS, pod_config, running_pod
from support.asked_pods import AskedPod

BEGUN = {"id": 3, "says": "actor.hang pod/rooms/chat", "left": 9.96, "struck": 2, "more": 1}


def answering(monkeypatch: pytest.MonkeyPatch, answer: object) -> AskedPod[tuple[str, str, object]]:
    """Return a pod that answers so."""
    return AskedPod(monkeypatch, answer, lambda it: (it.method, it.path, it.body))


def run(runner: CliRunner, *arguments: str) -> tuple[int, str]:
    result = runner.invoke(cli, ["chaos", *arguments])
    return result.exit_code, result.output


def test_a_fault_is_asked_for_with_what_was_given_and_nothing_else(
    runner: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    pod = answering(monkeypatch, BEGUN)
    code, output = run(runner, "inject", "actor.hang", "--path", "pod/rooms/chat", "--seconds", "9")
    assert code == 0
    wanted = {"fault": "actor.hang", "path": "pod/rooms/chat", "seconds": 9.0}
    assert pod.asked == [("POST", "/_dashboard/api/chaos", wanted)]
    assert output == (
        "Fault 3: actor.hang pod/rooms/chat for 10.0 s more, struck 2×; "
        "'deployd chaos stop 3' ends it before.\n"
    )


def test_what_the_pod_says_against_it_is_told(
    runner: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, Declined("The pod at x says: There is no fault."))
    assert run(runner, "inject", "actor.hnag") == (
        1,
        "Error: The pod at x says: There is no fault.\n",
    )


def test_one_fault_or_all_are_stopped(runner: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    pod = answering(monkeypatch, BEGUN)
    assert "Fault 3 (actor.hang pod/rooms/chat) is over" in run(runner, "stop", "3")[1]
    for count, said in ((0, "No fault was"), (1, "One fault is"), (2, "2 faults are")):
        pod.answer = {"stopped": count}
        assert said in run(runner, "stop")[1]
    assert [(method, path) for method, path, _ in pod.asked] == [
        ("DELETE", "/_dashboard/api/chaos/3"),
        *[("DELETE", "/_dashboard/api/chaos")] * 3,
    ]
    assert run(runner, "stop", "../x")[0] == 2


def test_what_is_active_is_listed(runner: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    pod = answering(monkeypatch, {"faults": []})
    assert run(runner, "status") == (0, "No fault is active.\n")
    pod.answer = {"faults": [BEGUN, BEGUN | {"id": 4, "says": "x\x1b[2J"}]}
    output = run(runner, "status")[1]
    assert len(output.splitlines()) == 2
    assert "\x1b" not in output
    assert '"says"' in run(runner, "status", "--json")[1]
    pod.answer = {"faults": 7}
    assert "it sent no faults" in run(runner, "status")[1]


def test_the_help_lists_every_fault_and_what_it_takes(runner: CliRunner) -> None:
    output = run(runner, "inject", "--help")[1]
    for kind in PodFault:
        assert kind.value in output
        assert KINDS[kind].about in output


async def test_a_real_pod_is_broken_and_mended_by_the_commands() -> None:
    async with running_pod(evolve(pod_config(), chaos=Chaos(enabled=True))) as pod:
        asks = ["--url", f"http://localhost:{pod.port}", "--key", KEYS.master_key]

        async def command(*arguments: str) -> tuple[int, str]:
            line = [sys.executable, "-m", "deployd.tools", "chaos", *arguments, *asks]
            done = await trio.run_process(
                line,
                capture_stdout=True,
                stderr=subprocess.STDOUT,
                check=False,
                env={**os.environ, "NO_COLOR": "1"},
            )
            return done.returncode, done.stdout.decode()

        code, said = await command("inject", "actor.hang", "--path", "pod/everyon")
        assert (code, "did you mean pod/everyone" in said) == (1, True)
        code, said = await command(
            *("inject", "actor.hang", "--path", "pod/everyone", "--seconds", "600")
        )
        assert (code, said.startswith("Fault 1: actor.hang pod/everyone for")) == (0, True)
        assert (await command("status"))[1].startswith("Fault 1:")
        assert (await command("stop"))[1] == "One fault is over.\n"
        assert pod.chaos is not None
        assert pod.chaos.active() == []
