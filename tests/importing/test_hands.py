"""Relabelling, verifying, conflicts and the way back to Tator, on imported datasets in a real MongoDB."""

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
import pytest
from bson import ObjectId

from fiftyone_tator.operators.running import OperatorFailed
from fiftyone_tator.sync.dataset import CONFLICT_TAG
from fiftyone_tator.sync.errors import InvalidOption, NotFromTator
from fiftyone_tator.sync.hands import addresses, conflicts, labels, relabel, verify

ENUM = {"name": "Species", "dtype": "enum", "choices": ["crab", "eel", "kelp"], "default": "crab"}


@pytest.fixture
def dataset(village: Any) -> fo.Dataset:
    """Three crabs and three kelps."""
    village.run()
    return village.dataset()


@pytest.fixture
def foreign() -> Iterator[fo.Dataset]:
    dataset = fo.Dataset()
    dataset.add_samples([fo.Sample(filepath="/tmp/a.jpg", ground_truth=fo.Classification(label="cat"))])
    yield dataset
    dataset.delete()


def crabs(dataset: fo.Dataset) -> list[str]:
    return list(dataset.match({"ground_truth.label": "crab"}).values("id"))


def by_id(house: Any) -> dict[str, dict[str, Any]]:
    return {str(document["_id"]): document for document in house.stored()}


def enums(house: Any) -> fo.Dataset:
    """One box each of a type whose label is an enum, of one with text, and a dot without any label."""
    media = house.media("img.png")
    house.type("Animal", "box", [ENUM])
    house.type("Centre", "dot", [{"name": "size", "dtype": "float"}])
    bare = {"width": None, "height": None, "x": 0.5, "y": 0.5}
    house.tator.store.add_localizations(
        [
            house.spec(media, attributes={"Label": "crab"}),
            {**house.spec(media, type=house.types["Animal"]), "attributes": {"Species": "crab"}},
            {**house.spec(media, type=house.types["Centre"], **bare), "attributes": {"size": 1.0}},
        ]
    )
    house.run(types=["Box", "Animal", "Centre"])
    return house.dataset()


def test_relabelling_changes_the_label_and_nothing_else_of_the_samples(village: Any, dataset: fo.Dataset) -> None:
    chosen = crabs(dataset)
    dataset.select(chosen).tag_labels("checked", label_fields="ground_truth")
    before = by_id(village)
    assert relabel(dataset, "eel", chosen).as_json() == {"changed": 3, "same": 0, "left_out": {}}
    after = by_id(village)
    for id_ in chosen:
        assert before[id_]["ground_truth"]["tags"] == ["checked"]
        assert after[id_]["ground_truth"] == {**before[id_]["ground_truth"], "label": "eel"}
        assert after[id_]["ground_truth"]["confidence"] == 0.25
        moved = ("ground_truth", "last_modified_at")
        assert {k: v for k, v in after[id_].items() if k not in moved} == {
            k: v for k, v in before[id_].items() if k not in moved
        }
    assert {id_: after[id_] for id_ in after if id_ not in chosen} == {
        id_: before[id_] for id_ in before if id_ not in chosen
    }


def test_relabelling_moves_last_modified_at_to_the_present(village: Any, dataset: fo.Dataset) -> None:
    chosen, before = crabs(dataset), by_id(village)
    relabel(dataset, "eel", chosen)
    now = datetime.now(timezone.utc).replace(tzinfo=None)
    for id_ in chosen:
        at = by_id(village)[id_]["last_modified_at"]
        assert before[id_]["last_modified_at"] < at
        assert now - timedelta(seconds=60) < at <= now


def test_what_has_the_label_already_is_not_edited(village: Any, dataset: fo.Dataset) -> None:
    before = by_id(village)
    assert relabel(dataset, "crab").as_json() == {"changed": 3, "same": 3, "left_out": {}}
    after = by_id(village)
    had_it = [id_ for id_ in before if before[id_]["ground_truth"]["label"] == "crab"]
    assert [id_ for id_ in after if after[id_] == before[id_]] == had_it


def test_relabelling_gives_a_whole_label_where_there_is_none(dataset: fo.Dataset) -> None:
    first, second, *_ = dataset.values("id")
    dataset.select(first).set_values("ground_truth", [None])
    dataset._sample_collection.update_one({"_id": ObjectId(second)}, {"$unset": {"ground_truth": ""}})
    assert relabel(dataset, "eel", [first, second]).changed == 2
    found = [dataset[id_].ground_truth for id_ in (first, second)]
    assert [(label.label, label.tags, label.confidence) for label in found] == [("eel", [], None)] * 2
    assert found[0].id != found[1].id


