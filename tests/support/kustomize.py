"""As much of `kustomize build` as deploy/kubernetes uses: tests read what a cluster would get.

Files of resources, configMapGenerator (with `behavior: merge`), JSON patches (RFC 6902: add,
replace, remove), `$patch: delete`, labels and nameSuffix. Anything else is an error.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

__all__ = ["Manifest", "build", "named"]

Manifest = dict[str, Any]

KNOWN: Final = {
    "apiVersion", "kind", "resources", "configMapGenerator", "patches", "labels", "nameSuffix",
}  # fmt: skip
SELECTORS: Final = {
    "Deployment": ("spec.selector.matchLabels", "spec.template.metadata.labels"),
    "Service": ("spec.selector",),
    "PodDisruptionBudget": ("spec.selector.matchLabels",),
    "NetworkPolicy": ("spec.podSelector.matchLabels",),
}
"""Where `includeSelectors` adds labels, besides a Deployment's topology spread."""


def build(folder: Path) -> list[Manifest]:
    """Return the manifests of an overlay, the names of its ConfigMaps with their hashes."""
    manifests = _layer(folder)
    for one in manifests:
        if one.pop("generated", False):
            content = yaml.safe_dump(one["data"], sort_keys=True).encode()
            _rename(manifests, one, f"-{hashlib.sha256(content).hexdigest()[:10]}")
    return manifests


def named(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    """Return the manifests of one kind by name."""
    return {one["metadata"]["name"]: one for one in manifests if one["kind"] == kind}


def _layer(folder: Path) -> list[Manifest]:
    kustomization: Manifest = yaml.safe_load((folder / "kustomization.yaml").read_text())
    unknown = set(kustomization) - KNOWN
    assert not unknown, f"{folder}: tests/support/kustomize.py cannot do {unknown}"
    manifests: list[Manifest] = []
    for name in kustomization.get("resources", ()):
        path = (folder / name).resolve()
        manifests += _layer(path) if path.is_dir() else yaml.safe_load_all(path.read_text())
    for generator in kustomization.get("configMapGenerator", ()):
        _generate(manifests, generator, folder)
    for patch in kustomization.get("patches", ()):
        _patch(manifests, patch)
    for labels in kustomization.get("labels", ()):
        for one in manifests:
            _label(one, labels["pairs"], selectors=labels.get("includeSelectors", False))
    if suffix := kustomization.get("nameSuffix"):
        for one in list(manifests):
            _rename(manifests, one, suffix)
    return manifests


def _generate(manifests: list[Manifest], generator: Manifest, folder: Path) -> None:
    data = {name: (folder / name).read_text() for name in generator["files"]}
    if generator.get("behavior") == "merge":
        named(manifests, "ConfigMap")[generator["name"]]["data"].update(data)
        return
    metadata = {"name": generator["name"], **generator.get("options", {})}
    manifests.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata,
                      "data": data, "generated": True})  # fmt: skip


def _patch(manifests: list[Manifest], patch: Manifest) -> None:
    target = patch["target"]
    found = named(manifests, target["kind"])[target["name"]]
    content = yaml.safe_load(patch["patch"])
    if isinstance(content, dict):
        assert content["$patch"] == "delete", "only JSON patches and deletions are understood"
        manifests.remove(found)
        return
    for step in content:
        _step(found, **step)


def _step(manifest: Manifest, op: str, path: str, value: object = None) -> None:
    *above, last = path.strip("/").split("/")
    here: Any = manifest
    for name in above:
        here = here[int(name) if isinstance(here, list) else name]
    key: Any = int(last) if isinstance(here, list) and last != "-" else last
    value = copy.deepcopy(value)
    if op == "remove":
        del here[key]
    elif op == "add" and isinstance(here, list):
        here.insert(len(here) if key == "-" else key, value)
    else:
        assert op == "add" or (op == "replace" and here[key] is not None), (op, path)
        here[key] = value


def _label(manifest: Manifest, pairs: dict[str, str], *, selectors: bool) -> None:
    manifest["metadata"].setdefault("labels", {}).update(pairs)
    if not selectors:
        return
    for path in SELECTORS.get(manifest["kind"], ()):
        here = manifest
        for name in path.split("."):
            here = here[name]
        here.update(pairs)
    if manifest["kind"] == "Deployment":
        for spread in manifest["spec"]["template"]["spec"]["topologySpreadConstraints"]:
            spread["labelSelector"]["matchLabels"].update(pairs)


def _rename(manifests: list[Manifest], manifest: Manifest, suffix: str) -> None:
    """Add to a name, here and wherever it is meant."""
    old = manifest["metadata"]["name"]
    manifest["metadata"]["name"] = old + suffix
    for one in manifests:
        for holder, key in _references(one, manifest["kind"]):
            if holder.get(key) == old:
                holder[key] = old + suffix


def _references(manifest: Manifest, kind: str) -> Iterator[tuple[Manifest, str]]:
    if manifest["kind"] == "HorizontalPodAutoscaler":
        target = manifest["spec"]["scaleTargetRef"]
        if target["kind"] == kind:
            yield target, "name"
    if manifest["kind"] == "Deployment":
        pod = manifest["spec"]["template"]["spec"]
        if kind == "ServiceAccount":
            yield pod, "serviceAccountName"
        if kind == "ConfigMap":
            for volume in pod["volumes"]:
                yield volume.get("configMap", {}), "name"
