"""Samples that somebody added here become localizations in Tator."""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class New:
    """A sample that becomes a localization.

    Args:
        document: of the sample
        spec: of the localization, with an elemental id that was chosen here
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
        """
        found: list[New] = []
        for document in documents:
            try:
                found.append(New(document, self._spec(document)))
            except Unsendable as reason:
                name = str(document.get("media_name") or document.get("filepath"))
                result.fail(f"{name}, sample {document['_id']}", 0, None, [f"it was not created: {reason}"])
        return found

    def _spec(self, document: Mapping[str, Any]) -> dict[str, Any]:
        origin = self._origin
        kind, version, media = self._kind(document), self._version(document), self._media(document)
        values = origin.values.ours({**document, "localization_type": kind.name})
        fields = {name for name, value in values.items() if value is not None} | {LABEL, GEOMETRY}
        change, problems = make_change(origin.values, kind, {**document, "localization_type": kind.name}, fields)
        if problems:
            raise Unsendable("; ".join(problems))
        return {
            "type": kind.id,
            "version": version,
            "media_id": media,
            "frame": int(document.get("frame") or 0),
            "elemental_id": str(uuid.uuid4()),
            **change.geometry,
            "attributes": dict(change.attributes),
        }

    def _kind(self, document: Mapping[str, Any]) -> LocalizationType:
        kinds, name = self._target.types, document.get("localization_type")
        found = [kind for kind in kinds.values() if kind.name == name] if name else list(kinds.values())
        if len(found) != 1:
            names = ", ".join(kind.name for kind in kinds.values())
            raise Unsendable(f"set localization_type to one of: {names}")
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
        created, clean = 0, self._origin.stamps.other()
        for new in block:
            found = rows.get(new.element)
            if found is None:
                reason = failures.get(new.element, "Tator accepted it and did not create it. Push again")
                result.fail(new.element, int(new.spec["version"]), None, [reason])
            else:
                self._adopt(new.document, found, clean)
                created += 1
        self._origin.stamps.keep(clean)
        return created

    def _learn(self, medias: set[int]) -> None:
        unknown = sorted(medias - self._medias.keys())
        self._medias.update({media.id: media for media in self._client.medias(self._target.project.id, unknown)})

    def _adopt(self, document: Mapping[str, Any], row: Localization, clean: datetime) -> None:
        """The base first, then the sample: one without the other is found and completed."""
        origin, media = self._origin, self._medias[row.media]
        agreed = AgreedMedias(origin.store, origin.values)
        name = agreed.agree(agreed.row(media))
        agreed.flush()
        element = str(row.elemental_id).lower()
        # No crop of ours: the next import cuts one.
        base = BaseRow(
            row.version, element, row.type, document["_id"], line(row), name, "", 0, suffixed=False, run=ObjectId()
        )
        origin.store.insert([base])
        self._fill_in(document, row, base, clean)

    def _fill_in(self, document: Mapping[str, Any], row: Localization, base: BaseRow, clean: datetime) -> None:
        """Sets what Tator knows of a sample, and nothing that somebody has set meanwhile."""
        origin, maker, media = self._origin, self._documents(), self._medias[row.media]
        place = shape(row, maker.dtype(row))
        x, y, width, height = (0.0, 0.0, 0.0, 0.0) if place is None else place.fields()["box"]
        owned = {**maker.owned(row, media, (x, y, width, height)), **maker.of_media(media.attributes)}
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
