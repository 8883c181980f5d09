"""Samples that somebody added here become localizations in Tator."""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from bson import ObjectId

from fiftyone_tator.sync.base import BaseRow
from fiftyone_tator.sync.documents import DocumentMaker
from fiftyone_tator.sync.fields import LABEL_FIELD
from fiftyone_tator.sync.geometry import shape
from fiftyone_tator.sync.journal import Entry, Item, Journal
from fiftyone_tator.sync.mapping import CONFIDENCE, GEOMETRY, LABEL, field_map
from fiftyone_tator.sync.merging import AgreedMedias, Merger
from fiftyone_tator.sync.origin import Origin
from fiftyone_tator.sync.outgoing import make_change
from fiftyone_tator.sync.push_results import PushResult
from fiftyone_tator.sync.sending import Failures, said
from fiftyone_tator.sync.snapshot import line
from fiftyone_tator.sync.stamps import MODIFIED
from fiftyone_tator.sync.target import Target
from fiftyone_tator.sync.values import Unsendable
from fiftyone_tator.tator_client import Localization, LocalizationType, Media, PermissionDenied, Tator, TatorError

_NAMESPACE = uuid.UUID("6f1f5a0e-63c6-4f0b-9a55-0c2d3b9f7e41")
"""Of the elemental ids of what is created here: who tries a creation again names the same localization."""
_BROUGHT = "an earlier push did create it, and an import brought it as another sample: remove one of the two"


@dataclass(frozen=True)
class New:
    """A sample that becomes a localization.

    Args:
        document: of the sample
        spec: of the localization, with an elemental id that is chosen here
    """

    document: Mapping[str, Any]
    spec: Mapping[str, Any]

    @property
    def element(self) -> str:
        """The elemental id."""
        return str(self.spec["elemental_id"])

    @property
    def text(self) -> str:
        """The localization in JSON."""
        return json.dumps(self.spec)


