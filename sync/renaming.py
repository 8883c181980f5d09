"""Versions and localization types that got another name in Tator."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

import fiftyone as fo
import fiftyone.core.odm as foo

from fiftyone_tator.sync.base import BaseStore
from fiftyone_tator.sync.dataset import dataset_id
from fiftyone_tator.sync.stamps import MODIFIED, Stamps

_BLOCK = 5_000


def rename(dataset: fo.Dataset, store: BaseStore, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Gives the samples of renamed versions and types the new names.

    Args:
        dataset: the dataset
        store: its base, which knows them by id
        old: what ``dataset.info["tator"]`` said before
        new: what it shall say
    """
    for version, name in old.get("versions", {}).items():
        if new["versions"][version] != name:
            _rename(dataset, store, {"version": int(version)}, "version", new["versions"][version])
    for kind, known in old.get("types", {}).items():
        if new["types"][kind]["name"] != known["name"]:
            _rename(dataset, store, {"type": int(kind)}, "localization_type", new["types"][kind]["name"])


def _rename(dataset: fo.Dataset, store: BaseStore, which: Mapping[str, int], field: str, name: str) -> None:
    database = foo.get_db_conn()
    samples = database[dataset._sample_collection_name]
    stamps = Stamps(database, dataset_id(dataset), samples)
    stamps.prepare()
    known, stamp = stamps.known(), stamps.fresh()
    ids = store.samples(which)
    while block := list(islice(ids, _BLOCK)):
        other = {"_id": {"$in": block}, field: {"$ne": name}}
        samples.update_many({**other, MODIFIED: {"$in": known}}, {"$set": {field: name, MODIFIED: stamp}})
        # Whoever edited one of the rest left a time by which the edit is found; it stays.
        samples.update_many(other, {"$set": {field: name}})
