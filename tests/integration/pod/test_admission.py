"""Who gets in, and what those are told who do not."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from attrs import evolve
from websockets.exceptions import InvalidStatus

from deployd.config import AccessSettings, AuthSettings, Config, OriginSettings, Rule, Who
from deployd.supervisors import Pod
from support import connected, find_node, pod_config, running_pod


async def refusal(config: Config, **options: Any) -> tuple[int, str]:
    """Try to connect and return the status and the body of the answer."""
    async with running_pod(config) as pod:
        try:
            async with connected(pod, **options):
                return 101, ""
        except InvalidStatus as error:
            body = error.response.body
            return error.response.status_code, bytes(body or b"").decode()


async def test_a_full_pod_answers_503_before_the_upgrade_and_lets_the_next_in_later() -> None:
    async with running_pod(pod_config(max_connections=1)) as pod:
        async with connected(pod):
            with pytest.raises(InvalidStatus) as caught:
                async with connected(pod):
                    raise AssertionError("it got in")
            assert caught.value.response.status_code == 503
            assert "Retry-After" in caught.value.response.headers
        while find_node(pod.tree(), "pod/connections").detail["count"]:
            await trio.lowlevel.checkpoint()
        async with connected(pod):
            assert pod.connections() == 1


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 101),
        ("https://good.example", 101),
        ("https://evil.example", 403),
        ("https://good.example.evil.example", 403),
        ("null", 403),
    ],
)
async def test_only_pages_of_an_allowed_origin_may_connect(origin: str | None, status: int) -> None:
    config = evolve(pod_config(), origins=OriginSettings(allowed=("https://good.example",)))
    assert (await refusal(config, origin=origin))[0] == status


async def test_a_pod_without_websockets_answers_404_with_a_sentence() -> None:
    status, body = await refusal(evolve(pod_config(), enabled=False))
    assert status == 404
    assert "enabled" in body


async def test_a_client_that_must_and_does_not_authenticate_is_closed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    config = evolve(pod_config(), auth=AuthSettings(required=True, timeout=5))
    async with running_pod(config) as pod, connected(pod, ping_interval=None) as [client]:
        assert (await client.closed())[0] == 4501


async def test_who_signs_in_as_somebody_else_leaves_the_rooms_that_one_may_not_join() -> None:
    config = evolve(pod_config(), access=AccessSettings(rules={"root-*": Rule(join=Who.ROOT)}))
    async with running_pod(config) as pod, connected(pod) as [client]:
        await client.ask("auth", token=pod.tokens.sign("eve", is_root=True, ttl=60))
        await client.join("root-1")
        await client.join("tea")
        await client.send("auth", token=pod.tokens.sign("ada", ttl=60))
        await client.expect("auth")
        await client.expect("leave", room="root-1")
        pod.hub.emit_to_room("root-1", "secret", 1)
        pod.hub.emit_to_room("tea", "said", 2)
        await client.expect("emit", room="tea", data=2)


UPGRADE = (
    "GET /socket.io/ HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: SGVsbG8gV2ViU29ja2V0IQ==\r\n{more}\r\n"
)


@pytest.mark.parametrize(
    "host",
    ["xn--strae-oqa.de", "xn--mgba3gch31f060k.com", "XN--MNCHEN-3YA.de", "[::1]", "a_b.example"],
)
async def test_pages_on_hosts_of_every_alphabet_connect(host: str) -> None:
    config = pod_config()
    async with running_pod(evolve(config, server=evolve(config.server, host="0.0.0.0"))) as pod:
        for more in ("", f"Origin: http://{host}\r\n"):
            async with await trio.open_tcp_stream("127.0.0.1", pod.port) as stream:
                await stream.send_all(UPGRADE.format(host=host, more=more).encode())
                assert (await stream.receive_some()).startswith(b"HTTP/1.1 101 ")


async def statuses(pod: Pod, count: int, **headers: str) -> list[int]:
    """Connect one after the other and leave at once; the status of each answer."""
    found, told = [], []
    for _ in range(count):
        try:
            async with connected(pod, additional_headers=headers):
                found.append(101)
        except InvalidStatus as error:
            found.append(error.response.status_code)
            told.append(int(error.response.headers["Retry-After"]))
    assert all(told)
    return found


async def test_a_herd_is_told_when_to_come_back_before_it_costs_a_handshake() -> None:
    async with running_pod(pod_config(accept_rate=0.001, accept_burst=3, address_share=1.0)) as pod:
        assert await statuses(pod, 5) == [101, 101, 101, 503, 503]
        assert pod.meters.rate_limited == {"accepts": 2}


async def test_one_address_has_a_share_of_the_connections_and_gets_it_back() -> None:
    async with running_pod(pod_config(max_connections_per_address=1)) as pod:
        async with connected(pod):
            assert await statuses(pod, 1) == [429]
        while pod.connections() or find_node(pod.tree(), "pod/connections").detail["count"]:
            await trio.lowlevel.checkpoint()
        assert await statuses(pod, 1) == [101]
        assert pod.meters.rate_limited == {"address": 1}


def addresses(pod: Pod) -> list[str]:
    return [member.address for member in pod.members.values()]


async def test_a_trusted_proxy_says_who_the_client_is() -> None:
    config = pod_config(max_connections_per_address=1)
    config = evolve(config, server=evolve(config.server, trusted_proxies=("127.0.0.0/8",)))
    headers = {"X-Forwarded-For": "9.9.9.9, 203.0.113.5"}
    async with running_pod(config) as pod, connected(pod, additional_headers=headers):
        assert addresses(pod) == ["203.0.113.5"]
        assert await statuses(pod, 1, **headers) == [429]
        assert await statuses(pod, 1, **{"X-Forwarded-For": "203.0.113.6"}) == [101]


async def test_nobody_else_says_who_the_client_is() -> None:
    headers = {"X-Forwarded-For": "203.0.113.5"}
    async with running_pod(pod_config()) as pod, connected(pod, additional_headers=headers):
        assert addresses(pod) == ["127.0.0.1"]
