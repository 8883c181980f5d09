"""An edit is found whatever route it took; what is no edit is not sent, and is looked at once."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import fiftyone as fo
import fiftyone.core.odm as foo
import numpy as np
import pytest
from fiftyone import ViewField as F

from fiftyone_tator.sync.dataset import dataset_id
from fiftyone_tator.sync.stamps import SETTLED_SECONDS, Stamps


@pytest.fixture
def boxes(house: Any) -> list[str]:
    """Four boxes on one picture, imported."""
    media = house.media("img.png")
    made = house.boxes(*(house.spec(media, x=0.1 * n, attributes={"count": n}) for n in range(4)))
    house.run()
    return list(made)


def save(dataset: Any, element: str) -> None:
    sample = dataset.one(F("elemental_id") == element)
    sample.ground_truth.label = "eel"
    sample.save()


def set_values(dataset: Any, element: str) -> None:
    dataset.set_values("ground_truth.label", {element: "eel"}, key_field="elemental_id")


def autosave(dataset: Any, element: str) -> None:
    for sample in dataset.match(F("elemental_id") == element).iter_samples(autosave=True):
        sample.ground_truth = fo.Classification(label="eel", confidence=0.5)


def map_labels(dataset: Any, element: str) -> None:
    view = dataset.match(F("elemental_id") == element)
    view.map_labels("ground_truth", {"crab": "eel"}).save("ground_truth")


def merge(dataset: Any, element: str) -> None:
    """As an annotation backend does it: by the samples' ids."""
    sample = dataset.one(F("elemental_id") == element).copy()
    other = fo.Dataset()
    other.add_sample(fo.Sample(filepath=sample.filepath, ground_truth=fo.Classification(label="eel", confidence=0.5)))
    dataset.merge_samples(other, fields=["ground_truth"], insert_new=False)
    other.delete()


def annotate(dataset: Any, element: str) -> None:
    """As the App's Annotate tab does it: a JSON patch of the sample's document, saved whole."""
    sample = dataset.one(F("elemental_id") == element)
    document = sample.to_dict(include_private=True)
    document["ground_truth"]["label"] = "eel"
    changed = fo.Sample.from_dict(document)
    sample.update_fields({"ground_truth": changed.ground_truth})
    sample.save()


ROUTES: dict[str, Callable[[Any, str], None]] = {
    "sample.save": save,
    "set_values": set_values,
    "autosave": autosave,
    "a view that maps labels": map_labels,
    "an annotation backend's merge": merge,
    "the Annotate tab": annotate,
}


@pytest.mark.parametrize("route", ROUTES)
def test_an_edit_is_found_whatever_route_it_took(house: Any, boxes: list[str], route: str) -> None:
    ROUTES[route](house.dataset(), boxes[1])
    result = house.push()
    assert (result.looked_at, result.changed, result.flows) == (1, 1, [("crab", "eel", 1)])
    assert [house.row(element).attributes["Label"] for element in boxes] == ["crab", "eel", "crab", "crab"]


def test_an_edit_that_was_taken_back_is_none(house: Any, boxes: list[str]) -> None:
    dataset = house.dataset()
    dataset.set_values("ground_truth.label", {boxes[0]: "eel"}, key_field="elemental_id")
    dataset.set_values("ground_truth.label", {boxes[0]: "crab"}, key_field="elemental_id")
    result = house.push()
    assert (result.looked_at, result.changed, house.marks(boxes[0])) == (1, 0, 1)


def test_tags_and_fields_of_peoples_own_are_no_edits(house: Any, boxes: list[str]) -> None:
    dataset = house.dataset()
    dataset.tag_samples("mine")
    dataset.tag_labels("mine", "ground_truth")
    dataset.add_sample_field("prediction", fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification)
    dataset.set_values("prediction", [fo.Classification(label="eel") for _ in boxes])
    result = house.push()
    assert (result.looked_at, result.changed, {house.marks(element) for element in boxes}) == (4, 0, {1})


def test_an_embedding_is_no_edit_and_is_looked_at_once(house: Any, boxes: list[str]) -> None:
    dataset = house.dataset()
    dataset.set_values("vector", list(np.random.default_rng(0).random((4, 8))))
    assert (house.push().looked_at, house.push().looked_at) == (4, 4), "somebody may still be writing"
    samples = foo.get_db_conn()[dataset._sample_collection_name]
    stamps = Stamps(foo.get_db_conn(), dataset_id(dataset), samples)
    (when,) = samples.distinct("last_modified_at")
    times = dict.fromkeys(samples.distinct("_id"), when)
    assert stamps.restamp(times, when + timedelta(seconds=SETTLED_SECONDS)) == set()
    assert house.push().looked_at == 0
    save(house.dataset(), boxes[0])
    assert house.push().looked_at == 1


def test_a_time_that_an_edit_has_is_never_taken_for_a_stamp(house: Any, boxes: list[str]) -> None:
    dataset = house.dataset()
    samples = foo.get_db_conn()[dataset._sample_collection_name]
    when = samples.find_one()["last_modified_at"] + timedelta(seconds=1)
    stamps = Stamps(foo.get_db_conn(), dataset_id(dataset), samples)
    stamps.acknowledge({when}, {when}, when + timedelta(days=1))
    assert when not in stamps.known()


@pytest.mark.parametrize("number", [0.1, 1e308, 3e20, 5e-324, -0.0, 2.0, 1 / 3])
def test_a_float_is_the_same_after_it_went_to_tator_and_back(house: Any, boxes: list[str], number: float) -> None:
    sample = house.sample(boxes[0])
    sample.ground_truth.confidence = number
    sample["embedding"] = [number, 1.0]
    sample.save()
    assert house.push().changed == (0 if number == 0.5 else 1)
    assert house.push().looked_at == 0
    house.run()
    assert house.sample(boxes[0]).ground_truth.confidence == number
    assert list(house.sample(boxes[0])["embedding"]) == [number, 1.0]


def test_an_edit_that_is_made_while_the_push_runs_goes_out_with_the_next_one(house: Any, boxes: list[str]) -> None:
    """The first edit is agreed on although somebody edited the sample again, so that there is no false conflict."""
    save(house.dataset(), boxes[0])
    again: list[str] = []

    class Meanwhile:
        """Edits the sample again between the request that writes and its answer."""

        def __init__(self) -> None:
            import httpx

            self.inner = httpx.HTTPTransport()

        def __enter__(self) -> "Meanwhile":
            return self

        def __exit__(self, *_: object) -> None:
            self.close()

        def handle_request(self, request: Any) -> Any:
            answer = self.inner.handle_request(request)
            if request.method == "PATCH" and not again:
                again.append("edited")
                house.dataset().set_values("ground_truth.label", {boxes[0]: "cod"}, key_field="elemental_id")
            return answer

        def close(self) -> None:
            self.inner.close()

    house.push(house.client(transport=Meanwhile()))
    assert (house.row(boxes[0]).attributes["Label"], house.sample(boxes[0]).ground_truth.label) == ("eel", "cod")
    result = house.push()
    assert (result.changed, result.conflicts) == (1, 0)
    assert house.row(boxes[0]).attributes["Label"] == "cod"
