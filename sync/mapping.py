"""Between a localization's attributes and a sample's fields, both ways; what of both is compared."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from fiftyone_tator.sync.fields import LABEL_FIELD, Field, FieldMap
from fiftyone_tator.sync.geometry import Shape, shape, shape_of
from fiftyone_tator.sync.plan import UNKNOWN
from fiftyone_tator.sync.values import Converter, Unkept, comparable, comparer, converter, text
from fiftyone_tator.tator_client import Localization, Media

LABEL = f"{LABEL_FIELD}.label"
CONFIDENCE = f"{LABEL_FIELD}.confidence"
GEOMETRY = "geometry"
GEOMETRY_KEYS = ("x", "y", "width", "height", "u", "v", "points")
UNKNOWN_KEY = "unknown"
"""In a row of the base: the attributes, or ``geometry``, of which nobody knows what was agreed on."""


_REMEMBERED = 6_000


@dataclass(frozen=True, slots=True)
class _Slot:
    attribute: str
    key: str
    convert: Converter
    compare: Converter


def _slot(attribute: str, key: str, dtype: str) -> _Slot:
    return _Slot(attribute, key, converter(dtype), comparer(dtype))


class ValueMap:
    """What people edit of localizations, as values by field: label, confidence, attributes and geometry.

    Args:
        types: name and geometry (``box``, ``dot``, ``line``, ``poly``) by localization type id
        fields: which attribute goes to which field
    """

    def __init__(self, types: Mapping[int, tuple[str, str]], fields: FieldMap) -> None:
        self._types = dict(types)
        self._by_name = {name: kind for kind, (name, _) in types.items()}
        self._slots = {kind: _slots(kind, fields) for kind in types}
        self._media_fields: tuple[Field, ...] = fields.media_fields
        named = (*fields.fields, *fields.media_fields)
        self._dtypes = {LABEL: "string", CONFIDENCE: "float", GEOMETRY: GEOMETRY, **{f.name: f.dtype for f in named}}
        self._fields = tuple(field.name for field in fields.fields)
        self._label = fields.label
        self.absent: frozenset[str] = frozenset()
        """Fields that somebody deleted from the dataset: what it says of them now means nothing."""
        # A push asks for each base row of a block when it finds, plans and settles its edit.
        self._remembered = lru_cache(maxsize=_REMEMBERED)(self._compared_base)

    @classmethod
    def of_info(cls, info: Mapping[str, Any]) -> "ValueMap":
        """The map that a dataset remembers, for work that needs no server.

        Args:
            info: ``dataset.info["tator"]``
        """
        kinds = {int(kind): (about["name"], about["dtype"]) for kind, about in info["types"].items()}
        return cls(kinds, field_map(info))

    @property
    def types(self) -> dict[int, tuple[str, str]]:
        """Name and geometry by localization type id."""
        return dict(self._types)

    @property
    def fields(self) -> tuple[str, ...]:
        """Everything that people edit, by field: label, confidence, geometry and the attributes."""
        return (LABEL, CONFIDENCE, GEOMETRY, *self._fields)

    def missing_in(self, schema: Collection[str]) -> frozenset[str]:
        """Which fields somebody deleted, or renamed.

        Args:
            schema: the names of the dataset's fields
        """
        places = {LABEL: LABEL_FIELD, CONFIDENCE: LABEL_FIELD, GEOMETRY: "box"}
        names = (*self.fields, *self.media_fields)
        return frozenset(name for name in names if places.get(name, name) not in schema)

    @property
    def media_fields(self) -> tuple[str, ...]:
        """The fields of the media's attributes, which are compared but never sent."""
        return tuple(field.name for field in self._media_fields)

    def dtype(self, row: Localization) -> str:
        """The geometry of a row's type: ``box``, ``dot``, ``line`` or ``poly``."""
        return self._types[row.type][1]

    def type_of(self, document: Mapping[str, Any]) -> int | None:
        """The localization type's id of a sample, None if it is none of the dataset's.

        Args:
            document: of the sample
        """
        return self._by_name.get(document.get("localization_type") or "")

    def label(self, row: Localization) -> str | None:
        """The label of a row, None where it has none."""
        attribute = self._label[row.type]
        return None if attribute is None else text(row.attributes.get(attribute))

    def values(self, row: Localization, problems: list[str] | None = None) -> dict[str, Any]:
        """What people edit, as it is stored: label, confidence and the attributes; and the geometry.

        Args:
            row: the localization
            problems: where to put a sentence for each value that its field cannot keep, which then is None

        Returns:
            values by field; the label is ``ground_truth.label``, the geometry a :class:`Shape`
        """
        values: dict[str, Any] = {LABEL: None, CONFIDENCE: None, GEOMETRY: shape(row, self._types[row.type][1])}
        attributes = row.attributes
        for slot in self._slots[row.type]:
            value = attributes.get(slot.attribute)
            try:
                values[slot.key] = slot.convert(value)
            except Unkept as reason:
                values[slot.key] = None
                if problems is not None:
                    problems.append(f"its attribute {slot.attribute!r} was left empty: {reason}")
        return values

    def compared(self, row: Localization) -> dict[str, Any]:
        """What people edit, as it is compared: :meth:`comparable` of :meth:`values`, in less time.

        Args:
            row: the localization
        """
        values: dict[str, Any] = {LABEL: None, CONFIDENCE: None, GEOMETRY: shape(row, self._types[row.type][1])}
        attributes = row.attributes
        for slot in self._slots[row.type]:
            try:
                values[slot.key] = slot.compare(attributes.get(slot.attribute))
            except Unkept:
                values[slot.key] = None
        return values

    def agreed(self, row: str) -> Mapping[str, Any]:
        """What was agreed on, as it is compared.

        Args:
            row: of the base, in JSON

        Returns:
            values by field; :data:`fiftyone_tator.sync.plan.UNKNOWN` where nobody remembers
        """
        return self._remembered(row)

    def _compared_base(self, row: str) -> dict[str, Any]:
        localization, unknown = self._base(row)
        return {**self.compared(localization), **unknown}

    def agreed_values(self, row: str) -> dict[str, Any]:
        """What was agreed on, as it is stored; else as :meth:`agreed`."""
        localization, unknown = self._base(row)
        return {**self.values(localization), **unknown}

    def _base(self, row: str) -> tuple[Localization, dict[str, Any]]:
        """The localization of a base row, and the fields of which nobody remembers anything."""
        data = json.loads(row)
        localization = Localization.from_json(data)
        return localization, dict.fromkeys(self.fields_of(localization.type, data.get(UNKNOWN_KEY, ())), UNKNOWN)

    def ours(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """What people edit, from the document of a sample.

        Args:
            document: as MongoDB has it

        Returns:
            values by field, as :meth:`values` gives them
        """
        truth = document.get(LABEL_FIELD) or {}
        kind = self.type_of(document)
        values: dict[str, Any] = {
            LABEL: truth.get("label"),
            CONFIDENCE: truth.get("confidence"),
            GEOMETRY: None if kind is None else shape_of(document, self._types[kind][1]),
        }
        for name in self._fields:
            values[name] = document.get(name)
        return values

    def comparable(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values as they are compared, see :func:`fiftyone_tator.sync.values.comparable`."""
        return {key: comparable(self._dtypes[key], value) for key, value in values.items()}

    def of_media(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """A media's attributes by field; a value that its field cannot keep becomes None.

        Args:
            attributes: of the media
        """
        values: dict[str, Any] = {}
        for field in self._media_fields:
            try:
                values[field.name] = converter(field.dtype)(attributes.get(field.attribute))
            except Unkept:
                values[field.name] = None
        return values

    def media_row(self, media: Media) -> str:
        """What is compared of a media, as JSON text."""
        return json.dumps([media.name, media.md5, media.attributes], sort_keys=True, ensure_ascii=False)

    def attribute(self, kind: int, field: str) -> str | None:
        """The attribute of a type that goes to a field.

        Args:
            kind: the localization type's id
            field: the field

        Returns:
            its name; None for the geometry, and where the type has none for that field
        """
        return next((slot.attribute for slot in self._slots[kind] if slot.key == field), None)

    def attributes_of(self, kind: int, fields: Collection[str]) -> frozenset[str]:
        """The attributes of a type that go to some fields, and ``geometry`` where that is among them.

        Args:
            kind: the localization type's id
            fields: the fields
        """
        named = frozenset(slot.attribute for slot in self._slots[kind] if slot.key in fields)
        return named | {GEOMETRY} if GEOMETRY in fields else named

    def fields_of(self, kind: int, attributes: Iterable[str]) -> list[str]:
        """The fields that some attributes of a type go to, ``geometry`` included.

        Args:
            kind: the localization type's id
            attributes: as :meth:`attributes_of` gives them
        """
        wanted = set(attributes)
        found = [slot.key for slot in self._slots[kind] if slot.attribute in wanted]
        return [*found, GEOMETRY] if GEOMETRY in wanted else found

    def media_attributes_of(self, fields: Collection[str]) -> frozenset[str]:
        """The attributes of media that go to some fields."""
        return frozenset(field.attribute for field in self._media_fields if field.name in fields)


def field_map(info: Mapping[str, Any]) -> FieldMap:
    """Which attribute goes to which field, as a dataset remembers it.

    Args:
        info: ``dataset.info["tator"]``
    """
    known = [Field(**field) for field in info["fields"]]
    ours = {field.name: field for field in known if field.source == "localization"}
    kinds = [int(kind) for kind in info["types"]]
    by_type = {
        int(kind): tuple(ours[name] for name in names if name in ours)
        for kind, names in info.get("type_fields", {}).items()
    }
    return FieldMap(
        label={kind: info["label_attributes"].get(str(kind)) for kind in kinds},
        score={kind: info["score_attributes"].get(str(kind)) for kind in kinds},
        fields=tuple(ours.values()),
        media_fields=tuple(field for field in known if field.source == "media"),
        by_type={kind: by_type.get(kind, tuple(ours.values())) for kind in kinds},
    )


def _slots(kind: int, fields: FieldMap) -> tuple[_Slot, ...]:
    slots = [_slot(f.attribute, f.name, f.dtype) for f in fields.by_type[kind]]
    label, score = fields.label[kind], fields.score[kind]
    if label is not None:
        slots.append(_slot(label, LABEL, "string"))
    if score is not None:
        slots.append(_slot(score, CONFIDENCE, "float"))
    return tuple(slots)


def shown(value: Any) -> str:
    """A comparable value as a message shows it.

    Args:
        value: ours or theirs
    """
    if value is None:
        return "nothing"
    if isinstance(value, Shape):
        return str(value)
    said = repr(value) if isinstance(value, str) else str(value)
    return said if len(said) <= 60 else f"{said[:57]}..."
