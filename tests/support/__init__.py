"""What the tests of a whole pod share: clients that this project did not write."""

from .clients import Client, connected, pod_config, running_pod

__all__ = ["Client", "connected", "pod_config", "running_pod"]
