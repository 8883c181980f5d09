"""The label schemas that an import publishes for the Annotate tab."""

import time
from collections.abc import Callable
from typing import Any

import fiftyone as fo
import fiftyone.core.odm as foo
import pytest
from bson import ObjectId
from fiftyone.core.annotation.validate_label_schemas import validate_label_schemas

from fiftyone_tator.sync import schemas
from fiftyone_tator.sync.dataset import OWNED
from fiftyone_tator.sync.fields import LABEL_FIELD

EDITED = ["ground_truth", "verified", "count", "quality", "seen_at", "notes"]


def choices(house: Any, field: str) -> Any:
    schema = house.dataset().label_schemas[field]
    return schema.get("classes", schema.get("values"))


@pytest.fixture
def imported(village: Any) -> Any:
    village.run()
    return village


def test_every_field_that_the_tab_can_show_has_an_active_schema(imported: Any) -> None:
    dataset = imported.dataset()
    assert dataset.active_label_schemas == list(dict.fromkeys(dataset.active_label_schemas))
    assert {*dataset.active_label_schemas} == {*dataset.label_schemas}
    assert dataset.active_label_schemas[: len(EDITED)] == EDITED
    read_only = {name for name, schema in dataset.label_schemas.items() if schema.get("read_only")}
    assert read_only == {*dataset.label_schemas} - {*EDITED}
    assert read_only == OWNED & {*dataset.get_field_schema()} | {"media_Station", "media_count", "media_reviewed"}


def test_fiftyone_finds_all_schemas_valid(imported: Any) -> None:
    dataset = imported.dataset()
    validate_label_schemas(dataset, dataset.label_schemas)
    dataset.set_label_schemas(dataset.label_schemas)


def test_the_label_is_chosen_from_the_labels_in_use_and_an_enum_from_its_choices(imported: Any) -> None:
    assert choices(imported, "ground_truth") == ["crab", "kelp"]
    assert choices(imported, "quality") == ["good", "fair", "bad"]


def test_a_second_import_of_the_same_writes_no_schema(imported: Any) -> None:
    before = imported.dataset()
    imported.run()
    after = imported.dataset()
    assert after.label_schemas == before.label_schemas
    assert after.active_label_schemas == before.active_label_schemas


def test_a_label_that_is_new_in_tator_can_be_chosen_after_the_next_import(
    imported: Any, elements: Callable[..., list[str]]
) -> None:
    imported.edit(elements(imported)[0], Label="squid")
    imported.run()
    assert choices(imported, "ground_truth") == ["crab", "kelp", "squid"]


def test_what_a_person_made_of_the_schemas_outlives_the_next_import(
    imported: Any, elements: Callable[..., list[str]]
) -> None:
    dataset = imported.dataset()
    mine = {**dataset.label_schemas["ground_truth"], "component": "dropdown", "classes": ["eel", "kelp", "crab"]}
    # The App lets people add attributes that no sample has yet.
    mine["attributes"] = [*mine["attributes"], {"name": "occluded", "type": "bool", "component": "toggle"}]
    dataset.delete_label_schemas("notes")
    dataset.deactivate_label_schemas("count")
    dataset.active_label_schemas = dataset.active_label_schemas[::-1]
    dataset.update_label_schema("ground_truth", mine, allow_new_attrs=True)
    active = dataset.active_label_schemas
    imported.edit(elements(imported)[0], Label="squid")
    imported.run()
    after = imported.dataset()
    assert after.label_schemas["ground_truth"] == {**mine, "classes": ["eel", "kelp", "crab", "squid"]}
    assert "notes" not in after.label_schemas
    assert after.active_label_schemas == active


def test_an_attribute_that_is_new_in_tator_takes_its_place_in_the_tab(house: Any) -> None:
    house.box(house.media("a.png"))
    kept = "the dataset of both types"
    house.run(dataset_name=kept, types=["Box"])
    kind = house.type("Other box", "box", [{"name": "Label", "dtype": "string"}, {"name": "depth", "dtype": "float"}])
    house.box(house.media("b.png"), type=kind)
    house.run(dataset_name=kept)
    active = house.dataset(kept).active_label_schemas
    assert [name for name in active if name in (*EDITED, "depth")] == [*EDITED, "depth"]


def test_values_that_are_no_choice_in_tator_any_more_can_be_chosen_where_they_are_in_use(imported: Any) -> None:
    dataset = imported.dataset()
    sample = dataset.first()
    sample["quality"] = "splendid"
    sample.save()
    imported.run()
    assert choices(imported, "quality") == ["good", "fair", "bad", "splendid"]


def test_of_very_many_labels_the_most_used_can_be_chosen_and_all_is_found_in_no_time(house: Any) -> None:
    house.box(house.media("a.png"))
    house.run()
    dataset = house.dataset()
    samples = foo.get_db_conn()[dataset._sample_collection_name]
    samples.insert_many(
        {"_id": ObjectId(), LABEL_FIELD: {"label": f"label {number % 1_100:04d}"}} for number in range(0, 20_500)
    )
    started = time.monotonic()
    used = schemas.in_use(dataset, f"{LABEL_FIELD}.label")
    assert time.monotonic() - started < 1
    assert len(used) == schemas.CHOICES_AT_MOST and used == sorted(used)
    rare = {f"label {number:04d}" for number in range(20_500 % 1_100, 1_100)}
    assert len({f"label {number:04d}" for number in range(1_100)} - rare - {*used}) == 0


def test_fields_can_be_deleted_and_renamed_after_an_import(imported: Any) -> None:
    dataset: fo.Dataset = imported.dataset()
    dataset.rename_sample_field("notes", "remarks")
    dataset.delete_sample_field("count")
    assert "remarks" in dataset.label_schemas and "count" not in dataset.label_schemas
    imported.run()
    assert "count" in imported.dataset().get_field_schema()
