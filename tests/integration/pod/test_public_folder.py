"""A pod whose whole folder is served: everything that it keeps there is tried."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
from attrs import evolve

from deployd.config import BrokerSettings, Config, RabbitMQSettings, ServerSettings, StoreSettings
from deployd.supervisors import open_pod
from support import collections_config, write_collection
from support.certificates import issued, trusting
from support.logs import logged


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_nothing_that_a_pod_keeps_is_served_and_its_log_says_so(tmp_path: Path) -> None:
    for name in ("realtime.yaml", "authority.crt", "rooms.py"):
        (tmp_path / name).write_text("SECRET")
    (tmp_path / "app.html").write_text("hello")
    write_collection(tmp_path, "todos", {"properties": {}}, {"get": "SECRET = 1"})
    config = collections_config(
        tmp_path,
        tls=issued(tmp_path),
        store=StoreSettings(url=f"sqlite:///{tmp_path}/elsewhere.data", durability="normal"),
        broker=BrokerSettings(rabbitmq=RabbitMQSettings(ca_file=str(tmp_path / "authority.crt"))),
    )
    config = evolve(config, server=evolve(config.server, public=str(tmp_path)))
    with logged() as log:
        # Without keys from outside: the pod makes its own, in its folder of data.
        async with (
            open_pod(config, settings=tmp_path / "realtime.yaml") as pod,
            httpx.AsyncClient(verify=trusting(), trust_env=False) as http,
        ):
            base = f"https://localhost:{pod.port}"
            created = await http.post(f"{base}/todos", json={})
            assert created.status_code in (200, 403)
            assert (await http.get(f"{base}/app.html")).text == "hello"
            kept = files_below(tmp_path)
            for path in kept:
                answer = await http.get(f"{base}/{path.relative_to(tmp_path)}")
                assert (answer.status_code == 200) is (path.name == "app.html"), path
    names = {path.name for path in kept}
    assert {"secrets.json", "elsewhere.data", "elsewhere.data-wal", "key.pem"} <= names
    [line] = log.lines(level="warning", public=str(tmp_path))
    assert {str(tmp_path / name) for name in ("data", "resources", "realtime.yaml")} <= {
        *line["private"]
    }


async def test_a_folder_that_holds_nothing_private_is_served_without_a_word(tmp_path: Path) -> None:
    (tmp_path / "public").mkdir()
    server = ServerSettings(port=0, data=str(tmp_path / "data"), public=str(tmp_path / "public"))
    with logged() as log:
        async with open_pod(Config(server=server)):
            pass
    assert not log.lines(level="warning")
    assert json.loads((tmp_path / "data" / "secrets.json").read_text())["masterKey"]
