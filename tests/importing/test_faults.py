"""Imports from a server that fails: complete, or nothing."""

import json
from collections.abc import Callable
from typing import Any

import fiftyone as fo
import fiftyone.core.odm as foo
import httpx
import pytest

from fiftyone_tator.sync.progress import Cancelled, Progress
from fiftyone_tator.tator_client import ConnectionFailed, IncompleteAnswer, ServerFailed, TatorError, Throttled

LISTS = "GET /rest/Localizations"
COUNTS = "GET /rest/LocalizationCount"
BY_NAME = "PUT /rest/Localizations"
MEDIAS = "PUT /rest/Medias"


@pytest.fixture
def changed(village: Any, elements: Callable[[Any], list[str]]) -> Any:
    """A dataset, and a Tator where a localization is new, one changed and two are gone."""
    village.run()
    first, second, third, fourth, *_ = elements(village)
    village.edit(first, Label="theirs", geometry={"x": 0.4})
    village.delete(second, third)
    village.box(village.sample(fourth).media_id, attributes={"Label": "new"})
    return village


def everywhere(house: Any) -> Any:
    """All that MongoDB has of a dataset, and its crops."""
    dataset = house.dataset()
    base = foo.get_db_conn()["tator_sync.base"].find({"dataset": dataset._doc.id}).sort("_id", 1)
    return house.stored(), list(base), house.crops(), dataset.info["tator"], sorted(dataset.get_field_schema())


def fails(house: Any, kind: type[BaseException] | tuple[type[BaseException], ...], **client: Any) -> str:
    """Imports in vain: nothing changed, and the lease is given back."""
    before = everywhere(house)
    with pytest.raises(kind) as failure:
        house.run(house.client(**{"retries": 1, "timeout": 2.0, **client}))
    assert everywhere(house) == before
    assert foo.get_db_conn()["tator_sync.leases"].find_one({"_id": house.made[0]}) is None
    assert not list(house.folder.glob(".*.part"))
    return str(failure.value)


def succeeds(house: Any) -> None:
    house.tator.faults.clear()
    result = house.run()
    assert (result.created, result.updated, result.removed, result.unchanged) == (1, 1, 2, 3)


@pytest.mark.parametrize(
    ("match", "kind"),
    [
        *((LISTS, kind) for kind in ("fail", "cut", "empty", "drop-connection")),
        *((BY_NAME, kind) for kind in ("cut", "empty")),
        (COUNTS, "empty"),
        (MEDIAS, "cut"),
    ],
)
def test_a_read_that_keeps_failing_leaves_the_dataset_as_it_was(changed: Any, match: str, kind: str) -> None:
    rule = changed.tator.faults.arm(f"{match}/{changed.project}", kind, times=0)
    message = fails(changed, (ServerFailed, IncompleteAnswer, ConnectionFailed))
    assert rule.hits and len(message) > 20
    succeeds(changed)


@pytest.mark.parametrize(
    ("match", "kind"),
    [
        *((LISTS, kind) for kind in ("fail", "cut", "empty", "drop-connection", "throttle", "slow", "restart")),
        *((BY_NAME, kind) for kind in ("cut", "empty")),
    ],
)
def test_a_read_that_fails_once_is_repeated(changed: Any, match: str, kind: str) -> None:
    rule = changed.tator.faults.arm(f"{match}/{changed.project}", kind)
    result = changed.run()
    assert rule.hits == 1
    assert (result.created, result.updated, result.removed, result.unchanged) == (1, 1, 2, 3)


def test_a_server_that_hangs_is_given_up(changed: Any) -> None:
    changed.tator.faults.arm(f"{LISTS}/{changed.project}", "hang", times=0)
    assert "did not answer in time" in fails(changed, ConnectionFailed, timeout=0.2, retries=1)
    succeeds(changed)


def test_a_server_that_throttles_for_ever_is_given_up(changed: Any) -> None:
    changed.tator.faults.arm(f"{LISTS}/{changed.project}", "throttle", times=0)
    fails(changed, Throttled, retries=0)
    succeeds(changed)


class Hiding(httpx.BaseTransport):
    """Hides one row of every list, as a server does that loses rows on the way."""

    def __init__(self, hidden: int) -> None:
        self._hidden, self._inner = hidden, httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._inner.handle_request(request)
        if "/rest/Localizations/" not in request.url.path:
            return answer
        answer.read()
        return httpx.Response(200, json=[row for row in json.loads(answer.content) if row["id"] != self._hidden])


def test_a_list_that_disagrees_with_its_count_leaves_the_dataset_as_it_was(changed: Any) -> None:
    newest = changed.tator.store.row("select max(id) from localization where project = ?", (changed.project,))[0]
    assert "rows where Tator counts" in fails(changed, IncompleteAnswer, transport=Hiding(newest))
    succeeds(changed)


