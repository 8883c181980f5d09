"""Runs of FiftyOne Brain that are made here: by one maker at a time, and never in place of somebody else's."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import fiftyone as fo
from fiftyone.core.odm import get_db_conn

from fiftyone_tator.sync.errors import InvalidOption
from fiftyone_tator.sync.lease import Lease

UNFINISHED = "_unfinished"
"""After the key of a run that is being made; one that is there when nobody makes it is what a dead process left."""
BOOKS = threading.RLock()
"""Held while the list of a dataset's runs is read or changed: all threads of a process share one document of the
dataset, and reading the list writes to it."""


@contextmanager
def making(dataset: fo.Dataset, key: str) -> Iterator[Lease]:
    """Keeps a key for whoever makes its run, and brings what is known of the dataset up to date.

    Args:
        dataset: the dataset
        key: of the run

    Yields:
        the lease, to be checked before an earlier run is replaced

    Raises:
        Busy: if somebody else is making a run of this key
        InvalidOption: if it cannot be a key
    """
    if not key.isidentifier():
        raise InvalidOption(
            f"{key!r} cannot be a brain key: it takes letters, digits and underscores. Choose another brain_key."
        )
    with Lease(get_db_conn(), dataset.name, purpose=f"making {key}", key=f"{dataset._doc.id} run {key}") as lease:
        with BOOKS:
            dataset.reload()
        yield lease
