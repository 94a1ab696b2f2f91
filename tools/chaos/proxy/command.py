"""`deployd chaos proxy`: stand in front of a server, and be told what to do by Toxiproxy's API."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

import click
import trio
from attrs import frozen

from ...common import screen
from .api import DEFAULT_API_PORT, serve_api
from .catalogue import make_toxic
from .errors import BadToxic
from .frames import PROTOCOLS
from .place import Place, parse_place
from .proxies import Proxies
from .proxy import SEED
from .toxic import DOWNSTREAM, Toxic

__all__ = ["proxy"]

_NUMBER: Final = re.compile(r"-?[0-9]+")
_DECIMAL: Final = re.compile(r"-?[0-9]*\.[0-9]+")


@frozen
class ProxyPlan:
    """What to run."""

    name: str
    listen: str | None
    upstream: str | None
    protocol: str
    api: Place | None
    toxics: Sequence[Toxic]
    seed: int


@click.command()
@click.option("--listen", metavar="HOST:PORT", help="Where clients come; port 0 is any free one.")
@click.option("--upstream", metavar="HOST:PORT", help="The server behind it.")
@click.option("--protocol", type=click.Choice(PROTOCOLS), help="Read its frames, so that toxics "
              "may choose some.")  # fmt: skip
@click.option("--toxic", "toxics", multiple=True, metavar="TYPE[:NAME=VALUE,...]",
              help="Put it on at once, such as latency:latency=100,jitter=20; with "
              "stream=upstream on the other way.")  # fmt: skip
@click.option("--api", default=str(DEFAULT_API_PORT), show_default=True, metavar="[HOST:]PORT",
              help="Where Toxiproxy's API is served; 'none' for nowhere.")  # fmt: skip
@click.option("--name", default="proxy", show_default=True, help="What the API calls it.")
@click.option("--seed", type=int, default=SEED, show_default=True, help="What is drawn from.")
def proxy(
    listen: str | None,
    upstream: str | None,
    protocol: str | None,
    toxics: tuple[str, ...],
    api: str,
    name: str,
    seed: int,
) -> None:
    """Carry TCP from one port to another, with faults; Ctrl-C or SIGTERM ends it.

    Without --listen and --upstream it waits for the API to say which proxies there are.
    """
    if (listen is None) is not (upstream is None):
        raise click.UsageError("Give both --listen and --upstream, or neither.")
    if toxics and listen is None:
        raise click.UsageError("A --toxic needs a proxy to be on: give --listen and --upstream.")
    plan = ProxyPlan(
        name,
        listen,
        upstream,
        protocol or "",
        None if api == "none" else parse_place(api),
        [parse_toxic(text) for text in toxics],
        seed,
    )
    trio.run(partial(run, plan))


def parse_toxic(text: str) -> Toxic:
    """Read a toxic as it is written on a command line. Raises `BadToxic`."""
    kind, _, rest = text.partition(":")
    attributes: dict[str, object] = {}
    for pair in filter(None, rest.split(",")):
        name, equals, value = pair.partition("=")
        if not equals:
            raise BadToxic(f"{pair!r} is no attribute; write NAME=VALUE.")
        attributes[name.strip()] = _value(value.strip())
    stream = attributes.pop("stream", DOWNSTREAM)
    toxicity = attributes.pop("toxicity", 1.0)
    return make_toxic(kind, attributes, stream=stream, toxicity=toxicity)


def _value(text: str) -> object:
    if _NUMBER.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text):
        return float(text)
    return {"true": True, "false": False}.get(text, text)


async def run(plan: ProxyPlan) -> None:
    """Run until a signal."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with AsyncExitStack() as stack, trio.open_nursery() as nursery:
            proxies = Proxies(nursery, seed=plan.seed, complain=_Complainer())
            if plan.listen is not None:
                made = proxies.create(
                    {
                        "name": plan.name,
                        "listen": plan.listen,
                        "upstream": plan.upstream,
                        "protocol": plan.protocol,
                    }
                )
                for toxic in plan.toxics:
                    made.toxics.add(toxic)
                _say(f"{made.listen} → {made.upstream}" + _list(plan.toxics))
            if plan.api is not None:
                place = await stack.enter_async_context(serve_api(proxies, plan.api))
                _say(f"Toxiproxy's API: http://{place}")
            _say("Ctrl-C ends it.")
            async for _ in signals:
                break
            await stack.aclose()
            nursery.cancel_scope.cancel()


def _list(toxics: Sequence[Toxic]) -> str:
    return f", with {', '.join(toxic.kind for toxic in toxics)}" if toxics else ""


def _say(line: str) -> None:
    screen().print(line, soft_wrap=True)
    sys.stdout.flush()


class _Complainer:
    """Tells each trouble once, and again when there was another in between."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, sentence: str) -> None:
        if sentence != self._last:
            self._last = sentence
            click.echo(sentence, err=True)
