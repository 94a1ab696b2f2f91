"""What HTTP asks of documents and users, and how that is described."""

from .auth import Accounts, AuthView, SignedIn, User, auth_routes
from .collections import (
    ApiAnswer,
    ApiRequest,
    CollectionsApi,
    Identify,
    catalogue_routes,
    collection_routes,
    json_body,
)
from .openapi import Offer
from .rooms import room_routes
from .schemas import MAX_NAME, MAX_PASSWORD, MIN_PASSWORD

__all__ = [
    "MAX_NAME",
    "MAX_PASSWORD",
    "MIN_PASSWORD",
    "Accounts",
    "ApiAnswer",
    "ApiRequest",
    "AuthView",
    "CollectionsApi",
    "Identify",
    "Offer",
    "SignedIn",
    "User",
    "auth_routes",
    "catalogue_routes",
    "collection_routes",
    "json_body",
    "room_routes",
]
