"""What a pod is made to suffer on purpose: which faults are active, and how they are done."""

from .faults import KINDS, LONGEST, InPodFault, PodFault, read_fault
from .injector import InjectedCrash, Injector
from .state import ActiveFault, ChaosState

__all__ = [
    "KINDS",
    "LONGEST",
    "ActiveFault",
    "ChaosState",
    "InPodFault",
    "InjectedCrash",
    "Injector",
    "PodFault",
    "read_fault",
]
