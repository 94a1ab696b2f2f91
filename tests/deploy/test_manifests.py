"""What a cluster would get: each overlay as kustomize builds it, checked without a cluster."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest

from deployd.config import Config, load
from deployd.config.catalogue import ENTRIES
from deployd.config.secrets import JWT_SECRET, MASTER_KEY
from deployd.config.text_values import ALIASES
from support.kustomize import Manifest, build, named

KUBERNETES = Path(__file__).parents[2] / "deploy" / "kubernetes"
OVERLAYS = ["single", "redis", "nats", "geographic/us-east", "geographic/eu-west"]
CUSTOM = {"ServiceMonitor", "PrometheusRule"}
SECRETS = {
    "deployd-secret": {"master-key", "jwt-secret", "database-url"},
    "redis-secret": {"password"},
    "nats-secret": {"token"},
}
"""What deploy/README.md tells operators to make."""
SLACK = 10
"""Seconds that a pod may take to stop beyond its drain."""


@pytest.fixture(params=OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> list[Manifest]:
    return build(KUBERNETES / "overlays" / request.param)


def deployments(manifests: list[Manifest]) -> list[Manifest]:
    return list(named(manifests, "Deployment").values())


def pod_of(deployment: Manifest) -> Manifest:
    found: Manifest = deployment["spec"]["template"]["spec"]
    return found


def container_of(deployment: Manifest) -> Manifest:
    [found] = pod_of(deployment)["containers"]
    return dict(found)


def labels_of(deployment: Manifest) -> dict[str, str]:
    return dict(deployment["spec"]["template"]["metadata"]["labels"])


def matching(selector: dict[str, str], manifests: list[Manifest]) -> list[Manifest]:
    return [one for one in deployments(manifests) if selector.items() <= labels_of(one).items()]


def environment(deployment: Manifest) -> dict[str, str]:
    """Return the container's variables; a secret's value is made up."""
    made_up = "postgresql://deployd:secret@database/deployd"
    return {one["name"]: one.get("value", made_up) for one in container_of(deployment)["env"]}


def settings(deployment: Manifest, manifests: list[Manifest], folder: Path) -> Config:
    """Load what the pod would, with the loader that it has."""
    [name] = [v["configMap"]["name"] for v in pod_of(deployment)["volumes"] if "configMap" in v]
    path = folder / "realtime.json"
    path.write_text(named(manifests, "ConfigMap")[name]["data"]["realtime.json"])
    return load(path, environ=environment(deployment)).config


def test_built_in_kinds_fit_the_schemas_of_kubernetes(overlay: list[Manifest]) -> None:
    for one in overlay:
        if one["kind"] not in CUSTOM:
            kubernetes_validate.validate(one, "1.37", strict=True)


def test_a_manifest_that_does_not_fit_is_found() -> None:
    [deployment] = deployments(build(KUBERNETES / "base"))
    container_of(deployment)["ports"][0]["containerPort"] = "http"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, "1.37", strict=True)


def test_no_two_manifests_are_the_same_thing(overlay: list[Manifest]) -> None:
    names = [(one["kind"], one["metadata"]["name"]) for one in overlay]
    assert len(set(names)) == len(names)


def test_the_settings_in_the_config_maps_are_settings(
    overlay: list[Manifest], tmp_path: Path
) -> None:
    for deployment in deployments(overlay):
        config = settings(deployment, overlay, tmp_path)
        ports = {p["name"]: p["containerPort"] for p in container_of(deployment)["ports"]}
        assert config.server.host == "0.0.0.0"
        assert ports == {
            "http": config.server.port,
            "metrics": int(config.metrics.bind.rsplit(":", 1)[1]),
        }


def test_a_pod_has_time_to_drain_before_it_is_killed(
    overlay: list[Manifest], tmp_path: Path
) -> None:
    for deployment in deployments(overlay):
        drain = settings(deployment, overlay, tmp_path).drain
        probe = container_of(deployment)["readinessProbe"]
        assert drain.delay == 5
        assert drain.delay > probe["periodSeconds"] * probe["failureThreshold"]
        assert drain.window < drain.deadline
        grace = pod_of(deployment)["terminationGracePeriodSeconds"]
        assert grace >= drain.delay + drain.deadline + SLACK


def test_pods_may_do_no_more_than_they_must(overlay: list[Manifest]) -> None:
    for deployment in deployments(overlay):
        pod, container = pod_of(deployment), container_of(deployment)
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert "memory" in container["resources"]["limits"]
        mounts = {one["mountPath"]: one["name"] for one in container["volumeMounts"]}
        assert set(mounts) == {"/etc/deployd", "/data", "/tmp"}
        assert set(mounts.values()) == {one["name"] for one in pod["volumes"]}


def test_images_have_a_version(overlay: list[Manifest]) -> None:
    for deployment in deployments(overlay):
        assert re.fullmatch(r"deployd:\d+\.\d+\.\d+", container_of(deployment)["image"])


def test_probes_ask_for_what_a_pod_answers(overlay: list[Manifest]) -> None:
    for deployment in deployments(overlay):
        container = container_of(deployment)
        ports = {one["name"] for one in container["ports"]}
        asked = {
            kind: container[f"{kind}Probe"]["httpGet"]["path"]
            for kind in ("liveness", "readiness", "startup")
        }
        assert asked == {
            "liveness": "/health/live",
            "readiness": "/health/ready",
            "startup": "/health/live",
        }
        assert {container[f"{kind}Probe"]["httpGet"]["port"] for kind in asked} <= ports


def selectors(manifests: list[Manifest]) -> Iterator[tuple[Manifest, dict[str, str]]]:
    for one in manifests:
        spec: Any = one.get("spec")
        if one["kind"] == "Service":
            yield one, spec["selector"]
        elif one["kind"] in ("Deployment", "PodDisruptionBudget"):
            yield one, spec["selector"]["matchLabels"]
        elif one["kind"] == "NetworkPolicy":
            yield one, spec["podSelector"]["matchLabels"]
        if one["kind"] == "Deployment":
            for spread in spec["template"]["spec"]["topologySpreadConstraints"]:
                yield one, spread["labelSelector"]["matchLabels"]


def test_each_selector_selects_the_pods_of_one_deployment(overlay: list[Manifest]) -> None:
    kinds = set()
    for one, selector in selectors(overlay):
        kinds.add(one["kind"])
        [found] = matching(selector, overlay)
        assert found["metadata"]["name"] == one["metadata"]["name"]
    assert {"Deployment", "Service", "NetworkPolicy"} <= kinds


def test_ports_that_are_named_exist(overlay: list[Manifest]) -> None:
    for service in named(overlay, "Service").values():
        [deployment] = matching(service["spec"]["selector"], overlay)
        ports = {one["name"] for one in container_of(deployment)["ports"]}
        assert {one["targetPort"] for one in service["spec"]["ports"]} == ports
    for policy in named(overlay, "NetworkPolicy").values():
        allowed = {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}
        assert allowed == ports


def test_what_pods_refer_to_exists(overlay: list[Manifest]) -> None:
    claims = named(overlay, "PersistentVolumeClaim")
    for deployment in deployments(overlay):
        pod = pod_of(deployment)
        assert pod["serviceAccountName"] in named(overlay, "ServiceAccount")
        for volume in pod["volumes"]:
            if "configMap" in volume:
                assert volume["configMap"]["name"] in named(overlay, "ConfigMap")
            if "persistentVolumeClaim" in volume:
                assert volume["persistentVolumeClaim"]["claimName"] in claims
        for variable in container_of(deployment)["env"]:
            if "valueFrom" in variable:
                secret = variable["valueFrom"]["secretKeyRef"]
                assert secret["key"] in SECRETS[secret["name"]]


def test_every_variable_is_a_setting_a_secret_or_a_placeholder_of_the_settings(
    overlay: list[Manifest],
) -> None:
    known = {*ALIASES, *(entry.variable for entry in ENTRIES.values()), MASTER_KEY, JWT_SECRET}
    for deployment in deployments(overlay):
        [name] = [v["configMap"]["name"] for v in pod_of(deployment)["volumes"] if "configMap" in v]
        text = named(overlay, "ConfigMap")[name]["data"]["realtime.json"]
        placeholders = set(re.findall(r"\$\{([A-Z_]+)\}", text))
        given = set(environment(deployment))
        assert placeholders <= given <= known | placeholders


def test_no_secret_is_in_the_manifests(overlay: list[Manifest]) -> None:
    assert not named(overlay, "Secret")
    for deployment in deployments(overlay):
        for variable in container_of(deployment)["env"]:
            told = re.search("KEY|SECRET|PASSWORD|TOKEN|URL", variable["name"])
            assert ("valueFrom" in variable) == bool(told), variable
    for one in named(overlay, "ConfigMap").values():
        for text in re.findall(
            r'"(?:password|token)": "(.*)"', one["data"].get("realtime.json", "")
        ):
            assert re.match(r"\$\{[A-Z_]+\}", text)


def test_the_secrets_are_those_that_the_readme_tells_to_make() -> None:
    told = (KUBERNETES.parent / "README.md").read_text()
    for name, keys in SECRETS.items():
        [line] = re.findall(rf"create secret generic {name} (.*)", told)
        assert set(re.findall(r"--from-literal=([\w-]+)=", line)) == keys


def test_each_autoscaler_scales_a_deployment_that_leaves_replicas_to_it(
    overlay: list[Manifest],
) -> None:
    for autoscaler in named(overlay, "HorizontalPodAutoscaler").values():
        target = autoscaler["spec"]["scaleTargetRef"]
        deployment = named(overlay, target["kind"])[target["name"]]
        assert "replicas" not in deployment["spec"]
        cpu, *others = autoscaler["spec"]["metrics"]
        assert cpu["resource"]["target"] == {"type": "Utilization", "averageUtilization": 70}
        if environment(deployment).get("REALTIME_ENABLED") == "false":
            assert not others
        else:
            [connections] = others
            assert connections["pods"] == {
                "metric": {"name": "websocket_connections_per_pod"},
                "target": {"type": "AverageValue", "averageValue": "1000"},
            }


def overlay_settings(name: str, folder: Path) -> dict[str, Config]:
    manifests = build(KUBERNETES / "overlays" / name)
    return {
        one["metadata"]["name"]: settings(one, manifests, folder) for one in deployments(manifests)
    }


def test_a_single_pod_keeps_its_documents_on_a_volume(tmp_path: Path) -> None:
    manifests = build(KUBERNETES / "overlays" / "single")
    [deployment] = deployments(manifests)
    config = settings(deployment, manifests, tmp_path)
    assert (config.broker.enabled, config.store.url) == (False, "")
    assert deployment["spec"]["replicas"] == 1
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    assert not named(manifests, "HorizontalPodAutoscaler")
    assert not named(manifests, "PodDisruptionBudget")
    [data] = [v for v in pod_of(deployment)["volumes"] if v["name"] == "data"]
    assert "persistentVolumeClaim" in data


def test_redis_joins_pods_with_the_password_of_the_secret(tmp_path: Path) -> None:
    [config] = overlay_settings("redis", tmp_path).values()
    assert (config.broker.type, config.broker.enabled) == ("redis", True)
    assert config.broker.redis.password
    assert config.store.url


def test_nats_has_pods_for_websocket_and_pods_for_the_api(tmp_path: Path) -> None:
    configs = overlay_settings("nats", tmp_path)
    assert {
        name: (one.enabled, one.server.api_enabled, one.broker.type, one.broker.enabled)
        for name, one in configs.items()
    } == {
        "deployd-ws": (True, False, "nats", True),
        "deployd-api": (False, True, "nats", True),
    }


@pytest.mark.parametrize("region", ["us-east", "eu-west"])
def test_each_region_has_a_redis_and_a_prefix_of_its_own(region: str, tmp_path: Path) -> None:
    [config] = overlay_settings(f"geographic/{region}", tmp_path).values()
    assert config.broker.redis.prefix == f"deployd:{region}:"
    assert config.broker.redis.host == f"redis-{region}.internal"


def test_the_network_lets_pods_reach_their_broker(overlay: list[Manifest], tmp_path: Path) -> None:
    for deployment in deployments(overlay):
        broker = settings(deployment, overlay, tmp_path).broker
        policy = named(overlay, "NetworkPolicy")[deployment["metadata"]["name"]]
        allowed = {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}
        needed = {"memory": set(), "redis": {broker.redis.port}, "nats": {broker.nats.port}}
        database = {5432} if broker.enabled else set()
        assert allowed == {53} | needed[broker.type] | database


def test_a_change_of_settings_is_a_rollout() -> None:
    [us] = deployments(build(KUBERNETES / "overlays" / "geographic/us-east"))
    [eu] = deployments(build(KUBERNETES / "overlays" / "geographic/eu-west"))
    assert pod_of(us)["volumes"][0] != pod_of(eu)["volumes"][0]
