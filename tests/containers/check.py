"""The image is built and compose.yaml started, with each broker: `make containers`, see run.sh."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest
import trio
from attrs import frozen

from support.clients import connected

ROOT: Final = Path(__file__).parents[2]
DEPLOY: Final = ROOT / "deploy"
IMAGE: Final = "deployd:0.1.0"
PODS: Final = ["pod-1", "pod-2", "pod-3"]
SECRETS: Final = {
    "DEPLOYD_MASTER_KEY": "a-master-key-for-tests",
    "DEPLOYD_JWT_SECRET": "a-secret-for-tests-of-32-bytes!!",
    "BROKER_PASSWORD": "letters",
    "POSTGRES_PASSWORD": "more",
}
HARDENED: Final = ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges:true"]
IN_MEMORY: Final = ["--tmpfs=/tmp", "--tmpfs=/data:uid=10001,gid=10001,mode=0700"]
GRACE: Final = 35
ASK: Final = """
import os, sys, urllib.request as web
headers = {"X-Master-Key": os.environ["DEPLOYD_MASTER_KEY"], "Content-Type": "application/json"}
data = sys.argv[2].encode() if sys.argv[2:] else None
request = web.Request("http://127.0.0.1:2403" + sys.argv[1], data, headers)
print(web.urlopen(request, timeout=10).read().decode())
"""

Start: TypeAlias = Callable[..., str]


def attempt(
    *arguments: str, timeout: float = 60.0, environment: Mapping[str, str] = SECRETS
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["docker", *arguments],
        cwd=DEPLOY,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def docker(*arguments: str, timeout: float = 60.0, environment: Mapping[str, str] = SECRETS) -> str:
    """Run a command of Docker's, which must succeed, and return what it prints."""
    ran = attempt(*arguments, timeout=timeout, environment=environment)
    assert ran.returncode == 0, ran.stderr[-4000:]
    return ran.stdout.strip()


def inspect(name: str, what: str) -> str:
    return docker("inspect", "--format", f"{{{{{what}}}}}", name)


def ask(container: str, path: str, body: object = None) -> Any:
    """Ask the pod in a container, as root; a body is POSTed."""
    sent = [] if body is None else [json.dumps(body)]
    return json.loads(docker("exec", container, "python", "-c", ASK, path, *sent))


def until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not come about"
        time.sleep(0.5)  # only asking tells


@pytest.fixture(scope="module", autouse=True)
def _image() -> None:
    docker("build", "--file", "Dockerfile", "--tag", IMAGE, "..", timeout=600)


@pytest.fixture
def volume() -> Iterator[str]:
    name = docker("volume", "create")
    yield name
    docker("volume", "rm", name)


@pytest.fixture
def start() -> Iterator[Start]:
    """Start containers, as a rule each until it is healthy; all are removed at the end."""
    started: list[str] = []

    def begin(*options: str, wait: bool = True) -> str:
        names = ["--env=DEPLOYD_MASTER_KEY", "--env=DEPLOYD_JWT_SECRET"]
        pod = docker("run", "--detach", *HARDENED, *names, *options, IMAGE)
        started.append(pod)
        if wait:
            until(lambda: inspect(pod, ".State.Health.Status") == "healthy", 60)
        return pod

    yield begin
    for pod in started:
        docker("rm", "--force", "--volumes", pod)


