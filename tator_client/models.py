"""What a project consists of, as the server describes it: people, versions, types.

The rows themselves (localizations, states, media) are in :mod:`.rows`. All classes
are frozen; ``from_json`` takes one object as it came over the wire and ignores keys
it does not know. Date and time texts stay as they are on the wire.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class User:
    """A user account."""

    id: int
    username: str
    email: str
    first_name: str
    last_name: str
    is_staff: bool
    elemental_id: str | None

    @classmethod
    def from_json(cls, data: Json) -> User:
        """Makes a user from one object of the server's."""
        return cls(
            data["id"],
            data.get("username") or "",
            data.get("email") or "",
            data.get("first_name") or "",
            data.get("last_name") or "",
            bool(data.get("is_staff")),
            data.get("elemental_id"),
        )


@dataclass(frozen=True, slots=True)
class Project:
    """A project; ``permission`` is the level of the asking user in words.

    ``effective_permission`` is 0 unless the server has fine-grained permissions.
    """

    id: int
    name: str
    summary: str
    organization: int | None
    permission: str | None
    elemental_id: str | None
    created: str | None
    num_files: int
    effective_permission: int = 0

    @classmethod
    def from_json(cls, data: Json) -> Project:
        """Makes a project from one object of the server's."""
        return cls(
            data["id"],
            data["name"],
            data.get("summary") or "",
            data.get("organization"),
            data.get("permission"),
            data.get("elemental_id"),
            data.get("created"),
            data.get("num_files") or 0,
            data.get("effective_permission") or 0,
        )


class Level(IntEnum):
    """What a user may do in a project; each level may do what those below it may."""

    VIEW_ONLY = 1
    CAN_EDIT = 2
    """Annotations, versions, sections."""
    CAN_TRANSFER = 3
    """Media."""
    CAN_EXECUTE = 4
    """Algorithms and applets."""
    FULL_CONTROL = 5
    """Types, members, the authorship of annotations."""

    @property
    def words(self) -> str:
        """The level as Tator writes it, such as ``View Only``."""
        return self.name.replace("_", " ").title()

    @classmethod
    def from_words(cls, words: str | None) -> Level:
        """Makes a level of what the server says.

        Args:
            words: such as ``Can Edit``. What is not known here counts as ``CAN_EDIT``: nobody is
                kept from writing because of it, the server decides

        Returns:
            the level
        """
        name = (words or "").strip().rpartition(".")[2].replace(" ", "_").upper()
        return cls.__members__.get(name, cls.CAN_EDIT)


@dataclass(frozen=True, slots=True)
class Membership:
    """A user's place in a project."""

    id: int
    project: int
    user: int
    username: str
    permission: str
    default_version: int | None
    email: str
    first_name: str
    last_name: str

    @classmethod
    def from_json(cls, data: Json) -> Membership:
        """Makes a membership from one object of the server's."""
        return cls(
            data["id"],
            data["project"],
            data["user"],
            data.get("username") or "",
            data.get("permission") or "",
            data.get("default_version"),
            data.get("email") or "",
            data.get("first_name") or "",
            data.get("last_name") or "",
        )


@dataclass(frozen=True, slots=True)
class Version:
    """A layer of annotations; ``bases`` are ids of versions it builds on."""

    id: int
    name: str
    number: int
    project: int
    bases: tuple[int, ...]
    description: str
    show_empty: bool
    created_by: int | None
    elemental_id: str | None

    @classmethod
    def from_json(cls, data: Json) -> Version:
        """Makes a version from one object of the server's."""
        return cls(
            data["id"],
            data["name"],
            data.get("number") or 0,
            data["project"],
            tuple(data.get("bases") or ()),
            data.get("description") or "",
            bool(data.get("show_empty")),
            data.get("created_by"),
            data.get("elemental_id"),
        )


@dataclass(frozen=True, slots=True)
class Section:
    """A folder, playlist or saved search of a project's media."""

    id: int
    project: int
    name: str
    path: str | None
    dtype: str
    tator_user_sections: str | None
    elemental_id: str | None
    visible: bool
    media: tuple[int, ...]

    @classmethod
    def from_json(cls, data: Json) -> Section:
        """Makes a section from one object of the server's."""
        return cls(
            data["id"],
            data["project"],
            data["name"],
            data.get("path"),
            data.get("dtype") or "folder",
            data.get("tator_user_sections"),
            data.get("elemental_id"),
            data.get("visible") is not False,
            tuple(data.get("media") or ()),
        )


