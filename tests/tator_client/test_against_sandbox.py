from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import stamina

from fiftyone_tator.sandbox.testing import Running
from fiftyone_tator.tator_client import (
    AuthenticationFailed,
    ConnectionFailed,
    ExpiredLink,
    IncompleteAnswer,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    StaleRow,
    Tator,
    TatorError,
)


def test_a_project_is_described(sandbox: Running, tator: Tator) -> None:
    """User, projects, members, versions, types and sections come as data classes."""
    seeded = sandbox.seeded
    assert tator.whoami().username == "editor"
    assert seeded.project in {project.id for project in tator.projects()}
    assert tator.project(seeded.project).permission
    assert {each.username for each in tator.memberships(seeded.project)} >= {"admin", "editor", "viewer"}
    assert {each.name: each.id for each in tator.versions(seeded.project)} == seeded.versions
    assert tator.version(seeded.versions["Scratch"]).name == "Scratch"
    types = {each.dtype: each for each in tator.localization_types(seeded.project)}
    assert {dtype: each.id for dtype, each in types.items()} == seeded.localization_types
    attributes = {each.name: each for each in types["box"].attribute_types}
    assert attributes["quality"].choices == ("good", "fair", "bad") and attributes["quality"].default == "good"
    assert attributes["seen_at"].use_current and not attributes["seen_at"].has_default
    assert attributes["embedding"].size == 4 and attributes["notes"].style == "long_string"
    assert {each.name: each.id for each in tator.media_types(seeded.project)} == seeded.media_types
    assert {each.name: each.id for each in tator.state_types(seeded.project)} == seeded.state_types
    assert seeded.section in {each.id for each in tator.sections(seeded.project)}


@pytest.mark.parametrize(
    ("who", "kind"), [("nobody", AuthenticationFailed), ("outsider", PermissionDenied), ("unknown project", NotFound)]
)
def test_who_may_not_is_told_why(sandbox: Running, who: str, kind: type[TatorError]) -> None:
    """A wrong token, a missing membership and an unknown project are three different exceptions."""
    token = sandbox.tokens.get(who) or ("0" * 40 if who == "nobody" else sandbox.tokens["admin"])
    with Tator(sandbox.url, token) as session, pytest.raises(kind):
        session.count_localizations(999 if who == "unknown project" else sandbox.project)


def test_a_viewer_cannot_write(sandbox: Running, scene: Any) -> None:
    """Writing needs a level that the message names."""
    with Tator(sandbox.url, sandbox.tokens["viewer"]) as session, pytest.raises(PermissionDenied, match="Can Edit"):
        session.create_localizations(scene.project, [scene.spec()])


@pytest.mark.parametrize("kind", ["fail", "cut", "empty", "hang", "slow", "throttle", "drop-connection"])
@pytest.mark.parametrize("page", [0, 1, 3])
def test_reading_survives_a_fault_at_any_page(scene: Any, kind: str, page: int) -> None:
    """One bad answer, of whatever kind and wherever, does not change what is read."""
    elements = scene.make(7)
    with Tator(scene.sandbox.url, scene.sandbox.tokens["editor"], timeout=0.4) as scene.tator:
        rule = scene.sandbox.faults.arm("GET /rest/Localizations", kind, after=page, seconds=0.05)
        assert [row.elemental_id for row in scene.all(page_size=2)] == elements
        assert rule.hits == 1


@pytest.mark.parametrize("path", ["GET /rest/LocalizationCount", "* /rest/Localizations"])
def test_reading_never_ends_well_on_empty_answers(scene: Any, path: str) -> None:
    """A server that keeps answering with nothing makes the reading fail, not end."""
    scene.make(3)
    scene.sandbox.faults.arm(path, "empty", after=1, times=0)
    with pytest.raises(IncompleteAnswer):
        scene.all(page_size=2)


def test_reading_survives_a_restart(scene: Any) -> None:
    """A server that goes away for a moment is waited for."""
    elements = scene.make(5)
    scene.sandbox.faults.arm("GET /rest/Localizations", "restart", after=1, seconds=0.2)
    with stamina.set_testing(False):
        assert [row.elemental_id for row in scene.all(page_size=2)] == elements


