"""`deployd token`: sign a token that a pod with the same data folder accepts."""

import os
import re
from pathlib import Path
from typing import Final

import click

from ..config import load_secrets
from ..transport import RoomRights, Tokens
from .common import config_option, data_option, read_settings

UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
MAX_TTL: Final = 3650 * UNITS["d"]
"""Seconds; a token that lasts longer was a typing error."""


def seconds(text: str) -> float:
    """Read a time such as `90`, `45s`, `30m`, `1h` or `7d`; anything else is a usage error."""
    match = re.fullmatch(r"([0-9]{1,10})([smhd]?)", text, re.ASCII)
    found = int(match[1]) * UNITS[match[2]] if match else 0
    if not 0 < found <= MAX_TTL:
        raise click.BadParameter(f"{text!r} is no time from 1s to 3650d; write 90, 30m, 1h or 7d.")
    return float(found)


@click.command()
@click.option("--user", required=True, metavar="NAME", help="Who signs in with it.")
@click.option("--root", is_flag=True, help="Let them do everything.")
@click.option(
    "--publish",
    multiple=True,
    metavar="PATTERN",
    help="For saying something in such rooms over HTTP, and nothing else; repeatable.",
)
@click.option(
    "--list",
    "listing",
    multiple=True,
    metavar="PATTERN",
    help="For seeing such rooms in the directory, and nothing else; repeatable.",
)
@click.option("--ttl", type=seconds, metavar="SECONDS|1h|7d",
              help="How long it is valid, instead of auth.tokenTTL.")  # fmt: skip
@data_option
@config_option
def token(
    user: str,
    root: bool,
    publish: tuple[str, ...],
    listing: tuple[str, ...],
    ttl: float | None,
    data: str | None,
    file: Path,
) -> None:
    """Print a token for a client's `auth` message, or one for rooms over HTTP alone.

    It is signed with the secret of the data folder, which is made when it is missing.
    """
    if not user.strip():
        raise click.BadParameter("give a name that is not empty.", param_hint="'--user'")
    rooms = RoomRights(publish, listing) if publish or listing else None
    if rooms is not None and (root or not all((*publish, *listing))):
        sentence = "give patterns that are not empty, and not for root, who may do all of it."
        raise click.BadParameter(sentence, param_hint="'--publish'")
    config = read_settings(file, os.environ, {"server.data": data}).config
    tokens = Tokens(
        load_secrets(Path(config.server.data), os.environ).jwt_secret,
        algorithms=config.auth.algorithms,
        issuer=config.auth.issuer,
        require_issuer=config.auth.require_issuer,
        leeway=config.auth.leeway,
    )
    ttl = config.auth.token_ttl if ttl is None else ttl
    click.echo(tokens.sign(user, username=user, is_root=root, ttl=ttl, rooms=rooms))
