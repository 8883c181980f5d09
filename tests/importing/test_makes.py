"""What a first import makes."""

import io
import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import fiftyone as fo
import httpx
import numpy as np
import platformdirs
import pytest
from PIL import Image

from fiftyone_tator.media.folders import data_root

GEO = [-122.5, 36.25]
SEEN = "2025-06-01T12:34:56.789000+02:00"


@pytest.fixture(scope="module")
def imported(shared_house: Any) -> Any:
    """Two pictures, the first of 400 x 200 pixels with three boxes, the second with one; and what came of it."""
    house = shared_house
    pixels = np.zeros((200, 400, 3), np.uint8)
    pixels[50:100, 100:300] = (200, 30, 60)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    house.media_ids = [
        house.media("dive 1/wide.png", buffer.getvalue(), attributes={"Station": "M3", "count": 7, "reviewed": True}),
        house.media("small.png"),
    ]
    attributes = {
        "Label": "crab", "score": 0.25, "verified": True, "count": 2**40, "quality": "bad", "seen_at": SEEN,
        "embedding": [0.5, -1.0, 1e-300], "notes": 'it\'s "100 %" / سمكة', "geo": GEO,
    }  # fmt: skip
    wide, small = house.media_ids
    house.elements = house.boxes(
        house.spec(wide, x=0.25, y=0.25, width=0.5, height=0.25, attributes=attributes),
        house.spec(wide, x=0.0, y=0.0, width=1.0, height=1.0, attributes={"Label": "", "score": None}),
        house.spec(wide, x=0.5, y=0.5, width=0.1, height=0.5, attributes={"Label": None}),
        house.spec(small),
    )
    house.result = house.run(crop_size=128)
    return house


@pytest.fixture
def first(imported: Any) -> Any:
    return imported.sample(imported.elements[0])


def test_each_localization_is_one_sample(imported: Any) -> None:
    assert sorted(imported.dataset().values("elemental_id")) == sorted(imported.elements)
    assert imported.result.created == 4


def test_the_result_counts_what_was_done(imported: Any) -> None:
    result = imported.result.as_json()
    assert result["dataset"] == imported.made[0]
    assert (result["pictures"], result["left_out"], result["notes"]) == (2, [], [])


def test_files_lie_below_the_project_folder(imported: Any) -> None:
    wide, small = imported.media_ids
    files = {str(p.relative_to(imported.root)) for p in imported.root.rglob("*") if p.is_file()}
    project = f"project_{imported.project}"
    first, *_, last = imported.elements
    assert f"{project}/download/{wide}_dive 1_wide.png" in files
    assert f"{project}/download/{small}_small.png" in files
    assert f"{project}/crops/dive 1_wide/{first}.jpg" in files
    assert f"{project}/crops/small/{last}.jpg" in files
    assert f"{project}/localizations.jsonl" in files
    assert not [name for name in files if name.endswith(".part")]


def test_the_rows_are_kept_as_lines_of_json(imported: Any) -> None:
    rows = [json.loads(line) for line in (imported.folder / "localizations.jsonl").read_text().splitlines()]
    assert {row["elemental_id"] for row in rows} == set(imported.elements)
    assert rows[0]["attributes"]["geo"] == GEO


def test_the_data_folder_is_the_one_of_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FIFTYONE_TATOR_DIR", str(tmp_path / "here"))
    assert data_root() == tmp_path / "here"
    monkeypatch.delenv("FIFTYONE_TATOR_DIR")
    assert data_root() == Path(platformdirs.user_data_dir("fiftyone-tator"))


def test_crops_keep_their_proportions_and_are_no_larger_than_asked_for(imported: Any) -> None:
    sizes = [Image.open(imported.sample(element).filepath).size for element in imported.elements[:3]]
    assert sizes == [(128, 32), (128, 64), (40, 100)]


def test_a_crop_shows_its_box(first: Any) -> None:
    pixels = np.asarray(Image.open(first.filepath).convert("RGB")).astype(int)
    assert abs(pixels - (200, 30, 60)).max() < 12


