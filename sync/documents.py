"""From a localization to the document of its sample, as FiftyOne itself would write it."""

import json
import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from bson import ObjectId

from fiftyone_tator.media.crops import Crop, Region
from fiftyone_tator.sync.fields import LABEL_FIELD, Field, FieldMap
from fiftyone_tator.sync.geometry import points
from fiftyone_tator.sync.scope import Scope
from fiftyone_tator.sync.values import Converter, Unkept, comparable, converter, moment, text
from fiftyone_tator.tator_client import Localization, LocalizationType, Media

LABEL = f"{LABEL_FIELD}.label"
CONFIDENCE = f"{LABEL_FIELD}.confidence"
MIME_TYPES = {"jpg": "image/jpeg", "png": "image/png"}


@dataclass(frozen=True, slots=True)
class _Slot:
    attribute: str
    key: str
    dtype: str
    convert: Converter


def _slot(attribute: str, key: str, dtype: str) -> _Slot:
    return _Slot(attribute, key, dtype, converter(dtype))


def link(scope: Scope, row: Localization, dtype: str) -> str:
    """The address that opens exactly this localization in Tator.

    Args:
        scope: names the server and the project
        row: the localization
        dtype: of its type, for example ``box``

    Returns:
        the address
    """
    return (
        f"{scope.url}/{scope.project.id}/annotation/{row.media}?selected_entity={row.elemental_id}"
        f"&selected_type={dtype}_{row.type}&version={row.version}&frame={row.frame}"
    )


class DocumentMaker:
    """Makes the documents of one import.

    Args:
        scope: what is imported
        fields: which attribute goes to which field
        dataset: the dataset's id
    """

    def __init__(self, scope: Scope, fields: FieldMap, dataset: ObjectId) -> None:
        self._scope, self._dataset = scope, dataset
        self._types: dict[int, LocalizationType] = {kind.id: kind for kind in scope.types}
        self.versions = {version.id: version.name for version in scope.versions}
        self._slots = {kind.id: _slots(kind, fields) for kind in scope.types}
        self._media_fields: tuple[Field, ...] = fields.media_fields
        named = (*fields.fields, *fields.media_fields)
        self._dtypes = {LABEL: "string", CONFIDENCE: "float", **{f.name: f.dtype for f in named}}
        self._fields = tuple(field.name for field in fields.fields)
        # The samples of one media share its values, but no two labels may share an id.
        self._shared_labels = tuple(field.name for field in fields.media_fields if field.dtype == "geopos")
        self._label = fields.label

    def dtype(self, row: Localization) -> str:
        """The geometry of a row's type: ``box``, ``dot``, ``line`` or ``poly``."""
        return self._types[row.type].dtype

    def label(self, row: Localization) -> str | None:
        """The label of a row, None where it has none."""
        attribute = self._label[row.type]
        return None if attribute is None else text(row.attributes.get(attribute))

    def values(self, row: Localization, problems: list[str] | None = None) -> dict[str, Any]:
        """What people edit, as it is stored: label, confidence and the attributes.

        Args:
            row: the localization
            problems: where to put a sentence for each value that its field cannot keep, which then is None

        Returns:
            values by field; the label is ``ground_truth.label``
        """
        values: dict[str, Any] = {LABEL: None, CONFIDENCE: None}
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

    def comparable(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values as they are compared, see :func:`fiftyone_tator.sync.values.comparable`."""
        return {key: comparable(self._dtypes[key], value) for key, value in values.items()}

    def ours(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """What people edit, from the document of a sample.

        Args:
            document: as MongoDB has it

        Returns:
            values by field, as :meth:`values` gives them
        """
        truth = document.get(LABEL_FIELD) or {}
        values: dict[str, Any] = {LABEL: truth.get("label"), CONFIDENCE: truth.get("confidence")}
        for name in self._fields:
            values[name] = document.get(name)
        return values

    def owned(self, row: Localization, media: Media, region: Region) -> dict[str, Any]:
        """What Tator owns and nobody edits in a sample: identity, place, times and people.

        Args:
            row: the localization
            media: its media
            region: what its crop shows

        Returns:
            values by field
        """
        dtype = self.dtype(row)
        owned: dict[str, Any] = {
            "elemental_id": row.elemental_id,
            "version": self.versions[row.version],
            "localization_type": self._types[row.type].name,
            "media_id": row.media,
            "media_name": media.name,
            "frame": row.frame,
            "box": list(region),
            "tator_url": link(self._scope, row, dtype),
            "tator_created_at": moment(row.created_datetime),
            "tator_created_by": self._user(row.created_by),
            "tator_modified_at": moment(row.modified_datetime),
            "tator_modified_by": self._user(row.modified_by),
        }
        if dtype != "box":
            owned["points"] = points(row, dtype)
        return owned

    def attributes_of(self, row: Localization, fields: Collection[str]) -> frozenset[str]:
        """The attributes of a row that go to some fields."""
        return frozenset(slot.attribute for slot in self._slots[row.type] if slot.key in fields)

    def media_attributes_of(self, fields: Collection[str]) -> frozenset[str]:
        """The attributes of media that go to some fields."""
        return frozenset(field.attribute for field in self._media_fields if field.name in fields)

    def media_row(self, media: Media) -> str:
        """What is compared of a media, as JSON text."""
        return json.dumps([media.name, media.md5, media.attributes], sort_keys=True, ensure_ascii=False)

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

    def document(
        self, sample: ObjectId, fields: Mapping[str, Any], values: Mapping[str, Any], picture: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The whole document of a new sample.

        Args:
            sample: its id
            fields: what is not edited, from :meth:`owned` and :meth:`of_media`
            values: what is edited, from :meth:`values`
            picture: from :func:`picture`

        Returns:
            the document
        """
        now = datetime.now(timezone.utc).replace(tzinfo=None)
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)
        document: dict[str, Any] = {
            "_id": sample,
            "_media_type": "image",
            "_rand": random.random(),
            "_dataset_id": self._dataset,
            "tags": [],
            "created_at": now,
            "last_modified_at": now,
            **picture,
            **fields,
            LABEL_FIELD: classification(values),
        }
        for key in self._shared_labels:
            if document[key] is not None:
                document[key] = {**document[key], "_id": ObjectId()}
        for key in self._fields:
            document[key] = values.get(key)
        return document

    def _user(self, user: int | None) -> str | None:
        return None if user is None else self._scope.users.get(user, f"user {user}")


