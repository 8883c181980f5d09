"""Suggestions and suspicious labels as Python and the App call them: their options, their words, their service."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import fiftyone as fo
import fiftyone.operators as foo
import numpy as np
import pytest
from fiftyone.operators.executor import ExecutionContext

from fiftyone_tator.operators.find_suspicious import FindSuspicious
from fiftyone_tator.operators.running import OperatorFailed
from fiftyone_tator.operators.suggest_labels import SuggestLabels
from fiftyone_tator.tests.embeddings.fastvss_model import Project
from fiftyone_tator.tests.embeddings.fastvss_server import FastVSSServer, running
from fiftyone_tator.tests.embeddings.labelled import blobs, labelled, names

SUGGEST, FIND = "@tator/sync/suggest_labels", "@tator/sync/find_suspicious"
KINDS = ("crab", "eel", "kelp")


@pytest.fixture(autouse=True)
def no_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FASTVSS_API_URL", raising=False)


@pytest.fixture
def reef(database: Any) -> Iterator[fo.Dataset]:
    """Vectors, of which every third sample has a label; Tator calls the others unknown."""
    vectors, truth = blobs(120, spread=0.3)
    labels = [name if number % 3 == 0 else "unknown" for number, name in enumerate(names(truth))]
    with labelled(vectors, labels) as (dataset, _):
        yield dataset


def call(name: str, dataset: fo.Dataset, **params: Any) -> Any:
    return foo.execute_operator(name, ctx={"dataset": dataset, "params": params}).result


@pytest.mark.parametrize(
    ("name", "params", "said"),
    [
        (SUGGEST, {"k": -3}, "the option k cannot be -3"),
        (SUGGEST, {"label_field": 3}, "the option label_field cannot be 3"),
        (SUGGEST, {"unlabelled": "ab"}, "the option unlabelled cannot be 'ab'.*a list of texts"),
        (SUGGEST, {"neighbours": 3}, "there is no option 'neighbours'. The options are: .*fields, k"),
        (SUGGEST, {"by": "vote"}, "the option by cannot be 'vote'.*field or service"),
        (FIND, {"percent": 5, "fraction": 0.1}, "Leave one of them out"),
        (FIND, {"fraction": "x"}, "the option fraction cannot be 'x'"),
        (FIND, {"dist": 0.1}, "Did you mean distance"),
    ],
)
def test_what_cannot_be_used_is_told_in_words(reef: fo.Dataset, name: str, params: dict[str, Any], said: str) -> None:
    with pytest.raises(foo.executor.ExecutionError, match=f"OperatorFailed: .*{said}"):
        call(name, reef, **params)


@pytest.mark.parametrize("name", [SUGGEST, FIND])
def test_a_view_in_the_place_of_a_dataset_and_an_empty_selection_are_refused(reef: fo.Dataset, name: str) -> None:
    operator = foo.get_operator(name)
    with pytest.raises(OperatorFailed, match="view="):
        operator(reef.limit(3))
    with pytest.raises(OperatorFailed, match=r"no sample|No sample"):
        operator(reef, selected=[])
    assert not {"top1_prediction", "outlier"} & {*reef.get_field_schema()}


def test_fields_and_views_of_ones_own_names_are_written(reef: fo.Dataset) -> None:
    assert foo.get_operator(SUGGEST)(reef, fields=("best", "next")).result["fields"] == ["best", "next"]
    found = foo.get_operator(FIND)(reef, prefix="reef", percent=20.0).result["findings"]
    assert [each["view"] for each in found] == ["reef: Likely wrong labels", "reef: Near-duplicates", "reef: Outliers"]
    reef.reload()
    assert {"best", "next", "reef_outlier"} < {*reef.get_field_schema()} and not reef.has_field("top1_prediction")


def test_what_nobody_labelled_is_suggested_for_unless_each_label_counts(reef: fo.Dataset) -> None:
    result = foo.get_operator(SUGGEST)(reef).result
    assert (result["labelled"], result["suggested"]) == (40, 80) and "'unknown' (80 samples)" in str(result["notes"])
    assert foo.get_operator(SUGGEST)(reef, unlabelled=[]).result["labelled"] == 120
    assert foo.get_operator(FIND)(reef, unlabelled=()).result["labelled"] == 120
    assert foo.get_operator(FIND)(reef).result["labelled"] == 40


@pytest.mark.parametrize(
    ("operator", "more"), [(SuggestLabels, {"k", "fields"}), (FindSuspicious, {"prefix"})], ids=["suggest", "find"]
)
def test_the_form_names_what_is_taken_for_none_and_has_more_options(
    reef: fo.Dataset, operator: Any, more: set[str]
) -> None:
    def form(**params: Any) -> Any:
        request = {"operator_uri": "x", "dataset_name": reef.name, "params": params}
        return operator().resolve_input(ExecutionContext(request)).type.properties

    assert form()["unlabelled"].default == ["unknown"]
    assert not more & {*form()} and more < {*form(more=True)}


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[FastVSSServer]:
    with running(Project("reef")) as server:
        monkeypatch.setenv("FASTVSS_API_URL", server.url)
        yield server


@pytest.fixture
def pictures(database: Any, tmp_path: Path, service: FastVSSServer) -> Iterator[fo.Dataset]:
    """Pictures of three kinds, some without a label; the service holds others of these kinds. There are no vectors."""

    def picture(name: str, number: int) -> Path:
        noise = np.random.default_rng(number).integers(0, 80, (48, 48, 3), dtype=np.uint8)
        noise[..., number % 3] += 150
        cv2.imwrite(str(tmp_path / name), noise)
        return tmp_path / name

    for number in range(30):
        known = picture("known.png", number).read_bytes()
        service.projects["reef"].know(f"r{number}", KINDS[number % 3], known)
    dataset = fo.Dataset()
    dataset.add_samples(
        fo.Sample(
            filepath=str(picture(f"{number}.png", 100 + number - 100 % 3)),
            ground_truth=fo.Classification(label=KINDS[number % 3] if number < 54 else "unknown"),
        )
        for number in range(60)
    )
    yield dataset
    dataset.delete()


def test_the_labelled_pictures_of_a_service_are_asked(pictures: fo.Dataset, service: FastVSSServer) -> None:
    result = call(SUGGEST, pictures, by="service", service=service.url, project="reef")
    assert (result["suggested"], result["calibrated_on"], result["accuracy"]) == (6, 54, 1.0)
    pictures.reload()
    assert pictures.values("top1_prediction.label")[54:] == [KINDS[number % 3] for number in range(54, 60)]
    assert {post.path.split("/")[1] for post in service.posts()} == {"knn"}


def test_no_service_but_those_in_the_secret_is_asked(pictures: fo.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    suggest = foo.get_operator(SUGGEST)
    with pytest.raises(OperatorFailed, match="does not name the service http://elsewhere"):
        suggest(pictures, by="service", service="http://elsewhere")
    monkeypatch.delenv("FASTVSS_API_URL")
    with pytest.raises(OperatorFailed, match=r"Only a Fast-VSS holds labelled pictures.*FASTVSS_API_URL"):
        suggest(pictures, by="service")


def test_the_form_offers_a_service_where_there_is_one(pictures: fo.Dataset, service: FastVSSServer) -> None:
    def form(**params: Any) -> Any:
        request = {"operator_uri": "x", "dataset_name": pictures.name, "params": params}
        context = ExecutionContext(request, required_secrets=["FASTVSS_API_URL"])
        asyncio.run(context.resolve_secret_values(["FASTVSS_API_URL"]))
        return SuggestLabels().resolve_input(context).type.properties

    assert "closed" in form() and "by" in form()
    fields = form(by="service")
    assert "closed" not in fields and fields["service"].default == service.url