def test_metadata_say_what_the_crop_is(first: Any) -> None:
    metadata = first.metadata
    assert (metadata.width, metadata.height, metadata.num_channels, metadata.mime_type) == (128, 32, 3, "image/jpeg")
    assert metadata.size_bytes == Path(first.filepath).stat().st_size


def test_each_picture_is_downloaded_once(imported: Any) -> None:
    paths = [entry["path"] for entry in imported.tator.faults.requests("GET /") if entry["path"].endswith("image.png")]
    mine = [path for path in paths if path.split("/")[4] == str(imported.project)]
    assert len(mine) == len(set(mine)) == 2


def test_a_sample_says_what_and_where_its_localization_is(imported: Any, first: Any) -> None:
    assert (first.version, first.localization_type, first.media_id) == ("Baseline", "Box", imported.media_ids[0])
    assert (first.media_name, first.frame, first.box) == ("dive 1/wide.png", 0, [0.25, 0.25, 0.5, 0.25])
    assert (first.ground_truth.label, first.ground_truth.confidence) == ("crab", 0.25)
    assert (first.tator_created_by, first.tator_modified_by) == ("editor", "editor")
    assert isinstance(first.tator_created_at, datetime) and first.tator_modified_at >= first.tator_created_at


def test_attributes_become_fields_of_their_own_type(imported: Any, first: Any) -> None:
    assert (first.verified, first["count"], first.quality, first.notes) == (True, 2**40, "bad", 'it\'s "100 %" / سمكة')
    assert first.seen_at == datetime(2025, 6, 1, 10, 34, 56, 789_000)
    assert first.embedding.tolist() == [0.5, -1.0, 1e-300]
    assert first.geo.point == GEO
    kinds = {name: type(field).__name__ for name, field in imported.dataset().get_field_schema().items()}
    assert {name: kinds[name] for name in ("verified", "count", "quality", "seen_at", "embedding", "notes", "geo")} == {
        "verified": "BooleanField",
        "count": "IntField",
        "quality": "StringField",
        "seen_at": "DateTimeField",
        "embedding": "VectorField",
        "notes": "StringField",
        "geo": "EmbeddedDocumentField",
    }


def test_media_attributes_do_not_clash_with_those_of_localizations(first: Any) -> None:
    assert (first.media_Station, first.media_count, first.media_reviewed) == ("M3", 7, True)
    assert first["count"] == 2**40


def test_an_empty_label_is_empty_and_none_is_none(imported: Any) -> None:
    labels = [imported.sample(element).ground_truth for element in imported.elements[1:3]]
    assert [label.label for label in labels] == ["", None]
    assert labels[0].confidence is None


@pytest.fixture
def visitor(imported: Any) -> Iterator[httpx.Client]:
    """Somebody who is logged in."""
    with httpx.Client(base_url=imported.tator.url, follow_redirects=True) as http:
        http.post("/accounts/login/", data={"username": "viewer", "password": "viewer"})
        yield http


def test_its_address_opens_exactly_this_localization(imported: Any, visitor: httpx.Client) -> None:
    for element in imported.elements:
        answer = visitor.get(imported.sample(element).tator_url)
        assert answer.status_code == 200
        assert re.findall(r'<h2 id="selected">(.*?)</h2>', answer.text) == [element]


def test_what_people_filter_by_is_indexed(imported: Any) -> None:
    indexes = set(imported.dataset().list_indexes())
    assert {"elemental_id", "media_id", "media_name", "version", "ground_truth.label", "ground_truth.confidence"} <= (
        indexes
    )
    assert {"quality", "verified", "seen_at"} <= indexes


def test_the_base_of_every_localization_is_stored(imported: Any) -> None:
    base = imported.base()
    assert {element for _, element in base} == set(imported.elements)
    row = json.loads(base[imported.versions["Baseline"], imported.elements[0]]["row"])
    assert (row["attributes"]["Label"], row["attributes"]["seen_at"]) == ("crab", SEEN)


def test_the_dataset_says_where_it_comes_from(imported: Any) -> None:
    info = imported.dataset().info["tator"]
    assert (info["server"], info["project"]) == (
        imported.tator.url,
        {"id": imported.project, "name": imported.name},
    )
    assert info["versions"] == {str(imported.versions["Baseline"]): "Baseline"}
    assert info["label_attributes"] == {str(imported.types["Box"]): "Label"}
    assert info["label_defaults"] == {str(imported.types["Box"]): "unknown"}
    assert info["last_import"]["created"] == 4
    assert "unfinished_run" not in info


