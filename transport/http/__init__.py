"""HTTP beside the WebSockets: the pod's pages, its health, its diagnostics, who may ask."""

from .answers import NOT_JSON, error_response, json_response, says_json
from .app import PodView, create_app, create_metrics_app
from .authentication import Authenticator, address_of, asker_of, refusal
from .body import HttpLimits
from .chaos import FaultControl, chaos_routes
from .compression import with_gzip
from .diagnostics import DiagnosticsView
from .keyring import ROOT, Keyring
from .log_level import log_level_routes
from .mounted import Mounted, MountedRoute
from .probes import HealthView, health_routes
from .public import PublicFiles
from .routes import AnyMethodRoute, OwnRoute
from .server import HttpServer, OnUpgrade, Privileged
from .stress import StressTests, stress_routes

__all__ = [
    "NOT_JSON",
    "ROOT",
    "AnyMethodRoute",
    "Authenticator",
    "DiagnosticsView",
    "FaultControl",
    "HealthView",
    "HttpLimits",
    "HttpServer",
    "Keyring",
    "Mounted",
    "MountedRoute",
    "OnUpgrade",
    "OwnRoute",
    "PodView",
    "Privileged",
    "PublicFiles",
    "StressTests",
    "address_of",
    "asker_of",
    "chaos_routes",
    "create_app",
    "create_metrics_app",
    "error_response",
    "health_routes",
    "json_response",
    "log_level_routes",
    "refusal",
    "says_json",
    "stress_routes",
    "with_gzip",
]
