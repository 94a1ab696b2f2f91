"""Who lives and dies: supervisors, their restart decisions, the watchdog."""

from .backoff import Backoff
from .child import Child, ChildSpec, Service
from .description import Node, Status, node_to_json
from .dynamic import DynamicSupervisor, Pacing
from .errors import (
    BadFault,
    IntensityExceeded,
    InvalidSpec,
    NameTaken,
    NotRunning,
    StartTimeout,
    SupervisorError,
    TooManyChildren,
)
from .pod import Pod, open_pod
from .record import ChildrenView
from .restart import (
    Decision,
    Intensity,
    Restart,
    RestartState,
    Strategy,
    Subject,
    came_up,
    decide,
    is_environment_failure,
)
from .supervisor import Supervisor
from .watchdog import Stall, StallDetector, Watchdog

__all__ = [
    "Backoff",
    "BadFault",
    "Child",
    "ChildSpec",
    "ChildrenView",
    "Decision",
    "DynamicSupervisor",
    "Intensity",
    "IntensityExceeded",
    "InvalidSpec",
    "NameTaken",
    "Node",
    "NotRunning",
    "Pacing",
    "Pod",
    "Restart",
    "RestartState",
    "Service",
    "Stall",
    "StallDetector",
    "StartTimeout",
    "Status",
    "Strategy",
    "Subject",
    "Supervisor",
    "SupervisorError",
    "TooManyChildren",
    "Watchdog",
    "came_up",
    "decide",
    "is_environment_failure",
    "node_to_json",
    "open_pod",
]
