"""The push: what was edited here goes to Tator, and both sides agree on it afterwards.

Block by block: theirs is read for exactly what was edited, all three are compared, what only we changed goes out in
batches, theirs is read again, and what is really there becomes the base. Each batch is in the journal before it goes
out, so a push that dies is finished by the next one.
"""

import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import fiftyone as fo
from bson import ObjectId

from fiftyone_tator.media.folders import ProjectFolder, data_root
from fiftyone_tator.sync.creating import Creator
from fiftyone_tator.sync.dataset import INFO, now_text
from fiftyone_tator.sync.deleting import Deleter
from fiftyone_tator.sync.journal import Item, Journal, portions
from fiftyone_tator.sync.lease import Lease
from fiftyone_tator.sync.mapping import shown
from fiftyone_tator.sync.merging import AgreedMedias
from fiftyone_tator.sync.origin import Origin
from fiftyone_tator.sync.outgoing import Batch, Outgoing, Way, batches, is_complete, within
from fiftyone_tator.sync.plan import Existence, Summary
from fiftyone_tator.sync.planning import Block, Planned, Planner
from fiftyone_tator.sync.progress import Report, Tracker
from fiftyone_tator.sync.proposing import Proposer
from fiftyone_tator.sync.push_options import PushOptions
from fiftyone_tator.sync.push_results import PushResult
from fiftyone_tator.sync.recovering import recover
from fiftyone_tator.sync.results import ImportResult
from fiftyone_tator.sync.sending import Sender, Tracks
from fiftyone_tator.sync.settling import Settler
from fiftyone_tator.sync.snapshot import parse
from fiftyone_tator.sync.target import Target
from fiftyone_tator.sync.writing import Writer
from fiftyone_tator.tator_client import Level, Localization, Tator

_NOT_DONE = "Tator accepted the change of its {} and did not make it. Push again"
_VANISHED = "it was deleted in Tator while it was pushed. Import, then decide"


def push_to_tator(
    client: Tator,
    dataset: fo.Dataset,
    options: PushOptions,
    *,
    samples: Collection[ObjectId] | None = None,
    report: Report | None = None,
) -> PushResult:
    """Writes to Tator what was edited in a dataset, and nothing else.

    Args:
        client: the session with the server
        dataset: a dataset that was imported
        options: what goes out, and how
        samples: ids of samples; all if left out. Deletions travel only with all
        report: told how far the work is; may raise to stop it between two batches

    Returns:
        what was done, or would be with ``dry_run``

    Raises:
        NotFromTator: if the dataset was not imported, or what was agreed on is missing
        InvalidOption: if an option names what there is not
        NotAllowed: if the user may not edit the project
        Busy: if somebody else writes to the dataset
        TatorError: if the server fails; the next push finishes what this one began
    """
    started = time.monotonic()
    origin = Origin.of(dataset)
    target = Target.of(client, origin, options)
    result = PushResult(dataset.name, dry_run=options.dry_run)
    result.version = None if target.version is None else target.version.name
    if options.dry_run:
        Preview(client, origin, options, target, result, Tracker(report)).run(samples)
    else:
        with Lease(origin.database, dataset.name, purpose="pushing") as lease:
            Push(client, origin, options, target, result, Tracker(lease.checked(report))).run(samples)
    result.seconds = time.monotonic() - started
    return result


