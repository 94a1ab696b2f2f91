from __future__ import annotations

import json
from pathlib import Path
from typing import TypeAlias

import pytest
from click.testing import CliRunner
from rich.console import Console

from deployd.config import load_secrets
from deployd.supervisors import Node, Status, node_to_json
from deployd.tools.cli import cli
from deployd.tools.common import Address, NotAPod
from deployd.tools.tree import Branch, Detail, Figures, MailboxLevel, draw, most_telling, read_tree
from support.asked_pods import AskedPod

HERE = Address("http", "localhost", 2403)
POD = Node(
    path="pod",
    kind="Supervisor",
    status=Status.RUNNING,
    incarnation=1,
    children=(
        Node(
            path="pod/rooms",
            kind="DynamicSupervisor",
            status=Status.RUNNING,
            incarnation=1,
            children=(
                Node(
                    path="pod/rooms/a",
                    kind="ChatRoom",
                    status=Status.BACKING_OFF,
                    incarnation=3,
                    restarts=2,
                    detail={"last_exit": "ValueError: " + 200 * "odd"},
                ),
            ),
        ),
    ),
)


def drawn(branch: Branch, limit: int = 50) -> list[str]:
    console = Console(width=300, highlight=False)
    with console.capture() as capture:
        console.print(draw(branch, limit), soft_wrap=True)
    return [line.rstrip() for line in capture.get().splitlines()]


Pod: TypeAlias = AskedPod[tuple[str, str, str | None]]


@pytest.fixture
def pod(monkeypatch: pytest.MonkeyPatch) -> Pod:
    answer = node_to_json(POD)
    return AskedPod(monkeypatch, answer, lambda it: (str(it.address), it.path, it.key))


def test_what_a_pod_answers_is_drawn(runner: CliRunner, pod: Pod) -> None:
    result = runner.invoke(cli, ["tree"])
    assert result.exit_code == 0
    assert pod.asked == [("http://localhost:2403", "/_dashboard/api/actors", None)]
    root, rooms, room = result.stdout.splitlines()
    assert root == "pod  Supervisor  running"
    assert rooms.endswith("rooms  DynamicSupervisor  running")
    assert " a  ChatRoom  backing off  restarted 2 times (#3)  last exit: ValueError: odd" in room
    assert room.endswith(200 * "odd")


def test_json_is_what_the_pod_answers(runner: CliRunner, pod: Pod) -> None:
    result = runner.invoke(cli, ["tree", "--json"])
    assert json.loads(result.stdout) == node_to_json(POD)


def test_this_machines_pod_is_shown_the_key_of_the_data_folder(runner: CliRunner, pod: Pod) -> None:
    key = load_secrets(Path("kept"), {}).master_key
    for url in ("http://localhost:1", "http://127.0.0.1:1", "http://[::1]:1"):
        runner.invoke(cli, ["tree", "--url", url, "--data", "kept"])
    assert [shown for _, _, shown in pod.asked] == [key] * 3


def test_another_machine_is_shown_no_key_but_the_one_that_was_given(
    runner: CliRunner, pod: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_secrets(Path("data"), {})
    monkeypatch.setenv("DEPLOYD_MASTER_KEY", "from-the-environment")
    runner.invoke(cli, ["tree", "--url", "http://pod.example"])
    runner.invoke(cli, ["tree", "--url", "http://pod.example", "--key", "given"])
    runner.invoke(cli, ["tree", "--url", "http://localhost", "--key", "given"])
    assert [shown for _, _, shown in pod.asked] == [None, "given", "given"]


def test_looking_at_a_tree_makes_no_secrets(runner: CliRunner, pod: Pod) -> None:
    runner.invoke(cli, ["tree"])
    assert pod.asked[0][2] is None
    assert list(Path().iterdir()) == []


def test_a_url_that_is_none_is_one_sentence(runner: CliRunner) -> None:
    result = runner.invoke(cli, ["tree", "--url", "localhost:2403"])
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: localhost:2403 is not the URL of a pod; write http://HOST:PORT.\n"
    )


def test_a_mailbox_and_a_handler_are_shown() -> None:
    figures = Figures(MailboxLevel(waiting=3, high_water=9, max_messages=10), "on_message", 1.25)
    (line,) = drawn(Branch("pod/rooms/a", "Room", "running", 1, 0, figures))
    assert line == "pod/rooms/a  Room  running  mailbox 3 (most 9 of 10)  in on_message for 1.2 s"


def test_a_room_whose_name_has_slashes_keeps_it() -> None:
    room = Branch("pod/rooms/team/a", "Room", "running")
    rooms = Branch("pod/rooms", "DynamicSupervisor", "running", children=(room,))
    root, line, below = drawn(Branch("pod", "Supervisor", "running", children=(rooms,)))
    assert root.startswith("pod  ")
    assert line.endswith(" rooms  DynamicSupervisor  running")
    assert below.endswith(" team/a  Room  running")


def test_one_restart_is_once() -> None:
    (line,) = drawn(Branch("pod/rooms/a", "Room", "running", 2, 1))
    assert "restarted once (#2)" in line


def test_names_cannot_steer_the_terminal_or_pass_for_markup() -> None:
    detail = Detail("\x1b[2Jgone\nforged")
    (line,) = drawn(Branch("pod/\x1b]0;x\x07", "[red]Room[/red]", "running", detail=detail))
    assert line.isprintable()
    assert "[red]Room[/red]" in line
    assert "�[2Jgone�forged" in line


def test_many_children_are_cut_to_the_most_telling_in_their_order() -> None:
    children = tuple(Branch(f"pod/c/{i}", status="running") for i in range(5))
    troubled = Branch("pod/c/5", status="backing off")
    restarted = Branch("pod/c/6", status="running", restarts=1)
    chosen = most_telling((*children, troubled, restarted), 3)
    assert chosen == [children[0], troubled, restarted]
    lines = drawn(Branch("pod/c", children=(*children, troubled, restarted)), 3)
    assert "… and 4 more" in lines[-1]
    assert len(lines) == 5


def test_nothing_is_cut_when_all_fit() -> None:
    children = tuple(Branch(f"pod/c/{i}", status="running") for i in range(3))
    assert most_telling(children, 3) == list(children)
    assert len(drawn(Branch("pod/c", children=children), 3)) == 4


def test_what_a_newer_pod_adds_is_left_out() -> None:
    answer = node_to_json(POD) | {"new": 1}
    branch = read_tree(answer, HERE)
    assert branch.path == "pod"
    (rooms,) = branch.children
    assert [(room.path, room.restarts) for room in rooms.children] == [("pod/rooms/a", 2)]


@pytest.mark.parametrize(
    "answer",
    [{}, [], None, "pod", {"path": "pod", "children": [{}]}, {"path": "pod", "restarts": "many"}],
)
def test_an_answer_that_is_no_tree_is_no_pods(answer: object) -> None:
    with pytest.raises(NotAPod, match=r"sent no tree.*--url"):
        read_tree(answer, HERE)


def test_an_answer_deeper_than_any_tree_is_no_pods() -> None:
    answer: dict[str, object] = {"path": "deepest"}
    for _ in range(2000):
        answer = {"path": "deep", "children": [answer]}
    with pytest.raises(NotAPod):
        read_tree(answer, HERE)
