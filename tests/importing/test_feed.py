"""Reading only what changed ends as comparing everything would, and notices where it cannot."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import httpx
import pytest

from fiftyone_tator.sync.dataset import CONFLICT_TAG
from fiftyone_tator.sync.feed import FULL_AFTER, is_old
from fiftyone_tator.sync.reading import OVERLAP, Highest, Memory

Elements = Callable[[Any], list[str]]


def pull(house: Any, compare: str = "auto", **options: Any) -> dict[str, Any]:
    result: dict[str, Any] = house.run(compare=compare, **options).as_json()
    return result


def counts(result: dict[str, Any]) -> dict[str, int]:
    names = ("created", "updated", "removed", "unchanged", "conflicts", "deleted_here", "filtered")
    return {name: result[name] for name in names if result[name]}


def notes(result: dict[str, Any]) -> dict[str, list[str]]:
    return {group["reason"]: group["examples"] for group in result["notes"]}


def relabel(sample: Any, label: str) -> None:
    sample.ground_truth.label = label
    sample.save()


def crowd(house: Any, media: int) -> None:
    """So many new rows, of which none becomes a sample, that the next feeds do not show the older ones any more."""
    house.boxes(*(house.spec(media, x=5.0) for _ in range(OVERLAP + 10)))


def prune(house: Any, *elements: str) -> None:
    """Removes localizations without trace."""
    query = {"version": house.versions["Baseline"], "show_all_marks": 1, "show_deleted": 1}
    answer = httpx.request(
        "DELETE",
        f"{house.tator.url}/rest/Localizations/{house.project}",
        params=query,
        json={"elemental_ids": list(elements), "prune": 1},
        headers={"Authorization": f"Token {house.tator.tokens['editor']}"},
    )
    assert answer.status_code == 200, answer.text


def age(house: Any, by: timedelta) -> None:
    """Makes a dataset's last full comparison older."""
    dataset = house.dataset()
    feed = dataset.info["tator"]["feed"]
    feed["full_at"] = (datetime.fromisoformat(feed["full_at"]) - by).isoformat()
    dataset.save()


# ---------------------------------------------------------------------- what it brings


def test_an_import_again_reads_only_changes_and_finds_none(village: Any) -> None:
    assert pull(village)["compared"] == "full"
    before, crops = village.stored(), village.crops()
    result = pull(village)
    assert (result["compared"], counts(result), notes(result)) == ("changes", {"unchanged": 6}, {})
    assert (village.stored(), village.crops()) == (before, crops)


def test_it_adds_changes_and_removes_as_tator_did(village: Any, elements: Elements) -> None:
    pull(village)
    first, second, third, *_ = elements(village)
    village.edit(first, Label="lobster")
    village.edit(second, geometry={"x": 0.5, "y": 0.5})
    village.delete(third)
    new = village.box(village.sample(first).media_id, attributes={"Label": "new"})
    result = pull(village)
    assert (result["compared"], counts(result)) == (
        "changes",
        {"created": 1, "updated": 2, "removed": 1, "unchanged": 3},
    )
    assert village.sample(first).ground_truth.label == "lobster"
    assert village.sample(second).box[:2] == [0.5, 0.5]
    assert village.sample(new).ground_truth.label == "new"
    assert third not in village.dataset().values("elemental_id")
    assert counts(pull(village)) == {"unchanged": 6}


def test_it_ends_as_a_full_comparison_would(village: Any, elements: Elements, tmp_path: Path) -> None:
    for name in ("by-feed", "in-full"):
        village.run(dataset_name=name, root=tmp_path / name)
    first, second, third, fourth, *_ = elements(village)
    village.edit(first, Label="lobster", embedding=[1.0, 2.0, 3.0], seen_at="2026-01-01T00:00:00Z")
    village.edit(second, geometry={"x": 0.5, "y": 0.5})
    village.delete(third, fourth)
    village.box(village.media("new.png"))
    assert pull(village, dataset_name="by-feed", root=tmp_path / "by-feed")["compared"] == "changes"
    village.run(dataset_name="in-full", root=tmp_path / "in-full")
    assert village.everything("by-feed") == village.everything("in-full")


def test_pictures_and_samples_that_nothing_is_about_are_not_asked_for(village: Any, elements: Elements) -> None:
    pull(village)
    village.edit(elements(village)[0], Label="lobster")
    village.tator.faults.forget()
    pull(village)
    assert not [r for r in village.tator.faults.requests("GET /") if r["path"].endswith("image.png")]


