"""Versions and localization types that got another name in Tator."""

from collections.abc import Mapping
from datetime import datetime, timezone
from itertools import islice
from typing import Any

import fiftyone as fo
import fiftyone.core.odm as foo

from fiftyone_tator.sync.base import BaseStore

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
    samples = foo.get_db_conn()[dataset._sample_collection_name]
    ids = store.samples(which)
    while block := list(islice(ids, _BLOCK)):
        now = datetime.now(timezone.utc).replace(tzinfo=None)
        update = {"$set": {field: name, "last_modified_at": now}}
        samples.update_many({"_id": {"$in": block}, field: {"$ne": name}}, update)
