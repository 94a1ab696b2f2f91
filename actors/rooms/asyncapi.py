"""The AsyncAPI document (version 3.0) of a pod's rooms, made from their classes.

A channel for each pattern that a class is bound to; what is received are the messages of the
native protocol as they go over the WebSocket, joins and events, each with its answers. What rooms
say by themselves no annotation tells.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from attrs import frozen

from ...transport import JSON
from .handlers.json_schema import Schema, Schemas, may_be_left_out
from .offer import EventOffer, RoomOffer, class_made_by, offer_of
from .rooms import RoomFactory

__all__ = ["OfferedRooms", "asyncapi"]

_ABOUT: Final = (
    "Rooms over one WebSocket: a message names its room, which is the channel's address. Whoever "
    "gives a message an `id` is answered with the same `id`. A room that asks who you are is "
    "joined after an `auth` message with a token."
)
_UNKNOWN: Final = "Made by a function that does not say of which class."
_ID: Final[Schema] = {"type": ["string", "number"]}
_META: Final[Schema] = {
    "type": "object",
    "properties": {"timestamp": {"type": "integer", "description": "Unix seconds."}},
}
_REFUSED: Final[Schema] = {
    "name": "error",
    "title": "No",
    "summary": "The sentence is for people, `code` for programs; a room's `Refuse` adds to `data`.",
    "correlationId": {"location": "$message.payload#/id"},
    "payload": {
        "type": "object",
        "required": ["type", "error", "data"],
        "properties": {
            "type": {"const": "error"},
            "error": {"type": "string"},
            "room": {"type": "string"},
            "id": _ID,
            "data": {
                "type": "object",
                "required": ["code"],
                "properties": {
                    "code": {"type": "string"},
                    "path": {"type": "string", "description": "Where the data does not fit."},
                    "retryAfter": {"type": "number", "description": "Seconds."},
                },
            },
            "meta": _META,
        },
    },
}
_SCOPES: Final[list[JSON]] = ["cluster", "partial", "local", "queued", "rejected"]


@frozen
class OfferedRooms:
    """The rooms of a pattern, as they are offered to somebody: whether this one `speaks` there."""

    pattern: str
    factory: RoomFactory
    speaks: bool = True


def asyncapi(
    offered: Sequence[OfferedRooms], version: str, *, host: str, encrypted: bool
) -> Schema:
    """Return the document; `host` is where the pod is reached, with its port."""
    schemas = Schemas()
    channels, operations = dict[str, JSON](), dict[str, JSON]()
    for rooms in offered:
        described = _Channel(_free(_key(rooms.pattern.replace("*", "")), channels), rooms, schemas)
        channels[described.name] = described.channel()
        operations.update(described.operations())
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "deployd", "version": version, "description": _ABOUT},
        "defaultContentType": "application/json",
        "servers": {
            "pod": {
                "host": host,
                "pathname": "/socket.io/",
                "protocol": "wss" if encrypted else "ws",
            }
        },
        "channels": channels,
        "operations": operations,
        "components": {"schemas": dict(schemas.named), "messages": {"refused": _REFUSED}},
    }


class _Channel:
    """The rooms of one pattern."""

    def __init__(self, name: str, rooms: OfferedRooms, schemas: Schemas) -> None:
        self.name = name
        self._pattern = rooms.pattern
        cls = class_made_by(rooms.factory)
        self._offer = (
            RoomOffer(name, _UNKNOWN, {}, (), others=rooms.speaks)
            if cls is None
            else offer_of(cls, schemas, speaks=rooms.speaks)
        )
        self._messages: dict[str, JSON] = {"refused": {"$ref": "#/components/messages/refused"}}
        self._operations = dict(self._described())

    def channel(self) -> Schema:
        address, parameters = _address(self._pattern)
        about = self._offer.about
        return {
            "address": address,
            "title": self._offer.name,
            **({"description": about} if about else {}),
            **({"parameters": parameters} if parameters else {}),
            "messages": self._messages,
        }

    def operations(self) -> Mapping[str, JSON]:
        return self._operations

    def _described(self) -> Iterator[tuple[str, JSON]]:
        yield self._join()
        yield from (self._emit(event) for event in self._offer.events)
        if self._offer.others:
            yield self._emit_others()
        said = {**_emit_frame({"type": "string"}, {}), "description": "What the room says."}
        yield self._operation("hear", "Be told what the room says", said, action="send")

    def _join(self) -> tuple[str, JSON]:
        params = self._offer.params
        data: Schema = {} if params is None else {"data": params}
        needed = [] if params is None or may_be_left_out(params) else ["data"]
        asked = _frame("join", {**data, "id": _ID}, needed)
        joined = _frame("join", {"id": _ID, "meta": _META})
        return self._operation("join", "Join the room", asked, joined)

    def _emit(self, event: EventOffer) -> tuple[str, JSON]:
        data: Schema = {} if event.takes is None else event.takes
        asked = _emit_frame({"const": event.event}, data)
        receipt = _receipt(event.gives)
        summary = event.about or f"Emit '{event.event}'"
        return self._operation(f"emit.{_key(event.event)}", summary, asked, receipt)

    def _emit_others(self) -> tuple[str, JSON]:
        asked, receipt = _emit_frame({"type": "string"}, {}), _receipt(None)
        summary = "Emit any other event" if self._offer.events else "Emit any event"
        return self._operation("emit", summary, asked, receipt)

    def _operation(
        self,
        name: str,
        summary: str,
        said: Schema,
        answer: Schema | None = None,
        *,
        action: str = "receive",
    ) -> tuple[str, JSON]:
        first, _, rest = summary.partition("\n")
        name = _free(name, self._messages)
        self._messages[name] = _message(name, said)
        channel: Schema = {"$ref": f"#/channels/{self.name}"}
        described: Schema = {
            "action": action,
            "channel": channel,
            "summary": first,
            **({"description": rest.strip()} if rest.strip() else {}),
            "messages": [self._ref(name)],
        }
        if answer is not None:
            answered = f"{name}.answer"
            self._messages[answered] = _message(answered, answer)
            answers: list[JSON] = [self._ref(answered), self._ref("refused")]
            described["reply"] = {"channel": channel, "messages": answers}
        return f"{self.name}.{name}", described

    def _ref(self, message: str) -> Schema:
        return {"$ref": f"#/channels/{self.name}/messages/{message}"}


# -- what goes over the WebSocket --------------------------------------------------------------


def _message(name: str, payload: Schema) -> Schema:
    described: Schema = {"name": name, "payload": payload}
    properties = payload["properties"]
    if isinstance(properties, dict) and "id" in properties:
        described["correlationId"] = {"location": "$message.payload#/id"}
    return described


def _frame(kind: str, more: Schema, needed: Sequence[str] = ()) -> Schema:
    return {
        "type": "object",
        "required": ["type", "room", *needed],
        "properties": {"type": {"const": kind}, "room": {"type": "string"}, **more},
    }


def _emit_frame(event: Schema, data: Schema) -> Schema:
    needed = ["event"] if may_be_left_out(data) else ["event", "data"]
    return _frame("emit", {"event": event, "data": data, "id": _ID}, needed)


def _receipt(gives: Schema | None) -> Schema:
    properties: Schema = {"scope": {"enum": _SCOPES}, "id": {"type": "string"}}
    properties |= {name: {"type": "integer"} for name in ("pods", "of", "members")}
    required: list[JSON] = ["scope", "id"]
    if gives is not None:
        properties["answer"] = gives
        if not may_be_left_out(gives):
            required.append("answer")
    data: Schema = {"type": "object", "required": required, "properties": properties}
    return _frame("receipt", {"id": _ID, "data": data, "meta": _META}, ("id", "data"))


# -- names -------------------------------------------------------------------------------------


def _address(pattern: str) -> tuple[str, Schema]:
    """Return a pattern as an address with parameters in braces, and these."""
    first, *rest = pattern.split("*")
    address, parameters = first, Schema()
    for number, part in enumerate(rest, 1):
        name = "name" if number == 1 else f"name{number}"
        parameters[name] = {"description": "Anything."}
        address += f"{{{name}}}{part}"
    return address, parameters


def _key(text: str) -> str:
    """Return a text as it may stand in a reference."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", text).strip("_-") or "any"


def _free(wanted: str, taken: Mapping[str, JSON]) -> str:
    name, number = wanted, 2
    while name in taken:
        name, number = f"{wanted}{number}", number + 1
    return name