def test_the_image_adds_little_to_python() -> None:
    [base] = re.findall(r"^ARG PYTHON=(\S+)", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    size, beneath = (int(inspect(name, ".Size")) / 1e6 for name in (IMAGE, base))
    print(f"{size:.0f} MB, {size - beneath:.0f} of them above {base}")  # noqa: T201
    assert size - beneath < 150


def test_a_pod_is_user_10001_and_may_nothing(start: Start) -> None:
    pod = start(*IN_MEMORY)
    assert docker("exec", pod, "id").startswith("uid=10001 gid=10001")
    told = docker("exec", pod, "cat", "/proc/1/status")
    status = dict(re.findall(r"^(\w+):\s+(\S+)", told, re.MULTILINE))
    assert (status["Uid"], int(status["CapEff"], 16), status["NoNewPrivs"]) == ("10001", 0, "1")
    assert "Read-only file system" in attempt("exec", pod, "touch", "/app/file").stderr


def test_a_pod_answers_and_ends_by_its_signal_in_time(start: Start) -> None:
    pod = start(*IN_MEMORY)
    assert ask(pod, "/health/live")["status"] == "live"
    began = time.monotonic()
    docker("stop", "--time", str(GRACE), pod)
    seconds = time.monotonic() - began
    print(f"a pod ended after {seconds:.1f} s")  # noqa: T201
    assert inspect(pod, ".State.ExitCode") == "0"
    assert seconds < GRACE


def test_a_pod_that_has_hardly_begun_ends_by_its_signal(start: Start) -> None:
    pod = start(*IN_MEMORY, wait=False)
    docker("exec", pod, "true")
    docker("stop", "--time", str(GRACE), pod)
    assert inspect(pod, ".State.ExitCode") == "143"


def test_a_new_volume_is_the_pods_own_and_outlives_it(volume: str, start: Start) -> None:
    pod = start(f"--volume={volume}:/data")
    made = ask(pod, "/users", {"username": "ann", "password": "a-long-password"})
    docker("stop", "--time", str(GRACE), pod)
    assert ask(start(f"--volume={volume}:/data"), f"/users/{made['id']}") == made


@pytest.mark.parametrize("name", SECRETS)
def test_compose_names_the_variable_that_is_missing(name: str) -> None:
    ran = attempt("compose", "config", "--quiet", environment={**SECRETS, name: ""})
    assert ran.returncode != 0
    assert f"required variable {name} is missing a value: " in ran.stderr


@frozen
class Cluster:
    """compose.yaml, started with one broker; clients find HAProxy on `port`."""

    broker: str
    port: int = 8080
    name: str = "deployd-check"

    def compose(self, *arguments: str, timeout: float = 180.0) -> str:
        words = ["compose", "--project-name", self.name, *arguments]
        told = {**SECRETS, "COMPOSE_PROFILES": self.broker}
        return docker(*words, timeout=timeout, environment=told)

    def up(self, *options: str) -> None:
        """Start what does not run, and return when all are healthy."""
        self.compose("up", "--detach", "--wait", "--wait-timeout", "120", *options)

    def container(self, service: str) -> str:
        return self.compose("ps", "--all", "--quiet", service)

    def left(self) -> list[str]:
        """Return the containers, networks and volumes that there are."""
        label = f"--filter=label=com.docker.compose.project={self.name}"
        kinds = (["ps", "--all"], ["network", "ls"], ["volume", "ls"])
        return [one for kind in kinds for one in docker(*kind, "--quiet", label).split()]

    def clients(self) -> dict[str, list[str]]:
        """Return the addresses of each pod's clients."""
        told = {
            pod: ask(self.container(pod), "/_dashboard/api/realtime/connections") for pod in PODS
        }
        return {pod: [one["address"] for one in told[pod]["connections"]] for pod in PODS}


@pytest.fixture(scope="module", params=["redis", "nats", "rabbitmq"])
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    cluster = Cluster(request.param)
    began = time.monotonic()
    try:
        cluster.up("--build")
        print(f"up after {time.monotonic() - began:.0f} s")  # noqa: T201
        yield cluster
    finally:
        cluster.compose("down", "--volumes")
    assert not cluster.left()


def test_three_pods_are_healthy_and_ready(cluster: Cluster) -> None:
    for service in (*PODS, "haproxy", "postgres", cluster.broker):
        assert inspect(cluster.container(service), ".State.Health.Status") == "healthy", service
    for pod in PODS:
        assert ask(cluster.container(pod), "/health/ready")["status"] == "ready"


async def test_an_event_crosses_pods(cluster: Cluster) -> None:
    async with connected(cluster, len(PODS)) as clients:
        assert all(len(addresses) == 1 for addresses in cluster.clients().values())
        for client in clients:
            await client.join("room")
        speaker, *others = clients
        await speaker.send("emit", room="room", event="said", data="hello", id=7)
        await speaker.expect("emit", event="said", data="hello")
        receipt = await speaker.expect("receipt", id=7)
        assert receipt["data"]["scope"] == "cluster"
        for client in others:
            await client.expect("emit", event="said", data="hello")


async def test_pods_believe_haproxy_about_addresses_and_not_clients(cluster: Cluster) -> None:
    told = inspect(cluster.container("haproxy"), "json .Network.Networks")
    [network] = json.loads(told).values()
    async with connected(cluster, additional_headers={"X-Forwarded-For": "203.0.113.9"}):
        [address] = chain.from_iterable(cluster.clients().values())
    assert network["IPAddress"] == "172.28.0.10"
    # Docker's own proxy brings clients of this machine in from there.
    assert address == network["Gateway"]


def test_what_one_pod_stores_the_others_read(cluster: Cluster) -> None:
    first, *others = map(cluster.container, PODS)
    made = ask(first, "/users", {"username": "ann", "password": "a-long-password"})
    assert all(ask(other, f"/users/{made['id']}") == made for other in others)


async def test_clients_get_in_while_a_pod_leaves_and_go_to_it_again(cluster: Cluster) -> None:
    async def connect_until(stopped: trio.Event) -> None:
        while not stopped.is_set():
            async with connected(cluster):
                await trio.sleep(0.1)

    async with trio.open_nursery() as nursery:
        stopped = trio.Event()
        nursery.start_soon(connect_until, stopped)
        await trio.to_thread.run_sync(cluster.compose, "stop", "pod-2")
        stopped.set()
    assert inspect(cluster.container("pod-2"), ".State.ExitCode") == "0"

    cluster.up()
    async with connected(cluster, len(PODS)):
        assert all(cluster.clients().values())


def test_pods_end_well(cluster: Cluster) -> None:
    cluster.compose("stop")
    ended = {pod: inspect(cluster.container(pod), ".State.ExitCode") for pod in PODS}
    assert ended == dict.fromkeys(PODS, "0")