def test_the_sidebar_shows_labels_first_and_plumbing_last(imported: Any) -> None:
    groups = imported.dataset().app_config.sidebar_groups
    assert [group.name for group in groups][:3] == ["tags", "labels", "attributes"]
    assert groups[1].paths == ["ground_truth", "tator_conflict"]
    assert groups[-1].name == "plumbing" and not groups[-1].expanded
    assert {"id", "filepath", "elemental_id"} <= set(groups[-1].paths)
    listed = [path for group in groups for path in group.paths]
    assert len(listed) == len(set(listed))
    assert set(listed) == {name for name in imported.dataset().get_field_schema() if not name.startswith("_")}


def test_the_dataset_stays_when_the_process_ends(imported: Any) -> None:
    assert imported.dataset().persistent
    assert imported.dataset().media_type == "image"


def test_fiftyone_validates_every_sample(imported: Any) -> None:
    for sample in imported.dataset():
        for name, field in imported.dataset().get_field_schema().items():
            if sample[name] is not None:
                field.validate(sample._doc.get_field(name))
        assert Path(sample.filepath).is_file()


def test_samples_can_be_edited_saved_and_matched(imported: Any, first: Any) -> None:
    view = imported.dataset().match(fo.ViewField("ground_truth.label") == "crab")
    assert {sample.elemental_id for sample in view} == {imported.elements[0], imported.elements[3]}
    first["notes"] = "changed"
    first.save()
    assert imported.sample(imported.elements[0]).notes == "changed"


def test_dots_lines_and_polygons_become_crops_around_them(house: Any, picture: Callable[..., bytes]) -> None:
    for dtype in ("dot", "line", "poly"):
        house.type(dtype.title(), dtype)
    media = house.media("a.png", picture(1, width=400, height=300))
    nothing = {"width": None, "height": None}
    dot, line, poly = house.boxes(
        house.spec(media, type=house.types["Dot"], x=0.5, y=0.5, **nothing),
        house.spec(media, type=house.types["Line"], x=0.25, y=0.5, u=0.5, v=0.0, **nothing),
        house.spec(
            media, type=house.types["Poly"], x=None, y=None, points=[[0.1, 0.1], [0.5, 0.1], [0.3, 0.4]], **nothing
        ),
    )
    house.box(media)
    result = house.run(types=["Dot", "Line", "Poly"])
    assert result.created == 3
    assert house.sample(dot).points == [[0.5, 0.5]]
    assert (house.sample(dot).metadata.width, house.sample(dot).metadata.height) == (96, 96)
    assert house.sample(line).points == [[0.25, 0.5], [0.75, 0.5]]
    assert (house.sample(poly).metadata.width, house.sample(poly).metadata.height) == (160, 90)
    assert "selected_type=poly_" in house.sample(poly).tator_url


def test_one_elemental_id_in_two_versions_is_two_samples_with_two_crops(house: Any) -> None:
    house.version("Model")
    media = house.media("a.png")
    element = house.box(media)
    house.box(media, elemental_id=element, version=house.versions["Model"], x=0.0)
    house.run()
    paths = {sample.version: Path(sample.filepath).name for sample in house.dataset()}
    assert paths == {"Baseline": f"{element}.jpg", "Model": f"{element}_v{house.versions['Model']}.jpg"}


def test_the_version_that_came_first_keeps_its_crop_when_another_shares_its_ids(house: Any) -> None:
    house.version("Model")
    media = house.media("a.png")
    element = house.box(media)
    house.box(media, elemental_id=element, version=house.versions["Model"], x=0.0, y=0.0)
    house.run(versions=["Model"])
    before = house.crops()
    house.run()
    paths = {sample.version: sample.filepath for sample in house.dataset()}
    assert len(set(paths.values())) == 2
    assert Path(paths["Model"]).read_bytes() in before.values()
    assert Path(paths["Baseline"]).read_bytes() != Path(paths["Model"]).read_bytes()
