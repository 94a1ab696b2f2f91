"""Who hears of a change, in which room, in what order, and with which properties."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from deployd.supervisors import Pod
from support import (
    MASTER,
    Client,
    collections_config,
    connected,
    find_node,
    running_collections,
    write_collection,
)


async def signed_in(pod: Pod, client: Client, user: str, **claims: Any) -> None:
    await client.send("auth", token=pod.tokens.sign(user, ttl=60, **claims))
    await client.expect("auth")


async def quiet(client: Client) -> None:
    """Make sure that nothing has come for the client before the answer to this."""
    await client.send("leave", room="nowhere", id="quiet")
    await client.expect("leave", id="quiet")


def bearer(pod: Pod, user: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {pod.tokens.sign(user, ttl=60)}"}


async def test_listeners_hear_of_each_change_and_nobody_else_does(tmp_path: Path) -> None:
    write_collection(tmp_path, "todos", {})
    write_collection(tmp_path, "notes", {})
    async with (
        running_collections(tmp_path) as (pod, http),
        connected(pod, 4) as [todos, everything, other, nobody],
    ):
        await todos.join("collection:todos")
        await everything.join("collections")
        await other.join("collection:notes")
        made = (await http.post("/todos", json={"title": "a"})).json()
        changed = (await http.put(f"/todos/{made['id']}", json={"title": "b"})).json()
        await http.delete(f"/todos/{made['id']}")
        for event, document in (("created", made), ("updated", changed), ("deleted", changed)):
            await todos.expect("emit", event=event, room="collection:todos", data=document)
            envelope = {"collection": "todos", "type": event, "data": document}
            await everything.expect("emit", event=event, room="collections", data=envelope)
        for client in (todos, everything, other, nobody):
            await quiet(client)


@pytest.mark.parametrize("right", ["authenticated", "owner", "root"])
async def test_who_may_not_read_a_collection_may_not_listen_to_it(
    tmp_path: Path, right: str
) -> None:
    write_collection(tmp_path, "notes", {"access": {"get": right}})
    async with running_collections(tmp_path) as (pod, _), connected(pod) as [client]:
        refused = await client.ask("join", room="collection:notes", id=1)
        assert (refused["type"], refused["data"]["code"]) == ("error", "auth_required")
        await signed_in(pod, client, "ada")
        answer = await client.ask("join", room="collection:notes", id=2)
        assert answer["type"] == ("error" if right == "root" else "join")


async def test_where_owners_read_each_hears_of_their_own_and_root_of_all(tmp_path: Path) -> None:
    access = {"get": "owner", "put": "owner"}
    write_collection(tmp_path, "notes", {"access": access})
    async with (
        running_collections(tmp_path) as (pod, http),
        connected(pod, 4) as [ada, ben, root, nobody],
    ):
        await signed_in(pod, ada, "ada")
        await signed_in(pod, ben, "ben")
        await signed_in(pod, root, "eve", is_root=True)
        for client in (ada, ben, root):
            await client.join("collection:notes")
        await nobody.join("collections")
        made = (await http.post("/notes", json={"t": 1}, headers=bearer(pod, "ada"))).json()
        await ada.expect("emit", event="created", data=made)
        await root.expect("emit", event="created", data=made)
        for client in (ada, ben, root, nobody):
            await quiet(client)


@pytest.mark.parametrize("private", [False, True], ids=["open", "private"])
@pytest.mark.parametrize("room", ["collection:notes", "collections"])
async def test_who_loses_a_document_hears_that_it_is_gone_and_who_gains_it_that_it_came(
    tmp_path: Path, room: str, *, private: bool
) -> None:
    write_collection(
        tmp_path,
        "notes",
        {
            "properties": {"by": {"type": "string", "private": private}, "t": {"type": "number"}},
            "access": dict.fromkeys(("get", "put", "delete"), "owner"),
            "owner": "by",
        },
    )
    async with (
        running_collections(tmp_path) as (pod, http),
        connected(pod, 3) as [ada, ben, root],
    ):
        await signed_in(pod, ada, "ada")
        await signed_in(pod, ben, "ben")
        await signed_in(pod, root, "eve", is_root=True)
        for client in (ada, ben, root):
            await client.join(room)

        async def heard(client: Client, event: str) -> Any:
            data = (await client.expect("emit", event=event, room=room))["data"]
            if room == "collections":
                assert (data["collection"], data["type"]) == ("notes", event)
                data = data["data"]
            assert ("by" in data) is not private
            return data

        await http.post("/notes", json={"id": "n", "t": 1}, headers=bearer(pod, "ada"))
        assert [(await heard(each, "created"))["t"] for each in (ada, root)] == [1, 1]
        await http.put("/notes/n", json={"by": "ben", "t": 2}, headers=MASTER)
        told = [(ada, "deleted"), (ben, "created"), (root, "updated")]
        assert [(await heard(each, event))["t"] for each, event in told] == [1, 2, 2]
        await http.put("/notes/n", json={"by": "", "t": 3}, headers=MASTER)
        assert (await heard(ben, "deleted"))["t"] == 2
        assert (await heard(root, "updated"))["t"] == 3
        for client in (ada, ben, root):
            await quiet(client)


async def test_who_a_script_begins_or_ceases_to_show_a_document_hears_it_come_and_go(
    tmp_path: Path,
) -> None:
    write_collection(tmp_path, "wares", {}, {"get": HIDING})
    async with running_collections(tmp_path) as (pod, http), connected(pod) as [client]:
        await client.join("collection:wares")
        await http.post("/wares", json={"id": "a", "secret": True, "price": 1, "n": 0})
        for n, secret in enumerate((True, False, False, True, True, False), 1):
            await http.put("/wares/a", json={"secret": secret, "n": n})
        await http.put("/wares/a", json={"secret": True, "n": 7})
        await http.delete("/wares/a")
        told = [await client.expect("emit") for _ in range(5)]
        assert [(each["event"], each["data"]["n"]) for each in told] == [
            ("created", 2),
            ("updated", 3),
            ("deleted", 3),
            ("created", 6),
            ("deleted", 6),
        ]
        assert not any("price" in each["data"] for each in told)
        await quiet(client)


async def test_who_loses_a_document_by_what_is_too_large_for_a_room_misses_it_too(
    tmp_path: Path,
) -> None:
    write_collection(tmp_path, "notes", {"access": {"get": "owner"}})
    config = collections_config(tmp_path)
    limits = evolve(config.limits, room_mailbox_bytes=64 * 1024, emit_timeout=0.2)
    async with (
        running_collections(tmp_path, evolve(config, limits=limits)) as (pod, http),
        connected(pod, 3) as [ada, ben, eve],
    ):
        for client, user in ((ada, "ada"), (ben, "ben"), (eve, "eve")):
            await signed_in(pod, client, user)
            await client.join("collection:notes")
        await http.post("/notes", json={"id": "n"}, headers=bearer(pod, "ada"))
        await ada.expect("emit", event="created")
        large = {"ownerId": "ben", "text": "x" * 100_000}
        assert (await http.put("/notes/n", json=large, headers=MASTER)).status_code == 200
        for client in (ada, ben):
            told = await client.expect("error")
            assert told["data"] == {"code": "change_missed", "document": "n"}
        await quiet(eve)


async def test_the_room_of_all_collections_tells_each_what_they_may_read(tmp_path: Path) -> None:
    write_collection(tmp_path, "open", {})
    write_collection(tmp_path, "closed", {"access": {"get": "authenticated"}})
    async with running_collections(tmp_path) as (pod, http), connected(pod, 2) as [ada, nobody]:
        await signed_in(pod, ada, "ada")
        for client in (ada, nobody):
            await client.join("collections")
        await http.post("/closed", json={"n": 1})
        await http.post("/open", json={"n": 2})
        heard = [(await ada.expect("emit"))["data"]["collection"] for _ in range(2)]
        assert heard == ["closed", "open"]
        assert (await nobody.expect("emit"))["data"]["collection"] == "open"


async def test_who_signs_out_of_a_right_hears_no_more(tmp_path: Path) -> None:
    write_collection(tmp_path, "notes", {"access": {"get": "root"}})
    async with running_collections(tmp_path) as (pod, http), connected(pod) as [client]:
        await signed_in(pod, client, "eve", is_root=True)
        await client.join("collection:notes")
        await http.post("/notes", json={"n": 1})
        await client.expect("emit", event="created")
        await client.send("auth", token=pod.tokens.sign("ada", ttl=60))
        await client.expect("auth")
        await client.expect("leave", room="collection:notes")
        await http.post("/notes", json={"n": 2})
        await quiet(client)


HIDING = """
def run(ctx):
    if ctx.data.get("secret"):
        ctx.cancel("not for you", 403)
    if not ctx.is_root:
        ctx.hide("price")
    ctx.data["for"] = ctx.me["id"] if ctx.me else "nobody"
