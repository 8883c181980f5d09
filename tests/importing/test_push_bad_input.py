"""What cannot be pushed is refused before anything is written where that can be known, and named; the rest goes out."""

from typing import Any

import fiftyone as fo
import pytest

from fiftyone_tator.sync.errors import InvalidOption, NotAllowed, NotFromTator
from fiftyone_tator.sync.push_options import parse_push_options
from fiftyone_tator.tator_client import ConnectionFailed, TatorError


@pytest.fixture
def boxes(house: Any) -> list[str]:
    """Four boxes on one picture, imported."""
    media = house.media("img.png")
    made = house.boxes(*(house.spec(media, x=0.1 * n, attributes={"count": n}) for n in range(4)))
    house.run()
    return list(made)


def edit(house: Any, element: str, label: str | None = "eel", **values: Any) -> None:
    sample = house.sample(element)
    sample.ground_truth.label = label
    for name, value in values.items():
        sample[name] = value
    sample.save()


def written(tator: Any) -> list[str]:
    return [r["method"] for r in tator.faults.requests() if r["method"] in ("POST", "PATCH", "DELETE")]


def test_a_dataset_that_was_not_imported_is_refused(house: Any, boxes: list[str]) -> None:
    fo.Dataset("plain")
    house.made.append("plain")
    with pytest.raises(NotFromTator, match=r"not imported from Tator\. Import a project"):
        house.push(name="plain")


def test_a_clone_is_refused_with_the_way_out(house: Any, boxes: list[str], tator: Any) -> None:
    house.dataset().clone("clone")
    house.made.append("clone")
    tator.faults.forget()
    with pytest.raises(NotFromTator, match=r"is missing for dataset 'clone'.*option rebuild"):
        house.push(name="clone")
    assert written(tator) == []


def test_somebody_who_may_only_look_is_refused_before_anything_is_written(
    house: Any, boxes: list[str], tator: Any
) -> None:
    edit(house, boxes[0])
    tator.faults.forget()
    for dry_run in (True, False):
        with pytest.raises(NotAllowed, match=r"may look at project.*not edit it.*Can Edit.*your edits stay"):
            house.push(house.client("viewer"), dry_run=dry_run)
    assert written(tator) == []


def test_a_version_that_is_not_there_is_refused_naming_those_that_are(house: Any, boxes: list[str]) -> None:
    with pytest.raises(InvalidOption, match=r"no version 'Revue'.*Baseline"):
        house.push(version="Revue")


def test_a_version_that_the_user_may_not_write_fails_alone(house: Any, boxes: list[str], tator: Any) -> None:
    house.version("Locked")
    media = house.media("other.png")
    other = house.box(media, version=house.versions["Locked"])
    house.run()
    edit(house, boxes[0])
    edit(house, other)
    locked = house.row(other, "Locked")
    tator.faults.arm(f"PATCH /rest/Localization/{locked.version}", "fail", status=403, times=0)
    try:
        result = house.push()
    finally:
        tator.faults.clear()
    assert (result.changed, result.failed) == (1, 1)
    assert result.failures[0]["elemental_id"] == other
    assert house.row(boxes[0]).attributes["Label"] == "eel"


def test_another_servers_dataset_is_refused(house: Any, boxes: list[str]) -> None:
    from fiftyone_tator.sync.push_options import PushOptions
    from fiftyone_tator.sync.pushing import push_to_tator
    from fiftyone_tator.tator_client import Tator

    with (
        Tator("http://127.0.0.1:9", "x" * 40) as stranger,
        pytest.raises(InvalidOption, match=r"comes from http://127\.0\.0\.1"),
    ):
        push_to_tator(stranger, house.dataset(), PushOptions())


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "a choice that Tator does not know": ({"quality": "superb"}, "none of the project's choices: good, fair, bad"),
    "a number that is none": ({"ground_truth.confidence": float("nan")}, "no number that Tator can store"),
    "a label changed to nothing": ({"ground_truth.label": ""}, "the label was removed"),
    "a bool that was cleared": ({"verified": None}, "it was cleared"),
    "half of a pair in a text": ({"notes": "a\0b"}, "cannot store"),
    "a box beyond the picture": ({"box": [0.5, 0.5, 1.5, 0.5]}, "beyond the picture"),
}