def _slots(kind: LocalizationType, fields: FieldMap) -> tuple[_Slot, ...]:
    slots = [_slot(f.attribute, f.name, f.dtype) for f in fields.by_type[kind.id]]
    label, score = fields.label[kind.id], fields.score[kind.id]
    if label is not None:
        slots.append(_slot(label, LABEL, "string"))
    if score is not None:
        slots.append(_slot(score, CONFIDENCE, "float"))
    return tuple(slots)


def classification(values: Mapping[str, Any], old: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The document of a :class:`fiftyone.core.labels.Classification`.

    Args:
        values: hold its label and confidence
        old: the document that it takes the place of, whose id, tags and other attributes stay

    Returns:
        the document
    """
    fresh: dict[str, Any] = {"_id": ObjectId(), "_cls": "Classification", "tags": []}
    return {**fresh, **(old or {}), "label": values[LABEL], "confidence": values[CONFIDENCE]}


def picture(path: str, crop: Crop, extension: str) -> dict[str, Any]:
    """What a sample says of its crop.

    Args:
        path: the crop's file
        crop: what was written
        extension: ``jpg`` or ``png``

    Returns:
        ``filepath`` and ``metadata``
    """
    metadata = {
        "_cls": "ImageMetadata",
        "size_bytes": crop.size_bytes,
        "mime_type": MIME_TYPES[extension],
        "width": crop.width,
        "height": crop.height,
        "num_channels": 3,
    }
    return {"filepath": path, "metadata": metadata}
