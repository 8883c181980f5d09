"""The push as Python callers have it: which samples it is about, what it gives back, what it refuses in words."""

from collections.abc import Callable
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
import pytest

from fiftyone_tator.operators.running import OperatorFailed


@pytest.fixture
def push(village: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """The operator as a function, for a dataset of three crabs and three kelps in which the crabs became eels."""
    monkeypatch.setenv("FIFTYONE_TATOR_URL", village.tator.url)
    monkeypatch.setenv("FIFTYONE_TATOR_TOKEN", village.tator.tokens["editor"])
    monkeypatch.setenv("FIFTYONE_TATOR_DIR", str(village.root))
    village.run()
    dataset = village.dataset()
    dataset.set_values("ground_truth.label", dict.fromkeys(crabs(dataset), "eel"), key_field="id")

    def call(**options: Any) -> dict[str, Any]:
        return dict(foo.get_operator("@tator/sync/push_to_tator")(dataset, **options).result)

    return call


def crabs(dataset: fo.Dataset) -> list[str]:
    return list(dataset.match({"ground_truth.label": "crab"}).values("id"))


def in_tator(house: Any) -> list[str]:
    """The labels in Tator, in the order of the alphabet."""
    kinds, versions = list(house.types.values()), [house.versions["Baseline"]]
    pages = house.client().iter_localizations(house.project, types=kinds, versions=versions)
    return sorted(row.attributes["Label"] for page in pages for row in page)


def test_python_gets_counts_and_label_changes_and_tator_the_labels(village: Any, push: Any) -> None:
    result = push()
    assert (result["changed"], result["failed"], result["fields"]) == (3, 0, {"label": 3})
    assert result["flows"] == [["crab", "eel", 3]]
    assert in_tator(village) == ["eel"] * 3 + ["kelp"] * 3


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(village: Any, push: Any) -> None:
    before = village.stored()
    dry = push(dry_run=True)
    assert in_tator(village) == ["crab"] * 3 + ["kelp"] * 3
    assert village.stored() == before
    wet = push()
    assert (dry.pop("dry_run"), wet.pop("dry_run")) == (True, False)
    assert {**dry, "seconds": 0} == {**wet, "seconds": 0}


def test_only_the_samples_of_a_view_are_pushed(village: Any, push: Any) -> None:
    view = village.dataset().match({"media_name": "img_1.png"})
    assert push(view=view)["changed"] == 1
    assert in_tator(village) == ["crab"] * 2 + ["eel"] + ["kelp"] * 3


def test_only_the_samples_of_an_empty_view_are_pushed(village: Any, push: Any) -> None:
    assert push(view=village.dataset().match({"media_name": "nowhere.png"}))["looked_at"] == 0
    assert push(selected=[])["looked_at"] == 0
    assert in_tator(village).count("crab") == 3


def test_the_samples_of_patches_are_the_samples_that_they_were_made_of(village: Any, push: Any) -> None:
    dataset = village.dataset()
    dataset.add_sample_field("parts", fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    sample = dataset.match({"media_name": "img_1.png", "ground_truth.label": "eel"}).first()
    sample["parts"] = fo.Detections(detections=[fo.Detection(bounding_box=[0, 0, 1, 1])])
    sample.save()
    assert push(view=dataset.to_patches("parts"))["changed"] == 1


def test_only_selected_samples_are_pushed(village: Any, push: Any) -> None:
    eels = village.dataset().match({"ground_truth.label": "eel"}).values("id")
    assert push(selected=eels[:2])["changed"] == 2
    assert in_tator(village).count("crab") == 1


def test_a_selection_without_a_target_is_what_is_meant(village: Any, push: Any) -> None:
    dataset = village.dataset()
    eels = dataset.match({"ground_truth.label": "eel"}).values("id")
    done = foo.execute_operator("@tator/sync/push_to_tator", ctx={"dataset": dataset, "selected": eels[:1]})
    assert done.result["changed"] == 1
    done = foo.execute_operator("@tator/sync/push_to_tator", ctx={"view": dataset.select(eels[1])})
    assert done.result["changed"] == 1


def test_deletions_travel_with_the_whole_dataset_only_and_only_when_told(village: Any, push: Any) -> None:
    dataset = village.dataset()
    dataset.delete_samples(dataset.match({"ground_truth.label": "kelp"}))
    for part in ({"view": dataset.limit(1)}, {"selected": []}):
        with pytest.raises(OperatorFailed, match="Deletions travel with the whole dataset only"):
            push(deletions=True, **part)
    assert (push()["deleted_here"], in_tator(village).count("kelp")) == (3, 3)
    assert (push(deletions=True)["deleted"], in_tator(village)) == (3, ["eel"] * 3)


def test_what_fails_is_listed_with_the_reason(village: Any, push: Any) -> None:
    dataset = village.dataset()
    first = dataset.match({"ground_truth.label": "kelp"}).first()
    first["quality"] = "terrible"
    first.save()
    result = push()
    assert (result["changed"], result["failed"]) == (3, 1)
    (failure,) = result["failures"]
    assert failure["elemental_id"] == first["elemental_id"]
    assert "'terrible' is none of the project's choices: good, fair, bad" in failure["reason"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"conflicts": "mine"}, "conflicts"),
        ({"history": "forget"}, "history"),
        ({"version": "No such version"}, "has no version 'No such version'. The versions are: Baseline"),
        ({"fields": ["colour"]}, "There is no field 'colour' that goes to Tator. There are: "),
        ({"selected": ["nothing"]}, "'nothing' is no id of a sample. Take ids from dataset.values('id')"),
        ({"server": "http://elsewhere.example"}, "The secrets hold no token for http://elsewhere.example"),
    ],
)
def test_options_that_cannot_be_are_refused_in_words(push: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(OperatorFailed) as failure:
        push(**options)
    assert said in str(failure.value)
    assert "\n" not in str(failure.value)


def test_a_user_who_may_only_look_is_told_whom_to_ask(village: Any, push: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIFTYONE_TATOR_TOKEN", village.tator.tokens["viewer"])
    with pytest.raises(OperatorFailed, match="Ask its owner for the level Can Edit; your edits stay here until then"):
        push()


def test_a_dataset_from_elsewhere_and_a_copy_are_refused_in_words(village: Any, push: Any) -> None:
    copy, foreign = village.dataset().clone(), fo.Dataset()
    try:
        for dataset, said in (
            (foreign, "does not come from Tator"),
            (copy, "Import once more with the option rebuild"),
        ):
            with pytest.raises(OperatorFailed, match=said):
                foo.get_operator("@tator/sync/push_to_tator")(dataset)
    finally:
        copy.delete()
        foreign.delete()


def test_only_fields_that_were_named_travel(village: Any, push: Any) -> None:
    dataset = village.dataset()
    dataset.set_values("notes", ["seen"] * len(dataset))
    assert push(fields=("notes",))["fields"] == {"notes": 6}
    assert in_tator(village).count("crab") == 3
    assert push()["fields"] == {"label": 3}