def test_a_page_that_hangs_for_ever_is_read_in_another_size(scene: Any) -> None:
    """A page whose answer never ends is got around by asking for another number of rows."""
    elements = scene.make(8)
    with Tator(scene.sandbox.url, scene.sandbox.tokens["editor"], timeout=0.3) as scene.tator:
        scene.sandbox.faults.arm("GET /rest/Localizations", "hang", times=0, query="stop=5")
        assert [row.elemental_id for row in scene.all(page_size=5)] == elements


def test_the_last_row_can_be_read_if_its_page_hangs_for_ever(scene: Any) -> None:
    """If not even one row comes by GET, PUT brings it."""
    elements = scene.make(1)
    with Tator(scene.sandbox.url, scene.sandbox.tokens["editor"], timeout=0.3) as scene.tator:
        scene.sandbox.faults.arm("GET /rest/Localizations", "hang", times=0, query="after=0")
        assert [row.elemental_id for row in scene.all()] == elements


def test_raw_rows_hold_the_fields_that_were_asked_for(scene: Any) -> None:
    """Selected fields come as the server's objects, with the keys that identify a row."""
    scene.make(1, "crab")
    (row,) = scene.all(raw=True, fields=["attributes.Label"])
    assert row.keys() == {"id", "type", "version", "elemental_id", "mark", "attributes"}
    assert row["attributes"] == {"Label": "crab"}


def test_what_changed_since_is_read_with_tombstones(scene: Any) -> None:
    """Rows above an id, with deleted ones, are creations, edits and deletions since."""
    kept, edited, deleted = scene.make(3)
    last = max(row.id for row in scene.read(kept, edited, deleted))
    scene.tator.update_localization(scene.version, edited, attributes={"Label": "new"})
    assert scene.tator.delete_localizations(scene.project, scene.version, [deleted]) == 1
    changes = {row.elemental_id: row.deleted for row in scene.all(after=last, show_deleted=True)}
    assert changes == {edited: False, deleted: True}
    assert scene.read(deleted) == [] and [row.elemental_id for row in scene.read(edited, kept)] == [edited, kept]


def test_counts_take_lists(scene: Any, sandbox: Running) -> None:
    """Counting takes one or several versions, types and media."""
    scene.make(3)
    count = scene.tator.count_localizations
    versions = list(sandbox.seeded.versions.values())
    assert count(scene.project, version=scene.version) == 3
    assert count(scene.project, version=versions, type=[scene.box, scene.line]) == 3
    assert count(scene.project, version=scene.version, media_ids=[sandbox.seeded.media]) == 3
    assert count(scene.project, version=scene.version, type=scene.line) == 0


def test_media_are_read_in_full_and_by_id(sandbox: Running, tator: Tator) -> None:
    """All media come by id, once, and single ones in the order asked for."""
    medias = [media for page in tator.iter_medias(sandbox.project, page_size=1) for media in page]
    assert len(medias) == tator.count_medias(sandbox.project) and sandbox.seeded.media in {each.id for each in medias}
    (media,) = tator.medias(sandbox.project, [sandbox.seeded.media, 999_999, sandbox.seeded.media])
    assert media.id == sandbox.seeded.media and not media.is_video
    assert media.best_image is not None and not media.best_image.is_url
    assert (media.best_image.width, media.best_image.height) == (media.width, media.height)


def test_a_media_is_downloaded_by_its_link(sandbox: Running, tator: Tator, tmp_path: Path) -> None:
    """A presigned media file can be downloaded without a token; a spoilt link has expired."""
    (media,) = tator.medias(sandbox.project, [sandbox.seeded.media], presigned=3600, no_cache=True)
    file = media.best_image
    assert file is not None and file.is_url
    assert tator.download(file, tmp_path / "a.jpg") == file.size == len(tator.fetch(file))
    with pytest.raises(ExpiredLink, match="no_cache"):
        tator.fetch(file.path.replace("X-Amz-Signature=", "X-Amz-Signature=0"))


def test_create_is_cut_into_requests_and_safe_to_repeat(scene: Any) -> None:
    """More than 500 specs go in several requests; a lost answer makes no second element."""
    scene.sandbox.faults.arm("POST /rest/Localizations", "drop-connection", after=1, when="after")
    told: list[int] = []
    specs = [scene.spec(f"label {number}") for number in range(501)]
    ids = scene.tator.create_localizations(scene.project, specs, on_chunk=told.extend)
    assert len(ids) == 501 and told == ids
    rows = scene.all()
    assert [row.attributes["Label"] for row in rows] == [spec["attributes"]["Label"] for spec in specs]
    assert rows[-1].mark == 1 and rows[-1].id == ids[-1]


