"""PATCH and DELETE of one localization, and what happens to marks."""

from concurrent.futures import ThreadPoolExecutor

import pytest


def marks(rows):
    return [(row["id"], row["mark"], row["variant_deleted"]) for row in rows]


def test_patch_makes_a_mark(api, later):
    """A PATCH makes a new id with the next mark; creation stays, modification moves, the message names the old mark."""
    (id_,), (element,) = api.make()
    old = api.row(element)
    later(old["modified_datetime"])
    answer = api.call("PATCH", f"/rest/Localization/{id_}", {"attributes": {"Label": "edited"}})
    new = answer["object"]
    assert answer["message"] == f"Localization {element}@{api.version}/0 successfully updated!"
    assert (new["mark"], new["attributes"]["Label"], new["attributes"]["score"]) == (1, "edited", 0.5)
    assert new["id"] > id_ and new["effective_permission"] == 255
    now = api.row(element)
    assert now["id"] == new["id"] and now["created_datetime"] == old["created_datetime"]
    assert now["modified_datetime"] > old["modified_datetime"]


def test_old_ids_show_old_data(api):
    """An old id still answers with the old data, and show_all_marks lists it."""
    (id_,), (element,) = api.make()
    new = api.patch(id_, attributes={"Label": "edited"})["id"]
    assert (api.by_id(id_)["mark"], api.by_id(id_)["attributes"]["Label"]) == (0, "fish")
    assert marks(api.rows([element])) == [(new, 1, False)]
    assert marks(api.rows([element], show_all_marks=1)) == [(id_, 0, False), (new, 1, False)]


def test_an_edit_through_an_old_id(api):
    """An edit through an old id lands on top of the newest mark."""
    (id_,), (element,) = api.make()
    api.patch(id_, attributes={"count": 7})
    api.patch(id_, attributes={"Label": "late"})
    row = api.row(element)
    assert (row["mark"], row["attributes"]["count"], row["attributes"]["Label"]) == (2, 7, "late")


def test_in_place(api, later):
    """in_place keeps id and mark and moves the time; through an old id it edits the newest mark."""
    (id_,), (element,) = api.make()
    old = api.row(element)
    later(old["modified_datetime"])
    new = api.patch(id_, attributes={"Label": "here"}, in_place=1)
    assert (new["id"], new["mark"]) == (id_, 0) and new["modified_datetime"] > old["modified_datetime"]
    newest = api.patch(id_, attributes={"Label": "next"})["id"]
    api.patch(id_, attributes={"Label": "newest"}, in_place=1)
    assert [api.by_id(one)["attributes"]["Label"] for one in (id_, newest)] == ["here", "newest"]


def test_pedantic(api):
    """pedantic refuses an old id and takes the current one; If-Match means nothing."""
    (id_,), (element,) = api.make()
    new = api.patch(id_, attributes={"Label": "a"}, pedantic=1)["id"]
    path = f"/rest/Localization/{id_}"
    assert api.refused("PATCH", path, {"attributes": {"Label": "b"}, "pedantic": 1}) == (
        f"Pedantic mode is enabled. Can not edit prior object {id_}, must only edit latest mark on version."
        f"Object is mark 0 of 1 for Scratch/{element}"
    )
    assert "Pedantic mode" in api.refused("DELETE", path, {"pedantic": 1})
    assert api.row(element)["id"] == new
    answer = api.http.patch(path, json={"attributes": {"Label": "c"}}, headers={"If-Match": '"nope"'})
    assert answer.status_code == 200


def test_refused_edits(api):
    """Unlike POST, PATCH refuses unknown names; a refusal changes nothing."""
    (id_,), (element,) = api.make()
    path = f"/rest/Localization/{id_}"
    for name in ("NoSuch", "label"):
        refusal = api.refused("PATCH", path, {"attributes": {name: 1}})
        assert refusal == f"Invalid attribute {name} for entity type Box"
    assert api.refused("PATCH", path, {"x": 1.5}) == "Request body validation error"
    assert (api.row(element)["id"], api.row(element)["mark"]) == (id_, 0)


def test_geometry(api):
    """x and y take 0; 0 and null for width and height are ignored with 200."""
    (id_,), (element,) = api.make()
    api.patch(id_, x=0, y=0.25, width=0.125, frame=3, in_place=1)
    api.patch(id_, width=0, in_place=1)
    api.patch(id_, height=None, in_place=1)
    row = api.row(element)
    assert [row[key] for key in ("x", "y", "width", "height", "frame")] == [0, 0.25, 0.125, 0.4, 3]