@dataclass(frozen=True, slots=True)
class AttributeType:
    """One attribute of a type.

    ``dtype`` is one of ``bool``, ``int``, ``float``, ``enum``, ``string``, ``datetime``,
    ``geopos``, ``float_array``, ``blob``. ``choices`` is empty unless it is an enum,
    ``size`` is the length of a float array, ``style`` is such as ``long_string``.
    ``has_default`` tells a default of null from none.
    """

    name: str
    dtype: str
    order: int
    default: Any
    has_default: bool
    required: bool
    choices: tuple[str, ...]
    minimum: float | None
    maximum: float | None
    size: int | None
    style: str | None
    use_current: bool
    description: str
    labels: tuple[str, ...]
    visible: bool

    @classmethod
    def from_json(cls, data: Json) -> AttributeType:
        """Makes an attribute type from one object of the server's."""
        return cls(
            data["name"],
            data["dtype"],
            data.get("order") or 0,
            data.get("default"),
            "default" in data,
            bool(data.get("required")),
            tuple(data.get("choices") or ()),
            data.get("minimum"),
            data.get("maximum"),
            data.get("size"),
            data.get("style"),
            bool(data.get("use_current")),
            data.get("description") or "",
            tuple(data.get("labels") or ()),
            data.get("visible") is not False,
        )


def _attribute_types(data: Json) -> tuple[AttributeType, ...]:
    return tuple(AttributeType.from_json(each) for each in data.get("attribute_types") or ())


@dataclass(frozen=True, slots=True)
class MediaType:
    """A kind of media; ``dtype`` is ``image``, ``video``, ``multi`` or ``live``."""

    id: int
    project: int
    name: str
    dtype: str
    attribute_types: tuple[AttributeType, ...]
    description: str
    elemental_id: str | None

    @classmethod
    def from_json(cls, data: Json) -> MediaType:
        """Makes a media type from one object of the server's."""
        return cls(
            data["id"],
            data["project"],
            data["name"],
            data["dtype"],
            _attribute_types(data),
            data.get("description") or "",
            data.get("elemental_id"),
        )


@dataclass(frozen=True, slots=True)
class LocalizationType:
    """A kind of localization; ``dtype`` is ``box``, ``dot``, ``line`` or ``poly``, ``media`` are media type ids."""

    id: int
    project: int
    name: str
    dtype: str
    attribute_types: tuple[AttributeType, ...]
    media: tuple[int, ...]
    description: str
    visible: bool
    drawable: bool
    color_map: Any
    elemental_id: str | None

    @classmethod
    def from_json(cls, data: Json) -> LocalizationType:
        """Makes a localization type from one object of the server's."""
        return cls(
            data["id"],
            data["project"],
            data["name"],
            data["dtype"],
            _attribute_types(data),
            tuple(data.get("media") or ()),
            data.get("description") or "",
            data.get("visible") is not False,
            data.get("drawable") is not False,
            data.get("color_map"),
            data.get("elemental_id"),
        )


@dataclass(frozen=True, slots=True)
class StateType:
    """A kind of state; ``association`` is ``Media``, ``Frame`` or ``Localization`` (a track)."""

    id: int
    project: int
    name: str
    dtype: str
    attribute_types: tuple[AttributeType, ...]
    media: tuple[int, ...]
    description: str
    association: str
    interpolation: str
    delete_child_localizations: bool
    elemental_id: str | None

    @classmethod
    def from_json(cls, data: Json) -> StateType:
        """Makes a state type from one object of the server's."""
        return cls(
            data["id"],
            data["project"],
            data["name"],
            data.get("dtype") or "state",
            _attribute_types(data),
            tuple(data.get("media") or ()),
            data.get("description") or "",
            data["association"],
            data.get("interpolation") or "latest",
            bool(data.get("delete_child_localizations")),
            data.get("elemental_id"),
        )
