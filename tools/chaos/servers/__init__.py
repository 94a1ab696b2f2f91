"""Real brokers of every topology, started here on free ports, and what can be done to them."""

from .brokers import TOPOLOGIES, brokers
from .deployment import PASSWORD, PODS, BrokerServer, Deployment, Endpoint, Misfortune, Undo
from .errors import (
    BadEndpoint,
    CannotBefall,
    DoesNotAnswer,
    DoesNotForm,
    DoesNotStart,
    NoSuchBroker,
    NotInstalled,
    NotObeyed,
    ServersError,
)
from .guarded import work_folder
from .nats import NatsServer, until_joined
from .processes import LOCALHOST, PATIENCE, ServerProcess, connects, free_port, wait_until
from .rabbitmq import RabbitServer
from .redis import RedisCluster, RedisServer, knows_all, make_cluster_node, make_sentinel
from .standing import StandingBroker, WhereBroker, read_endpoint, standing_broker

__all__ = [
    "LOCALHOST",
    "PASSWORD",
    "PATIENCE",
    "PODS",
    "TOPOLOGIES",
    "BadEndpoint",
    "BrokerServer",
    "CannotBefall",
    "Deployment",
    "DoesNotAnswer",
    "DoesNotForm",
    "DoesNotStart",
    "Endpoint",
    "Misfortune",
    "NatsServer",
    "NoSuchBroker",
    "NotInstalled",
    "NotObeyed",
    "RabbitServer",
    "RedisCluster",
    "RedisServer",
    "ServerProcess",
    "ServersError",
    "StandingBroker",
    "Undo",
    "WhereBroker",
    "brokers",
    "connects",
    "free_port",
    "knows_all",
    "make_cluster_node",
    "make_sentinel",
    "read_endpoint",
    "standing_broker",
    "until_joined",
    "wait_until",
    "work_folder",
]
