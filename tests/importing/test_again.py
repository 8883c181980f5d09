"""Importing into the same dataset again."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fiftyone as fo
import pytest

from fiftyone_tator.sync.dataset import CONFLICT_TAG
from fiftyone_tator.sync.errors import NotFromTator

Elements = Callable[[Any], list[str]]


def counts(result: Any) -> dict[str, int]:
    numbers = result.as_json()
    names = ("created", "updated", "removed", "unchanged", "conflicts", "deleted_here", "filtered")
    return {name: numbers[name] for name in names if numbers[name]}


def relabel(sample: Any, label: str) -> None:
    sample.ground_truth.label = label
    sample.save()


def test_an_import_after_which_nothing_happened_writes_no_sample(village: Any) -> None:
    village.run()
    before, crops = village.stored(), village.crops()
    village.tator.faults.forget()
    result = village.run()
    assert counts(result) == {"unchanged": 6}
    assert (village.stored(), village.crops()) == (before, crops)
    assert not [r for r in village.tator.faults.requests("GET /") if r["path"].endswith("image.png")]


def test_it_adds_changes_and_removes_as_tator_did(village: Any, elements: Elements) -> None:
    village.run()
    first, second, third, *_ = elements(village)
    media = village.sample(first).media_id
    village.edit(first, Label="lobster", verified=True)
    village.edit(second, geometry={"x": 0.5, "y": 0.5})
    crop = Path(village.sample(third).filepath)
    village.delete(third)
    new = village.box(media, attributes={"Label": "new"})
    result = village.run()
    assert counts(result) == {"created": 1, "updated": 2, "removed": 1, "unchanged": 3}
    assert village.sample(first).ground_truth.label == "lobster" and village.sample(first).verified
    assert village.sample(second).box[:2] == [0.5, 0.5]
    assert village.sample(new).ground_truth.label == "new"
    assert third not in village.dataset().values("elemental_id")
    assert not crop.exists()


def test_it_ends_as_an_import_into_a_new_dataset_would(village: Any, elements: Elements, tmp_path: Path) -> None:
    village.run()
    first, second, third, fourth, *_ = elements(village)
    village.edit(first, Label="lobster", embedding=[1.0, 2.0, 3.0], geo=[1.0, 2.0], seen_at="2026-01-01T00:00:00Z")
    village.edit(second, geometry={"x": 0.5, "y": 0.5})
    village.delete(third)
    village.alter_media(village.sample(fourth).media_id, name="renamed.png", attributes={"Station": "M9"})
    village.box(village.sample(first).media_id)
    village.run()
    village.run(dataset_name="afresh", root=tmp_path / "afresh")
    assert village.everything() == village.everything("afresh")


def test_a_change_in_tator_moves_the_sample_and_its_times_and_people(village: Any, elements: Elements) -> None:
    village.run()
    first = elements(village)[0]
    was = village.sample(first)
    before = was.tator_modified_at, was.last_modified_at, was.id, was.ground_truth.id
    village.client("admin").update_localization(
        village.versions["Baseline"], first, attributes={"notes": "seen by admin"}
    )
    village.run()
    now = village.sample(first)
    assert (now.tator_modified_by, now.tator_created_by) == ("admin", "editor")
    assert now.tator_modified_at > before[0] and now.last_modified_at > before[1]
    assert (now.id, now.ground_truth.id) == before[2:]


def test_a_local_edit_that_tator_did_not_touch_stays(village: Any, elements: Elements) -> None:
    village.run()
    first = elements(village)[0]
    sample = village.sample(first)
    sample["notes"], sample["quality"] = "mine", None
    sample.tags.append("mine")
    relabel(sample, "my label")
    village.edit(first, verified=True)
    result = village.run()
    sample = village.sample(first)
    assert (sample.ground_truth.label, sample.notes, sample.quality, sample.verified) == (
        "my label", "mine", None, True,
    )  # fmt: skip
    assert sample.tags == ["mine"]
    assert counts(result) == {"updated": 1, "unchanged": 5}
    assert counts(village.run()) == {"unchanged": 6}


def test_where_both_changed_the_same_value_ours_stays_and_is_tagged(village: Any, elements: Elements) -> None:
    village.run()
    first = elements(village)[0]
    relabel(village.sample(first), "ours")
    village.edit(first, Label="theirs", verified=True)
    for _ in range(2):
        assert counts(village.run()) == {"conflicts": 1, "unchanged": 5}
        sample = village.sample(first)
        assert (sample.ground_truth.label, sample.verified, sample.tags) == ("ours", True, [CONFLICT_TAG])


def test_a_value_beside_a_conflict_goes_on_following_tator(village: Any, elements: Elements) -> None:
    village.run()
    first = elements(village)[0]
    relabel(village.sample(first), "ours")
    village.edit(first, Label="theirs", notes="second")
    village.run()
    village.edit(first, notes="")
    village.run()
    assert village.sample(first).notes == ""


def test_both_changing_to_the_same_value_is_no_conflict(village: Any, elements: Elements) -> None:
    village.run()
    first = elements(village)[0]
    relabel(village.sample(first), "same")
    village.edit(first, Label="same")
    assert "conflicts" not in counts(village.run())
    village.edit(first, Label="other")
    village.run()
    assert village.sample(first).ground_truth.label == "other"


def test_a_sample_deleted_here_stays_deleted(village: Any, elements: Elements) -> None:
    village.run()
    first, second, *_ = elements(village)
    village.dataset().delete_samples(village.dataset().match(fo.ViewField("elemental_id").is_in([first, second])))
    village.edit(first, Label="changed there")
    for _ in range(2):
        assert counts(village.run()) == {"deleted_here": 2, "unchanged": 4}
        assert len(village.dataset()) == 4


def test_a_localization_deleted_there_and_edited_here_stays_and_is_tagged(village: Any, elements: Elements) -> None:
    village.run()
    first = elements(village)[0]
    relabel(village.sample(first), "ours")
    village.delete(first)
    for _ in range(2):
        assert counts(village.run()) == {"conflicts": 1, "unchanged": 5}
    sample = village.sample(first)
    assert sample.tags == [CONFLICT_TAG] and Path(sample.filepath).is_file()


def test_a_localization_that_was_drawn_again_comes_back(village: Any, elements: Elements) -> None:
    village.run()
    first = elements(village)[0]
    media = village.sample(first).media_id
    village.delete(first)
    village.run()
    version, kind = village.versions["Baseline"], village.types["Box"]
    again = {
        "type": kind, "version": version, "media_id": media, "elemental_id": first, "frame": 0,
        "x": 0.1, "y": 0.1, "width": 0.2, "height": 0.2, "attributes": {"Label": "again"},
    }  # fmt: skip
    village.client().create_localizations(village.project, [again])
    assert counts(village.run()) == {"created": 1, "unchanged": 5}
    assert village.sample(first).ground_truth.label == "again"


def test_a_media_that_was_renamed_or_got_other_attributes_reaches_its_samples(village: Any, elements: Elements) -> None:
    village.run()
    first, second, third, *_ = elements(village)
    media = village.sample(first).media_id
    old = [Path(village.sample(element).filepath) for element in (first, second)]
    village.alter_media(media, name="other.png", attributes={"Station": "M7", "count": 3})
    result = village.run()
    assert counts(result) == {"updated": 2, "unchanged": 4}
    for element in (first, second):
        sample = village.sample(element)
        assert (sample.media_name, sample.media_Station, sample.media_count) == ("other.png", "M7", 3)
        assert Path(sample.filepath).parent.name == "other" and Path(sample.filepath).is_file()
    assert village.sample(third).media_Station == "S0"
    assert not any(path.exists() for path in old)
    assert counts(village.run()) == {"unchanged": 6}


def test_media_attributes_reach_versions_that_were_imported_later(village: Any, elements: Elements) -> None:
    media = village.tator.store.row("select min(id) from media where project = ?", (village.project,))[0]
    village.version("Model")
    model = village.box(media, version=village.versions["Model"])
    village.run()
    village.alter_media(media, attributes={"Station": "M7"})
    village.run(versions=["Baseline"])
    village.run(versions=["Model"])
    assert village.sample(model).media_Station == "M7"
    assert counts(village.run()) == {"unchanged": 7}


def test_a_media_attribute_edited_here_stays_until_tator_changes_it(village: Any, elements: Elements) -> None:
    village.run()
    first, second, *_ = elements(village)
    sample = village.sample(first)
    sample["media_Station"] = "mine"
    sample.save()
    village.alter_media(sample.media_id, attributes={"count": 5})
    village.run()
    assert (village.sample(first).media_Station, village.sample(first).media_count) == ("mine", 5)
    village.alter_media(sample.media_id, attributes={"Station": "theirs"})
    assert village.run().conflicts == 1
    assert village.sample(first).media_Station == "mine" and village.sample(first).tags == [CONFLICT_TAG]
    assert village.sample(second).media_Station == "theirs"


def test_another_picture_makes_its_crops_anew(village: Any, elements: Elements, picture: Any) -> None:
    village.run()
    first, _, third, *_ = elements(village)
    before = {element: Path(village.sample(element).filepath).read_bytes() for element in (first, third)}
    village.replace_picture(village.sample(first).media_id, picture(99))
    village.run()
    assert Path(village.sample(first).filepath).read_bytes() != before[first]
    assert Path(village.sample(third).filepath).read_bytes() == before[third]


@pytest.mark.parametrize("change", [{"crop_size": 16}, {"padding": 0.5}, {"crop_format": "png"}])
def test_other_crop_options_make_all_crops_anew(
    village: Any, elements: Elements, tmp_path: Path, change: dict[str, Any]
) -> None:
    village.run()
    village.run(**change)
    village.run(dataset_name="afresh", root=tmp_path / "afresh", **change)
    assert village.everything() == village.everything("afresh")


def test_a_crop_that_was_deleted_or_cut_short_is_made_anew(village: Any, elements: Elements) -> None:
    village.run()
    first, second, *_ = elements(village)
    before = village.crops()
    Path(village.sample(first).filepath).unlink()
    os.truncate(village.sample(second).filepath, 100)
    village.run()
    assert village.crops() == before


def test_a_download_that_was_cut_short_is_fetched_anew(village: Any) -> None:
    village.run()
    before = village.crops()
    for path in (village.folder / "download").iterdir():
        os.truncate(path, 100)
    village.run(crop_size=17)
    village.run(crop_size=256)
    assert village.crops() == before


def test_samples_go_with_their_media(village: Any, elements: Elements) -> None:
    village.run()
    first, _, *others = elements(village)
    media = village.sample(first).media_id
    with village.tator.store.write() as db:
        db.execute("update media set deleted = 1 where id = ?", (media,))
        db.execute("update localization set live = -1 where media = ?", (media,))
    assert counts(village.run()) == {"removed": 2, "unchanged": 4}
    assert sorted(village.dataset().values("elemental_id")) == sorted(others)


def test_another_version_adds_and_takes_nothing_away(village: Any) -> None:
    village.run()
    before = village.stored()
    village.version("Model")
    media = village.dataset().first().media_id
    model = village.box(media, version=village.versions["Model"], attributes={"Label": "model"})
    assert counts(village.run(versions=["Model"])) == {"created": 1}
    assert village.sample(model).version == "Model"
    assert [d for d in village.stored() if d["version"] == "Baseline"] == before
    assert village.info()["versions"].keys() == {str(id_) for id_ in village.versions.values()}


def test_another_type_adds_and_takes_nothing_away(village: Any) -> None:
    village.run()
    before = village.stored()
    village.type("Dot", "dot", [{"name": "Label", "dtype": "string"}, {"name": "colour", "dtype": "string"}])
    media = village.dataset().first().media_id
    spec = village.spec(media, type=village.types["Dot"], width=None, height=None)
    dot = village.boxes({**spec, "attributes": {"Label": "dot", "colour": "red"}})[0]
    assert counts(village.run(types=["Dot"])) == {"created": 1}
    assert (village.sample(dot).colour, village.sample(dot).points) == ("red", [[0.25, 0.25]])
    assert [d for d in village.stored() if d["localization_type"] == "Box"] == before


def test_a_new_attribute_becomes_a_field(village: Any, elements: Elements) -> None:
    village.run()
    first = elements(village)[0]
    village.tator.store.add_attribute_type("localization", village.types["Box"], {"name": "depth", "dtype": "float"})
    village.edit(first, depth=12.5)
    village.run()
    assert village.sample(first).depth == 12.5
    assert isinstance(village.dataset().get_field("depth"), fo.FloatField)
    assert "depth" in next(g.paths for g in village.dataset().app_config.sidebar_groups if g.name == "attributes")


def test_a_field_of_ones_own_keeps_its_name_when_tator_takes_it_too(village: Any, elements: Elements) -> None:
    village.run()
    first = elements(village)[0]
    dataset = village.dataset()
    dataset.add_sample_field("depth", fo.StringField)
    dataset.set_values("depth", ["mine"] * 6)
    village.tator.store.add_attribute_type("localization", village.types["Box"], {"name": "depth", "dtype": "float"})
    village.edit(first, depth=12.5)
    village.run()
    assert (village.sample(first).depth, village.sample(first).tator_depth) == ("mine", 12.5)


def test_a_sidebar_that_somebody_arranged_stays(village: Any) -> None:
    village.run()
    dataset = village.dataset()
    dataset.app_config.sidebar_groups = [fo.SidebarGroupDocument(name="mine", paths=["quality", "ground_truth"])]
    dataset.save()
    village.tator.store.add_attribute_type("localization", village.types["Box"], {"name": "depth", "dtype": "float"})
    village.run()
    groups = village.dataset().app_config.sidebar_groups
    assert (groups[0].name, groups[0].paths) == ("mine", ["quality", "ground_truth"])
    listed = [path for group in groups for path in group.paths]
    assert len(listed) == len(set(listed)) and "depth" in listed


def test_a_dataset_that_is_not_of_tator_is_left_alone(village: Any, tmp_path: Path) -> None:
    name = village.options(dataset_name="someone-elses").dataset_name
    dataset = fo.Dataset(name)
    dataset.add_sample(fo.Sample(str(tmp_path / "a.jpg")))
    with pytest.raises(NotFromTator, match=r"someone-elses.*does not come from Tator.*another dataset name"):
        village.run(dataset_name=name)
    assert len(village.dataset(name)) == 1 and "tator" not in village.dataset(name).info


def test_an_empty_dataset_is_filled(village: Any) -> None:
    fo.Dataset(village.options().dataset_name)
    assert village.run().created == 6


def test_another_projects_dataset_is_left_alone(village: Any, tator: Any, tmp_path: Path) -> None:
    village.run()
    before = village.stored()
    with pytest.raises(NotFromTator, match=f"'{village.made[0]}' comes from project '{village.name}'.*another dataset"):
        village.run(project=tator.project, dataset_name=village.made[0])
    assert village.stored() == before


def test_a_copy_of_a_dataset_is_not_imported_into(village: Any) -> None:
    village.run()
    village.dataset().clone(village.options(dataset_name="a-copy").dataset_name, persistent=True)
    with pytest.raises(NotFromTator, match=r"'a-copy' is a copy"):
        village.run(dataset_name="a-copy")
    assert len(village.dataset("a-copy")) == 6


def test_a_dataset_keeps_its_history_under_another_name(village: Any) -> None:
    village.run()
    village.dataset().name = village.options(dataset_name="another-name").dataset_name
    assert counts(village.run(dataset_name="another-name")) == {"unchanged": 6}


def test_a_dataset_that_was_deleted_is_made_anew(village: Any) -> None:
    village.run()
    crops = village.crops()
    fo.delete_dataset(village.made[0])
    assert counts(village.run()) == {"created": 6}
    assert village.crops() == crops


def test_two_datasets_of_one_project_do_not_share_crops(village: Any) -> None:
    village.run()
    before = village.crops()
    village.run(dataset_name="smaller", crop_size=16)
    assert village.crops() == before
    assert village.crops("smaller") != before
    village.delete(village.dataset("smaller").first().elemental_id)
    village.run(dataset_name="smaller")
    assert village.crops() == before


def test_labels_cannot_become_another_attribute(village: Any) -> None:
    village.run()
    with pytest.raises(
        NotFromTator, match=r"the attribute 'Label'; they cannot become 'quality'.*another dataset name"
    ):
        village.run(label_attribute="quality")