class Creator:
    """Creates localizations of samples.

    Args:
        client: the session with the server
        origin: the dataset
        target: the project
    """

    def __init__(self, client: Tator, origin: Origin, target: Target) -> None:
        self._client, self._origin, self._target = client, origin, target
        self._maker: DocumentMaker | None = None
        self._medias: dict[int, Media] = {}

    def specs(self, documents: Sequence[Mapping[str, Any]], result: PushResult) -> list[New]:
        """What would be created of samples.

        Args:
            documents: of samples without an elemental id
            result: told about those that cannot be created

        Returns:
            the others; each has an elemental id of its own

        Raises:
            TatorError: if the server fails
        """
        found: list[New] = []
        for document in documents:
            try:
                found.append(New(document, self._spec(document)))
            except Unsendable as reason:
                _refuse(document, str(reason), result)
        named = self._named(found)
        brought = self._brought(named)
        for new in named:
            if new.element in brought:
                _refuse(new.document, _BROUGHT, result)
        return [new for new in named if new.element not in brought]

    def _brought(self, block: Sequence[New]) -> set[str]:
        """Elemental ids of what an earlier push did create, as an import found out that made other samples of it."""
        origin = self._origin
        samples = {(int(new.spec["version"]), new.element): new.document["_id"] for new in block}
        known = [row for row in origin.store.find(samples).values() if row.sample != samples[row.identity]]
        query = {"_id": {"$in": [row.sample for row in known]}}
        there = {found["_id"] for found in origin.samples.find(query, {"_id": True})} if known else set()
        return {row.elemental_id for row in known if row.sample in there}

    def _named(self, block: Sequence[New]) -> list[New]:
        """Chooses elemental ids: the same at each try, and another one for a sample that has had one already."""
        had: dict[ObjectId, list[str]] = {}
        for row in self._origin.store.of_samples([new.document["_id"] for new in block]):
            had.setdefault(row.sample, []).append(row.elemental_id)
        named: list[New] = []
        waiting, turn = list(block), 0
        while waiting:
            chosen = [self._as(new, turn, had.get(new.document["_id"], ())) for new in waiting]
            used = self._deleted(chosen)
            named += [new for new in chosen if new.element not in used]
            waiting = [new for new in chosen if new.element in used]
            turn += 1
        return named

    def _as(self, new: New, turn: int, had: Sequence[str]) -> New:
        name = " ".join([str(self._origin.id), str(new.document["_id"]), *sorted(had), str(turn)])
        return replace(new, spec={**new.spec, "elemental_id": str(uuid.uuid5(_NAMESPACE, name))})

    def _deleted(self, block: Sequence[New]) -> set[str]:
        """Elemental ids of what was there and somebody deleted in Tator."""
        found: set[str] = set()
        for version in sorted({int(new.spec["version"]) for new in block}):
            elements = [new.element for new in block if new.spec["version"] == version]
            project = self._target.project.id
            rows = self._client.read_localizations(project, elemental_ids=elements, version=version, show_deleted=True)
            found |= {str(row.elemental_id).lower() for row in rows if row.deleted}
        return found

    def _spec(self, document: Mapping[str, Any]) -> dict[str, Any]:
        origin = self._origin
        kind, version, media = self._kind(document), self._version(document), self._media(document)
        document = {**document, "localization_type": origin.values.types[kind.id][0]}
        values = origin.values.ours(document)
        fields = {name for name, value in values.items() if value is not None} | {LABEL, GEOMETRY}
        change, problems = make_change(origin.values, kind, document, fields)
        if problems:
            raise Unsendable("; ".join(problems))
        return {
            "type": kind.id,
            "version": version,
            "media_id": media,
            "frame": int(document.get("frame") or 0),
            **change.geometry,
            "attributes": dict(change.attributes),
        }

    def _kind(self, document: Mapping[str, Any]) -> LocalizationType:
        kinds, name = self._target.types.values(), document.get("localization_type")
        called = {kind: its for kind, (its, _) in self._origin.values.types.items()}
        found = [kind for kind in kinds if name in (called[kind.id], None)]
        found = found or [kind for kind in kinds if kind.name == name]
        if len(found) != 1:
            raise Unsendable(f"set localization_type to one of: {', '.join(called[kind.id] for kind in kinds)}")
        return found[0]

    def _version(self, document: Mapping[str, Any]) -> int:
        if self._target.version is not None:
            return self._target.version.id
        known, name = self._origin.versions, document.get("version")
        found = [version for version, its in known.items() if name in (its, None)]
        if len(found) != 1:
            raise Unsendable(f"set version to one of: {', '.join(known.values())}")
        return found[0]

    def _media(self, document: Mapping[str, Any]) -> int:
        if document.get("media_id") is not None:
            return int(document["media_id"])
        query = {"media_name": document.get("media_name"), "media_id": {"$ne": None}}
        other = self._origin.samples.find_one(query, {"media_id": True}) if document.get("media_name") else None
        if other is None:
            raise Unsendable("set media_id to the id of the picture in Tator that it lies on")
        return int(other["media_id"])

    def enter(self, journal: Journal, push: ObjectId, block: Sequence[New]) -> Entry:
        """Writes down what is about to be created, so that its elemental ids are remembered.

        Args:
            journal: where to
            push: the push's id
            block: at most some hundreds
        """
        items = [Item(new.element, new.document["_id"], 0, place) for place, new in enumerate(block)]
        medias = sorted({new.spec["media_id"] for new in block})
        return journal.out(push, "create", "creation", 0, medias, [new.text for new in block], items)

    def send(self, block: Sequence[New]) -> Failures:
        """Creates localizations.

        Args:
            block: at most some hundreds

        Returns:
            those that were refused, by elemental id, with the reason

        Raises:
            TatorError: if the server fails; nobody knows what was created then
        """
        types = list(self._target.types.values())
        failures: Failures = {}
        for version in sorted({int(new.spec["version"]) for new in block}):
            some = [new for new in block if new.spec["version"] == version]
            outcomes: Sequence[int | TatorError]
            try:
                outcomes = self._client.create_each(
                    self._target.project.id, [new.spec for new in some], types=types, repeat=False
                )
            except PermissionDenied as reason:
                outcomes = [reason] * len(some)
            for new, outcome in zip(some, outcomes, strict=True):
                if isinstance(outcome, TatorError):
                    failures[new.element] = said(outcome, "created")
        return failures

    def adopt(self, block: Sequence[New], failures: Failures, result: PushResult) -> int:
        """Makes samples those of the localizations that were created.

        Args:
            block: what was sent
            failures: what was refused
            result: told about what was refused

        Returns:
            how many were created

        Raises:
            TatorError: if the server fails
        """
        rows: dict[str, Localization] = {}
        for version in sorted({int(new.spec["version"]) for new in block}):
            elements = [new.element for new in block if new.spec["version"] == version]
            for row in self._client.read_localizations(
                self._target.project.id, elemental_ids=elements, version=version
            ):
                rows[str(row.elemental_id).lower()] = row
        self._learn({row.media for row in rows.values()})
        for version in sorted({row.version for row in rows.values()}):
            self._origin.know_version(version, self._target.versions[version].name)
        # The base first, then the samples: one without the other is found and completed.
        bases = self._agree([(new.document, rows[new.element]) for new in block if new.element in rows])
        created, clean = 0, self._origin.stamps.other()
        for new in block:
            found = rows.get(new.element)
            if found is None:
                reason = failures.get(new.element, "Tator accepted it and did not create it. Push again")
                result.fail(new.element, int(new.spec["version"]), None, [reason])
            else:
                self._fill_in(new.document, found, bases[new.element], clean)
                created += 1
        self._origin.stamps.keep(clean)
        return created

    def _learn(self, medias: set[int]) -> None:
        unknown = sorted(medias - self._medias.keys())
        self._medias.update({media.id: media for media in self._client.medias(self._target.project.id, unknown)})

    def _agree(self, found: Sequence[tuple[Mapping[str, Any], Localization]]) -> dict[str, BaseRow]:
        """Writes the base of samples.

        Of a sample that was another localization before, that one is forgotten: Tator has it, and the dataset has not.

        Args:
            found: documents, and what was created of them

        Returns:
            base rows by elemental id
        """
        store, agreed = self._origin.store, AgreedMedias(self._origin.store, self._origin.values)
        bases: dict[str, BaseRow] = {}
        for document, row in found:
            name, element = agreed.agree(agreed.row(self._medias[row.media])), str(row.elemental_id).lower()
            # No crop of ours: the next import cuts one.
            bases[element] = BaseRow(
                row.version, element, row.type, document["_id"], line(row), name, "", 0, suffixed=False, run=ObjectId()
            )
        agreed.flush()
        if bases:
            store.insert(list(bases.values()))
            now = {base.identity for base in bases.values()}
            known = store.of_samples([base.sample for base in bases.values()])
            store.remove([base.identity for base in known if base.identity not in now])
        return bases

    def _fill_in(self, document: Mapping[str, Any], row: Localization, base: BaseRow, clean: datetime) -> None:
        """Sets what Tator knows of a sample, and nothing that somebody has set meanwhile."""
        origin, maker, media = self._origin, self._documents(), self._medias[row.media]
        place = shape(row, maker.dtype(row))
        x, y, width, height = (0.0, 0.0, 0.0, 0.0) if place is None else place.fields()["box"]
        owned = {**maker.owned(row, media, (x, y, width, height)), **maker.of_media(media.attributes)}
        # Tator may call them otherwise since the import, and what a sample says is looked up in the dataset's names.
        owned |= {"version": origin.versions[row.version], "localization_type": origin.values.types[row.type][0]}
        filled = {name: value for name, value in origin.values.values(row).items() if "." not in name}
        filled |= {name: owned.pop(name, None) for name in ("box", "points")}
        filled = {k: v for k, v in filled.items() if k != GEOMETRY and v is not None and document.get(k) is None}
        truth = document.get(LABEL_FIELD)
        score = origin.values.values(row)[CONFIDENCE]
        if truth and truth.get("confidence") is None and score is not None:
            filled[CONFIDENCE] = score
        now = {**document, **owned, **filled}
        if CONFIDENCE in filled:
            now[LABEL_FIELD] = {**now[LABEL_FIELD], "confidence": score}
        edited = Merger(origin.values).difference(base.row, None, now, None).ours
        change = {name: {"$literal": value} for name, value in owned.items()}
        change |= {name: {"$ifNull": [f"${name}", {"$literal": value}]} for name, value in filled.items()}
        as_read = {"_id": document["_id"], MODIFIED: document.get(MODIFIED)}
        settled = {**change, MODIFIED: {"$literal": clean}}
        if edited or not origin.samples.update_one(as_read, [{"$set": settled}]).matched_count:
            # Somebody went on editing: the next push finds that.
            origin.samples.update_one({"_id": document["_id"]}, [{"$set": change}])

    def _documents(self) -> DocumentMaker:
        if self._maker is None:
            scope = self._target.scope(self._client, self._origin)
            self._maker = DocumentMaker(scope, field_map(self._origin.info), self._origin.id)
        return self._maker

    def complete(self, entry: Entry) -> int:
        """Adopts what a push which was cut off had created.

        Args:
            entry: of the journal

        Returns:
            how many were; the others are still without an elemental id, and the next push creates them
        """
        there = {item.element: item.sample for item in entry.items}
        samples = self._origin.samples.find({"_id": {"$in": list(there.values())}}, self._origin.projection())
        documents = {document["_id"]: document for document in samples}
        specs = {spec["elemental_id"]: spec for spec in map(json.loads, entry.changes)}
        # A sample that somebody deleted meanwhile gets its base all the same: so it counts as deleted here.
        block = [New(documents.get(sample, {"_id": sample}), specs[element]) for element, sample in there.items()]
        return self.adopt(block, {}, PushResult(self._origin.dataset.name))


def _refuse(document: Mapping[str, Any], reason: str, result: PushResult) -> None:
    name = str(document.get("media_name") or document.get("filepath"))
    result.fail(f"{name}, sample {document['_id']}", 0, None, [f"it was not created: {reason}"])