def test_null_and_reset(api):
    """null_attributes stores null, for a position [-1, -1]; reset_attributes brings the default back."""
    (id_,), (element,) = api.make(attributes={"Label": "x", "count": 9, "geo": [1, 2]})
    api.patch(id_, null_attributes=["Label", "geo"], reset_attributes=["count"], in_place=1)
    found = api.row(element)["attributes"]
    assert (found["Label"], found["geo"], found["count"]) == (None, [-1, -1], 0)
    assert api.refused("PATCH", f"/rest/Localization/{id_}", {"null_attributes": ["NoSuch"]})


def test_by_version_and_element(api):
    """The path of version and element reads any mark, edits and deletes; a deleted element still answers."""
    (id_,), (element,) = api.make()
    path = f"/rest/Localization/{api.version}/{element}"
    new = api.call("PATCH", path, {"attributes": {"Label": "by element"}})["object"]["id"]
    assert api.call("GET", path)["id"] == new and api.call("GET", path, mark=0)["id"] == id_
    answer = api.call("DELETE", path, {})
    assert answer["message"] == f"Localization {api.version}/{element}@@1 successfully deleted!"
    assert api.rows([element]) == [] and api.call("GET", path)["variant_deleted"] is True
    assert api.refused("GET", f"/rest/Localization/{api.version}/nonsense") == "badly formed hexadecimal UUID string"


def test_copy_into_another_version(api):
    """A PATCH with a version copies the row; the old one stays."""
    (id_,), (element,) = api.make()
    baseline = api.server.seeded.versions["Baseline"]
    copy = api.patch(id_, version=baseline, attributes={"Label": "copied"})
    assert (copy["version"], copy["mark"], copy["elemental_id"]) == (baseline, 0, element)
    assert api.row(element)["attributes"]["Label"] == "fish"


def test_delete_leaves_a_tombstone(api, later):
    """DELETE hides the row behind a tombstone that was created at the deletion."""
    (id_,), (element,) = api.make()
    later(api.row(element)["created_datetime"])
    created = api.row(element)["created_datetime"]
    tombstone = api.call("DELETE", f"/rest/Localization/{id_}", {})["id"]
    assert api.rows([element]) == []
    (row,) = api.rows([element], show_deleted=1)
    assert marks([row]) == [(tombstone, 1, True)] and row["created_datetime"] > created
    assert marks(api.rows([element], show_deleted=1, show_all_marks=1)) == [(id_, 0, False), (tombstone, 1, True)]
    assert marks(api.rows([element], show_all_marks=1)) == [(id_, 0, False)]


def test_an_edit_of_a_deleted_element(api):
    """A PATCH of a deleted element succeeds and leaves it deleted."""
    (id_,), (element,) = api.make()
    api.call("DELETE", f"/rest/Localization/{id_}", {})
    answer = api.call("PATCH", f"/rest/Localization/{id_}", {"attributes": {"Label": "ghost"}})
    assert answer["object"]["variant_deleted"] is True and answer["message"].endswith("/1 successfully updated!")
    assert api.rows([element]) == []


def test_post_revives(api):
    """A POST of a deleted element makes it visible again."""
    (id_,), (element,) = api.make()
    api.call("DELETE", f"/rest/Localization/{id_}", {})
    (new,) = api.call("POST", api.lists, [api.spec(elemental_id=element)], 201)["id"]
    assert marks(api.rows([element])) == [(new, 2, False)]


def test_prune_uncovers(api):
    """prune removes one row for good, and the previous mark becomes visible; ids are never used again."""
    (id_,), (element,) = api.make()
    new = api.patch(id_, attributes={"Label": "second"})["id"]
    assert api.call("DELETE", f"/rest/Localization/{new}", {"prune": 1})["id"] == new
    assert api.row(element)["id"] == id_
    assert api.refused("GET", f"/rest/Localization/{new}", status=404)
    assert api.make()[0][0] > new


@pytest.mark.parametrize("prune", [0, 1])
def test_delete_by_an_old_id(api, prune):
    """DELETE by an old id buries the element; prune removes just the old mark."""
    (id_,), (element,) = api.make()
    new = api.patch(id_, attributes={"Label": "second"})["id"]
    api.call("DELETE", f"/rest/Localization/{id_}", {"prune": prune})
    assert [row["id"] for row in api.rows([element])] == ([new] if prune else [])


def test_parallel_edits_leave_one_row(api):
    """Edits at the same time may lose each other, but one row stays visible and every mark is there once."""
    (id_,), (element,) = api.make()
    with ThreadPoolExecutor(8) as pool:
        made = [
            pool.submit(api.patch, id_, attributes={"count": number}, in_place=number % 4 == 0) for number in range(24)
        ]
        ids = {future.result()["id"] for future in made}
    rows = api.rows([element], show_all_marks=1)
    assert [row["mark"] for row in rows] == list(range(len(rows))) and len(rows) == 19
    assert ids <= {row["id"] for row in rows} and api.row(element)["mark"] == 18
