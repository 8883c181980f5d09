"""Maps of embeddings, as FiftyOne Brain and the App find them."""

from collections.abc import Iterator, Sequence
from typing import Any

import fiftyone as fo
import numpy as np
import pytest
from bson import ObjectId
from fiftyone.server.routes.embeddings import OnPlotLoad
from pymongo.errors import WriteError

from fiftyone_tator.embeddings.maps import MapResult, visualize
from fiftyone_tator.embeddings.options import Method
from fiftyone_tator.embeddings.reducing import FEWEST, PARAMETERS, reduce
from fiftyone_tator.embeddings.vectors import VectorField
from fiftyone_tator.sync.progress import Cancelled, Progress
from fiftyone_tator.tests.embeddings.grouped import FIELD, METHODS, Make, add, datasets, two_groups


@pytest.fixture
def make(database: object) -> Iterator[Make]:
    """Makes datasets of samples, the first of which have the vectors."""
    with datasets() as one:
        yield one


def results(dataset: fo.Dataset, key: str) -> Any:
    """A run as another process finds it."""
    dataset.clear_cache()
    dataset.reload()
    return dataset.load_brain_results(key)


def points(dataset: fo.Dataset, key: str) -> dict[str, Any]:
    found = results(dataset, key)
    return dict(zip(found.sample_ids.tolist(), found.points.tolist(), strict=True))


def plotted(dataset: fo.Dataset, key: str, view: Sequence[Any] = ()) -> dict[str, Any]:
    """What the App's server gives to the Embeddings panel."""
    asked = {"datasetName": dataset.name, "brainKey": key, "view": list(view), "labelField": None, "slices": None}
    answer: dict[str, Any] = OnPlotLoad._post_sync(None, asked)
    return answer


@pytest.mark.parametrize("method", METHODS)
def test_a_map_is_a_run_of_its_method_with_a_point_for_each_vector(method: Method, make: Make) -> None:
    dataset = make(two_groups(30), without=2)
    made = visualize(dataset, FIELD, method=method)
    assert (made.key, made.method, made.samples, made.left_out) == (f"fastvss_{method}", method, 30, 2)
    found = results(dataset, made.key)
    config = dataset.get_brain_info(made.key).config
    assert (config.type, config.method, config.embeddings_field, config.seed) == ("visualization", method, FIELD, 51)
    assert found.sample_ids.tolist() == dataset.exists(FIELD).values("id")
    assert found.points.shape == (30, 2)
    assert np.isfinite(found.points).all()


@pytest.mark.parametrize("method", METHODS)
def test_what_is_alike_lies_together(method: Method, make: Make) -> None:
    dataset = make(two_groups(40))
    visualize(dataset, FIELD, method=method)
    found = results(dataset, f"fastvss_{method}").points
    centres = np.array([found[::2].mean(axis=0), found[1::2].mean(axis=0)])
    nearest = np.linalg.norm(found[:, None] - centres, axis=2).argmin(axis=1)
    assert nearest.tolist() == [0, 1] * 20


@pytest.mark.parametrize("method", METHODS)
def test_the_app_plots_the_map_and_what_a_view_leaves_of_it(method: Method, make: Make) -> None:
    dataset = make(two_groups(12), without=1)
    visualize(dataset, FIELD, method=method)
    whole = plotted(dataset, f"fastvss_{method}")
    assert (whole["index_size"], whole["available_count"], whole["patches_field"]) == (12, 12, None)
    assert {each["id"] for each in whole["traces"]["points"]} == set(dataset.exists(FIELD).values("id"))
    part = plotted(dataset, f"fastvss_{method}", dataset.limit(5)._serialize())
    assert (part["index_size"], part["available_count"]) == (12, 5)


def test_a_map_touches_no_sample_and_adds_no_field(make: Make) -> None:
    dataset = make(two_groups(6))
    before = list(dataset._sample_collection.find())
    fields = set(dataset.get_field_schema())
    visualize(dataset, FIELD, method="pca")
    visualize(dataset, FIELD, method="pca")
    assert list(dataset._sample_collection.find()) == before
    assert set(dataset.get_field_schema()) == fields


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_map(method: Method, make: Make) -> None:
    dataset = make(two_groups(30))
    visualize(dataset, FIELD, method=method, seed=7)
    visualize(dataset, FIELD, method=method, seed=7, brain_key="again")
    assert points(dataset, f"fastvss_{method}") == points(dataset, f"again_{method}")


def test_another_seed_gives_another_map(make: Make) -> None:
    dataset = make(two_groups(30))
    visualize(dataset, FIELD, seed=7)
    visualize(dataset, FIELD, seed=8, brain_key="other")
    assert points(dataset, "fastvss_umap") != points(dataset, "other_umap")


def test_a_new_map_takes_the_place_of_the_earlier_one(make: Make) -> None:
    dataset = make(two_groups(6))
    visualize(dataset, FIELD, method="pca")
    assert len(results(dataset, "fastvss_pca").points) == 6
    add(dataset, two_groups(4, seed=1))
    visualize(dataset, FIELD, method="pca", seed=3)
    assert dataset.list_brain_runs() == ["fastvss_pca"]
    assert len(results(dataset, "fastvss_pca").points) == 10
    assert dataset.get_brain_info("fastvss_pca").config.seed == 3


