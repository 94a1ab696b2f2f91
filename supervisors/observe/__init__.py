"""How a pod is: counted when asked, a sample a second, figures for Prometheus."""

from .census import mailboxes, restarts
from .metrics import Exporter
from .overview import counts_of
from .process import Process, read_process
from .quantiles import quantile, summary
from .rates import Sample, Samples
from .rooms import rooms_by_pattern
from .views import DashboardRoom, Views
from .watched import Watched

__all__ = [
    "DashboardRoom",
    "Exporter",
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
