"""From geometry to the region of a crop, for every kind of localization and every odd one."""

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fiftyone_tator.sync.geometry import NoRegion, points, region
from fiftyone_tator.tator_client import Localization

fraction = st.floats(0, 1)
step = st.floats(-1, 1)
corner = st.tuples(fraction, fraction).map(list)


def localization(**geometry: Any) -> Localization:
    keys = {name: None for name in Localization.__slots__ if name != "deleted"}
    return Localization.from_json({**keys, "variant_deleted": False, "attributes": {}, **geometry})


@given(st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True), fraction, fraction)
def test_a_box_is_its_own_region(x: float, y: float, width: float, height: float) -> None:
    assume(width > 0 and height > 0)
    row = localization(x=x, y=y, width=width, height=height)
    assert region(row, "box") == (x, y, width, height)
    assert points(row, "box") is None


@given(fraction, fraction)
def test_a_dot_anywhere_on_the_picture_is_a_region_without_extent(x: float, y: float) -> None:
    row = localization(x=x, y=y)
    assert region(row, "dot") == (x, y, 0.0, 0.0)
    assert points(row, "dot") == [[x, y]]


@given(fraction, fraction, step, step)
def test_a_lines_region_reaches_from_end_to_end(x: float, y: float, u: float, v: float) -> None:
    assume(max(x, x + u) > 1e-9 and max(y, y + v) > 1e-9 and min(x, x + u) < 1 and min(y, y + v) < 1)
    row = localization(x=x, y=y, u=u, v=v)
    ends = [[x, y], [x + u, y + v]]
    assert points(row, "line") == ends
    left, top, width, height = region(row, "line")
    assert (left, top) == (min(x, x + u), min(y, y + v))
    assert (left + width, top + height) == pytest.approx((max(x, x + u), max(y, y + v)))


@given(fraction, fraction, step, step)
def test_a_line_drawn_from_its_other_end_has_the_same_region(x: float, y: float, u: float, v: float) -> None:
    assume(0 <= x + u <= 1 and 0 <= y + v <= 1)
    one = region(localization(x=x, y=y, u=u, v=v), "line")
    other = region(localization(x=x + u, y=y + v, u=-u, v=-v), "line")
    assert one == pytest.approx(other, abs=1e-12)


@given(st.lists(corner, min_size=1, max_size=12), st.randoms())
def test_a_polygons_region_is_the_smallest_that_holds_all_corners_in_any_order(
    corners: list[list[float]], random: Any
) -> None:
    left, top, width, height = region(localization(points=corners), "poly")
    columns, rows = [x for x, _ in corners], [y for _, y in corners]
    assert (left, top) == (min(columns), min(rows))
    assert (width, height) == (max(columns) - left, max(rows) - top)
    shuffled = random.sample(corners, len(corners))
    assert region(localization(points=shuffled), "poly") == (left, top, width, height)
    assert points(localization(points=corners), "poly") == corners


@pytest.mark.parametrize(
    ("dtype", "geometry"),
    [
        ("box", {}),
        ("box", {"x": 0.1, "y": 0.1, "width": None, "height": 0.2}),
        ("box", {"y": 0.1, "width": 0.1, "height": 0.2}),
        ("dot", {"x": 0.5}),
        ("dot", {}),
        ("line", {"x": 0.5, "y": 0.5, "u": 0.1}),
        ("line", {"x": 0.5, "y": 0.5}),
        ("poly", {}),
        ("poly", {"points": []}),
        ("poly", {"points": [[0.1, 0.2, 0.3]]}),
        ("poly", {"points": [[0.1, None]]}),
        ("poly", {"points": [0.1, 0.2]}),
        ("poly", {"points": [[10**400, 0]]}),
    ],
)
def test_missing_or_broken_geometry_is_told(dtype: str, geometry: dict[str, Any]) -> None:
    with pytest.raises(NoRegion, match="it has no geometry"):
        region(localization(**geometry), dtype)


@pytest.mark.parametrize(("width", "height"), [(0, 0.5), (0.5, 0), (0, 0), (-0.1, 0.5)])
def test_a_box_without_an_area_is_told(width: float, height: float) -> None:
    with pytest.raises(NoRegion, match="its box has no area"):
        region(localization(x=0.5, y=0.5, width=width, height=height), "box")


@pytest.mark.parametrize(
    ("dtype", "geometry"),
    [
        ("line", {"x": 0.0, "y": 0.0, "u": 0.5, "v": -0.5}),
        ("box", {"x": 1, "y": 0.5, "width": 0.1, "height": 0.1}),
        ("box", {"x": 0.5, "y": 1.2, "width": 0.1, "height": 0.1}),
        ("box", {"x": -0.5, "y": 0.5, "width": 0.5, "height": 0.1}),
        ("dot", {"x": 1.01, "y": 0.5}),
        ("dot", {"x": 0.5, "y": -0.01}),
        ("line", {"x": -0.2, "y": 0.5, "u": -0.5, "v": 0.1}),
        ("poly", {"points": [[1.1, 1.1], [1.2, 1.1], [1.2, 1.3]]}),
    ],
)
def test_what_lies_outside_the_picture_is_told(dtype: str, geometry: dict[str, Any]) -> None:
    with pytest.raises(NoRegion, match="it lies outside the picture"):
        region(localization(**geometry), dtype)


@pytest.mark.parametrize("far", [1e7, 1e308, -1e9, float("inf"), float("nan")])
def test_corners_that_make_no_sense_are_told(far: float) -> None:
    with pytest.raises(NoRegion, match="makes no sense"):
        region(localization(points=[[0.1, 0.1], [0.2, 0.2], [far, 0.3]]), "poly")


def test_what_reaches_beyond_the_picture_keeps_its_whole_region() -> None:
    assert region(localization(x=0.9, y=0.9, width=0.5, height=0.5), "box") == (0.9, 0.9, 0.5, 0.5)
