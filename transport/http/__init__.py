"""HTTP beside the WebSockets: the pod's pages, its health, its diagnostics, its collections."""

from .app import PodView, create_app
from .auth import Accounts, AuthView, User, auth_routes
from .collections import (
    ApiAnswer,
    ApiRequest,
    CollectionsApi,
    Identify,
    collection_routes,
    json_body,
    no_collection_routes,
)
from .identity import ROOT, Keyring
from .serve import HttpLimits, HttpServer, ReplayStream

__all__ = [
    "ROOT",
    "Accounts",
    "ApiAnswer",
    "ApiRequest",
    "AuthView",
    "CollectionsApi",
    "HttpLimits",
    "HttpServer",
    "Identify",
    "Keyring",
    "PodView",
    "ReplayStream",
    "User",
    "auth_routes",
    "collection_routes",
    "create_app",
    "json_body",
    "no_collection_routes",
]