def test_large_specs_keep_below_the_body_limit(scene: Any) -> None:
    """500 rows of long text are too much for one request and go in several."""
    scene.tator.create_localizations(scene.project, [scene.spec(attributes={"notes": "n" * 6000}) for _ in range(500)])
    requests = scene.requests("POST /rest/Localizations")
    assert len(requests) == 2 and all(request["status"] == 201 for request in requests)


def test_unknown_attributes_are_not_dropped_in_silence(scene: Any) -> None:
    """With the types at hand, an attribute that Tator would drop is refused."""
    types = scene.tator.localization_types(scene.project)
    with pytest.raises(InvalidRequest, match="'label'"):
        scene.tator.create_localizations(scene.project, [scene.spec(attributes={"label": "x"})], types=types)


def test_an_edit_sets_values_nulls_and_geometry(scene: Any) -> None:
    """One edit sets attributes, sets null and moves the box, and returns the row as it is now."""
    (element,) = scene.make(1)
    row = scene.tator.update_localization(
        scene.version, element, attributes={"Label": "it's 100%", "score": None}, geometry={"x": 0.0, "width": 0.5}
    )
    assert row == scene.read(element)[0]
    assert (row.x, row.width, row.mark) == (0, 0.5, 1) and row.attributes["Label"] == "it's 100%"
    assert row.attributes["score"] is None
    again = scene.tator.update_localization(scene.version, element, attributes={"Label": "y"}, in_place=True)
    assert (again.id, again.mark) == (row.id, 1)


def test_an_edit_of_what_is_not_there_fails(scene: Any) -> None:
    """Editing an element that is unknown or deleted fails instead of vanishing."""
    (element,) = scene.make(1)
    scene.tator.delete_localizations(scene.project, scene.version, [element])
    for each in (element, str(uuid4())):
        with pytest.raises(NotFound):
            scene.tator.update_localization(scene.version, each, attributes={"Label": "y"})


def test_an_edit_may_insist_on_the_newest_mark(scene: Any) -> None:
    """An edit of a row that somebody else edited since is refused if so wished."""
    (element,) = scene.make(1)
    (row,) = scene.read(element)
    newer = scene.tator.update_localization(scene.version, element, attributes={"Label": "theirs"}, only_if_id=row.id)
    with pytest.raises(StaleRow):
        scene.tator.update_localization(scene.version, element, attributes={"Label": "ours"}, only_if_id=row.id)
    assert scene.read(element) == [newer]


def test_an_edit_of_nothing_is_refused(scene: Any) -> None:
    """An edit without anything to change is a mistake of the caller."""
    with pytest.raises(InvalidRequest, match="nothing"):
        scene.tator.update_localization(scene.version, "e")


@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize("label", ["plain", 'say "x"\n\\', "it's", "100%", "a\tb", "深海"])
def test_many_get_the_same_value_whatever_it_holds(scene: Any, label: str, in_place: bool) -> None:
    """Values that a bulk edit cannot hold arrive as single edits; the others in one request."""
    elements = scene.make(5)
    update = scene.tator.update_localizations
    assert update(scene.project, scene.version, elements, {"Label": label, "score": None}, in_place=in_place) == 5
    assert scene.labels(*elements) == [label] * 5
    assert {row.mark for row in scene.read(*elements)} == {0 if in_place else 1}
    bulk = scene.requests("PATCH /rest/Localizations")
    single = scene.requests("PATCH /rest/Localization")
    assert (len(bulk), len(single)) == ((0, 5) if label in ("it's", "100%", "a\tb") else (1, 0))
    assert all("count=5" in request["query"] for request in bulk)


def test_changing_nothing_asks_nothing(scene: Any, sandbox: Running) -> None:
    """Empty lists, which mean everything to Tator, are never sent."""
    elements = scene.make(2)
    scene.requests("* /")
    sandbox.faults.forget()
    assert scene.tator.update_localizations(scene.project, scene.version, [], {"Label": "y"}) == 0
    assert scene.tator.update_localizations(scene.project, scene.version, elements, {}) == 0
    assert scene.tator.delete_localizations(scene.project, scene.version, []) == 0
    assert scene.tator.create_localizations(scene.project, []) == []
    assert [request["path"] for request in scene.requests("* /rest")] in ([], ["/rest/User/GetCurrent"])


