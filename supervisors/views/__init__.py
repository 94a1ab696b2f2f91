"""What a pod shows of itself as JSON: at a glance, in detail, and its clients one by one."""

from .census import mailboxes, restarts
from .overview import counts_of
from .process import Process, read_process
from .quantiles import quantile, summary
from .rates import Sample, Samples
from .rooms import rooms_by_pattern
from .views import DashboardRoom, Views
from .watched import Watched

__all__ = [
    "DashboardRoom",
    "Process",
    "Sample",
    "Samples",
    "Views",
    "Watched",
    "counts_of",
    "mailboxes",
    "quantile",
    "read_process",
    "restarts",
    "rooms_by_pattern",
    "summary",
]