def test_a_conflict_stays_tagged_and_goes_when_tator_yields(village: Any, elements: Elements) -> None:
    pull(village)
    first = elements(village)[0]
    relabel(village.sample(first), "ours")
    village.edit(first, Label="theirs", verified=True)
    for _ in range(2):
        assert counts(pull(village)) == {"conflicts": 1, "unchanged": 5}
        sample = village.sample(first)
        assert (sample.ground_truth.label, sample.verified, sample.tags) == ("ours", True, [CONFLICT_TAG])
        assert sample.tator_conflict == "label: 'ours' here, 'theirs' in Tator"
    village.edit(first, Label="ours")
    assert "conflicts" not in counts(pull(village))
    assert (village.sample(first).tags, village.sample(first).tator_conflict) == ([], None)


def test_a_conflict_that_is_resolved_here_is_untagged_although_nothing_changed_there(
    village: Any, elements: Elements
) -> None:
    first = elements(village)[0]
    pull(village)
    relabel(village.sample(first), "ours")
    village.edit(first, Label="theirs")
    pull(village)
    # So many rows later that the feed does not show it any more.
    crowd(village, village.sample(first).media_id)
    pull(village)
    pull(village)
    relabel(village.sample(first), "theirs")
    assert pull(village)["compared"] == "changes"
    assert village.sample(first).tags == []


def test_a_localization_deleted_there_and_edited_here_stays_and_is_tagged(village: Any, elements: Elements) -> None:
    pull(village)
    first = elements(village)[0]
    relabel(village.sample(first), "ours")
    village.delete(first)
    for _ in range(2):
        result = pull(village)
        assert (result["compared"], counts(result)) == ("changes", {"conflicts": 1, "unchanged": 5})
    assert village.sample(first).tags == [CONFLICT_TAG]


def test_a_localization_that_was_deleted_and_drawn_again_is_not_removed(village: Any, elements: Elements) -> None:
    pull(village)
    first = elements(village)[0]
    media = village.sample(first).media_id
    village.delete(first)
    version, kind = village.versions["Baseline"], village.types["Box"]
    again = {
        "type": kind, "version": version, "media_id": media, "elemental_id": first, "frame": 0,
        "x": 0.1, "y": 0.1, "width": 0.2, "height": 0.2, "attributes": {"Label": "again"},
    }  # fmt: skip
    village.client().create_localizations(village.project, [again])
    result = pull(village)
    assert (result["compared"], counts(result)) == ("changes", {"updated": 1, "unchanged": 5})
    assert village.sample(first).ground_truth.label == "again"


def test_a_sample_deleted_here_stays_deleted(village: Any, elements: Elements) -> None:
    pull(village)
    first = elements(village)[0]
    village.dataset().delete_samples(village.sample(first))
    village.edit(first, Label="changed there")
    for _ in range(2):
        result = pull(village)
        assert (result["compared"], result["deleted_here"], len(village.dataset())) == ("changes", 1, 5)


def test_what_is_left_out_is_counted_and_does_not_make_it_compare_everything(village: Any) -> None:
    media = village.media("clip.mp4", b"video", dtype="video", size=(64, 48))
    image = village.media("more.png")
    drawn = village.boxes(
        village.spec(media, frame=3), village.spec(image, x=7.0), village.spec(image, attributes={"Label": "other"})
    )
    options = {"include_classes": ["crab", "kelp"]}
    assert pull(village, **options)["created"] == 6
    village.boxes(village.spec(media, frame=4), village.spec(image, attributes={"Label": "other"}))
    village.edit(drawn[1], notes="edited")
    village.delete(drawn[2])
    for _ in range(2):
        result = pull(village, **options)
        assert (result["compared"], notes(result)) == ("changes", {})


def test_a_picture_that_could_not_be_had_is_tried_again(village: Any) -> None:
    pull(village)
    broken = village.media("late.png", files=[], size=(64, 48))
    new = village.box(broken)
    result = pull(village)
    assert (result["compared"], result["created"], len(result["left_out"])) == ("changes", 0, 1)
    other = village.media("other.png")
    files = village.tator.store.row("select media_files from media where id = ?", (other,))[0]
    village.alter_media(broken, media_files=files)
    result = pull(village)
    assert (result["compared"], result["created"]) == ("changes", 1)
    assert Path(village.sample(new).filepath).is_file()


