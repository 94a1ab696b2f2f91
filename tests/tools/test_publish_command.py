from __future__ import annotations

import pytest
from click.testing import CliRunner

from deployd.tools.cli import cli
from deployd.tools.common import Declined
from deployd.tools.publish import ReceiptAnswer, told
from support.asked_pods import AskedPod


def answering(
    monkeypatch: pytest.MonkeyPatch, answer: object
) -> AskedPod[tuple[str, str, object, str | None]]:
    """Return a pod that answers so."""
    return AskedPod(monkeypatch, answer, lambda it: (it.method, it.path, it.body, it.token))


def test_what_is_said_goes_to_the_room_and_one_line_tells_what_became_of_it(
    runner: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    pod = answering(monkeypatch, {"scope": "cluster", "id": "a1-7"})
    result = runner.invoke(cli, ["publish", "shop/1", "sold", '{"lot": 3}'])
    assert result.exit_code == 0
    assert result.stdout == "shop/1: sold a1-7 is cluster (all pods have it)\n"
    said = {"event": "sold", "data": {"lot": 3}}
    assert pod.asked == [("POST", "/api/rooms/shop%2F1/events", said, None)]


def test_data_may_come_from_stdin_or_be_left_out(
    runner: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    pod = answering(monkeypatch, {"scope": "local", "id": "a1-7"})
    read = runner.invoke(cli, ["publish", "r", "e", "-"], input="[1]")
    assert read.exit_code == 0, read.output
    assert runner.invoke(cli, ["publish", "r", "e", "--token", "t.o.k"]).exit_code == 0
    assert [(body, token) for _, _, body, token in pod.asked] == [
        ({"event": "e", "data": [1]}, None),
        ({"event": "e", "data": None}, "t.o.k"),
    ]


def test_what_is_no_json_is_wrong_usage_and_asks_nobody(
    runner: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    pod = answering(monkeypatch, {})
    result = runner.invoke(cli, ["publish", "r", "e", "hello"])
    assert result.exit_code == 2
    assert "a text is written" in result.stderr
    assert not pod.asked


def test_what_the_pod_refuses_ends_with_1_and_its_sentence(
    runner: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, Declined("The pod at x says: Nobody is there."))
    result = runner.invoke(cli, ["publish", "r", "e"])
    assert result.exit_code == 1
    assert "Nobody is there." in result.stderr


def test_receipts_that_count_are_told_with_their_counts() -> None:
    line = told(ReceiptAnswer("partial", "a1-7", pods=1, of=2, members=4))
    assert line == (
        "a1-7 is partial (some pods have not heard it), told to 4 members on 1 of 2 pods"
    )
