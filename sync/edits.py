"""What somebody edited here: narrowed down by time, decided by the base. No server is asked."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from bson import ObjectId

from fiftyone_tator.sync.base import BaseRow, Identity
from fiftyone_tator.sync.dataset import CONFLICT_TAG
from fiftyone_tator.sync.merging import Merger
from fiftyone_tator.sync.origin import Origin
from fiftyone_tator.sync.stamps import MODIFIED

BLOCK = 5_000

_COPY = "another sample has the same elemental id: remove one of the two"
_STRANGE = (
    "nothing was agreed on with Tator for its elemental id: import once more with the option rebuild, or remove it"
)


@dataclass(slots=True)
class Touched:
    """Some of the samples that somebody touched.

    Args:
        edited: base and document of those in which something is not as agreed on
        created: documents of samples that Tator has no localization of
        strange: documents of samples that cannot be told, and why
        looked_at: how many samples there are
        clean: the times of samples in which nothing was edited, by id
        dirty: times of samples in which something was
    """

    edited: list[tuple[BaseRow, dict[str, Any]]] = field(default_factory=list)
    created: list[dict[str, Any]] = field(default_factory=list)
    strange: list[tuple[dict[str, Any], str]] = field(default_factory=list)
    looked_at: int = 0
    clean: dict[ObjectId, datetime] = field(default_factory=dict)
    dirty: set[datetime] = field(default_factory=set)


class Edits:
    """Finds edits.

    Args:
        origin: the dataset
    """

    def __init__(self, origin: Origin) -> None:
        self._origin, self._merger = origin, Merger(origin.values)

    def touched(self, among: Collection[ObjectId] | None = None, *, everything: bool = False) -> Iterator[Touched]:
        """The samples that somebody touched, and what is edited among them.

        Args:
            among: ids of samples to look at; all if None
            everything: whether to look at every sample, touched or not

        Yields:
            blocks of at most :data:`BLOCK` samples
        """
        for ids in self._ids(among, everything=everything):
            yield self.look_at(ids)

    def _ids(self, among: Collection[ObjectId] | None, *, everything: bool) -> Iterator[list[ObjectId]]:
        if not everything:
            # All ids first: what is written meanwhile may be touched as well.
            yield from list(self._origin.stamps.touched(among))
            return
        every = self._origin.samples.find({}, {"_id": True}).sort("_id", 1)
        ids = iter(among) if among is not None else (found["_id"] for found in every)
        while block := list(islice(ids, BLOCK)):
            yield block

    def look_at(self, ids: Sequence[ObjectId]) -> Touched:
        """Decides about samples.

        Args:
            ids: of the samples
        """
        origin, found = self._origin, Touched()
        documents = list(origin.samples.find({"_id": {"$in": list(ids)}}, origin.projection()))
        named = {document["_id"]: origin.identity(document) for document in documents}
        base = origin.store.find(identity for identity in named.values() if identity is not None)
        self._hand_over(named, base)
        for document in documents:
            identity = named[document["_id"]]
            known = None if identity is None else base.get(identity)
            is_its = known is not None and known.sample == document["_id"]
            at, is_clean = document.get(MODIFIED), False
            if known is not None and is_its:
                is_clean = not self.is_edited(known, document)
                if not is_clean:
                    found.edited.append((known, document))
            elif not document.get("elemental_id"):
                found.created.append(document)
            else:
                found.strange.append((document, _STRANGE if known is None else _COPY))
            if at is not None and is_clean:
                found.clean[document["_id"]] = at
            elif at is not None:
                found.dirty.add(at)
        found.looked_at = len(documents)
        return found

    def _hand_over(self, named: Mapping[ObjectId, Identity | None], base: dict[Identity, BaseRow]) -> None:
        """Gives the base of samples that are gone to those that were put in their place, from a backup for example."""
        others = [
            (base[identity], sample)
            for sample, identity in named.items()
            if identity in base and base[identity].sample != sample
        ]
        query = {"_id": {"$in": [row.sample for row, _ in others]}}
        there = {found["_id"] for found in self._origin.samples.find(query, {"_id": True})} if others else set()
        for row, sample in others:
            if row.sample not in there and base[row.identity].sample == row.sample:
                base[row.identity] = self._origin.store.hand_over(row, sample)

    def settled(self, samples: Collection[ObjectId]) -> list[tuple[BaseRow, dict[str, Any]]]:
        """Base and document of those samples in which nothing is edited.

        Args:
            samples: their ids
        """
        origin = self._origin
        documents = list(origin.samples.find({"_id": {"$in": list(samples)}}, origin.projection()))
        named = [(document, identity) for document in documents if (identity := origin.identity(document)) is not None]
        base = origin.store.find(identity for _, identity in named)
        return [
            (base[identity], document)
            for document, identity in named
            if identity in base and base[identity].sample == document["_id"]
            and not self.is_edited(base[identity], document)
        ]  # fmt: skip

    def is_edited(self, base: BaseRow, ours: Mapping[str, Any]) -> bool:
        """Whether something in a sample is not as agreed on, or was not when somebody last looked.

        Args:
            base: what was agreed on
            ours: the sample's document
        """
        if CONFLICT_TAG in (ours.get("tags") or ()):
            return True
        return bool(self._merger.difference(base.row, None, ours, None).ours)

    def deleted(self, others: int) -> Iterator[list[BaseRow]]:
        """What was agreed on of samples that somebody deleted.

        Args:
            others: how many samples there are that nothing was agreed on for

        Yields:
            base rows, some thousands at a time
        """
        origin = self._origin
        if origin.store.count() <= origin.samples.count_documents({}) - others:
            return
        # An import that died wrote these before their samples: nobody deleted those.
        unfinished = origin.info.get("unfinished_run")
        for rows in origin.store.blocks(BLOCK):
            ids = [row.sample for row in rows]
            there = {found["_id"] for found in origin.samples.find({"_id": {"$in": ids}}, {"_id": True})}
            if gone := [row for row in rows if row.sample not in there and str(row.run) != unfinished]:
                yield gone
