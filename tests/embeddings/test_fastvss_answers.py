"""What answers and results mean, without a service."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiftyone_tator.embeddings.answers import check_embeddings, check_knn, decode, shortened
from fiftyone_tator.embeddings.errors import (
    BadVectors,
    EmbeddingError,
    JobGone,
    ServiceAway,
    ServiceRefused,
    TooLarge,
    UnknownProject,
    WorkerFailed,
)

CALL = "GET http://localhost:8000/projects"
NAMES = ["0.jpg", "1.jpg"]

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400) | st.just(1e300),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)
numbers = st.floats(width=32, allow_nan=False, allow_infinity=False)


def result(embeddings: Any, names: Any = None) -> dict[str, Any]:
    return {"filenames": NAMES if names is None else names, "embeddings": embeddings}


def refused(status: int, body: str, content_type: str = "application/json") -> EmbeddingError:
    with pytest.raises(EmbeddingError) as raised:
        decode(status, content_type, body.encode(), call=CALL)
    return raised.value


@given(st.integers(1, 5).flatmap(lambda size: st.lists(st.lists(numbers, min_size=size, max_size=size), min_size=1)))
def test_good_vectors_come_through_as_they_are(rows: list[list[float]]) -> None:
    names = [f"{number}.jpg" for number in range(len(rows))]
    vectors = check_embeddings(json.loads(json.dumps(result(rows, names))), names)
    assert vectors.dtype == np.float32
    assert vectors.tolist() == rows


@given(values | st.builds(result, values, values) | st.builds(result, st.lists(values, min_size=2, max_size=2)))
def test_whatever_comes_back_is_finite_vectors_or_a_clear_error(answer: Any) -> None:
    try:
        vectors = check_embeddings(answer, NAMES)
    except (BadVectors, WorkerFailed) as error:
        assert str(error).endswith("log.") or isinstance(answer, str)
    else:
        assert vectors.shape[0] == 2
        assert np.isfinite(vectors).all()


@given(
    values
    | st.fixed_dictionaries(
        {"filenames": st.just(NAMES), "predictions": values, "scores": values, "ids": values, "output_path": values}
    )
)
def test_whatever_comes_back_is_neighbours_or_a_clear_error(answer: Any) -> None:
    try:
        found = check_knn(answer, NAMES)
    except (BadVectors, WorkerFailed):
        return
    assert len(found) == 2


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (result([[1.0, 2.0]]), "2 pictures were sent, and 1 rows came back"),
        (result([[1.0, 2.0], [1.0]]), "several lengths"),
        (result([[1.0, float("nan")], [1.0, 2.0]]), "1 of 2 vectors hold what is no finite number"),
        (result([[1.0, 1e300], [1.0, 2.0]]), "no finite number"),
        (result([[], []]), "0 numbers"),
        (result([[0.0] * 1537] * 2), "1,537 numbers"),
        (result([["1", "2"], ["3", "4"]]), "no vectors of numbers"),
        (result([1.0, 2.0]), "no vectors of numbers"),
        (result([[1.0], [2.0]], ["1.jpg", "0.jpg"]), "filenames"),
        (result([[1.0], [2.0]], 5), "filenames"),
        ([], "no object"),
        (None, "no object"),
        ({"filenames": NAMES}, "no object with 'embeddings'"),
    ],
)
def test_bad_vectors_are_refused_with_the_reason(answer: Any, why: str) -> None:
    with pytest.raises(BadVectors, match=why):
        check_embeddings(answer, NAMES)


def test_an_empty_result_is_refused() -> None:
    with pytest.raises(BadVectors, match="empty"):
        check_embeddings(result([], []), [])


def test_1536_numbers_are_the_most() -> None:
    assert check_embeddings(result([[0.5] * 1536] * 2), NAMES).shape == (2, 1536)


def test_a_text_for_a_result_is_the_workers_exception_shortened() -> None:
    text = "Traceback (most recent call last):\n" + "  File x\n" * 500 + "RuntimeError: CUDA out of memory"
    with pytest.raises(WorkerFailed) as raised:
        check_embeddings(text, NAMES)
    assert "CUDA out of memory" in str(raised.value)
    assert len(str(raised.value)) < 400


def test_neighbours_come_with_label_distance_and_id_the_nearest_first() -> None:
    columns = {"predictions": [["eel", "crab"], []], "scores": [[0.4, 0.1], []], "ids": [["e1", "c1"], []]}
    first, second = check_knn({"filenames": NAMES, **columns, "output_path": ""}, NAMES)
    assert [(each.label, each.distance, each.id) for each in first] == [("crab", 0.1, "c1"), ("eel", 0.4, "e1")]
    assert second == []


@pytest.mark.parametrize("scores", [[[0.1]], [[float("nan"), 0.1]], [["near", "far"]], [0.1], [None], [[10**400, 1]]])
def test_neighbours_that_do_not_fit_together_are_refused(scores: Any) -> None:
    columns = {"predictions": [["eel", "crab"]], "scores": scores, "ids": [["e1", "c1"]]}
    with pytest.raises(BadVectors):
        check_knn({"filenames": ["0.jpg"], **columns}, ["0.jpg"])


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("Invalid project name kelp", UnknownProject),
        ("Images should be less than batch size 32", TooLarge),
        ("Job ID 1234 does not exist or has expired", JobGone),
        ("Something else", ServiceRefused),
        ({"code": 7}, ServiceRefused),
    ],
)
def test_an_error_with_status_200_is_of_the_kind_that_its_words_say(said: Any, kind: type[EmbeddingError]) -> None:
    assert type(refused(200, json.dumps({"error": said}))) is kind


@pytest.mark.parametrize(
    ("status", "kind", "transient", "hint"),
    [
        (413, TooLarge, False, "smaller batch size"),
        (422, ServiceRefused, False, "Field required"),
        (401, ServiceRefused, False, "name and password"),
        (404, ServiceRefused, False, "/embeddings/{project}/"),
        (429, ServiceAway, True, "later"),
        (500, ServiceAway, True, "later"),
        (502, ServiceAway, True, "later"),
        (304, ServiceRefused, False, "304"),
    ],
)
def test_a_status_says_what_is_wrong(status: int, kind: type[EmbeddingError], transient: bool, hint: str) -> None:
    error = refused(status, '{"detail": [{"msg": "Field required"}]}')
    assert (type(error), error.transient) == (kind, transient)
    assert hint in str(error)


def test_a_web_page_is_no_answer() -> None:
    assert "web page" in str(refused(200, "<!doctype html><title>Sign in</title>", "text/html"))


def test_a_proxys_page_is_quoted_without_its_tags() -> None:
    error = refused(502, "<html><script>alert(1)</script><h1>502 Bad Gateway</h1>nginx</html>", "text/html")
    assert "502 Bad Gateway nginx" in str(error)
    assert "<" not in str(error)


@pytest.mark.parametrize("body", ["", '{"projects": ["re', "[" * 3])
def test_json_that_breaks_off_may_be_better_later(body: str) -> None:
    error = refused(200, body)
    assert (type(error), error.transient) == (ServiceAway, True)


def test_json_that_is_no_object_is_no_fastvss() -> None:
    assert "no Fast-VSS" in str(refused(200, '["hello"]'))


@given(st.text())
def test_a_shortened_text_is_one_short_line(text: str) -> None:
    line = shortened(text)
    assert len(line) <= 310
    assert "\n" not in line
