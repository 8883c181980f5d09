import json
import uuid
from collections import Counter
from datetime import datetime

import pytest

from fiftyone_tator.sandbox.annotators import BASELINE, MODEL, Localization
from fiftyone_tator.sandbox.demo import ATTRIBUTE_TYPES, PROJECT, Content, Demo, add_demo, build_demo
from fiftyone_tator.sandbox.seed import Seeded
from fiftyone_tator.sandbox.store import Store

InStore = tuple[Store, Seeded, Demo]


def boxes(content: Content, version: str) -> list[Localization]:
    return [found for found in content.localizations if found.dtype == "box" and found.version == version]


def matched(content: Content) -> list[tuple[Localization, Localization]]:
    person, model = (
        {(found.media, found.frame, found.thing): found for found in boxes(content, version) if found.thing}
        for version in (BASELINE, MODEL)
    )
    return [(person[key], model[key]) for key in sorted(person.keys() & model.keys())]


def differ(one: Localization, other: Localization) -> bool:
    return bool(one.attributes["Label"] != other.attributes["Label"])


def test_there_are_enough_boxes(content: Content) -> None:
    """There are at least 1,500 boxes, and at least 700 in each of the two versions."""
    counts = [len(boxes(content, version)) for version in (BASELINE, MODEL)]
    assert sum(counts) >= 1500
    assert min(counts) >= 700
    assert {found.version for found in content.localizations} == {BASELINE, MODEL}


def test_the_versions_disagree_in_places(content: Content) -> None:
    """Of the things that both versions have, 5 to 30 % carry different labels."""
    pairs = matched(content)
    share = sum(differ(one, other) for one, other in pairs) / len(pairs)
    assert 0.05 < share < 0.30


def test_the_detector_misses_and_invents(content: Content) -> None:
    """The detector leaves out 2 to 12 % of the things on images, and 1 to 8 % of its boxes show nothing."""
    person, model = ([box for box in boxes(content, name) if box.frame == 0] for name in (BASELINE, MODEL))
    seen = {(found.media, found.thing) for found in model if found.thing}
    missed = sum((found.media, found.thing) not in seen for found in person)
    invented = sum(found.thing is None for found in model)
    assert 0.02 < missed / len(person) < 0.12
    assert 0.01 < invented / len(model) < 0.08


def test_the_versions_agree_on_where_things_are(content: Content) -> None:
    """Boxes of one thing in the two versions differ, but overlap by half or more for 95 % of the things."""
    good = 0
    pairs = matched(content)
    for one, other in pairs:
        a, b = one.geometry, other.geometry
        assert one.elemental_id != other.elemental_id
        assert a != b
        wide = min(a["x"] + a["width"], b["x"] + b["width"]) - max(a["x"], b["x"])
        high = min(a["y"] + a["height"], b["y"] + b["height"]) - max(a["y"], b["y"])
        common = max(wide, 0) * max(high, 0)
        good += common / (a["width"] * a["height"] + b["width"] * b["height"] - common) >= 0.5
    assert good / len(pairs) > 0.95


def test_wrong_labels_score_lower(content: Content) -> None:
    """The detector is less sure, on the whole, where it disagrees with the person."""
    scores: dict[bool, list[float]] = {True: [], False: []}
    for one, other in matched(content):
        scores[not differ(one, other)].append(other.attributes["score"])
    right, wrong = (sum(values) / len(values) for values in (scores[True], scores[False]))
    assert right - wrong > 0.1


def test_every_type_of_attribute_is_there() -> None:
    """The localization types declare each data type that an attribute can have, and a long string."""
    assert {attribute["dtype"] for attribute in ATTRIBUTE_TYPES} == {
        "bool", "int", "float", "enum", "string", "datetime", "geopos", "float_array",
    }  # fmt: skip
    assert any(attribute.get("style") == "long_string" for attribute in ATTRIBUTE_TYPES)


def test_values_fit_their_types(content: Content) -> None:
    """Each localization has all attributes, each with a value that its data type allows."""
    types = {attribute["name"]: attribute for attribute in ATTRIBUTE_TYPES}
    for found in content.localizations:
        assert found.attributes.keys() == types.keys()
        value = found.attributes
        assert isinstance(value["Label"], str)
        assert isinstance(value["notes"], str)
        assert type(value["verified"]) is bool
        assert type(value["count"]) is int
        assert 0 <= value["score"] <= 1
        assert value["quality"] in types["quality"]["choices"]
        assert datetime.fromisoformat(value["seen_at"]).utcoffset() is not None
        assert len(value["embedding"]) == types["embedding"]["size"]
        longitude, latitude = value["geo"]
        assert -180 <= longitude <= 180
        assert -90 <= latitude <= 90


@pytest.mark.parametrize("name", [attribute["name"] for attribute in ATTRIBUTE_TYPES])
def test_values_vary(content: Content, name: str) -> None:
    """No attribute has the same value everywhere in a version, save that nothing of the detector's is verified."""
    for version in (BASELINE, MODEL):
        values = {str(found.attributes[name]) for found in boxes(content, version)}
        assert len(values) > 1 or (version == MODEL and name in ("verified", "notes"))


