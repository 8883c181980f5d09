"""What the Annotate tab is told of each field, and what becomes of it when a person changed it."""

from typing import Any

import fiftyone as fo
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiftyone_tator.sync.fields import Field, map_fields
from fiftyone_tator.sync.schemas import (
    CHOICES_AT_MOST,
    activated,
    attribute_schema,
    label_schema,
    merged,
    owned_schema,
    wanted,
)
from fiftyone_tator.sync.scope import Scope
from fiftyone_tator.tator_client import AttributeType, LocalizationType, MediaType, Project

names = st.lists(st.sampled_from("abcdefgh"), unique=True)


def attribute(dtype: str, **more: Any) -> AttributeType:
    return AttributeType.from_json({"name": "it", "dtype": dtype, **more})


def schema(dtype: str, *, used: tuple[str, ...] = (), source: str = "localization", **more: Any) -> Any:
    return attribute_schema(Field("it", "it", dtype, source), [attribute(dtype, **more)], used)


SHOWN = {
    "string": {"type": "str", "component": "text"},
    "int": {"type": "int", "component": "text"},
    "float": {"type": "float", "component": "text"},
    "bool": {"type": "bool", "component": "toggle"},
    "datetime": {"type": "datetime", "component": "datepicker"},
    "geopos": None,
    "float_array": None,
}


@pytest.mark.parametrize("dtype", SHOWN)
def test_each_attribute_type_is_edited_as_what_it_is(dtype: str) -> None:
    assert schema(dtype) == SHOWN[dtype]


def test_few_choices_lie_open_and_many_drop_down() -> None:
    few, many = ["good", "fair", "bad"], [f"class {number}" for number in range(6)]
    assert schema("enum", choices=few) == {"type": "str", "component": "radio", "values": few}
    assert schema("enum", choices=many) == {"type": "str", "component": "dropdown", "values": many}


def test_a_value_that_is_no_choice_any_more_can_be_chosen_lest_the_tab_takes_it_away() -> None:
    assert schema("enum", choices=["good", "bad"], used=("bad", "fair"))["values"] == ["good", "bad", "fair"]


def test_more_choices_than_fiftyone_takes_make_a_text() -> None:
    choices = [str(number) for number in range(CHOICES_AT_MOST + 1)]
    assert schema("enum", choices=choices) == {"type": "str", "component": "text"}


def test_types_that_share_a_field_share_their_choices() -> None:
    shared = [attribute("enum", choices=["a", "b"]), attribute("enum", choices=["b", "c"])]
    found = attribute_schema(Field("it", "it", "enum"), shared)
    assert found is not None and found["values"] == ["a", "b", "c"]


def test_a_number_with_both_bounds_is_a_slider() -> None:
    assert schema("float", minimum=0, maximum=1) == {"type": "float", "component": "slider", "range": [0.0, 1.0]}
    assert schema("int", minimum=0.0, maximum=9.0) == {"type": "int", "component": "slider", "range": [0, 9]}
    assert schema("int", minimum=0) == schema("int", minimum=3, maximum=3) == SHOWN["int"]


def test_what_media_and_unknown_attribute_types_hold_is_read_only() -> None:
    text = {"type": "str", "component": "text", "read_only": True}
    assert schema("enum", choices=["a"], source="media") == schema("blob") == text
    assert schema("geopos", source="media") is None


def test_what_tator_owns_is_read_only() -> None:
    assert owned_schema(fo.IntField()) == {"type": "int", "component": "text", "read_only": True}
    assert owned_schema(fo.ListField()) is None


def test_a_label_of_text_is_chosen_from_the_labels_in_use() -> None:
    found = label_schema([attribute("string")], [], ["crab", "kelp"])
    assert found == {"type": "classification", "component": "radio", "classes": ["crab", "kelp"], "attributes": []}
    assert label_schema([attribute("string")], [], [])["component"] == "text"


def test_a_label_of_an_enum_is_chosen_from_its_choices_alone() -> None:
    found = label_schema([attribute("enum", choices=["kelp", "crab"])], [], ["typo"])
    assert found["classes"] == ["kelp", "crab"]


