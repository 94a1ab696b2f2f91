"""Toxiproxy's API, request by request: what is answered, and what to bad requests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
import trio

from deployd.tools.chaos.proxy import KINDS
from deployd.tools.chaos.proxy.api import create_api, serve_api
from deployd.tools.chaos.proxy.errors import PortTaken
from deployd.tools.chaos.proxy.place import parse_place
from deployd.tools.chaos.proxy.proxies import MAX_PROXIES, Proxies

REDIS = {"name": "redis", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:1"}

TOXICS = "/proxies/redis/toxics"


@pytest.fixture
async def proxies() -> AsyncIterator[Proxies]:
    async with trio.open_nursery() as nursery:
        yield Proxies(nursery, complain=lambda _: None)
        nursery.cancel_scope.cancel()


@pytest.fixture
async def api(proxies: Proxies) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_api(proxies))
    async with httpx.AsyncClient(transport=transport, base_url="http://toxiproxy") as api:
        yield api


async def test_a_proxy_is_made_shown_moved_and_removed(api: httpx.AsyncClient) -> None:
    made = await api.post("/proxies", json=REDIS)
    assert made.status_code == 201
    port = int(made.json()["listen"].rpartition(":")[2])
    assert port > 0
    shown = {**REDIS, "listen": f"127.0.0.1:{port}", "enabled": True, "toxics": []}
    assert made.json() == shown
    assert (await api.get("/proxies/redis")).json() == shown
    assert (await api.get("/proxies")).json() == {"redis": shown}
    for send in (api.post, api.patch):
        moved = await send("/proxies/redis", json={"upstream": "localhost:2"})
        assert moved.json() == {**shown, "upstream": "127.0.0.1:2"}
    gone = await api.delete("/proxies/redis")
    assert (gone.status_code, gone.content) == (204, b"")
    assert (await api.get("/proxies")).json() == {}


async def test_a_proxy_is_disabled_and_enabled_on_its_port(api: httpx.AsyncClient) -> None:
    port = int((await api.post("/proxies", json=REDIS)).json()["listen"].rpartition(":")[2])
    off = (await api.post("/proxies/redis", json={"enabled": False})).json()
    assert (off["enabled"], off["listen"]) == (False, f"127.0.0.1:{port}")
    with pytest.raises(OSError, match="failed"):
        await trio.open_tcp_stream("127.0.0.1", port)
    on = (await api.post("/proxies/redis", json={"enabled": True})).json()
    assert (on["enabled"], on["listen"]) == (True, f"127.0.0.1:{port}")
    await (await trio.open_tcp_stream("127.0.0.1", port)).aclose()


async def test_a_proxy_that_is_made_disabled_listens_on_nothing(api: httpx.AsyncClient) -> None:
    made = (await api.post("/proxies", json={**REDIS, "enabled": False})).json()
    assert (made["enabled"], made["listen"]) == (False, "127.0.0.1:0")


async def test_toxics_are_added_shown_changed_and_removed(api: httpx.AsyncClient) -> None:
    await api.post("/proxies", json=REDIS)
    added = await api.post(
        "/proxies/redis/toxics", json={"type": "latency", "attributes": {"latency": 100}}
    )
    latency = {
        "attributes": {"latency": 100, "jitter": 0},
        "name": "latency_downstream",
        "type": "latency",
        "stream": "downstream",
        "toxicity": 1.0,
    }
    assert (added.status_code, added.json()) == (200, latency)
    up = {"name": "up", "type": "timeout", "stream": "upstream", "toxicity": 0.5}
    up_json = (await api.post("/proxies/redis/toxics", json=up)).json()
    assert up_json == {**up, "attributes": {"timeout": 0}}
    assert (await api.get("/proxies/redis/toxics")).json() == [up_json, latency]
    assert (await api.get("/proxies/redis")).json()["toxics"] == [up_json, latency]
    assert (await api.get("/proxies/redis/toxics/up")).json() == up_json
    change = {"attributes": {"jitter": 5}}
    changed = await api.post("/proxies/redis/toxics/latency_downstream", json=change)
    assert changed.json() == {**latency, "attributes": {"latency": 100, "jitter": 5}}
    changed = await api.patch("/proxies/redis/toxics/up", json={"toxicity": 0.1})
    assert changed.json() == {**up_json, "toxicity": 0.1}
    assert (await api.delete("/proxies/redis/toxics/up")).status_code == 204
    assert len((await api.get("/proxies/redis/toxics")).json()) == 1


async def test_all_kinds_can_be_made_of_what_they_are_shown_as(api: httpx.AsyncClient) -> None:
    await api.post("/proxies", json={**REDIS, "protocol": "redis"})
    for kind in KINDS:
        attributes = {"average_size": 1} if kind == "slicer" else {}
        shown = await api.post(
            "/proxies/redis/toxics", json={"type": kind, "attributes": attributes}
        )
        assert shown.status_code == 200
        await api.delete(f"/proxies/redis/toxics/{shown.json()['name']}")
        assert (await api.post("/proxies/redis/toxics", json=shown.json())).json() == shown.json()


async def test_proxies_are_populated_and_those_that_fit_are_left_alone(
    api: httpx.AsyncClient, proxies: Proxies
) -> None:
    listen = (await api.post("/proxies", json=REDIS)).json()["listen"]
    await api.post("/proxies/redis/toxics", json={"type": "timeout"})
    await api.post("/proxies", json={**REDIS, "name": "nats"})
    both = [{**REDIS, "listen": listen}, {**REDIS, "name": "nats", "upstream": "127.0.0.1:2"}]
    made = await api.post("/populate", json=both)
    assert made.status_code == 201
    assert [proxy["name"] for proxy in made.json()["proxies"]] == ["redis", "nats"]
    assert len(proxies.get("redis").toxics) == 1
    assert str(proxies.get("nats").upstream) == "127.0.0.1:2"


async def test_a_reset_enables_all_and_takes_all_toxics_off(
    api: httpx.AsyncClient, proxies: Proxies
) -> None:
    await api.post("/proxies", json={**REDIS, "enabled": False})
    await api.post("/proxies/redis/toxics", json={"type": "timeout"})
    assert (await api.post("/reset")).status_code == 204
    assert proxies.get("redis").enabled
    assert len(proxies.get("redis").toxics) == 0


async def test_a_client_may_ask_for_the_version(api: httpx.AsyncClient) -> None:
    version = (await api.get("/version")).json()["version"]
    assert int(version.split(".")[0]) == 2


async def test_a_page_in_a_browser_has_no_say(api: httpx.AsyncClient) -> None:
    refused = await api.get("/proxies", headers={"User-Agent": "Mozilla/5.0"})
    assert refused.status_code == 403


@pytest.mark.parametrize(
    ("path", "body", "status", "sentence"),
    [
        ("/proxies", "{", 400, "bad request body: it is no JSON"),
        ("/proxies", "[]", 400, "bad request body: it must be an object."),
        ("/proxies", "{}", 400, "missing required field: name"),
        ("/proxies", '{"name": "a"}', 400, "missing required field: upstream"),
        ("/proxies", '{"name": 1, "upstream": "a:1"}', 400, "bad request body: name must be text"),
        ("/proxies", '{"name": "a", "upstream": "a"}', 400, "'a' is no address; write HOST:PORT"),
        (
            "/proxies",
            '{"name": "a", "upsteam": "a:1"}',
            400,
            "bad request body: A proxy has no field 'upsteam': did you mean upstream?",
        ),
        ("/proxies", '{"name": "redis", "upstream": "a:1"}', 409, "proxy already exists: redis;"),
        (
            "/proxies",
            '{"name": "a", "upstream": "a:1", "enabled": 1}',
            400,
            "bad request body: enabled must be true or false.",
        ),
        (
            "/proxies",
            '{"name": "a", "upstream": "a:1", "protocol": "nat"}',
            400,
            "There is no protocol 'nat': did you mean nats?",
        ),
        ("/proxies/redsi", "{}", 404, "proxy not found: redsi; did you mean redis?"),
        (TOXICS, "{}", 400, "invalid toxic type '': known are latency, bandwidth,"),
        (
            TOXICS,
            '{"type": "latencyy"}',
            400,
            "invalid toxic type 'latencyy': did you mean latency",
        ),
        (
            TOXICS,
            '{"type": "latency", "attributes": {"latncy": 1}}',
            400,
            "latency has no attribute 'latncy': did you mean latency?",
        ),
        (
            TOXICS,
            '{"type": "latency", "attributes": {"latency": "1"}}',
            400,
            "latency: latency is '1'; it must be a number.",
        ),
        (
            TOXICS,
            '{"type": "limit_data", "attributes": {"bytes": 1.5}}',
            400,
            "limit_data: bytes is 1.5; it must be a whole number.",
        ),
        (TOXICS, '{"type": "latency", "attributes": []}', 200, ""),
        (
            TOXICS,
            '{"type": "latency", "attributes": [1]}',
            400,
            "bad request body: attributes",
        ),
        (
            TOXICS,
            '{"type": "latency", "stream": "up"}',
            400,
            "stream was invalid, can be either",
        ),
        (
            TOXICS,
            '{"type": "latency", "toxicity": "1"}',
            400,
            "toxicity is '1'; it must be a number",
        ),
        (TOXICS, '{"type": "latency", "toxicity": 2}', 400, "latency: toxicity is 2.0; it must be"),
        (TOXICS, '{"type": "timeout"}', 409, "toxic already exists: timeout_downstream;"),
        (TOXICS, '{"type": "drop", "attributes": {"verb": "a"}}', 400, "drop is to choose frames"),
        (f"{TOXICS}/timeout", "{}", 404, "toxic not found: timeout; known are timeout_down"),
        ("/populate", "{}", 400, "bad request body: it must be a list of proxies."),
        (
            "/populate",
            '[{"name": "a", "upstream": "a:1"}, {"name": "a", "upstream": "a:1"}]',
            400,
            "bad request body: two proxies have one name.",
        ),
    ],
)
async def test_what_is_wrong_is_told_in_a_sentence_with_the_nearest_name(
    api: httpx.AsyncClient, path: str, body: str, status: int, sentence: str
) -> None:
    await api.post("/proxies", json=REDIS)
    await api.post(TOXICS, json={"type": "timeout"})
    answer = await api.post(path, content=body)
    assert answer.status_code == status
    assert answer.json().get("error", "").startswith(sentence)
    assert answer.json().get("status", 200) == status


async def test_a_port_in_use_is_told_and_makes_no_proxy(api: httpx.AsyncClient) -> None:
    listen = (await api.post("/proxies", json=REDIS)).json()["listen"]
    answer = await api.post("/proxies", json={**REDIS, "name": "nats", "listen": listen})
    assert answer.status_code == 500
    assert answer.json()["error"].startswith(f"Cannot listen on {listen}: the port is in use;")
    assert list((await api.get("/proxies")).json()) == ["redis"]


async def test_there_are_only_so_many_proxies(proxies: Proxies, api: httpx.AsyncClient) -> None:
    for number in range(MAX_PROXIES):
        proxies.create({**REDIS, "name": str(number), "enabled": False})
    answer = await api.post("/proxies", json=REDIS)
    assert answer.status_code == 400


async def test_the_api_is_served_on_a_port_of_its_own_and_a_port_in_use_is_told(
    proxies: Proxies,
) -> None:
    async with serve_api(proxies, parse_place("0")) as place:
        async with httpx.AsyncClient(trust_env=False) as client:
            made = await client.post(f"http://{place}/proxies", json=REDIS)
            assert made.status_code == 201
            gone = await client.delete(f"http://{place}/proxies/redis")
            assert gone.status_code == 204
        with pytest.raises(PortTaken, match=r"the port is in use; .* with --api"):
            async with serve_api(proxies, place):
                pass
