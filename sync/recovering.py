"""Finishing what a push that died had begun."""

import json
from collections.abc import Sequence

from fiftyone_tator.sync.base import BaseRow
from fiftyone_tator.sync.creating import Creator
from fiftyone_tator.sync.journal import Entry, Journal
from fiftyone_tator.sync.origin import Origin
from fiftyone_tator.sync.outgoing import Change
from fiftyone_tator.sync.proposing import Proposer
from fiftyone_tator.sync.push_results import PushResult
from fiftyone_tator.sync.sending import Tracks
from fiftyone_tator.sync.settling import arrived_fields, moved
from fiftyone_tator.sync.target import Target
from fiftyone_tator.tator_client import Localization, Tator


def recover(
    client: Tator, origin: Origin, journal: Journal, tracks: Tracks, target: Target, result: PushResult
) -> None:
    """Finds out what became of open batches, and agrees on what arrived; the rest is still an edit here.

    Args:
        client: the session with the server
        origin: the dataset
        journal: of its pushes
        tracks: keeps them whole
        target: the project
        result: counts what was found

    Raises:
        TatorError: if the server fails; the batches stay open
    """
    for entry in journal.open():
        if entry.kind == "create":
            result.recovered += Creator(client, origin, target).complete(entry)
        elif entry.kind == "delete":
            result.recovered += _deleted(client, origin, entry)
        elif entry.kind == "change":
            result.recovered += _changed(client, origin, tracks, entry)
        elif entry.version in target.versions:
            proposer = Proposer(client, origin, target, target.versions[entry.version], overwrite=False)
            result.recovered += proposer.remember(entry)
        journal.done(entry)


def _read(client: Tator, origin: Origin, entry: Entry) -> dict[str, Localization]:
    elements = [item.element for item in entry.items]
    rows = client.read_localizations(origin.project, elemental_ids=elements, version=entry.version)
    return {str(row.elemental_id).lower(): row for row in rows}


def _changed(client: Tator, origin: Origin, tracks: Tracks, entry: Entry) -> int:
    rows = _read(client, origin, entry)
    changes = [_change(text) for text in entry.changes]
    base = origin.store.find((entry.version, item.element) for item in entry.items)
    agreed: list[BaseRow] = []
    new_marks: dict[int, int] = {}
    for item in entry.items:
        row, known = rows.get(item.element), base.get((entry.version, item.element))
        if row is None or known is None:
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
