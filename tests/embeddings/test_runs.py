"""Maps and indexes that several make at a time, and runs that were there before."""

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import fiftyone as fo
import fiftyone.brain as fob
import numpy as np
import pytest
from bson import ObjectId

from fiftyone_tator.embeddings.embedder import Source
from fiftyone_tator.embeddings.maps import visualize
from fiftyone_tator.embeddings.similarity import index
from fiftyone_tator.embeddings.vectors import Record, VectorField
from fiftyone_tator.sync.errors import Busy, InvalidOption
from fiftyone_tator.sync.progress import Progress

VECTORS = np.random.default_rng(3).normal(2, 1, (40, 8)).astype(np.float32)
MAKERS: dict[str, Callable[..., Any]] = {
    "map": lambda dataset, **options: visualize(dataset, "vss", method="pca", **options),
    "sklearn": lambda dataset, **options: index(dataset, "vss", backend="sklearn", **options),
    "lancedb": lambda dataset, **options: index(dataset, "vss", backend="lancedb", **options),
}


@pytest.fixture
def dataset(database: Any) -> Iterator[fo.Dataset]:
    """Forty samples with a vector."""
    found = fo.Dataset(persistent=True)
    found.add_samples([fo.Sample(filepath=f"/nowhere/{number}.jpg") for number in range(len(VECTORS))])
    field = VectorField(found, "vss")
    field.declare(Record.of(Source("descriptor", "test"), VECTORS[0]))
    field.write([ObjectId(id) for id in found.values("id")], VECTORS)
    yield found
    found.delete_brain_runs()
    found.delete()


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads that take turns so often that each meets the others everywhere."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize("name", MAKERS)
def test_who_makes_what_somebody_is_making_is_told_who_and_the_first_one_ends(dataset: fo.Dataset, name: str) -> None:
    make, begun, go_on = MAKERS[name], threading.Event(), threading.Event()

    def report(progress: Progress) -> None:
        begun.set()
        assert go_on.wait(60)

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(make, dataset, report=report)
        assert begun.wait(60)
        try:
            with pytest.raises(Busy, match=r"Somebody is making vss_\w+ on dataset .* \(process \d+ on"):
                make(dataset)
        finally:
            go_on.set()
        made = first.result()
    assert dataset.list_brain_runs() == [made.key]
    assert make(dataset).samples == 40


@pytest.mark.parametrize("name", MAKERS)
def test_of_several_who_make_the_same_over_and_over_each_succeeds_or_is_told(dataset: fo.Dataset, name: str) -> None:
    def many() -> list[str]:
        ends = []
        for _ in range(8):
            try:
                ends.append(MAKERS[name](dataset).key)
            except Busy:
                ends.append("busy")
        return ends

    with ThreadPoolExecutor(2) as pool:
        ends = [end for one in [pool.submit(many), pool.submit(many)] for end in one.result()]
    (key,) = set(ends) - {"busy"}
    dataset.reload()
    assert dataset.list_brain_runs() == [key]
    assert dataset.load_brain_results(key).total_index_size == 40


def test_several_make_different_things_of_a_dataset_at_once(dataset: fo.Dataset, restless: None) -> None:
    def many(name: str) -> list[str]:
        return [MAKERS[name](dataset, brain_key=name).key for _ in range(6)]

    with ThreadPoolExecutor(3) as pool:
        keys = {key for keys in pool.map(many, MAKERS) for key in keys}
    dataset.reload()
    assert sorted(keys) == dataset.list_brain_runs() == ["lancedb_similarity", "map_pca", "sklearn_similarity"]
    assert [dataset.load_brain_results(key).total_index_size for key in keys] == [40] * 3


@pytest.mark.parametrize("ending", ["", "_unfinished"])
@pytest.mark.parametrize(("name", "key"), [("map", "mine_pca"), ("sklearn", "mine_similarity")])
def test_a_run_of_other_vectors_is_neither_replaced_nor_taken_for_remains(
    dataset: fo.Dataset, name: str, key: str, ending: str
) -> None:
    theirs = key + ending
    dataset.add_sample_field("others", fo.VectorField)
    dataset.set_values("others", list(VECTORS))
    fob.compute_visualization(dataset, embeddings="others", method="pca", brain_key=theirs)
    before = dataset.load_brain_results(theirs).points.tolist()
    with pytest.raises(InvalidOption, match=rf"'{theirs}' is taken by another run \(visualization by pca of"):
        MAKERS[name](dataset, brain_key="mine")
    dataset.clear_cache()
    dataset.reload()
    assert dataset.list_brain_runs() == [theirs]
    assert dataset.load_brain_results(theirs).points.tolist() == before


def test_an_index_of_the_same_vectors_does_not_take_the_place_of_a_map(dataset: fo.Dataset) -> None:
    fob.compute_visualization(dataset, embeddings="vss", method="pca", brain_key="mine_similarity")
    with pytest.raises(InvalidOption, match="Choose another brain_key, or delete that run first"):
        index(dataset, "vss", brain_key="mine")
    assert dataset.get_brain_info("mine_similarity").config.type == "visualization"


def test_a_key_can_be_used_again_after_its_run_was_lost_from_the_database(dataset: fo.Dataset, database: Any) -> None:
    key = MAKERS["map"](dataset).key
    database["runs"].delete_many({"dataset_id": dataset._doc.id})
    assert MAKERS["map"](dataset).key == key
    assert len(dataset.load_brain_results(key).points) == 40
