"""Bulk PATCH and DELETE, with their traps."""

import uuid

import pytest


def labels(rows):
    return [row["attributes"]["Label"] for row in rows]


def test_elements_in_place(api):
    """With elemental_ids and in_place the newest marks change and keep their ids."""
    ids, elements = api.make(3)
    new = api.patch(ids[0], attributes={"count": 5})["id"]
    message = api.bulk({"elemental_ids": elements, "attributes": {"Label": "bulk"}, "in_place": 1}, count=3)
    assert message == "Successfully updated 3 localizations!"
    rows = api.rows(elements)
    assert [(row["id"], row["mark"]) for row in rows] == [(ids[1], 0), (ids[2], 0), (new, 1)]
    assert labels(rows) == ["bulk"] * 3 and api.by_id(ids[0])["attributes"]["Label"] == "fish"


def test_elements_with_new_marks(api, later):
    """With elemental_ids alone every row gets a new mark and a new time."""
    ids, elements = api.make(2)
    time = max(row["modified_datetime"] for row in api.rows(elements))
    later(time)
    api.bulk({"elemental_ids": elements, "attributes": {"Label": "new"}}, count=2)
    rows = api.rows(elements)
    assert [row["mark"] for row in rows] == [1, 1] and not {row["id"] for row in rows} & set(ids)
    assert all(row["modified_datetime"] > time for row in rows)


def test_ids_are_in_place(api, later):
    """With ids the rows change where they are, without a new time."""
    ids, elements = api.make(2)
    before = api.rows(elements)
    later(before[1]["modified_datetime"])
    values = {"Label": "b", "score": 0.75, "verified": True, "count": 3, "quality": "bad"}
    api.bulk({"ids": ids, "attributes": values})
    for old, new in zip(before, api.rows(elements), strict=True):
        assert new == {**old, "attributes": {**old["attributes"], **values}}


def test_stale_ids_report_success(api):
    """A stale id changes its old mark; the answer counts it and nothing visible changes."""
    (id_,), (element,) = api.make()
    api.patch(id_, attributes={"Label": "person"})
    assert api.bulk({"ids": [id_], "attributes": {"Label": "machine"}}) == "Successfully updated 1 localizations!"
    assert api.row(element)["attributes"]["Label"] == "person"
    assert api.by_id(id_)["attributes"]["Label"] == "machine"
    assert "updated 0" in api.bulk({"ids": [2000000000], "attributes": {"Label": "x"}})


def test_count_guards(api):
    """A wrong count refuses a bulk edit and a bulk deletion."""
    ids, elements = api.make(2)
    query = {"version": api.version, "count": 3}
    assert api.refused("PATCH", api.lists, {"ids": ids, "attributes": {"Label": "x"}}, **query) == (
        "Safety check failed - expected 3 but would update 2"
    )
    assert api.refused("DELETE", api.lists, {"ids": ids}, **query) == (
        "Safety check failed - expected 3 but would delete 2"
    )
    assert labels(api.rows(elements)) == ["fish", "fish"]


@pytest.mark.parametrize("body", [{"ids": []}, {"object_ids": [1]}])
def test_no_ids_means_everything(api, body):
    """An empty list or a misspelt key is no filter: all that the query string matches changes."""
    label = str(uuid.uuid4())
    _, elements = api.make(3, attributes={"Label": label})
    change = {**body, "attributes": {"count": 42}, "in_place": 1}
    assert "updated 3" in api.bulk(change, attribute=f"Label::{label}", count=3)
    assert [row["attributes"]["count"] for row in api.rows(elements)] == [42] * 3


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("it's", "syntax error"), ("tab\there", "syntax error"), ("return\r", "syntax error"),
        ("100% sure", "tuple index out of range"),
    ],
)  # fmt: skip
def test_text_that_breaks_statements(api, value, message):
    """Quotes, control characters and percent signs break an edit in place, and pass otherwise."""
    (id_,), (element,) = api.make()
    body = {"elemental_ids": [element], "attributes": {"Label": value}}
    refusal = api.refused("PATCH", api.lists, {**body, "in_place": 1}, version=api.version)
    assert refusal.startswith(message) and api.row(element)["attributes"]["Label"] == "fish"
    assert api.patch(id_, attributes={"Label": value}, in_place=1)["attributes"]["Label"] == value
    api.bulk(body)
    assert api.row(element)["attributes"]["Label"] == value