"""


async def test_listeners_see_what_a_get_would_show_them(tmp_path: Path) -> None:
    write_collection(tmp_path, "wares", {}, {"get": HIDING})
    async with (
        running_collections(tmp_path) as (pod, http),
        connected(pod, 4) as [first, second, ada, root],
    ):
        await signed_in(pod, ada, "ada")
        await signed_in(pod, root, "eve", is_root=True)
        for client in (first, second, ada, root):
            await client.join("collection:wares")
        made = (await http.post("/wares", json={"name": "tea", "price": 3})).json()
        await http.post("/wares", json={"name": "gin", "secret": True})
        await http.put(f"/wares/{made['id']}", json={"price": 4})
        for client, headers in (
            (first, {}),
            (second, {}),
            (ada, bearer(pod, "ada")),
            (root, {"Authorization": f"Bearer {pod.tokens.sign('eve', is_root=True, ttl=60)}"}),
        ):
            created = (await client.expect("emit", event="created"))["data"]
            updated = (await client.expect("emit", event="updated"))["data"]
            assert ("price" in created, "price" in updated) == (client is root, client is root)
            assert (await http.get(f"/wares/{made['id']}", headers=headers)).json() == updated
            assert len((await http.get("/wares", headers=headers)).json()) == 1
        assert (await http.get("/wares?secret=true")).json() == []


async def test_private_properties_are_told_to_nobody(tmp_path: Path) -> None:
    definition = {"properties": {"pin": {"type": "string", "private": True}}}
    write_collection(tmp_path, "keys", definition)
    async with running_collections(tmp_path) as (pod, http), connected(pod) as [client]:
        await signed_in(pod, client, "eve", is_root=True)
        await client.join("collection:keys")
        await client.join("collections")
        await http.post("/keys", json={"pin": "1234"})
        for _ in range(2):
            assert "1234" not in str(await client.expect("emit"))


async def test_clients_cannot_speak_in_the_rooms_of_collections(tmp_path: Path) -> None:
    write_collection(tmp_path, "todos", {})
    async with running_collections(tmp_path) as (pod, _), connected(pod) as [client]:
        await client.join("collection:todos")
        for room in ("collection:todos", "collections"):
            answer = await client.ask("emit", room=room, event="created", data={})
            assert answer["data"]["code"] == "room_reserved"


async def test_a_collection_may_be_waited_for_before_it_is_there(tmp_path: Path) -> None:
    async with running_collections(tmp_path, dev=True) as (pod, http), connected(pod) as [client]:
        await client.join("collection:ideas")
        made = (await http.post("/ideas", json={"text": "fly"})).json()
        await client.expect("emit", event="created", data=made)


async def test_a_change_of_the_pods_own_script_is_told_too(tmp_path: Path) -> None:
    write_collection(tmp_path, "log", {})
    script = "async def run(ctx):\n    await ctx.collections.log.post({'what': ctx.data['id']})\n"
    write_collection(tmp_path, "todos", {}, {"aftercommit": script})
    async with running_collections(tmp_path) as (pod, http), connected(pod) as [client]:
        await client.join("collection:log")
        made = (await http.post("/todos", json={})).json()
        assert (await client.expect("emit", event="created"))["data"]["what"] == made["id"]


async def order_of(client: Client, count: int) -> list[Any]:
    return [(await client.expect("emit"))["data"]["n"] for _ in range(count)]


async def test_changes_of_one_document_are_told_in_the_order_of_their_commits(
    tmp_path: Path,
) -> None:
    write_collection(tmp_path, "todos", {})
    async with running_collections(tmp_path) as (pod, http), connected(pod) as [client]:
        await client.join("collection:todos")
        path = f"/todos/{(await http.post('/todos', json={'n': 0})).json()['id']}"
        for n in range(1, 50):
            await http.put(path, json={"n": n})
        assert await order_of(client, 50) == list(range(50))


async def test_who_cannot_be_shown_a_change_is_told_that_there_was_one(tmp_path: Path) -> None:
    script = "def run(ctx):\n    while ctx.data.get('slow'):\n        pass\n"
    write_collection(tmp_path, "wares", {}, {"get": script})
    config = collections_config(tmp_path)
    config = evolve(config, collections=evolve(config.collections, script_timeout=0.2))
    async with running_collections(tmp_path, config) as (pod, http), connected(pod) as [client]:
        await client.join("collection:wares")
        await http.post("/wares", json={"slow": True})
        missed = await client.expect("error")
        assert missed["data"]["code"] == "change_missed"
        await http.post("/wares", json={"slow": False})
        await client.expect("emit", event="created")
        room = find_node(pod.tree(), "pod/rooms/collection:wares")
        assert (room.restarts, room.detail["lost"]) == (0, 1)


async def test_who_a_script_tells_apart_hears_what_it_shows_each(tmp_path: Path) -> None:
    """One user's two tokens may say two names: it was given another, or they are of elsewhere."""
    script = "def run(ctx):\n    ctx.data['for'] = ctx.me and ctx.me['username']\n"
    write_collection(tmp_path, "wares", {}, {"get": script})
    async with (
        running_collections(tmp_path) as (pod, http),
        connected(pod, 3) as [nobody, old, new],
    ):
        await signed_in(pod, old, "u1", username="ann")
        await signed_in(pod, new, "u1", username="ben")
        for client in (nobody, old, new):
            await client.join("collection:wares")
        await http.post("/wares", json={})
        told = [await client.expect("emit") for client in (nobody, old, new)]
        assert [one["data"]["for"] for one in told] == [None, "ann", "ben"]


