"""What a process that serves is to those who run it: signals, a service manager, its log's ends."""

from .bookends import Farewell, leave_at_once, tell_start
from .signals import Signals, nothing_at_once
from .systemd import ServiceManager

__all__ = [
    "Farewell",
    "ServiceManager",
    "Signals",
    "leave_at_once",
    "nothing_at_once",
    "tell_start",
]
