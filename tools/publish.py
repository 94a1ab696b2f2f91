"""`deployd publish`: something is said in a room, through a pod that runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final
from urllib.parse import quote

import attrs
import click
import orjson

from ..transport import JSON
from .common import Asked, pod_options, printable, structured

FROM_STDIN: Final = "-"
_MEANING: Final = {
    "cluster": "all pods have it",
    "partial": "some pods have not heard it",
    "local": "this pod has it, and no other",
    "queued": "it waits for the other pods",
}


@attrs.frozen
class ReceiptAnswer:
    """The answer of a pod; the last three are there where receipts say who has heard."""

    scope: str
    id: str
    pods: int | None = None
    of: int | None = None
    members: int | None = None


def json_text(text: str) -> bytes:
    """Return JSON as it was given, or what stands on stdin for `-`; a usage error for no JSON."""
    given = sys.stdin.buffer.read() if text == FROM_STDIN else text.encode()
    try:
        orjson.loads(given)
    except orjson.JSONDecodeError as error:
        sentence = f"""it is no JSON ({error}); a text is written '"hello"'."""
        raise click.BadParameter(sentence) from error
    return given


@click.command()
@click.argument("room")
@click.argument("event")
@click.argument("said", metavar="[DATA]", required=False, type=json_text)
@click.option("--token", metavar="TOKEN", help="A token for that room, in place of the master key.")
@pod_options
def publish(
    room: str,
    event: str,
    said: bytes | None,
    token: str | None,
    url: str,
    key: str | None,
    as_json: bool,
    data: str | None,
    file: Path,
) -> None:
    """Say EVENT in ROOM, with DATA in JSON (- reads it from stdin), in the pod's own voice."""
    body: dict[str, JSON] = {"event": event, "data": orjson.loads(said or b"null")}
    path = f"/api/rooms/{quote(room, safe='')}/events"
    asked = Asked(path, url, key, data, file, method="POST", body=body, token=token)
    if as_json:
        asked.print_json()
        return
    receipt = structured(asked.answer, ReceiptAnswer, asked.address, "receipt")
    click.echo(printable(f"{room}: {event} {told(receipt)}"))


def told(receipt: ReceiptAnswer) -> str:
    """Say in words what became of an event."""
    means = _MEANING.get(receipt.scope, "")
    heard = ""
    if receipt.members is not None:
        heard = f", told to {receipt.members} members on {receipt.pods} of {receipt.of} pods"
    return f"{receipt.id} is {receipt.scope}" + (f" ({means})" if means else "") + heard