def test_doubled_text_arrives_single(api):
    """Doubled quotes and percent signs happen to arrive as single ones."""
    _, (element,) = api.make()
    api.bulk({"elemental_ids": [element], "attributes": {"Label": "it''s 100%%"}, "in_place": 1})
    assert api.row(element)["attributes"]["Label"] == "it's 100%"


def test_not_atomic(api):
    """A refusal at the second attribute leaves the first changed."""
    _, elements = api.make(2)
    body = {"elemental_ids": elements, "attributes": {"count": 77, "Label": "it's"}, "in_place": 1}
    api.refused("PATCH", api.lists, body, version=api.version)
    assert [(row["attributes"]["count"], row["attributes"]["Label"]) for row in api.rows(elements)] == [
        (77, "fish"),
        (77, "fish"),
    ]


@pytest.mark.parametrize("attributes", [{"NoSuch": 1}, {"count": "abc"}, {"quality": "worst"}, {"Label": None}])
def test_validation_comes_first(api, attributes):
    """Unknown names and bad values change nothing."""
    ids, elements = api.make(2)
    api.refused("PATCH", api.lists, {"ids": ids, "attributes": {"count": 5, **attributes}}, version=api.version)
    assert [row["attributes"]["count"] for row in api.rows(elements)] == [1, 1]


def test_rows_of_one_type_only(api):
    """Rows of two types are refused."""
    (box,), _ = api.make()
    (dot,) = api.call("POST", api.lists, [api.spec(type=2, attributes={})], 201)["id"]
    refusal = api.refused("PATCH", api.lists, {"ids": [box, dot], "attributes": {"Label": "x"}}, version=api.version)
    assert refusal == "When doing a bulk patch the type id of all objects must be the same."


def test_geometry_is_ignored(api):
    """Geometry in a bulk edit has no effect."""
    _, (element,) = api.make()
    api.bulk({"elemental_ids": [element], "attributes": {"Label": "g"}, "x": 0.9, "in_place": 1})
    assert (api.row(element)["x"], api.row(element)["attributes"]["Label"]) == (0.1, "g")


def test_null_and_reset_in_bulk(api):
    """null_attributes and reset_attributes work in bulk."""
    _, elements = api.make(2)
    api.bulk({"elemental_ids": elements, "null_attributes": ["notes"], "reset_attributes": ["count"], "in_place": 1})
    assert [(row["attributes"]["notes"], row["attributes"]["count"]) for row in api.rows(elements)] == [(None, 0)] * 2


def test_copies_into_a_version(api):
    """new_version copies the rows; with in_place it moves them, without a new time."""
    baseline = api.server.seeded.versions["Baseline"]
    _, elements = api.make(2)
    before = api.rows(elements)
    api.bulk({"elemental_ids": elements[:1], "new_version": baseline, "attributes": {"Label": "copy"}})
    assert labels(api.rows(elements[:1], version=baseline)) == ["copy"] and len(api.rows(elements)) == 2
    api.bulk({"elemental_ids": elements[1:], "new_version": baseline, "in_place": 1})
    (moved,) = api.rows(elements[1:], version=baseline)
    assert moved["modified_datetime"] == before[1]["modified_datetime"]
    assert [row["elemental_id"] for row in api.rows(elements)] == elements[:1]


def test_delete_skips_stale_ids(api):
    """A bulk deletion leaves tombstones and skips ids that are not current; the message tells the number."""
    ids, elements = api.make(3)
    new = api.patch(ids[2], attributes={"Label": "second"})["id"]
    answer = api.call("DELETE", api.lists, {"ids": ids}, version=api.version)
    assert answer["message"] == "Successfully deleted 2 localizations!"
    assert [row["id"] for row in api.rows(elements)] == [new]
    assert sum(row["variant_deleted"] for row in api.rows(elements, show_deleted=1)) == 2


def test_prune_without_a_trace(api):
    """prune with all marks and tombstones leaves nothing."""
    (first, second), elements = api.make(2)
    api.patch(first, attributes={"Label": "second"})
    api.call("DELETE", f"/rest/Localization/{second}", {})
    query = {"version": api.version, "show_all_marks": 1, "show_deleted": 1}
    answer = api.call("DELETE", api.lists, {"elemental_ids": elements, "prune": 1}, **query)
    assert answer["message"] == "Successfully deleted 4 localizations!"
    assert api.rows(elements, show_all_marks=1, show_deleted=1) == []
