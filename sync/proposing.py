"""Proposals: what was edited here goes to another version, and the version it came from stays as it is."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bson import ObjectId
from pymongo import ASCENDING, UpdateOne

from fiftyone_tator.sync.journal import PROPOSALS, Entry, Item, Journal, portions
from fiftyone_tator.sync.mapping import ValueMap
from fiftyone_tator.sync.origin import Origin
from fiftyone_tator.sync.outgoing import nulls_of, spec, within
from fiftyone_tator.sync.plan import same
from fiftyone_tator.sync.planning import Planned
from fiftyone_tator.sync.progress import Tracker
from fiftyone_tator.sync.push_results import PushResult
from fiftyone_tator.sync.sending import Failures, said
from fiftyone_tator.sync.snapshot import line
from fiftyone_tator.sync.target import Target
from fiftyone_tator.tator_client import (
    Localization,
    LocalizationType,
    PermissionDenied,
    Tator,
    TatorError,
    Version,
)

_GONE = (
    "its localization was deleted in Tator, so a proposal has nothing to change. Push without a version and with "
    "conflicts: ours to bring it back, or with conflicts: theirs to remove it here"
)
_NOT_DONE = "Tator accepted the proposal and did not make it. Push again"
_CHANGED = "somebody changed the proposal in version {!r}. Push with conflicts: ours to write over it, or leave it"

_PLACES = ("x", "y", "width", "height", "u", "v", "points")


@dataclass(frozen=True)
class Proposal:
    """What is proposed of a localization.

    Args:
        spec: the localization in full, but for its nulls, which no creation can say
        nulls: attributes that are null
    """

    spec: Mapping[str, Any]
    nulls: tuple[str, ...] = ()

    @classmethod
    def of(cls, planned: Planned, kind: LocalizationType, version: int) -> "Proposal":
        """Proposes what was edited.

        Args:
            planned: a localization that is there
            kind: its type, as the server has it now
            version: the id of the version that the proposal goes to
        """
        assert planned.theirs is not None
        source = within(planned.theirs, kind)
        return cls(spec(source, planned.change, version=version), nulls_of(source, planned.change))

    @classmethod
    def parse(cls, text: str) -> "Proposal":
        """Reads what :attr:`text` wrote."""
        said = json.loads(text)
        return cls({key: value for key, value in said.items() if key != "nulls"}, tuple(said.get("nulls", ())))

    @property
    def text(self) -> str:
        """The proposal in JSON."""
        return json.dumps({**self.spec, "nulls": self.nulls})

    @property
    def element(self) -> str:
        """The elemental id."""
        return str(self.spec["elemental_id"]).lower()

    def is_said_by(self, row: Localization, values: ValueMap, *, but_nulls: bool = False) -> bool:
        """Whether a row says it.

        Args:
            row: as Tator has it
            values: knows how values are compared
            but_nulls: whether what shall be null may be anything
        """
        if row.type != self.spec["type"]:
            return False
        nulls = {} if but_nulls else dict.fromkeys(self.nulls)
        meant = replace(
            row,
            attributes={**row.attributes, **self.spec["attributes"], **nulls},
            **{key: self.spec.get(key, getattr(row, key)) for key in _PLACES},
        )
        now, then = values.compared(row), values.compared(meant)
        return all(same(now[name], then[name]) for name in now)


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
        self._made = origin.database[PROPOSALS]

    def wanted(self, planned: Sequence[Planned], result: PushResult) -> list[Proposal]:
        """The proposals that are not there yet.

        Args:
            planned: localizations of other versions that were edited here
            result: counts those that are there, and told about those that cannot be made

        Raises:
            TatorError: if the server fails
        """
        changed = [each for each in planned if each.change and each.theirs is not None]
        for each in planned:
            if each.change and each.theirs is None:
                result.fail(each.name, self._version.id, each.base.elemental_id, [_GONE])
        elements = [each.base.elemental_id for each in changed]
        there = self._read(elements)
        made = self._remembered(elements)
        proposals: list[Proposal] = []
        for each in changed:
            row, element = there.get(each.base.elemental_id), each.base.elemental_id
            proposal = Proposal.of(each, self._target.types[each.base.type], self._version.id)
            if row is not None and proposal.is_said_by(row, self._origin.values):
                result.already += 1
            elif row is None or self._overwrite or made.get(element) == _content(row):
                proposals.append(proposal)
            else:
                result.fail(each.name, self._version.id, element, [_CHANGED.format(self._version.name)])
        return proposals

    def propose(
        self, planned: Sequence[Planned], journal: Journal, push: ObjectId, result: PushResult, tracker: Tracker
    ) -> None:
        """Makes proposals.

        Args:
            planned: localizations of other versions that were edited here
            journal: of the dataset's pushes
            push: the push's id
            result: counts what is done
            tracker: asked before each batch whether to go on

        Raises:
            TatorError: if the server fails; the next push finds out what was done
        """
        proposals = self.wanted(planned, result)
        samples = {each.base.elemental_id: each.base.sample for each in planned}
        for block in portions(proposals, lambda proposal: proposal.text):
            tracker.advance(0)
            items = [Item(one.element, samples[one.element], 0, place) for place, one in enumerate(block)]
            medias = sorted({one.spec["media_id"] for one in block})
            texts = [one.text for one in block]
            entry = journal.out(push, "propose", "creation", self._version.id, medias, texts, items)
            failures = self._send(block)
            journal.back(entry, len(failures))
            arrived = self.remember(entry)
            result.changed += len(arrived)
            for element in (one.element for one in block if one.element not in arrived):
                result.fail(element, self._version.id, element, [failures.get(element, _NOT_DONE)])
            journal.done(entry)

    def _send(self, block: Sequence[Proposal]) -> Failures:
        types, project = list(self._target.types.values()), self._target.project.id
        try:
            specs = [one.spec for one in block]
            outcomes = self._client.create_each(project, specs, types=types, repeat=False)
            failures = {
                one.element: said(outcome, "proposed")
                for one, outcome in zip(block, outcomes, strict=True)
                if isinstance(outcome, TatorError)
            }
            return failures | self._set_nulls([one for one in block if one.element not in failures])
        except PermissionDenied as reason:
            return {one.element: said(reason, "proposed") for one in block}

    def _set_nulls(self, proposals: Sequence[Proposal]) -> Failures:
        elements: dict[tuple[str, ...], list[str]] = {}
        for one in proposals:
            if one.nulls:
                elements.setdefault(one.nulls, []).append(one.element)
        failures: Failures = {}
        for nulls, some in elements.items():
            failed = self._client.update_each(
                self._target.project.id, self._version.id, some, {}, null_attributes=nulls, in_place=True
            )
            failures |= {element: said(reason, "proposed") for element, reason in failed.items()}
        return failures

    def complete(self, entry: Entry) -> int:
        """Sets what a push which was cut off had not set any more of its proposals, and remembers them.

        Args:
            entry: of the journal

        Returns:
            how many are there

        Raises:
            TatorError: if the server fails
        """
        rows, values = self._read([item.element for item in entry.items]), self._origin.values
        sent = [one for one in map(Proposal.parse, entry.changes) if one.nulls and one.element in rows]
        half = [one for one in sent if one.is_said_by(rows[one.element], values, but_nulls=True)]
        # Where Tator has another value than it filled in, somebody has set it since.
        self._set_nulls([one for one in half if self._is_new(one, rows[one.element])])
        return len(self.remember(entry))

    def _is_new(self, proposal: Proposal, row: Localization) -> bool:
        kind = self._target.types.get(row.type)
        filled = {} if kind is None else {a.name: a.default for a in kind.attribute_types if not a.use_current}
        return all(row.attributes.get(name) in (None, filled[name]) for name in proposal.nulls if name in filled)

    def remember(self, entry: Entry) -> set[str]:
        """Remembers the proposals of a batch that are there as they were sent.

        Args:
            entry: of the journal

        Returns:
            their elemental ids
        """
        rows = self._read([item.element for item in entry.items])
        sent = {one.element: one for one in map(Proposal.parse, entry.changes)}
        arrived = [row for element, row in rows.items() if sent[element].is_said_by(row, self._origin.values)]
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
    return json.dumps({key: said[key] for key in ("attributes", *_PLACES)})
