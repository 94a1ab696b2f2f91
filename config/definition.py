"""What a collection is: its properties, its owner and who may do what with its documents.

`resources/<name>/config.json` holds one. Keys of the Go server's that mean nothing here are passed
over; any other key that is not known is an error, for it is most likely a misspelt one.
"""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from enum import StrEnum
from typing import Final, TypeAlias, TypeVar

import attrs

from .errors import ConfigError, Misconfiguration
from .fields import shown

__all__ = [
    "BUILT_IN",
    "Definition",
    "Permissions",
    "Property",
    "PropertyType",
    "Right",
    "check_collection_name",
    "read_definition",
]

T = TypeVar("T")

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"

BUILT_IN: Final = ("id", "createdAt", "updatedAt")
"""What every document has; the pod alone writes them."""

RESERVED: Final = frozenset({"api", "auth", "collections", "health", "metrics", "self-test"})
MAX_NAME: Final = 48
_NAME = re.compile(rf"[A-Za-z][A-Za-z0-9_-]{{0,{MAX_NAME - 1}}}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2})?|$)")
_PROPERTY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")

_PASSED_OVER: Final = frozenset({"type", "eventConfig", "options", "builtIn", "description", "id"})
_PASSED_OVER_IN_PROPERTY: Final = frozenset({"order", "system", "description", "id", "name"})


class PropertyType(StrEnum):
    """What a property holds. Dates are texts (RFC 3339, UTC, milliseconds) once stored."""

    STRING = "string"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    ARRAY = "array"
    OBJECT = "object"


class Right(StrEnum):
    """Who may do a thing with a document."""

    ANYONE = "anyone"
    AUTHENTICATED = "authenticated"
    OWNER = "owner"
    """The user whose id the document's owner property holds, and root. Nobody else."""
    ROOT = "root"


@attrs.frozen
class Property:
    """One property. `default` is a value of its type, for dates also the text "now".

    A `private` one never leaves the pod: no answer and no notification has it, nobody can ask
    for documents by it. An `open` one is shown as it is stored to whoever is shown the document,
    whatever a `get` script makes of the rest. A `kept` one the pod alone writes; no `config.json`
    can say so.
    """

    type: PropertyType
    required: bool = False
    default: JSON = None
    unique: bool = False
    index: bool = False
    private: bool = False
    open: bool = False
    kept: bool = False


@attrs.frozen
class Permissions:
    """Who may read, create, change and remove documents. `get` is also who may listen."""

    get: Right = Right.ANYONE
    post: Right = Right.ANYONE
    put: Right = Right.ANYONE
    delete: Right = Right.ANYONE


@attrs.frozen
class Definition:
    """A collection. `owner` names the property that holds the id of the user who created it.

    A `strict` collection refuses properties that it does not define; others keep them. A
    `no_store` collection has no documents: it only runs scripts.
    """

    name: str
    properties: Mapping[str, Property] = attrs.field(factory=dict)
    strict: bool = False
    no_store: bool = False
    owner: str = "ownerId"
    access: Permissions = Permissions()

    @property
    def has_owners(self) -> bool:
        """Whether documents belong to whoever creates them: where any right is an owner's."""
        access = self.access
        return Right.OWNER in (access.get, access.post, access.put, access.delete)

    @property
    def private(self) -> frozenset[str]:
        """The properties that never leave the pod."""
        return frozenset(name for name, about in self.properties.items() if about.private)

    @property
    def open(self) -> frozenset[str]:
        """What is always shown as it is stored: what the pod alone writes, and open properties."""
        return frozenset(BUILT_IN).union(
            name for name, about in self.properties.items() if about.open
        )


def check_collection_name(name: str) -> str | None:
    """Say in a sentence why a collection cannot have this name, or None when it can."""
    if _NAME.fullmatch(name) is None:
        return (
            f"A collection's name is 1 to {MAX_NAME} letters, digits, '_' and '-', "
            "the first a letter."
        )
    if name.lower() in RESERVED:
        return f"'{name}' is a path of the pod's own; choose another name for the collection."
    return None


def read_definition(name: str, document: object, origin: str = "") -> Definition:
    """Build a definition from what its `config.json` holds; `origin` is told with problems.

    Raises `ConfigError` with all problems found, each with its path in the document.
    """
    problems = _Problems(origin)
    sentence = check_collection_name(name)
    if sentence is not None:
        problems.add("", sentence)
    if not isinstance(document, Mapping):
        problems.add("", 'the document must be an object such as {"properties": {}}')
        document = {}
    problems.unknown("", document, _KNOWN, _PASSED_OVER)
    definition = Definition(
        name=name,
        properties=dict(_properties(document, problems)),
        strict=_strict(document, problems),
        no_store=problems.take("", document, "noStore", bool, "true or false", False),
        owner=_owner(document, problems),
        access=_access(document, problems),
    )
    problems.raise_any()
    return definition


