"""What goes out of an edit is what was edited, by calls that can carry it; what Tator would refuse stays here."""

from datetime import datetime, timezone
from typing import Any

import pytest
from bson import ObjectId
from hypothesis import given
from hypothesis import strategies as st

from fiftyone_tator.sync.fields import map_fields
from fiftyone_tator.sync.mapping import CONFIDENCE, GEOMETRY, LABEL, ValueMap
from fiftyone_tator.sync.outgoing import Change, Outgoing, Way, batches, is_complete, make_change, nulls_of, spec
from fiftyone_tator.sync.values import CONVERTERS, Unsendable, comparable, outgoing
from fiftyone_tator.tator_client import AttributeType, Localization, LocalizationType

ATTRIBUTES = [
    {"name": "Label", "dtype": "enum", "choices": ["crab", "eel"], "default": "crab"},
    {"name": "score", "dtype": "float", "default": 0.0},
    {"name": "verified", "dtype": "bool"},
    {"name": "count", "dtype": "int", "default": None},
    {"name": "notes", "dtype": "string", "default": ""},
    {"name": "seen", "dtype": "datetime", "use_current": True},
    {"name": "where", "dtype": "geopos"},
    {"name": "embedding", "dtype": "float_array"},
]


def kind(dtype: str = "box") -> LocalizationType:
    types = [{"order": order, **attribute} for order, attribute in enumerate(ATTRIBUTES)]
    return LocalizationType.from_json({"id": 1, "project": 7, "name": "Box", "dtype": dtype, "attribute_types": types})


BOX = kind()
FIELDS = map_fields([BOX], [])
VALUES = ValueMap({1: ("Box", "box")}, FIELDS)
TYPES = {attribute.name: attribute for attribute in BOX.attribute_types}


def row(number: int = 0, **attributes: Any) -> Localization:
    keys = dict.fromkeys(name for name in Localization.__slots__ if name != "deleted")
    return Localization.from_json(
        {
            **keys, "id": number, "type": 1, "media": 5, "version": 2, "frame": 0, "mark": 0, "variant_deleted": False,
            "x": 0.1, "y": 0.2, "width": 0.3, "height": 0.4, "elemental_id": f"e{number}",
            "attributes": {"Label": "crab", "score": 0.5, **attributes},
        }
    )  # fmt: skip


def document(**changes: Any) -> dict[str, Any]:
    label = {"_cls": "Classification", "label": "eel", "confidence": 0.75}
    return {
        "_id": ObjectId(), "localization_type": "Box", "box": [0.1, 0.2, 0.3, 0.4], "ground_truth": label,
        "verified": True, "count": 3, "notes": "n", **changes,
    }  # fmt: skip


