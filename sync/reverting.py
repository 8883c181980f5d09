"""Taking local edits back, and seeing what they are. No server is asked."""

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import fiftyone as fo
from bson import ObjectId
from fiftyone.core.odm import get_db_conn
from pymongo import UpdateOne

from fiftyone_tator.sync.base import BaseRow
from fiftyone_tator.sync.dataset import CONFLICT_TAG, INFO
from fiftyone_tator.sync.edits import Edits
from fiftyone_tator.sync.held import refresh_held
from fiftyone_tator.sync.lease import Lease
from fiftyone_tator.sync.mapping import LABEL
from fiftyone_tator.sync.merging import Merger, news_of
from fiftyone_tator.sync.origin import Origin
from fiftyone_tator.sync.plan import UNKNOWN, Summary
from fiftyone_tator.sync.results import Tally
from fiftyone_tator.sync.stamps import MODIFIED


@dataclass(slots=True)
class Changes:
    """What was edited here and is not in Tator yet.

    Args:
        edited: ids of samples in which something was changed
        created: ids of samples that Tator has no localization of
        deleted: how many localizations have no sample any more
        strange: ids of samples that cannot be told
        summary: the edits in numbers
    """

    edited: list[ObjectId] = field(default_factory=list)
    created: list[ObjectId] = field(default_factory=list)
    deleted: int = 0
    strange: list[ObjectId] = field(default_factory=list)
    summary: Summary = field(default_factory=Summary)

    @property
    def samples(self) -> list[ObjectId]:
        """The samples to look at."""
        return [*self.edited, *self.created, *self.strange]


def changes(dataset: fo.Dataset, among: Collection[ObjectId] | None = None) -> Changes:
    """Finds what was edited here.

    Args:
        dataset: a dataset that was imported
        among: ids of samples to look at; all, and deletions, if None

    Raises:
        NotFromTator: if the dataset was not imported, or what was agreed on is missing
    """
    origin, found = Origin.of(dataset), Changes()
    edits, merger = Edits(origin), Merger(origin.values)
    for touched in edits.touched(among):
        for base, document in touched.edited:
            difference = merger.difference(base.row, None, document, None)
            found.summary.add(str(document["_id"]), difference)
            if LABEL in difference.ours:
                before = origin.values.agreed(base.row)[LABEL]
                now = origin.values.ours(document)[LABEL]
                found.summary.flow(None if before is UNKNOWN else before, now)
            found.edited.append(document["_id"])
        found.created += [document["_id"] for document in touched.created]
        found.strange += [document["_id"] for document, _ in touched.strange]
    if among is None:
        others = len(found.created) + len(found.strange)
        found.deleted = sum(map(len, edits.deleted(others)))
    return found


@dataclass(slots=True)
class Reverted:
    """What taking edits back did.

    Args:
        samples: how many samples are as agreed on again
        restored: how many deletions were taken back; the next import brings those samples
        left_out: samples that stayed as they are, and why
    """

    samples: int = 0
    restored: int = 0
    left_out: Tally = field(default_factory=Tally)

    def as_json(self) -> dict[str, Any]:
        """The result as a plain document."""
        return {"samples": self.samples, "restored": self.restored, "left_out": self.left_out.as_json()}


def revert(dataset: fo.Dataset, among: Collection[ObjectId] | None = None, *, deletions: bool = False) -> Reverted:
    """Makes samples what was agreed on with Tator; what changed in Tator since comes with the next import.

    Args:
        dataset: a dataset that was imported
        among: ids of samples; all if None
        deletions: whether deletions are taken back as well, with all samples only

    Returns:
        what was done

    Raises:
        NotFromTator: if the dataset was not imported, or what was agreed on is missing
        Busy: if somebody imports or pushes
    """
    with Lease(get_db_conn(), dataset.name, purpose="reverting"):
        result = _under_lease(dataset, among, deletions=deletions)
    refresh_held(dataset)
    dataset.reload()
    return result


def _under_lease(dataset: fo.Dataset, among: Collection[ObjectId] | None, *, deletions: bool) -> Reverted:
    origin, result = Origin.of(dataset), Reverted()
    edits, others = Edits(origin), 0
    for touched in edits.touched(among):
        others += len(touched.created) + len(touched.strange)
        result.left_out.add("Tator has no localization of it", [str(d["_id"]) for d in touched.created])
        for document, reason in touched.strange:
            result.left_out.add(reason[:1].upper() + reason[1:], [str(document["_id"])])
        _revert(origin, touched.edited, result)
    if deletions and among is None:
        for rows in edits.deleted(others):
            origin.store.remove([row.identity for row in rows])
            result.restored += len(rows)
        if result.restored:
            # Tator shows no change for these: only a full comparison finds them.
            origin.database["datasets"].update_one({"_id": origin.id}, {"$unset": {f"info.{INFO}.feed": ""}})
    return result


def _revert(origin: Origin, edited: Collection[tuple[BaseRow, dict[str, Any]]], result: Reverted) -> None:
    merger, values = Merger(origin.values), origin.values
    medias = origin.store.medias({base.media for base, _ in edited})
    clean, open_ = origin.stamps.fresh(), origin.stamps.other()
    writes: list[UpdateOne] = []
    for base, document in edited:
        media = medias.get(base.media)
        agreed = {**values.agreed_values(base.row), **(values.of_media(json.loads(media)[2]) if media else {})}
        changed = merger.difference(base.row, media, document, None).ours
        known = {name for name in changed if agreed[name] is not UNKNOWN}
        news = news_of(known, agreed, document)
        if changed - known:
            why = "Nobody knows what was agreed on of a value in conflict; tag it tator:theirs and import or push"
            result.left_out.add(why, [str(document["_id"])])
        # What is in conflict is looked at once more by the next import or push, which takes what Tator says.
        settled = CONFLICT_TAG not in (document.get("tags") or ()) and changed == known
        as_read = {"_id": document["_id"], MODIFIED: document.get(MODIFIED)}
        writes.append(UpdateOne(as_read, {"$set": {**news, MODIFIED: clean if settled else open_}}))
        result.samples += bool(known)
    if writes:
        missed = len(writes) - origin.samples.bulk_write(writes, ordered=False).matched_count
        if missed:
            result.samples -= missed
            result.left_out.add("Somebody edited it at the same time", ["a sample"] * missed)