class Preview:
    """Goes through a push without writing anything.

    Args:
        client: the session with the server
        origin: the dataset
        options: of the push
        target: the project
        result: counts what would be done
        tracker: told how far it is
    """

    def __init__(
        self,
        client: Tator,
        origin: Origin,
        options: PushOptions,
        target: Target,
        result: PushResult,
        tracker: Tracker,
    ) -> None:
        self._client, self._origin, self._options, self._target = client, origin, options, target
        self._result, self._tracker = result, tracker
        self._planner = Planner(client, origin, target, options)
        self._summary = Summary()
        self._without_base = 0
        self._proposer = None
        if target.version is not None:
            overwrite = options.conflicts == "ours"
            self._proposer = Proposer(client, origin, target, target.version, overwrite=overwrite)
        self._fields: Counter[str] = Counter()

    def run(self, samples: Collection[ObjectId] | None = None) -> None:
        """Does the work.

        Args:
            samples: ids of samples; all if None
        """
        absent = sorted(name.rpartition(".")[2] for name in self._origin.values.absent)
        self._result.notes.add("The field was deleted from the dataset, so nothing of it was sent", absent)
        self._tracker.stage("Comparing with Tator", 0, (0.0, 0.9))
        for block in self._planner.blocks(samples):
            self._count(block)
            self._carry_out(block)
            self._tracker.advance(block.touched.looked_at)
        if samples is None:
            for planned in self._planner.deletions(self._without_base):
                self._delete(planned)
        result = self._result
        result.fields = {name.rpartition(".")[2]: count for name, count in self._fields.most_common()}
        result.flows = [(before, now, count) for (before, now), count in self._summary.flows.most_common()]

    def _count(self, block: Block) -> None:
        result = self._result
        result.looked_at += block.touched.looked_at
        self._without_base += len(block.touched.created) + len(block.touched.strange)
        for document, reason in block.touched.strange:
            result.fail(str(document.get("media_name")), 0, document.get("elemental_id"), [reason])
        for planned in block.planned:
            self._summary.add(planned.name, planned.difference)
            self._fields.update(planned.change.fields)
            if (flow := self._planner.flow(planned)) is not None:
                self._summary.flow(*flow)
            if planned.problems:
                self._fail(planned, planned.problems)
            if planned.is_undecided:
                self._undecided(planned)

    def _fail(self, planned: Planned, reasons: Sequence[str]) -> None:
        self._result.fail(planned.name, planned.base.version, planned.base.elemental_id, reasons)

    def _split(self, planned: Sequence[Planned]) -> tuple[list[Planned], list[Planned]]:
        """Those that go to another version than their own, and the others."""
        proposals = [each for each in planned if self._planner.is_proposal(each.base)]
        return proposals, [each for each in planned if not self._planner.is_proposal(each.base)]

    def _undecided(self, planned: Planned) -> None:
        result = self._result
        result.conflicts += 1
        sides = planned.left.items()
        found = [(name.rpartition(".")[2], shown(here), shown(there)) for name, (here, there) in sides]
        gone = ("deleted", "changed") if planned.ours is None else ("changed", "deleted")
        for name, here, there in found or [("existence", *gone)]:
            if len(result.undecided) < Summary.MOST_EXAMPLES:
                what = {"sample": str(planned.base.sample), "what": planned.name, "field": name}
                result.undecided.append({**what, "here": here, "there": there})

    def _carry_out(self, block: Block) -> None:
        """Counts what would be done."""
        result = self._result
        creator = Creator(self._client, self._origin, self._target)
        result.created += len(creator.specs(block.touched.created, result))
        proposals, planneds = self._split(block.planned)
        if self._proposer is not None:
            result.changed += len(self._proposer.wanted(proposals, result))
        for planned in planneds:
            if planned.theirs is None:
                result.changed += planned.revives
                result.removed += planned.side == "theirs"
            elif planned.change:
                result.changed += 1
            elif not planned.problems and not planned.difference.is_conflict:
                result.already += bool(planned.difference.alike)
                result.taken += bool(planned.taken)

    def _delete(self, planned: Sequence[Planned]) -> None:
        for each in planned:
            if each.difference.existence is Existence.DELETED_BOTH:
                self._result.forgotten += 1
            elif self._goes(each):
                self._result.deleted += 1
            elif not self._options.deletions or self._planner.is_proposal(each.base):
                self._result.deleted_here += 1
            elif each.problems:
                self._fail(each, each.problems)
            elif each.side == "leave":
                self._undecided(each)

    def _goes(self, planned: Planned) -> bool:
        """Whether a localization whose sample was deleted is deleted in Tator."""
        if planned.difference.existence is Existence.DELETED_BOTH or self._planner.is_proposal(planned.base):
            return False
        changed = planned.difference.existence is Existence.DELETED_HERE_CHANGED_THERE
        return self._options.deletions and not planned.problems and (not changed or planned.side == "ours")


