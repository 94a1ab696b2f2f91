"""What a pod shows of itself as JSON: at a glance, in detail, and its clients one by one."""

from .quantiles import quantile, summary
from .rates import Sample, Samples
from .views import DashboardRoom, Views
from .watched import Watched

__all__ = [
    "DashboardRoom",
    "Sample",
    "Samples",
    "Views",
    "Watched",
    "quantile",
    "summary",
]