_KNOWN = ("properties", "strict", "noStore", "owner", "access", "allowAdditionalProperties")
_KNOWN_IN_PROPERTY = ("type", "required", "default", "unique", "index", "private", "open")
_INDEXABLE = (PropertyType.STRING, PropertyType.NUMBER, PropertyType.DATE, PropertyType.BOOLEAN)
_VALUES: Mapping[PropertyType, tuple[type | tuple[type, ...], str]] = {
    PropertyType.STRING: (str, "a text"),
    PropertyType.NUMBER: ((int, float), "a number"),
    PropertyType.BOOLEAN: (bool, "true or false"),
    PropertyType.DATE: (str, 'a date (RFC 3339) or "now"'),
    PropertyType.ARRAY: (list, "a list"),
    PropertyType.OBJECT: (dict, "an object"),
}


@attrs.frozen
class _Problems:
    """Collects what is wrong with a document, so that all of it is told at once."""

    origin: str
    found: list[Misconfiguration] = attrs.field(factory=list)

    def add(self, path: str, sentence: str) -> None:
        text = f"{path} {sentence}" if path else sentence
        self.found.append(Misconfiguration(text, (path,), self.origin))

    def unknown(
        self,
        path: str,
        document: Mapping[str, object],
        known: tuple[str, ...],
        passed_over: frozenset[str],
    ) -> None:
        for key in document:
            if key not in known and key not in passed_over:
                near = get_close_matches(key, known, 1)
                hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
                self.add(_join(path, key), f"is not known; {hint}")

    def take(
        self,
        path: str,
        document: Mapping[str, object],
        key: str,
        kind: type[T],
        words: str,
        default: T,
    ) -> T:
        value = document.get(key, default)
        if type(value) is kind:
            return value
        self.add(_join(path, key), f"must be {words}, not {shown(value)}")
        return default

    def raise_any(self) -> None:
        if self.found:
            raise ConfigError(*self.found)


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _strict(document: Mapping[str, object], problems: _Problems) -> bool:
    additional = problems.take(
        "", document, "allowAdditionalProperties", bool, "true or false", True
    )
    return problems.take("", document, "strict", bool, "true or false", not additional)


def _owner(document: Mapping[str, object], problems: _Problems) -> str:
    owner = problems.take("", document, "owner", str, "the name of a property", "ownerId")
    if owner != "id" and (_PROPERTY.fullmatch(owner) is None or owner in BUILT_IN):
        problems.add("owner", f"must be the name of a property, or id, not {shown(owner)}")
    return owner


def _access(document: Mapping[str, object], problems: _Problems) -> Permissions:
    given = problems.take("", document, "access", dict, "an object", {})
    methods = tuple(field.name for field in attrs.fields(Permissions))
    problems.unknown("access", given, methods, frozenset())
    rights = {}
    for method in methods:
        value = given.get(method, Right.ANYONE)
        if value in tuple(Right):
            rights[method] = Right(value)
        else:
            words = f"must be one of {', '.join(Right)}, not {shown(value)}"
            problems.add(f"access.{method}", words)
    return Permissions(**rights)


def _properties(
    document: Mapping[str, object], problems: _Problems
) -> Iterator[tuple[str, Property]]:
    given = problems.take("", document, "properties", dict, "an object", {})
    for name, value in given.items():
        path = f"properties.{name}"
        if _PROPERTY.fullmatch(name) is None:
            problems.add(path, "must be named with letters, digits, '_' and '-', at most 64")
        elif not isinstance(value, Mapping):
            problems.add(path, 'must be an object such as {"type": "string"}')
        elif name not in BUILT_IN:  # the Go server lists them too
            yield name, _property(path, value, problems)


def _property(path: str, given: Mapping[str, object], problems: _Problems) -> Property:
    problems.unknown(path, given, _KNOWN_IN_PROPERTY, _PASSED_OVER_IN_PROPERTY)
    name = given.get("type")
    kind = next((known for known in PropertyType if known == name), None)
    if kind is None:
        words = f"must be one of {', '.join(PropertyType)}, not {shown(name)}"
        problems.add(f"{path}.type", words)
        return Property(PropertyType.STRING)
    about = Property(
        kind,
        required=problems.take(path, given, "required", bool, "true or false", False),
        default=_default(path, kind, given.get("default"), problems),
        unique=problems.take(path, given, "unique", bool, "true or false", False),
        index=problems.take(path, given, "index", bool, "true or false", False),
        private=problems.take(path, given, "private", bool, "true or false", False),
        open=problems.take(path, given, "open", bool, "true or false", False),
    )
    if about.private and about.open:
        problems.add(path, "cannot be both private and open; take one of them out")
    if (about.unique or about.index) and about.type not in _INDEXABLE:
        problems.add(path, f"cannot be unique or indexed: it is of type {about.type}")
    return about


def _default(path: str, kind: PropertyType, value: object, problems: _Problems) -> JSON:
    types, words = _VALUES[kind]
    if value is None:
        return None
    if not isinstance(value, types) or (isinstance(value, bool) and kind != "boolean"):
        problems.add(f"{path}.default", f"must be {words}, not {shown(value)}")
        return None
    if kind is PropertyType.DATE and value != "now" and _DATE.match(str(value)) is None:
        problems.add(f"{path}.default", f"must be {words}, not {shown(value)}")
    default: JSON = value  # type: ignore[assignment] # read from JSON, and of the right type
    return default
