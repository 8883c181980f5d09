"""The import: theirs is read whole, compared with the base and with ours, and brought in.

The order of the steps is what makes an import safe to kill at any moment. Nothing is touched before everything was
read. A crop's file is there before its sample, the base before the sample, and a sample is gone before its base: so
whatever a dead run left behind is recognised by the next one, and the end is the same as that of one clean run.
"""

import gc
import os
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import fiftyone as fo
import fiftyone.core.odm as foo
from bson import ObjectId

from fiftyone_tator.media.folders import ProjectFolder, data_root, safe_name
from fiftyone_tator.media.worker import WorkerProcess
from fiftyone_tator.sync import dataset as datasets
from fiftyone_tator.sync import schemas
from fiftyone_tator.sync import snapshot as snapshots
from fiftyone_tator.sync.applying import Applier
from fiftyone_tator.sync.base import BaseStore, Identity, packed
from fiftyone_tator.sync.crops import CropMill
from fiftyone_tator.sync.documents import DocumentMaker
from fiftyone_tator.sync.errors import NothingToImport
from fiftyone_tator.sync.fields import FieldMap
from fiftyone_tator.sync.lease import Lease
from fiftyone_tator.sync.leftovers import sweep_crops, sweep_downloads
from fiftyone_tator.sync.medias import MediaBook
from fiftyone_tator.sync.options import ImportOptions
from fiftyone_tator.sync.progress import Report, Tracker
from fiftyone_tator.sync.renaming import rename
from fiftyone_tator.sync.results import ImportResult
from fiftyone_tator.sync.scope import Scope, resolve
from fiftyone_tator.sync.selection import Selection
from fiftyone_tator.tator_client import NotFound, Tator

