"""Clients that were made for Toxiproxy, those of npm and of PyPI, unchanged."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
import trio
from toxiproxy import Toxiproxy  # type: ignore[import-untyped]
from toxiproxy.exceptions import (  # type: ignore[import-untyped]
    InvalidToxic,
    NotFound,
    ProxyExists,
)

from deployd.tools.chaos.proxy.api import serve_api
from deployd.tools.chaos.proxy.place import Place, parse_place
from deployd.tools.chaos.proxy.proxies import Proxies
from support.echoing import EchoServer
from support.packages_of_node import node_program, package_of_npm

STORY: Final = """
const { Toxiproxy } = require("toxiproxy-node-client");
const assert = require("assert");
const net = require("net");

const [api, upstream] = process.argv.slice(2);

function ask(port) {
  return new Promise((resolve) => {
    const began = Date.now();
    const socket = net.connect(port, "127.0.0.1", () => socket.write("hello"));
    socket.on("data", (data) => { socket.destroy(); resolve([String(data), Date.now() - began]); });
    socket.on("error", (error) => resolve([error.code]));
    socket.on("close", () => resolve(["closed"]));
  });
}

async function fails(promise, status) {
  await assert.rejects(promise, (error) => error.message.includes(status));
}

(async () => {
  const toxiproxy = new Toxiproxy(api);
  assert.match(await toxiproxy.getVersion(), /version/);
  const body = { name: "echo", listen: "127.0.0.1:0", upstream, enabled: true };
  const proxy = await toxiproxy.createProxy(body);
  await fails(toxiproxy.createProxy(body), 409);
  const port = Number(proxy.listen.split(":")[1]);
  assert.equal((await ask(port))[0], "hello");

  const types = {
    latency: { latency: 150, jitter: 10 }, bandwidth: { rate: 1000 }, slow_close: { delay: 1000 },
    timeout: { timeout: 5000 }, slicer: { average_size: 1000, delay: 1000, size_variation: 1000 },
    limit_data: { bytes: 3 }, reset_peer: { timeout: 10 }, drop: { every: 2 },
  };
  for (const [type, attributes] of Object.entries(types)) {
    const toxic = await proxy.addToxic(
      { name: "it", type, stream: "downstream", toxicity: 1, attributes });
    for (const name of Object.keys(attributes)) {
      assert.equal(toxic.attributes[name], attributes[name]);
    }
    if (type === "latency") {
      const [said, took] = await ask(port);
      assert.equal(said, "hello");
      assert.ok(took >= 140, `it took ${took} ms`);
      const changed = await toxic.update({ attributes: { latency: 1 }, toxicity: 0.5 });
      assert.deepEqual([changed.attributes.latency, changed.toxicity], [1, 0.5]);
    }
    if (type === "limit_data") assert.equal((await ask(port))[0], "hel");
    if (type === "reset_peer") assert.equal((await ask(port))[0], "ECONNRESET");
    assert.equal((await proxy.getToxic("it")).type, type);
    await toxic.remove();
    await fails(proxy.getToxic("it"), 404);
  }
  await fails(proxy.addToxic(
    { name: "it", type: "gremlins", stream: "downstream", toxicity: 1, attributes: {} }), 400);

  const off = await proxy.update({ enabled: false, listen: proxy.listen, upstream });
  assert.equal(off.enabled, false);
  assert.equal((await ask(port))[0], "ECONNREFUSED");
  await toxiproxy.reset();
  assert.equal((await ask(port))[0], "hello");

  const populated = await toxiproxy.populate([
    { name: "echo", listen: proxy.listen, upstream },
    { name: "other", listen: "127.0.0.1:0", upstream },
  ]);
  assert.deepEqual(Object.keys(populated).sort(), ["echo", "other"]);
  assert.deepEqual(Object.keys(await toxiproxy.getAll()).sort(), ["echo", "other"]);
  for (const each of Object.values(populated)) await each.remove();
  await fails(toxiproxy.get("echo"), 404);
  assert.deepEqual(await toxiproxy.getAll(), {});
})().catch((error) => { console.error(error); process.exit(1); });
"""


@pytest.fixture
def upstream(server: EchoServer) -> str:
    return f"127.0.0.1:{server.port}"


@pytest.fixture
async def api() -> AsyncIterator[Place]:
    async with trio.open_nursery() as nursery:
        async with serve_api(Proxies(nursery), parse_place("0")) as place:
            yield place
        nursery.cancel_scope.cancel()


async def test_the_client_of_npm_works_unchanged(api: Place, upstream: str, tmp_path: Path) -> None:
    node, packages = node_program(), package_of_npm("toxiproxy-node-client").parent
    (tmp_path / "story.js").write_text(STORY)
    (tmp_path / "node_modules").symlink_to(packages)
    with trio.fail_after(60):
        done = await trio.run_process(
            [node, "story.js", f"http://{api}", upstream],
            cwd=tmp_path,
            check=False,
            capture_stdout=True,
            stderr=subprocess.STDOUT,
        )
    assert done.returncode == 0, done.stdout.decode()


async def test_the_client_of_pypi_works_unchanged(api: Place, upstream: str) -> None:
    await trio.to_thread.run_sync(python_story, api, upstream)


def python_story(api: Place, upstream: str) -> None:
    toxiproxy = Toxiproxy()
    toxiproxy.update_api_consumer(api.host, api.port)
    assert toxiproxy.running()
    assert "version" in json.loads(toxiproxy.version())
    proxy = toxiproxy.create(upstream=upstream, name="echo")
    with pytest.raises(ProxyExists):
        toxiproxy.create(upstream=upstream, name="echo")
    port = int(proxy.listen.rpartition(":")[2])
    assert asked(port) == b"hello"

    proxy.add_toxic(type="latency", attributes={"latency": 1, "jitter": 0})
    proxy.add_toxic(type="limit_data", name="three", attributes={"bytes": 3})
    assert set(proxy.toxics()) == {"latency_downstream", "three"}
    assert asked(port) == b"hel"
    assert proxy.get_toxic("three").attributes == {"bytes": 3}
    proxy.destroy_toxic("three")
    with pytest.raises(NotFound):
        proxy.destroy_toxic("three")
    with pytest.raises(InvalidToxic, match="did you mean latency"):
        proxy.add_toxic(type="latenci")
    with proxy.down(), pytest.raises(ConnectionRefusedError):
        asked(port)
    assert asked(port) == b"hello"
    assert toxiproxy.reset()
    assert proxy.toxics() == {}
    populated = toxiproxy.populate(
        [{"name": "more", "upstream": upstream, "listen": "127.0.0.1:0"}]
    )
    assert [one.name for one in populated] == ["more"]
    toxiproxy.destroy_all()
    assert toxiproxy.proxies() == {}


def asked(port: int) -> bytes:
    """Say hello, and return what is heard until the end or until it is all."""
    heard = b""
    with socket.create_connection(("127.0.0.1", port), 20) as sock:
        sock.sendall(b"hello")
        while len(heard) < 5 and (data := sock.recv(100)):
            heard += data
    return heard
