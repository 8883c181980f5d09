"""Pushes to a server that fails, lies or refuses, and beside people who go on working."""

import json
import threading
from collections.abc import Callable
from typing import Any

import fiftyone as fo
import httpx
import pytest
from bson import ObjectId

from fiftyone_tator.sync.errors import Busy, NotAllowed
from fiftyone_tator.tator_client import TatorError
from fiftyone_tator.tests.importing.scene import DECIDED, GROUP, MOVED, NEW, OPTIONS, QUIET, SINGLE, Scene, check

BULK, SINGLES, CREATION = "PATCH /rest/Localizations", "PATCH /rest/Localization", "POST /rest/Localizations"
MEMBERS, DELETION = "PATCH /rest/State", "DELETE /rest/Localizations"
READING, TRACKS = "PUT /rest/Localizations", "PUT /rest/States"
LOST = [(kind, "after") for kind in ("fail", "empty", "hang", "drop-connection")]
UNHEARD = [("cut", "before"), ("throttle", "before")]


@pytest.fixture(scope="module")
def made(shared_house: Any) -> Scene:
    return Scene(shared_house)


@pytest.fixture(scope="module")
def clean(made: Scene) -> Any:
    """What a push makes while nothing happens."""
    made.house.push(**OPTIONS)
    return {**made.everything(), "marks": made.marks()}


@pytest.fixture
def scene(made: Scene, clean: Any) -> Scene:
    made.restore()
    return made


@pytest.mark.parametrize(("kind", "when"), [*LOST, *UNHEARD])
@pytest.mark.parametrize("match", [BULK, SINGLES, CREATION, MEMBERS, DELETION])
def test_a_write_that_fails_is_done_once_in_the_end(
    scene: Scene, clean: Any, tator: Any, match: str, kind: str, when: str
) -> None:
    fail(scene, match, kind, when=when)
    scene.house.push(**OPTIONS)
    check(scene, clean)
    scene.check_journal()


@pytest.mark.parametrize("match", [SINGLES, MEMBERS, READING])
@pytest.mark.parametrize("after", [1, 2])
def test_a_later_call_whose_answer_is_lost_is_found_again(scene: Scene, clean: Any, match: str, after: int) -> None:
    fail(scene, match, "drop-connection", when="after", after=after)
    scene.house.push(**OPTIONS)
    check(scene, clean)


@pytest.mark.parametrize("after", [0, 4])
@pytest.mark.parametrize("kind", ["cut", "empty", "fail"])
def test_a_read_that_keeps_failing_loses_nothing(scene: Scene, clean: Any, kind: str, after: int) -> None:
    fail(scene, READING, kind, times=0, after=after)
    scene.house.push(**OPTIONS)
    check(scene, clean)


def fail(scene: Scene, match: str, kind: str, **options: Any) -> None:
    """Pushes with a fault; the push ends, or says in words why it does not."""
    house = scene.house
    rule = house.tator.faults.arm(match, kind, **options)
    patience = {"timeout": 0.5} if kind == "hang" else {}
    try:
        house.push(house.client(retries=1, **patience), **OPTIONS)
    except TatorError as error:
        assert len(str(error)) > 20
    finally:
        house.tator.faults.clear()
    assert rule.hits


# ---------------------------------------------------------------------- a server that lies or refuses


class Between(httpx.BaseTransport):
    """Stands between a push and Tator.

    Args:
        answer: gives an answer of its own, or None to let the request through
    """

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response | None]) -> None:
        self._answer, self._inner = answer, httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        return self._answer(request) or self._inner.handle_request(request)


def is_localization(request: httpx.Request) -> bool:
    return request.url.path.startswith("/rest/Localization")


def test_what_a_server_says_it_did_and_did_not_is_found(scene: Scene, clean: Any) -> None:
    house, before, agreed = scene.house, scene.theirs(), scene.base()

    def lie(request: httpx.Request) -> httpx.Response | None:
        if not is_localization(request) or request.method in ("GET", "PUT"):
            return None
        body, verb = json.loads(request.content or "{}"), {"PATCH": "updated", "DELETE": "deleted"}.get(request.method)
        if request.method == "POST":
            return httpx.Response(201, json={"message": "", "id": list(range(1, len(body) + 1))})
        if "/Localizations/" in request.url.path:
            return httpx.Response(200, json={"message": f"Successfully {verb} {len(body['elemental_ids'])} things!"})
        row = house.client().read_localizations(house.project, elemental_ids=[element(request)], version=scene.model)
        return httpx.Response(200, json={"message": "successfully updated!", "object": vars_of(row[0])})

    result = house.push(house.client(transport=Between(lie)), **OPTIONS)
    assert (result.changed, result.created, result.deleted) == (0, 0, 0)
    assert result.failed == 53 + 1 + 1
    assert {group["reason"].partition(" of ")[0] for group in result.problems.as_json()} == {
        "Tator accepted the change", "Tator accepted it and did not create it. Push again",
        "Tator did not delete it. Push again",
    }  # fmt: skip
    assert scene.theirs() == before
    settled = {number for number, values in scene.base().items() if values != agreed.get(number)}
    assert not settled & {*MOVED, *SINGLE, *GROUP, NEW} - {GROUP[1]}
    house.push(**OPTIONS)
    check(scene, clean)


