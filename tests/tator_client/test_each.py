from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from fiftyone_tator.tator_client import (
    ConnectionFailed,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    StaleRow,
    Tator,
    TatorError,
    with_elemental_ids,
)

BAD = {"score": "bad"}


@pytest.mark.parametrize("bad", [set(), {0}, {3, 4}, {0, 6, 12}, set(range(13))])
def test_one_refused_spec_does_not_hold_up_the_others(scene: Any, bad: set[int]) -> None:
    """What the server refuses is found among the rest of its request; the rest is created, each in its place."""
    specs = [scene.spec(f"{n}", **({"attributes": BAD} if n in bad else {})) for n in range(13)]
    outcomes = scene.tator.create_each(scene.project, specs)
    assert {n for n, outcome in enumerate(outcomes) if isinstance(outcome, InvalidRequest)} == bad
    assert all("float attribute score" in str(outcomes[n]) for n in bad)
    labels = {row.id: row.attributes["Label"] for row in scene.all()}
    assert labels == {outcome: f"{n}" for n, outcome in enumerate(outcomes) if n not in bad}


def test_few_refused_specs_cost_few_requests(scene: Any) -> None:
    """Cutting in halves finds one spec of 500 with some twenty requests."""
    specs = [scene.spec(attributes=BAD if n == 321 else {}) for n in range(500)]
    outcomes = scene.tator.create_each(scene.project, specs)
    assert [n for n, outcome in enumerate(outcomes) if isinstance(outcome, TatorError)] == [321]
    assert len(scene.requests("POST /rest/Localizations")) == 19


def test_specs_that_cannot_be_sent_are_refused_alone(scene: Any) -> None:
    """What need not be sent to know that it is wrong is refused like what the server refuses."""
    element = str(uuid4())
    specs = [
        scene.spec("a", elemental_id=element),
        scene.spec("b", elemental_id=element.upper()),
        scene.spec("c", attributes={"Label": None}),
        scene.spec("d", attributes={"label": "d"}),
        scene.spec("e", x=float("nan")),
        scene.spec("f", attributes={"Label": "\ud800"}),
        scene.spec("g", version=None),
        scene.spec("h", attributes={"Label": "\x00"}),
        scene.spec("i"),
    ]
    told: dict[int, Any] = {}
    types = scene.tator.localization_types(scene.project)
    outcomes = scene.tator.create_each(scene.project, specs, types=types, on_chunk=told.update)
    assert [isinstance(outcome, InvalidRequest) for outcome in outcomes] == [False, *[True] * 7, False]
    assert [told[n] for n in range(9)] == outcomes
    assert {row.attributes["Label"] for row in scene.all()} == {"a", "i"}


def test_a_lost_answer_leaves_one_row_per_element_with_the_new_values(scene: Any) -> None:
    """Edits by creation are repeated after a lost answer: one visible row each, the newest mark holds the values."""
    specs = with_elemental_ids([scene.spec("old") for _ in range(7)])
    first = scene.tator.create_localizations(scene.project, specs)
    scene.sandbox.faults.arm("POST /rest/Localizations", "drop-connection", when="after")
    edits = [{**spec, "x": 0.5, "attributes": {"Label": f"new {n}, 'it' 100%"}} for n, spec in enumerate(specs)]
    ids = scene.tator.create_each(scene.project, edits)
    rows = scene.all()
    assert [row.elemental_id for row in rows] == [spec["elemental_id"] for spec in specs]
    assert [row.id for row in rows] == ids and not set(ids) & set(first)
    assert [(row.attributes["Label"], row.x) for row in rows] == [(f"new {n}, 'it' 100%", 0.5) for n in range(7)]
    assert {row.mark for row in rows} == {2}