@pytest.mark.parametrize("stage", ["Reading", "Computing", "Saving"])
def test_until_the_new_map_is_computed_the_earlier_one_stays(stage: str, make: Make) -> None:
    dataset = make(two_groups(6))
    visualize(dataset, FIELD, method="pca")
    earlier = points(dataset, "fastvss_pca")
    add(dataset, two_groups(4, seed=1))

    def stop(progress: Progress) -> None:
        if progress.stage.startswith(stage):
            raise Cancelled

    with pytest.raises(Cancelled):
        visualize(dataset, FIELD, method="pca", report=stop)
    assert points(dataset, "fastvss_pca") == earlier


@pytest.mark.parametrize("table", ["fs.files", "fs.chunks"])
def test_a_map_that_cannot_be_stored_leaves_the_earlier_one_and_nothing_half(
    table: str, make: Make, database: Any
) -> None:
    dataset = make(two_groups(6))
    visualize(dataset, FIELD, method="pca")
    earlier = points(dataset, "fastvss_pca")
    add(dataset, two_groups(4, seed=1))
    database.command("collMod", table, validator={"never": True})
    try:
        with pytest.raises(WriteError):
            visualize(dataset, FIELD, method="pca")
    finally:
        database.command("collMod", table, validator={})
    assert dataset.list_brain_runs() == ["fastvss_pca"]
    assert points(dataset, "fastvss_pca") == earlier
    assert visualize(dataset, FIELD, method="pca").samples == 10


def test_a_map_that_a_killed_process_was_storing_is_no_hindrance(make: Make) -> None:
    dataset = make(two_groups(6))
    visualize(dataset, FIELD, method="pca")
    dataset.rename_brain_run("fastvss_pca", "fastvss_pca_unfinished")
    visualize(dataset, FIELD, method="pca")
    assert dataset.list_brain_runs() == ["fastvss_pca"]


def test_the_app_shows_the_new_map_at_once_where_the_operator_ran_in_its_process(make: Make) -> None:
    dataset = make(two_groups(6))
    visualize(dataset, FIELD, method="pca")
    assert plotted(dataset, "fastvss_pca")["index_size"] == 6
    add(dataset, two_groups(4, seed=1))
    visualize(dataset, FIELD, method="pca")
    assert plotted(dataset, "fastvss_pca")["index_size"] == 10


def test_maps_of_other_methods_and_keys_stay(make: Make) -> None:
    dataset = make(two_groups(8))
    visualize(dataset, FIELD, method="pca")
    visualize(dataset, FIELD, method="tsne")
    visualize(dataset, FIELD, method="pca", brain_key="mine")
    assert sorted(dataset.list_brain_runs()) == ["fastvss_pca", "fastvss_tsne", "mine_pca"]


def test_a_map_of_some_samples_shows_those_only(make: Make) -> None:
    dataset = make(two_groups(10), without=2)
    chosen = [ObjectId(id) for id in dataset.values("id")[7:]]
    made = visualize(dataset, FIELD, method="pca", samples=chosen)
    assert (made.samples, made.left_out) == (3, 2)
    assert set(points(dataset, "fastvss_pca")) == {str(id) for id in chosen[:3]}


def test_vectors_with_undefined_or_absurd_numbers_are_left_out(make: Make) -> None:
    vectors = two_groups(9)
    vectors[0, 3], vectors[4, 0], vectors[5, 5] = np.nan, np.inf, 1e30
    dataset = make(vectors)
    made = visualize(dataset, FIELD, method="pca")
    assert (made.samples, made.left_out) == (6, 3)
    ids = dataset.values("id")
    assert set(points(dataset, "fastvss_pca")) == set(ids) - {ids[0], ids[4], ids[5]}


@pytest.mark.parametrize("count", [5, 40])
@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("method", METHODS)
def test_vectors_that_are_all_the_same_get_finite_points(method: Method, value: float, count: int, make: Make) -> None:
    dataset = make(np.full((count, 6), value, np.float32))
    assert visualize(dataset, FIELD, method=method).samples == count
    assert np.isfinite(results(dataset, f"fastvss_{method}").points).all()


@pytest.mark.parametrize("method", METHODS)
def test_duplicates_and_opposites_get_finite_points(method: Method, make: Make) -> None:
    dataset = make(np.repeat([[1, 1, 1], [-1, -1, -1]], 10, axis=0).astype(np.float32))
    visualize(dataset, FIELD, method=method)
    assert np.isfinite(results(dataset, f"fastvss_{method}").points).all()


@pytest.mark.parametrize("method", METHODS)
def test_the_fewest_vectors_a_method_can_do_with_give_a_map(method: Method, make: Make) -> None:
    dataset = make(two_groups(FEWEST[method]))
    assert visualize(dataset, FIELD, method=method).samples == FEWEST[method]
    assert np.isfinite(results(dataset, f"fastvss_{method}").points).all()


