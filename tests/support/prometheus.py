"""A Prometheus of a test's own, which scrapes and judges rules, and whose minutes are seconds."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from shutil import which
from time import monotonic
from typing import Any, Final, TypeAlias

import httpx
import trio
import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from deployd.tools.chaos.servers import free_port

from .ailing import PLACE, Scrape, series
from .http_server import serving
from .servers import not_installed

__all__ = ["Exposed", "Prometheus", "Targets", "exposing", "scraping"]

Targets: TypeAlias = Mapping[str, tuple[str, str]]
"""Address and path by the pod's name."""

FASTER: Final = 60
"""How many times as fast as the rules say: a minute is a second, and a scrape each 250 ms."""
_LOOKS: Final = 15 / FASTER
"""Seconds between scrapes."""
_GROWS: Final = ("_total", "_bucket", "_count", "_sum")


class Exposed:
    """What one pod says, in one phase after the other; what grows goes on growing."""

    def __init__(self, scrapes: Sequence[Scrape]) -> None:
        self._scrapes = [*scrapes]
        self._base: dict[str, float] = {}
        self._since = monotonic()

    def next(self) -> None:
        """Go on to the next phase."""
        self._base = self._now()
        self._scrapes.pop(0)
        self._since = monotonic()

    def text(self, pod: str) -> str | None:
        """Return what it says under this name; nothing where it can't be reached."""
        if not self._scrapes[0].get(series("up"), 1.0):
            return None
        return "".join(
            f"{name.replace(_PLACED, _placed(pod))} {value!r}\n"
            for name, value in self._now().items()
            if name != series("up")
        )

    def _now(self) -> dict[str, float]:
        passed = (monotonic() - self._since) * FASTER
        return {name: self._value(name, value, passed) for name, value in self._scrapes[0].items()}

    def _value(self, name: str, value: float, passed: float) -> float:
        """What was counted since the phase before is counted in each five minutes."""
        if not self._base or not name.partition("{")[0].endswith(_GROWS):
            return value
        before = self._base.get(name, 0.0)
        return before + max(0.0, value - before) * passed / 300


_PLACED: Final = f'pod="{PLACE["pod"]}"'


def _placed(pod: str) -> str:
    return f'pod="{pod}"'


@asynccontextmanager
async def exposing(pods: Mapping[str, Exposed]) -> AsyncIterator[Targets]:
    """Serve what these pods say, each on a path of its own."""
    named = dict(enumerate(pods))

    async def said(request: Request) -> Response:
        name = named[request.path_params["number"]]
        text = pods[name].text(name)
        return Response(status_code=503) if text is None else PlainTextResponse(text)

    async with serving(Starlette(routes=[Route("/{number:int}", said)])) as listener:
        at = f"127.0.0.1:{listener.address[1]}"
        yield {name: (at, f"/{number}") for number, name in named.items()}


class Prometheus:
    """A running Prometheus, asked over HTTP."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    @staticmethod
    def seconds(*, minutes: float) -> float:
        """How long minutes take here."""
        return minutes * 60 / FASTER

    async def minutes(self, number: float) -> None:
        """Let time pass."""
        await trio.sleep(self.seconds(minutes=number))

    async def firing(self) -> dict[str, frozenset[str]]:
        """Return the names of the alerts that fire, by the pod that they name."""
        found = defaultdict[str, set[str]](set)
        for alert in (await self._get("/api/v1/alerts"))["alerts"]:
            if alert["state"] == "firing":
                labels = alert["labels"]
                found[labels.get("pod", "")].add(labels["alertname"])
        return {pod: frozenset(names) for pod, names in found.items()}

    async def is_up(self, pod: str) -> bool:
        """Return whether the last scrape of a pod went well."""
        answer = await self._get("/api/v1/query", query=f'up{{pod="{pod}"}} == 1')
        return bool(answer["result"])

    async def metrics(self) -> set[str]:
        """Return the names of all metrics that it has read."""
        return set(await self._get("/api/v1/label/__name__/values"))

    async def _get(self, path: str, **query: str) -> Any:
        answer = await self._client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]


@asynccontextmanager
async def scraping(
    rules: Sequence[Mapping[str, Any]], targets: Targets, folder: Path
) -> AsyncIterator[Prometheus]:
    """Run a Prometheus with these rules, which scrapes these pods, for the length of the block."""
    program = which("prometheus")
    if program is None:
        not_installed("prometheus", "apt-get install prometheus")
    (folder / "rules.yaml").write_text(
        yaml.safe_dump({"groups": [{"name": "g", "rules": [_sooner(rule) for rule in rules]}]})
    )
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(_settings(targets)))
    at = f"127.0.0.1:{free_port()}"
    command = [
        str(program),
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address={at}",
        "--log.level=warn",
    ]
    with (folder / "prometheus.log").open("w") as log:
        process = await trio.lowlevel.open_process(command, stdout=log, stderr=log)
    try:
        async with httpx.AsyncClient(
            base_url=f"http://{at}", trust_env=False, timeout=30
        ) as client:
            await _is_ready(client, process, folder / "prometheus.log")
            yield Prometheus(client)
    finally:
        with trio.CancelScope(shield=True):
            process.kill()
            await process.wait()


async def _is_ready(client: httpx.AsyncClient, process: trio.Process, log: Path) -> None:
    with trio.fail_after(60):
        while True:
            assert process.poll() is None, log.read_text()  # noqa: ASYNC240
            try:
                if (await client.get("/-/ready")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await trio.sleep(0.1)


def _settings(targets: Targets) -> dict[str, Any]:
    jobs = [
        {
            "job_name": f"of {name}",
            "metrics_path": path,
            "honor_labels": True,  # the exposed have theirs
            "static_configs": [
                {"targets": [at], "labels": {**PLACE, "pod": name}},
            ],
        }
        for name, (at, path) in targets.items()
    ]
    looks = f"{_LOOKS * 1000:.0f}ms"
    return {
        "global": {
            "scrape_interval": looks,
            "scrape_timeout": looks,
            "evaluation_interval": looks,
        },
        "rule_files": ["rules.yaml"],
        "scrape_configs": jobs,
    }


_UNITS: Final = {"s": 1, "m": 60, "h": 3600}


def _sooner(rule: Mapping[str, Any]) -> dict[str, Any]:
    """Make what a rule waits for and looks back on as much shorter."""

    def shorter(found: re.Match[str]) -> str:
        return f"{int(found[1]) * _UNITS[found[2]] * 1000 // FASTER}ms"

    return {
        **rule,
        "for": re.sub(r"^(\d+)([smh])$", shorter, rule["for"]),
        "expr": re.sub(r"(?<=\[)(\d+)([smh])(?=\])", shorter, rule["expr"]),
    }
