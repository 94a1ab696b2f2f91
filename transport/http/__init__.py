"""HTTP beside the WebSockets: the pod's page, its health and its diagnostics."""

from .app import PodView, create_app, shows_root
from .serve import HttpLimits, HttpServer, ReplayStream

__all__ = ["HttpLimits", "HttpServer", "PodView", "ReplayStream", "create_app", "shows_root"]
