"""The proxies of one process, by name, as Toxiproxy's API speaks of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import trio

from .catalogue import attributes_of, changed, make_toxic
from .errors import BadProxy, BadToxic, ProxyExists, UnknownProxy, nearest
from .place import LOOPBACK, Place, parse_place
from .proxy import SEED, FaultProxy
from .toxic import DOWNSTREAM
from .toxics import PlacedToxic

__all__ = ["MAX_PROXIES", "Proxies", "proxy_fields", "toxic_fields"]

MAX_PROXIES: Final = 1024
"""Proxies of one process."""

_PROXY: Final = ("name", "listen", "upstream", "enabled", "protocol", "toxics")
_TOXIC: Final = ("name", "type", "stream", "toxicity", "attributes")


class Proxies:
    """Makes proxies, changes and removes them; they run in a nursery.

    What is read from requests are dictionaries as JSON has them. What is wrong with one raises a
    `ProxyError`, and changes nothing.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        *,
        seed: int = SEED,
        complain: Callable[[str], object] | None = None,
    ) -> None:
        self._nursery = nursery
        self._seed = seed
        self._complain = complain
        self._proxies: dict[str, FaultProxy] = {}

    def __iter__(self) -> Iterator[FaultProxy]:
        return iter(list(self._proxies.values()))

    def get(self, name: str) -> FaultProxy:
        """Return a proxy. Raises `UnknownProxy`."""
        if name not in self._proxies:
            raise UnknownProxy(f"proxy not found: {name}; {nearest(name, self._proxies)}")
        return self._proxies[name]

    def create(self, fields: Mapping[str, object]) -> FaultProxy:
        """Make a proxy, and start it unless it is not to be enabled."""
        proxy = self._made(fields)
        if proxy.name in self._proxies:
            raise ProxyExists(f"proxy already exists: {proxy.name}; change it, or name this one.")
        if len(self._proxies) >= MAX_PROXIES:
            raise BadProxy(f"There are {MAX_PROXIES} proxies, which is the most.")
        if _flag(fields, enabled=True):
            proxy.start(self._nursery)
        self._proxies[proxy.name] = proxy
        return proxy

    async def update(self, name: str, fields: Mapping[str, object]) -> FaultProxy:
        """Move a proxy, or start or stop it; its connections are closed where it is moved."""
        proxy = self.get(name)
        _known(fields, _PROXY, "A proxy")
        listen = _place(fields, "listen", proxy.listen)
        upstream = _place(fields, "upstream", proxy.upstream)
        enabled = _flag(fields, enabled=proxy.enabled)
        if not enabled or (listen, upstream) != (proxy.listen, proxy.upstream):
            await proxy.stop()
            proxy.move(listen, upstream)
        if enabled:
            proxy.start(self._nursery)
        return proxy

    async def remove(self, name: str) -> None:
        """Close a proxy, and forget it."""
        await self.get(name).stop()
        self._proxies.pop(name, None)

    async def populate(self, wanted: Sequence[Mapping[str, object]]) -> list[FaultProxy]:
        """Make all these proxies; those that are there and do the same are left as they are."""
        made = [self._made(fields) for fields in wanted]  # whatever is wrong with them comes first
        if len({proxy.name for proxy in made}) < len(made):
            raise BadProxy("bad request body: two proxies have one name.")
        there: list[FaultProxy] = []
        for fields, new in zip(wanted, made, strict=True):
            old = self._proxies.get(new.name)
            if old is None or (old.listen, old.upstream) != (new.listen, new.upstream):
                if old is not None:
                    await self.remove(old.name)
                old = self.create(fields)
            there.append(old)
        return there

    def reset(self) -> None:
        """Start all proxies, and take all toxics off."""
        for proxy in self._proxies.values():
            proxy.start(self._nursery)
            proxy.toxics.clear()

    def _made(self, fields: Mapping[str, object]) -> FaultProxy:
        _known(fields, _PROXY, "A proxy")
        for needed in ("name", "upstream"):
            if not fields.get(needed):
                raise BadProxy(f"missing required field: {needed}")
        nowhere = Place(LOOPBACK, 0)
        return FaultProxy(
            _text(fields, "name", ""),
            _place(fields, "listen", nowhere),
            _place(fields, "upstream", nowhere),
            protocol=_text(fields, "protocol", ""),
            seed=self._seed,
            complain=self._complain,
        )


def add_toxic(proxy: FaultProxy, fields: Mapping[str, object]) -> PlacedToxic:
    """Put a toxic on a proxy."""
    _known(fields, _TOXIC, "A toxic")
    toxic = make_toxic(
        _text(fields, "type", ""),
        _attributes(fields),
        stream=fields.get("stream") or DOWNSTREAM,
        toxicity=fields.get("toxicity", 1.0),
    )
    return proxy.toxics.get(proxy.toxics.add(toxic, name=_text(fields, "name", "")))


def change_toxic(proxy: FaultProxy, name: str, fields: Mapping[str, object]) -> PlacedToxic:
    """Change the attributes that are given, and the toxicity; the rest stays as it is."""
    _known(fields, _TOXIC, "A toxic")
    placed = proxy.toxics.get(name)
    toxicity = fields.get("toxicity", placed.toxic.toxicity)
    proxy.toxics.change(name, changed(placed.toxic, _attributes(fields), toxicity))
    return placed


def proxy_fields(proxy: FaultProxy) -> dict[str, object]:
    """Return a proxy as JSON has it; what it reads is told where it reads anything."""
    fields: dict[str, object] = {
        "name": proxy.name,
        "listen": str(proxy.listen),
        "upstream": str(proxy.upstream),
        "enabled": proxy.enabled,
        "toxics": [toxic_fields(placed) for placed in proxy.toxics],
    }
    return fields | ({"protocol": proxy.protocol} if proxy.protocol else {})


def toxic_fields(placed: PlacedToxic) -> dict[str, object]:
    """Return a toxic as JSON has it."""
    toxic = placed.toxic
    return {
        "attributes": attributes_of(toxic),
        "name": placed.name,
        "type": toxic.kind,
        "stream": toxic.stream,
        "toxicity": toxic.toxicity,
    }


def _attributes(fields: Mapping[str, object]) -> Mapping[str, object]:
    attributes = fields.get("attributes") or {}
    if not isinstance(attributes, dict):
        raise BadToxic("bad request body: attributes must be an object.")
    return attributes


def _known(fields: Mapping[str, object], names: Sequence[str], what: str) -> None:
    for name in fields:
        if name not in names:
            raise BadProxy(
                f"bad request body: {what} has no field {name!r}: {nearest(name, names)}"
            )


def _text(fields: Mapping[str, object], name: str, default: str) -> str:
    value = fields.get(name, default)
    if not isinstance(value, str):
        raise BadProxy(f"bad request body: {name} must be text.")
    return value


def _flag(fields: Mapping[str, object], *, enabled: bool) -> bool:
    value = fields.get("enabled", enabled)
    if not isinstance(value, bool):
        raise BadProxy("bad request body: enabled must be true or false.")
    return value


def _place(fields: Mapping[str, object], name: str, default: Place) -> Place:
    text = _text(fields, name, "")
    return parse_place(text) if text else default
