"""The JavaScript client: what Node's test runner says of it, beside pods of this process."""

from __future__ import annotations

import os
import re
from pathlib import Path
from subprocess import STDOUT
from typing import cast

import pytest
import trio
from attrs import evolve

from deployd.actors import JSON, Member, Refuse, Room, RoomFactory, on
from deployd.actors.rooms.hub import ChangeType
from deployd.config import Access, Config, Drain, Rule, Server, Speaker, Who
from deployd.supervisors import Pod
from support import pod_config, running_pod
from support.collections import MASTER, running_collections, write_collection
from support.packages_of_node import node_program

FOLDER = Path(__file__).parent
PATIENCE = 120.0
"""Seconds until Node is given up; a run takes two."""

TOKEN_TTL = 3600.0


class Desk:
    """What the pods of one test share: who runs, what was joined, and whether to restart."""

    def __init__(self) -> None:
        self.pod: Pod | None = None
        self.joins: list[tuple[str, str, str | None]] = []
        self.restart = trio.Event()

    def rooms(self) -> dict[str, RoomFactory]:
        """Return the rooms that tests in JavaScript speak to, by pattern."""
        desk = self

        class Orders(Room[None]):
            """Lets a client have the pod say something."""

            async def on_message(self, member: Member, event: str, data: JSON) -> None:
                desk.obey(event, data)

        class Guests(Room[None]):
            """Tells who comes and goes."""

            async def on_join(self, member: Member) -> None:
                self.broadcast("came", member.client_id, exclude=member)

            async def on_leave(self, member: Member, reason: str) -> None:
                self.broadcast("left", member.client_id)

        class Sum(Room[list[int]]):
            """Answers with what there is in all, and tells everybody."""

            def initial_state(self) -> list[int]:
                return [0]

            async def authorize_join(self, member: Member, params: int | None) -> bool:
                return params != 13

            @on("add")
            def add(self, member: Member, more: int) -> int:
                if more < 0:
                    raise Refuse("Add something.", code="too_low", least=0)
                self.state[0] += more
                self.broadcast("total", self.state[0])
                return self.state[0]

        class Seen(Room[None]):
            """Notes who comes in."""

            async def on_join(self, member: Member) -> None:
                desk.joins.append((self.name, member.client_id, member.user_id))

        return {
            "test-orders": Orders,
            "test-guests": Guests,
            "test-sum-*": Sum,
            "test-seen-*": Seen,
        }

    def obey(self, event: str, data: JSON) -> None:
        assert self.pod is not None
        if event == "restart":
            self.restart.set()
            return
        if event == "crash":
            raise RuntimeError("as ordered")
        assert isinstance(data, dict)
        if event == "change":
            name, kind = data["collection"], cast("ChangeType", data["event"])
            assert isinstance(name, str)
            self.pod.hub.emit_collection_change(name, kind, data["document"])
        elif event == "say":
            room, said = data.get("room"), data["event"]
            assert isinstance(said, str)
            if isinstance(room, str):
                self.pod.hub.emit_to_room(room, said, data["data"])
            else:
                self.pod.hub.emit_to_all(said, data["data"])


def config(port: int = 0) -> Config:
    members = Rule(join=Who.AUTHENTICATED)
    return evolve(
        pod_config(message_rate_limit=0),
        server=Server(port=port, api_enabled=False),
        access=Access(
            rules={
                "members": members,
                "collection:secrets": members,
                "test-orders": Rule(emit=Speaker.ANYONE),
            }
        ),
        drain=Drain(window=0.0, deadline=5.0, retry_after_min=3.0, retry_after_max=3.0),
    )


