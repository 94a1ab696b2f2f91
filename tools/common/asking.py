"""How a command asks a running pod for what root may see: its options, the key, the answer."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import cattrs
import click
import orjson

from .address import Address, ask, parse_address
from .errors import NotAPod
from .keys import known_key
from .settings import config_option, data_option, read_settings

__all__ = ["Asked", "pod_options", "structured"]

T = TypeVar("T")
Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--url", default="http://localhost:2403", show_default=True, help="Where it listens."
    ),
    click.option(
        "--key",
        metavar="KEY",
        help="Its master key; else the data folder's, sent to this machine only.",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print what the pod answers instead."),
    data_option,
    config_option,
)


class Asked:
    """What a pod answered to a path, or to a `method` and `body` there. Making it asks.

    The master key is looked for where neither that nor a `token` is given.

    Raises `ToolError`s.
    """

    def __init__(
        self,
        path: str,
        url: str,
        key: str | None,
        data: str | None,
        file: Path,
        *,
        method: str = "GET",
        body: object = None,
        token: str | None = None,
    ) -> None:
        self.address = parse_address(url)
        if key is None and token is None and self.address.is_loopback:
            folder = read_settings(file, os.environ, {"server.data": data}).config.server.data
            key = known_key(Path(folder), os.environ)
        self.answer = ask(self.address, path, key, method=method, body=body, token=token)

    def print_json(self) -> None:
        """Print it as it came."""
        click.echo(orjson.dumps(self.answer, option=orjson.OPT_INDENT_2))


def pod_options(command: Command) -> Command:
    """Give a command the options `url`, `key`, `as_json`, `data` and `file`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def structured(answer: object, kind: type[T], address: Address, what: str) -> T:
    """Structure what a pod answered; `what` names it. Raises `NotAPod`."""
    try:
        return cattrs.structure(answer, kind)
    except (cattrs.BaseValidationError, TypeError) as error:  # TypeError: it is not even an object
        raise NotAPod(
            f"What answers at {address} is no pod of this version (it sent no {what}); name "
            "another with --url."
        ) from error