@pytest.mark.parametrize("case", BAD)
def test_one_bad_value_is_named_and_everything_else_is_pushed(
    house: Any, boxes: list[str], tator: Any, case: str
) -> None:
    values, reason = BAD[case]
    sample = house.sample(boxes[0])
    for name, value in {"count": 7, **values}.items():
        sample.set_field(name, value)
    sample.save()
    edit(house, boxes[1])
    result = house.push()
    assert (result.failed, result.failures[0]["elemental_id"]) == (1, boxes[0])
    assert reason in result.failures[0]["reason"]
    assert house.row(boxes[1]).attributes["Label"] == "eel"
    row = house.row(boxes[0])
    assert (row.attributes["count"], row.attributes["Label"], row.attributes["quality"]) == (7, "crab", "good")
    assert house.push().failed == 1, "it is named until somebody repairs it"


def test_forty_thousand_characters_arrive(house: Any, boxes: list[str]) -> None:
    for element in boxes:
        edit(house, element, notes=element + "ü'" * 20_000)
    assert house.push().changed == 4
    assert {house.row(element).attributes["notes"] for element in boxes} == {e + "ü'" * 20_000 for e in boxes}


def test_a_text_that_no_request_can_carry_fails_alone(house: Any, boxes: list[str]) -> None:
    edit(house, boxes[0], notes="x" * 3_000_000)
    edit(house, boxes[1])
    result = house.push()
    assert (result.changed, result.failed, result.failures[0]["elemental_id"]) == (1, 1, boxes[0])


def test_an_attribute_that_tator_has_no_more_is_named(house: Any, boxes: list[str], tator: Any) -> None:
    edit(house, boxes[0], notes="ours")
    store = tator.store
    kept = store.row("select data from localization_type where id = ?", (house.types["Box"],))[0]
    with store.write() as db:
        fewer = kept.replace('"name":"notes"', '"name":"remarks"')
        assert fewer != kept
        db.execute("update localization_type set data = ? where id = ?", (fewer, house.types["Box"]))
    try:
        result = house.push()
    finally:
        with store.write() as db:
            db.execute("update localization_type set data = ? where id = ?", (kept, house.types["Box"]))
    assert (result.changed, result.failed) == (1, 1)
    assert "have no such attribute" in result.failures[0]["reason"]
    assert house.row(boxes[0]).attributes["Label"] == "eel"


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"conflicts": "mine"}, "leave or ours or theirs"),
        ({"history": "none"}, "keep or in_place"),
        ({"deletions": "yes"}, "true or false"),
        ({"dryrun": True}, "Did you mean dry_run"),
        ({"fields": ["Label", ""]}, "fields"),
    ],
)
def test_an_option_that_cannot_be_is_named_with_what_can(params: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidOption, match=words):
        parse_push_options(params)


def test_a_field_that_does_not_travel_is_named_with_those_that_do(house: Any, boxes: list[str]) -> None:
    with pytest.raises(InvalidOption, match=r"no field 'media_Station'.*confidence.*geometry"):
        house.push(fields=["media_Station"])


def test_no_message_shows_a_token(house: Any, boxes: list[str], tator: Any) -> None:
    edit(house, boxes[0])
    token = tator.tokens["editor"]
    tator.faults.arm("PATCH /rest", "drop-connection", times=0)
    try:
        with pytest.raises(TatorError) as caught:
            house.push(house.client(retries=0))
    finally:
        tator.faults.clear()
    assert isinstance(caught.value, ConnectionFailed)
    assert token not in str(caught.value) + repr(caught.value)
    assert house.push().changed == 1
