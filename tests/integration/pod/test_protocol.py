"""The wire protocol, spoken by clients that this project did not write."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from attrs import evolve
from websockets.exceptions import ConnectionClosed

from deployd.config import Access, Auth, Config, Rule, Speaker, Who
from deployd.supervisors import Pod
from support import Client, connected, pod_config, running_pod


def user_token(pod: Pod, user: str = "ada", *, root: bool = False, ttl: float = 60.0) -> str:
    return pod.tokens.sign(user, username=user.title(), is_root=root, ttl=ttl)


async def test_the_first_message_greets_with_the_clients_id_and_the_time() -> None:
    async with running_pod() as pod, connected(pod) as [client]:
        assert client.client_id in pod.members
        assert isinstance(client.client_id, str)


async def test_two_clients_talk_through_a_room_and_the_sender_hears_itself() -> None:
    async with running_pod() as pod, connected(pod, 2) as [ada, ben]:
        await ada.join("tea")
        await ben.join("tea")
        await ada.send("emit", event="said", data={"text": "hello"}, room="tea")
        for client in (ada, ben):
            message = await client.expect("emit", event="said", room="tea", data={"text": "hello"})
            assert message["meta"]["seq"] == 1
            assert isinstance(message["meta"]["timestamp"], int)


async def test_only_members_hear_a_room() -> None:
    async with running_pod() as pod, connected(pod, 2) as [ada, ben]:
        await ada.join("tea")
        await ben.join("coffee")
        await ada.send("emit", event="said", data=1, room="tea")
        await ada.expect("emit", room="tea")
        await ben.send("emit", event="said", data=2, room="coffee")
        await ben.expect("emit", room="coffee", data=2)


async def test_who_has_left_hears_no_more_and_leaving_twice_is_harmless() -> None:
    async with running_pod() as pod, connected(pod, 2) as [ada, ben]:
        await ada.join("tea")
        await ben.join("tea")
        for _ in range(2):
            await ben.send("leave", room="tea")
            await ben.expect("leave", room="tea")
        await ada.send("emit", event="said", data=1, room="tea", id=1)
        await ada.expect("emit")
        assert (await ben.ask("join", room="other"))["type"] == "join"


async def test_answers_carry_the_id_that_the_client_put_on_its_message() -> None:
    async with running_pod() as pod, connected(pod) as [client]:
        assert (await client.ask("join", room="tea", id="a"))["id"] == "a"
        assert (await client.ask("join", room="tea", id=1.5))["id"] == 1.5
        assert (await client.ask("auth", token="no", id=7))["id"] == 7
        assert (await client.ask("dance", id=8))["id"] == 8
        await client.send("emit", event="said", data=None, room="tea", id=9)
        said = await client.expect("emit")
        receipt = await client.expect("receipt", id=9)
        assert receipt["data"] == {"scope": "local", "id": said["meta"]["id"]}
        assert (await client.ask("leave", room="tea", id=10))["id"] == 10


async def test_an_emit_without_an_id_is_not_answered() -> None:
    async with running_pod() as pod, connected(pod) as [client]:
        await client.join("empty")
        await client.send("emit", event="said", data=1, room="empty")
        await client.expect("emit", data=1)
        assert (await client.ask("join", room="tea"))["type"] == "join"


async def test_an_emit_into_a_room_where_nobody_is_still_gets_its_receipt() -> None:
    access = Access(rules={"empty": Rule(emit=Speaker.ANYONE)})
    config = evolve(pod_config(), access=access)
    async with running_pod(config) as pod, connected(pod) as [client]:
        receipt = await client.ask("emit", event="said", data=1, room="empty", id="x")
        assert (receipt["type"], receipt["data"]["scope"]) == ("receipt", "rejected")


async def test_a_good_token_authenticates_and_a_root_token_says_so() -> None:
    async with running_pod() as pod, connected(pod) as [client]:
        answer = await client.ask("auth", token=user_token(pod))
        assert answer["data"] == {"authenticated": True, "user_id": "ada", "is_root": False}
        answer = await client.ask("auth", token=user_token(pod, "eve", root=True))
        assert answer["data"] == {"authenticated": True, "user_id": "eve", "is_root": True}


async def test_an_emit_to_everyone_needs_a_token_and_reaches_everyone() -> None:
    async with running_pod() as pod, connected(pod, 2) as [ada, ben]:
        refused = await ada.ask("emit", event="news", data=1, id=1)
        assert refused["data"]["code"] == "auth_required"
        await ada.ask("auth", token=user_token(pod))
        await ada.send("emit", event="news", data=1)
        for client in (ada, ben):
            message = await client.expect("emit", event="news", data=1)
            assert "room" not in message


async def test_the_hub_speaks_to_all_to_a_room_and_for_a_collection() -> None:
    async with running_pod() as pod, connected(pod, 3) as [ada, ben, cas]:
        await ada.join("collection:todos")
        await ben.join("collections")
        receipt = pod.hub.emit_collection_change("todos", "created", {"id": "1"})
        assert receipt.scope == "local"
        await ada.expect("emit", event="created", room="collection:todos", data={"id": "1"})
        change = {"collection": "todos", "type": "created", "data": {"id": "1"}}
        await ben.expect("emit", event="created", room="collections", data=change)
        assert pod.hub.emit_to_all("news", [1]).scope == "local"
        for client in (ada, ben, cas):  # cas heard nothing of the collection
            await client.expect("emit", event="news", data=[1])
        pod.hub.emit_to_room("collection:todos", "hello", None)
        await ada.expect("emit", event="hello", data=None)


BAD = {
    "malformed JSON": ("{", "bad_json"),
    "not an object": ("[1]", "not_an_object"),
    "no type": ("{}", "missing_type"),
    "type of a wrong type": ('{"type": 1}', "wrong_type"),
    "unknown type": ('{"type": "dance"}', "unknown_type"),
    "join without room": ('{"type": "join"}', "missing_field"),
    "leave without room": ('{"type": "leave"}', "missing_field"),
    "emit without event": ('{"type": "emit", "room": "tea"}', "missing_field"),
    "auth without token": ('{"type": "auth"}', "missing_field"),
    "room of a wrong type": ('{"type": "join", "room": 7}', "wrong_type"),
    "event of a wrong type": ('{"type": "emit", "event": {}, "room": "t"}', "wrong_type"),
    "token of a wrong type": ('{"type": "auth", "token": []}', "wrong_type"),
    "bad token": ('{"type": "auth", "token": "x.y.z"}', "bad_token"),
    "room with a blank": ('{"type": "join", "room": "a b"}', "bad_room"),
    "room with a wildcard": ('{"type": "join", "room": "a.*"}', "bad_room"),
    "room too long": ('{"type": "join", "room": "%s"}' % ("x" * 129), "bad_room"),
    "event with a line end": (r'{"type": "emit", "event": "a\n", "room": "t"}', "bad_event"),
    "event of the server": ('{"type":"emit","event":"system:x","room":"t"}', "event_reserved"),
    "emit into a collection": (
        '{"type": "emit", "event": "created", "room": "collection:todos"}',
        "room_reserved",
    ),
    "emit into all collections": (
        '{"type": "emit", "event": "created", "room": "collections"}',
        "room_reserved",
    ),
    "emit as the system": ('{"type": "emit", "event": "x", "room": "system:x"}', "room_reserved"),
    "join the system": ('{"type": "join", "room": "system:x"}', "auth_required"),
}


@pytest.mark.parametrize(("text", "code"), BAD.values(), ids=BAD.keys())
async def test_bad_input_gets_its_own_error_and_the_connection_stays(text: str, code: str) -> None:
    async with running_pod() as pod, connected(pod) as [client]:
        await client.send_raw(text)
        error = await client.expect("error")
        assert error["data"]["code"] == code
        assert error["error"].endswith(".")
        await client.join("tea")


async def test_an_expired_token_is_told_apart_from_a_bad_one() -> None:
    async with running_pod() as pod, connected(pod) as [client]:
        answer = await client.ask("auth", token=user_token(pod, ttl=-60))
        assert answer["data"]["code"] == "expired_token"


async def test_a_client_is_held_to_its_number_of_rooms() -> None:
    config = pod_config(max_rooms_per_client=2)
    async with running_pod(config) as pod, connected(pod) as [client]:
        await client.join("one")
        await client.join("two")
        assert (await client.ask("join", room="three"))["data"]["code"] == "too_many_rooms"
        await client.join("two")  # it is in there already
        await client.ask("leave", room="one")
        await client.join("three")


async def test_clients_may_open_only_so_many_rooms_on_a_pod() -> None:
    config = pod_config(max_client_rooms=1)
    async with running_pod(config) as pod, connected(pod) as [client]:
        await client.join("one")
        assert (await client.ask("join", room="two"))["data"]["code"] == "too_many_rooms"


async def test_a_client_that_is_too_fast_is_told_once_and_stays() -> None:
    config = pod_config(message_rate_limit=5)
    async with running_pod(config) as pod, connected(pod) as [client]:
        for n in range(10):
            await client.send("leave", room=f"r{n}")
        answers = [await client.receive() for _ in range(6)]
        kinds = [answer["type"] for answer in answers]
        assert kinds.count("leave") >= 5
        assert [a["data"]["code"] for a in answers if a["type"] == "error"] == ["too_fast"]


async def test_repeated_abuse_is_closed_with_its_code() -> None:
    config = pod_config(abuse_limit=3)
    async with running_pod(config) as pod, connected(pod, 2) as [bad, good]:
        for _ in range(4):
            await bad.send_raw("{")
        assert (await bad.closed())[0] == 4502
        await good.join("tea")


async def test_a_binary_message_is_closed_with_1003() -> None:
    async with running_pod() as pod, connected(pod) as [client]:
        await client.socket.send(b"\x00")
        assert (await client.closed())[0] == 1003


async def test_a_message_over_the_limit_in_bytes_is_closed_with_1009() -> None:
    async with running_pod(pod_config(max_message_bytes=64)) as pod, connected(pod) as [client]:
        await client.send_raw("ä" * 33)  # 33 characters, 66 bytes
        assert (await client.closed())[0] == 1009


async def test_a_flood_of_fragments_is_closed() -> None:
    async with running_pod(pod_config(max_fragments=4)) as pod, connected(pod) as [client]:
        with suppress(ConnectionClosed):  # it is closed while the client still sends
            await client.socket.send(["a"] * 6)
        assert (await client.closed())[0] == 1008


def rules(**access: Any) -> Config:
    return evolve(pod_config(), access=Access(**access))


@pytest.mark.parametrize(
    ("who", "anonymous", "user", "root"),
    [
        (Who.ANYONE, None, None, None),
        (Who.AUTHENTICATED, "auth_required", None, None),
        (Who.ROOT, "auth_required", "forbidden", None),
        (Who.NOBODY, "forbidden", "forbidden", "forbidden"),
    ],
)
async def test_rooms_are_as_open_as_the_rules_say(
    who: Who, anonymous: str | None, user: str | None, root: str | None
) -> None:
    config = rules(rules={"in-*": Rule(join=who), "out-*": Rule(emit=Speaker(who))})
    async with running_pod(config) as pod, connected(pod) as [client]:

        async def attempt(expected: str | None) -> None:
            joined = await client.ask("join", room="in-1")
            emitted = await client.ask("emit", event="x", data=1, room="out-1", id=1)
            for answer in (joined, emitted):
                assert answer.get("data", {}).get("code") == expected

        await attempt(anonymous)
        await client.ask("auth", token=user_token(pod))
        await attempt(user)
        await client.ask("auth", token=user_token(pod, root=True))
        await attempt(root)


async def test_where_a_token_is_required_nothing_else_is_heard_before_it() -> None:
    config = evolve(pod_config(), auth=Auth(required=True))
    async with running_pod(config) as pod, connected(pod) as [client]:
        assert (await client.ask("join", room="tea"))["data"]["code"] == "auth_required"
        await client.ask("auth", token=user_token(pod))
        await client.join("tea")


async def test_a_client_that_goes_is_taken_out_of_its_rooms() -> None:
    async with running_pod() as pod, connected(pod) as [ada]:
        await ada.join("tea")
        async with connected(pod) as [ben]:
            await ben.join("tea")
            assert pod.connections() == 2
        await until_gone(pod, ada, ben)
        assert pod.connections() == 1


async def until_gone(pod: Pod, stays: Client, goes: Client) -> None:
    """Talk until the pod has noticed; each round trip lets it work."""
    for _ in range(100):
        if goes.client_id not in pod.members:
            return
        await stays.ask("emit", event="x", data=1, room="nowhere", id=1)
    raise AssertionError("the pod has not noticed")
