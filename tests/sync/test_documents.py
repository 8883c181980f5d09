"""The document of a sample is what FiftyOne itself would write, and reads back as what Tator holds."""

from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any
from urllib.parse import parse_qs, urlsplit

import fiftyone as fo
import fiftyone.core.utils as fou
import numpy as np
import pytest
from bson import ObjectId
from pymongo.database import Database

from fiftyone_tator.media.crops import Crop
from fiftyone_tator.sync import dataset as datasets
from fiftyone_tator.sync.documents import CONFIDENCE, LABEL, DocumentMaker, classification, link, picture
from fiftyone_tator.sync.fields import FieldMap, map_fields
from fiftyone_tator.sync.plan import compare
from fiftyone_tator.sync.scope import Scope
from fiftyone_tator.tator_client import Localization, LocalizationType, Media, MediaType, Project, Version

ELEMENT = "0c28ef2c-0f30-4a4e-a1f5-4a5a8a1d2f10"
ATTRIBUTES = {
    "Label": ("string", 'it\'s a 100% سمكة / "crab"'),
    "score": ("float", 0.25),
    "count": ("int", 2**40),
    "depth": ("float", 1e308),
    "quality": ("enum", "good"),
    "verified": ("bool", True),
    "seen": ("datetime", "2025-06-01T12:34:56.789012+02:00"),
    "where": ("geopos", [-122.5, 36.25]),
    "embedding": ("float_array", [0.5, -1, 1e-300]),
    "id": ("string", "a reserved name"),
    "nothing": ("float", None),
    "validate": ("string", "covers a method"),
    "mask": ("blob", {"rle": [1, 2]}),
}
MEDIA_ATTRIBUTES = {"site": ("string", "Monterey"), "position": ("geopos", [1, 2]), "taken": ("datetime", "2025-06-01")}


