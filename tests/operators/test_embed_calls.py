"""The operators for embeddings as Python calls them: by the operator itself, and by its address."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import fiftyone as fo
import fiftyone.operators as foo
import numpy as np
import pytest
from fiftyone.core.odm import get_db_conn
from fiftyone.operators.executor import ExecutionError

from fiftyone_tator.operators.running import OperatorFailed

COMPUTE = "@tator/sync/compute_fastvss_embeddings"
MANY = 24


@pytest.fixture(autouse=True)
def no_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FASTVSS_API_URL", raising=False)


@pytest.fixture
def reef(database: Any, tmp_path: Path) -> Iterator[fo.Dataset]:
    """Pictures of two kinds, labelled, with one label that is wrong; not from Tator."""
    samples = []
    for number in range(MANY):
        noise = np.random.default_rng(number).integers(0, 60, (48, 48, 3), dtype=np.uint8)
        noise[..., number % 2 * 2] += 150
        path = tmp_path / f"{number:02}.png"
        cv2.imwrite(str(path), noise)
        label = "red" if number % 2 != (number == 5) else "blue"
        samples.append(fo.Sample(filepath=str(path), ground_truth=fo.Classification(label=label)))
    found = fo.Dataset()
    found.add_samples(samples)
    yield found
    found.delete()


def with_vector(dataset: fo.Dataset, field: str = "descriptor") -> int:
    dataset.reload()
    return len(dataset.exists(field))


def test_a_selection_then_a_view_then_the_rest_get_vectors_once_each(reef: fo.Dataset) -> None:
    compute = foo.get_operator(COMPUTE)
    assert compute(reef, selected=reef.values("id")[:4]).result["embedded"] == 4
    assert compute(reef, view=reef[2:10]).result["embedded"] == 6
    rest = foo.execute_operator(COMPUTE, ctx={"dataset": reef, "params": {"service": "descriptor"}}).result
    assert (rest["embedded"], rest["already"], with_vector(reef)) == (MANY - 10, 10, MANY)


def test_what_was_asked_for_is_made_of_the_vectors(reef: fo.Dataset) -> None:
    made = foo.get_operator(COMPUTE)(reef, map="pca", similarity=True, suggestions=True, brain_key="reef").result[
        "made"
    ]
    assert {name: each.get("problem") for name, each in made.items()} == dict.fromkeys(made)
    assert set(made) == {"map", "similarity", "suggestions"}
    assert made["map"]["key"] == "reef_pca" and made["map"]["key"] in reef.list_brain_runs()
    nearest = reef.sort_by_similarity(reef.first().id, k=3, brain_key=made["similarity"]["key"])
    assert nearest.first().id == reef.first().id


def test_a_map_that_is_older_than_vectors_that_came_is_told_until_none_come(reef: fo.Dataset) -> None:
    compute = foo.get_operator(COMPUTE)
    assert compute(reef, view=reef[:9], map="pca").result["notes"] == []
    notes = compute(reef, view=reef[:20]).result["notes"]
    assert notes == ["The map descriptor_pca was made before these vectors came; make it again (visualize_embeddings)."]
    assert compute(reef, map="pca").result["notes"] == []
    result = compute(reef).result
    assert (result["embedded"], result["notes"]) == (0, [])


def test_a_picture_that_is_gone_is_named_and_the_others_are_embedded(reef: fo.Dataset) -> None:
    Path(reef.first().filepath).unlink()
    result = foo.get_operator(COMPUTE)(reef).result
    assert (result["embedded"], result["failed"]) == (MANY - 1, 1)
    assert result["failures"][0]["picture"] == reef.first().filepath


def test_another_models_vectors_are_refused_with_the_way_out(reef: fo.Dataset) -> None:
    reef.add_sample_field("taken", fo.VectorField)
    with pytest.raises(OperatorFailed, match=r"somebody else made.*Name another field"):
        foo.get_operator(COMPUTE)(reef, field="taken")


def test_a_service_that_no_secret_names_is_not_asked(reef: fo.Dataset) -> None:
    with pytest.raises(OperatorFailed, match="does not name the service http://elsewhere"):
        foo.get_operator(COMPUTE)(reef, service="http://elsewhere")


@pytest.mark.parametrize("delegate", [False, True])
def test_an_address_with_a_password_is_refused_and_not_kept(reef: fo.Dataset, delegate: bool) -> None:
    with pytest.raises(OperatorFailed, match="has a user name or password in it") as refused:
        foo.get_operator(COMPUTE)(reef, service="http://ann:hunter2@vss.org", delegate=delegate)
    assert "hunter2" not in str(refused.value)
    assert "hunter2" not in str(list(get_db_conn()["delegated_ops"].find()))


def test_a_project_given_to_this_machine_is_refused(reef: fo.Dataset) -> None:
    with pytest.raises(OperatorFailed, match="option project belongs to a Fast-VSS, and 'descriptor' is this machine"):
        foo.get_operator(COMPUTE)(reef, service="descriptor", project="reef")


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"ask": "projects", "about": {"service": "http://ann:pw@c"}}, "does not name the service http://c. It names"),
        ({"ask": "projects", "about": {}}, "about should hold 'service', a text"),
        ({"ask": "ready", "about": {"service": "http://c"}}, "does not name the service http://c"),
        ({"ask": "ready", "about": {"service": "http://ann:pw@c"}}, "has a user name or password in it"),
        ({"ask": "ready", "about": {"service": 5}}, "the option service cannot be 5"),
        ({"ask": "ready", "about": {"service": "descriptor", "project": "x"}}, "belongs to a Fast-VSS"),
        ({"ask": "count", "about": {"field": None}}, "about should hold 'field', a text"),
        ({"ask": "weather", "about": {}}, "ask is one of projects, ready, count"),
        ({"ask": ["ready"], "about": {}}, "ask is one of projects, ready, count"),
        ({"ask": "ready"}, "ask and about should say"),
        ({}, "ask and about should say"),
    ],
)
def test_whatever_the_form_asks_that_cannot_be_is_answered_in_words(
    reef: fo.Dataset, params: dict[str, Any], why: str
) -> None:
    answer = foo.execute_operator("@tator/sync/load_embedding_options", ctx={"dataset": reef, "params": params}).result
    assert why in answer["problem"]
    assert "pw" not in answer["problem"]


def test_an_empty_selection_is_refused(reef: fo.Dataset) -> None:
    with pytest.raises(OperatorFailed, match="no sample to embed"):
        foo.get_operator(COMPUTE)(reef, selected=[])


@pytest.mark.parametrize("name", ["visualize_embeddings", "compute_similarity", "suggest_labels", "find_suspicious"])
def test_without_embeddings_the_way_to_them_is_told(reef: fo.Dataset, name: str) -> None:
    with pytest.raises(OperatorFailed, match=r"has no embeddings\. Compute them first"):
        foo.get_operator(f"@tator/sync/{name}")(reef)


def test_of_several_fields_one_is_to_be_named(reef: fo.Dataset) -> None:
    for field in ("one", "two"):
        foo.get_operator(COMPUTE)(reef, field=field)
    visualize = foo.get_operator("@tator/sync/visualize_embeddings")
    with pytest.raises(OperatorFailed, match=r"several fields: one, two\. Name one"):
        visualize(reef, method="pca")
    assert visualize(reef, method="pca", field="two", view=reef[:9]).result["samples"] == 9


def test_a_maps_parameter_that_it_does_not_know_is_told_with_those_that_it_knows(reef: fo.Dataset) -> None:
    foo.get_operator(COMPUTE)(reef)
    with pytest.raises(OperatorFailed, match="no option 'perplexity'"):
        foo.get_operator("@tator/sync/visualize_embeddings")(reef, method="umap", parameters={"perplexity": 3})


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        (
            "visualize_embeddings",
            {"metod": "pca"},
            "Visualize embeddings: .*'metod'. Did you mean method",
        ),
        ("visualize_embeddings", {"method": ["pca"]}, "method cannot be .*umap or tsne or pca"),
        ("visualize_embeddings", {"method": "pca", "parameters": "abc"}, "parameters cannot be 'abc'"),
        (
            "compute_similarity",
            {"backnd": "lancedb"},
            "Compute similarity: .*'backnd'. Did you mean backend",
        ),
        ("compute_similarity", {"metric": "foo"}, "metric 'foo' cannot be used"),
    ],
)
def test_a_wrong_or_misspelt_parameter_is_told(
    reef: fo.Dataset, name: str, params: dict[str, Any], message: str
) -> None:
    foo.get_operator(COMPUTE)(reef)
    with pytest.raises(ExecutionError, match=message):
        foo.execute_operator(f"@tator/sync/{name}", ctx={"dataset": reef, "params": params})
    assert reef.list_brain_runs() == []


def test_what_the_form_keeps_of_another_method_is_no_hindrance(reef: fo.Dataset) -> None:
    foo.get_operator(COMPUTE)(reef)
    params = {"method": "tsne", "perplexity": 4.0, "num_neighbors": 7, "min_dist": 0.2}
    result = foo.execute_operator("@tator/sync/visualize_embeddings", ctx={"dataset": reef, "params": params}).result
    assert result["parameters"]["perplexity"] == 4.0


def test_the_wrong_label_is_found_and_the_right_one_suggested(reef: fo.Dataset) -> None:
    foo.get_operator(COMPUTE)(reef)
    wrong = reef.skip(5).first()
    found = foo.get_operator("@tator/sync/find_suspicious")(reef).result["findings"][0]
    assert (found["first"][0]["sample"], found["first"][0]["label"]) == (wrong.id, "blue")
    foo.get_operator("@tator/sync/suggest_labels")(reef, selected=[wrong.id], k=5)
    reef.reload()
    assert reef[wrong.id].top1_prediction.label == "red"
