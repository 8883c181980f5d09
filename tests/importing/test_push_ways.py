"""Each edit goes by a call that can carry it, keeps who annotated first where Tator allows, and leaves tracks whole."""

from collections import Counter
from typing import Any

import pytest

MANY = 60


@pytest.fixture
def many(house: Any) -> list[str]:
    """Sixty boxes on two pictures by another user than the one who pushes, imported."""
    media = [house.media(f"img_{number}.png") for number in range(2)]
    author = house.tator.seeded.users["admin"]
    specs = (
        house.spec(media[n % 2], x=0.01 * n, created_by=author, attributes={"count": n, "notes": f"n {n}"})
        for n in range(MANY)
    )
    made = house.boxes(*specs)
    house.run()
    return list(made)


def relabel(house: Any, elements: list[str], labels: list[str]) -> None:
    dataset = house.dataset()
    chosen = dict(zip(elements, labels, strict=True))
    dataset.set_values("ground_truth.label", chosen, key_field="elemental_id")


def writes(tator: Any) -> Counter[tuple[str, str]]:
    """Requests that change localizations, by method and the first part of the path."""
    found = (r for r in tator.faults.requests() if r["method"] in ("POST", "PATCH", "DELETE"))
    return Counter((request["method"], request["path"].split("/")[2]) for request in found)


def test_a_large_group_goes_in_one_call_and_keeps_its_author(house: Any, many: list[str], tator: Any) -> None:
    relabel(house, many, ["eel"] * 30 + ["cod"] * 30)
    tator.faults.forget()
    assert house.push().changed == MANY
    assert writes(tator) == {("PATCH", "Localizations"): 2}
    row = house.row(many[0])
    assert (row.mark, row.created_by, row.modified_by) == (
        1,
        tator.seeded.users["admin"],
        tator.seeded.users["editor"],
    )
    assert Counter(house.row(element).attributes["Label"] for element in many) == {"eel": 30, "cod": 30}


def test_in_place_marks_stay_what_they_are(house: Any, many: list[str], tator: Any) -> None:
    relabel(house, many, ["eel"] * 58 + ["cod"] * 2)
    tator.faults.forget()
    assert house.push(history="in_place").changed == MANY
    assert writes(tator) == {("PATCH", "Localizations"): 2}
    assert {house.row(element).mark for element in many} == {0}
    assert house.row(many[59]).attributes["Label"] == "cod"


def test_many_different_values_go_as_creations_in_full(house: Any, many: list[str], tator: Any) -> None:
    relabel(house, many, [f"it's {n} %" for n in range(MANY)])
    tator.faults.forget()
    assert house.push().changed == MANY
    assert writes(tator) == {("POST", "Localizations"): 1}
    row = house.row(many[7])
    assert (row.attributes["Label"], row.attributes["notes"], row.attributes["count"]) == ("it's 7 %", "n 7", 7)
    assert (row.mark, row.x) == (1, 0.07)
    assert house.push().looked_at == 0


def test_whoever_may_name_authors_keeps_the_first_one_in_creations(house: Any, many: list[str], tator: Any) -> None:
    house.edit(many[0], notes="by the editor")
    editor = house.client().create_localizations(house.project, [wire(house, many[0])])
    assert editor
    house.run()
    relabel(house, many, [f"eel {n}" for n in range(MANY)])
    assert house.push(house.client("admin")).changed == MANY
    assert house.row(many[0]).created_by == tator.seeded.users["editor"]


def wire(house: Any, element: str) -> dict[str, Any]:
    """A localization as a creation under its own elemental id, which makes the caller its author."""
    row = house.row(element)
    keys = ("type", "version", "frame", "x", "y", "width", "height", "elemental_id", "attributes")
    return {"media_id": row.media, **{key: getattr(row, key) for key in keys}}


def test_a_few_different_values_keep_author_and_go_one_by_one(house: Any, many: list[str], tator: Any) -> None:
    relabel(house, many[:5], [f"eel {n}" for n in range(5)])
    tator.faults.forget()
    assert house.push().changed == 5
    assert writes(tator) == {("PATCH", "Localization"): 5}
    assert house.row(many[0]).created_by == tator.seeded.users["admin"]


def test_null_and_what_a_row_lacks_survive_a_creation(house: Any, tator: Any) -> None:
    media = house.media("img.png")
    specs = [house.spec(media, x=0.01 * n) for n in range(40)]
    for number, spec in enumerate(specs):
        if number % 2:
            spec["attributes"] = {**spec["attributes"], "notes": None}
        else:
            spec["attributes"].pop("notes")
    elements = house.boxes(*specs)
    house.run()
    before = {element: house.row(element).attributes for element in elements}
    relabel(house, elements, [f"eel {n}" for n in range(40)])
    assert house.push().changed == 40
    for number, element in enumerate(elements):
        assert house.row(element).attributes == {**before[element], "Label": f"eel {number}"}


def test_a_track_holds_the_new_marks_of_its_localizations(house: Any, many: list[str]) -> None:
    store = house.tator.store
    medias = list(house.media_types.values())
    kind = store.add_state_type(house.project, "Track", "Localization", medias)
    row = {"project": house.project, "type": kind, "version": house.versions["Baseline"], "attributes": {}}
    rows = [house.row(element) for element in many[:3]]
    members = {"localizations": [row.id for row in rows], "media": sorted({row.media for row in rows})}
    store.add_states([{**row, **members, "created_by": house.tator.seeded.users["admin"]}])
    relabel(house, many[:2], ["eel", "cod"])
    assert house.push().changed == 2
    [page] = house.client().iter_states(house.project, types=[kind], versions=[house.versions["Baseline"]])
    assert sorted(page[0].localizations) == sorted(house.row(element).id for element in many[:3])


def test_only_the_chosen_fields_travel(house: Any, many: list[str]) -> None:
    sample = house.sample(many[0])
    sample.ground_truth.label, sample["count"] = "eel", 99
    sample.save()
    assert house.push(fields=["count"]).changed == 1
    assert (house.row(many[0]).attributes["Label"], house.row(many[0]).attributes["count"]) == ("crab", 99)
    assert house.push(fields=["Label"]).changed == 1
    assert house.row(many[0]).attributes["Label"] == "eel"
    assert house.push().looked_at == 0


def test_only_the_chosen_samples_are_pushed(house: Any, many: list[str]) -> None:
    relabel(house, many[:3], ["eel"] * 3)
    samples = [house.sample(element)._id for element in many[:2]]
    assert house.push(samples=samples).changed == 2
    assert [house.row(element).attributes["Label"] for element in many[:3]] == ["eel", "eel", "crab"]
