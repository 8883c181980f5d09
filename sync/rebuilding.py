"""Rebuilding the base of a dataset that has none, or not all of it: a clone, or one that was exported and loaded again.

Nobody knows any more what was agreed on. Where a sample says what Tator says, that is it. Where they differ, nobody can
tell who changed: such a value is unknown in the base, so that the merge that follows shows it as a conflict, and writes
neither side over the other. Localizations whose samples somebody deleted here come back, for the same reason.

The rows are written before the dataset calls itself their owner. Until then a run that dies leaves a dataset into which
only another rebuilding imports, and that one adds the rows that are missing.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import fiftyone as fo
import fiftyone.core.odm as foo
from bson import ObjectId

from fiftyone_tator.sync import dataset as datasets
from fiftyone_tator.sync.base import BaseRow, BaseStore, Identity, pack_element
from fiftyone_tator.sync.errors import InvalidOption
from fiftyone_tator.sync.mapping import GEOMETRY, UNKNOWN_KEY, ValueMap
from fiftyone_tator.sync.medias import MediaBook
from fiftyone_tator.sync.merging import AgreedMedias
from fiftyone_tator.sync.options import ImportOptions
from fiftyone_tator.sync.plan import same
from fiftyone_tator.sync.results import ImportResult
from fiftyone_tator.sync.scope import Scope, resolve
from fiftyone_tator.sync.snapshot import Entry, Snapshot, line
from fiftyone_tator.tator_client import Localization, Tator

_BLOCK = 2_000
_TWICE = "Another sample is the same localization already; only the first one is kept up to date"
_UNHEARD_OF = "Tator has no such localization, not even a deleted one; the sample was left as it is"

_Document = Mapping[str, Any]


def widened(client: Tator, options: ImportOptions, dataset: fo.Dataset, scope: Scope) -> Scope:
    """A scope with all versions and types of a dataset: every sample has to be compared.

    Args:
        client: the session with the server
        options: what to import
        dataset: the dataset
        scope: of the options

    Returns:
        the scope

    Raises:
        InvalidOption: if the options limit the samples
        TatorError: if the server fails
    """
    if options.max_samples is not None:
        raise InvalidOption(
            "The option rebuild compares every sample with Tator, so there cannot be a limit. Leave max_samples out."
        )
    info = dataset.info.get(datasets.INFO, {})
    there = {kind.id for kind in client.localization_types(scope.project.id)}
    versions = {version.id for version in scope.versions} | datasets.known_versions(dataset) & scope.all_versions
    types = {kind.id for kind in scope.types} | {int(kind) for kind in info.get("types", {})} & there
    chosen = {"project": scope.project.id, "versions": sorted(versions), "types": sorted(types)}
    return resolve(client, options.model_copy(update=chosen))


def disown(dataset: fo.Dataset) -> None:
    """Takes from a dataset what its original told it, and notes that its base is not whole.

    Args:
        dataset: the dataset
    """
    info = dict(dataset.info.get(datasets.INFO, {}))
    if info.get("dataset") not in (None, str(datasets.dataset_id(dataset))):
        for others in ("crops", "unfinished_run"):
            info.pop(others, None)
    info.pop("feed", None)
    datasets.save_info(dataset, {**info, datasets.REBUILDING: True})


class Rebuilder:
    """Writes the base rows that a dataset's samples lack.

    Args:
        client: the session with the server
        scope: what is imported
        dataset: the dataset
        store: its base
        values: knows how rows become values
        medias: the media of the snapshot
        result: told what cannot be rebuilt
    """

    def __init__(
        self,
        client: Tator,
        scope: Scope,
        dataset: fo.Dataset,
        store: BaseStore,
        values: ValueMap,
        medias: MediaBook,
        result: ImportResult,
    ) -> None:
        self._client, self._scope, self._dataset, self._store = client, scope, dataset, store
        self._values, self._medias, self._result = values, medias, result
        self._agreed = AgreedMedias(store, values)
        self._samples = foo.get_db_conn()[dataset._sample_collection_name]
        names = sorted(datasets.version_names(dataset).items(), reverse=True)
        self._versions = {name: version for version, name in names}
        self._run = ObjectId()
        self._lowest: dict[bytes, int] = {}

    def rebuild(self, snapshot: Snapshot) -> list[Identity]:
        """Writes the rows.

        Args:
            snapshot: theirs, in full

        Returns:
            localizations that were deleted in Tator and have a sample here

        Raises:
            TatorError: if the server fails
        """
        if "elemental_id" not in self._dataset.list_indexes():
            self._dataset.create_index("elemental_id")
        self._lowest = snapshot.shared_elements()
        for block in snapshot.blocks(_BLOCK):
            self._from_rows(block)
        deleted: list[Identity] = []
        for version, documents in self._without_base():
            deleted += self._from_names(version, documents)
        return deleted

    def _from_rows(self, block: Sequence[Entry]) -> None:
        documents = self._documents([str(entry.row.elemental_id) for entry in block])
        known = self._store.find(documents)
        fresh: list[BaseRow] = []
        stale: list[Identity] = []
        taken = self._store.plainly_named([element for _, element in documents], list(self._versions.values()))
        for entry in block:
            identity = entry.row.version, str(entry.row.elemental_id)
            found = documents.get(identity, [])
            if not found:
                continue
            base = known.get(identity)
            whose = base.sample if base is not None else None
            first = next((document for document in found if document["_id"] == whose), found[0])
            self._result.notes.add(_TWICE, [_name(other) for other in found if other is not first])
            if first["_id"] != whose:
                stale += [identity] if base is not None else []
                fresh.append(self._row(entry, first, identity[1] in taken, forgotten=False))
        self._write(fresh, stale)

    def _documents(self, elements: Sequence[str]) -> dict[Identity, list[_Document]]:
        """The samples of some localizations, the oldest first."""
        found: dict[Identity, list[_Document]] = defaultdict(list)
        for document in self._samples.find({"elemental_id": {"$in": list(elements)}}).sort("_id", 1):
            version = self._versions.get(document.get("version") or "")
            if version is not None:
                found[version, document["elemental_id"]].append(document)
        return dict(found)

    def _without_base(self) -> Iterable[tuple[int | None, list[_Document]]]:
        """The samples that the snapshot did not give a base, by version."""
        keys = {"elemental_id": True, "version": True, "media_name": True}
        cursor = self._samples.find({"elemental_id": {"$type": "string"}}, keys, batch_size=_BLOCK)
        while block := list(islice(cursor, _BLOCK)):
            identities = {d["_id"]: (self._versions.get(d.get("version") or ""), d["elemental_id"]) for d in block}
            here = self._store.find((version, e) for version, e in identities.values() if version is not None)
            left: dict[int | None, list[_Document]] = defaultdict(list)
            for document in block:
                version, element = identities[document["_id"]]
                if version is None or (version, element) not in here:
                    left[version].append(document)
            yield from left.items()

    def _from_names(self, version: int | None, documents: Sequence[_Document]) -> list[Identity]:
        """Asks by name for what the lists do not show; gives what was deleted in Tator."""
        rows: dict[str, Localization] = {}
        if version is not None:
            asked = [d["elemental_id"] for d in documents if _is_element(d["elemental_id"])]
            for row in self._client.read_localizations(
                self._scope.project.id, elemental_ids=asked, version=version, show_deleted=True
            ):
                if row.type in self._values.types:
                    rows[str(row.elemental_id).lower()] = row
        self._medias.learn(row.media for row in rows.values())
        fresh: dict[Identity, BaseRow] = {}
        deleted: list[Identity] = []
        for document in documents:
            found = rows.get(document["elemental_id"].lower())
            if found is None:
                self._result.notes.add(_UNHEARD_OF, [_name(document)])
                continue
            identity = found.version, str(found.elemental_id)
            if identity in fresh:
                self._result.notes.add(_TWICE, [_name(document)])
                continue
            whole = self._samples.find_one({"_id": document["_id"]}) or document
            fresh[identity] = self._row(Entry(line(found), found), whole, False, forgotten=found.deleted)
            deleted += [identity] if found.deleted else []
        self._write(list(fresh.values()), [])
        return deleted

    def _row(self, entry: Entry, document: _Document, taken: bool, *, forgotten: bool) -> BaseRow:
        """The base of a sample: theirs, where they differ unknown; all of it where that is forgotten."""
        row, lowest = entry.row, self._lowest.get(pack_element(str(entry.row.elemental_id)))
        named = {**document, "localization_type": self._values.types[row.type][0]}
        unknown = self._values.fields if forgotten else self._differing(row, named)
        media = self._agreed.agree(self._agreed.row(self._medias.get(row.media)))
        return BaseRow(
            version=row.version,
            elemental_id=str(row.elemental_id),
            type=row.type,
            sample=document["_id"],
            row=_with_unknown(entry.text, self._values.attributes_of(row.type, unknown)),
            media=media,
            # Whatever its crop was made from: it is cut anew.
            crop="",
            size=0,
            suffixed=taken or (lowest is not None and lowest != row.version),
            run=self._run,
        )

    def _differing(self, row: Localization, document: _Document) -> list[str]:
        theirs = self._values.comparable(self._values.values(row))
        ours = self._values.comparable(self._values.ours(document))
        differing = [name for name, value in theirs.items() if not same(value, ours.get(name))]
        # Where Tator lost the geometry, ours is all there is.
        return [name for name in differing if name != GEOMETRY or theirs[GEOMETRY] is not None]

    def _write(self, fresh: Sequence[BaseRow], stale: Sequence[Identity]) -> None:
        self._agreed.flush()
        self._store.remove(stale)
        if fresh:
            self._store.insert(fresh)


def _with_unknown(row: str, attributes: Iterable[str]) -> str:
    unknown = sorted(attributes)
    if not unknown:
        return row
    return json.dumps({**json.loads(row), UNKNOWN_KEY: unknown}, ensure_ascii=False, separators=(",", ":"))


def _is_element(text: str) -> bool:
    try:
        return bool(pack_element(text))
    except ValueError:
        return False


def _name(document: _Document) -> str:
    return f"{document.get('media_name')}, {document['elemental_id']}"
