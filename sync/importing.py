"""The import: theirs is read, whole or what changed, compared with the base and with ours, and brought in.

The order of the steps is what makes an import safe to kill at any moment. Nothing is touched before everything was
read. A crop's file is there before its sample, the base before the sample, and a sample is gone before its base: so
whatever a dead run left behind is recognised by the next one, and the end is the same as that of one clean run.
"""

import gc
import os
import time
from collections.abc import Collection, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.core.odm as foo
from bson import ObjectId

from fiftyone_tator.media.crops import CropStyle
from fiftyone_tator.media.folders import ProjectFolder, data_root, safe_name
from fiftyone_tator.media.worker import WorkerProcess
from fiftyone_tator.sync import dataset as datasets
from fiftyone_tator.sync import schemas
from fiftyone_tator.sync.applying import Applier
from fiftyone_tator.sync.base import BaseStore, Identity
from fiftyone_tator.sync.crops import CropMill
from fiftyone_tator.sync.documents import DocumentMaker
from fiftyone_tator.sync.errors import NothingToImport
from fiftyone_tator.sync.feed import Feed, after_changes, after_full, is_old, why_not
from fiftyone_tator.sync.fields import FieldMap
from fiftyone_tator.sync.lease import Lease
from fiftyone_tator.sync.leftovers import sweep_crops, sweep_downloads
from fiftyone_tator.sync.mapping import ValueMap
from fiftyone_tator.sync.medias import MediaBook
from fiftyone_tator.sync.options import ImportOptions
from fiftyone_tator.sync.progress import Report, Tracker
from fiftyone_tator.sync.reading import Memory, Reader, Theirs
from fiftyone_tator.sync.rebuilding import Rebuilder, disown, widened
from fiftyone_tator.sync.recovering import finish_pushes
from fiftyone_tator.sync.remembering import FEED, MemoryStore, about
from fiftyone_tator.sync.renaming import rename
from fiftyone_tator.sync.results import ImportResult
from fiftyone_tator.sync.scope import Scope, resolve
from fiftyone_tator.sync.selection import Selection
from fiftyone_tator.tator_client import Tator

_WORTH_A_PROCESS = 2_000
_ALL_COMPARED = "Everything was compared"
_MORE_CHANGED = "More changed in Tator than its list of changes tells"
_TO_FIND_IT = "Import with the option compare: full to bring it in"
_READING, _CROPPING, _FINISHING = (0.0, 0.15), (0.15, 0.97), (0.97, 1.0)


def _executor(localizations: int) -> Executor:
    """What cuts crops: a process is ready after half a second, so it has to be worth that."""
    if localizations >= _WORTH_A_PROCESS:
        return WorkerProcess()
    return ThreadPoolExecutor(os.cpu_count() or 2, "tator-crops")