async def run(name: str, pod: Pod | None = None) -> None:
    """Run a file of tests; fail with what it printed unless all of them ran and passed."""
    environment = {**os.environ, "FORCE_COLOR": "0"}
    if pod is not None:
        environment["DEPLOYD_URL"] = f"http://127.0.0.1:{pod.port}"
        environment["DEPLOYD_TOKEN"] = pod.tokens.sign("ada", ttl=TOKEN_TTL)
        environment["DEPLOYD_EXPIRED"] = pod.tokens.sign("ada", ttl=-TOKEN_TTL)
        environment["DEPLOYD_MASTER_KEY"] = MASTER["X-Master-Key"]
    # The flag is for Node 20 and 21, whose own WebSocket is behind it.
    command = [node_program(), "--test", "--experimental-websocket", "--test-reporter=tap"]
    with trio.fail_after(PATIENCE):
        process = await trio.run_process(
            [*command, str(FOLDER / name)],
            capture_stdout=True,
            stderr=STDOUT,
            check=False,
            env=environment,
        )
    output = process.stdout.decode(errors="replace")
    counts = dict(re.findall(r"^# (\w+) (\d+)$", output, re.MULTILINE))
    if process.returncode or counts.get("pass") in (None, "0"):
        pytest.fail(f"{name}: exit {process.returncode}\n{output}", pytrace=False)
    left_out = {kind: counts[kind] for kind in ("fail", "cancelled", "skipped", "todo")}
    assert set(left_out.values()) == {"0"}, output


ALONE = [
    "borders.test.js",
    "decisions.test.js",
    "life.test.js",
    "races.test.js",
    "rest.test.js",
    "rooms.test.js",
    "socket.test.js",
]


@pytest.mark.parametrize("name", ALONE)
async def test_the_client_alone(name: str) -> None:
    await run(name)


@pytest.mark.parametrize("name", ["pod.test.js", "halfopen.test.js"])
async def test_the_client_with_a_pod(name: str) -> None:
    desk = Desk()
    async with running_pod(config(), desk.rooms()) as desk.pod:
        await run(name, desk.pod)


async def test_the_client_of_a_pod_that_takes_little_at_a_time() -> None:
    members = Access(rules={"members-*": Rule(join=Who.AUTHENTICATED)})
    slow = pod_config(message_rate_limit=40, join_rate_limit=40)
    async with running_pod(evolve(slow, access=members)) as pod:
        await run("crowd.test.js", pod)


async def test_the_client_with_documents(tmp_path: Path) -> None:
    properties = {"title": {"type": "string", "required": True}, "age": {"type": "number"}}
    write_collection(tmp_path, "todos", {"properties": properties})
    signed_in = dict.fromkeys(("get", "post"), "authenticated")
    secret = {"properties": {"text": {"type": "string"}}, "access": signed_in}
    write_collection(tmp_path, "secrets", secret)
    async with running_collections(tmp_path) as (pod, http):
        ada = {"username": "ada", "password": "a good password", "email": "ada@example.com"}
        made = await http.post("/_admin/auth/create-user", json={"userData": ada}, headers=MASTER)
        assert made.is_success, made.text
        await run("documents.test.js", pod)


async def test_the_client_of_a_pod_that_restarts() -> None:
    desk, finished = Desk(), trio.Event()

    async def client(pod: Pod) -> None:
        await run("reconnect.test.js", pod)
        finished.set()

    async with trio.open_nursery() as nursery:
        async with running_pod(config(), desk.rooms()) as desk.pod:
            nursery.start_soon(client, desk.pod)
            await desk.restart.wait()
            port, seen_before = desk.pod.port, len(desk.joins)
        async with running_pod(config(port), desk.rooms()) as desk.pod:
            await finished.wait()
    before, after = desk.joins[:seen_before], desk.joins[seen_before:]
    rooms = [f"test-seen-{number}" for number in (1, 2, 3)]
    assert [room for room, _, _ in before] == rooms
    assert sorted(room for room, _, _ in after) == rooms
    assert {user for _, _, user in desk.joins} == {"ada"}
    (first,), (second,) = ({client for _, client, _ in some} for some in (before, after))
    assert first != second


def test_every_file_of_tests_is_run() -> None:
    here = Path(__file__).read_text()
    files = sorted(path.name for path in FOLDER.glob("*.test.js"))
    assert files
    assert [name for name in files if f'"{name}"' not in here] == []