def test_geometry_is_inside(content: Content) -> None:
    """Boxes, dots, lines and polygons lie in 0..1, and each dtype has the keys that belong to it."""
    keys = {"box": {"x", "y", "width", "height"}, "dot": {"x", "y"}, "line": {"x", "y", "u", "v"}, "poly": {"points"}}
    assert {found.dtype for found in content.localizations} == keys.keys()
    for found in content.localizations:
        place = found.geometry
        assert place.keys() == keys[found.dtype]
        points = place.get("points") or [
            (place["x"], place["y"]),
            (place["x"] + place.get("width", place.get("u", 0)), place["y"] + place.get("height", place.get("v", 0))),
        ]
        assert all(-1e-9 <= value <= 1 + 1e-9 for point in points for value in point)
        if found.dtype == "box":
            assert min(place["width"], place["height"]) > 0


def test_tracks_are_inside_the_video(content: Content) -> None:
    """A track's localizations are distinct boxes of the video, one a frame, in frames that the video has."""
    by_element = {found.elemental_id: found for found in content.localizations}
    media = {picture.name for picture in content.pictures}
    tracks = [state for state in content.states if state.kind == "Track"]
    assert 6 <= len(tracks) <= 10
    for track in tracks:
        members = [by_element[member] for member in track.members]
        assert all(member.media not in media and member.version == track.version for member in members)
        shown = [member.frame for member in members]
        assert shown == sorted(set(shown))
        assert 0 <= shown[0] <= shown[-1] < content.clip.num_frames


def test_frame_notes_are_inside_the_video(content: Content) -> None:
    """There are frame notes, each at a frame that the video has, and none has members."""
    notes = [state for state in content.states if state.kind == "Frame note"]
    assert notes
    for note in notes:
        assert note.frame is not None
        assert 0 <= note.frame < content.clip.num_frames
        assert not note.members


def test_elemental_ids_are_distinct(content: Content) -> None:
    """Every localization and state has a UUID of its own."""
    ids = [found.elemental_id for found in (*content.localizations, *content.states)]
    assert len(set(ids)) == len(ids)
    assert all(str(uuid.UUID(id_)) == id_ for id_ in ids)


def test_building_twice_gives_the_same(content: Content) -> None:
    """The demo's content depends on nothing but the seed."""
    assert build_demo() == content


def test_another_seed_gives_other_mistakes(content: Content) -> None:
    """With another seed the detector labels other things wrongly, on the same pictures."""
    other = build_demo(1)
    assert other.pictures == content.pictures
    wrong = [
        {(one.media, one.thing, one.frame) for one, two in matched(built) if differ(one, two)}
        for built in (content, other)
    ]
    assert wrong[0] != wrong[1]


def test_what_is_stored_is_what_was_built(content: Content, demo_store: InStore) -> None:
    """The project's rows by version and type are as many as were built."""
    store, _, demo = demo_store
    sql = "select version, type, count(*) from localization where project = ? and live = 2 group by version, type"
    stored = {(row[0], row[1]): row[2] for row in store.rows(sql, (demo.project,))}
    built = Counter(
        (demo.versions[found.version], demo.localization_types[found.dtype]) for found in content.localizations
    )
    assert stored == built


def test_states_point_at_their_localizations(content: Content, demo_store: InStore) -> None:
    """A stored track has the ids of its own elements, and every state has the video as its media."""
    store, _, demo = demo_store
    for state in content.states:
        row = store.row("select id from state where elemental_id = ?", (state.elemental_id,))
        assert row is not None
        sql = """select elemental_id from state_localization join localization on id = localization
                 where state = ? order by id"""
        assert tuple(found[0] for found in store.rows(sql, (row[0],))) == state.members
        media = store.rows("select media from state_media where state = ?", (row[0],))
        assert [found[0] for found in media] == [demo.media["survey_pan.mp4"]]


def test_all_files_are_stored(demo_store: InStore) -> None:
    """Each path and segment_info in media_files names a stored file, of the stated size."""
    store, _, demo = demo_store
    roles = set()
    for row in store.rows("select media_files from media where project = ?", (demo.project,)):
        for role, definitions in json.loads(row[0]).items():
            roles.add(role)
            for definition in definitions:
                assert (store.media_dir / definition["path"]).stat().st_size == definition["size"]
                if role == "streaming":
                    json.loads((store.media_dir / definition["segment_info"]).read_text())
    assert roles == {"image", "thumbnail", "streaming", "archival"}


def test_the_demo_is_made_once(demo_store: InStore) -> None:
    """Adding the demo to a store that has it returns the same ids and adds nothing."""
    store, seeded, demo = demo_store
    before = store.rows("select (select count(*) from localization), (select count(*) from media)")[0][:]
    assert add_demo(store, seeded) == demo
    assert store.rows("select (select count(*) from localization), (select count(*) from media)")[0][:] == before
    assert len(store.rows("select 1 from project where name = ?", (PROJECT,))) == 1
