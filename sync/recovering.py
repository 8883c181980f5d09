"""Finishing what a push that died had begun."""

import json
from collections.abc import Mapping, Sequence

import fiftyone as fo
from bson import ObjectId

from fiftyone_tator.sync.base import BaseRow
from fiftyone_tator.sync.creating import Creator
from fiftyone_tator.sync.errors import NotFromTator
from fiftyone_tator.sync.journal import Entry, Journal
from fiftyone_tator.sync.origin import Origin
from fiftyone_tator.sync.outgoing import Change, Way
from fiftyone_tator.sync.proposing import Proposer
from fiftyone_tator.sync.push_options import PushOptions
from fiftyone_tator.sync.push_results import PushResult
from fiftyone_tator.sync.sending import Tracks
from fiftyone_tator.sync.settling import arrived_fields, moved
from fiftyone_tator.sync.target import Target
from fiftyone_tator.tator_client import Level, Localization, Tator


def recover(
    client: Tator, origin: Origin, journal: Journal, tracks: Tracks, target: Target, result: PushResult
) -> list[ObjectId]:
    """Finds out what became of open batches, and agrees on what arrived; the rest is still an edit here.

    Args:
        client: the session with the server
        origin: the dataset
        journal: of its pushes
        tracks: keeps them whole
        target: the project
        result: counts what was found

    Returns:
        the samples that were to be changed; what else differs in them has not been settled

    Raises:
        TatorError: if the server fails; the batches stay open
    """
    samples: list[ObjectId] = []
    for entry in journal.open():
        if entry.kind == "create":
            result.recovered += Creator(client, origin, target).complete(entry)
        elif entry.kind == "delete":
            result.recovered += _deleted(client, origin, entry)
        elif entry.kind == "change":
            result.recovered += _changed(client, origin, tracks, target, entry)
            samples += [item.sample for item in entry.items]
        elif entry.version in target.versions:
            proposer = Proposer(client, origin, target, target.versions[entry.version], overwrite=False)
            result.recovered += proposer.complete(entry)
        journal.done(entry)
    return samples


def finish_pushes(client: Tator, dataset: fo.Dataset) -> None:
    """Before an import: adopts what pushes that died had created, and agrees on what they changed.

    Otherwise the import would take a localization that one of them created for a new one. All else is left to the next
    push.

    Args:
        client: the session with the server
        dataset: the dataset; nothing is done where no push can have been

    Raises:
        TatorError: if the server fails
    """
    try:
        origin = Origin.of(dataset)
    except NotFromTator:
        return
    journal = Journal(origin.database, origin.id)
    entries = list(journal.open())
    if not entries:
        return
    target = Target.of(client, origin, PushOptions(), needed=Level.VIEW_ONLY)
    creator, tracks = Creator(client, origin, target), Tracks(client, origin.project)
    for entry in entries:
        if entry.kind == "create":
            creator.complete(entry)
            journal.done(entry)
        elif entry.kind == "change" and target.level >= Level.CAN_EDIT:
            _changed(client, origin, tracks, target, entry)


def _read(client: Tator, origin: Origin, entry: Entry) -> dict[str, Localization]:
    elements = [item.element for item in entry.items]
    rows = client.read_localizations(origin.project, elemental_ids=elements, version=entry.version)
    return {str(row.elemental_id).lower(): row for row in rows}


def _changed(client: Tator, origin: Origin, tracks: Tracks, target: Target, entry: Entry) -> int:
    rows = _read(client, origin, entry)
    changes = [_change(text) for text in entry.changes]
    if _complete(client, target, entry, rows, changes):
        rows = _read(client, origin, entry)
    base = origin.store.find((entry.version, item.element) for item in entry.items)
    agreed: list[BaseRow] = []
    new_marks: dict[int, int] = {}
    for item in entry.items:
        row, known = rows.get(item.element), base.get((entry.version, item.element))
        if row is None or known is None or row.type != known.type:
            continue
        if item.row and row.id != item.row:
            new_marks[item.row] = row.id
        sent = changes[item.change]
        fields = frozenset(origin.values.fields_of(row.type, _attributes(sent)))
        arrived = arrived_fields(origin.values, row, Change(sent.attributes, sent.nulls, sent.geometry, fields))
        if arrived:
            agreed.append(moved(origin.values, known, row, arrived))
    tracks.follow(new_marks, entry.medias)
    origin.store.move(agreed)
    return len(agreed)


def _complete(
    client: Tator, target: Target, entry: Entry, rows: Mapping[str, Localization], changes: Sequence[Change]
) -> bool:
    """Sets what a creation could not say: where a null was meant, there is the type's default until then."""
    if entry.way != Way.CREATION.value:
        return False
    missing: dict[tuple[str, ...], list[str]] = {}
    for item in entry.items:
        row = rows.get(item.element)
        if row is None or row.id == item.row or row.type not in target.types:
            continue
        defaults = {each.name: each.default for each in target.types[row.type].attribute_types}
        names = tuple(n for n in changes[item.change].nulls if row.attributes.get(n, None) == defaults.get(n))
        if names:
            missing.setdefault(names, []).append(item.element)
    for names, elements in missing.items():
        client.update_each(target.project.id, entry.version, elements, {}, null_attributes=names, in_place=True)
    return bool(missing)


def _change(text: str) -> Change:
    attributes, nulls, geometry = json.loads(text)
    return Change(attributes, tuple(nulls), geometry)


def _attributes(change: Change) -> Sequence[str]:
    return [*change.attributes, *change.nulls, *(["geometry"] if change.geometry else [])]


def _deleted(client: Tator, origin: Origin, entry: Entry) -> int:
    left = _read(client, origin, entry)
    gone = [(entry.version, item.element) for item in entry.items if item.element not in left]
    samples = {found["_id"] for found in origin.samples.find({"_id": {"$in": [i.sample for i in entry.items]}})}
    # A sample that is here again, restored from a backup say, keeps its base: it is a deletion there.
    present = {item.element for item in entry.items if item.sample in samples}
    origin.store.remove([identity for identity in gone if identity[1] not in present])
    return len(gone)
