"""From a localization to the document of its sample, as FiftyOne itself would write it."""

import random
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from bson import ObjectId

from fiftyone_tator.media.crops import Crop, Region
from fiftyone_tator.sync.fields import LABEL_FIELD, FieldMap
from fiftyone_tator.sync.geometry import points
from fiftyone_tator.sync.mapping import CONFIDENCE, LABEL, ValueMap
from fiftyone_tator.sync.scope import Scope
from fiftyone_tator.sync.values import moment
from fiftyone_tator.tator_client import Localization, Media

EMBEDDING_OF = "embedding_of"
"""In the info of a vector field: the field that names what they are made of. A new crop drops the vector of the old."""
MIME_TYPES = {"jpg": "image/jpeg", "png": "image/png"}


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


class DocumentMaker(ValueMap):
    """Makes the documents of one import.

    Args:
        scope: what is imported
        fields: which attribute goes to which field
        dataset: the dataset's id
    """

    def __init__(self, scope: Scope, fields: FieldMap, dataset: ObjectId) -> None:
        super().__init__({kind.id: (kind.name, kind.dtype) for kind in scope.types}, fields)
        self._scope, self._dataset = scope, dataset
        self.versions = {version.id: version.name for version in scope.versions}
        # The samples of one media share its values, but no two labels may share an id.
        self._shared_labels = tuple(field.name for field in fields.media_fields if field.dtype == "geopos")

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
            "localization_type": self._types[row.type][0],
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
