"""Labels read from samples, and what was found written to them: in blocks, past ``last_modified_at``.

What is found is no edit, so a push must not take it for one; see :mod:`.vectors`.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import fiftyone as fo
from bson import ObjectId
from fiftyone.core.odm import get_db_conn
from pymongo import UpdateOne
from pymongo.collection import Collection as Table

from fiftyone_tator.embeddings.errors import EmbeddingError, NoEmbeddings, NothingToEmbed
from fiftyone_tator.embeddings.vectors import BLOCK, VectorField, still_declared
from fiftyone_tator.sync.dataset import INFO, dataset_id, existing_fields
from fiftyone_tator.sync.errors import InvalidOption
from fiftyone_tator.sync.fields import LABEL_FIELD, OWN_FIELDS, RESERVED
from fiftyone_tator.sync.held import refresh_held
from fiftyone_tator.sync.lease import Lease

_WORDS = frozenset({"unknown", "unlabeled", "unlabelled", "none"})
MADE_BY = "made_by"
"""In the info of a field: the operator that made it for what it finds, and may write to it again."""


class Kind(NamedTuple):
    """Of a field for what is found.

    Args:
        field: of FiftyOne's
        description: for people
        document: in the field, if it holds documents
    """

    field: type[fo.Field]
    description: str
    document: type[fo.EmbeddedDocument] | None = None


class Findings:
    """What is read from and written to the samples of a dataset.

    Args:
        dataset: the dataset
        label_field: holds the labels; a field of :class:`fiftyone.core.labels.Classification`
        unlabelled: labels that stand for none; an empty one always does. If None, the label attribute's default in
            Tator, or words such as ``unknown`` where the dataset does not know of one
        operator: that finds, for example ``suggest_labels``; it writes to no fields but those that it made
        way_out: the option that names other fields, in words for a message

    Raises:
        InvalidOption: if there is no such field of labels
    """

    def __init__(
        self, dataset: fo.Dataset, label_field: str, unlabelled: Collection[str] | None, operator: str, way_out: str
    ) -> None:
        self.dataset, self._label = dataset, f"{label_field}.label"
        self._declared: list[str] = []
        self._maker, self._way_out = f"@tator/sync/{operator}", way_out
        self._chosen = unlabelled is not None
        self._none = {*(_defaults(dataset, label_field) if unlabelled is None else unlabelled), ""}
        self._taken: Counter[str] = Counter()
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
        self._taken.clear()
        path, texts = self._label.split("."), dict[str, str]()
        found: dict[ObjectId, str | None] = {}
        for query in _queries(ids):
            if having is not None:
                query[having] = {"$ne": None}
            for sample in self._samples.find(query, {self._label: True}):
                label: str | None = (sample.get(path[0]) or {}).get(path[1])
                if label is not None and self._is_none(label):
                    self._taken[label] += 1
                    label = None
                found[sample["_id"]] = None if label is None else texts.setdefault(label, label)
        return found

    def _is_none(self, label: str) -> bool:
        return label in self._none or (not self._chosen and label.strip().casefold() in self._none & _WORDS)

    def notes(self) -> list[str]:
        """Which labels were taken for none when labels were read last, in words."""
        taken = [f"{label!r} ({count:,} samples)" for label, count in sorted(self._taken.items()) if label]
        if not taken:
            return []
        otherwise = " If it is one, name those that are none (unlabelled); with an empty list each label counts."
        return [f"Taken for no label: {', '.join(taken)}.{'' if self._chosen else otherwise}"]

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

    def declare(self, kinds: Mapping[str, Kind]) -> None:
        """Makes fields for what is found, if they are not there; all of them or none.

        Args:
            kinds: of field, by name

        Raises:
            InvalidOption: if there is a field of such a name that is not of this operator's making
        """
        for name, kind in kinds.items():
            self._check_free(name, kind)
        self._declared += kinds
        for name, kind in kinds.items():
            if self.dataset.get_field(name) is None:
                self.dataset.add_sample_field(
                    name,
                    kind.field,
                    embedded_doc_type=kind.document,
                    description=kind.description,
                    info={MADE_BY: self._maker},
                )

    def _check_free(self, name: str, kind: Kind) -> None:
        taken = {*OWN_FIELDS, *RESERVED, *(field.name for field in existing_fields(self.dataset))}
        field = self.dataset.get_field(name)
        if name in taken:
            raise InvalidOption(f"The field {name!r} is Tator's or FiftyOne's own. {self._way_out}")
        if field is None:
            return
        if type(field) is not kind.field or getattr(field, "document_type", None) is not kind.document:
            what = f"holds something else ({type(field).__name__})"
        elif (field.info or {}).get(MADE_BY) != self._maker:
            what = "is somebody else's, who may have put values into it by hand"
        else:
            return
        raise InvalidOption(f"The field {name!r} is there and {what}. {self._way_out}")

    def clear(self, names: Sequence[str], ids: Sequence[ObjectId] | None = None) -> None:
        """Takes away what was found before; the fields stay.

        Args:
            names: of the fields
            ids: of the samples; all if None
        """
        self._check_declared()
        for query in _queries(ids):
            for name in names:
                self._samples.update_many({**query, name: {"$ne": None}}, {"$set": {name: None}})
        self._check_declared()

    def write(self, values: Mapping[ObjectId, Mapping[str, Any]]) -> int:
        """Writes what was found; samples that are gone are left out.

        Args:
            values: by sample and field

        Returns:
            how many samples were there

        Raises:
            EmbeddingError: if a field was deleted or renamed meanwhile; no sample keeps a value that is in no field
        """
        changes = [UpdateOne({"_id": id}, {"$set": dict(fields)}) for id, fields in values.items()]
        written = 0
        for start in range(0, len(changes), BLOCK):
            self._check_declared()
            written += self._samples.bulk_write(changes[start : start + BLOCK], ordered=False).matched_count
            self._check_declared()
        return written

    def _check_declared(self) -> None:
        """FiftyOne reads no sample any more that has a value in a field that the dataset does not know."""
        gone = [name for name in self._declared if not still_declared(self.dataset, name)]
        if not gone:
            return
        for name in gone:
            self._samples.update_many({name: {"$exists": True}}, {"$unset": {name: ""}})
        said = ", ".join(map(repr, gone))
        raise EmbeddingError(
            f"Somebody deleted or renamed {said} of dataset {self.dataset.name!r} while it was written to. "
            "Nothing more was written; do it again, and the fields are made anew."
        )

    def groups(self, name: str, apart_from: Collection[ObjectId]) -> tuple[dict[ObjectId, int], int]:
        """Groups that an earlier run found and that reach beyond some samples.

        Args:
            name: the field of the group's number
            apart_from: the samples

        Returns:
            the group of each sample that is in such a group, and the highest number of these
        """
        found = {each["_id"]: int(each[name]) for each in self._samples.find({name: {"$gt": 0}}, {name: True})}
        kept = {group for id, group in found.items() if id not in apart_from}
        return {id: group for id, group in found.items() if group in kept}, max(kept, default=0)

    def done(self) -> None:
        """Makes samples that this process holds show what was written.

        Raises:
            EmbeddingError: if a field was deleted or renamed meanwhile
        """
        self._check_declared()
        refresh_held(self.dataset)


def none_labels(dataset: fo.Dataset, label_field: str = LABEL_FIELD) -> list[str]:
    """The labels of a dataset that stand for none unless somebody says otherwise.

    Args:
        dataset: the dataset
        label_field: holds the labels

    Returns:
        those of them that samples have
    """
    if getattr(dataset.get_field(label_field), "document_type", None) is not fo.Classification:
        return []
    findings = Findings(dataset, label_field, None, operator="", way_out="")
    every = get_db_conn()[dataset._sample_collection_name].distinct(f"{label_field}.label")
    return [label for label in every if label and findings._is_none(label)]


def _defaults(dataset: fo.Dataset, label_field: str) -> Collection[str]:
    info = dataset.info.get(INFO, {}) if label_field == LABEL_FIELD else {}
    return {label for label in info.get("label_defaults", {}).values() if label} or _WORDS


def writing(dataset: fo.Dataset, purpose: str, what: str) -> Lease:
    """The right to write what is found; others may do other things with the dataset at the same time.

    Args:
        dataset: the dataset
        purpose: what is being done, in words
        what: is written

    Returns:
        the lease, not taken yet
    """
    return Lease(get_db_conn(), dataset.name, purpose=purpose, key=f"{dataset_id(dataset)} {what}")


def check_chosen(samples: Sequence[ObjectId] | None) -> None:
    """Refuses a choice of no samples.

    Args:
        samples: their ids; all if None

    Raises:
        NothingToEmbed: if it is empty
    """
    if samples is not None and len(samples) == 0:
        raise NothingToEmbed(
            "No sample was chosen: the view or the selection is empty. Nothing was changed. Choose some samples, or "
            "the whole dataset."
        )


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
