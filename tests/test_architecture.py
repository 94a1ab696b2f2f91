"""The rules that keep the house in order, read from the source itself."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ORDER = ["config", "transport", "actors", "documents", "supervisors", "tools"]
INSIDE = {
    "transport": [
        "transport",  # what all of it shares: errors, meters, threads, tokens
        "transport.limits",
        "transport.protocols",
        "transport.sockets",
        "transport.http",
        "transport.brokers.contract",
        "transport.brokers.bridge",
        "transport.brokers.nats",
        "transport.brokers.rabbitmq",
        "transport.brokers.redis",
        "transport.brokers",
    ],
    "actors": ["actors.runtime", "actors.cluster", "actors.rooms", "actors.clients"],
    "documents": [
        "documents",  # what all of it shares: errors, refusals
        "documents.store",
        "documents.http",
        "documents.users",
        "documents.scripts",
        "documents.collections",
    ],
    "supervisors": [
        "supervisors",  # what OTP has: restarts, supervisors, children, the watchdog
        "supervisors.observe",
        "supervisors.pod",
    ],
}
"""The folders of a package, from the left to the right: each imports those before it."""
MODULES = sorted(
    path.relative_to(ROOT)
    for package in ORDER
    for path in (ROOT / package).rglob("*.py")
    if "__pycache__" not in path.parts
)


def imported_packages(source: str, depth: int) -> Iterator[tuple[int, str]]:
    """Yield (line, package of ours) for each import of a module `depth` folders deep."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level > depth:
            first = (node.module or "").split(".")[0]
            yield from ((node.lineno, name) for name in ([first] if first else _names(node)))
        elif isinstance(node, ast.ImportFrom | ast.Import) and not getattr(node, "level", 0):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else _names(node)
            yield from ((node.lineno, name) for name in names if name.split(".")[0] == "deployd")


def _names(node: ast.ImportFrom | ast.Import) -> list[str]:
    return [alias.name for alias in node.names]


def violations(package: str, source: str, depth: int = 1) -> list[tuple[int, str]]:
    allowed = ORDER[: ORDER.index(package) + 1]
    return [found for found in imported_packages(source, depth) if found[1] not in allowed]


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_no_import_points_to_the_right(path: Path) -> None:
    source = (ROOT / path).read_text()
    assert not violations(path.parts[0], source, len(path.parts) - 1)


def test_the_rule_notices_every_way_to_point_right() -> None:
    source = "from ..actors import Actor\nfrom .. import tools\nimport deployd.tools\n"
    assert [line for line, _ in violations("config", source)] == [1, 2, 3]
    assert not violations("actors", "from ..transport import decode\nfrom .ref import ActorRef\n")


BRIDGE = Path("transport/brokers/bridge/bridge.py")


@pytest.mark.parametrize("path", [path for path in MODULES if path != BRIDGE], ids=str)
def test_only_the_bridge_imports_asyncio(path: Path) -> None:
    tree = ast.parse((ROOT / path).read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    modules = {getattr(node, "module", None) or _names(node)[0] for node in imports}
    assert "asyncio" not in {module.split(".")[0] for module in modules}


PUBLIC = sorted({".".join(path.parts[:-1]) for path in MODULES})


@pytest.mark.parametrize("package", PUBLIC)
def test_a_package_exports_exactly_what_is_pinned(package: str) -> None:
    pinned = (ROOT / "tests" / "exports" / f"{package}.txt").read_text().split()
    module = importlib.import_module(f"deployd.{package}")
    assert sorted(module.__all__) == pinned
    assert all(hasattr(module, name) for name in pinned)


def test_every_package_is_marked_as_typed() -> None:
    for package in PUBLIC:
        assert (ROOT / package.replace(".", "/") / "py.typed").exists()
