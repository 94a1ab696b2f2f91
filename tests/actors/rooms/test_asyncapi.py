"""The AsyncAPI document of rooms: valid by the specification's own schema, and true."""

from __future__ import annotations

import json
from typing import Any

import pytest
from attrs import frozen
from jsonschema import Draft7Validator
from referencing import Registry
from referencing.jsonschema import DRAFT7

from deployd.actors import JSON, Member, Room, on
from deployd.actors.rooms import OfferedRooms, asyncapi
from support.packages_of_node import package_of_npm


@frozen
class Raise:
    """More money."""

    amount: float


@frozen
class Best:
    user: str
    amount: float = 0


@frozen
class Door:
    row: int


class Sale(Room[None]):
    """Sells to whoever gives most."""

    async def authorize_join(self, member: Member, params: Door) -> bool:
        return True

    @on("bid")
    def bid(self, member: Member, offer: Raise) -> Best:
        """Let them lead.

        Until somebody gives more.
        """
        return Best("ann", offer.amount)

    @on("give-up/now")
    async def give_up(self, member: Member) -> None:
        return None

    @on("note")
    async def note(self, member: Member, data: JSON) -> JSON:
        return data


class Talk(Room[None]):
    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        self.broadcast(event, data)


def made_for_sale() -> Sale:
    return Sale()


def document(*rooms: OfferedRooms) -> Any:
    return asyncapi(rooms, "1.2.3", host="pod:2403", encrypted=False)


def payload(made: Any, channel: str, message: str) -> Any:
    described = made["channels"][channel]["messages"][message]["payload"]
    return Draft7Validator({**described, "components": made["components"]})


@pytest.fixture(scope="module")
def specification() -> Any:
    file = package_of_npm("@asyncapi/specs") / "schemas" / "3.0.0.json"
    schema = json.loads(file.read_text())
    registry = Registry().with_resources(
        (one["$id"], DRAFT7.create_resource(one)) for one in schema["definitions"].values()
    )
    return Draft7Validator(schema, registry=registry)


@pytest.mark.parametrize(
    "rooms",
    [
        (),
        (OfferedRooms("sale-*", Sale), OfferedRooms("*", Talk)),
        (OfferedRooms("sale-*", Sale, speaks=False),),
        (OfferedRooms("a-*-b-*", made_for_sale), OfferedRooms("ä/*", lambda: Sale())),
    ],
    ids=len,
)
def test_the_document_is_one_by_the_specifications_own_schema(
    specification: Any, rooms: tuple[OfferedRooms, ...]
) -> None:
    errors = [f"{error.json_path}: {error.message}" for error in specification.iter_errors(
        document(*rooms)
    )]  # fmt: skip
    assert errors == []


def test_the_schema_finds_faults_at_all(specification: Any) -> None:
    made = document(OfferedRooms("sale-*", Sale))
    made["operations"]["sale.join"]["action"] = "shout"
    assert not specification.is_valid(made)


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if "$ref" in value else []
        return own + [ref for one in value.values() for ref in references(one)]
    return [ref for one in value for ref in references(one)] if isinstance(value, list) else []


def test_every_reference_leads_somewhere() -> None:
    made = document(OfferedRooms("sale-*", Sale), OfferedRooms("sale*", made_for_sale))
    for reference in references(made):
        found = made
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
    assert "#/components/schemas/Raise" in references(made)


def test_a_handler_is_an_operation_with_its_data_its_answer_and_no() -> None:
    made = document(OfferedRooms("sale-*", Sale))
    operation = made["operations"]["sale.emit.bid"]
    assert operation["action"] == "receive"
    assert operation["summary"] == "Let them lead."
    assert operation["description"] == "Until somebody gives more."
    assert [one["$ref"].rpartition("/")[2] for one in operation["reply"]["messages"]] == [
        "emit.bid.answer",
        "refused",
    ]
    said = payload(made, "sale", "emit.bid")
    frame = {"type": "emit", "room": "sale-1", "event": "bid", "data": {"amount": 1}, "id": 1}
    assert said.is_valid(frame)
    for wrong in ({"data": {"amount": "1"}}, {"event": "sell"}, {"type": "join"}, {"id": None}):
        assert not said.is_valid({**frame, **wrong})
    del frame["data"]
    assert not said.is_valid(frame)
    receipt = {"type": "receipt", "room": "sale-1", "id": 1, "data": {"scope": "local", "id": "e"}}
    answered = payload(made, "sale", "emit.bid.answer")
    assert not answered.is_valid(receipt)
    receipt["data"] = {"scope": "local", "id": "e", "answer": {"user": "ann", "amount": 1}}
    assert answered.is_valid(receipt)
    receipt["data"] = {"scope": "local", "id": "e", "answer": {"user": "ann"}}
    assert not answered.is_valid(receipt)


def test_a_join_brings_what_the_room_asks_for() -> None:
    made = document(OfferedRooms("sale-*", Sale), OfferedRooms("*", Talk))
    sale, talk = payload(made, "sale", "join"), payload(made, "any", "join")
    assert sale.is_valid({"type": "join", "room": "sale-1", "data": {"row": 3}})
    assert not sale.is_valid({"type": "join", "room": "sale-1"})
    assert talk.is_valid({"type": "join", "room": "x"})


def test_channels_are_the_patterns() -> None:
    made = document(OfferedRooms("a-*-b-*", Sale), OfferedRooms("a-b", Talk))
    addresses = {name: one["address"] for name, one in made["channels"].items()}
    assert addresses == {"a--b": "a-{name}-b-{name2}", "a-b": "a-b"}
    assert set(made["channels"]["a--b"]["parameters"]) == {"name", "name2"}
    assert made["channels"]["a--b"]["description"] == "Sells to whoever gives most."
    assert "parameters" not in made["channels"]["a-b"]


def test_a_room_that_takes_other_events_says_so_and_one_that_refuses_them_does_not() -> None:
    made = document(OfferedRooms("sale", Sale), OfferedRooms("talk", Talk))
    assert "talk.emit" in made["operations"]
    assert "sale.emit" not in made["operations"]
    assert {"sale.emit.give-up_now", "sale.emit.note"} <= set(made["operations"])


def test_who_may_not_speak_is_told_of_no_event() -> None:
    made = document(OfferedRooms("sale", Sale, speaks=False))
    assert set(made["operations"]) == {"sale.join", "sale.hear"}
    assert made["components"]["schemas"].keys() == {"Door"}


def test_a_function_tells_of_which_class_its_rooms_are_by_its_annotation() -> None:
    made = document(OfferedRooms("a", made_for_sale), OfferedRooms("b", lambda: Sale()))
    assert made["channels"]["a"]["title"] == "Sale"
    assert set(made["operations"]) >= {"a.emit.bid", "b.join", "b.emit"}
    assert "b.emit.bid" not in made["operations"]
