"""HTTP beside the WebSockets: the pod's pages, its health, its diagnostics, its collections."""

from .app import PodView, create_app, create_metrics_app
from .auth import Accounts, AuthView, SignedIn, User, auth_routes
from .body import HttpLimits
from .collections import (
    ApiAnswer,
    ApiRequest,
    CollectionsApi,
    Identify,
    catalogue_routes,
    collection_routes,
    json_body,
)
from .diagnostics import DiagnosticsView
from .doorman import Doorman
from .health import HealthView, health_routes
from .identity import ROOT, Keyring
from .openapi import Offer
from .public import PublicFiles
from .schemas import MAX_NAME, MAX_PASSWORD, MIN_PASSWORD
from .server import HttpServer, OnUpgrade, Privileged
from .stress import StressTests, stress_routes

__all__ = [
    "MAX_NAME",
    "MAX_PASSWORD",
    "MIN_PASSWORD",
    "ROOT",
    "Accounts",
    "ApiAnswer",
    "ApiRequest",
    "AuthView",
    "CollectionsApi",
    "DiagnosticsView",
    "Doorman",
    "HealthView",
    "HttpLimits",
    "HttpServer",
    "Identify",
    "Keyring",
    "Offer",
    "OnUpgrade",
    "PodView",
    "Privileged",
    "PublicFiles",
    "SignedIn",
    "StressTests",
    "User",
    "auth_routes",
    "catalogue_routes",
    "collection_routes",
    "create_app",
    "create_metrics_app",
    "health_routes",
    "json_body",
    "stress_routes",
]
