"""What a pod shows of itself, over its own port, and to those who watch."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import trio
from attrs import evolve

from deployd.actors import Room
from deployd.config import Access, Rule
from deployd.supervisors import Pod
from support import KEYS, Client, connected, pod_config, running_pod
from support.clients import until

ROOT = {"X-Master-Key": KEYS.master_key}
API = "/_dashboard/api"


async def get(pod: Pod, path: str, headers: dict[str, str] | None = ROOT, **query: Any) -> Any:
    url = f"http://127.0.0.1:{pod.port}{path}"
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(url, headers=headers, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


NUMBER, TEXT = (int, float), str
RATE = {"total": NUMBER, "per_second": {"1": NUMBER, "10": NUMBER, "60": NUMBER}}
NULL = type(None)
QUANTILES = dict.fromkeys(("p50", "p90", "p99"), (int, float, NULL)) | {"count": NUMBER}
MAILBOX = {"waiting": NUMBER, "high_water": NUMBER}
ROOM = {"name": TEXT, "members": NUMBER, "events": NUMBER}
HEALTH = {"type": TEXT, "active": TEXT, "state": TEXT}
REALTIME = {
    "pod": TEXT,
    "name": TEXT,
    "version": TEXT,
    "at": NUMBER,
    "uptime": NUMBER,
    "ready": bool,
    "not_ready_because": (str, NULL),
    "connections": {
        **dict.fromkeys(("open", "max", "opened", "closed", "slow_closed"), NUMBER),
        "closed_by_code": {"1000": NUMBER},
        "refused": {"forbidden": NUMBER},
    },
    "messages": {"received": RATE, "sent": RATE},
    "bytes": {"received": RATE, "sent": RATE},
    "latency": {"local": QUANTILES, "cross_pod": QUANTILES},
    "rooms": {
        "count": NUMBER,
        "members": NUMBER,
        "patterns": [
            {
                "pattern": TEXT,
                **dict.fromkeys(("rooms", "members", "largest", "memory", "heaviest"), NUMBER),
            }
        ],
        "largest": [ROOM],
    },
    "links": [{**HEALTH, "history": list}],
    "chaos": type(None),
    "actors": {
        "restarts": {"room": NUMBER},
        "dead_letters": {"poison": NUMBER},
        "mailboxes": {"room": MAILBOX, "connection": MAILBOX},
    },
    "loop": {"lag": QUANTILES, "stalls": NUMBER},
    "process": dict.fromkeys(
        ("memory_bytes", "open_files", "max_files", "cpu_seconds", "cpu_percent"), NUMBER
    ),
    "rate_limited": {"messages": NUMBER},
    "slow_clients": list,
    "wrong": list,
    "hot": list,
}
HISTOGRAM = {"bounds": list, "counts": list, "sum": NUMBER}
DETAILED = {
    **REALTIME,
    "rooms": {
        **REALTIME["rooms"],  # type: ignore[dict-item]
        "all": [
            {
                **ROOM,
                "deliveries": NUMBER,
                "lost": NUMBER,
                "restarts": NUMBER,
                "memory": (int, NULL),
            }
        ],
    },
    "histograms": dict.fromkeys(
        ("fan_out", "local_latency", "cross_pod_latency", "loop_lag"), HISTOGRAM
    ),
}
CONNECTIONS = {
    "pod": TEXT,
    "total": NUMBER,
    "limit": NUMBER,
    "offset": NUMBER,
    "connections": [
        {
            "client": TEXT,
            "address": TEXT,
            "user": (str, NULL),
            "root": bool,
            "rooms": list,
            **dict.fromkeys(
                (
                    "connected_at",
                    "last_received_seconds",
                    "received_messages",
                    "written_messages",
                    "waiting_messages",
                    "waiting_bytes",
                ),
                NUMBER,
            ),
        }
    ],
}


def check(value: Any, shape: Any, where: str = "") -> None:
    """Compare a value with the contract, key by key."""
    if isinstance(shape, dict):
        assert set(value) == set(shape), where
        for key in shape:
            check(value[key], shape[key], f"{where}.{key}")
    elif isinstance(shape, list):
        assert value, where
        for one in value:
            check(one, shape[0], f"{where}[]")
    else:
        assert isinstance(value, shape), where


class Fragile(Room[None]):
    async def on_message(self, member: Any, event: str, data: Any) -> None:
        if event == "break":
            raise RuntimeError("as asked")
        await super().on_message(member, event, data)


async def live(pod: Pod, client: Client) -> None:
    """Say something, crash a room, be turned away, connect and leave."""
    async with connected(pod):
        pass
    await client.join("fragile-1")
    await client.send("emit", room="fragile-1", event="said", data="hello")
    await client.expect("emit", event="said")
    await client.send("emit", room="fragile-1", event="break", data=None)
    await client.expect("error", data={"code": "room_crashed"})
    with pytest.raises(Exception, match="403"):
        async with connected(pod, origin="https://evil.example"):
            pass
    await until(lambda: pod.connections() == 1)


async def test_both_views_have_the_shape_that_was_agreed() -> None:
    async with running_pod(rooms={"fragile-*": Fragile}) as pod, connected(pod) as [client]:
        await live(pod, client)
        view = await get(pod, f"{API}/metrics/realtime")
        check(view, REALTIME)
        check(await get(pod, f"{API}/metrics/detailed"), DETAILED)
        assert view["pod"] == pod.pod_id
        assert view["ready"]
        shown = view["connections"]
        assert (shown["open"], shown["opened"], shown["closed"]) == (1, 2, 1)
        assert shown["max"] == pod.config.limits.max_connections
        assert shown["refused"] == {"forbidden": 1}
        assert view["messages"]["received"]["total"] == 3
        assert view["messages"]["sent"]["total"] == 5
        (pattern,) = view["rooms"]["patterns"]
        assert pattern["pattern"] == "fragile-*"
        assert (pattern["rooms"], pattern["members"], pattern["largest"]) == (1, 1, 1)
        assert view["actors"]["restarts"] == {"room": 1}
        assert view["actors"]["dead_letters"] == {"poison": 1}


async def test_rates_and_quantiles_are_of_what_passed_since_the_samples_before(
    mock_clock: trio.testing.MockClock,
) -> None:
    async with running_pod() as pod, connected(pod, ping_interval=None) as [client]:
        await client.join("tea")
        for _ in range(3):
            await next_sample(pod, mock_clock)
        for number in range(20):
            await client.send("emit", room="tea", event="said", data=number)
            await client.expect("emit", data=number)
        await next_sample(pod, mock_clock)
        view: Any = pod.parts.tree.views.realtime()
        assert view["latency"]["local"]["count"] == 20
        assert view["latency"]["local"]["p50"] is not None
        assert view["latency"]["cross_pod"] == {"count": 0, "p50": None, "p90": None, "p99": None}
        rates = view["messages"]["received"]["per_second"]
        assert rates["1"] == 20
        assert 5 <= rates["60"] < 6
        await next_sample(pod, mock_clock)
        view = pod.parts.tree.views.realtime()
        assert view["messages"]["received"]["per_second"]["1"] == 0


async def next_sample(pod: Pod, clock: trio.testing.MockClock) -> None:
    count = len(pod.parts.tree.views.samples)
    clock.jump(1.0)
    while len(pod.parts.tree.views.samples) == count:
        await trio.lowlevel.checkpoint()


async def test_clients_are_shown_oldest_first_page_by_page() -> None:
    async with running_pod() as pod, connected(pod, 3) as [one, two, three]:
        token = pod.tokens.sign("alice", ttl=60)
        await two.ask("auth", token=token)
        for client in (three, two):
            await client.join("chat-1")
        await two.join("chat-0")
        path = f"{API}/realtime/connections"
        everybody = await get(pod, path)
        check(everybody, CONNECTIONS)
        ids = [one.client_id, two.client_id, three.client_id]
        assert [shown["client"] for shown in everybody["connections"]] == ids
        assert everybody["connections"][1]["rooms"] == ["chat-0", "chat-1"]
        assert everybody["connections"][1]["received_messages"] == 3
        assert token not in str(everybody)

        async def found(**query: Any) -> tuple[int, list[str]]:
            page = await get(pod, path, **query)
            return page["total"], [shown["client"] for shown in page["connections"]]

        assert await found(limit=1, offset=1) == (3, ids[1:2])
        assert await found(offset=3) == (3, [])
        assert await found(room="chat-1") == (2, ids[1:])
        assert await found(room="chat-1", limit=1) == (2, ids[1:2])
        assert await found(user="alice") == (1, ids[1:2])
        assert await found(user="alice", room="nowhere") == (0, [])
        assert await found(user="") == (0, [])


async def test_a_client_that_does_not_read_is_named() -> None:
    async with running_pod() as pod, connected(pod, 2) as [_, client]:
        member = pod.members[client.client_id]
        member.sink.write(b"\x82\x7f" + (900_000).to_bytes(8, "big") + bytes(900_000))
        slow: Any = pod.parts.tree.views.realtime()["slow_clients"]
        # The kernel's buffers may have taken it all.
        assert [one["client"] for one in slow] == [client.client_id] * bool(member.sink.waiting[1])


# -- those who watch ---------------------------------------------------------------------------


async def watch(client: Client) -> str:
    """Ask to watch, and return what is told: `snapshot`, or why not."""
    answer = await client.ask("join", room="_dashboard")
    if answer["type"] == "error":
        return str(answer["data"]["code"])
    snapshot = await client.expect("emit", room="_dashboard", event="snapshot")
    assert set(snapshot["data"]) == set(REALTIME)
    return "snapshot"


async def test_only_root_watches() -> None:
    anyone = evolve(pod_config(), access=Access(rules={"*": Rule()}))
    async with running_pod(anyone) as pod, connected(pod, 3) as [nobody, user, root]:
        assert await watch(nobody) == "auth_required"
        await user.ask("auth", token=pod.tokens.sign("ada", ttl=60))
        assert await watch(user) == "forbidden"
        await root.ask("auth", token=pod.tokens.sign("root", is_root=True, ttl=60))
        assert await watch(root) == "snapshot"
        second = await root.expect("emit", event="snapshot")
        assert second["data"]["rooms"]["largest"][0]["name"] == "_dashboard"


async def test_who_is_root_no_longer_watches_no_longer() -> None:
    async with running_pod() as pod, connected(pod) as [client]:
        await client.ask("auth", token=pod.tokens.sign("root", is_root=True, ttl=60))
        assert await watch(client) == "snapshot"
        await client.send("auth", token=pod.tokens.sign("ada", ttl=60))
        while (message := await client.receive())["type"] != "leave":
            assert message["type"] in ("auth", "emit")
        assert not pod.rooms.rosters["_dashboard"].members


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({}, "snapshot"),
        ({"X-Forwarded-For": "192.0.2.1"}, "auth_required"),
        ({"Forwarded": "for=192.0.2.1"}, "auth_required"),
    ],
    ids=str,
)
async def test_a_developer_on_this_machine_watches_without_a_token(
    headers: dict[str, str], told: str
) -> None:
    async with (
        running_pod(dev=True) as pod,
        connected(pod, additional_headers=headers) as [client],
    ):
        assert await watch(client) == told


async def test_a_page_of_elsewhere_does_not_watch_a_developers_pod() -> None:
    config = pod_config()
    origins = evolve(config.origins, allowed=("https://app.example",))
    async with (
        running_pod(evolve(config, origins=origins), dev=True) as pod,
        connected(pod, origin="https://app.example") as [client],
    ):
        assert await watch(client) == "auth_required"


async def test_nobody_speaks_where_the_pod_shows_itself() -> None:
    anyone = evolve(pod_config(), access=Access(rules={"*": Rule()}))
    async with running_pod(anyone, dev=True) as pod, connected(pod) as [client]:
        await client.ask("auth", token=pod.tokens.sign("root", is_root=True, ttl=60))
        refused = await client.ask("emit", room="_dashboard", event="snapshot", data={})
        assert refused["type"] == "error"
        assert "room_reserved" in str(refused)


async def test_nothing_is_put_together_while_nobody_watches(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_pod() as pod, connected(pod, ping_interval=None) as [client]:
        await client.ask("auth", token=pod.tokens.sign("root", is_root=True, ttl=60))
        assert await watch(client) == "snapshot"
        await client.send("leave", room="_dashboard")
        while (await client.receive())["type"] != "leave":
            pass
        told = pod.rooms.rosters["_dashboard"].sequence
        await trio.sleep(10)
        assert pod.rooms.rosters["_dashboard"].sequence == told