def test_a_label_without_an_attribute_in_tator_is_read_only() -> None:
    assert label_schema([], [], ["crab"])["read_only"] is True


def test_the_confidence_is_a_number_where_a_type_has_a_score() -> None:
    score = attribute("float", minimum=0, maximum=1)
    expected = {"name": "confidence", "type": "float", "component": "slider", "range": [0.0, 1.0]}
    assert label_schema([], [score], [])["attributes"] == [expected]
    assert label_schema([], [score, attribute("float")], [])["attributes"][0]["component"] == "text"


def test_the_label_comes_first_and_what_is_read_only_last() -> None:
    attributes = [{"name": name, "dtype": dtype} for name, dtype in (("Label", "string"), ("notes", "string"))]
    box = LocalizationType.from_json(
        {"id": 1, "project": 1, "name": "Box", "dtype": "box", "attribute_types": attributes}
    )
    station = {"id": 2, "project": 1, "name": "Image", "dtype": "image", "attribute_types": attributes[1:]}
    media = MediaType.from_json(station)
    project = Project.from_json({"id": 1, "name": "P"})
    scope = Scope("http://tator", project, (), (box,), {2: media}, {})
    have = {name: fo.StringField() for name in ("version", "ground_truth", "media_notes", "mine", "notes")}
    assert list(wanted(scope, map_fields([box], [media]), have, {})) == [
        "ground_truth",
        "notes",
        "version",
        "media_notes",
    ]


def choice(*values: str, **more: Any) -> dict[str, Any]:
    return {"type": "str", "component": "radio", "values": list(values), **more}


def test_a_schema_that_nobody_touched_follows_the_project() -> None:
    assert merged(None, None, choice("a")) == choice("a")
    assert merged(choice("a", "b"), choice("a", "b"), choice("b", "c")) == choice("b", "c")


def test_a_schema_that_somebody_deleted_stays_deleted() -> None:
    assert merged(choice("a"), None, choice("a", "b")) is None


def test_what_somebody_set_stays_and_its_choices_follow_the_project() -> None:
    stored = {"type": "str", "component": "dropdown", "values": ["mine", "b", "a"], "default": "b"}
    found = merged(choice("a", "b", "gone"), stored | {"values": [*stored["values"], "gone"]}, choice("a", "b", "new"))
    assert found == stored | {"values": ["mine", "b", "a", "new"]}


def test_a_choice_that_somebody_took_out_stays_out() -> None:
    assert merged(choice("a", "b"), choice("a"), choice("a", "b", "c")) == choice("a", "c")


def test_a_default_goes_with_its_choice() -> None:
    assert merged(choice("a", "b"), choice("a", "b", default="a"), choice("b")) == choice("b")


def test_what_tator_owns_stays_read_only_whatever_somebody_set() -> None:
    owned = {"type": "str", "component": "text", "read_only": True}
    assert merged(owned, {**owned, "read_only": False}, owned) == owned


@given(names, names, names)
def test_choices_that_somebody_changed_are_neither_lost_nor_doubled(
    published: list[str], stored: list[str], fresh: list[str]
) -> None:
    found = merged(choice(*published), choice(*stored, read_only=False), choice(*fresh))
    assert found is not None
    values = found["values"]
    assert len(values) == len(set(values))
    assert {*stored} - {*published} <= {*values} <= {*stored, *fresh}
    assert {*fresh} - {*published} <= {*values}
    assert not {*values} & ({*published} - ({*fresh} & {*stored}))


@given(names, names)
def test_new_fields_take_their_place_without_moving_the_others(active: list[str], order: list[str]) -> None:
    found = activated(active, {*order[::2]}, order)
    assert [name for name in found if name in active] == active
    assert {*found} == {*active, *order[::2]}


def test_new_fields_come_after_their_neighbours() -> None:
    assert activated([], {"a", "b"}, ["a", "b"]) == ["a", "b"]
    assert activated(["c", "a"], {"b"}, ["a", "b", "c"]) == ["c", "a", "b"]
    assert activated(["c"], {"a"}, ["a", "b", "c"]) == ["a", "c"]