@pytest.mark.parametrize("room", ["collection:wares", "collections"])
@pytest.mark.parametrize(
    "makes",
    ["ctx.data['x'] = 'x' * 2**21", "ctx.set_response({'x': 'x' * 2**21})", "deepen(ctx.data)"],
    ids=["large", "large answer", "deep"],
)
async def test_what_a_script_makes_too_much_of_is_missed_and_the_room_goes_on(
    tmp_path: Path, makes: str, room: str
) -> None:
    script = (
        "def deepen(data):\n"
        "    for _ in range(253):\n"
        "        data['x'] = [data.get('x')]\n"
        f"def run(ctx):\n    if ctx.data['n'] < 9:\n        {makes}\n"
    )
    write_collection(tmp_path, "wares", {}, {"get": script})
    async with running_collections(tmp_path) as (pod, http), connected(pod) as [client]:
        await client.join(room)
        for n in range(10):
            await http.post("/wares", json={"n": n})
        for _ in range(9):
            missed = await client.expect("error")
            assert missed["data"]["code"] == "change_missed"
        await client.expect("emit", event="created")
        node = find_node(pod.tree(), f"pod/rooms/{room}")
        assert (node.restarts, node.detail["lost"]) == (0, 9)


async def test_a_change_that_is_too_large_for_a_room_is_told_by_its_id(tmp_path: Path) -> None:
    write_collection(tmp_path, "todos", {})
    config = collections_config(tmp_path)
    limits = evolve(config.limits, room_mailbox_bytes=64 * 1024, emit_timeout=0.2)
    async with (
        running_collections(tmp_path, evolve(config, limits=limits)) as (pod, http),
        connected(pod) as [client],
    ):
        await client.join("collection:todos")
        made = await http.post("/todos", json={"id": "a", "text": "x" * 100_000})
        assert made.status_code == 200
        told = await client.expect("error")
        assert told["data"] == {"code": "change_missed", "document": "a"}


async def test_a_document_stops_growing_and_may_always_shrink(tmp_path: Path) -> None:
    write_collection(tmp_path, "todos", {})
    config = collections_config(tmp_path)
    config = evolve(config, store=evolve(config.store, max_answer_bytes=10_000))
    async with running_collections(tmp_path, config) as (_, http):
        assert (await http.post("/todos", json={"id": "a", "x": "x" * 9_000})).status_code == 200
        refused = await http.put("/todos/a", json={"y": "y" * 9_000})
        assert (refused.status_code, "maxAnswerBytes" in refused.text) == (413, True)
        assert (await http.put("/todos/a", json={"x": None})).status_code == 200