def attribute_types(values: dict[str, tuple[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"name": name, "dtype": dtype, "order": order}
        for order, (name, dtype) in enumerate((name, dtype) for name, (dtype, _) in values.items())
    ]


def localization_type(id: int, name: str, dtype: str, attributes: dict[str, tuple[str, Any]]) -> LocalizationType:
    data = {"id": id, "project": 7, "name": name, "dtype": dtype, "attribute_types": attribute_types(attributes)}
    return LocalizationType.from_json(data)


BOX = localization_type(1, "Box", "box", ATTRIBUTES)
POLY = localization_type(4, "Outline", "poly", {"Label": ("string", None)})
IMAGE = MediaType.from_json(
    {"id": 1, "project": 7, "name": "Image", "dtype": "image", "attribute_types": attribute_types(MEDIA_ATTRIBUTES)}
)
SCOPE = Scope(
    url="http://tator.example",
    project=Project.from_json({"id": 7, "name": "Reef"}),
    versions=(Version.from_json({"id": 3, "name": "Baseline", "project": 7}),),
    types=(BOX, POLY),
    media_types={1: IMAGE},
    users={1: "ann"},
)
MEDIA = Media.from_json(
    {
        "id": 11, "name": "img 3.jpg", "type": 1, "project": 7, "md5": "abc",
        "attributes": {name: value for name, (_, value) in MEDIA_ATTRIBUTES.items()},
    }
)  # fmt: skip
CROP = picture("/data/crops/img 3/a.jpg", Crop(width=64, height=48, size_bytes=1_234), "jpg")


def localization(**changes: Any) -> Localization:
    data = {
        **dict.fromkeys("u v points parent user".split()),
        **{"id": 99, "type": 1, "media": 11, "version": 3, "frame": 0, "elemental_id": ELEMENT, "mark": 0},
        **{"x": 0.1, "y": 0.2, "width": 0.3, "height": 0.4, "variant_deleted": False, "created_by": 1},
        **{"created_datetime": "2026-11-21T09:55:51.198Z", "modified_by": 2},
        **{"modified_datetime": "2026-11-22T09:55:51.198Z"},
        "attributes": {name: value for name, (_, value) in ATTRIBUTES.items()},
        **changes,
    }
    return Localization.from_json(data)


def outline() -> Localization:
    corners = [[0.1, 0.1], [0.5, 0.2], [0.3, 0.6]]
    return localization(type=4, points=corners, x=None, y=None, width=None, height=None, attributes={"Label": "kelp"})


@pytest.fixture(scope="module")
def fields() -> FieldMap:
    return map_fields(SCOPE.types, [IMAGE])


@pytest.fixture
def dataset(database: object, fields: FieldMap) -> Iterator[fo.Dataset]:
    dataset = fo.Dataset()
    datasets.declare(dataset, SCOPE, fields)
    yield dataset
    dataset.delete()


@pytest.fixture
def maker(fields: FieldMap, dataset: fo.Dataset) -> DocumentMaker:
    return DocumentMaker(SCOPE, fields, datasets.dataset_id(dataset))


def document(maker: DocumentMaker, row: Localization, region: tuple[float, float, float, float]) -> dict[str, Any]:
    owned = {**maker.owned(row, MEDIA, region), **maker.of_media(MEDIA.attributes)}
    return maker.document(ObjectId(), owned, maker.values(row), CROP)


def insert(database: Database[dict[str, Any]], dataset: fo.Dataset, *documents: dict[str, Any]) -> None:
    database[dataset._sample_collection_name].insert_many(list(documents))
    dataset.reload()


def by_hand() -> fo.Sample:
    """The sample of the localization as somebody would make it with FiftyOne alone."""
    return fo.Sample(
        filepath="/data/crops/img 3/a.jpg",
        metadata=fo.ImageMetadata(size_bytes=1_234, mime_type="image/jpeg", width=64, height=48, num_channels=3),
        ground_truth=fo.Classification(label='it\'s a 100% سمكة / "crab"', confidence=0.25),
        elemental_id=ELEMENT,
        version="Baseline",
        localization_type="Box",
        media_id=11,
        media_name="img 3.jpg",
        frame=0,
        box=[0.1, 0.2, 0.3, 0.4],
        tator_url=link(SCOPE, localization(), "box"),
        tator_created_at=datetime(2026, 11, 21, 9, 55, 51, 198_000),
        tator_created_by="ann",
        tator_modified_at=datetime(2026, 11, 22, 9, 55, 51, 198_000),
        tator_modified_by="user 2",
        count=2**40,
        depth=1e308,
        quality="good",
        verified=True,
        seen=datetime(2025, 6, 1, 10, 34, 56, 789_000),
        where=fo.GeoLocation(point=[-122.5, 36.25]),
        embedding=np.array([0.5, -1, 1e-300]),
        tator_id="a reserved name",
        nothing=None,
        tator_validate="covers a method",
        mask='{"rle": [1, 2]}',
        media_site="Monterey",
        media_position=fo.GeoLocation(point=[1.0, 2.0]),
        media_taken=datetime(2025, 6, 1),
    )


def plain(value: Any) -> Any:
    """A stored value without ids and times of writing, and without the nulls that FiftyOne leaves out."""
    left_out = ("_id", "id", "_rand", "created_at", "last_modified_at")
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items() if key not in left_out and each is not None}
    return [plain(each) for each in value] if isinstance(value, list) else value


def test_a_document_is_what_fiftyone_writes_for_the_same_sample(
    database: Database[dict[str, Any]], dataset: fo.Dataset, maker: DocumentMaker
) -> None:
    ours = document(maker, localization(), (0.1, 0.2, 0.3, 0.4))
    insert(database, dataset, ours)
    dataset.add_sample(by_hand())
    one, other = database[dataset._sample_collection_name].find().sort("_id")
    vectors = [fou.deserialize_numpy_array(each.pop("embedding")) for each in (one, other)]
    assert vectors[0].tolist() == vectors[1].tolist() == [0.5, -1, 1e-300]
    assert plain(one) == plain(other)
    assert {key: type(value) for key, value in plain(one).items()} == {
        key: type(value) for key, value in plain(other).items()
    }


