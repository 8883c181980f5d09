"""Runs of FiftyOne Brain that are made here: by one maker at a time, and never in place of somebody else's."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import fiftyone as fo
from fiftyone.core.odm import get_db_conn
from fiftyone.core.odm.runs import RunDocument

from fiftyone_tator.sync.errors import InvalidOption
from fiftyone_tator.sync.lease import Lease

UNFINISHED = "_unfinished"
"""After the key of a run that is being made; one that is there when nobody makes it is what a dead process left."""
BOOKS = threading.RLock()
"""Held while the list of a dataset's runs is read or changed: all threads of a process share one document of the
dataset, and reading the list writes to it."""


def check_dataset(dataset: Any) -> None:
    """Refuses what is no dataset.

    Args:
        dataset: what somebody handed in as one

    Raises:
        InvalidOption: if it is a view, or something else
    """
    if not isinstance(dataset, fo.Dataset):
        raise InvalidOption(
            f"The dataset is a {type(dataset).__name__}, and should be a dataset. Hand in the dataset itself, and say "
            "which of its samples are meant by a view (view=) or by ids."
        )


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


def check_replaceable(
    dataset: fo.Dataset, key: str, kind: str, *, fields: Sequence[str], method: str | None = None
) -> None:
    """Refuses to replace a run that somebody made of something else, and the place where the new one is made.

    Args:
        dataset: the dataset
        key: of the run
        kind: FiftyOne's type of the new run: ``visualization`` or ``similarity``
        fields: the names by which runs of the same vectors know them
        method: of the new run, if another method's is not replaced

    Raises:
        InvalidOption: if a run is there that would be lost
    """
    with BOOKS:
        for taken in (key, key + UNFINISHED):
            run = dataset._doc.brain_methods.get(taken)
            # Of a reference whose run is gone nothing can be lost.
            if isinstance(run, RunDocument):
                _check_same(taken, run.config, kind, fields, method)


def _check_same(key: str, there: Mapping[str, Any], kind: str, fields: Sequence[str], method: str | None) -> None:
    field = there.get("embeddings_field")
    if there.get("type") == kind and field in fields and method in (None, there.get("method")):
        return
    of = f" of the field {field!r}" if field else ""
    raise InvalidOption(
        f"The key {key!r} is taken by another run ({there.get('type')} by {there.get('method')}{of}), which would be "
        f"lost. Choose another brain_key, or delete that run first: dataset.delete_brain_run({key!r})."
    )
