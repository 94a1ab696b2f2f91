"""What the tests of a whole pod share: clients that this project did not write."""

from .clients import KEYS, PATIENCE, Client, connected, find_node, pod_config, running_pod
from .collections import MASTER, collections_config, running_collections, write_collection

__all__ = [
    "KEYS",
    "MASTER",
    "PATIENCE",
    "Client",
    "collections_config",
    "connected",
    "find_node",
    "pod_config",
    "running_collections",
    "running_pod",
    "write_collection",
]