def test_a_document_reads_back_as_the_sample_that_fiftyone_makes(
    database: Database[dict[str, Any]], dataset: fo.Dataset, maker: DocumentMaker
) -> None:
    insert(database, dataset, document(maker, localization(), (0.1, 0.2, 0.3, 0.4)))
    dataset.add_sample(by_hand())
    one, other = dataset.first(), dataset.last()
    assert one.id != other.id
    assert one.field_names == other.field_names
    for name in one.field_names:
        if name in ("id", "created_at", "last_modified_at"):
            continue
        mine, theirs = one[name], other[name]
        assert type(mine) is type(theirs), name
        if name == "embedding":
            assert mine.dtype == theirs.dtype
            assert mine.tolist() == theirs.tolist()
        elif isinstance(mine, (fo.Label, fo.ImageMetadata)):
            assert plain(mine.to_dict()) == plain(theirs.to_dict()), name
        else:
            assert mine == theirs, name
    assert one.ground_truth.label == 'it\'s a 100% سمكة / "crab"'
    assert one.where.point == [-122.5, 36.25]
    assert one.media_type == "image"
    assert abs((datetime.now(timezone.utc) - one.created_at.replace(tzinfo=timezone.utc)).total_seconds()) < 600


def test_a_sample_of_ours_can_be_edited_saved_cloned_and_indexed(
    database: Database[dict[str, Any]], dataset: fo.Dataset, maker: DocumentMaker
) -> None:
    insert(database, dataset, document(maker, localization(), (0.1, 0.2, 0.3, 0.4)))
    sample = dataset.first()
    sample.ground_truth.label = "lobster"
    sample["depth"] = 3.0
    sample["embedding"] = np.array([1.0, 2.0])
    sample.save()
    dataset.create_index("tator_id")
    copy = dataset.clone()
    try:
        assert copy.values(["ground_truth.label", "depth"]) == (["lobster"], [3.0])
        assert copy.match(fo.ViewField("ground_truth.confidence") == 0.25).count() == 1
    finally:
        copy.delete()


def test_a_polygon_keeps_its_points_and_a_box_has_none(
    database: Database[dict[str, Any]], dataset: fo.Dataset, maker: DocumentMaker
) -> None:
    box = document(maker, localization(), (0.1, 0.2, 0.3, 0.4))
    poly = document(maker, outline(), (0.1, 0.1, 0.4, 0.5))
    insert(database, dataset, box, poly)
    assert dataset.values("points") == [None, [[0.1, 0.1], [0.5, 0.2], [0.3, 0.6]]]
    assert dataset.values("box") == [[0.1, 0.2, 0.3, 0.4], [0.1, 0.1, 0.4, 0.5]]
    assert dataset.values("ground_truth.label")[1] == "kelp"
    assert dataset.values("count") == [2**40, None]


def test_what_was_written_is_what_is_compared_so_that_nothing_seems_edited(
    database: Database[dict[str, Any]], dataset: fo.Dataset, maker: DocumentMaker
) -> None:
    for row in (localization(), outline()):
        written = document(maker, row, (0.1, 0.2, 0.3, 0.4))
        insert(database, dataset, written)
        stored = database[dataset._sample_collection_name].find_one({"_id": written["_id"]})
        base = maker.comparable(maker.values(row))
        difference = compare(base, maker.comparable(maker.ours(stored or {})), base)
        assert (difference.ours, difference.theirs, difference.conflicts) == (frozenset(), {}, {})


def test_what_fiftyone_saves_anew_without_a_change_does_not_seem_edited(
    database: Database[dict[str, Any]], dataset: fo.Dataset, maker: DocumentMaker
) -> None:
    written = document(maker, localization(), (0.1, 0.2, 0.3, 0.4))
    insert(database, dataset, written)
    sample = dataset.first()
    for name in ("where", "embedding", "seen", "depth", "ground_truth"):
        value = sample[name]
        sample[name] = value.copy() if hasattr(value, "copy") else value
    sample.save()
    stored = database[dataset._sample_collection_name].find_one({"_id": written["_id"]})
    base = maker.comparable(maker.values(localization()))
    assert compare(base, maker.comparable(maker.ours(stored or {})), base).ours == frozenset()