def element(request: httpx.Request) -> str:
    return request.url.path.rpartition("/")[2]


def vars_of(row: Any) -> dict[str, Any]:
    plain = {name: getattr(row, name) for name in row.__slots__}
    return {**plain, "variant_deleted": plain.pop("deleted")}


def test_a_version_that_may_not_be_edited_stops_no_other(scene: Scene, clean: Any) -> None:
    house = scene.house

    def refuse(request: httpx.Request) -> httpx.Response | None:
        if not is_localization(request) or request.method in ("GET", "PUT"):
            return None
        versions = [request.url.params.get("version"), request.url.path.split("/")[3]]
        if request.method == "POST":
            versions += [str(spec["version"]) for spec in json.loads(request.content)]
        if str(scene.model) not in versions:
            return None
        return httpx.Response(403, json={"message": "You do not have permission to perform this action."})

    result = house.push(house.client(transport=Between(refuse)), **OPTIONS)
    assert (result.changed, result.created, result.deleted, result.failed) == (50, 0, 1, 4)
    assert all("permission" in failure["reason"] for failure in result.failures)
    theirs = scene.theirs()
    assert all(theirs[number] == clean["theirs"][number] for number in (*GROUP, *MOVED))
    house.push(**OPTIONS)
    check(scene, clean)


def test_who_may_only_look_is_told_so_before_anything_is_written(scene: Scene, tator: Any) -> None:
    before = scene.house.stored()
    tator.faults.forget()
    with pytest.raises(NotAllowed, match=r"You may look at project .* but not edit it"):
        scene.house.push(scene.house.client("viewer"), **OPTIONS)
    assert {request["method"] for request in tator.faults.requests()} == {"GET"}
    assert scene.house.stored() == before


# ---------------------------------------------------------------------- others at the same time


def test_a_second_push_says_who_is_pushing(scene: Scene, clean: Any) -> None:
    began, go_on = threading.Event(), threading.Event()

    def wait(progress: object) -> None:
        began.set()
        assert go_on.wait(60)

    first = threading.Thread(target=scene.house.push, kwargs={"report": wait, **OPTIONS})
    first.start()
    try:
        assert began.wait(60)
        with pytest.raises(Busy, match=r"Somebody is pushing on dataset .*process"):
            scene.house.push(**OPTIONS)
        with pytest.raises(Busy, match="Somebody is pushing"):
            scene.house.run()
    finally:
        go_on.set()
        first.join()
    check(scene, clean)


def test_what_others_edit_while_a_push_runs_is_not_overwritten(scene: Scene, clean: Any) -> None:
    house, done = scene.house, set[str]()

    def meddle(request: httpx.Request) -> None:
        if request.method == "PATCH" and not done:
            done.add("edited")
            house.edit(scene.elements[MOVED[5]], notes="meanwhile")
            house.edit(scene.elements[SINGLE[0]], "Model", notes="theirs")
            house.delete(scene.elements[MOVED[6]])
        return None

    result = house.push(house.client(transport=Between(meddle)), **OPTIONS)
    theirs, ours = scene.theirs(), scene.ours()
    assert (theirs[MOVED[5]]["notes"], theirs[MOVED[5]]["x"]) == ("meanwhile", 0.5)
    assert ours[MOVED[5]]["notes"] == "meanwhile"
    assert theirs[SINGLE[0]]["notes"] == "theirs"
    assert MOVED[6] not in theirs and MOVED[6] in ours
    assert (result.conflicts, result.failed) == (5, 0)
    assert scene.base().keys() == clean["base"].keys()


def test_no_sample_goes_because_one_answer_lacks_its_localization(scene: Scene) -> None:
    house, hidden = scene.house, scene.elements[QUIET]
    scene.edit("ground_truth.label", {QUIET: "eel"})
    scene.edit("tags", {QUIET: ["tator:theirs"]})
    times = [0]

    def hide(request: httpx.Request) -> httpx.Response | None:
        if not (is_localization(request) and request.method == "PUT" and hidden.encode() in request.content):
            return None
        times[0] += 1
        if times[0] > 1:
            return None
        answer = httpx.HTTPTransport().handle_request(request)
        answer.read()
        rows = [row for row in json.loads(answer.content) if row["elemental_id"] != hidden]
        return httpx.Response(200, json=rows)

    house.push(house.client(transport=Between(hide)), **OPTIONS)
    assert times[0] > 1
    assert QUIET in scene.ours() and DECIDED not in scene.ours()


def test_creations_too_large_for_one_entry_of_the_journal_go_out_in_several(scene: Scene) -> None:
    dataset = scene.house.dataset()
    shown, new = dataset.first().filepath, []
    for number in range(9):
        sample = fo.Sample(filepath=shown, ground_truth=fo.Classification(label="long"), notes="a" * 2_000_000)
        sample["media_id"], sample["version"], sample["box"] = scene.media[0], "Model", [0.1 * number, 0.2, 0.3, 0.4]
        new.append(sample)
    dataset.add_samples(new)
    assert scene.house.push(samples=[ObjectId(sample.id) for sample in new]).created == 9
    scene.check_journal()