def test_long_text_is_written(scene: Any) -> None:
    """40,000 characters in one attribute are no problem; what exceeds the server's body limit is refused alone."""
    notes = ["深" * 40_000, "n" * 2_700_000, "short"]
    specs = [scene.spec(attributes={"notes": each}) for each in notes]
    outcomes = scene.tator.create_each(scene.project, specs)
    assert [isinstance(outcome, InvalidRequest) for outcome in outcomes] == [False, True, False]
    assert {row.attributes["notes"] for row in scene.all()} == {notes[0], notes[2]}


def test_what_is_no_fault_of_a_spec_fails_the_call(scene: Any) -> None:
    """Missing rights and a server that is gone are raised, not blamed on each spec; what was written has been told."""
    with (
        Tator(scene.sandbox.url, scene.sandbox.tokens["viewer"]) as viewer,
        pytest.raises(PermissionDenied),
    ):
        viewer.create_each(scene.project, [scene.spec()])
    scene.sandbox.faults.arm("POST /rest/Localizations", "drop-connection", after=1, times=0)
    told: dict[int, Any] = {}
    with pytest.raises(ConnectionFailed):
        scene.tator.create_each(scene.project, [scene.spec() for _ in range(501)], on_chunk=told.update)
    assert sorted(told) == list(range(500)) and len(scene.all()) == 500


@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize("label", ["plain", "it's 100%"])
def test_elements_that_are_gone_do_not_hold_up_the_others(scene: Any, label: str, in_place: bool) -> None:
    """Deleted and unknown elements are named; the others get the value, whichever way it travels."""
    *kept, gone = scene.make(4)
    scene.tator.delete_localizations(scene.project, scene.version, [gone])
    unknown = str(uuid4())
    failed = scene.tator.update_each(
        scene.project, scene.version, [gone, unknown.upper(), *kept], {"Label": label, "score": None}, in_place=in_place
    )
    assert failed.keys() == {gone, unknown} and all(isinstance(each, NotFound) for each in failed.values())
    rows = scene.read(*kept)
    assert {(row.attributes["Label"], row.attributes["score"]) for row in rows} == {(label, None)}
    assert {row.mark for row in rows} == {0 if in_place else 1}
    (tombstone,) = scene.tator.read_localizations(
        scene.project, elemental_ids=[gone], version=scene.version, show_deleted=True
    )
    assert tombstone.deleted and tombstone.mark == 1


@pytest.mark.parametrize("label", ["plain", "it's"])
def test_a_refused_value_is_refused_for_each_element(scene: Any, label: str) -> None:
    """A value that the server refuses changes nothing, and each element says so."""
    elements = scene.make(3)
    attributes = {"Label": label, "quality": "worst"}
    failed = scene.tator.update_each(scene.project, scene.version, elements, attributes)
    assert failed.keys() == set(elements) and all("enum attribute quality" in str(each) for each in failed.values())
    assert scene.labels(*elements) == ["x"] * 3


def test_counts_that_stay_wrong_are_told_for_each_element(server: Any, token: str) -> None:
    """If the server goes on counting otherwise than it shows, the elements are named as stale after three tries."""
    refusal = server.json({"message": "Safety check failed - expected 2 but would update 3"}, 400)
    elements = ["a", "b"]
    shown = server.json([{"elemental_id": each} for each in elements])
    server.will(*[refusal, shown] * 3)
    with Tator(server.url, token) as tator:
        failed = tator.update_each(1, 2, elements, {"Label": "x"})
    assert failed.keys() == {"a", "b"} and all(isinstance(each, StaleRow) for each in failed.values())
    assert [each.method for each in server.seen] == ["PATCH", "PUT"] * 3


def test_updating_none_asks_nothing(server: Any, token: str) -> None:
    """Without elements or changes nothing is sent."""
    with Tator(server.url, token) as tator:
        assert tator.update_each(1, 2, [], {"Label": "x"}) == {}
        assert tator.update_each(1, 2, ["a"], {}) == {}
        assert tator.create_each(1, []) == []
    assert server.seen == []
