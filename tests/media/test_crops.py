"""Crops show exactly what was drawn, in its proportions, and are on disk whole or not at all."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from fiftyone_tator.media import crops
from fiftyone_tator.media.crops import Crop, CropJob, CropStyle, cut, pixel_box, run
from fiftyone_tator.media.pictures import UnreadablePicture

EXACT = CropStyle(size=4_096, format="png")
fraction = st.floats(0, 1)
side = st.integers(1, 12_000)


def gradient(width: int, height: int) -> np.ndarray:
    """A picture whose pixels tell their place: blue the column, green the row, red both."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([columns % 256, rows % 256, (columns // 256 + rows // 256) % 256], axis=2).astype(np.uint8)


def decoded(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


@given(width=side, height=side, data=st.data())
@example(width=10, height=10, data=None)
def test_a_box_on_pixel_borders_covers_exactly_those_pixels(
    width: int, height: int, data: st.DataObject | None
) -> None:
    if data is None:
        left, top, right, bottom = 1, 1, 7, 7
    else:
        left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
        right, bottom = data.draw(st.integers(left + 1, width)), data.draw(st.integers(top + 1, height))
    region = left / width, top / height, (right - left) / width, (bottom - top) / height
    assert pixel_box(region, (width, height), CropStyle()) == (left, top, right, bottom)


@given(
    region=st.tuples(
        st.floats(-2, 2), st.floats(-2, 2), st.floats(0, 3, exclude_min=True), st.floats(0, 3, exclude_min=True)
    ),
    width=side,
    height=side,
    padding=st.floats(0, 4),
)
def test_a_box_lies_within_the_picture_and_has_a_pixel_each_way_or_there_is_none(
    region: tuple[float, float, float, float], width: int, height: int, padding: float
) -> None:
    box = pixel_box(region, (width, height), CropStyle(padding=padding))
    if box is not None:
        left, top, right, bottom = box
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
    else:
        x, y, w, h = region
        assert x + w <= 1e-9 or y + h <= 1e-9 or x >= 1 - 1e-9 or y >= 1 - 1e-9


@given(x=fraction, y=fraction, w=fraction, h=fraction, width=side, height=side)
def test_a_box_within_the_picture_is_covered_whole_with_less_than_a_pixel_more(
    x: float, y: float, w: float, h: float, width: int, height: int
) -> None:
    assume(w > 0 and h > 0 and x + w <= 1 and y + h <= 1 and x < 1 and y < 1)
    box = pixel_box((x, y, w, h), (width, height), CropStyle())
    assert box is not None
    for low, high, start, end in (
        (box[0], box[2], x * width, (x + w) * width),
        (box[1], box[3], y * height, (y + h) * height),
    ):
        assert start - 1 < low <= start + 1e-5
        assert end - 1e-5 <= high < max(end + 1, low + 1 + 1e-5)


@given(x=fraction, y=fraction, width=side, height=side)
def test_a_dot_on_the_picture_always_has_a_crop_of_at_most_the_window(
    x: float, y: float, width: int, height: int
) -> None:
    box = pixel_box((x, y, 0.0, 0.0), (width, height), CropStyle(window=96))
    assert box is not None
    left, top, right, bottom = box
    assert left <= x * width <= right
    assert top <= y * height <= bottom
    assert right - left <= 97
    assert bottom - top <= 97


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        ((0.25, 0.25, 0.5, 0.5), (15, 15, 85, 85)),
        ((0.0, 0.0, 0.5, 0.5), (0, 0, 60, 60)),
        ((0.9, 0.9, 0.1, 0.1), (88, 88, 100, 100)),
    ],
)
def test_padding_is_a_fraction_of_the_box_and_ends_at_the_picture(
    region: tuple[float, float, float, float], expected: tuple[int, int, int, int]
) -> None:
    assert pixel_box(region, (100, 100), CropStyle(padding=0.2)) == expected