def test_relabelling_a_view_relabels_its_samples(dataset: fo.Dataset) -> None:
    assert relabel(dataset.match_tags("none"), "eel").changed == 0
    assert relabel(dataset.limit(2), "eel").changed == 2
    assert dataset.count_values("ground_truth.label")["eel"] == 2


@pytest.mark.parametrize("label", ["", "  ", None])
def test_an_empty_label_is_refused(dataset: fo.Dataset, label: Any) -> None:
    with pytest.raises(InvalidOption, match=r"label is empty, and localizations in Tator need one"):
        relabel(dataset, label)


def test_samples_that_the_caller_holds_show_the_new_label(dataset: fo.Dataset) -> None:
    sample = dataset.first()
    relabel(dataset, "eel", [sample.id])
    assert sample.ground_truth.label == "eel"


def test_an_id_that_is_no_sample_is_told(dataset: fo.Dataset) -> None:
    gone = str(ObjectId())
    assert relabel(dataset, "eel", [gone, dataset.first().id]).left_out == {"not in the dataset any more": 1}
    with pytest.raises(InvalidOption, match="None of the 1 chosen is a sample of dataset"):
        relabel(dataset, "eel", [gone])
    with pytest.raises(InvalidOption, match="id cannot be used"):
        relabel(dataset, "eel", ["frame 3"])


def test_the_labels_in_use_are_offered_where_any_text_may_be_one(dataset: fo.Dataset) -> None:
    relabel(dataset, "eel", [dataset.first().id])
    offered = labels(dataset)
    assert offered.free
    assert {"crab", "kelp"} <= set(offered.choices)


def test_the_choices_of_an_enum_are_offered_and_nothing_else(house: Any) -> None:
    house.type("Animal", "box", [ENUM])
    house.tator.store.add_localizations(
        [{**house.spec(house.media("img.png"), type=house.types["Animal"]), "attributes": {"Species": "crab"}}]
    )
    house.run(types=["Animal"])
    offered = labels(house.dataset())
    assert (offered.choices, offered.free) == (("crab", "eel", "kelp"), False)
    with pytest.raises(InvalidOption, match=r"'squid' is no choice of Species of type Animal \(crab, eel, kelp\)"):
        relabel(house.dataset(), "squid")


def test_samples_whose_type_does_not_take_the_label_are_left_out_and_told(house: Any) -> None:
    dataset = enums(house)
    edited = relabel(dataset, "squid")
    assert edited.changed == 1
    assert set(edited.left_out.values()) == {1}
    assert sorted(edited.left_out) == [
        "'squid' is no choice of Species of type Animal (crab, eel, kelp)",
        "type Centre has no label in Tator",
    ]
    assert edited.sentence("labelled squid").startswith("1 sample is now labelled squid. 1 left out: ")
    found = dict(zip(*dataset.values(["localization_type", "ground_truth.label"]), strict=True))
    assert found == {"Box": "squid", "Animal": "crab", "Centre": None}


def test_verifying_sets_the_attribute_that_is_called_verified(village: Any, dataset: fo.Dataset) -> None:
    chosen, before = crabs(dataset), by_id(village)
    assert verify(dataset, chosen).as_json() == {"changed": 3, "same": 0, "left_out": {}}
    after = by_id(village)
    assert {id_ for id_ in after if after[id_]["verified"]} == set(chosen)
    assert all(before[id_]["last_modified_at"] < after[id_]["last_modified_at"] for id_ in chosen)
    assert verify(dataset, chosen[:1], value=False).changed == 1
    assert dataset.count_values("verified") == {True: 2, False: 4}


@pytest.mark.parametrize(("name", "field"), [("Verified", "Verified"), ("Is Verified", "Is Verified")])
def test_the_verified_attribute_is_found_in_other_spellings(house: Any, name: str, field: str) -> None:
    house.type("Animal", "box", [ENUM, {"name": name, "dtype": "bool"}])
    house.tator.store.add_localizations([
        {**house.spec(house.media("img.png"), type=house.types["Animal"]), "attributes": {"Species": "crab"}}
    ])  # fmt: skip
    house.run(types=["Animal"])
    assert verify(house.dataset()).changed == 1
    assert house.dataset().first()[field] is True


def test_without_a_verified_attribute_the_others_are_named(house: Any) -> None:
    house.type("Animal", "box", [ENUM, {"name": "Checked twice", "dtype": "bool"}])
    house.tator.store.add_localizations([
        {**house.spec(house.media("img.png"), type=house.types["Animal"]), "attributes": {"Species": "crab"}}
    ])  # fmt: skip
    house.run(types=["Animal"])
    with pytest.raises(InvalidOption, match=r"is called verified. Name one of: Checked twice \(attribute\)"):
        verify(house.dataset())
    with pytest.raises(InvalidOption, match=r"'Species' is no bool attribute of the localizations. Name one of"):
        verify(house.dataset(), attribute="Species")
    assert verify(house.dataset(), attribute="Checked twice").changed == 1


