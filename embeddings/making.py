"""What is made of vectors right after they were computed: a map, an index, suggestions; as the options ask."""

from collections.abc import Callable, Sequence
from typing import Any

import fiftyone as fo
from bson import ObjectId

from fiftyone_tator.embeddings.maps import visualize
from fiftyone_tator.embeddings.options import EmbedOptions
from fiftyone_tator.embeddings.similarity import index
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