def test_a_first_import_that_fails_while_reading_makes_no_dataset(village: Any) -> None:
    village.tator.faults.arm(f"{LISTS}/{village.project}", "fail", times=0)
    with pytest.raises(TatorError):
        village.run(village.client(retries=0))
    assert not fo.dataset_exists(village.made[0])


def test_a_server_that_goes_away_in_the_middle_of_the_crops_loses_nothing(changed: Any) -> None:
    elements = [changed.box(changed.media(f"more_{number}.png")) for number in range(5)]
    before = set(changed.dataset().values("id"))
    changed.tator.faults.arm("GET /objects", "fail", times=0)
    with pytest.raises(ServerFailed, match="object store failed"):
        changed.run(changed.client(retries=0), crop_size=32)
    assert before <= set(changed.dataset().values("id"))
    changed.delete(*elements)
    succeeds(changed)


@pytest.mark.parametrize("kind", ["fail", "drop-connection"])
def test_a_picture_that_can_never_be_downloaded_is_listed_and_the_rest_comes(village: Any, kind: str) -> None:
    media = village.tator.store.row("select min(id) from media where project = ?", (village.project,))[0]
    village.tator.faults.arm(f"GET /objects/tator/1/{village.project}/{media}", kind, times=0)
    result = village.run(village.client(retries=0))
    assert result.created == 4
    (group,) = result.as_json()["left_out"]
    assert group["count"] == 2 and "could not be downloaded: " in group["reason"]
    assert "http" not in group["reason"] and group["examples"][0].startswith("img_0.png")
    assert village.run(village.client(retries=0)).unchanged == 4
    village.tator.faults.clear()
    assert village.run().created == 2


def test_an_answer_cut_short_while_links_are_renewed_is_no_damaged_file(village: Any) -> None:
    media = village.tator.store.row("select min(id) from media where project = ?", (village.project,))[0]
    village.tator.faults.arm(f"GET /objects/tator/1/{village.project}/{media}", "fail", status=400, times=0)
    rule = village.tator.faults.arm(f"{MEDIAS}/{village.project}", "cut", query="no_cache", times=0)
    result = village.run(village.client(retries=0))
    assert rule.hits and result.created == 4
    (group,) = result.as_json()["left_out"]
    assert "could not be downloaded" in group["reason"] and "damaged" not in group["reason"]


def test_a_server_that_restarts_in_the_middle_of_the_crops_does_not_matter(village: Any) -> None:
    rule = village.tator.faults.arm("GET /objects", "restart", after=1, seconds=0.3)
    assert village.run().created == 6
    assert rule.hits == 1


def test_links_that_expired_are_asked_for_anew(village: Any) -> None:
    rule = village.tator.faults.arm("GET /objects", "fail", status=400, times=2)
    assert village.run().created == 6
    assert rule.hits == 2


def test_a_picture_whose_link_is_never_accepted_is_listed_and_the_rest_comes(village: Any) -> None:
    media = village.tator.store.row("select min(id) from media where project = ?", (village.project,))[0]
    village.tator.faults.arm(f"GET /objects/tator/1/{village.project}/{media}", "fail", status=400, times=0)
    result = village.run()
    assert result.created == 4
    assert [group["count"] for group in result.as_json()["left_out"]] == [2]


def test_whoever_stops_an_import_loses_nothing(changed: Any) -> None:
    before = set(changed.dataset().values("id"))

    def stop(progress: Progress) -> None:
        if progress.stage == "Cutting crops":
            raise Cancelled

    with pytest.raises(Cancelled):
        changed.run(report=stop)
    assert set(changed.dataset().values("id")) == before
    succeeds(changed)


def test_progress_rises_to_the_end(village: Any) -> None:
    seen: list[Progress] = []
    village.run(report=seen.append)
    fractions = [progress.fraction for progress in seen]
    assert fractions == sorted(fractions) and fractions[0] == 0.0 and fractions[-1] >= 0.97
    assert list(dict.fromkeys(p.stage for p in seen)) == [
        "Reading localizations",
        "Cutting crops",
        "Arranging the dataset",
    ]


def test_who_edits_in_tator_while_rows_are_read_stops_nothing(village: Any) -> None:
    elements = iter(village.boxes(*(village.spec(n, x=0.1) for n in [village.media("busy.png")] * 3)))
    village.run()
    first = next(elements)

    def edit(progress: Progress) -> None:
        if progress.stage == "Reading localizations" and not edits:
            edits.append(first)
            village.edit(first, Label="meanwhile")

    edits: list[str] = []
    village.run(report=edit)
    village.run()
    assert village.sample(first).ground_truth.label == "meanwhile"
    assert len(village.dataset()) == 9
