from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from attrs import evolve

from deployd.config import CollectionSettings, Config, DrainSettings, ServerSettings, StoreSettings
from deployd.supervisors import Pod, open_pod

from .clients import KEYS

__all__ = ["MASTER", "collections_config", "running_collections", "write_collection"]

MASTER = {"X-Master-Key": KEYS.master_key}


def write_collection(
    folder: Path, name: str, definition: Mapping[str, Any], scripts: Mapping[str, str] | None = None
) -> Path:
    """Write the folder of a collection: its definition, and its scripts by event."""
    place = folder / "resources" / name
    place.mkdir(parents=True, exist_ok=True)
    for event, source in (scripts or {}).items():
        (place / f"{event}.py").write_text(source)
    (place / "config.json").write_text(json.dumps(definition))
    return place


def collections_config(folder: Path, **changes: Any) -> Config:
    """Return a configuration whose collections and documents lie in a folder; on a free port."""
    config = Config(
        server=ServerSettings(port=0, data=str(folder / "data")),
        collections=CollectionSettings(folder=str(folder / "resources"), replay_after=0.0),
        store=StoreSettings(durability="normal"),
        drain=DrainSettings(window=0.0, deadline=5.0),
    )
    return evolve(config, **changes)


@asynccontextmanager
async def running_collections(
    folder: Path, config: Config | None = None, *, dev: bool = False
) -> AsyncIterator[tuple[Pod, httpx.AsyncClient]]:
    """Run a pod with the collections of a folder, and a client of its HTTP."""
    config = config or collections_config(folder)
    async with open_pod(config, keys=KEYS, dev=dev) as pod:
        base = f"http://127.0.0.1:{pod.port}"
        async with httpx.AsyncClient(base_url=base, timeout=20, trust_env=False) as client:
            yield pod, client
