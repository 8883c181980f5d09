"""Every kind of picture is decoded to the colours that people see, or refused with a reason."""

import io
import random
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from fiftyone_tator.media.pictures import UnreadablePicture, decode

RED, GREEN, BLUE, GREY = (230, 20, 30), (20, 200, 40), (30, 40, 220), (128, 128, 128)


def quarters(width: int = 64, height: int = 48) -> Image.Image:
    """Red, green, blue and grey quarters, from the top left to the bottom right."""
    image = Image.new("RGB", (width, height), GREY)
    image.paste(RED, (0, 0, width // 2, height // 2))
    image.paste(GREEN, (width // 2, 0, width, height // 2))
    image.paste(BLUE, (0, height // 2, width // 2, height))
    return image


def corners(picture: np.ndarray) -> list[tuple[int, ...]]:
    """The colours (red first) in the middle of the quarters."""
    height, width = picture.shape[:2]
    places = [(1, 1), (1, 3), (3, 1), (3, 3)]
    return [tuple(int(v) for v in picture[height * y // 4, width * x // 4][::-1]) for y, x in places]


def assert_quarters(picture: np.ndarray, expected: list[tuple[int, ...]] | None = None, tolerance: int = 6) -> None:
    for seen, wanted in zip(corners(picture), expected or [RED, GREEN, BLUE, GREY], strict=True):
        assert max(abs(a - b) for a, b in zip(seen, wanted, strict=True)) <= tolerance, (seen, wanted)


@pytest.mark.parametrize(
    ("name", "mode", "options"),
    [
        ("plain.jpg", "RGB", {"quality": 95}),
        ("progressive.jpg", "RGB", {"quality": 95, "progressive": True}),
        ("plain.png", "RGB", {}),
        ("colours.gif", "RGB", {}),
        ("plain.webp", "RGB", {"lossless": True}),
        ("plain.tif", "RGB", {}),
        ("lzw.tif", "RGB", {"compression": "tiff_lzw"}),
        ("plain.bmp", "RGB", {}),
        ("opaque.png", "RGBA", {}),
        ("blocks.tif", "CMYK", {}),
    ],
)
def test_a_picture_of_any_format_keeps_its_colours(
    tmp_path: Path, name: str, mode: str, options: dict[str, object]
) -> None:
    quarters().convert(mode).save(tmp_path / name, **options)
    picture = decode(tmp_path / name)
    assert picture.shape == (48, 64, 3)
    assert picture.dtype == np.uint8
    assert picture.flags["C_CONTIGUOUS"]
    assert_quarters(picture)


def test_red_stays_red_in_a_cmyk_jpeg(tmp_path: Path) -> None:
    quarters().convert("CMYK").save(tmp_path / "print.jpg", quality=95)
    with Image.open(tmp_path / "print.jpg") as image:
        assert image.mode == "CMYK"
    assert_quarters(decode(tmp_path / "print.jpg"), tolerance=12)


def test_a_palette_picture_keeps_its_colours(tmp_path: Path) -> None:
    quarters().quantize(16).save(tmp_path / "palette.png")
    with Image.open(tmp_path / "palette.png") as image:
        assert image.mode == "P"
    assert_quarters(decode(tmp_path / "palette.png"))


@pytest.mark.parametrize(("name", "mode"), [("grey.jpg", "L"), ("grey.png", "L"), ("bits.png", "1"), ("la.png", "LA")])
def test_a_grey_picture_has_three_equal_channels(tmp_path: Path, name: str, mode: str) -> None:
    image = Image.new("L", (40, 20), 255)
    image.paste(0, (0, 0, 20, 20))
    image.convert(mode).save(tmp_path / name)
    picture = decode(tmp_path / name)
    assert picture.shape == (20, 40, 3)
    assert (picture[:, :, 0] == picture[:, :, 1]).all()
    assert (picture[:, :, 0] == picture[:, :, 2]).all()
    assert picture[10, 5, 0] <= 3
    assert picture[10, 35, 0] >= 252


def test_what_is_transparent_in_a_palette_is_black(tmp_path: Path) -> None:
    image = Image.new("P", (20, 10), 0)
    image.putpalette([*RED, *GREEN])
    image.paste(1, (10, 0, 20, 10))
    image.save(tmp_path / "holes.png", transparency=0)
    picture = decode(tmp_path / "holes.png")
    assert tuple(picture[5, 5]) == (0, 0, 0)
    assert tuple(picture[5, 15][::-1]) == GREEN


def test_what_is_half_transparent_is_mixed_with_black(tmp_path: Path) -> None:
    Image.new("RGBA", (8, 8), (200, 100, 50, 128)).save(tmp_path / "glass.png")
    blue, green, red = (int(v) for v in decode(tmp_path / "glass.png")[4, 4])
    assert (abs(red - 100), abs(green - 50), abs(blue - 25)) < (2, 2, 2)


def test_an_animated_gif_shows_its_first_frame(tmp_path: Path) -> None:
    first, second = Image.new("RGB", (12, 12), RED), Image.new("RGB", (12, 12), BLUE)
    first.save(tmp_path / "moving.gif", save_all=True, append_images=[second])
    assert tuple(decode(tmp_path / "moving.gif")[6, 6][::-1]) == RED


@pytest.mark.parametrize("name", ["deep.png", "deep.tif"])
def test_a_16_bit_grey_picture_is_stretched_from_its_smallest_to_its_largest_value(tmp_path: Path, name: str) -> None:
    values = np.linspace(1_000, 5_000, 256, dtype=np.uint16).reshape(16, 16)
    Image.fromarray(values).save(tmp_path / name)
    picture = decode(tmp_path / name)
    assert picture.shape == (16, 16, 3)
    assert np.abs(picture[:, :, 1].ravel().astype(int) - np.arange(256)).max() <= 1


@pytest.mark.parametrize("name", ["deep.png", "deep.tif"])
def test_a_16_bit_colour_picture_with_12_bits_used_is_not_dark(tmp_path: Path, name: str) -> None:
    values = np.zeros((20, 30, 3), np.uint16)
    values[:, :15, 2] = 4_095
    assert cv2.imwrite(str(tmp_path / name), values)
    picture = decode(tmp_path / name)
    assert tuple(picture[10, 5][::-1]) == (255, 0, 0)
    assert tuple(picture[10, 25]) == (0, 0, 0)


def test_a_floating_point_tiff_is_stretched(tmp_path: Path) -> None:
    Image.fromarray(np.array([[-1.0, 0.0, 1.0]], np.float32)).save(tmp_path / "heights.tif")
    assert decode(tmp_path / "heights.tif")[0, :, 0].tolist() == [0, 128, 255]


def test_what_is_no_number_in_a_floating_point_tiff_does_not_darken_the_rest(tmp_path: Path) -> None:
    values = np.array([[10.0, 11.0, np.inf, np.nan, -np.inf]], np.float32)
    Image.fromarray(values).save(tmp_path / "holes.tif")
    assert decode(tmp_path / "holes.tif")[0, :, 0].tolist() == [0, 255, 255, 0, 0]


@pytest.mark.parametrize("values", [np.full((4, 4), 700, np.uint16), np.full((4, 4), np.nan, np.float32)])
def test_a_picture_of_one_value_is_black(tmp_path: Path, values: np.ndarray) -> None:
    Image.fromarray(values).save(tmp_path / "flat.tif")
    assert decode(tmp_path / "flat.tif").max() == 0


def oriented(path: Path, orientation: int) -> Path:
    """A picture whose pixels are turned so that its EXIF orientation makes it the quarters again."""
    back = {
        2: [Image.Transpose.FLIP_LEFT_RIGHT],
        3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE],
        6: [Image.Transpose.ROTATE_90],
        7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }
    image = quarters()
    for step in back.get(orientation, []):
        image = image.transpose(step)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(path, exif=exif, quality=95)
    return path


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_a_rotation_in_exif_is_applied(tmp_path: Path, suffix: str, orientation: int) -> None:
    picture = decode(oriented(tmp_path / f"turned.{suffix}", orientation), size=(64, 48))
    assert picture.shape == (48, 64, 3)
    assert_quarters(picture, tolerance=20)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_rotation_in_exif_is_left_alone_where_tator_gives_the_size_of_the_stored_pixels(
    tmp_path: Path, orientation: int
) -> None:
    path = oriented(tmp_path / "turned.jpg", orientation)
    with Image.open(path) as image:
        stored = np.asarray(image.convert("RGB"))[:, :, ::-1]
    picture = decode(path, size=(48, 64))
    assert picture.shape == (64, 48, 3)
    assert np.abs(picture.astype(int) - stored.astype(int)).max() <= 2


@pytest.mark.parametrize("size", [None, (1, 1)])
def test_a_rotation_in_exif_is_applied_where_the_size_decides_nothing(
    tmp_path: Path, size: tuple[int, int] | None
) -> None:
    assert_quarters(decode(oriented(tmp_path / "turned.jpg", 6), size=size), tolerance=20)


def test_an_orientation_that_does_not_exist_turns_nothing(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 77
    quarters().save(tmp_path / "odd.jpg", exif=exif, quality=95)
    assert_quarters(decode(tmp_path / "odd.jpg"))


def test_an_orientation_behind_the_pixels_of_a_png_is_found(tmp_path: Path) -> None:
    path = oriented(tmp_path / "late.png", 6)
    data = path.read_bytes()
    at = data.index(b"eXIf") - 4
    length = struct.unpack(">I", data[at : at + 4])[0] + 12
    chunk, rest = data[at : at + length], data[:at] + data[at + length :]
    end = rest.index(b"IEND") - 4
    path.write_bytes(rest[:end] + chunk + rest[end:])
    assert_quarters(decode(path))


def test_a_picture_10_000_pixels_wide_is_read_whole(tmp_path: Path) -> None:
    quarters(10_000, 600).save(tmp_path / "wide.jpg")
    picture = decode(tmp_path / "wide.jpg", size=(10_000, 600))
    assert picture.shape == (600, 10_000, 3)
    assert_quarters(picture)


@pytest.mark.parametrize("size", [(64, 48), None])
def test_what_pillow_takes_for_an_attack_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int] | None
) -> None:
    path = oriented(tmp_path / "huge.jpg", 6)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert_quarters(decode(path, size=size), tolerance=20)


def test_a_huge_picture_whose_size_is_that_of_the_stored_pixels_is_not_turned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = oriented(tmp_path / "huge.jpg", 6)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert decode(path, size=(48, 64)).shape == (64, 48, 3)


def test_a_huge_picture_that_is_broken_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quarters().save(tmp_path / "huge.png")
    data = (tmp_path / "huge.png").read_bytes()
    (tmp_path / "huge.png").write_bytes(data[:60])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(UnreadablePicture, match="too large"):
        decode(tmp_path / "huge.png")


@pytest.mark.parametrize("limit", [None, Image.MAX_IMAGE_PIXELS])
def test_a_picture_of_more_than_a_gigapixel_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int | None
) -> None:
    """Whatever the limit of Pillow is; a header that claims the size is enough, nothing so large is in memory."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    quarters().save(tmp_path / "claims.png")
    data = bytearray((tmp_path / "claims.png").read_bytes())
    data[16:24] = struct.pack(">II", 40_000, 40_000)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    (tmp_path / "claims.png").write_bytes(bytes(data))
    with pytest.raises(UnreadablePicture, match=r"pixels.* than can be decoded"):
        decode(tmp_path / "claims.png")


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp", "gif"])
def test_a_picture_that_was_cut_short_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"short.{suffix}"
    noise = random.Random(1).randbytes(200 * 150 * 3)
    Image.frombytes("RGB", (200, 150), noise).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UnreadablePicture, match="the picture is broken"):
        decode(path)


def test_a_missing_file_is_named_as_missing(tmp_path: Path) -> None:
    with pytest.raises(UnreadablePicture, match="missing"):
        decode(tmp_path / "nowhere.jpg")


@pytest.mark.parametrize("content", [b"", b"<html>Not found</html>", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "page.jpg").write_bytes(content)
    with pytest.raises(UnreadablePicture, match=r"not a picture|broken"):
        decode(tmp_path / "page.jpg")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadablePicture, match="broken"):
        decode(tmp_path)


def encoded(suffix: str) -> bytes:
    with io.BytesIO() as file:
        exif = Image.Exif()
        exif[0x0112] = 6
        quarters().save(file, suffix, exif=exif)
        return file.getvalue()


ENCODED = {suffix: encoded(suffix) for suffix in ("jpeg", "png", "tiff", "webp")}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    suffix=st.sampled_from(sorted(ENCODED)),
    changes=st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_a_picture_with_wrong_bytes_is_decoded_or_refused_but_never_crashes(
    tmp_path: Path, suffix: str, changes: list[tuple[int, int]]
) -> None:
    data = bytearray(ENCODED[suffix])
    for place, value in changes:
        data[place % len(data)] = value
    path = tmp_path / f"broken.{suffix}"
    path.write_bytes(bytes(data))
    try:
        picture = decode(path, size=(64, 48))
    except UnreadablePicture as reason:
        assert str(reason)
    else:
        assert picture.dtype == np.uint8
        assert picture.ndim == 3
        assert picture.shape[2] == 3
