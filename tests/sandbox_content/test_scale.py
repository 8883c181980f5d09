import io
import json
from collections import Counter
from time import process_time

import pytest
from PIL import Image

from fiftyone_tator.sandbox.demo import ATTRIBUTE_TYPES
from fiftyone_tator.sandbox.pictures import Source
from fiftyone_tator.sandbox.scale import add_scale, make_scene
from fiftyone_tator.sandbox.seed import Seeded
from fiftyone_tator.sandbox.store import Store

Empty = tuple[Store, Seeded]


@pytest.mark.parametrize(("n", "versions"), [(1, 1), (1001, 1), (1001, 2), (5000, 2)])
def test_there_are_exactly_n_boxes(empty_store: Empty, n: int, versions: int) -> None:
    """The project has n visible boxes, spread evenly over its versions."""
    store, seeded = empty_store
    demo = add_scale(store, seeded, n, versions=versions)
    sql = "select version, count(*) from localization where project = ? and type = ? and live = 2 group by version"
    counts = dict(map(tuple, store.rows(sql, (demo.project, demo.localization_types["box"]))))
    assert sum(counts.values()) == n
    assert counts.keys() == set(demo.versions.values())
    assert max(counts.values()) - min(counts.values()) <= 1


def test_boxes_are_whole(empty_store: Empty) -> None:
    """Each box is inside its picture and has all attributes, and each elemental id occurs once."""
    store, seeded = empty_store
    demo = add_scale(store, seeded, 2000, boxes_per_picture=400, versions=2)
    rows = store.rows("select * from localization where project = ?", (demo.project,))
    assert len({row["elemental_id"] for row in rows}) == len(rows)
    for row in rows:
        assert 0 <= row["x"] <= row["x"] + row["width"] <= 1 + 1e-6
        assert 0 <= row["y"] <= row["y"] + row["height"] <= 1 + 1e-6
        assert min(row["width"], row["height"]) > 0
        attributes = json.loads(row["attributes"])
        assert attributes.keys() == {attribute["name"] for attribute in ATTRIBUTE_TYPES}
        assert len(attributes["embedding"]) == 8


def test_boxes_spread_over_the_pictures(empty_store: Empty) -> None:
    """So many pictures as asked for have boxes, and no picture has two boxes more than another."""
    store, seeded = empty_store
    add_scale(store, seeded, 1000, pictures=30)
    counts = Counter(row[0] for row in store.rows("select media from localization"))
    assert len(counts) == 30
    assert max(counts.values()) - min(counts.values()) <= 1


def test_shared_pictures_are_stored_once(empty_store: Empty) -> None:
    """Many media point at a few files, which exist, and have the size that the media states."""
    store, seeded = empty_store
    demo = add_scale(store, seeded, 400, boxes_per_picture=4)
    paths = set()
    for row in store.rows("select * from media where project = ?", (demo.project,)):
        definition = json.loads(row["media_files"])["image"][0]
        paths.add(definition["path"])
        assert Image.open(store.media_dir / definition["path"]).size == (row["width"], row["height"])
    assert (len(demo.media), len(paths)) == (100, 12)


def test_distinct_pictures_differ(empty_store: Empty) -> None:
    """With distinct_pictures every media has a file of its own, with other bytes, in the size asked for."""
    store, seeded = empty_store
    demo = add_scale(store, seeded, 200, pictures=20, distinct_pictures=True, picture_size=(640, 360))
    rows = store.rows("select media_files, md5 from media where project = ?", (demo.project,))
    assert len({row["md5"] for row in rows}) == 20
    for row in rows:
        path = json.loads(row["media_files"])["image"][0]["path"]
        assert Image.open(store.media_dir / path).size == (640, 360)


def test_a_scene_is_the_same_every_time(sources: dict[str, Source]) -> None:
    """The same number gives the same bytes and things, another number others."""
    assert make_scene(sources, 5, (320, 240)) == make_scene(sources, 5, (320, 240))
    assert make_scene(sources, 5, (320, 240)).data != make_scene(sources, 6, (320, 240)).data


@pytest.mark.parametrize("size", [(1920, 1080), (400, 900), (512, 512)])
def test_scenes_of_any_format_show_things(sources: dict[str, Source], size: tuple[int, int]) -> None:
    """A scene has the size asked for, wide or high, and several things on it."""
    for number in range(6):
        scene = make_scene(sources, number, size)
        assert Image.open(io.BytesIO(scene.data)).size == size
        assert len(scene.things) > 5


def test_two_versions_disagree_in_places(empty_store: Empty) -> None:
    """Between 5 and 15 % of the second version's boxes are labelled otherwise than the first version's."""
    store, seeded = empty_store
    demo = add_scale(store, seeded, 4000, versions=2)
    labels = [
        [json.loads(row[0])["Label"] for row in store.rows(sql, (version,))]
        for version in demo.versions.values()
        for sql in ["select attributes from localization where version = ? order by id"]
    ]
    share = sum(one != other for one, other in zip(*labels, strict=True)) / len(labels[0])
    assert 0.05 < share < 0.15


def test_the_indexes_are_back(empty_store: Empty) -> None:
    """A large insert leaves the store with the same indexes as before."""
    store, seeded = empty_store
    sql = "select name, sql from sqlite_master where type = 'index' order by name"
    before = [tuple(row) for row in store.rows(sql)]
    add_scale(store, seeded, 100)
    assert [tuple(row) for row in store.rows(sql)] == before


def test_rows_are_fast(empty_store: Empty) -> None:
    """100,000 boxes take less than 10 s of work, so that a million stay under a minute."""
    store, seeded = empty_store
    start = process_time()
    add_scale(store, seeded, 100_000)
    assert process_time() - start < 10