class Push(Preview):
    """Goes through a push and writes; see :class:`Preview` for the arguments."""

    def run(self, samples: Collection[ObjectId] | None = None) -> None:
        """Does the work.

        Args:
            samples: ids of samples; all if None
        """
        origin, client, target = self._origin, self._client, self._target
        database, project = origin.database, target.project.id
        origin.store.prepare()
        self._journal = Journal(database, origin.id)
        self._journal.prepare()
        self._id = ObjectId()
        self._tracks = Tracks(client, project)
        self._creator = Creator(client, origin, target)
        self._deleter = Deleter(client, origin, self._journal, self._id, self._result)
        unfinished = recover(client, origin, self._journal, self._tracks, target, self._result)
        self._local = ImportResult(origin.dataset.name)
        folder = ProjectFolder.of(data_root(), project, origin.server)
        agreed = AgreedMedias(origin.store, origin.values)
        self._writer = Writer(origin.dataset, origin.store, agreed, folder, ObjectId(), self._local)
        self._settler = Settler(origin, self._writer, target.users)
        self._sender = Sender(client, project, list(target.types.values()), self._authors(), target.me.id)
        self._clean: set[datetime] = set()
        self._dirty: set[datetime] = set()
        if unfinished:
            self._carry_out(self._planner.unfinished(unfinished))
        super().run(samples)
        self._finish(whole=samples is None)

    def _authors(self) -> Mapping[int, str]:
        """Elemental ids of users, where we may name somebody else as the author of a mark."""
        if self._target.level < Level.FULL_CONTROL:
            return {}
        return self._client.user_elemental_ids(list(self._target.users))

    def _finish(self, *, whole: bool) -> None:
        origin, result = self._origin, self._result
        if whole:
            origin.stamps.acknowledge(self._clean, self._dirty)
        origin.stamps.prune()
        for reason, group in self._local.notes.groups.items():
            result.notes.groups[reason] = group
        last = {"at": now_text(), "by": self._target.me.username, **result.as_json()}
        last = {key: value for key, value in last.items() if isinstance(value, (int, str)) and key != "dry_run"}
        change = {"$set": {f"info.{INFO}.last_push": last}}
        origin.database["datasets"].update_one({"_id": origin.id}, change)
        origin.dataset.reload()

    # ------------------------------------------------------------------ changes

    def _carry_out(self, block: Block) -> None:
        self._clean |= self._origin.stamps.restamp(block.touched.clean)
        self._dirty |= block.touched.dirty
        self._create(block.touched.created)
        proposals, planned = self._split(block.planned)
        if self._proposer is not None:
            self._proposer.propose(proposals, self._journal, self._id, self._result, self._tracker)
        for version in sorted({each.base.version for each in planned}):
            self._version(version, [each for each in planned if each.base.version == version])
        self._writer.flush()

    def _version(self, version: int, planned: Sequence[Planned]) -> None:
        going: list[Outgoing] = []
        by_element = {each.base.elemental_id: each for each in planned}
        revived: list[Outgoing] = []
        for each in planned:
            if each.is_other:
                continue
            if each.theirs is None:
                if each.revives:
                    revived.append(self._outgoing(each, parse(each.base.row)))
                else:
                    self._deleted_there(each)
            elif each.change:
                going.append(self._outgoing(each, each.theirs))
            else:
                self._agree(each, each.theirs)
        for batch in batches(going, self._options.history):
            self._batch(batch, version, by_element)
        for some in portions(revived, lambda item: item.change.key):
            self._batch(Batch(Way.CREATION, some), version, by_element)

    def _outgoing(self, planned: Planned, row: Localization) -> Outgoing:
        kind = self._target.types[row.type]
        return Outgoing(within(row, kind), planned.change, is_complete(row, planned.change, kind))

    def _agree(self, planned: Planned, theirs: Localization) -> None:
        """Settles what needs nothing written in Tator."""
        if not planned.problems:
            self._result.already += bool(planned.difference.alike)
            self._result.taken += bool(planned.taken)
        self._settler.settle(planned, theirs)

    def _deleted_there(self, planned: Planned) -> None:
        if planned.difference.existence is Existence.DELETED_THERE and planned.side != "theirs":
            return
        if planned.side != "theirs":
            self._settler.gone(planned)
            return
        # Asked for once more by itself: no sample goes on the strength of one answer.
        rows = self._read(planned.base.version, [planned.base.elemental_id])
        if not rows and planned.ours is not None:
            self._writer.remove([planned.base], {planned.base.sample: planned.ours})
            self._result.removed += 1

    def _batch(self, batch: Batch, version: int, planned: Mapping[str, Planned]) -> None:
        """Sends a batch, without what somebody changed in Tator since it was planned: that is planned anew."""
        elements = [str(item.theirs.elemental_id) for item in batch.items]
        anew = self._planner.anew([planned[element] for element in elements], self._read(version, elements))
        stale = {each.base.elemental_id for each in anew}
        rest = [item for item in batch.items if item.theirs.elemental_id not in stale]
        if rest:
            self._send(Batch(batch.way, rest), version, planned)
        for each in anew:
            if each.is_undecided:
                self._undecided(each)
            if each.is_other:
                self._fail(each, each.problems)
        if anew:
            self._version(version, anew)

    def _send(self, batch: Batch, version: int, planned: Mapping[str, Planned]) -> None:
        keys = [change.key for change in batch.changes]
        changes = list(dict.fromkeys(keys))
        places = {key: place for place, key in enumerate(changes)}
        whom = [planned[str(item.theirs.elemental_id)] for item in batch.items]
        items = [
            Item(each.base.elemental_id, each.base.sample, item.theirs.id, places[key])
            for item, each, key in zip(batch.items, whom, keys, strict=True)
        ]
        medias = sorted({item.theirs.media for item in batch.items})
        self._tracker.advance(0)
        entry = self._journal.out(self._id, "change", batch.way.value, version, medias, changes, items)
        failures = self._sender.send(batch, version)
        self._journal.back(entry, len(failures))
        elements = [item.element for item in items]
        rows = self._read(version, elements)
        if not batch.way.in_place:
            moved = {item.row: rows[item.element].id for item in items if item.element in rows}
            self._tracks.follow({old: new for old, new in moved.items() if old != new}, medias)
        for each in whom:
            self._confirm(each, rows.get(each.base.elemental_id), failures.get(each.base.elemental_id))
        self._writer.flush()
        self._journal.done(entry)

    def _read(self, version: int, elements: Sequence[str]) -> dict[str, Localization]:
        rows = self._client.read_localizations(self._target.project.id, elemental_ids=elements, version=version)
        return {str(row.elemental_id).lower(): row for row in rows}

    def _confirm(self, planned: Planned, row: Localization | None, failure: str | None) -> None:
        if row is None or row.type != planned.base.type:
            reasons = [failure or (_VANISHED if row is None else self._planner.other_type(row))]
        else:
            missing = self._settler.settle(planned, row)
            names = ", ".join(sorted(name.rpartition(".")[2] for name in missing))
            reasons = [failure] if failure else [_NOT_DONE.format(names)] if missing else []
        if not reasons:
            self._result.changed += 1
        elif not planned.problems:
            self._fail(planned, reasons)

    # ------------------------------------------------------------------ new and deleted ones

    def _create(self, documents: Sequence[dict[str, object]]) -> None:
        specs = self._creator.specs(documents, self._result)
        for block in portions(specs, lambda new: new.text):
            self._tracker.advance(0)
            entry = self._creator.enter(self._journal, self._id, block)
            failures = self._creator.send(block)
            self._journal.back(entry, len(failures))
            self._result.created += self._creator.adopt(block, failures, self._result)
            self._journal.done(entry)

    def _delete(self, planned: Sequence[Planned]) -> None:
        super()._delete(planned)
        going = [each for each in planned if self._goes(each)]
        self._result.deleted -= len(going)
        self._deleter.forget([each for each in planned if each.difference.existence is Existence.DELETED_BOTH])
        self._deleter.bring_back([each for each in planned if self._comes_back(each)])
        if changed := self._deleter.delete(going, self._planner, self._tracker):
            self._delete(changed)

    def _comes_back(self, planned: Planned) -> bool:
        changed = planned.difference.existence is Existence.DELETED_HERE_CHANGED_THERE
        return changed and self._options.deletions and planned.side == "theirs"
