"""The rules that keep the house in order, read from the source itself."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ORDER = [
    *("config", "transport", "client", "actors", "documents"),
    *("supervisors", "embed", "tools", "testing"),
]
INSIDE = {
    "transport": [
        "transport",  # what all of it shares: errors, meters, threads, tokens
        "transport.limits",
        "transport.protocols",
        "transport.sockets",
        "transport.http",
        "transport.brokers.contract",
        "transport.brokers.bridge",
        "transport.brokers.network",
        "transport.brokers.nats",
        "transport.brokers.rabbitmq",
        "transport.brokers.redis",
        "transport.brokers",
    ],
    "actors": [
        "actors.runtime",
        "actors.cluster",
        "actors.rooms.handlers",
        "actors.rooms",
        "actors.clients",
    ],
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
        "supervisors.chaos",  # what a pod is made to suffer on purpose
        "supervisors.observe",
        "supervisors.pod",
    ],
    "tools": [
        "tools.common",
        "tools.process",
        "tools.arbiter",
        "tools.stress",
        "tools.oracle",
        "tools.simulator",
        "tools.chaos.scenario",
        "tools.chaos.simulated",
        "tools.chaos.proxy.frames",
        "tools.chaos.proxy",
        "tools.chaos.report",
        "tools.chaos.servers",
        "tools.chaos.targets",
        "tools.chaos.runner",
        "tools.chaos",  # its group of commands comes after them
        "tools",  # the commands come last
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


SPOKEN = {"..transport.protocols", "..transport.errors"}
"""What the client may know of `transport`: what is said, and never how a pod sends it."""


@pytest.mark.parametrize("path", [path for path in MODULES if path.parts[0] == "client"], ids=str)
def test_the_client_knows_of_transport_what_is_said_and_no_more(path: Path) -> None:
    tree = ast.parse((ROOT / path).read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    modules = {"." * node.level + (node.module or "") for node in imports}
    assert {name for name in modules if "transport" in name} <= SPOKEN


def folders_imported(path: Path, source: str) -> Iterator[tuple[int, str]]:
    """Yield (line, folder of the same package) for each import of a module from another folder.

    A folder's `__init__.py` is what others see of it, so it imports all that is below.
    """
    here = list(path.parts[:-1])
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        base = here[: len(here) - node.level + 1]
        for name in [node.module] if node.module else _names(node):
            target = [*base, *name.split(".")]
            if target[0] == here[0]:
                folder = target if ROOT.joinpath(*target).is_dir() else target[:-1]
                yield node.lineno, ".".join(folder)


def folder_violations(path: Path, source: str) -> list[tuple[int, str]]:
    order, here = INSIDE[path.parts[0]], ".".join(path.parts[:-1])
    allowed = order[: order.index(here) + 1]
    return [found for found in folders_imported(path, source) if found[1] not in allowed]


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if path.parts[0] in INSIDE and path.name != "__init__.py"],
    ids=str,
)
def test_no_folder_imports_one_that_comes_after_it(path: Path) -> None:
    assert not folder_violations(path, (ROOT / path).read_text())


def test_every_folder_has_its_place_in_the_order() -> None:
    for package, order in INSIDE.items():
        there = {".".join(path.parts[:-1]) for path in MODULES if path.parts[0] == package}
        assert there - {package} == set(order) - {package}


def test_the_order_of_folders_notices_what_points_right_and_what_goes_round() -> None:
    source = "from ..rooms import Room\nfrom .. import clients\nfrom ..runtime import Actor\n"
    found = folder_violations(Path("actors/cluster/link.py"), source)
    assert found == [(1, "actors.rooms"), (2, "actors.clients")]
    found = folder_violations(Path("actors/rooms/room.py"), "from ... import actors\n")
    assert found == [(1, "actors")]  # what the package shows to others is not for its own


KNOW_ASYNCIO = [
    Path("transport/brokers/bridge/bridge.py"),
    *(Path("embed/asyncio.py"), Path("embed/crossing.py")),
]


@pytest.mark.parametrize("path", [path for path in MODULES if path not in KNOW_ASYNCIO], ids=str)
def test_only_the_bridge_and_what_embeds_a_pod_import_asyncio(path: Path) -> None:
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


def classes(source: str) -> Iterator[str]:
    """Yield the classes of a module, without the underscore that makes one its own."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef):
            yield node.name.lstrip("_")


SECTIONS = {"Auth", "Broker", "Store"}
"""Settings are called as users' files and code call them, and so is what they set."""


def test_no_two_classes_have_one_name() -> None:
    homes: dict[str, set[str]] = {}
    for path in MODULES:
        for name in classes((ROOT / path).read_text()):
            homes.setdefault(name, set()).add(str(path))
    twice = {name: paths for name, paths in homes.items() if len(paths) > 1}
    for section in SECTIONS:
        assert any(path.startswith("config/") for path in twice.pop(section))
    assert twice == {}


def test_a_class_of_a_module_alone_counts_as_one_that_others_see() -> None:
    assert list(classes("class _Seat:\n    class Row: ...\nclass Hall: ...\n")) == [
        "Seat",
        "Hall",
        "Row",
    ]


def private_reaches(source: str) -> set[str]:
    """Return the private names of other files that a module imports, or takes of an object.

    What a class inherits it may use: `self._name` is not looked at. Slots and annotations count
    as definitions.
    """
    own: set[object] = set()
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.ImportFrom(names=names, level=level) if level:
                found |= {alias.name for alias in names if alias.name.startswith("_")}
            case ast.Attribute(ast.Name("self" | "cls"), attr, ast.Store()):
                own.add(attr)
            case ast.Attribute(ast.Name("self" | "cls") | ast.Call(ast.Name("super"))):
                pass
            case ast.Attribute(attr=name) if name.startswith("_") and not name.endswith("__"):
                found.add(name)
            case ast.FunctionDef(name) | ast.AsyncFunctionDef(name) | ast.ClassDef(name):
                own.add(name)
            case ast.AnnAssign(ast.Name(name)) | ast.Constant(name):
                own.add(name)
    return found - own


CONTEXT = {
    "documents/scripts/attempt.py": {"_cancelled", "_close", "_outcome"},
    "documents/scripts/thread_job.py": {"_begin", "_give_up"},
}
"""What a script's context has for those that run the script: private, for scripts see the rest."""


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_no_module_reaches_into_the_private_names_of_another(path: Path) -> None:
    libraries = (ROOT / "docs" / "libraries.md").read_text()
    rows = [line for line in libraries.splitlines() if f"`{path}`" in line]
    reaches = private_reaches((ROOT / path).read_text()) - CONTEXT.get(str(path), set())
    assert {name for name in reaches if not any(f"`{name}`" in row for row in rows)} == set()


def test_every_way_to_reach_into_a_private_name_is_noticed() -> None:
    source = "from .a import _b, c\ndef _own(): pass\nx._d\nx._own\nself._e\nx.__dict__\n"
    assert private_reaches(source) == {"_b", "_d"}
