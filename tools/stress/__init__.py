"""A stress test of a pod, from outside: clients that chat on schedule, and what became of it."""

from .load import put_under_load
from .page import html_report
from .plan import Plan
from .report import print_report
from .tally import Latencies, Tally

__all__ = ["Latencies", "Plan", "Tally", "html_report", "print_report", "put_under_load"]
