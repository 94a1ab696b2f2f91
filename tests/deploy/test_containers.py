"""The image and the compose file: what can be known of them without a container runtime."""

from __future__ import annotations

import http.client
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployd.config import Config, load
from deployd.tools.chaos.servers import ServerProcess, free_port
from support.servers import not_installed

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PODS = ["pod-1", "pod-2", "pod-3"]
BROKERS = ["redis", "rabbitmq", "nats"]


def instructions() -> list[tuple[str, str]]:
    """Read the Dockerfile: instructions and what follows them, without comments."""
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def stages() -> list[list[tuple[str, str]]]:
    found: list[list[tuple[str, str]]] = []
    for one in instructions():
        if one[0] == "FROM":
            found.append([])
        if found:  # what stands before the first is for all of them
            found[-1].append(one)
    return found


def only(word: str) -> str:
    [found] = [rest for name, rest in stages()[-1] if name == word]
    return found


def exec_form(text: str) -> list[str]:
    command = json.loads(text)
    assert all(isinstance(part, str) for part in command)
    return list(command)


def health_check() -> list[str]:
    return exec_form(only("HEALTHCHECK").partition("CMD ")[2])


def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((DEPLOY / "compose.yaml").read_text()))


def variables(text: str, values: dict[str, str]) -> str:
    """Fill `${NAME}`, `${NAME:-default}` and `${NAME:?message}` as compose does."""

    def fill(found: re.Match[str]) -> str:
        name, default = found[1], found[2]
        return values.get(name) or default or ""

    return re.sub(r"\$\{(\w+)(?::-([^}]*)|:\?[^}]*)?\}", fill, text)


def test_both_stages_begin_with_the_same_pinned_python() -> None:
    images = [rest.split()[0] for word, rest in instructions() if word == "FROM"]
    assert images == ["${PYTHON}"] * 2
    [base] = [rest.removeprefix("PYTHON=") for word, rest in instructions() if word == "ARG"]
    assert re.fullmatch(r"python:3\.\d+-slim-\w+", base)


def test_what_the_image_installs_is_named_by_its_hash() -> None:
    installs = [rest for word, rest in instructions() if word == "RUN" and "pip install" in rest]
    dependencies, itself = installs
    assert "--require-hashes -r requirements.lock" in dependencies
    assert {"--no-deps", "--no-build-isolation", "."} <= set(shlex.split(itself))


def test_the_image_runs_as_a_user_with_a_number_and_stops_by_sigterm() -> None:
    assert only("USER") == "10001:10001"
    assert only("STOPSIGNAL") == "SIGTERM"
    assert only("VOLUME") == "/data"
    words = [word for word, _ in stages()[-1]]
    assert "RUN" not in words[words.index("USER") :]
    assert exec_form(only("CMD"))[:2] == ["deployd", "serve"]


def test_the_image_exposes_the_ports_of_its_settings() -> None:
    config = load(DEPLOY / "realtime.json", environ={}).config
    metrics = config.metrics.bind.rsplit(":", 1)[1]
    assert only("EXPOSE").split() == [str(config.server.port), metrics]
    assert f"'127.0.0.1', {metrics}" in health_check()[-1]


def admitted() -> set[str]:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    return {line[1:] for line in lines if line.startswith("!")}


def test_the_build_is_shown_what_it_copies_and_nothing_else() -> None:
    copied = {
        source
        for word, rest in instructions()
        if word == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    }
    assert copied == admitted()


