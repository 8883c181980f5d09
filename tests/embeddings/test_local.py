"""The descriptor: what it makes of pictures of every kind, and whether it is of use."""

import io
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from fiftyone_tator.embeddings.embedder import Embedded, Embedder, Picture, Vectors, alike, probe_picture
from fiftyone_tator.embeddings.local import BLOCK, DIMENSIONS, DescriptorEmbedder, describe, read_small
from fiftyone_tator.media.crops import CropJob, CropStyle, run
from fiftyone_tator.sandbox.annotators import BASELINE
from fiftyone_tator.sandbox.demo import build_demo


def textured(seed: int, width: int = 96, height: int = 80) -> Any:
    """Blobs of colour, like no other."""
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 6, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def saved(folder: Path, pixels: Any, name: str = "picture.png", **options: Any) -> Path:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(folder / name, **options)
    return folder / name


def embedded(*files: Path | str) -> Embedded:
    with DescriptorEmbedder() as embedder:
        (block,) = embedder.embed([Picture(number, str(file)) for number, file in enumerate(files)])
    return block


def one(file: Path) -> Vectors:
    block = embedded(file)
    assert not block.failed
    return np.asarray(block.vectors[0], np.float32)


KINDS = {
    "grey": lambda: Image.fromarray(textured(1)).convert("L"),
    "with transparency": lambda: Image.fromarray(np.dstack([textured(1), textured(2)[:, :, 0]])),
    "of 16 bits": lambda: Image.fromarray(textured(1)[:, :, 0].astype(np.uint16) * 16),
    "of a palette": lambda: Image.fromarray(textured(1)).convert("P"),
    "black and white": lambda: Image.fromarray(textured(1)).convert("1"),
    "of floating-point numbers": lambda: Image.fromarray(textured(1)[:, :, 0].astype(np.float32) / 7),
    "of one pixel": lambda: Image.new("RGB", (1, 1), "red"),
    "of one black pixel": lambda: Image.new("L", (1, 1)),
    "all black": lambda: Image.new("RGB", (50, 50)),
    "one pixel high": lambda: Image.fromarray(textured(1, 3000, 1)),
    "one pixel wide": lambda: Image.fromarray(textured(1, 1, 3000)),
    "very long": lambda: Image.fromarray(textured(1, 40_000, 7)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_of_any_kind_has_256_finite_numbers_of_length_1(kind: str, tmp_path: Path) -> None:
    vector = one(saved(tmp_path, KINDS[kind](), "picture.tiff"))
    assert vector.shape == (DIMENSIONS,) == (256,)
    assert vector.dtype == np.float32
    assert np.isfinite(vector).all()
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_a_dark_16_bit_picture_is_seen_as_well_as_a_bright_one(tmp_path: Path) -> None:
    bright = textured(3)[:, :, 0].astype(np.uint16)
    dark, light = (saved(tmp_path, bright * factor, f"{factor}.png") for factor in (2, 256))
    assert one(dark) @ one(light) > 0.99
    assert one(dark) @ one(saved(tmp_path, np.zeros_like(bright), "black.png")) < 0.9


def test_the_same_picture_has_the_same_vector_whatever_the_threads(tmp_path: Path) -> None:
    file = saved(tmp_path, textured(4))
    threads = cv2.getNumThreads()
    try:
        vectors = []
        for number in (1, 4):
            cv2.setNumThreads(number)
            vectors.append(one(file))
    finally:
        cv2.setNumThreads(threads)
    assert np.array_equal(*vectors)


def test_each_part_counts_for_any_picture(tmp_path: Path) -> None:
    vector = describe(textured(5))
    gradients, texture, colour = np.split(vector, [144, 144 + 69])
    assert np.linalg.norm(texture) == pytest.approx(np.linalg.norm(colour), abs=1e-5)
    assert np.linalg.norm(gradients) == pytest.approx(np.linalg.norm(texture) / 2, abs=1e-5)


def test_a_picture_resembles_itself_made_smaller_more_than_another_one(tmp_path: Path) -> None:
    pixels = textured(6, 200, 160)
    vector = describe(pixels)
    smaller = describe(cv2.resize(pixels, (100, 80), interpolation=cv2.INTER_AREA))
    assert vector @ smaller > 0.98 > vector @ describe(textured(7, 200, 160))


def test_a_large_jpeg_is_decoded_small(tmp_path: Path) -> None:
    file = saved(tmp_path, textured(8, 1600, 1200), "large.jpg", quality=95)
    assert read_small(file, 64).shape == (150, 200, 3)
    whole = describe(np.ascontiguousarray(np.asarray(Image.open(file))[:, :, ::-1]))
    assert one(file) @ whole > 0.99


@pytest.mark.parametrize("size", [(96, 80), (1600, 1200)])
def test_a_rotation_in_exif_is_applied_whether_decoded_small_or_not(size: tuple[int, int], tmp_path: Path) -> None:
    image = Image.fromarray(textured(9, *size))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = saved(tmp_path, image, "turned.jpg", quality=95, exif=exif)
    upright = saved(tmp_path, image.transpose(Image.Transpose.ROTATE_270), "upright.jpg", quality=95)
    lying = saved(tmp_path, image, "lying.jpg", quality=95)
    assert one(turned) @ one(upright) > 0.99 > one(turned) @ one(lying)


def test_pictures_that_are_gone_or_unreadable_come_back_with_the_reason(tmp_path: Path) -> None:
    good = saved(tmp_path, textured(10))
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "empty.png").touch()
    cut = io.BytesIO()
    Image.fromarray(textured(11)).save(cut, "PNG")
    (tmp_path / "cut.png").write_bytes(cut.getvalue()[:200])
    names = ("gone.png", "text.jpg", "empty.png", "cut.png", ".")
    block = embedded(*(tmp_path / name for name in names), good)
    assert block.keys == [len(names)]
    assert block.vectors.shape == (1, DIMENSIONS)
    assert "missing" in block.failed[0]
    assert "not a picture" in block.failed[1]
    assert "not a picture" in block.failed[2]
    assert "broken" in block.failed[3]
    assert "broken" in block.failed[4]


def test_a_block_without_one_readable_picture_has_no_vectors(tmp_path: Path) -> None:
    block = embedded(tmp_path / "gone.png", tmp_path / "gone too.png")
    assert block.vectors.shape == (0, DIMENSIONS)
    assert len(block.failed) == 2


def test_pictures_come_back_in_blocks_and_are_taken_one_by_one(tmp_path: Path) -> None:
    file = str(saved(tmp_path, textured(12, 8, 8)))
    taken: list[int] = []

    def pictures() -> Iterator[Picture]:
        for number in range(2 * BLOCK + 5):
            taken.append(number)
            yield Picture(number, file)

    blocks = DescriptorEmbedder().embed(pictures())
    assert next(blocks).keys == list(range(BLOCK))
    assert len(taken) == BLOCK
    assert [key for block in blocks for key in block.keys] == list(range(BLOCK, 2 * BLOCK + 5))


def test_the_probe_is_the_vector_of_the_probe_picture(tmp_path: Path) -> None:
    embedder: Embedder = DescriptorEmbedder()
    assert alike(embedder.probe(), one(saved(tmp_path, probe_picture())))
    assert not alike(embedder.probe(), one(saved(tmp_path, probe_picture()[:, :, ::-1])))


def test_it_is_named_as_what_it_is() -> None:
    source = DescriptorEmbedder().source
    assert (source.kind, source.service, source.label) == ("descriptor", None, "gradients, texture and colour 1")


@pytest.fixture(scope="module")
def demo_crops(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], Any]:
    """The crops of what people drew in the demo's pictures, cut as an import cuts them, and their labels."""
    folder = tmp_path_factory.mktemp("demo")
    content = build_demo()
    drawn = defaultdict(list)
    for found in content.localizations:
        if found.dtype == "box" and found.version == BASELINE:
            drawn[found.media].append(found)
    files, labels = [], []
    for picture in content.pictures:
        source = folder / picture.name
        source.write_bytes(picture.data)
        regions = tuple(
            tuple(each.geometry[key] for key in ("x", "y", "width", "height")) for each in drawn[picture.name]
        )
        targets = tuple(folder / f"{each.elemental_id}.jpg" for each in drawn[picture.name])
        made = run(CropJob(source, None, regions, targets, CropStyle(padding=0.2)))
        assert all(made)
        files += targets
        labels += [each.attributes["Label"] for each in drawn[picture.name]]
    return files, np.array(labels)