def test_a_bulk_edit_of_what_is_gone_changes_nothing(scene: Any) -> None:
    """If one of the elements is gone the server refuses the whole request, and nothing changes."""
    kept, gone = scene.make(2)
    scene.tator.delete_localizations(scene.project, scene.version, [gone])
    with pytest.raises(StaleRow, match="Nothing was changed"):
        scene.tator.update_localizations(scene.project, scene.version, [kept, gone], {"Label": "y"})
    assert scene.labels(kept) == ["x"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_deleting_survives_a_lost_answer(scene: Any, when: str) -> None:
    """Whether or not a deletion arrived, looking again finishes it; what is gone counts once."""
    elements = scene.make(4)
    scene.sandbox.faults.arm("DELETE /rest/Localizations", "drop-connection", when=when)
    assert scene.tator.delete_localizations(scene.project, scene.version, elements[:3]) == 3
    assert scene.tator.delete_localizations(scene.project, scene.version, elements[:3]) == 0
    assert [row.elemental_id for row in scene.all()] == elements[3:]
    marks = {row.elemental_id: row.mark for row in scene.all(show_deleted=True)}
    assert sorted(marks.values()) == [0, 1, 1, 1]


def test_a_lost_bulk_edit_with_new_marks_is_left_to_the_caller(scene: Any) -> None:
    """An edit that may have arrived and would add another mark is not repeated, and says so."""
    elements = scene.make(2)
    scene.sandbox.faults.arm("PATCH /rest/Localizations", "drop-connection", when="after")
    with pytest.raises(ConnectionFailed) as caught:
        scene.tator.update_localizations(scene.project, scene.version, elements, {"Label": "y"})
    assert caught.value.outcome_unknown
    assert {row.mark for row in scene.read(*elements)} == {1}
    scene.sandbox.faults.arm("PATCH /rest/Localizations", "drop-connection", when="after")
    assert scene.tator.update_localizations(scene.project, scene.version, elements, {"Label": "z"}, in_place=True) == 2


def test_members_of_a_track_are_exchanged(scene: Any) -> None:
    """A track that holds an old id is given the new one, and is read again with its members."""
    first, second = scene.make(2)
    rows = scene.read(first, second)
    track = scene.sandbox.seeded.state_types["Track"]
    spec = {"type": track, "version": scene.version, "media_ids": [rows[0].media], "attributes": {}}
    body = [{**spec, "localization_ids": [row.id for row in rows]}]
    made = scene.tator._wire.call("POST", f"States/{scene.project}", body=body)["id"][0]
    edited = scene.tator.update_localization(scene.version, first, attributes={"Label": "y"})
    state = scene.tator.update_state_members(made, add=[edited.id], remove=[rows[0].id])
    assert state.id != made and sorted(state.localizations) == sorted([edited.id, rows[1].id])
    assert scene.tator.update_state_members(state.id) == state
    pages = scene.tator.iter_states(scene.project, types=[track], versions=[scene.version])
    assert [each for page in pages for each in page] == [state]
    scene.tator._wire.call("DELETE", f"State/{state.id}", body={})


def test_a_search_passes_what_filters_cannot(scene: Any) -> None:
    """Values with commas and quotes are found by search."""
    scene.make(2, "a,'b'")
    scene.make(1, "other")
    found = scene.tator.count_localizations(
        scene.project, version=scene.version, attribute_in=("Label", ["a,'b'", "none"])
    )
    assert found == 2


def test_media_of_a_version_are_those_with_something_in_it(scene: Any) -> None:
    """Media can be narrowed to those that have a localization in a version, or are in a section."""

    def ids(**options: Any) -> list[int]:
        return [media.id for page in scene.tator.iter_medias(scene.project, **options) for media in page]

    assert ids(version=scene.version) == []
    scene.make(2)
    assert ids(version=scene.version) == [scene.sandbox.seeded.media]
    assert scene.sandbox.seeded.media in ids(section=scene.sandbox.seeded.section)
