"""Alerts, dashboard and autoscaler ask only for what a running pod exports."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import promql_parser
import pytest
import trio
import yaml
from attrs import evolve
from prometheus_client.parser import text_string_to_metric_families
from promql_parser import (
    AggregateExpr,
    BinaryExpr,
    Call,
    Expr,
    MatrixSelector,
    NumberLiteral,
    ParenExpr,
    StringLiteral,
    VectorSelector,
)

from deployd.config import Config
from deployd.transport.http.runbooks import runbooks_page
from support import KEYS, running_pod
from support.collections import collections_config, write_collection
from support.fake_broker import FakeBroker, FakeBus
from support.kustomize import Manifest, build, named

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "deploy" / "kubernetes" / "monitoring"
OF_THE_SCRAPE = {"namespace", "pod", "job", "instance", "service", "container", "endpoint"}
"""Labels that Prometheus adds to what it reads."""
VARIABLES = {"$__rate_interval": "5m", "$namespace": ".*", "$pod": ".*"}
BREAKER_STATES = {"closed", "open", "half_open", "auth"}
ALERTS = {
    "DeploydBreakerOpen": "breaker-open",
    "DeploydLinkDeaf": "link-deaf",
    "DeploydEventsLost": "events-lost",
    "DeploydNotReady": "not-ready",
    "DeploydConnectionsNearMax": "connections-near-max",
    "DeploydSlowClients": "slow-clients",
    "DeploydRestartStorm": "restart-storm",
    "DeploydLoopLag": "loop-lag",
    "DeploydLoopStalls": "loop-stalls",
    "DeploydMailboxNearBound": "mailbox-near-bound",
    "DeploydFilesNearMax": "files-near-max",
    "DeploydRateLimitedHerd": "rate-limited-herd",
    "DeploydPodDown": "pod-down",
    "DeploydCrossPodLatency": "cross-pod-latency",
    "DeploydPodsMissing": "pods-missing",
    "DeploydSignInsRefused": "sign-ins-refused",
    "DeploydRoomMemory": "room-memory",
    "DeploydCertificateExpiring": "certificate-expiring",
    "DeploydStoreDown": "store-down",
}
RUNBOOKS = "https://deployd.example.com/_dashboard/runbooks"


def rules() -> list[Manifest]:
    [one] = named(build(MONITORING), "PrometheusRule").values()
    [group] = one["spec"]["groups"]
    return list(group["rules"])


def panels() -> list[Any]:
    return list(json.loads((MONITORING / "dashboard.json").read_text())["panels"])


def adapter_rule() -> Manifest:
    [one] = yaml.safe_load((MONITORING / "adapter-rules.yaml").read_text())["rules"]["custom"]
    return dict(one)


def adapter_query() -> str:
    query = str(adapter_rule()["metricsQuery"])
    for name, meaning in {
        "<<.Series>>": "websocket_connections_per_pod",
        "<<.LabelMatchers>>": 'namespace="default",pod="deployd-1"',
        "<<.GroupBy>>": "pod",
    }.items():
        query = query.replace(name, meaning)
    return query


def expressions() -> list[str]:
    asked = [one["expr"] for one in rules()]
    asked += [target["expr"] for panel in panels() for target in panel["targets"]]
    asked += [adapter_query(), adapter_rule()["seriesQuery"]]
    return asked


def parsed(expression: str) -> Expr:
    for name, meaning in VARIABLES.items():
        expression = expression.replace(name, meaning)
    assert "$" not in expression, expression
    return promql_parser.parse(expression)


def selectors(expr: Expr | None) -> Iterator[VectorSelector]:
    """Find every selector in an expression."""
    match expr:
        case VectorSelector():
            yield expr
        case MatrixSelector():
            yield expr.vector_selector
        case BinaryExpr():
            yield from selectors(expr.lhs)
            yield from selectors(expr.rhs)
        case AggregateExpr() | ParenExpr():
            yield from selectors(expr.expr)
        case Call():
            for argument in expr.args:
                yield from selectors(argument)
        case NumberLiteral() | StringLiteral():
            return
        case _:
            pytest.fail(f"tests/deploy/test_monitoring.py does not know {type(expr).__name__}")


def groups(expr: Expr | None) -> Iterator[tuple[set[str], Expr]]:
    """Find every `by (…)` with what it groups."""
    match expr:
        case AggregateExpr():
            if expr.modifier is not None:
                yield set(expr.modifier.labels), expr.expr
            yield from groups(expr.expr)
        case BinaryExpr():
            yield from groups(expr.lhs)
            yield from groups(expr.rhs)
        case ParenExpr():
            yield from groups(expr.expr)
        case Call():
            for argument in expr.args:
                yield from groups(argument)
        case _:
            return


async def exported(folder: Path) -> dict[str, set[str]]:
    """Return the labels by name of all that a pod with a broker exports, and of what is documented.

    Metrics whose labels come with what happens have no sample yet: those are in docs/metrics.md,
    which `integration/pod/test_metrics.py` holds against a pod to which everything has happened.
    """
    write_collection(folder, "todos", {"properties": {}})
    config = collections_config(folder)
    config = evolve(config, broker=evolve(config.broker, type="nats", enabled=True))
    bus = FakeBus()
    async with running_pod(config, broker=lambda: FakeBroker(bus)) as pod:
        with trio.fail_after(20):
            while pod.link is None or not pod.link.state.breaker.closed:  # noqa: ASYNC110 - nobody tells
                await trio.sleep(0.01)
        url = f"http://127.0.0.1:{pod.port}/metrics"
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(url, headers={"X-Master-Key": KEYS.master_key})
    families = list(text_string_to_metric_families(answer.text))
    found = {s.name: set(s.labels) for family in families for s in family.samples}
    empty = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in families
        if not family.samples
    }
    table = (ROOT / "docs" / "metrics.md").read_text()
    for name, labels in re.findall(r"^\| `(\w+)` \| \w+ \|([^|]*)\|", table, re.MULTILINE):
        if name in empty:
            found[name] = set(re.findall(r"`(\w+)`", labels))
    return {**found, "up": set()}


async def test_every_expression_asks_for_metrics_and_labels_that_a_pod_exports(
    tmp_path: Path,
) -> None:
    known = await exported(tmp_path)
    for text in expressions():
        expr = parsed(text)
        asked = list(selectors(expr))
        assert asked, text
        for one in asked:
            assert one.name in known, text
            labels = {matcher.name for matcher in one.matchers.matchers}
            assert labels <= known[one.name] | OF_THE_SCRAPE, text
        for labels, inner in groups(expr):
            for one in selectors(inner):
                assert labels <= known[str(one.name)] | OF_THE_SCRAPE, text


def test_every_metric_that_is_documented_is_on_the_dashboard_or_in_an_alert() -> None:
    asked = {str(one.name) for text in expressions() for one in selectors(parsed(text))}
    asked = {re.sub(r"_bucket$", "", name) for name in asked}
    table = (ROOT / "docs" / "metrics.md").read_text()
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) <= asked


def test_breakers_are_asked_for_states_that_there_are() -> None:
    states = [
        matcher.value
        for text in expressions()
        for one in selectors(parsed(text))
        for matcher in one.matchers.matchers
        if matcher.name == "state"
    ]
    assert states
    assert set(states) <= BREAKER_STATES


def test_the_rules_have_the_shape_that_the_operator_wants() -> None:
    [rule] = named(build(MONITORING), "PrometheusRule").values()
    assert rule["apiVersion"] == "monitoring.coreos.com/v1"
    for one in rules():
        assert set(one) == {"alert", "expr", "for", "labels", "annotations"}
        assert re.fullmatch(r"\d+[smh]", one["for"])
        assert one["labels"]["severity"] in ("critical", "warning")
        assert set(one["annotations"]) == {"summary", "runbook_url"}


def test_each_alert_points_to_its_runbook() -> None:
    pointers = {one["alert"]: one["annotations"]["runbook_url"] for one in rules()}
    assert pointers == {name: f"{RUNBOOKS}#{anchor}" for name, anchor in ALERTS.items()}


def test_each_alert_and_each_ailment_of_the_dashboard_has_its_runbook() -> None:
    text = (ROOT / "web" / "runbooks.md").read_text(encoding="utf-8")
    headings = set(re.findall(r"^### ([a-z-]+)$", text, re.MULTILINE))
    code = (ROOT / "supervisors" / "observe" / "ailments.py").read_text(encoding="utf-8")
    told = {one for one in headings if f'"{one}"' in code}
    assert headings == set(ALERTS.values()) | told
    page = runbooks_page().decode()
    assert all(f'<h3 id="{one}">' in page for one in headings)


def test_summaries_name_only_labels_that_their_expressions_keep() -> None:
    for one in rules():
        kept = set(OF_THE_SCRAPE)
        kept |= {label for labels, _ in groups(parsed(one["expr"])) for label in labels}
        if not list(groups(parsed(one["expr"]))):
            kept |= {"link", "kind", "reason", "pattern", "setting"}
        named_labels = set(re.findall(r"\$labels\.(\w+)", one["annotations"]["summary"]))
        assert named_labels <= kept, one["alert"]


def test_a_mailbox_is_near_its_bound_at_four_fifths_of_the_default() -> None:
    [expr] = [one["expr"] for one in rules() if one["alert"] == "DeploydMailboxNearBound"]
    bound = Config().limits.room_mailbox_size
    assert f">= {bound * 4 // 5}\n" in expr


def test_service_monitors_find_the_port_of_the_metrics() -> None:
    for overlay in ("single", "nats"):
        manifests = build(MONITORING.parent / "overlays" / overlay)
        [monitor] = named(manifests, "ServiceMonitor").values()
        assert monitor["apiVersion"] == "monitoring.coreos.com/v1"
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        services = named(manifests, "Service").values()
        found = [one for one in services if wanted <= one["metadata"]["labels"].items()]
        assert len(found) == len(services) > 0
        for service in found:
            assert service["metadata"]["labels"][monitor["spec"]["jobLabel"]] == "deployd"
            ports = {one["name"] for one in service["spec"]["ports"]}
            assert {one["port"] for one in monitor["spec"]["endpoints"]} == {"metrics"} <= ports


def test_the_adapter_names_the_metric_that_the_autoscaler_reads() -> None:
    rule = adapter_rule()
    [scaler] = named(build(MONITORING.parent / "base"), "HorizontalPodAutoscaler").values()
    [metric] = [one["pods"]["metric"]["name"] for one in scaler["spec"]["metrics"] if "pods" in one]
    assert rule["name"] == {"as": metric}
    assert set(rule["resources"]["overrides"]) == {"namespace", "pod"}


def test_panels_of_the_dashboard_do_not_overlap() -> None:
    places = [(one["gridPos"]["x"], one["gridPos"]["y"]) for one in panels()]
    assert len(set(places)) == len(places)
    assert len({one["id"] for one in panels()}) == len(places)
    assert all(one["gridPos"]["x"] + one["gridPos"]["w"] <= 24 for one in panels())