_WORTH_A_PROCESS = 2_000
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
        NotFromTator: if the dataset is another project's, or nothing of Tator's
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
        existing = datasets.open_dataset(self.name, self.scope)
        fields = self.scope.fields(
            label_attribute=self.options.label_attribute,
            existing=datasets.existing_fields(existing),
            taken=() if existing is None else existing.get_field_schema(),
            remembered=datasets.remembered_labels(existing),
        )
        datasets.check_labels(existing, fields)
        if existing is not None:
            _recover(existing)
        part = self.folder.path / f".{safe_name(self.name)}.localizations.part"
        medias = MediaBook(self.client, self.scope)
        selection = Selection(self.scope, self.options, fields, medias)
        try:
            snapshot, deleted = self._read(part, existing, selection)
            if existing is None and (len(snapshot) == 0 or selection.unknown_classes):
                raise NothingToImport(selection.unknown_classes or self._nothing())
            dataset = existing if existing is not None else fo.Dataset(self.name, persistent=True)
            result = self._apply(dataset, fields, snapshot, deleted, selection)
            part.replace(self.folder.localizations)
        finally:
            part.unlink(missing_ok=True)
        return result

    def _read(
        self, part: Path, existing: fo.Dataset | None, selection: Selection
    ) -> tuple[snapshots.Snapshot, list[Identity]]:
        """Reads theirs; what the base has and the lists do not show is asked for by name before it counts as gone."""
        types, versions = [kind.id for kind in self.scope.types], [version.id for version in self.scope.versions]
        project = self.scope.project.id
        expected = sum(self.client.count_localizations(project, version=versions, type=kind) for kind in types)
        if self.cutters is None:
            self.cutters = _executor(expected)
            if existing is None and isinstance(self.cutters, WorkerProcess):
                self.cutters.start()
        self.tracker.stage("Reading localizations", expected, _READING)
        pages = self.client.iter_localizations(project, types=types, versions=versions, raw=True)
        writer = snapshots.read(part, self._followed(pages), enough=selection.enough)
        try:
            complete = not selection.ended
            known: list[Identity] = []
            if existing is not None:
                store = BaseStore(foo.get_db_conn(), datasets.dataset_id(existing))
                seen = writer.finish(complete=complete).identities
                known = snapshots.missing(packed(store.identities(versions, types)), seen)
            deleted = []
            for version in versions:
                elements = [element for v, element in known if v == version]
                rows = self.client.read_localizations(project, elemental_ids=elements, version=version)
                writer.add(rows)
                selection.medias.learn(row.media for row in rows)
                alive = {row.elemental_id for row in rows}
                deleted += [(version, element) for element in elements if element not in alive]
            if existing is not None and self.options.versions is None:
                gone = self._vanished_versions(existing)
                deleted += list(BaseStore(foo.get_db_conn(), datasets.dataset_id(existing)).identities(gone, types))
            selection.without_identity = writer.without_identity
            return writer.finish(complete=complete), deleted
        finally:
            writer.close()

    def _vanished_versions(self, dataset: fo.Dataset) -> list[int]:
        """The versions of a dataset that the project has no more; each is asked for before it counts as gone."""
        vanished = []
        for version in datasets.known_versions(dataset) - self.scope.all_versions:
            try:
                self.client.version(version)
            except NotFound:
                vanished.append(version)
        return vanished

    def _followed(self, pages: Iterable[list[dict[str, object]]]) -> Iterator[list[dict[str, object]]]:
        for page in pages:
            yield page
            self.tracker.advance(len(page))

    def _nothing(self) -> str:
        versions = ", ".join(version.name for version in self.scope.versions)
        kinds = ", ".join(kind.name for kind in self.scope.types)
        return (
            f"Project {self.scope.project.name!r} has no localizations of {kinds} in {versions}. "
            "Choose other versions or types, or draw some in Tator first."
        )

    def _apply(
        self,
        dataset: fo.Dataset,
        fields: FieldMap,
        snapshot: snapshots.Snapshot,
        deleted: list[Identity],
        selection: Selection,
    ) -> ImportResult:
        store = BaseStore(foo.get_db_conn(), datasets.dataset_id(dataset))
        store.prepare()
        store.forget_other_datasets()
        run = ObjectId()
        recovering = "unfinished_run" in dataset.info.get(datasets.INFO, {})
        info = datasets.describe(self.scope, fields, dataset.info.get(datasets.INFO))
        self.folder = replace(self.folder, crops=datasets.crops_folder(dataset, self.scope))
        old = dataset.info.get(datasets.INFO, {})
        style = self.options.style(old.get("crop_style"))
        info |= {"crops": self.folder.crops, "dataset": str(datasets.dataset_id(dataset))}
        info["crop_style"] = {"size": style.size, "padding": style.padding, "format": style.format}
        rename(dataset, store, old, info)
        # The record of our fields comes first: a field without a record would be taken for somebody else's.
        datasets.save_info(dataset, {**info, "unfinished_run": str(run)})
        datasets.declare(dataset, self.scope, fields)
        result = ImportResult(self.name)
        maker = DocumentMaker(self.scope, fields, datasets.dataset_id(dataset))
        applier = Applier(dataset, store, maker, selection, self.folder, style, run, result)
        self.tracker.stage("Cutting crops", len(snapshot), _CROPPING)
        assert self.cutters is not None
        with CropMill(self.client, self.scope.project.id, self.folder, style, executor=self.cutters) as mill:
            applier.bring_in(snapshot, mill, self.tracker)
        applier.take_out(deleted)
        if recovering:
            samples = foo.get_db_conn()[dataset._sample_collection_name]
            sweep_crops(self.folder.path / self.folder.crops, samples, store, map(int, info["versions"]))
            sweep_downloads(self.folder.path / "download")
        self.tracker.stage("Arranging the dataset", 0, _FINISHING)
        datasets.arrange(dataset, fields)
        info["label_schemas"] = schemas.publish(dataset, self.scope, fields, info.get("label_schemas"))
        info["last_import"] = {"at": datasets.now_text(), **result.as_json()}
        # How long it took is known only when it is over.
        info["last_import"].pop("seconds")
        info.pop("unfinished_run", None)
        datasets.save_info(dataset, info)
        dataset.reload()
        return result


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
