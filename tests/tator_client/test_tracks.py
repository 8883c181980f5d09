from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fiftyone_tator.tator_client import ServerFailed, Tator

Track = Callable[..., int]


@pytest.fixture
def track(scene: Any) -> Any:
    """Makes tracks, which are gone afterwards."""
    made: list[int] = []

    def make(members: list[int], *, media: list[int] | None = None, kind: str = "Track", **more: Any) -> int:
        spec = {
            "type": scene.sandbox.seeded.state_types[kind],
            "version": scene.version,
            "media_ids": media or [scene.sandbox.seeded.media],
            "localization_ids": members,
            "attributes": {},
            **more,
        }
        made.extend(scene.tator._wire.call("POST", f"States/{scene.project}", body=[spec])["id"])
        return made[-1]

    yield make
    for each in made:
        scene.tator._wire.call("DELETE", f"State/{each}", body={})


@pytest.fixture
def another_media(scene: Any) -> int:
    seeded = scene.sandbox.seeded
    return int(
        scene.sandbox.store.add_media(
            scene.project, seeded.media_types["Image"], "b.jpg", [], created_by=seeded.users["admin"]
        )
    )


def ids(scene: Any, media: list[int], kinds: tuple[str, ...] = ("Track",), **more: Any) -> list[int]:
    types = [scene.sandbox.seeded.state_types[kind] for kind in kinds]
    options = {"types": types, "versions": [scene.version], **more}
    return [state.id for state in scene.tator.read_states(scene.project, media_ids=media, **options)]


def test_states_are_found_by_their_media(scene: Any, track: Track, another_media: int) -> None:
    """The tracks on some media come once each with their members, of the types and versions asked for, by id."""
    first, second = (row.id for row in scene.read(*scene.make(2)))
    here, there, both = track([first]), track([second], media=[another_media]), track([first, second])
    spread = track([], media=[scene.sandbox.seeded.media, another_media])
    state = track([], kind="FrameState", frame=3)
    media = scene.sandbox.seeded.media
    assert ids(scene, [media]) == [here, both, spread]
    assert ids(scene, [another_media, media, media]) == [here, there, both, spread]
    assert ids(scene, [another_media], ("Track", "FrameState")) == [there, spread]
    assert ids(scene, [media], ("FrameState", "Track")) == [here, both, spread, state]
    versions = [scene.sandbox.seeded.versions["Baseline"], scene.version]
    assert ids(scene, [another_media], versions=versions) == [there, spread]
    assert ids(scene, [another_media], versions=versions[:1]) == []
    (found,) = (
        each
        for each in scene.tator.read_states(
            scene.project, media_ids=[media], types=[scene.sandbox.seeded.state_types["Track"]], versions=versions
        )
        if each.id == both
    )
    assert found.localizations == (first, second) and found.media == (media,)


def test_deleted_states_and_old_marks_are_not_found(scene: Any, track: Track) -> None:
    """A track that was edited is found by its newest mark, one that was deleted not at all."""
    row = scene.read(*scene.make(1))[0]
    kept, deleted = track([row.id]), track([row.id])
    scene.tator._wire.call("DELETE", f"State/{deleted}", body={})
    edited = scene.tator.update_state_members(kept, remove=[row.id])
    assert edited.id != kept and ids(scene, [row.media]) == [edited.id]


def test_states_of_a_thousand_media_are_asked_for_in_parts(scene: Any, track: Track) -> None:
    """Media go in requests of 500 by PUT; without media, types or versions nothing is asked."""
    made = track([])
    scene.requests("* /")
    scene.sandbox.faults.forget()
    media = [scene.sandbox.seeded.media, *range(10_000, 11_000)]
    assert ids(scene, media) == [made]
    assert ids(scene, []) == ids(scene, media, ()) == ids(scene, media, versions=[]) == []
    assert [each["method"] for each in scene.requests("* /rest/States")] == ["PUT"] * 3


def test_states_that_were_not_asked_for_are_refused(server: Any, token: str) -> None:
    """A server that ignores the filters is not believed."""
    server.will(server.json([{"id": 1, "type": 3, "version": 2}]))
    with Tator(server.url, token) as tator, pytest.raises(ServerFailed, match="not asked for"):
        tator.read_states(1, media_ids=[1], types=[2], versions=[2])


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_track_keeps_its_id_and_survives_a_lost_answer(scene: Any, track: Track, when: str) -> None:
    """Members changed in place leave the track's id and mark; the change is repeated without harm."""
    first, second, third = (row.id for row in scene.read(*scene.make(3)))
    made = track([first, second])
    rule = scene.sandbox.faults.arm("PATCH /rest/State", "drop-connection", when=when)
    state = scene.tator.update_state_members(made, add=[third], remove=[first], in_place=True)
    assert rule.hits == 1
    assert (state.id, state.mark, state.localizations) == (made, 0, (second, third))
    again = scene.tator.update_state_members(made, add=[third], remove=[first], in_place=True)
    assert again.localizations == (second, third) and again.mark == 0
