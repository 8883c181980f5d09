"""Proposals: what was edited here goes to another version, and the version it came from stays as it is."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bson import ObjectId
from pymongo import ASCENDING, UpdateOne

from fiftyone_tator.sync.journal import Entry, Item, Journal, portions
from fiftyone_tator.sync.mapping import ValueMap
from fiftyone_tator.sync.origin import Origin
from fiftyone_tator.sync.outgoing import Change, spec
from fiftyone_tator.sync.plan import same
from fiftyone_tator.sync.planning import Planned
from fiftyone_tator.sync.push_results import PushResult
from fiftyone_tator.sync.sending import said
from fiftyone_tator.sync.snapshot import line
from fiftyone_tator.sync.target import Target
from fiftyone_tator.tator_client import Localization, PermissionDenied, Tator, TatorError, Version

COLLECTION = "tator_sync.proposals"

_NOT_DONE = "Tator accepted the proposal and did not make it. Push again"
_CHANGED = "somebody changed the proposal in version {!r}. Push with conflicts: ours to write over it, or leave it"


class Proposer:
    """Writes proposals and remembers them, so that the same one is not made twice.

    Args:
        client: the session with the server
        origin: the dataset
        target: the project
        version: where proposals go
        overwrite: whether what others made of a proposal is written over
    """

    def __init__(self, client: Tator, origin: Origin, target: Target, version: Version, *, overwrite: bool) -> None:
        self._client, self._origin, self._target, self._version = client, origin, target, version
        self._overwrite = overwrite
        self._made = origin.database[COLLECTION]

    def wanted(self, planned: Sequence[Planned], result: PushResult) -> list[dict[str, Any]]:
        """The proposals that are not there yet.

        Args:
            planned: localizations of other versions that were edited here
            result: counts those that are there, and told about those that somebody changed

        Returns:
            localization specs

        Raises:
            TatorError: if the server fails
        """
        changed = [each for each in planned if each.change and each.theirs is not None]
        elements = [each.base.elemental_id for each in changed]
        there = self._read(elements)
        made = self._remembered(elements)
        specs: list[dict[str, Any]] = []
        for each in changed:
            assert each.theirs is not None
            row, element = there.get(each.base.elemental_id), each.base.elemental_id
            if row is not None and _says(self._origin.values, row, each.theirs, each.change):
                result.already += 1
            elif row is None or self._overwrite or made.get(element) == _content(row):
                specs.append(spec(each.theirs, each.change, version=self._version.id))
            else:
                result.fail(each.name, self._version.id, element, [_CHANGED.format(self._version.name)])
        return specs

    def propose(self, planned: Sequence[Planned], journal: Journal, push: ObjectId, result: PushResult) -> None:
        """Makes proposals.

        Args:
            planned: localizations of other versions that were edited here
            journal: of the dataset's pushes
            push: the push's id
            result: counts what is done

        Raises:
            TatorError: if the server fails; the next push finds out what was done
        """
        specs = self.wanted(planned, result)
        samples = {each.base.elemental_id: each.base.sample for each in planned}
        for block in portions(specs, json.dumps):
            items = [Item(one["elemental_id"], samples[one["elemental_id"]], 0, n) for n, one in enumerate(block)]
            medias = sorted({one["media_id"] for one in block})
            texts = [json.dumps(one) for one in block]
            entry = journal.out(push, "propose", "creation", self._version.id, medias, texts, items)
            types = list(self._target.types.values())
            outcomes: Sequence[int | TatorError]
            try:
                outcomes = self._client.create_each(self._target.project.id, block, types=types, repeat=False)
            except PermissionDenied as reason:
                outcomes = [reason] * len(block)
            journal.back(entry, sum(isinstance(outcome, TatorError) for outcome in outcomes))
            arrived = self.remember(entry)
            result.changed += len(arrived)
            for one, outcome in zip(block, outcomes, strict=True):
                element = one["elemental_id"]
                if isinstance(outcome, TatorError):
                    result.fail(element, self._version.id, element, [said(outcome, "proposed")])
                elif element.lower() not in arrived:
                    result.fail(element, self._version.id, element, [_NOT_DONE])
            journal.done(entry)

    def remember(self, entry: Entry) -> set[str]:
        """Remembers the proposals of a batch that are there as they were sent.

        Args:
            entry: of the journal

        Returns:
            their elemental ids
        """
        rows = self._read([item.element for item in entry.items])
        sent = {one["elemental_id"]: one for one in map(json.loads, entry.changes)}
        arrived = [row for element, row in rows.items() if _is(self._origin.values, row, sent[element])]
        self._made.create_index(
            [("dataset", ASCENDING), ("version", ASCENDING), ("elemental_id", ASCENDING)], unique=True
        )
        writes = [
            UpdateOne(self._key(str(row.elemental_id)), {"$set": {"content": _content(row)}}, upsert=True)
            for row in arrived
        ]
        if writes:
            self._made.bulk_write(writes, ordered=False)
        return {str(row.elemental_id).lower() for row in arrived}

    def _key(self, element: str) -> dict[str, Any]:
        return {"dataset": self._origin.id, "version": self._version.id, "elemental_id": element.lower()}

    def _remembered(self, elements: Sequence[str]) -> dict[str, str]:
        query = {"dataset": self._origin.id, "version": self._version.id, "elemental_id": {"$in": list(elements)}}
        return {found["elemental_id"]: found["content"] for found in self._made.find(query)} if elements else {}

    def _read(self, elements: Sequence[str]) -> dict[str, Localization]:
        rows = self._client.read_localizations(
            self._target.project.id, elemental_ids=elements, version=self._version.id
        )
        return {str(row.elemental_id).lower(): row for row in rows}


def _content(row: Localization) -> str:
    """What a proposal says, whoever wrote it and when."""
    said = json.loads(line(replace(row, id=0, mark=0, modified_by=None, modified_datetime="")))
    return json.dumps({key: said[key] for key in ("attributes", "x", "y", "width", "height", "u", "v", "points")})


def _says(values: ValueMap, row: Localization, source: Localization, change: Change) -> bool:
    """Whether a proposal says what it should: the source with the change."""
    return _is(values, row, spec(source, change, version=row.version))


def _is(values: ValueMap, row: Localization, wanted: Mapping[str, Any]) -> bool:
    places = ("x", "y", "width", "height", "u", "v", "points")
    meant = replace(
        row,
        attributes={**row.attributes, **wanted["attributes"]},
        **{key: wanted.get(key, getattr(row, key)) for key in places},
    )
    now, then = values.comparable(values.values(row)), values.comparable(values.values(meant))
    return all(same(now[name], then[name]) for name in now)
