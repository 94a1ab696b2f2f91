"""The Helm chart: what it installs is what the Kustomize base installs, and fits Kubernetes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest

from deployd.config import Config, load
from support.helm import render
from support.kustomize import build, named

ROOT = Path(__file__).parents[2] / "deploy"
CHART = ROOT / "helm" / "deployd"
EVERYTHING = {
    "autoscaling": {"enabled": True, "connectionsPerPod": 1000},
    "ingress": {"enabled": True},
    "networkPolicy": {"egress": [6379, 5432]},
    "env": [{"name": "DATABASE_URL", "value": "postgresql://host/name"}],
}
WAYS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "everything": EVERYTHING,
    "one pod": {"persistence": {"enabled": True}, "networkPolicy": {"enabled": False}},
}


def pod_of(manifests: list[dict[str, Any]]) -> dict[str, Any]:
    (deployment,) = named(manifests, "Deployment").values()
    spec = deployment["spec"]["template"]["spec"]
    assert isinstance(spec, dict)
    return spec


def settings(manifests: list[dict[str, Any]], folder: Path) -> Config:
    (config,) = named(manifests, "ConfigMap").values()
    (folder / "realtime.json").write_text(config["data"]["realtime.json"])
    return load(folder / "realtime.json", environ={}).config


@pytest.mark.parametrize("way", WAYS)
def test_what_it_installs_fits_the_schemas_of_kubernetes(way: str) -> None:
    for manifest in render(CHART, "pods", WAYS[way]):
        kubernetes_validate.validate(manifest, "1.37", strict=True)


def test_with_nothing_said_it_is_the_base_but_for_names_and_scaling() -> None:
    ours, base = pod_of(render(CHART, "pods", {})), pod_of(build(ROOT / "kubernetes" / "base"))
    own, other = ours["containers"][0], base["containers"][0]
    for key in ("env", "ports", "startupProbe", "livenessProbe", "readinessProbe", "resources",
                "securityContext", "volumeMounts", "image"):  # fmt: skip
        assert own[key] == other[key], key
    assert ours["securityContext"] == base["securityContext"]
    assert ours["terminationGracePeriodSeconds"] == base["terminationGracePeriodSeconds"]


def test_its_settings_are_those_of_the_base_and_can_be(tmp_path: Path) -> None:
    base = ROOT / "kubernetes" / "base" / "realtime.json"
    assert settings(render(CHART, "pods", {}), tmp_path) == load(base, environ={}).config


def test_a_pod_has_time_to_drain(tmp_path: Path) -> None:
    manifests = render(CHART, "pods", {})
    drain = settings(manifests, tmp_path).drain
    assert pod_of(manifests)["terminationGracePeriodSeconds"] > drain.delay + drain.deadline + 5


def test_a_change_of_settings_is_a_rollout() -> None:
    def checksum(**settings: Any) -> str:
        (deployment,) = named(render(CHART, "pods", {"settings": settings}), "Deployment").values()
        return str(deployment["spec"]["template"]["metadata"]["annotations"])

    assert checksum() == checksum()
    assert checksum() != checksum(drain={"delay": 6})


def test_a_digest_takes_the_place_of_the_tag() -> None:
    digest = f"sha256:{'a' * 64}"
    pod = pod_of(render(CHART, "pods", {"image": {"digest": digest}}))
    assert pod["containers"][0]["image"] == f"deployd@{digest}"


def test_one_pod_with_a_volume_is_never_two() -> None:
    manifests = render(CHART, "pods", {"persistence": {"enabled": True}})
    (deployment,) = named(manifests, "Deployment").values()
    assert (deployment["spec"]["replicas"], deployment["spec"]["strategy"]) == (
        1,
        {"type": "Recreate"},
    )
    assert list(named(manifests, "PersistentVolumeClaim")) == ["pods-data"]


def test_replicas_are_the_autoscalers_where_there_is_one() -> None:
    manifests = render(CHART, "pods", EVERYTHING)
    (deployment,) = named(manifests, "Deployment").values()
    assert "replicas" not in deployment["spec"]
    (scaler,) = named(manifests, "HorizontalPodAutoscaler").values()
    assert len(scaler["spec"]["metrics"]) == 2


@pytest.mark.parametrize("source", ["helm", "kustomize"])
def test_an_ingress_leads_to_the_service_and_cuts_no_quiet_client(source: str) -> None:
    if source == "helm":
        manifests = render(CHART, "pods", EVERYTHING)
    else:
        manifests = build(ROOT / "kubernetes" / "base") + build(ROOT / "kubernetes" / "ingress")
    (ingress,) = named(manifests, "Ingress").values()
    kubernetes_validate.validate(ingress, "1.37", strict=True)
    backend = ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
    service = named(manifests, "Service")[backend["name"]]
    assert backend["port"]["name"] in [port["name"] for port in service["spec"]["ports"]]
    timeout = ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-read-timeout"]
    assert int(timeout) > 2 * Config().limits.ping_interval


def test_the_version_is_that_of_the_image_and_the_values_are_json(tmp_path: Path) -> None:
    (config,) = named(render(CHART, "pods", {}), "ConfigMap").values()
    assert json.loads(config["data"]["realtime.json"])["logging"] == {"format": "json"}
