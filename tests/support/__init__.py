"""What the tests of a whole pod share: clients that this project did not write."""

from .clients import Client, connected, running_pod, pod_config

__all__ = ["Client", "connected", "running_pod", "pod_config"]
