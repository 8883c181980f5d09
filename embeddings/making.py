"""What is made of vectors right after they were computed, and what was made of those that were there before."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

import fiftyone as fo
from bson import ObjectId
from fiftyone.core.odm.runs import RunDocument

from fiftyone_tator.embeddings.maps import visualize
from fiftyone_tator.embeddings.options import EmbedOptions
from fiftyone_tator.embeddings.runs import BOOKS
from fiftyone_tator.embeddings.similarity import AT_HOME, index, known_as
from fiftyone_tator.embeddings.suggesting import suggest
from fiftyone_tator.sync.progress import Report
from fiftyone_tator.tator_client import TatorError


def make(
    dataset: fo.Dataset,
    field: str,
    options: EmbedOptions,
    *,
    samples: Sequence[ObjectId] | None = None,
    report: Report | None = None,
) -> dict[str, dict[str, Any]]:
    """Makes what the options ask for; one thing that cannot be made keeps no other from being made.

    Args:
        dataset: the dataset
        field: the field of the vectors
        options: say what to make
        samples: ids of the samples that suggestions are for; map and index are of all that have a vector
        report: told how far the work is; may raise to stop it

    Returns:
        by ``map``, ``similarity`` and ``suggestions`` the result as plain data, or the reason as ``problem``
    """
    key = options.brain_key or field
    method = options.map
    steps: dict[str, Callable[[], dict[str, Any]]] = {}
    if method is not None:
        steps["map"] = lambda: visualize(
            dataset, field, method=method, brain_key=key, seed=options.seed, report=report
        ).as_json()  # fmt: skip
    if options.similarity:
        steps["similarity"] = lambda: index(dataset, field, brain_key=key, report=report).as_json()
    if options.suggestions:
        steps["suggestions"] = lambda: suggest(dataset, field, samples=samples, report=report).as_json()
    made: dict[str, dict[str, Any]] = {}
    for name, step in steps.items():
        try:
            made[name] = step()
        except TatorError as problem:
            made[name] = {"problem": str(problem)}
    return made


def note_stale(dataset: fo.Dataset, field: str, *, since: datetime, in_app: bool = False) -> list[str]:
    """Says which maps and indexes of a field were made before its new vectors came.

    FiftyOne's index in memory reads the field when it is loaded, so this process loads it anew when it is next used;
    other processes that hold it cannot be told.

    Args:
        dataset: the dataset
        field: the field of the vectors
        since: when the new vectors began to come
        in_app: whether this process is the App's server, so that its indexes in memory are up to date after this

    Returns:
        a sentence each, with what to do
    """
    notes = []
    with BOOKS:
        dataset.reload()
        for key, config in _made_before(dataset, field, since):
            older = f"{key} was made before these vectors came; make it again"
            if config["type"] == "visualization":
                notes.append(f"The map {older} (visualize_embeddings).")
            elif config["method"] != AT_HOME:
                notes.append(f"The similarity index {older} (compute_similarity).")
            else:
                dataset._brain_cache.pop(key, None)
                if not in_app:
                    notes.append(
                        f"An App that is open may hold the similarity index {key} as it was before these vectors came; "
                        "make it again there (compute_similarity)."
                    )
    return notes


def _made_before(dataset: fo.Dataset, field: str, since: datetime) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The maps and indexes of whole samples by a field's vectors, that are older."""
    for key, run in sorted(dataset._doc.brain_methods.items()):
        if not isinstance(run, RunDocument):
            continue
        config, made = run.config, run.timestamp
        made = made if made.tzinfo is not None else made.replace(tzinfo=timezone.utc)
        kind, of = config.get("type"), config.get("embeddings_field")
        if kind in ("visualization", "similarity") and of in known_as(field) and made < since:
            yield key, config
