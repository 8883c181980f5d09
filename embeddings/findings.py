"""Labels read from samples, and what was found written to them: in blocks, past ``last_modified_at``.

What is found is no edit, so a push must not take it for one; see :mod:`.vectors`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import fiftyone as fo
from bson import ObjectId
from fiftyone.core.odm import get_db_conn
from pymongo import UpdateOne
from pymongo.collection import Collection as Table

from fiftyone_tator.embeddings.errors import NoEmbeddings
from fiftyone_tator.embeddings.vectors import BLOCK, VectorField, refresh_held
from fiftyone_tator.sync.dataset import existing_fields
from fiftyone_tator.sync.errors import InvalidOption
from fiftyone_tator.sync.fields import OWN_FIELDS, RESERVED


class Findings:
    """What is read from and written to the samples of a dataset.

    Args:
        dataset: the dataset
        label_field: holds the labels; a field of :class:`fiftyone.core.labels.Classification`
        unlabelled: labels that stand for none, for example Tator's default; an empty one always does

    Raises:
        InvalidOption: if there is no such field of labels
    """

    def __init__(self, dataset: fo.Dataset, label_field: str, unlabelled: Collection[str] = ()) -> None:
        self.dataset, self._label = dataset, f"{label_field}.label"
        self._none = {*unlabelled, ""}
        self._samples: Table[dict[str, Any]] = get_db_conn()[dataset._sample_collection_name]
        if getattr(dataset.get_field(label_field), "document_type", None) is not fo.Classification:
            known = sorted(dataset.get_field_schema(embedded_doc_type=fo.Classification))
            raise InvalidOption(
                f"The dataset has no field {label_field!r} with one label per sample. "
                f"Choose one of: {', '.join(known) or '(there is none)'} (label_field)."
            )

    def labels(self, ids: Sequence[ObjectId] | None = None, *, having: str | None = None) -> dict[ObjectId, str | None]:
        """What samples are called.

        Args:
            ids: of the samples; all if None
            having: only samples that have a value in this field

        Returns:
            labels by sample, None for those without; each text is there only once
        """
        path, texts = self._label.split("."), dict[str, str]()
        found: dict[ObjectId, str | None] = {}
        for query in _queries(ids):
            if having is not None:
                query[having] = {"$ne": None}
            for sample in self._samples.find(query, {self._label: True}):
                label: str | None = (sample.get(path[0]) or {}).get(path[1])
                found[sample["_id"]] = None if label is None or label in self._none else texts.setdefault(label, label)
        return found

    def files(self, ids: Sequence[ObjectId]) -> Iterator[tuple[ObjectId, str]]:
        """The pictures of samples.

        Args:
            ids: of the samples

        Yields:
            id and file
        """
        for query in _queries(ids):
            for sample in self._samples.find(query, {"filepath": True}):
                yield sample["_id"], str(sample["filepath"])

    def values(self, name: str) -> dict[ObjectId, Any]:
        """What all samples have in a field.

        Args:
            name: the field's name
        """
        return {sample["_id"]: sample.get(name) for sample in self._samples.find({}, {name: True})}

    def declare(self, name: str, kind: type[fo.Field], description: str, **options: Any) -> None:
        """Makes a field for what is found, if it is not there.

        Args:
            name: the field's name
            kind: of field
            description: for people
            **options: ``embedded_doc_type`` of the field

        Raises:
            InvalidOption: if there is a field of that name that holds something else
        """
        taken = {*OWN_FIELDS, *RESERVED, *(field.name for field in existing_fields(self.dataset))}
        field = self.dataset.get_field(name)
        if name in taken:
            raise InvalidOption(f"The field {name!r} is Tator's or FiftyOne's own. Name another one for what is found.")
        if field is None:
            self.dataset.add_sample_field(name, kind, description=description, **options)
            return
        document = options.get("embedded_doc_type")
        if type(field) is not kind or getattr(field, "document_type", None) is not document:
            raise InvalidOption(
                f"The field {name!r} is there and holds something else ({type(field).__name__}). "
                "Name another field for what is found, or delete that one."
            )

    def clear(self, names: Sequence[str]) -> None:
        """Takes away what was found before; the fields stay.

        Args:
            names: of the fields
        """
        for name in names:
            self._samples.update_many({name: {"$ne": None}}, {"$set": {name: None}})

    def write(self, values: Mapping[ObjectId, Mapping[str, Any]]) -> int:
        """Writes what was found; samples that are gone are left out.

        Args:
            values: by sample and field

        Returns:
            how many samples were there
        """
        changes = [UpdateOne({"_id": id}, {"$set": dict(fields)}) for id, fields in values.items()]
        blocks = (changes[start : start + BLOCK] for start in range(0, len(changes), BLOCK))
        return sum(self._samples.bulk_write(block, ordered=False).matched_count for block in blocks)

    def done(self) -> None:
        """Makes samples that this process holds show what was written."""
        refresh_held(self.dataset)


def open_vectors(dataset: fo.Dataset, field: str) -> VectorField:
    """A dataset's vectors.

    Args:
        dataset: the dataset
        field: that holds them

    Raises:
        NoEmbeddings: if it holds none
    """
    vectors = VectorField(dataset, field)
    if vectors.exists:
        return vectors
    known = ", ".join(sorted(dataset.get_field_schema(ftype=fo.VectorField))) or "(there is none)"
    raise NoEmbeddings(
        f"The dataset has no embeddings in {field!r}; fields that hold vectors: {known}. "
        "Compute the embeddings first (compute_fastvss_embeddings), or name another field."
    )


def _queries(ids: Sequence[ObjectId] | None) -> Iterator[dict[str, Any]]:
    if ids is None:
        yield {}
        return
    for start in range(0, len(ids), BLOCK):
        yield {"_id": {"$in": list(ids[start : start + BLOCK])}}
