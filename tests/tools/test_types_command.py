"""`deployd types`: what it writes is held against TypeScript's own compiler."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from deployd.tools.cli import cli
from support.typescript import typescript_errors

CLIENT = Path(__file__).parents[2] / "web" / "client"
ROOMS = '''
import enum
from dataclasses import dataclass
from typing import Any, Literal, NotRequired, TypedDict

from attrs import Factory, field, frozen

from deployd.actors import JSON, Member, Room, on


class Suit(enum.Enum):
    HEARTS = "hearts"
    SPADES = "spades"


@frozen
class Bid:
    """What somebody gives. */ {}"""

    amount: float
    note: str = ""
    suits: list[Suit] = Factory(list)


@dataclass
class Leading:
    user: str
    history: list["Bid"]
    ends: float | None = None


Place = TypedDict("Place", {"x-y": int, "label": NotRequired[str | None]})


@frozen
class Ticket:
    row: int


@frozen
class Game:
    """A type that is called as a room is."""

    moves: list[tuple[int, str]]
    next: "Game | None" = None


class Auction(Room[None]):
    """Sells to whoever gives most.

    Within a minute.
    """

    async def authorize_join(self, member: Member, params: Ticket) -> bool:
        return True

    @on("bid")
    def bid(self, member: Member, bid: Bid) -> Leading:
        """Let them lead."""
        return Leading("ann", [bid])

    @on("give-up")
    async def give_up(self, member: Member) -> None:
        """Leave it to others."""

    @on("go")
    def go(self, member: Member, place: Place | Literal["home", 1]) -> dict[str, Place]:
        return {}

    @on("raise")
    def more(self, member: Member, by: int | None) -> int | None:
        return by

    @on("anything")
    def anything(self, member: Member, data: JSON) -> Any:
        return data


class GameRoom(Room[None]):
    @on("state")
    def current(self, member: Member) -> Game:
        return Game([])


class Chat(Room[None]):
    async def authorize_join(self, member: Member, params: int | None) -> bool:
        return True

    async def on_message(self, member: Member, event: str, data: JSON) -> None:
        self.broadcast(event, data)

    @on("say")
    def say(self, member: Member, text: str) -> int:
        return 1


Other = type("Game", (Chat,), {})
'''
PROGRAM = """
import Deployd = require('./dpd');
import type { Auction, Bid, Chat, Game, GameRoom, Leading } from './rooms';

const dpd = new Deployd('http://localhost:2403');

export async function program(): Promise<void> {
  const auction = dpd.room<Auction>('auction-1', { row: 3 });
  const leading: Leading = await auction.emit('bid', { amount: 15, suits: ['hearts'] });
  const bid: Bid = leading.history[0];
  const ends: number | null = leading.ends;
  const nothing: null = await auction.emit('give-up');
  const places = await auction.emit('go', { 'x-y': 1, label: null });
  const x: number = places['a']['x-y'];
  await auction.emit('go', 'home');
  const by: number | null = await auction.emit('raise');
  await auction.emit('anything', { what: ['ever'] });
  const chat = dpd.room<Chat>('chat-1');
  const place: number = await chat.emit('say', 'hello');
  await chat.emit('wave', { at: 'all' });
  const game = await dpd.room<GameRoom>('game-1').emit('state');
  const move: [number, string] = game.moves[0];
  const other = dpd.room<Game>('other', 5);
  await other.emit('say', 'hello');
  void [bid, ends, nothing, x, by, place, move];
  // @ts-expect-error
  dpd.room<Auction>('auction-1');
  // @ts-expect-error
  await auction.emit('bid', { amount: '15' });
  // @ts-expect-error
  await auction.emit('bid', { amount: 1, suits: ['clubs'] });
  // @ts-expect-error
  await auction.emit('sell', 1);
  // @ts-expect-error
  await auction.emit('go', 'away');
  // @ts-expect-error
  (await auction.emit('bid', { amount: 1 })).winner;
  // @ts-expect-error
  await chat.emit('say', 5);
}
"""


@pytest.fixture
def rooms(folder: Path) -> Iterator[Path]:
    (folder / "rooms_to_type.py").write_text(ROOMS)
    names = {"auction-*": "Auction", "sale-*": "Auction", "chat-*": "Chat", "game-*": "GameRoom"}
    bound = {pattern: f"rooms_to_type:{name}" for pattern, name in names.items()}
    bound["other"] = "rooms_to_type:Other"
    (folder / "pod.json").write_text(json.dumps({"rooms": bound}))
    path = list(sys.path)
    yield folder
    sys.path[:] = path
    sys.modules.pop("rooms_to_type", None)


def printed(runner: CliRunner, *arguments: str) -> Result:
    return runner.invoke(cli, ["types", "--config", "pod.json", *arguments])


async def test_typescript_checks_what_is_emitted_in_a_room_and_its_answer(
    runner: CliRunner, rooms: Path
) -> None:
    result = printed(runner)
    assert result.exit_code == 0, result.output
    (rooms / "rooms.d.ts").write_text(result.stdout)
    (rooms / "program.ts").write_text(PROGRAM)
    for file in CLIENT.iterdir():
        shutil.copy(file, rooms)
    assert await typescript_errors(rooms, "rooms.d.ts", "program.ts") == ""


def test_what_authors_say_and_what_a_class_is_bound_to_stands_beside_it(
    runner: CliRunner, rooms: Path
) -> None:
    text = printed(runner).stdout
    assert " * Sells to whoever gives most.\n *\n * Within a minute.\n" in text
    assert " * Bound to auction-*, sale-*.\n */\nexport interface Auction {\n" in text
    assert "    /** Let them lead. */\n    bid: { data: Bid; answer: Leading };\n" in text
    assert "/** What somebody gives. * / {} */\nexport interface Bid {\n" in text
    assert '    "give-up": { answer: null };\n' in text
    assert "  params: Ticket;\n" in text
    assert "  params?: number | null;\n" in text


def test_a_class_is_written_once_and_a_type_gives_way_to_a_room_of_its_name(
    runner: CliRunner, rooms: Path
) -> None:
    declared = re.findall(r"^export (?:interface|type) (\w+)", printed(runner).stdout, re.MULTILINE)
    assert declared[:4] == ["Auction", "Chat", "GameRoom", "Game"]
    assert sorted(set(declared)) == sorted(declared)
    assert {"Bid", "BidAnswer", "GameAnswer"} <= set(declared)


def test_only_a_room_that_takes_other_events_allows_them(runner: CliRunner, rooms: Path) -> None:
    _, auction, chat, *_ = printed(runner).stdout.split("export interface ")
    assert "[event: string]" not in auction
    assert "[event: string]: { data?: any; answer: any };" in chat


def test_settings_without_rooms_are_told_of(runner: CliRunner, folder: Path) -> None:
    (folder / "pod.json").write_text("{}")
    result = printed(runner)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "No class of rooms is bound in pod.json" in result.stderr


def test_a_class_that_cannot_be_loaded_is_told_of(runner: CliRunner, folder: Path) -> None:
    (folder / "pod.json").write_text('{"rooms": {"a-*": "nowhere:Room"}}')
    result = printed(runner)
    assert result.exit_code == 1
    assert "no module 'nowhere'" in result.stderr