def five_neighbours(vectors: Any, labels: Any) -> tuple[float, float]:
    """How many crops have the label of most of their five nearest, and how many of all neighbours have the label."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    likeness = unit @ unit.T
    np.fill_diagonal(likeness, -2)
    near = labels[np.argsort(-likeness, axis=1, kind="stable")[:, :5]]
    votes = (near[:, :, None] == near[:, None, :]).sum(axis=2)
    most = near[np.arange(len(near)), votes.argmax(axis=1)]
    return float((most == labels).mean()), float((near == labels[:, None]).mean())


def test_nearest_neighbours_in_the_demo_mostly_share_the_label(demo_crops: tuple[list[Path], Any]) -> None:
    files, labels = demo_crops
    blocks = list(DescriptorEmbedder().embed(Picture(number, str(file)) for number, file in enumerate(files)))
    voted, shared = five_neighbours(np.concatenate([block.vectors for block in blocks]), labels)
    thumbnails = [cv2.resize(cv2.imread(str(file)), (16, 16), interpolation=cv2.INTER_AREA) for file in files]
    pixels = np.array(thumbnails, np.float32).reshape(len(files), -1)
    plain_voted, plain_shared = five_neighbours(pixels - pixels.mean(axis=0), labels)
    assert len(files) > 1000
    assert voted > 0.89
    assert shared > 0.86
    assert voted > plain_voted + 0.02
    assert shared > plain_shared + 0.01
