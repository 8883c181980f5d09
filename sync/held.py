"""Samples that this process holds, after their documents were written to MongoDB directly."""

import fiftyone as fo
from bson import ObjectId
from fiftyone.core.odm import get_db_conn


def refresh_held(dataset: fo.Dataset) -> None:
    """Makes samples that this process holds show, and save, what is in MongoDB now.

    Args:
        dataset: the dataset
    """
    name = dataset._sample_collection_name
    held = [ObjectId(id) for id in list(fo.Sample._instances.get(name, ()))]
    there = get_db_conn()[name].find({"_id": {"$in": held}}, {"_id": True})
    # Reloading one that somebody deleted would fail.
    fo.Sample._sync_docs(name, [str(found["_id"]) for found in there])
