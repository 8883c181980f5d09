"""Maps that cannot be made, and what is said about them."""

import sys
from collections.abc import Iterator
from typing import Any

import fiftyone.brain as fob
import numpy as np
import pytest

from fiftyone_tator.embeddings.errors import BadVectors, EmbeddingError, NoEmbeddings, NotInstalled
from fiftyone_tator.embeddings.maps import visualize
from fiftyone_tator.embeddings.options import Method
from fiftyone_tator.embeddings.reducing import FEWEST, PARAMETERS, reduce
from fiftyone_tator.sync.errors import InvalidOption
from fiftyone_tator.tests.embeddings.grouped import FIELD, METHODS, Make, datasets, two_groups


@pytest.fixture
def make(database: object) -> Iterator[Make]:
    """Makes datasets of samples, the first of which have the vectors."""
    with datasets() as one:
        yield one


@pytest.mark.parametrize("method", METHODS)
def test_fewer_are_refused_with_how_many_it_needs(method: Method, make: Make) -> None:
    count = FEWEST[method] - 1
    dataset = make(two_groups(count), without=5)
    with pytest.raises(NoEmbeddings, match=f"{count} of the samples .* at least {FEWEST[method]}") as refused:
        visualize(dataset, FIELD, method=method)
    assert ("method=pca" in str(refused.value)) == (method != "pca")


def test_too_few_usable_vectors_are_refused_after_reading_them(make: Make) -> None:
    vectors = two_groups(5)
    vectors[:4] = np.nan
    with pytest.raises(NoEmbeddings, match=r"1 of the samples .* at least 2"):
        visualize(make(vectors), FIELD, method="pca")


def test_a_field_that_is_not_there_is_refused(make: Make) -> None:
    with pytest.raises(NoEmbeddings, match="no vectors in a field 'other'"):
        visualize(make(two_groups(5)), "other", method="pca")


def test_vectors_of_one_number_are_refused() -> None:
    with pytest.raises(BadVectors, match="one number each"):
        reduce(np.ones((9, 1), np.float32), (), method="pca", seed=1, parameters=PARAMETERS["pca"]())


def test_umap_that_is_not_installed_is_refused_with_what_to_install(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = make(two_groups(9))
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(NotInstalled, match=r"pip install 'fiftyone-tator\[umap\]'.*tsne or pca"):
        visualize(dataset, FIELD)


@pytest.mark.parametrize(
    ("method", "parameters", "message"),
    [
        ("umap", {"num_neighbours": 5}, "UMAP: .*'num_neighbours'. Did you mean num_neighbors"),
        ("umap", {"num_neighbors": 1}, "UMAP: .*num_neighbors cannot be 1"),
        ("umap", {"metric": "cosin"}, "UMAP: .*metric cannot be 'cosin'.*cosine"),
        ("umap", {"perplexity": 3}, "UMAP: there is no option 'perplexity'"),
        ("tsne", {"max_iter": 300}, "t-SNE: .*Did you mean max_iters"),
        ("pca", {"svd_solver": "fast"}, "PCA: .*svd_solver cannot be 'fast'"),
    ],
)
def test_parameters_that_the_method_does_not_take_are_refused(
    method: Method, parameters: dict[str, Any], message: str, make: Make
) -> None:
    with pytest.raises(InvalidOption, match=message):
        visualize(make(two_groups(5)), FIELD, method=method, parameters=parameters)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("method", "som", "Map: the option method cannot be 'som'.* should be umap or tsne or pca"),
        ("method", ["pca"], r"method cannot be \['pca'\].* should be umap or tsne or pca"),
        ("seed", -1, "seed cannot be -1: .*greater than or equal to 0"),
        ("seed", 2**40, "seed cannot be 1099511627776: .*less than or equal to 4294967295"),
        ("seed", "x", "seed cannot be 'x'.* should be a whole number"),
        ("parameters", "abc", "parameters cannot be 'abc'.* should be names with their values"),
        ("brain_key", 5, "brain_key cannot be 5.* should be a text"),
    ],
)
def test_an_option_that_cannot_be_is_refused_with_what_it_should_be(
    option: str, value: Any, message: str, make: Make
) -> None:
    options: dict[str, Any] = {"method": "pca", option: value}
    with pytest.raises(InvalidOption, match=message):
        visualize(make(two_groups(5)), FIELD, **options)


def test_the_largest_seed_is_taken_by_every_method(make: Make) -> None:
    dataset = make(two_groups(12))
    seeds = [visualize(dataset, FIELD, method=method, seed=2**32 - 1).seed for method in METHODS]
    assert seeds == [2**32 - 1] * 3


def test_a_view_handed_in_for_a_dataset_is_refused(make: Make) -> None:
    view: Any = make(two_groups(5)).limit(3)
    with pytest.raises(InvalidOption, match=r"is a DatasetView, and should be a dataset.*by a view"):
        visualize(view, FIELD, method="pca")


@pytest.mark.parametrize("key", ["my map", "1st"])
def test_a_key_that_fiftyone_does_not_take_is_refused(key: str, make: Make) -> None:
    with pytest.raises(InvalidOption, match=f"'{key}_pca'.*Choose another brain_key"):
        visualize(make(two_groups(5)), FIELD, method="pca", brain_key=key)


def test_a_run_of_another_kind_under_the_key_is_not_replaced(make: Make) -> None:
    dataset = make(two_groups(5))
    fob.compute_visualization(dataset, points=np.zeros((5, 2)), brain_key="fastvss_pca")
    with pytest.raises(InvalidOption, match="Choose another brain_key"):
        visualize(dataset, FIELD, method="pca")
    assert dataset.get_brain_info("fastvss_pca").config.method == "manual"


def test_tsne_of_too_many_is_refused_with_the_way_out(make: Make) -> None:
    with pytest.raises(EmbeddingError, match=r"21 samples.*more than 20.*umap or pca, or a view"):
        visualize(make(two_groups(21)), FIELD, method="tsne", fit_at_most=20)