def test_without_any_bool_attribute_that_is_said(house: Any) -> None:
    house.type("Animal", "box", [ENUM])
    house.tator.store.add_localizations([
        {**house.spec(house.media("img.png"), type=house.types["Animal"]), "attributes": {"Species": "crab"}}
    ])  # fmt: skip
    house.run(types=["Animal"])
    with pytest.raises(InvalidOption, match="They have no bool attribute at all; add one to their type in Tator"):
        verify(house.dataset())


def test_samples_whose_type_lacks_the_verified_attribute_are_left_out_and_told(house: Any) -> None:
    dataset = enums(house)
    edited = verify(dataset)
    assert edited.changed == 1
    assert edited.left_out == {"type Animal has no attribute verified": 1, "type Centre has no attribute verified": 1}


def test_the_conflicts_are_the_samples_with_the_conflict_tag(dataset: fo.Dataset) -> None:
    assert conflicts(dataset)[1] == 0
    dataset.limit(2).tag_samples(CONFLICT_TAG)
    view, found = conflicts(dataset)
    assert found == 2
    assert view.values("id") == dataset.limit(2).values("id")


def test_addresses_come_in_the_order_in_which_samples_were_named(dataset: fo.Dataset) -> None:
    last, first = dataset.last(), dataset.first()
    assert addresses(dataset, [last.id, first.id]) == [
        (f"{sample.ground_truth.label} in {sample.media_name}", sample.tator_url) for sample in (last, first)
    ]
    assert len(addresses(dataset, dataset.values("id"), 4)) == 4


def test_an_address_that_is_not_of_the_web_is_not_opened(dataset: fo.Dataset) -> None:
    id_ = dataset.first().id
    dataset._sample_collection.update_one({"_id": ObjectId(id_)}, {"$set": {"tator_url": "javascript:alert(1)"}})
    with pytest.raises(InvalidOption, match="None of these 1 is a sample with an address in Tator"):
        addresses(dataset, [id_])


def test_a_dataset_from_elsewhere_is_refused_in_words(foreign: fo.Dataset) -> None:
    ids = foreign.values("id")
    for act in (
        lambda: relabel(foreign, "eel"),
        lambda: verify(foreign),
        lambda: conflicts(foreign),
        lambda: addresses(foreign, ids),
    ):
        with pytest.raises(NotFromTator, match=r"does not come from Tator. Open one that does"):
            act()


def operator(name: str) -> Any:
    return foo.get_operator(f"@tator/sync/{name}")


def test_operators_can_be_called_from_python(dataset: fo.Dataset) -> None:
    ids = dataset.values("id")
    assert operator("relabel_selected")(dataset, label="eel").result == {"changed": 6, "same": 0, "left_out": {}}
    assert operator("relabel_selected")(dataset, label="ray", selected=ids[:2]).result["changed"] == 2
    assert operator("relabel_selected")(dataset.skip(5), label="ray").result["changed"] == 1
    assert operator("verify_selected")(dataset.limit(2)).result["changed"] == 2
    assert operator("verify_selected")(dataset, value=False).result == {"changed": 2, "same": 4, "left_out": {}}
    assert operator("show_conflicts")(dataset).result == {"conflicts": 0}
    assert operator("open_in_tator")(dataset, selected=ids[:1]).result == {"urls": [dataset.first().tator_url]}
    assert dataset.count_values("ground_truth.label") == {"ray": 3, "eel": 3}


def test_operators_can_be_executed_on_a_selection(dataset: fo.Dataset) -> None:
    ctx = {"dataset": dataset, "selected": dataset.values("id")[:2], "params": {"label": "eel"}}
    assert foo.execute_operator("@tator/sync/relabel_selected", ctx=ctx).result["changed"] == 2
    ctx = {"dataset": dataset, "current_sample": dataset.last().id, "params": {"label": "ray"}}
    assert foo.execute_operator("@tator/sync/relabel_selected", ctx=ctx).result["changed"] == 1
    assert dataset.last().ground_truth.label == "ray"


def test_operators_tell_python_what_is_wrong_in_words(dataset: fo.Dataset, foreign: fo.Dataset) -> None:
    with pytest.raises(OperatorFailed, match=r"^The label is empty"):
        operator("relabel_selected")(dataset, label=" ")
    with pytest.raises(OperatorFailed, match="does not come from Tator"):
        operator("relabel_selected")(foreign, label="eel")
    with pytest.raises(OperatorFailed, match=r"^There is no sample to do this to"):
        operator("verify_selected")(dataset, selected=[])
    assert dataset.count_values("ground_truth.label") == {"crab": 3, "kelp": 3}