def test_parameters_are_adapted_to_few_vectors_and_recorded(make: Make) -> None:
    dataset = make(two_groups(10))
    umap = visualize(dataset, FIELD, parameters={"num_neighbors": 50, "min_dist": 0.5})
    assert umap.parameters == {"num_neighbors": 9, "metric": "cosine", "min_dist": 0.5}
    config = dataset.get_brain_info("fastvss_umap").config
    assert (config.num_neighbors, config.metric, config.min_dist) == (9, "cosine", 0.5)
    tsne = visualize(dataset, FIELD, method="tsne", parameters={"max_iters": 300})
    assert tsne.parameters == {"perplexity": 3.0, "learning_rate": 50.0, "max_iters": 300, "pca_dims": 8}
    assert dataset.get_brain_info("fastvss_tsne").config.max_iters == 300


def test_a_result_is_plain_data() -> None:
    made = MapResult("fastvss_pca", "pca", 5, 1, 51, PARAMETERS["pca"]().model_dump(), 1.23456)
    assert made.as_json() == {
        "key": "fastvss_pca", "method": "pca", "samples": 5, "left_out": 1, "seed": 51,
        "parameters": {"svd_solver": "auto"}, "seconds": 1.23,
    }  # fmt: skip


def test_the_stages_are_named_and_never_go_back(make: Make) -> None:
    told: list[Progress] = []
    visualize(make(two_groups(9)), FIELD, report=told.append)
    assert [each.stage for each in told] == ["Reading vectors", "Computing the map (UMAP)", "Saving"]
    assert [each.fraction for each in told] == sorted(each.fraction for each in told)


@pytest.mark.parametrize("method", ["umap", "pca"])
def test_fiftyone_adds_new_samples_to_a_map_that_another_process_made(method: Method, make: Make) -> None:
    dataset = make(two_groups(40))
    visualize(dataset, FIELD, method=method)
    vectors = VectorField(dataset, FIELD)
    _, stored = vectors.matrix()
    twin, _ = add(dataset, stored[[0, 1]] + 0.001)
    found = results(dataset, f"fastvss_{method}")
    found.add_samples(dataset)
    after = points(dataset, f"fastvss_{method}")
    assert len(after) == 42
    here, there, other = (np.array(after[id]) for id in (str(twin), dataset.first().id, dataset.values("id")[1]))
    assert np.linalg.norm(here - there) < np.linalg.norm(here - other) / 3


@pytest.mark.parametrize("method", ["umap", "pca"])
def test_of_many_vectors_some_are_fitted_and_the_others_lie_beside_their_near_duplicates(
    method: Method, make: Make
) -> None:
    random = np.random.default_rng(5)
    centres = random.normal(size=(6, 8)) * 10
    originals = (centres[np.arange(90) % 6] + random.normal(size=(90, 8))).astype(np.float32)
    dataset = make(np.concatenate([originals, originals + 0.001]))
    made = visualize(dataset, FIELD, method=method, fit_at_most=120)
    assert (made.samples, made.left_out) == (180, 0)
    placed = points(dataset, f"fastvss_{method}")
    ids = dataset.values("id")
    fitted = set(list(placed)[:120])
    apart = [
        np.linalg.norm(np.subtract(placed[one], placed[twin]))
        for one, twin in zip(ids[:90], ids[90:], strict=True)
        if (one in fitted) != (twin in fitted)
    ]
    everything = np.array(list(placed.values()))
    spread = np.linalg.norm(everything - everything.mean(axis=0), axis=1).mean()
    assert len(apart) > 20
    assert np.median(apart) < spread / 10
    assert max(apart) < spread / 3


def test_points_come_in_the_order_of_the_vectors_however_they_are_blocked() -> None:
    fitted, others = two_groups(50), two_groups(45_000, seed=1)
    options: dict[str, Any] = {"method": "pca", "seed": 1, "parameters": PARAMETERS["pca"]()}
    whole = reduce(fitted, [others], **options).points
    assert whole.shape == (45_050, 2)
    blocks = np.array_split(others, 11)
    assert reduce(fitted, iter(blocks), **options).points == pytest.approx(whole, abs=1e-4)


def test_those_that_were_fitted_come_first_and_are_drawn_by_the_seed(make: Make) -> None:
    dataset = make(two_groups(40))
    drawn = []
    for seed in (1, 1, 2):
        visualize(dataset, FIELD, method="pca", fit_at_most=15, seed=seed)
        found = results(dataset, "fastvss_pca")
        assert found.get_new_ids() == ([], 15)
        drawn.append(set(found.sample_ids[:15].tolist()))
    assert drawn[0] == drawn[1] != drawn[2]


def test_undefined_numbers_among_those_that_were_not_fitted_are_left_out(make: Make) -> None:
    vectors = two_groups(40)
    vectors[::4] = np.nan
    made = visualize(make(vectors), FIELD, method="pca", fit_at_most=15)
    assert (made.samples, made.left_out) == (30, 10)
