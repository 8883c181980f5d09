import io
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from fiftyone_tator.sandbox.pictures import LABELS, Source, Thing, inside, load_pictures

THING = Thing("x/0", "Star", (10.0, 20.0, 30.0, 40.0), (20.0, 30.0), (15.0, 30.0, 10.0, 0.0), (), (0.0,) * 8, 1)


def test_every_label_is_found(sources: dict[str, Source]) -> None:
    """Each class of each picture has at least one thing, and no thing has a class of another picture."""
    for name, source in sources.items():
        assert {thing.label for thing in source.things} == set(LABELS[name])


def test_all_coins_are_found(sources: dict[str, Source]) -> None:
    """The picture of coins shows 24 of them, 6 of which are large."""
    assert Counter(thing.label for thing in sources["coins"].things) == {"Small coin": 18, "Large coin": 6}


@pytest.mark.parametrize(("source", "sign"), [("hubble", 1), ("coins", 1), ("cell", 1), ("tissue", -1)])
def test_boxes_sit_on_things(sources: dict[str, Source], source: str, sign: int) -> None:
    """What is in the boxes is brighter than the rest (of the stained tissue: darker)."""
    found = sources[source]
    covered = np.zeros(found.pixels.shape[:2], bool)
    for thing in found.things:
        left, top, right, bottom = map(int, thing.box)
        covered[top:bottom, left:right] = True
    grey = found.pixels.mean(axis=2)
    assert sign * (grey[covered].mean() - grey[~covered].mean()) > 20


def test_pictures_decode_to_their_size(sources: dict[str, Source]) -> None:
    """There are 20 to 60 pictures, and each file has the width, height and type that its picture names."""
    pictures = load_pictures(sources)
    assert 20 <= len(pictures) <= 60
    assert len({picture.name for picture in pictures}) == len(pictures)
    for picture in pictures:
        image = Image.open(io.BytesIO(picture.data))
        assert image.size == (picture.width, picture.height)
        assert Image.MIME[image.format or ""] == picture.mime


def test_things_stay_inside_their_picture(sources: dict[str, Source]) -> None:
    """Boxes, centres, axes and outlines lie in 0..1, boxes have an area, and outlines at least three points."""
    for picture in load_pictures(sources):
        for thing in picture.things:
            x, y, u, v = thing.axis
            points = [thing.box[:2], thing.box[2:], thing.centre, (x, y), (round(x + u, 6), round(y + v, 6))]
            assert all(0 <= value <= 1 for point in [*points, *thing.outline] for value in point)
            assert thing.box[0] < thing.box[2]
            assert thing.box[1] < thing.box[3]
            assert len(thing.outline) == 0 or len(thing.outline) >= 3


def test_a_window_moves_and_scales() -> None:
    """A thing wholly in a window keeps its place relative to it."""
    found = inside(THING, (0, 0, 40, 80))
    assert found is not None
    assert (found.box, found.centre, found.axis) == ((0.25, 0.25, 0.75, 0.5), (0.5, 0.375), (0.375, 0.375, 0.25, 0.0))
    assert not found.cut


def test_a_window_clips() -> None:
    """A thing that a window cuts is clipped and marked, and left out if less than 60 % of it is seen."""
    found = inside(THING, (0, 0, 25, 80))
    assert found is not None
    assert found.cut
    assert found.box[2] == 1.0
    assert inside(THING, (0, 0, 20, 80)) is None
    assert inside(THING, (100, 100, 200, 200)) is None
