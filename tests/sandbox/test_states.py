"""Tracks and other states."""

import uuid

import pytest


@pytest.fixture
def track(api):
    """Makes a track; gives its id and element id."""

    def make(localizations, **changes):
        element = str(uuid.uuid4())
        spec = {
            "type": api.server.seeded.state_types["Track"], "media_ids": [api.server.seeded.media],
            "version": api.version, "localization_ids": localizations, "attributes": {}, "elemental_id": element,
            **changes,
        }  # fmt: skip
        made = api.call("POST", api.states, [spec], 201)
        assert made["message"] == "Successfully created 1 states!"
        return made["id"][0], element

    return make


def shown(api, element, **query):
    return api.call("PUT", api.states, {"elemental_ids": [element]}, version=api.version, **query)


def test_a_track(api, track):
    """A track lists localizations and media, and segments of their frames; state_ids finds its members."""
    ids = [api.make(frame=frame)[0][0] for frame in (0, 1, 5)]
    id_, element = track(ids)
    (row,) = shown(api, element)
    assert (row["id"], row["localizations"], row["media"], row["frame"]) == (id_, ids, [1], None)
    assert row["segments"] == [[0, 1], [5, 5]]
    assert row == api.call("GET", f"/rest/State/{id_}")
    found = api.call("PUT", api.lists, {"state_ids": [id_]})
    assert (
        [member["id"] for member in found]
        == ids
        == [member["id"] for member in api.call("GET", api.lists, related_id=id_)]
    )


def test_a_frame_state(api, track):
    """A frame state has a frame, and neither localizations nor segments."""
    id_, _ = track([], type=api.server.seeded.state_types["FrameState"], frame=7)
    row = api.call("GET", f"/rest/State/{id_}")
    assert (row["frame"], row["localizations"], row["segments"]) == (7, [], None)
    assert row["attributes"]["Label"] == "unknown"


def test_tracks_keep_old_ids(api, track):
    """After an edit of a member the track names the old id and shows one row less; in place it stays whole."""
    ids, _ = api.make(2)
    id_, element = track(ids)
    api.patch(ids[1], attributes={"Label": "in place"}, in_place=1)
    new = api.patch(ids[0], attributes={"Label": "moved"})["id"]
    assert shown(api, element)[0]["localizations"] == ids
    assert [row["id"] for row in api.call("PUT", api.lists, {"state_ids": [id_]})] == ids[1:]
    repair = {"localization_ids_add": [new], "localization_ids_remove": ids[:1], "in_place": 1}
    api.call("PATCH", f"/rest/State/{id_}", repair)
    assert shown(api, element)[0]["localizations"] == [ids[1], new]


def test_an_edit_copies_the_members(api, track):
    """An edit of a state makes a new id with its members; the object in the answer has neither these nor media."""
    ids, _ = api.make(2)
    id_, element = track(ids)
    answer = api.call("PATCH", f"/rest/State/{id_}", {"localization_ids_remove": ids[:1]})
    assert answer["message"] == f"State {element}@{api.version}/0 successfully updated!"
    assert answer["object"]["mark"] == 1 and not {"localizations", "media"} & set(answer["object"])
    (row,) = shown(api, element)
    assert (row["mark"], row["localizations"], row["media"]) == (1, ids[1:], [1]) and row["id"] != id_


def test_states_are_found_by_media(api, track):
    """PUT with media_ids lists the visible states on these media; type and version narrow it, [] does not."""
    ids, _ = api.make(1)
    media, other = api.server.seeded.media, 4711
    _, here = track(ids)
    deleted, _ = track(ids)
    api.call("DELETE", f"/rest/State/{deleted}", {})
    kind = api.server.seeded.state_types["Track"]

    def found(media_ids, **query):
        rows = api.call("PUT", api.states, {"media_ids": media_ids}, **{"version": api.version, "merge": 0, **query})
        return {row["elemental_id"] for row in rows}

    assert here in found([media], type=kind) == found([other, media], type=kind) == found([], type=kind)
    assert found([other]) == found([media], type=api.server.seeded.state_types["FrameState"] + 100) == set()
    assert here in found([media], version=f"{api.version},{api.server.seeded.versions['Baseline']}")
    assert deleted not in {row["id"] for row in api.call("PUT", api.states, {"media_ids": [media]})}


def test_states_have_bulk_endpoints(api, track):
    """States are counted, edited, deleted and pruned in bulk like localizations."""
    ids, _ = api.make(1)
    states = [track(ids) for _ in range(2)]
    elements = {"elemental_ids": [element for _, element in states]}
    query = {"version": api.version}
    assert api.call("PUT", f"/rest/StateCount/{api.project}", elements, **query) == 2
    change = {**elements, "attributes": {"Label": "bulk"}, "in_place": 1}
    assert api.call("PATCH", api.states, change, **query)["message"] == "Successfully updated 2 states!"
    assert {row["attributes"]["Label"] for row in api.call("PUT", api.states, elements, **query)} == {"bulk"}
    deleted = api.call("DELETE", f"/rest/State/{states[0][0]}", {})
    assert deleted["message"] == f"State {api.version}/{states[0][1]}@@0 successfully deleted!"
    everything = {**query, "show_all_marks": 1, "show_deleted": 1}
    pruned = api.call("DELETE", api.states, {**elements, "prune": 1}, **everything)
    assert pruned["message"] == "Successfully deleted 3 states!"
    assert api.call("PUT", api.states, elements, **everything) == []


def test_pruned_members_leave_their_track(api, track):
    """A pruned localization is gone from its track."""
    ids, _ = api.make(2)
    _, element = track(ids)
    api.call("DELETE", f"/rest/Localization/{ids[0]}", {"prune": 1})
    assert shown(api, element)[0]["localizations"] == ids[1:]
