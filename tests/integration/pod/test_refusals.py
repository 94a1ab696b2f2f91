"""Every refusal says in fields what it answers: a client acts without reading sentences."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
import trio
import trio.testing
from attrs import evolve, field, frozen
from websockets.trio.client import connect

from deployd.actors import JSON, Member, Room
from deployd.config import AccessSettings, AuthSettings, Config, Rule, Speaker, Who
from support import Client, connected, pod_config, running_pod

KINDS: Mapping[str, dict[str, Any]] = {
    "auth": {"token": "x.y.z"},
    "join": {"room": "tea"},
    "leave": {"room": "tea"},
    "emit": {"event": "said", "data": 1, "room": "tea"},
    "ping": {},
}


async def forever() -> bool:
    """Never come back."""
    while True:
        await trio.sleep_forever()


class Choosy(Room[None]):
    """Lets nobody in, but those who came before."""

    async def authorize_join(self, member: Member) -> bool:
        return False


class Strict(Room[None]):
    """Lets nobody speak."""

    async def authorize_emit(self, member: Member, event: str, data: JSON) -> bool:
        return False


class Broken(Room[None]):
    """Fails on what is said, and on who comes a second time."""

    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        raise RuntimeError("as ordered")


class Doorless(Room[None]):
    """Fails on whoever comes."""

    async def authorize_join(self, member: Member) -> bool:
        raise RuntimeError("as ordered")


class Stuck(Room[None]):
    """Never comes back from asking itself whether to let somebody in."""

    async def authorize_join(self, member: Member) -> bool:
        return await forever()


class Ending(Room[None]):
    """Ends when it is spoken to."""

    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        self.stop("over")


ROOMS: Mapping[str, type[Room[Any]]] = {
    "choosy": Choosy,
    "strict": Strict,
    "broken": Broken,
    "doorless": Doorless,
    "stuck": Stuck,
    "ending": Ending,
}


@frozen
class Case:
    """What is said, after having joined `joined`; the code of its refusal, and what it is about."""

    said: str
    code: str
    room: str | None = "tea"
    joined: str | None = None
    config: Config = field(factory=pod_config)


def say(kind: str, **fields: Any) -> str:
    return json.dumps({"type": kind, **KINDS.get(kind, {}), **fields})


def without(kind: str, name: str) -> str:
    return json.dumps({"type": kind, **{k: v for k, v in KINDS[kind].items() if k != name}})


def too_deep(kind: str) -> str:
    return say(kind)[:-1] + ', "more": ' + "[" * 70 + "]" * 70 + "}"


def room_of(kind: str) -> str | None:
    return KINDS[kind].get("room")


def rule(join: Who = Who.ANYONE, emit: Speaker = Speaker.MEMBERS) -> Config:
    return evolve(pod_config(), access=AccessSettings(rules={"tea": Rule(join, emit)}))


HALF = "half\ud83d"
WHOLE = "half\ufffd"
REQUIRED = evolve(pod_config(), auth=AuthSettings(required=True))
NO_JSON = {"more": float("nan")}
FULL = pod_config(max_rooms_per_client=1)
TOKENS = rule(emit=Speaker.AUTHENTICATED)
FULL_POD = pod_config(max_client_rooms=1)

CASES: dict[str, Case] = {
    "unknown": Case(say("dance", room="tea"), "unknown_type"),
    "no type": Case('{"room": "tea"}', "missing_type"),
    **{f"{kind} no JSON": Case(say(kind, **NO_JSON), "bad_json", room_of(kind)) for kind in KINDS},
    **{f"{kind} too deep": Case(too_deep(kind), "too_deep", room_of(kind)) for kind in KINDS},
    "auth without token": Case(without("auth", "token"), "missing_field", None),
    "join without room": Case(without("join", "room"), "missing_field", None),
    "leave without room": Case(without("leave", "room"), "missing_field", None),
    "emit without event": Case(without("emit", "event"), "missing_field"),
    "auth with token 7": Case(say("auth", token=7), "wrong_type", None),
    "join with room 7": Case(say("join", room=7), "wrong_type", None),
    "leave with room 7": Case(say("leave", room=7), "wrong_type", None),
    "emit with event 7": Case(say("emit", event=7), "wrong_type"),
    "bad token": Case(say("auth"), "bad_token", None),
    "token with half an emoji": Case(say("auth", token=HALF), "bad_token", None),
    "join bad room": Case(say("join", room="a b"), "bad_room", "a b"),
    "join half an emoji": Case(say("join", room=HALF), "bad_room", WHOLE),
    "emit bad room": Case(say("emit", room="a b"), "bad_room", "a b"),
    "emit bad event": Case(say("emit", event="a b"), "bad_event"),
    "emit half an emoji": Case(say("emit", event=HALF), "bad_event"),
    "emit as the pod": Case(say("emit", event="system:x"), "event_reserved"),
    "emit where the pod does": Case(
        say("emit", room="collections"), "room_reserved", "collections"
    ),
    "join unknown": Case(say("join"), "auth_required", config=REQUIRED),
    "leave unknown": Case(say("leave"), "auth_required", config=REQUIRED),
    "emit unknown": Case(say("emit"), "auth_required", config=REQUIRED),
    "join by rule": Case(say("join"), "auth_required", config=rule(join=Who.AUTHENTICATED)),
    "join by nobody": Case(say("join"), "forbidden", config=rule(join=Who.NOBODY)),
    "emit by rule": Case(
        say("emit"), "auth_required", "tea", "tea", rule(emit=Speaker.AUTHENTICATED)
    ),
    "emit by nobody": Case(say("emit"), "forbidden", "tea", "tea", rule(emit=Speaker.NOBODY)),
    "emit to everyone": Case(without("emit", "room"), "auth_required", None),
    "room too many": Case(say("join"), "too_many_rooms", "tea", "milk", FULL),
    "room too many here": Case(say("join"), "too_many_rooms", "tea", "milk", FULL_POD),
    "join refused": Case(say("join", room="choosy"), "room_forbidden", "choosy"),
    "emit by a stranger": Case(say("emit"), "not_a_member"),
    "emit refused": Case(say("emit", room="strict"), "room_forbidden", "strict", "strict"),
    "join crashes": Case(say("join", room="doorless"), "room_crashed", "doorless"),
    "emit crashes": Case(say("emit", room="broken"), "room_crashed", "broken", "broken"),
    "join hangs": Case(say("join", room="stuck"), "room_busy", "stuck"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_a_refusal_has_its_code_its_id_and_its_room(
    case: Case, autojump_clock: trio.testing.MockClock
) -> None:
    async with (
        running_pod(case.config, ROOMS) as pod,
        connected(pod, ping_interval=None) as [client],
    ):
        if case.joined is not None:
            await client.join(case.joined)
        for request_id in ("x", 0, 1.5):
            await client.send_raw(f'{{"id": {json.dumps(request_id)}, {case.said[1:]}')
            error = await client.expect("error", id=request_id, room=case.room)
            assert error["data"]["code"] == case.code
            assert isinstance(error["error"], str)


@pytest.mark.parametrize("kind", KINDS)
async def test_whoever_is_too_fast_and_waits_for_an_answer_gets_one_each_time(
    kind: str, autojump_clock: trio.testing.MockClock
) -> None:
    config = pod_config(message_rate_limit=1, join_rate_limit=1, max_rooms_per_client=1)
    async with running_pod(config) as pod, connected(pod, ping_interval=None) as [client]:
        await client.ask("ping")
        await client.join("first")
        for request_id in range(3):
            await client.send_raw(say(kind, id=request_id))
            error = await client.expect("error", id=request_id, room=room_of(kind))
            assert error["data"]["code"] == "too_fast"
            assert 0 < error["data"]["retryAfter"] <= 1
        await trio.sleep(error["data"]["retryAfter"])
        assert (await client.ask("ping", id=3))["type"] == "pong"


async def test_a_flood_that_waits_for_answers_is_closed_before_there_are_many() -> None:
    config = pod_config(message_rate_limit=1, abuse_limit=2)
    async with running_pod(config) as pod, connected(pod) as [client]:
        for request_id in range(100):
            await client.send("ping", id=request_id)
        assert (await client.closed())[0] == 4502


async def test_a_ping_is_answered_whoever_asks_and_whatever_else_he_waits_for() -> None:
    async with running_pod(REQUIRED) as pod, connected(pod) as [client]:
        assert (await client.ask("ping", id="x"))["id"] == "x"
        answer = await client.ask("ping")
        assert (answer["type"], "id" in answer) == ("pong", False)


async def test_the_greeting_tells_what_the_client_may_send() -> None:
    uri = "ws://127.0.0.1:{}/socket.io/"
    async with (
        running_pod(pod_config(max_message_bytes=123)) as pod,
        connect(uri.format(pod.port)) as socket,
    ):
        greeting = await Client(socket).expect("connect")
        assert greeting["data"]["limits"] == {"maxMessageBytes": 123}


async def test_receipts_name_their_room() -> None:
    async with running_pod() as pod, connected(pod) as [client]:
        await client.join("tea")
        await client.send("emit", event="said", room="tea", id="x")
        await client.expect("emit")
        await client.expect("receipt", id="x", room="tea")


async def test_who_is_told_unasked_is_told_of_which_room() -> None:
    config = evolve(
        rule(join=Who.AUTHENTICATED), auth=AuthSettings(leeway=0, on_expiry="downgrade")
    )
    async with running_pod(config, ROOMS) as pod, connected(pod) as [client]:
        await client.join("ending")
        await client.send("emit", event="x", room="ending")
        error = await client.expect("error", room="ending")
        assert error["data"]["code"] == "room_closed"
        await client.ask("auth", token=pod.tokens.sign("ada", ttl=2.0))
        await client.join("tea")
        messages = [await client.receive() for _ in range(2)]
        assert {m["data"]["code"]: m.get("room") for m in messages} == {
            "expired_token": None,
            "taken_out": "tea",
        }


@pytest.mark.parametrize("code", ["auth_required", "forbidden", "room_forbidden", "room_busy"])
async def test_what_no_client_could_know_is_no_abuse(
    code: str, autojump_clock: trio.testing.MockClock
) -> None:
    [case] = [case for case in CASES.values() if case.code == code and "join" in case.said][-1:]
    config = evolve(case.config, limits=evolve(case.config.limits, abuse_limit=1))
    async with (
        running_pod(config, ROOMS) as pod,
        connected(pod, ping_interval=None) as [client],
    ):
        for _ in range(5):
            await client.send_raw(case.said)
            assert (await client.expect("error"))["data"]["code"] == code