def pip(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Do the first stage's work on a copy of what the build is shown; return a venv like its.

    What deployd depends on is not downloaded again: the venv sees the packages of this one.
    """
    folder = tmp_path_factory.mktemp("image")
    source = folder / "src"
    source.mkdir()
    without = shutil.ignore_patterns("__pycache__")
    for name in admitted():
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=without)
        elif "/" not in name:
            shutil.copy(ROOT / name, source / name)
    [install] = [rest for word, rest in stages()[0] if "pip install" in rest and "-r" not in rest]
    words = [word for word in shlex.split(install)[1:] if word not in ("--no-cache-dir", ".")]
    venv = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    [site] = venv.glob("lib/python*/site-packages")
    (site / "others.pth").write_text(sysconfig.get_path("purelib"))
    pip("--python", venv / "bin" / "python", *words, "--no-compile", source)
    return venv


def test_a_pod_runs_from_the_image_and_stops_by_its_signal(image: Path, tmp_path: Path) -> None:
    data, empty, port, probe = tmp_path / "data", tmp_path / "app", free_port(), free_port()
    data.mkdir()
    empty.mkdir()
    program, *arguments = exec_form(only("CMD"))
    told = {"/etc/deployd/realtime.json": str(DEPLOY / "realtime.json"), "/data": str(data)}
    environment = {
        "PATH": os.defpath,
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "DEPLOYD_SERVER__PORT": str(port),
        "DEPLOYD_METRICS__BIND": f"127.0.0.1:{probe}",
        "DEPLOYD_DRAIN__DELAY": "0",
    }
    check = [part.replace("9403", str(probe)) for part in health_check()]
    check[0] = str(image / "bin" / "python")

    def healthy() -> bool:
        return subprocess.run(check, capture_output=True, timeout=20).returncode == 0

    command = [str(image / "bin" / program), *(told.get(one, one) for one in arguments)]
    assert not healthy()
    pod = ServerProcess(command, empty, healthy, environment)
    pod.start()
    try:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        client.request("GET", "/health/ready")
        assert client.getresponse().status == 200
        client.close()
        # The log is the test's own.
        assert [one.name for one in empty.iterdir()] == ["log"], "it writes outside of /data"
        assert list(data.iterdir())
    finally:
        pod.terminate()
    assert not healthy()


def test_three_pods_and_each_broker_are_in_the_compose_file() -> None:
    services = compose()["services"]
    assert set(services) == {*PODS, *BROKERS, "haproxy", "postgres"}
    for broker in BROKERS:
        assert services[broker]["profiles"] == [broker]
    for pod in PODS:
        assert {*BROKERS, "postgres"} == set(services[pod]["depends_on"])
        assert all(services[pod]["depends_on"][broker]["required"] is False for broker in BROKERS)


@pytest.mark.parametrize("name", [*PODS, *BROKERS, "haproxy", "postgres"])
def test_containers_may_do_no_more_than_they_must(name: str) -> None:
    service = compose()["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}
    assert re.fullmatch(r"[a-z]+:\d+\.?\d*(\.\d+)?(-alpine)?", service["image"])
    # The pods' health check is in their image.
    assert name in PODS or service["healthcheck"]["test"][0] == "CMD"


def test_one_pod_builds_the_image_of_all_three() -> None:
    services = compose()["services"]
    assert [name for name, service in services.items() if "build" in service] == ["pod-1"]
    assert len({services[pod]["image"] for pod in PODS}) == 1


def test_postgres_is_healthy_when_pods_can_reach_it() -> None:
    check = compose()["services"]["postgres"]["healthcheck"]["test"]
    assert check[check.index("--host") + 1] == "127.0.0.1", "its socket answers during its set-up"


def test_rabbitmq_keeps_its_image_s_settings_its_name_and_to_its_memory() -> None:
    rabbitmq = compose()["services"]["rabbitmq"]
    assert not any("/etc/rabbitmq" in place for place in rabbitmq["tmpfs"])
    assert rabbitmq["hostname"]
    told = rabbitmq["environment"]["RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS"].split()
    assert rabbitmq["deploy"]["resources"]["limits"]["memory"] == "1G"
    assert told == ["-rabbit", "total_memory_available_override_value", str(1 << 30)]


def test_a_missing_secret_is_asked_for_with_what_the_pods_want_of_it() -> None:
    given = compose()["services"]["pod-1"]["environment"]
    assert "16 characters" in given["DEPLOYD_MASTER_KEY"]
    assert "32 characters" in given["DEPLOYD_JWT_SECRET"]


def test_volumes_that_are_used_are_there() -> None:
    whole = compose()
    used = {
        volume.partition(":")[0]
        for service in whole["services"].values()
        for volume in service.get("volumes", ())
    }
    assert {one for one in used if not one.startswith(".")} == set(whole["volumes"])
    assert all((DEPLOY / one).exists() for one in used if one.startswith("."))


def settings(broker: str) -> Config:
    values = {"COMPOSE_PROFILES": broker, "BROKER_PASSWORD": "letters", "POSTGRES_PASSWORD": "more"}
    given = compose()["services"]["pod-1"]["environment"]
    environ = {name: variables(value, values) for name, value in given.items()}
    return load(DEPLOY / "realtime.json", environ=environ).config


@pytest.mark.parametrize("broker", BROKERS)
def test_one_variable_chooses_the_broker_of_the_pods(broker: str) -> None:
    config = settings(broker)
    assert (config.broker.type, config.broker.enabled) == (broker, True)
    place = getattr(config.broker, broker)
    assert (place.host, place.password) == (broker, "letters")
    assert config.store.url == "postgresql://deployd:more@postgres:5432/deployd"


def test_the_broker_without_a_choice_is_the_same_for_all() -> None:
    assert "COMPOSE_PROFILES=redis\n" in (DEPLOY / ".env").read_text()
    given = compose()["services"]["pod-1"]["environment"]["DEPLOYD_BROKER__TYPE"]
    assert variables(given, {}) == "redis"


def test_compose_gives_pods_the_time_that_they_need_to_drain() -> None:
    drain = settings("redis").drain
    for pod in PODS:
        seconds = int(compose()["services"][pod]["stop_grace_period"].removesuffix("s"))
        assert seconds >= drain.delay + drain.deadline + 10


def test_pods_believe_the_proxy_and_nobody_else() -> None:
    address = compose()["services"]["haproxy"]["networks"]["default"]["ipv4_address"]
    assert settings("redis").server.trusted_proxies == (address,)
    assert "option forwardfor" in haproxy()
    assert "http-request del-header X-Forwarded-For" in haproxy()


def haproxy() -> str:
    return (DEPLOY / "haproxy" / "haproxy.cfg").read_text()


def test_haproxy_asks_the_pods_whether_they_are_ready() -> None:
    config = settings("redis")
    servers = dict(re.findall(r"^ *server (\S+) \S+:(\d+)$", haproxy(), re.MULTILINE))
    assert servers == dict.fromkeys(PODS, str(config.server.port))
    assert "uri /health/ready" in haproxy()
    [interval, fall] = re.findall(r"check inter (\d+)s fall (\d+)", haproxy())[0]
    assert config.drain.delay > int(interval) * int(fall)


def test_a_tunnel_lives_longer_than_the_time_between_pings() -> None:
    [minutes] = re.findall(r"timeout tunnel (\d+)m", haproxy())
    limits = settings("redis").limits
    assert int(minutes) * 60 > limits.ping_interval + limits.pong_timeout


def test_haproxy_finds_its_configuration_valid(tmp_path: Path) -> None:
    program = shutil.which("haproxy") or "/usr/sbin/haproxy"
    if not Path(program).exists():
        not_installed("haproxy", "haproxy (Debian)")
    path = tmp_path / "haproxy.cfg"
    for text, valid in [(haproxy(), True), (haproxy() + "\n    leastcon\n", False)]:
        path.write_text(text)
        ran = subprocess.run([program, "-c", "-f", path], capture_output=True, timeout=20)
        assert (ran.returncode == 0) == valid, ran.stderr.decode()
