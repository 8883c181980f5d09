"""Pictures as a service wants them."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from fiftyone_tator.embeddings.embedder import probe_picture
from fiftyone_tator.embeddings.errors import NoPicture
from fiftyone_tator.embeddings.pictures import probe_jpeg, small_jpeg


def noise(width: int, height: int) -> np.ndarray:
    small = np.random.default_rng(5).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def decoded(data: bytes) -> np.ndarray:
    assert data[:2] == b"\xff\xd8"
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"exif": True}, {"mode": "L"}])
def test_a_jpeg_that_is_small_enough_goes_out_as_it_is(tmp_path: Path, options: dict[str, object]) -> None:
    path = tmp_path / "crop.jpg"
    image = Image.fromarray(noise(256, 100)).convert(str(options.pop("mode", "RGB")))
    exif = Image.Exif()
    exif[270] = "thumbnail \u00ff\u00d9"
    image.save(path, **({"exif": exif} if options.pop("exif", False) else options))
    assert small_jpeg(path) == path.read_bytes()


@pytest.mark.parametrize(
    ("size", "becomes"), [((512, 100), (256, 50)), ((100, 257), (100, 256)), ((4000, 4), (256, 1))]
)
def test_a_large_picture_is_shrunk_to_the_longest_side(
    tmp_path: Path, size: tuple[int, int], becomes: tuple[int, int]
) -> None:
    path = tmp_path / "crop.jpg"
    cv2.imwrite(str(path), noise(*size))
    assert decoded(small_jpeg(path)).shape[1::-1] == becomes


@pytest.mark.parametrize("name", ["crop.png", "crop.bmp", "crop.tif", "crop.webp"])
def test_other_formats_become_jpegs_that_look_the_same(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    picture = noise(60, 40)
    cv2.imwrite(str(path), picture)
    made = decoded(small_jpeg(path))
    assert np.abs(made.astype(int) - picture).mean() < 6


def test_transparency_palette_and_cmyk_become_colour(tmp_path: Path) -> None:
    image = Image.fromarray(noise(60, 40))
    for mode, name in (("RGBA", "a.png"), ("P", "p.png"), ("CMYK", "c.jpg"), ("L", "l.png")):
        image.convert(mode).save(tmp_path / name)
        assert decoded(small_jpeg(tmp_path / name)).shape == (40, 60, 3)


def test_the_longest_side_and_the_quality_can_be_chosen(tmp_path: Path) -> None:
    path = tmp_path / "crop.png"
    cv2.imwrite(str(path), noise(100, 50))
    assert decoded(small_jpeg(path, longest=20)).shape == (10, 20, 3)
    assert len(small_jpeg(path, quality=30)) < len(small_jpeg(path, quality=95))


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoPicture, match=r"gone\.jpg: the file is gone"):
        small_jpeg(tmp_path / "gone.jpg")


def test_a_folder_is_no_picture(tmp_path: Path) -> None:
    with pytest.raises(NoPicture, match="cannot be read"):
        small_jpeg(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"text", b"\xff\xd8", b"\xff\xd8\xff\xff\xff\xff", b"\xff\xd8\xff\xe0\x00\x00" * 3]
)
def test_what_is_no_picture_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.jpg"
    path.write_bytes(content)
    with pytest.raises(NoPicture, match=r"broken\.jpg"):
        small_jpeg(path)


@pytest.mark.parametrize("size", [(200, 100), (600, 300)])
def test_a_jpeg_that_is_cut_short_is_named(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "cut.jpg"
    cv2.imwrite(str(path), noise(*size))
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(NoPicture, match=r"cut\.jpg: the JPEG is cut short"):
        small_jpeg(path)


def test_the_probe_is_sent_in_its_colours() -> None:
    sent = decoded(probe_jpeg())[..., ::-1].astype(int)
    assert np.abs(sent - probe_picture()).mean() < 12
    assert probe_jpeg() == probe_jpeg()