def test_what_a_push_did_does_not_make_it_compare_everything(village: Any, elements: Elements) -> None:
    pull(village)
    first, second, third, *_ = elements(village)
    relabel(village.sample(first), "mine")
    dataset = village.dataset()
    dataset.delete_samples(village.sample(second))
    drawn = village.sample(third).copy()
    drawn["elemental_id"] = None
    dataset.add_sample(drawn)
    pushed = village.push(deletions=True).as_json()
    assert (pushed["changed"], pushed["created"], pushed["deleted"]) == (1, 1, 1)
    for _ in range(2):
        result = pull(village)
        assert (result["compared"], result["created"], result["removed"], result["conflicts"]) == ("changes", 0, 0, 0)
    assert counts(pull(village, "full")) == {"unchanged": 6}


# ---------------------------------------------------------------------- what it cannot see


def test_a_prune_makes_it_compare_everything_and_say_so(village: Any, elements: Elements) -> None:
    pull(village)
    prune(village, elements(village)[0])
    result = pull(village)
    assert (result["compared"], counts(result)) == ("full", {"removed": 1, "unchanged": 5})
    assert notes(result) == {
        "Everything was compared": ["Tator counts 1 localizations fewer than its list of changes tells"]
    }
    assert (pull(village)["compared"], len(village.dataset())) == ("changes", 5)


def test_a_deleted_media_makes_it_compare_everything(village: Any, elements: Elements) -> None:
    pull(village)
    media = village.sample(elements(village)[0]).media_id
    with village.tator.store.write() as db:
        db.execute("update media set deleted = 1 where id = ?", (media,))
        db.execute("update localization set live = -1 where media = ?", (media,))
    result = pull(village)
    assert (result["compared"], counts(result)) == ("full", {"removed": 2, "unchanged": 4})


def test_an_edit_in_place_is_found_by_comparing_everything_only(village: Any, elements: Elements) -> None:
    pull(village)
    first = elements(village)[0]
    crowd(village, village.sample(first).media_id)
    pull(village)
    pull(village)
    village.client().update_localization(
        village.versions["Baseline"], first, attributes={"Label": "in place"}, in_place=True
    )
    assert pull(village)["compared"] == "changes"
    assert village.sample(first).ground_truth.label == "crab"
    result = pull(village, "full")
    assert (result["compared"], result["updated"]) == ("full", 1)
    assert village.sample(first).ground_truth.label == "in place"


def test_only_changes_removes_nothing_without_a_tombstone_and_says_what_is_wrong(
    village: Any, elements: Elements
) -> None:
    pull(village)
    prune(village, elements(village)[0])
    result = pull(village, "changes")
    assert (result["compared"], counts(result)) == ("changes", {"unchanged": 6})
    assert notes(result) == {
        "More changed in Tator than its list of changes tells": [
            "Tator counts 1 localizations fewer than its list of changes tells. "
            "Import with the option compare: full to bring it in"
        ]
    }
    assert counts(pull(village)) == {"removed": 1, "unchanged": 5}


# ---------------------------------------------------------------------- when it is used


def test_a_full_comparison_that_is_a_day_old_is_made_again(village: Any) -> None:
    pull(village)
    age(village, FULL_AFTER - timedelta(minutes=5))
    assert pull(village)["compared"] == "changes"
    age(village, timedelta(minutes=5))
    assert pull(village, "changes")["compared"] == "changes"
    assert pull(village)["compared"] == "full"
    assert pull(village)["compared"] == "changes"


@pytest.mark.parametrize("other", [{"include_classes": ["crab"]}, {"crop_size": 16}, {"image_extensions": [".png"]}])
def test_other_options_make_it_compare_everything(village: Any, other: dict[str, Any]) -> None:
    pull(village)
    assert pull(village, **other)["compared"] == "full"
    assert pull(village, **other)["compared"] == "changes"


def test_another_version_or_type_makes_it_compare_everything(village: Any) -> None:
    pull(village)
    village.version("Second")
    assert [pull(village)["compared"] for _ in range(2)] == ["full", "changes"]
    village.tator.store.add_attribute_type("localization", village.types["Box"], {"name": "depth", "dtype": "float"})
    assert [pull(village)["compared"] for _ in range(2)] == ["full", "changes"]


def test_with_a_sample_limit_everything_is_read_and_nothing_remembered(village: Any) -> None:
    pull(village, max_samples=2)
    assert "feed" not in village.dataset().info["tator"]
    result = pull(village, "changes", max_samples=3)
    assert (result["compared"], len(village.dataset())) == ("full", 3)
    assert list(notes(result)) == ["Everything was compared"]
    result = pull(village)
    assert (result["compared"], len(village.dataset())) == ("full", 6)


