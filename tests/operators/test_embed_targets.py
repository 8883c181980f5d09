"""What a Python caller may hand to the operators for embeddings."""

from collections.abc import Iterator

import fiftyone as fo
import fiftyone.operators as foo
import pytest

from fiftyone_tator.operators.running import OperatorFailed

OPERATORS = "compute_fastvss_embeddings visualize_embeddings suggest_labels find_suspicious".split()


@pytest.fixture
def two() -> Iterator[tuple[fo.Dataset, fo.Dataset]]:
    found = fo.Dataset(), fo.Dataset()
    for dataset in found:
        dataset.add_samples([fo.Sample(filepath=f"/nowhere/{number}.jpg") for number in range(3)])
    yield found
    for dataset in found:
        dataset.delete()


@pytest.mark.parametrize("name", OPERATORS)
def test_a_view_of_another_dataset_or_in_place_of_one_is_refused_in_words(
    name: str, two: tuple[fo.Dataset, fo.Dataset]
) -> None:
    operator, (one, other) = foo.get_operator(f"@tator/sync/{name}"), two
    with pytest.raises(OperatorFailed, match=f"The view is of dataset '{other.name}', not of '{one.name}'"):
        operator(one, view=other.limit(1))
    with pytest.raises(OperatorFailed, match="takes a dataset; give a view of it as view="):
        operator(one.limit(1))