@contextmanager
def _old_objects_left_alone() -> Iterator[None]:
    """Keeps the garbage collector to what the import makes: a walk through all of FiftyOne takes a fifth of a second,
    and rows by the thousand would set it off again and again."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def default_dataset_name(project: int) -> str:
    """The name of a project's dataset where nobody chose one.

    Args:
        project: the project's id
    """
    return f"tator_project_{project}"


def import_project(
    client: Tator,
    options: ImportOptions,
    *,
    root: Path | None = None,
    executor: Executor | None = None,
    report: Report | None = None,
) -> ImportResult:
    """Imports a project's localizations into a dataset, one sample each, or brings a dataset up to date.

    Args:
        client: the session with the server
        options: what to import
        root: the folder for files; :func:`fiftyone_tator.media.folders.data_root` if left out
        executor: runs the cutting of crops; a process beside this one if left out, threads if there is little
        report: told how far the work is; may raise to stop it at a safe point

    Returns:
        what was done

    Raises:
        InvalidOption: if the options name what the server does not have
        NothingToImport: if there is nothing, and there was nothing before
        NotFromTator: if the dataset is another project's, nothing of Tator's, or lacks what was agreed on
        Busy: if somebody else writes to the dataset
        IncompleteAnswer: if the server's lists disagree with its counts; the dataset is untouched then
        TatorError: if the server fails
    """
    started = time.monotonic()
    scope = resolve(client, options)
    name = options.dataset_name or default_dataset_name(scope.project.id)
    folder = ProjectFolder.of(root or data_root(), scope.project.id, scope.url)
    with Lease(foo.get_db_conn(), name, purpose="importing") as lease, _old_objects_left_alone():
        run = _Run(client, scope, options, name, folder, Tracker(lease.checked(report)), executor)
        try:
            result = run.execute()
        finally:
            if executor is None and run.cutters is not None:
                run.cutters.shutdown()
    result.seconds = time.monotonic() - started
    return result


_REFILLED = "Fields of the dataset had been deleted; they are filled again"


@dataclass(slots=True)
class _Run:
    client: Tator
    scope: Scope
    options: ImportOptions
    name: str
    folder: ProjectFolder
    tracker: Tracker
    cutters: Executor | None = None

    def execute(self) -> ImportResult:
        existing = datasets.open_dataset(self.name, self.scope, rebuild=self.options.rebuild)
        if existing is not None and self.options.rebuild:
            self.scope = widened(self.client, self.options, existing, self.scope)
        fields = self.scope.fields(
            label_attribute=self.options.label_attribute,
            existing=datasets.existing_fields(existing),
            taken=() if existing is None else existing.get_field_schema(),
            remembered=datasets.remembered_labels(existing),
        )
        datasets.check_labels(existing, fields)
        if existing is not None:
            _recover(existing)
            finish_pushes(self.client, existing)
        part = self.folder.path / f".{safe_name(self.name)}.localizations.part"
        selection = Selection(self.scope, self.options, fields, MediaBook(self.client, self.scope))
        try:
            theirs = self._read(part, existing, fields, selection)
            if existing is None and (len(theirs.snapshot) == 0 or selection.unknown_classes):
                raise NothingToImport(selection.unknown_classes or self._nothing())
            dataset = existing if existing is not None else fo.Dataset(self.name, persistent=True)
            result = self._apply(dataset, fields, theirs, selection)
            if theirs.compared == "full":
                part.replace(self.folder.localizations)
        finally:
            part.unlink(missing_ok=True)
        return result

    # ------------------------------------------------------------------ reading

    def _read(self, part: Path, existing: fo.Dataset | None, fields: FieldMap, selection: Selection) -> Theirs:
        """Reads what changed where that is enough, else everything."""
        remarks: list[tuple[str, str]] = []
        memory, reason = self._memory(existing, fields)
        if existing is not None and memory is not None:
            feed = self._feed(existing, memory, selection)
            self.tracker.stage("Reading changes", 0, _READING)
            theirs = feed.read(part, self.tracker, datasets.version_names(existing))
            if feed.off_by is None or self.options.compare == "changes":
                if feed.off_by is not None:
                    theirs.remarks.append((_MORE_CHANGED, f"{feed.off_by}. {_TO_FIND_IT}"))
                self._need_cutters(len(theirs.snapshot), at_once=False)
                return theirs
            remarks.append((_ALL_COMPARED, feed.off_by))
        elif existing is not None and reason is not None and self.options.compare == "changes":
            remarks.append((_ALL_COMPARED, reason))
        reader = Reader(self.client, self.scope, selection, self.tracker, part)
        expected = reader.count()
        self._need_cutters(expected, at_once=existing is None)
        self.tracker.stage("Reading localizations", expected, _READING)
        theirs = reader.full(existing, known_versions=self.options.versions is None)
        theirs.remarks += remarks
        return theirs

    def _memory(self, existing: fo.Dataset | None, fields: FieldMap) -> tuple[Memory | None, str | None]:
        """What to go on from, or None and why there is nothing."""
        if existing is None or self.options.rebuild or self.options.compare == "full":
            return None, None
        info = existing.info.get(datasets.INFO, {})
        if info.get("types") and ValueMap.of_info(info).missing_in(existing.get_field_schema()):
            return None, _REFILLED
        memory = self._memories(existing).load(info)
        reason = why_not(
            memory,
            self._subject(existing, fields),
            limited=self.options.max_samples is not None,
            unfinished="unfinished_run" in info,
        )
        if reason is not None or memory is None or (self.options.compare == "auto" and is_old(memory)):
            return None, reason
        return memory, None

    def _feed(self, existing: fo.Dataset, memory: Memory, selection: Selection) -> Feed:
        database = foo.get_db_conn()
        store = BaseStore(database, datasets.dataset_id(existing))
        samples = database[existing._sample_collection_name]
        return Feed(self.client, self.scope, selection, store, samples, memory)

    def _memories(self, dataset: fo.Dataset) -> MemoryStore:
        return MemoryStore(foo.get_db_conn(), datasets.dataset_id(dataset))

    def _subject(self, dataset: fo.Dataset, fields: FieldMap) -> str:
        crops = self.folder.path / datasets.crops_folder(dataset, self.scope)
        return about(self.scope, self.options, fields, self._style(dataset), crops)

    def _style(self, dataset: fo.Dataset) -> CropStyle:
        return self.options.style(dataset.info.get(datasets.INFO, {}).get("crop_style"))

    def _need_cutters(self, localizations: int, *, at_once: bool) -> None:
        if self.cutters is None:
            self.cutters = _executor(localizations)
            if at_once and isinstance(self.cutters, WorkerProcess):
                self.cutters.start()

    def _nothing(self) -> str:
        versions = ", ".join(version.name for version in self.scope.versions)
        kinds = ", ".join(kind.name for kind in self.scope.types)
        return (
            f"Project {self.scope.project.name!r} has no localizations of {kinds} in {versions}. "
            "Choose other versions or types, or draw some in Tator first."
        )

    # ------------------------------------------------------------------ applying

    def _apply(self, dataset: fo.Dataset, fields: FieldMap, theirs: Theirs, selection: Selection) -> ImportResult:
        store = BaseStore(foo.get_db_conn(), datasets.dataset_id(dataset))
        store.prepare()
        store.forget_other_datasets()
        result, run = ImportResult(self.name, compared=theirs.compared), ObjectId()
        maker = DocumentMaker(self.scope, fields, datasets.dataset_id(dataset))
        if len(dataset):
            maker.absent = maker.missing_in(dataset.get_field_schema())
        if self.options.rebuild and len(dataset):
            self._rebuild(dataset, store, maker, theirs, selection, result)
        recovering = "unfinished_run" in dataset.info.get(datasets.INFO, {})
        info = datasets.describe(self.scope, fields, dataset.info.get(datasets.INFO))
        self.folder = replace(self.folder, crops=datasets.crops_folder(dataset, self.scope))
        old, style = dataset.info.get(datasets.INFO, {}), self._style(dataset)
        info |= {"crops": self.folder.crops, "dataset": str(datasets.dataset_id(dataset))}
        info["crop_style"] = {"size": style.size, "padding": style.padding, "format": style.format}
        rename(dataset, store, old, info)
        # The record of our fields comes first: a field without a record would be taken for somebody else's.
        datasets.save_info(dataset, {**info, "unfinished_run": str(run)})
        datasets.declare(dataset, self.scope, fields)
        selection.without_identity = theirs.without_identity
        applier = Applier(dataset, store, maker, selection, self.folder, style, run, result)
        self._bring_in(applier, theirs, style)
        if recovering:
            samples = foo.get_db_conn()[dataset._sample_collection_name]
            sweep_crops(self.folder.path / self.folder.crops, samples, store, map(int, info["versions"]))
            sweep_downloads(self.folder.path / "download")
        self._tell(dataset, theirs, result)
        self.tracker.stage("Arranging the dataset", 0, _FINISHING)
        datasets.arrange(dataset, fields)
        info["label_schemas"] = schemas.publish(dataset, self.scope, fields, info.get("label_schemas"))
        self._finish(dataset, info, result, self._remember(dataset, store, fields, theirs, applier.again))
        return result

    def _rebuild(
        self,
        dataset: fo.Dataset,
        store: BaseStore,
        maker: DocumentMaker,
        theirs: Theirs,
        selection: Selection,
        result: ImportResult,
    ) -> None:
        """Makes the base whole; what the dataset says of itself until then is saved with the first step after this."""
        disown(dataset)
        rebuilder = Rebuilder(self.client, self.scope, dataset, store, maker, selection.medias, result)
        theirs.deleted += rebuilder.rebuild(theirs.snapshot)
        dataset.info[datasets.INFO].pop(datasets.REBUILDING)

    def _bring_in(self, applier: Applier, theirs: Theirs, style: CropStyle) -> None:
        self.tracker.stage("Cutting crops", len(theirs.snapshot), _CROPPING)
        assert self.cutters is not None
        with CropMill(self.client, self.scope.project.id, self.folder, style, executor=self.cutters) as mill:
            applier.bring_in(theirs.snapshot, mill, self.tracker)
        applier.take_out(theirs.deleted)

    def _tell(self, dataset: fo.Dataset, theirs: Theirs, result: ImportResult) -> None:
        """Says how it was looked, and counts what a feed need not look at."""
        for reason, example in theirs.remarks:
            result.notes.add(reason, [example])
        if theirs.compared == "changes":
            names = {"version": [v.name for v in self.scope.versions], "type": [kind.name for kind in self.scope.types]}
            query = {"version": {"$in": names["version"]}, "localization_type": {"$in": names["type"]}}
            there = foo.get_db_conn()[dataset._sample_collection_name].count_documents(query)
            result.unchanged = max(0, there - result.created - result.updated - result.conflicts)

    def _remember(
        self, dataset: fo.Dataset, store: BaseStore, fields: FieldMap, theirs: Theirs, again: Collection[Identity]
    ) -> Memory | None:
        """What the next feed may go on from, now that all of this run was applied."""
        if self.options.max_samples is not None:
            return None
        if theirs.memory is not None:
            return after_changes(theirs.memory, store, theirs, again)
        return after_full(self._subject(dataset, fields), self.scope, store, theirs, again)

    def _finish(self, dataset: fo.Dataset, info: dict[str, Any], result: ImportResult, memory: Memory | None) -> None:
        """Writes what the dataset remembers of the run; only with that it is over."""
        memories = self._memories(dataset)
        info["last_import"] = {"at": datasets.now_text(), **result.as_json()}
        # How long it took is known only when it is over.
        info["last_import"].pop("seconds")
        for outdated in ("unfinished_run", FEED):
            info.pop(outdated, None)
        if memory is not None:
            info[FEED] = memories.keep(memory)
        datasets.save_info(dataset, info)
        memories.forget_others(info)
        dataset.reload()


def _recover(dataset: fo.Dataset) -> None:
    """Forgets the base of samples that a run which died did not come to insert."""
    unfinished = dataset.info.get(datasets.INFO, {}).get("unfinished_run")
    if unfinished is None:
        return
    database = foo.get_db_conn()
    store = BaseStore(database, datasets.dataset_id(dataset))
    rows = list(store.of_run(ObjectId(unfinished)))
    samples = database[dataset._sample_collection_name]
    for start in range(0, len(rows), 5_000):
        block = rows[start : start + 5_000]
        there = {d["_id"] for d in samples.find({"_id": {"$in": [row.sample for row in block]}}, {"_id": True})}
        store.remove([row.identity for row in block if row.sample not in there])