def test_each_edit_in_the_app_is_seen_as_an_edit_of_its_field(
    database: Database[dict[str, Any]], dataset: fo.Dataset, maker: DocumentMaker
) -> None:
    written = document(maker, localization(), (0.1, 0.2, 0.3, 0.4))
    insert(database, dataset, written)
    sample = dataset.first()
    sample.ground_truth.label = "lobster"
    sample["verified"] = False
    sample["where"] = fo.GeoLocation(point=[0.0, 0.0])
    sample["quality"] = None
    sample.save()
    stored = database[dataset._sample_collection_name].find_one({"_id": written["_id"]})
    base = maker.comparable(maker.values(localization()))
    difference = compare(base, maker.comparable(maker.ours(stored or {})), base)
    assert difference.ours == {LABEL, "verified", "where", "quality"}


def test_a_label_that_somebody_removed_whole_is_an_edit(maker: DocumentMaker) -> None:
    base = maker.values(localization())
    kept = {key: value for key, value in base.items() if key not in (LABEL, CONFIDENCE)}
    ours = maker.ours({**kept, "localization_type": "Box", "box": [0.1, 0.2, 0.3, 0.4]})
    assert compare(maker.comparable(base), maker.comparable(ours), maker.comparable(base)).ours == {LABEL, CONFIDENCE}


def test_a_value_that_its_field_cannot_keep_is_left_empty_and_named(maker: DocumentMaker) -> None:
    problems: list[str] = []
    values = maker.values(localization(attributes={"Label": 5, "count": 10**30, "score": "high"}), problems)
    assert (values[LABEL], values["count"], values[CONFIDENCE]) == ("5", None, None)
    assert sorted(problems) == [
        "its attribute 'count' was left empty: the integer does not fit into 64 bits",
        "its attribute 'score' was left empty: 'high' is not a number",
    ]


def test_a_media_attribute_that_its_field_cannot_keep_is_left_empty(maker: DocumentMaker) -> None:
    assert maker.of_media({"site": 5, "position": [999, 0], "taken": "once"}) == {
        "media_site": "5",
        "media_position": None,
        "media_taken": None,
    }


@pytest.mark.parametrize(("row", "label"), [(localization(), ATTRIBUTES["Label"][1]), (outline(), "kelp")])
def test_the_label_of_a_row_is_that_of_its_type(maker: DocumentMaker, row: Localization, label: str) -> None:
    assert maker.label(row) == label
    assert maker.label(localization(attributes={})) is None


def test_the_link_opens_exactly_this_localization() -> None:
    address = urlsplit(link(SCOPE, localization(frame=12), "box"))
    assert (address.scheme, address.netloc, address.path) == ("http", "tator.example", "/7/annotation/11")
    assert parse_qs(address.query) == {
        "selected_entity": [ELEMENT],
        "selected_type": ["box_1"],
        "version": ["3"],
        "frame": ["12"],
    }


def test_a_label_that_takes_the_place_of_another_keeps_its_id_tags_and_other_attributes() -> None:
    old = {"_id": ObjectId(), "_cls": "Classification", "tags": ["seen"], "label": "crab", "logits": b"x"}
    new = classification({LABEL: "lobster", CONFIDENCE: None}, old)
    assert new == {**old, "label": "lobster", "confidence": None}


def test_what_is_compared_of_a_media_changes_with_its_name_file_and_attributes_only(maker: DocumentMaker) -> None:
    data = {"id": 11, "name": "a.jpg", "type": 1, "project": 7, "md5": "abc", "attributes": {"b": 1, "a": "é"}}
    base = maker.media_row(Media.from_json(data))
    assert maker.media_row(Media.from_json({**data, "attributes": {"a": "é", "b": 1}, "width": 5})) == base
    for change in ({"name": "b.jpg"}, {"md5": "x"}, {"attributes": {"a": "é"}}):
        assert maker.media_row(Media.from_json({**data, **change})) != base
