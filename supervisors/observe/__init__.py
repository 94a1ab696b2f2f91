"""How a pod is: counted when asked, a sample a second, figures for Prometheus."""

from .census import mailboxes, restarts, rooms_by_pattern
from .certificates import Certificates
from .metrics import Exporter
from .overview import counts_of
from .pods import pods_of
from .process import LoadMeter, Process, read_process
from .samples import Sample, Samples, quantile, summary
from .snapshot import snapshot_of
from .views import DashboardRoom, Views
from .watched import Documented, Watched
from .weights import RoomWeights

__all__ = [
    "Certificates",
    "DashboardRoom",
    "Documented",
    "Exporter",
    "LoadMeter",
    "Process",
    "RoomWeights",
    "Sample",
    "Samples",
    "Views",
    "Watched",
    "counts_of",
    "mailboxes",
    "pods_of",
    "quantile",
    "read_process",
    "restarts",
    "rooms_by_pattern",
    "snapshot_of",
    "summary",
]
