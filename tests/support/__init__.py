"""What the tests of a whole pod share: clients that this project did not write."""

from .clients import PATIENCE, Client, connected, find_node, pod_config, running_pod

__all__ = ["PATIENCE", "Client", "connected", "find_node", "pod_config", "running_pod"]