# ---------------------------------------------------------------------- values

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)))
moments = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1))
sendable = {
    "string": texts,
    "int": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "bool": st.booleans(),
    "datetime": moments.map(lambda when: when.replace(microsecond=when.microsecond // 1000 * 1000)),
    "float_array": st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=4),
}


def of(dtype: str) -> AttributeType:
    return AttributeType.from_json({"name": "x", "dtype": dtype, "order": 0})


@pytest.mark.parametrize("dtype", sendable)
@given(data=st.data())
def test_what_is_sent_comes_back_as_the_value_that_was_stored(dtype: str, data: Any) -> None:
    stored = data.draw(sendable[dtype])
    back = CONVERTERS[dtype](outgoing(of(dtype), stored))
    expected = tuple(stored) if dtype == "float_array" else stored
    assert comparable(dtype, back) == expected


@given(st.floats(-180, 180), st.floats(-90, 90))
def test_a_place_on_the_globe_is_sent_as_longitude_and_latitude(longitude: float, latitude: float) -> None:
    stored = {"_cls": "GeoLocation", "point": {"type": "Point", "coordinates": [longitude, latitude]}}
    assert outgoing(of("geopos"), stored) == [longitude, latitude]


@pytest.mark.parametrize(
    ("dtype", "stored", "reason"),
    [
        ("float", float("nan"), "no number that Tator can store"),
        ("float", float("-inf"), "no number that Tator can store"),
        ("float", "0.5", "no number"),
        ("float", None, "was cleared"),
        ("bool", None, "was cleared"),
        ("datetime", None, "was cleared"),
        ("bool", 1, "neither true nor false"),
        ("int", 1.5, "no whole number"),
        ("int", float("nan"), "no whole number"),
        ("int", True, "no whole number"),
        ("string", "a\0b", "cannot store"),
        ("string", "\ud800", "cannot store"),
        ("string", 5, "no text"),
        ("datetime", "2026-01-01", "no date"),
        ("geopos", {"point": {"coordinates": [200.0, 0.0]}}, "not on the globe"),
        ("float_array", [1.0, float("nan")], "no number"),
    ],
)
def test_what_tator_would_refuse_is_refused_here(dtype: str, stored: Any, reason: str) -> None:
    with pytest.raises(Unsendable, match=reason):
        outgoing(of(dtype), stored)


def test_a_label_that_is_no_choice_is_refused_naming_the_choices() -> None:
    with pytest.raises(Unsendable, match="'shark' is none of the project's choices: crab, eel"):
        outgoing(TYPES["Label"], "shark")


def test_a_time_with_a_zone_is_sent_as_the_same_moment() -> None:
    when = datetime(2026, 5, 4, 3, 2, 1, 500_000, tzinfo=timezone.utc)
    assert outgoing(of("datetime"), when) == "2026-05-04T03:02:01.500+00:00"


# ---------------------------------------------------------------------- changes


def test_a_change_holds_the_edited_fields_under_their_attributes_and_no_other() -> None:
    change, problems = make_change(VALUES, BOX, document(), {LABEL, CONFIDENCE, "count"})
    assert (change.attributes, change.nulls, change.geometry) == ({"Label": "eel", "score": 0.75, "count": 3}, (), {})
    assert (change.fields, problems) == ({LABEL, CONFIDENCE, "count"}, [])


def test_a_value_that_cannot_go_does_not_hold_back_the_others() -> None:
    ours = document(ground_truth={"label": "shark", "confidence": 0.5}, box=[0, 0, 2, 1])
    change, problems = make_change(VALUES, BOX, ours, {LABEL, "count", "verified", GEOMETRY})
    assert change.attributes == {"count": 3, "verified": True}
    assert [problem.partition(" was not sent")[0] for problem in problems] == ["its geometry", "its label"]


@pytest.mark.parametrize("truth", [None, {"label": None}, {"label": ""}])
def test_a_label_changed_to_nothing_is_refused(truth: Any) -> None:
    change, problems = make_change(VALUES, BOX, document(ground_truth=truth), {LABEL})
    assert not change
    assert "the label was removed" in problems[0]


def test_an_attribute_that_its_type_has_no_more_is_named() -> None:
    fewer = LocalizationType.from_json(
        {"id": 1, "project": 7, "name": "Box", "dtype": "box", "attribute_types": [{"order": 0, **ATTRIBUTES[0]}]}
    )
    _, problems = make_change(VALUES, fewer, document(), {"notes"})
    assert problems == ["its notes was not sent: localizations of type 'Box' have no such attribute"]


@pytest.mark.parametrize("box", [None, [], [0.1, 0.2], ["a", 0, 0, 0], [0.1, 0.2, float("nan"), 0.1], [0, 0, 0, 0.5]])
def test_a_geometry_that_is_none_is_refused(box: Any) -> None:
    change, problems = make_change(VALUES, BOX, document(box=box), {GEOMETRY})
    assert (bool(change), len(problems)) == (False, 1)


# ---------------------------------------------------------------------- rows in full


def test_a_row_in_full_says_all_that_it_said_and_the_change() -> None:
    made = spec(row(3, notes="n", count=None), Change({"Label": "eel"}, ("notes",), {"x": 0.5}))
    assert made == {
        "type": 1, "media_id": 5, "version": 2, "frame": 0, "elemental_id": "e3",
        "x": 0.5, "y": 0.2, "width": 0.3, "height": 0.4, "attributes": {"Label": "eel", "score": 0.5},
    }  # fmt: skip
    assert nulls_of(row(3, notes="n", count=None), Change({"Label": "eel"}, ("notes",))) == ("count", "notes")


def test_a_row_is_complete_only_with_every_attribute_that_tator_would_fill_in() -> None:
    full = {"count": 1, "notes": "", "seen": "2026-01-01"}
    assert is_complete(row(**full), Change(), BOX)
    for name in full:
        lacking = {key: value for key, value in full.items() if key != name}
        assert not is_complete(row(**lacking), Change(), BOX)
        assert is_complete(row(**lacking), Change({name: full[name]}), BOX)
    assert not is_complete(row(**full, gone="x"), Change(), BOX), "Tator drops what its type does not have"


# ---------------------------------------------------------------------- batches

changes = st.builds(
    lambda label, notes, moved: Change(
        {k: v for k, v in (("Label", label), ("notes", notes)) if v}, (), {"x": moved} if moved else {}
    ),
    st.sampled_from(["crab", "eel"]),
    st.sampled_from(["", "it's", "plain"]),
    st.sampled_from([0, 0, 0.5, 0.25]),
)
items = st.lists(st.tuples(changes, st.booleans()), max_size=120).map(
    lambda found: [Outgoing(row(n), change, complete) for n, (change, complete) in enumerate(found)]
)


@given(items, st.sampled_from(["keep", "in_place"]))
def test_each_localization_goes_out_once_by_a_call_that_can_carry_it(found: list[Outgoing], history: Any) -> None:
    made = list(batches(found, history))
    sent = [item.theirs.id for batch in made for item in batch.items]
    assert sorted(sent) == [item.theirs.id for item in found]
    for batch in made:
        in_bulk = batch.way in (Way.BULK, Way.BULK_IN_PLACE)
        assert not in_bulk or (len({i.change.key for i in batch.items}) == 1 and batch.items[0].change.fits_bulk)
        assert batch.way is not Way.CREATION or all(item.complete for item in batch.items)
        assert len(batch.items) <= 5_000
        assert not batch.way.in_place or history == "in_place"


@given(items)
def test_the_batches_do_not_depend_on_the_order(found: list[Outgoing]) -> None:
    def plan(some: list[Outgoing]) -> list[tuple[Any, list[int]]]:
        made = [(batch.way.value, sorted(item.theirs.id for item in batch.items)) for batch in batches(some, "keep")]
        return sorted(made) if len(some) <= 25 else sorted({(way, i) for way, ids in made for i in ids})  # type: ignore[arg-type]

    assert plan(found) == plan(found[::-1])


def test_no_batch_holds_more_text_than_a_call_can_carry() -> None:
    found = [Outgoing(row(n), Change({"notes": f"{n} " + "x" * 40_000})) for n in range(200)]
    made = list(batches(found, "keep"))
    assert {batch.way for batch in made} == {Way.CREATION}
    assert max(sum(len(item.change.key) for item in batch.items) for batch in made) < 2_500_000
