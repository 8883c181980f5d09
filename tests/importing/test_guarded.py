"""What people do while an import runs, or between two, is not lost."""

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fiftyone as fo
import pytest

from fiftyone_tator.sync.dataset import CONFLICT_TAG
from fiftyone_tator.sync.options import ImportOptions

Elements = Callable[[Any], list[str]]


def until(condition: Callable[[], bool], thread: threading.Thread) -> None:
    while not condition():
        assert thread.is_alive(), "the import ended before"


def test_an_edit_made_while_a_picture_is_downloaded_stays(village: Any, elements: Elements) -> None:
    village.run()
    element = elements(village)[0]
    village.edit(element, geometry={"x": 0.3, "y": 0.3}, score=0.125)
    shutil.rmtree(village.folder / "download")
    results: list[Any] = []
    village.tator.faults.forget()
    village.tator.faults.arm("GET /objects", "slow", seconds=1.5, times=0)
    thread = threading.Thread(target=lambda: results.append(village.run()))
    thread.start()
    try:
        until(lambda: bool(village.tator.faults.requests("GET /objects")), thread)
        sample = village.sample(element)
        sample.ground_truth.label = "mine"
        sample.save()
    finally:
        thread.join()
        village.tator.faults.clear()
    assert village.sample(element).ground_truth.label == "mine"
    assert [group["count"] for group in results[0].as_json()["notes"]] == [1]
    village.run()
    sample = village.sample(element)
    assert (sample.ground_truth.label, sample.ground_truth.confidence) == ("mine", 0.125)
    assert sample.box[:2] == [0.3, 0.3]


@pytest.mark.parametrize("kind", ["sample", "label"])
def test_a_tagged_sample_stays_when_its_localization_goes(village: Any, elements: Elements, kind: str) -> None:
    village.run()
    element = elements(village)[0]
    sample = village.sample(element)
    (sample if kind == "sample" else sample.ground_truth).tags.append("look again")
    sample.save()
    village.delete(element)
    assert village.run().as_json()["conflicts"] == 1
    assert CONFLICT_TAG in village.sample(element).tags


def test_a_computed_field_does_not_keep_a_sample_whose_localization_goes(village: Any, elements: Elements) -> None:
    village.run()
    element = elements(village)[0]
    village.dataset().set_values("uniqueness", [0.5] * len(village.dataset()))
    village.delete(element)
    assert village.run().as_json()["removed"] == 1


def test_the_conflict_tag_goes_when_both_sides_agree_again(village: Any, elements: Elements) -> None:
    village.run()
    element = elements(village)[0]
    village.edit(element, Label="theirs")
    sample = village.sample(element)
    sample.ground_truth.label = "mine"
    sample.save()
    village.run()
    assert CONFLICT_TAG in village.sample(element).tags
    village.edit(element, Label="mine")
    village.run()
    assert CONFLICT_TAG not in village.sample(element).tags


def test_the_samples_of_a_deleted_version_go_when_all_versions_are_imported(village: Any, elements: Elements) -> None:
    village.run()
    version = village.version("Second")
    drawn = village.box(village.sample(elements(village)[0]).media_id, version=version)
    assert village.run().as_json()["created"] == 1
    with village.tator.store.write() as db:
        db.execute("update localization set live = -1 where version = ?", (version,))
        db.execute("delete from version where id = ?", (version,))
    assert village.run().as_json()["removed"] == 1
    assert drawn not in village.dataset().values("elemental_id")


def test_a_renamed_version_and_type_reach_all_samples(village: Any) -> None:
    village.run()
    with village.tator.store.write() as db:
        db.execute("update version set name = 'Gold' where name = 'Baseline' and project = ?", (village.project,))
        db.execute(
            "update localization_type set name = 'Animal' where project = ? and dtype = 'box'", (village.project,)
        )
    village.run()
    assert village.dataset().distinct("version") == ["Gold"]
    assert village.dataset().distinct("localization_type") == ["Animal"]
    assert village.dataset().info["tator"]["versions"].popitem()[1] == "Gold"


def test_a_clone_keeps_its_crops_when_a_localization_goes(village: Any, elements: Elements) -> None:
    village.run()
    element = elements(village)[0]
    crop = Path(village.sample(element).filepath)
    clone = village.dataset().clone()
    try:
        village.delete(element)
        village.run()
        assert crop.exists()
    finally:
        clone.delete()


def test_the_chosen_label_attribute_is_remembered(village: Any) -> None:
    village.run(label_attribute="notes")
    village.run()
    assert set(fo.load_dataset(village.dataset().name).info["tator"]["label_attributes"].values()) == {"notes"}


def test_how_crops_look_is_remembered(village: Any) -> None:
    village.run(crop_size=16, crop_format="png")
    before = village.crops()
    assert village.run().as_json()["pictures"] == 0
    assert village.crops() == before


def test_options_win_over_what_is_remembered() -> None:
    style = ImportOptions(project=1, crop_size=64).style({"size": 16, "padding": 0.5, "format": "png"})
    assert (style.size, style.padding, style.format) == (64, 0.5, "png")
