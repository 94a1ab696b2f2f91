"""Collections: an actor each, their rights, reading and writing, and who hears of it."""

from .accounts import UserAccounts
from .api import Api
from .calls import CollectionCalls
from .collection import CollectionActor
from .directory import Directory
from .discovery import Discovery
from .documents import changed, checked, chosen_id, created, shown
from .environment import Collection, CollectionEnvironment
from .listening import (
    ALL_COLLECTIONS,
    PREFIX,
    AllCollectionsRoom,
    CollectionRoom,
    UndefinedChangesRoom,
    listening_problem,
)
from .reading import Reader
from .view import View, Viewer

__all__ = [
    "ALL_COLLECTIONS",
    "PREFIX",
    "AllCollectionsRoom",
    "Api",
    "Collection",
    "CollectionActor",
    "CollectionCalls",
    "CollectionEnvironment",
    "CollectionRoom",
    "Directory",
    "Discovery",
    "Reader",
    "UndefinedChangesRoom",
    "UserAccounts",
    "View",
    "Viewer",
    "changed",
    "checked",
    "chosen_id",
    "created",
    "listening_problem",
    "shown",
]