@pytest.mark.parametrize("region", [(1.0, 0.2, 0.5, 0.5), (0.2, 1.5, 0.5, 0.5), (-0.5, 0.2, 0.5, 0.5)])
def test_what_lies_outside_the_picture_has_no_crop(region: tuple[float, float, float, float]) -> None:
    assert pixel_box(region, (640, 480), CropStyle()) is None
    assert cut(gradient(640, 480), region, CropStyle()) is None


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(1, 900),
    height=st.integers(1, 900),
    size=st.integers(16, 512),
    format=st.sampled_from("jpg png".split()),
)
def test_a_crop_keeps_its_proportions_and_is_never_larger_than_asked_for_or_than_its_region(
    width: int, height: int, size: int, format: str
) -> None:
    made = cut(gradient(900, 900), (0.0, 0.0, width / 900, height / 900), CropStyle(size=size, format=format))
    assert made is not None
    data, across, down = made
    assert decoded(data).shape == (down, across, 3)
    assert max(across, down) == min(size, max(width, height))
    scale = max(across, down) / max(width, height)
    assert abs(across - max(1, width * scale)) <= 0.5
    assert abs(down - max(1, height * scale)) <= 0.5


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_png_crop_that_needs_no_shrinking_is_the_region_pixel_by_pixel(data: st.DataObject) -> None:
    picture = gradient(300, 200)
    left, top = data.draw(st.integers(0, 299)), data.draw(st.integers(0, 199))
    right, bottom = data.draw(st.integers(left + 1, 300)), data.draw(st.integers(top + 1, 200))
    made = cut(picture, (left / 300, top / 200, (right - left) / 300, (bottom - top) / 200), EXACT)
    assert made is not None
    assert np.array_equal(decoded(made[0]), picture[top:bottom, left:right])


def test_a_crop_of_a_very_flat_region_has_at_least_one_row() -> None:
    made = cut(gradient(3_000, 20), (0.0, 0.0, 1.0, 0.05), CropStyle(size=64))
    assert made is not None
    assert made[1:] == (64, 1)


def job(folder: Path, regions: list[tuple[float, float, float, float]], style: CropStyle = EXACT) -> CropJob:
    targets = tuple(folder / "crops" / f"group {n % 2}" / f"{n}.png" for n in range(len(regions)))
    return CropJob(folder / "picture.png", (120, 80), tuple(regions), targets, style)


def test_each_region_of_a_job_becomes_its_file(tmp_path: Path) -> None:
    picture = gradient(120, 80)
    cv2.imwrite(str(tmp_path / "picture.png"), picture)
    work = job(tmp_path, [(0.0, 0.0, 0.5, 0.5), (2.0, 0.0, 0.5, 0.5), (0.5, 0.5, 0.5, 0.5)])
    made = run(work)
    first, outside, last = work.targets
    assert made == [Crop(60, 40, first.stat().st_size), None, Crop(60, 40, last.stat().st_size)]
    assert np.array_equal(cv2.imread(str(first)), picture[:40, :60])
    assert np.array_equal(cv2.imread(str(last)), picture[40:, 60:])
    assert not outside.exists()
    assert sorted(p.name for p in (tmp_path / "crops").rglob("*") if p.is_file()) == ["0.png", "2.png"]


def test_a_job_whose_picture_is_broken_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(b"nothing")
    with pytest.raises(UnreadablePicture):
        run(job(tmp_path, [(0.0, 0.0, 1.0, 1.0)]))
    assert not (tmp_path / "crops").exists()


def test_a_crop_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "picture.png"), gradient(120, 80))
    work = job(tmp_path, [(0.0, 0.0, 0.1, 0.1)])
    run(work)
    run(CropJob(work.picture, work.size, ((0.0, 0.0, 1.0, 1.0),), work.targets, work.style))
    assert cv2.imread(str(work.targets[0])).shape == (80, 120, 3)


def test_every_format_of_the_style_can_be_encoded() -> None:
    signatures = {"jpg": b"\xff\xd8", "png": b"\x89PNG"}
    assert set(crops.FORMATS) == set(signatures)
    for name, signature in signatures.items():
        made = cut(gradient(30, 30), (0.0, 0.0, 1.0, 1.0), CropStyle(format=name))
        assert made is not None
        assert made[0].startswith(signature)
