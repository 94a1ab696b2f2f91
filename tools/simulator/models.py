"""The broker that a plan asks for: its servers, and a pod's connections to them."""

from __future__ import annotations

from collections.abc import Callable

from ...transport.brokers.contract import Broker
from .nats import SimulatedNats
from .network import SimulatedNetwork
from .plan import RunPlan
from .rabbitmq import RabbitNetwork, SimulatedRabbit
from .redis import RedisNetwork, SimulatedRedis

__all__ = ["connections_of", "network_of"]


def network_of(plan: RunPlan) -> SimulatedNetwork:
    """Return the servers."""
    network = _servers_of(plan)
    network.signed = plan.signed
    return network


def _servers_of(plan: RunPlan) -> SimulatedNetwork:
    if plan.broker == "redis":
        return RedisNetwork(plan.nodes, plan.seed, sharded=plan.sharded)
    if plan.broker == "rabbitmq":
        return RabbitNetwork(plan.nodes, plan.seed, road=plan.road)
    return SimulatedNetwork(plan.nodes, plan.seed, spread=plan.spread, road=plan.road)


def connections_of(plan: RunPlan, network: SimulatedNetwork, pod: int) -> Callable[[], Broker]:
    """Return what makes a pod's connections, one for each incarnation of its link."""
    place = plan.places[pod]
    if isinstance(network, RedisNetwork):
        return lambda: SimulatedRedis(network, pod, place)
    if isinstance(network, RabbitNetwork):
        return lambda: SimulatedRabbit(network, pod, place)
    return lambda: SimulatedNats(network, pod, place, roams=plan.roams)
