"""What an import writes, gathered into blocks and written in an order that may be cut off at any point."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.core.odm as foo
from bson import ObjectId
from pymongo import DeleteOne, UpdateOne

from fiftyone_tator.media.folders import ProjectFolder
from fiftyone_tator.sync.base import BaseRow, BaseStore, Identity
from fiftyone_tator.sync.dataset import CONFLICT_FIELD, CONFLICT_TAG, dataset_id, mark_unfinished
from fiftyone_tator.sync.documents import EMBEDDING_OF
from fiftyone_tator.sync.merging import AgreedMedias
from fiftyone_tator.sync.results import ImportResult
from fiftyone_tator.sync.stamps import MODIFIED, Stamps

_FLUSH = 1_000
_EDITED = "Somebody edited them here meanwhile; what changed in Tator comes with the next import"


@dataclass(frozen=True, slots=True)
class _Update:
    """An update of a sample, what is agreed on if it succeeds, and what is if somebody was faster."""

    name: str
    sample: ObjectId
    write: UpdateOne | None
    base: BaseRow
    otherwise: BaseRow | None
    replaced: Path | None


class Writer:
    """Writes samples and their base.

    Args:
        dataset: the dataset
        store: its base
        medias: what is agreed on of media
        folder: where crops lie
        run: the id of the first block of new samples
        result: counts what is done
    """

    def __init__(
        self,
        dataset: fo.Dataset,
        store: BaseStore,
        medias: AgreedMedias,
        folder: ProjectFolder,
        run: ObjectId,
        result: ImportResult,
    ) -> None:
        self._dataset, self._store, self._medias, self._folder, self._result = dataset, store, medias, folder, result
        self.samples = foo.get_db_conn()[dataset._sample_collection_name]
        self.run = run
        infos = {name: field.info or {} for name, field in dataset.get_field_schema().items()}
        self.vectors = [name for name, info in infos.items() if info.get(EMBEDDING_OF) == "filepath"]
        """The fields of vectors that were made of the crops."""
        self._new: list[tuple[BaseRow, dict[str, Any]]] = []
        self._updates: list[_Update] = []
        self.missed: list[Identity] = []
        """Localizations whose sample somebody edited meanwhile, so that it was not changed."""
        self._stamps = Stamps(foo.get_db_conn(), dataset_id(dataset), self.samples)
        self._stamps.prepare()
        self._known = set(self._stamps.known())
        self._renew()

    def _renew(self) -> None:
        """The times that the next block gets: one for samples as agreed on, one for those with edits of people."""
        self._clean, self._dirty = self._stamps.other(), self._stamps.other()
        self._known.add(self._clean)

    def create(self, base: BaseRow, document: dict[str, Any]) -> None:
        """Adds a sample.

        Args:
            base: its base, with the present :attr:`run`
            document: the sample
        """
        self._new.append((base, document))

    def update(
        self,
        name: str,
        ours: Mapping[str, Any],
        fields: Mapping[str, Any],
        base: BaseRow,
        *,
        edited: bool,
        conflict: str | None = None,
        recut: bool = False,
        otherwise: BaseRow | None = None,
    ) -> None:
        """Changes a sample, unless somebody else changes it first.

        Args:
            name: what it is, in words
            ours: its document, as it was read
            fields: what it takes over; may be empty
            base: what is agreed on from then on
            edited: whether something in it is not what is agreed on, so that the next push has to look at it
            conflict: what both sides say, in words, if it is in conflict; the tag comes and goes with that
            recut: whether its crop shows something else now, so that what was made of the old one goes
            otherwise: what is agreed on all the same if somebody else changed it first
        """
        tagged = CONFLICT_TAG in (ours.get("tags") or ())
        news = dict(fields)
        if ours.get(CONFLICT_FIELD) != conflict:
            news[CONFLICT_FIELD] = conflict
        if "tags" in news:
            others = [tag for tag in news["tags"] if tag != CONFLICT_TAG]
            news["tags"] = others if conflict is None else [*others, CONFLICT_TAG]
        change: dict[str, Any] = {"$set": {**news, MODIFIED: self._dirty if edited else self._clean}}
        if (conflict is not None) != tagged and "tags" not in news:
            change["$pull" if tagged else "$addToSet"] = {"tags": CONFLICT_TAG}
        if recut and self.vectors:
            change["$unset"] = dict.fromkeys(self.vectors, "")
        write = None
        # Its time has to say whether the next push looks at it, also where nothing else of it changes.
        if news or len(change) > 1 or edited == (ours.get(MODIFIED) in self._known):
            write = UpdateOne({"_id": ours["_id"], MODIFIED: ours.get(MODIFIED)}, change)
        replaced = Path(ours["filepath"]) if "filepath" in fields else None
        self._updates.append(_Update(name, ours["_id"], write, base, otherwise, replaced))

    def remove(self, gone: Sequence[BaseRow], ours: Mapping[ObjectId, Mapping[str, Any]]) -> None:
        """Removes samples, unless somebody changes them first; their crops; and then their base.

        Args:
            gone: the base of what goes
            ours: the documents of those samples that there are
        """
        present = [row.sample for row in gone if row.sample in ours]
        left: set[ObjectId] = set()
        if present:
            deletions = [DeleteOne({"_id": sample, MODIFIED: ours[sample].get(MODIFIED)}) for sample in present]
            if self.samples.bulk_write(deletions, ordered=False).deleted_count < len(present):
                found = self.samples.find({"_id": {"$in": present}}, {"_id": True})
                left = {document["_id"] for document in found}
            # Samples that the caller holds would come back with the next save.
            ids = [str(sample) for sample in present if sample not in left]
            fo.Sample._reset_docs(self._dataset._sample_collection_name, sample_ids=ids)
        kept = [row for row in gone if row.sample in left]
        self._result.notes.add(_EDITED, [row.elemental_id for row in kept])
        self._unlink(Path(ours[sample]["filepath"]) for sample in present if sample not in left)
        self._store.remove([row.identity for row in gone if row.sample not in left])
        self._result.removed += len(present) - len(left)

    def flush_if_full(self) -> None:
        """Writes what has gathered, if that is much."""
        if len(self._new) >= _FLUSH or len(self._updates) >= _FLUSH:
            self.flush()

    def flush(self) -> None:
        """Writes what has gathered: the base of new samples before them, that of updated ones after."""
        self._medias.flush()
        new, self._new = self._new, []
        if new:
            there = self._store.insert([base for base, _ in new])
            documents = [
                {**document, "created_at": self._clean, MODIFIED: self._clean}
                for base, document in new
                if base.identity not in there
            ]
            if documents:
                self.samples.insert_many(documents, ordered=False)
            self._result.created += len(documents)
            # These have their samples: where one is missing from now on, somebody deleted it.
            self.run = ObjectId()
            mark_unfinished(self._dataset, self.run)
        updates, self._updates = self._updates, []
        if updates:
            self._write(updates)
        if new or updates:
            self._stamps.keep(self._clean)
            self._renew()

    def _write(self, updates: Sequence[_Update]) -> None:
        missed: set[ObjectId] = set()
        writes = [update.write for update in updates if update.write is not None]
        if writes and self.samples.bulk_write(writes, ordered=False).matched_count < len(writes):
            ids = [update.sample for update in updates if update.write is not None]
            done = {"_id": {"$in": ids}, MODIFIED: {"$in": [self._clean, self._dirty]}}
            missed = set(ids) - {document["_id"] for document in self.samples.find(done, {"_id": True})}
            self._result.notes.add(_EDITED, [update.name for update in updates if update.sample in missed])
            self.missed += [update.base.identity for update in updates if update.sample in missed]
            self._result.updated = max(0, self._result.updated - len(missed))
        settled = [update for update in updates if update.sample not in missed]
        moved = [update.base for update in settled]
        moved += [u.otherwise for u in updates if u.sample in missed and u.otherwise is not None]
        self._store.move(moved)
        self._unlink(update.replaced for update in settled if update.replaced is not None)

    def _unlink(self, crops: Iterable[Path]) -> None:
        """Removes crops that no sample of any dataset has any more, as a clone would; others' files stay."""
        files = [str(crop) for crop in crops if self._folder.path in crop.parents]
        if not files:
            return
        database, used = foo.get_db_conn(), set[str]()
        for dataset in database["datasets"].find({}, {"sample_collection_name": True}):
            samples = database[dataset["sample_collection_name"]]
            query = {"filepath": {"$in": files}}
            used |= {document["filepath"] for document in samples.find(query, {"filepath": True})}
        for file in files:
            if file not in used:
                Path(file).unlink(missing_ok=True)
