"""Collections: an actor each, their rights, reading and writing, and who hears of it."""

from .accounts import UserAccounts
from .api import Api
from .change_rooms import (
    ALL_COLLECTIONS,
    PREFIX,
    AllCollectionsRoom,
    CollectionRoom,
    UndefinedChangesRoom,
    join_refusal,
)
from .collection import CollectionActor
from .directory import Directory
from .discovery import Discovery
from .documents import changed, checked, chosen_id, created, shown
from .environment import Collection, CollectionEnvironment
from .fitting import CollectionFit, UnfitDocument, fits
from .reading import Reader
from .service import CollectionService
from .view import DocumentView, Viewer

__all__ = [
    "ALL_COLLECTIONS",
    "PREFIX",
    "AllCollectionsRoom",
    "Api",
    "Collection",
    "CollectionActor",
    "CollectionEnvironment",
    "CollectionFit",
    "CollectionRoom",
    "CollectionService",
    "Directory",
    "Discovery",
    "DocumentView",
    "Reader",
    "UndefinedChangesRoom",
    "UnfitDocument",
    "UserAccounts",
    "Viewer",
    "changed",
    "checked",
    "chosen_id",
    "created",
    "fits",
    "join_refusal",
    "shown",
]