def test_the_file_of_localizations_is_that_of_the_last_full_reading(village: Any, elements: Elements) -> None:
    pull(village)
    file = village.folder / "localizations.jsonl"
    before = file.read_bytes()
    village.edit(elements(village)[0], Label="lobster")
    assert pull(village)["compared"] == "changes"
    assert file.read_bytes() == before
    assert [path.name for path in village.folder.glob(".*part")] == []
    pull(village, "full")
    assert "lobster" in {json.loads(line)["attributes"]["Label"] for line in file.read_text().splitlines()}


def test_what_an_edit_here_kept_out_is_read_again(village: Any, elements: Elements, edited_meanwhile: Any) -> None:
    pull(village)
    first = elements(village)[0]
    village.edit(first, geometry={"x": 0.3}, score=0.125)
    result = edited_meanwhile(first, lambda sample: relabel(sample, "mine"), compare="auto")
    assert (result["compared"], village.sample(first).ground_truth.confidence) == ("changes", 0.25)
    crowd(village, village.sample(first).media_id)
    assert pull(village)["compared"] == "changes"
    sample = village.sample(first)
    assert (sample.ground_truth.label, sample.ground_truth.confidence, sample.box[0]) == ("mine", 0.125, 0.3)


# ---------------------------------------------------------------------- killed at any moment

MOMENTS = 8


@pytest.fixture(scope="module")
def killed(shared_house: Any, mortal: Any) -> Any:
    """Datasets to kill a feed of, all alike; what each shall become, and after how many steps."""
    house = shared_house
    media = [house.media(f"img_{number}.png") for number in range(3)]
    plain = house.boxes(*(house.spec(media[n // 3], x=0.1 * n) for n in range(8)))
    names = ("wanted", *(f"feed-{moment}" for moment in range(MOMENTS)))
    for name in names:
        house.run(dataset_name=name, root=house.root / name)
        for element in plain[:2]:
            relabel(house.sample(element, name), "ours")
    house.edit(plain[0], Label="theirs", notes="theirs")
    house.edit(plain[2], Label="theirs")
    house.edit(plain[3], geometry={"x": 0.0})
    house.delete(plain[1], plain[4])
    house.boxes(house.spec(media[0]), house.spec(house.media("new.png")))
    told = mortal.run(house, dataset_name="wanted", root=house.root / "wanted", compare="auto")
    assert told["result"]["compared"] == "changes"
    house.steps, house.wanted = told["step"], house.everything("wanted")
    return house


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_a_feed_that_was_killed_is_completed_by_the_next_import(killed: Any, mortal: Any, moment: int) -> None:
    name, at = f"feed-{moment}", 1 + moment * killed.steps // MOMENTS
    told = mortal.run(killed, dataset_name=name, root=killed.root / name, compare="auto", die_at=at)
    assert told["signal"] == 9
    pull(killed, dataset_name=name, root=killed.root / name)
    assert killed.everything(name) == killed.wanted, told["died"]
    assert pull(killed, dataset_name=name, root=killed.root / name)["compared"] == "changes"


# ---------------------------------------------------------------------- the id to go on from


def rows(*ids: int) -> list[dict[str, int]]:
    return [{"version": 1, "type": 2, "id": id} for id in ids]


def test_the_id_to_go_on_from_is_the_highest_of_a_short_list() -> None:
    highest = Highest({(1, 2): 5})
    highest.expect((1, 2), 3)
    highest.note(rows(4, 7, 9))
    assert highest.ids == {(1, 2): 9}


def test_a_list_without_rows_leaves_the_id_as_it_was() -> None:
    highest = Highest({(1, 2): 5})
    highest.expect((1, 2), 0)
    assert highest.ids == {(1, 2): 5}


def test_what_was_written_while_a_long_list_was_read_is_read_again() -> None:
    highest = Highest()
    highest.expect((1, 2), OVERLAP + 15)
    highest.note(rows(*range(10)))
    highest.note(rows(*range(10, 20)))
    highest.note(rows(*range(20, 10_000)))
    assert highest.ids == {(1, 2): 19}


def test_a_day_is_a_day_in_any_zone() -> None:
    when = datetime(2026, 3, 1, tzinfo=timezone.utc)
    nothing: Any = ()
    memory = Memory("", when, {}, nothing, nothing, nothing, 0)
    assert not is_old(memory, when + FULL_AFTER - timedelta(seconds=1))
    assert is_old(memory, when + FULL_AFTER)
