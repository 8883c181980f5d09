"""What a person is told when something is wrong, and what comes nevertheless."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fiftyone as fo
import numpy as np
import pytest
from PIL import Image

from fiftyone_tator.sync.errors import InvalidOption, NothingToImport
from fiftyone_tator.tator_client import AuthenticationFailed, ConnectionFailed, PermissionDenied, Tator, TatorError


def left_out(result: Any) -> dict[str, int]:
    return {group["reason"]: group["count"] for group in result.as_json()["left_out"]}


def examples(result: Any) -> str:
    return "\n".join(example for group in result.as_json()["left_out"] for example in group["examples"])


# ---------------------------------------------------------------------- the whole import


def test_a_wrong_token_is_named_as_what_is_wrong(village: Any) -> None:
    with Tator(village.tator.url, "0" * 40) as stranger, pytest.raises(AuthenticationFailed, match=r"token"):
        village.run(stranger)


def test_who_is_no_member_is_told_which_projects_there_are(village: Any) -> None:
    with pytest.raises((PermissionDenied, InvalidOption), match=str(village.project)):
        village.run(village.client("outsider"))
    with pytest.raises(InvalidOption, match=village.name):
        village.run(village.client("outsider"), project=village.name)


def test_a_viewer_may_import(village: Any) -> None:
    assert village.run(village.client("viewer")).created == 6


def test_an_unknown_project_is_named_with_those_that_there_are(village: Any) -> None:
    with pytest.raises(InvalidOption, match=f"'Hause'.*{village.name}"):
        village.run(project="Hause")
    with pytest.raises(InvalidOption, match=r"99999"):
        village.run(project=99999)


def test_an_unknown_version_or_type_is_named_with_those_that_there_are(village: Any) -> None:
    with pytest.raises(InvalidOption, match=r"no version 'Basline'.*Baseline"):
        village.run(versions=["Basline"])
    with pytest.raises(InvalidOption, match=r"no localization type 'Circle'.*Box"):
        village.run(types=["Circle"])


def test_a_server_that_is_down_is_named(village: Any) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        with Tator(url, "0" * 40, retries=0) as client, pytest.raises(ConnectionFailed, match=url):
            village.run(client)


def test_an_empty_project_makes_no_dataset(house: Any) -> None:
    with pytest.raises(NothingToImport, match=f"'{house.name}' has no localizations of Box in Baseline.*draw some"):
        house.run()
    assert not fo.dataset_exists(house.made[0])


def test_a_project_without_boxes_says_so(house: Any) -> None:
    house.type("Dot", "dot")
    house.box(house.media("a.png"), type=house.types["Dot"], width=None, height=None)
    with pytest.raises(NothingToImport, match=r"no localizations of Box"):
        house.run()
    assert house.run(types=["Dot"]).created == 1


def test_a_project_without_types_or_versions_says_so(house: Any) -> None:
    with house.tator.store.write() as db:
        db.execute("delete from localization_type where project = ?", (house.project,))
    with pytest.raises(InvalidOption, match=r"no localization type yet. Make one in Tator"):
        house.run()


def test_a_dataset_that_became_empty_in_tator_becomes_empty(village: Any) -> None:
    village.run()
    village.delete(*village.dataset().values("elemental_id"))
    assert village.run().removed == 6
    assert len(village.dataset()) == 0


@pytest.mark.parametrize("name", ["///", "?"])
def test_a_dataset_name_that_cannot_be_one_is_refused_before_anything_is_read(village: Any, name: str) -> None:
    village.tator.faults.forget()
    with pytest.raises(InvalidOption, match=r"dataset_name"):
        village.run(dataset_name=name)
    assert not village.tator.faults.requests("GET /rest/Localizations")


def test_a_dataset_name_that_differs_from_another_only_in_its_punctuation_is_refused(village: Any) -> None:
    village.run(dataset_name="my-data")
    with pytest.raises(InvalidOption, match=r"my data.*dataset_name"):
        village.run(dataset_name="my data")


# ---------------------------------------------------------------------- single pictures


@pytest.fixture
def gallery(house: Any, picture: Callable[..., bytes]) -> Any:
    """One good picture; tests add bad ones to it."""
    house.box(house.media("good.png"))
    return house


def test_a_missing_picture_is_listed_and_the_rest_comes(gallery: Any) -> None:
    media = gallery.media("gone.png")
    gallery.box(media)
    gallery.picture_file(media).unlink()
    result = gallery.run()
    assert result.created == 1
    assert "missing in Tator's storage" in str(left_out(result)) and "gone.png" in examples(result)


@pytest.mark.parametrize("data", [b"", b"no picture at all", None])
def test_a_broken_picture_is_listed_and_the_rest_comes(
    gallery: Any, picture: Callable[..., bytes], data: bytes | None
) -> None:
    broken = picture(1, kind="JPEG")[:-300] if data is None else data
    gallery.box(gallery.media("broken.png", broken, size=(64, 48)))
    result = gallery.run()
    assert result.created == 1
    assert sum(left_out(result).values()) == 1 and "broken.png" in examples(result)


def test_a_picture_of_another_size_than_tator_says_is_listed_and_the_rest_comes(gallery: Any) -> None:
    media = gallery.media("cut.png")
    gallery.box(media)
    path = gallery.picture_file(media)
    path.write_bytes(path.read_bytes()[:-100])
    result = gallery.run()
    assert result.created == 1
    assert "damaged" in str(left_out(result)) and "cut.png" in examples(result)


def test_a_picture_that_is_still_imported_comes_when_it_is_done(gallery: Any, picture: Callable[..., bytes]) -> None:
    media = gallery.media("soon.png", files=[], size=(None, None))
    gallery.box(media)
    result = gallery.run()
    assert result.created == 1
    assert "still importing" in str(left_out(result)) and "soon.png" in examples(result)
    done = gallery.media("done.png")
    with gallery.tator.store.write() as db:
        db.execute(
            "update media set (width, height, media_files, md5) = "
            "(select width, height, media_files, md5 from media where id = ?) where id = ?",
            (done, media),
        )
    assert gallery.run().created == 1


def test_a_picture_that_came_is_kept_when_it_is_broken_later(gallery: Any) -> None:
    media = gallery.media("later.png")
    element = gallery.box(media)
    gallery.run()
    before = gallery.crops()
    gallery.replace_picture(media, b"not a picture any more")
    gallery.edit(element, Label="new label")
    result = gallery.run()
    assert (result.updated, result.removed) == (1, 0)
    assert "later.png" in examples(result)
    assert gallery.sample(element).ground_truth.label == "new label"
    assert gallery.crops() == before


def rotated(picture: Callable[..., bytes]) -> bytes:
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[:, 40:] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    return picture(pixels, kind="JPEG", exif=exif.tobytes(), quality=95)


def test_a_box_on_a_picture_that_exif_turns_shows_what_was_boxed(gallery: Any, picture: Callable[..., bytes]) -> None:
    # Turned by 90 degrees the white half is at the bottom.
    media = gallery.media("turned.jpg", rotated(picture), size=(40, 80))
    white = gallery.box(media, x=0.0, y=0.6, width=1.0, height=0.3)
    gallery.run()
    assert np.asarray(Image.open(gallery.sample(white).filepath)).mean() > 240


@pytest.mark.parametrize("kind", ["16-bit", "cmyk", "grey", "palette", "transparent", "tiff", "webp"])
def test_pictures_of_all_kinds_become_crops(gallery: Any, picture: Callable[..., bytes], kind: str) -> None:
    grey = np.linspace(0, 255, 64 * 48).reshape(48, 64)
    image = Image.fromarray(grey.astype(np.uint8))
    data = {
        "16-bit": lambda: picture(Image.fromarray((grey * 257).astype(np.uint16))),
        "cmyk": lambda: picture(image.convert("CMYK"), kind="JPEG"),
        "grey": lambda: picture(image),
        "palette": lambda: picture(image.convert("P")),
        "transparent": lambda: picture(image.convert("RGBA")),
        "tiff": lambda: picture(image.convert("RGB"), kind="TIFF"),
        "webp": lambda: picture(image.convert("RGB"), kind="WEBP"),
    }[kind]()
    element = gallery.box(gallery.media(f"{kind}.png", data), x=0.0, y=0.5, width=1.0, height=0.5)
    result = gallery.run()
    assert (result.created, left_out(result)) == (2, {})
    assert 150 < np.asarray(Image.open(gallery.sample(element).filepath)).mean() < 230


def test_a_picture_10000_pixels_wide_becomes_small_crops(gallery: Any, picture: Callable[..., bytes]) -> None:
    pixels = np.zeros((20, 10_000, 3), np.uint8)
    pixels[:, 9_000:] = 255
    element = gallery.box(gallery.media("wide.png", picture(pixels)), x=0.9, y=0.0, width=0.1, height=1.0)
    gallery.run()
    crop = Image.open(gallery.sample(element).filepath)
    assert crop.size == (256, 5) and np.asarray(crop).mean() > 240


def test_two_media_of_one_name_and_stem_keep_their_own_crops(gallery: Any) -> None:
    names = ["same.png", "same.png", "same.jpg", "dir/same.png"]
    medias = [gallery.media(name, attributes={"count": n}) for n, name in enumerate(names)]
    for n, media in enumerate(medias):
        gallery.replace_picture(media, gallery.picture_file(gallery.media(f"other_{n}.png")).read_bytes())
    boxes = [gallery.box(media) for media in medias]
    gallery.run()
    crops = {Path(gallery.sample(element).filepath).read_bytes() for element in boxes}
    assert len(crops) == 4


# ---------------------------------------------------------------------- single localizations


def test_boxes_without_area_or_outside_the_picture_are_listed_and_the_rest_comes(gallery: Any) -> None:
    media = gallery.media("b.png")
    bad = [
        {"width": 0.0}, {"height": 0.0}, {"x": 1.5}, {"x": -0.9, "width": 0.5}, {"y": 1.0}, {"x": None},
        {"width": -0.2},
    ]  # fmt: skip
    elements = gallery.boxes(*(gallery.spec(media, **changes) for changes in bad))
    over = gallery.box(media, x=0.8, y=0.9, width=0.5, height=0.5)
    result = gallery.run()
    assert result.created == 2
    assert sum(left_out(result).values()) == len(bad)
    assert all(element in examples(result) for element in elements)
    assert gallery.sample(over).metadata.width in (12, 13)


def test_a_box_that_loses_its_area_later_keeps_its_sample(gallery: Any) -> None:
    media = gallery.media("b.png")
    element = gallery.box(media)
    gallery.run()
    with gallery.tator.store.write() as db:
        db.execute("update localization set width = 0 where elemental_id = ?", (element,))
    result = gallery.run()
    assert result.removed == 0 and sum(left_out(result).values()) == 1
    assert gallery.sample(element) is not None


LABELS = [
    "it's", 'a "quote"', "100 %", "a/b\\c", "../../up", "سمكة", "$where", "a.b", " ", "\t\n", "🐟", "null", "x" * 5_000,
    "ground_truth", "true",
]  # fmt: skip


def test_labels_of_all_kinds_come_as_they_are(gallery: Any) -> None:
    media = gallery.media("b.png")
    boxes = gallery.boxes(*(gallery.spec(media, attributes={"Label": label}) for label in LABELS))
    assert gallery.run().created == len(LABELS) + 1
    dataset = gallery.dataset()
    labels = dict(zip(*dataset.values(["elemental_id", "ground_truth.label"]), strict=True))
    assert [labels[element] for element in boxes] == LABELS
    assert gallery.run().unchanged == len(LABELS) + 1


def test_labels_that_are_no_text_become_text(gallery: Any) -> None:
    media = gallery.media("b.png")
    values = [5, ["a", 1], True, 0.5, None]
    boxes = gallery.boxes(*(gallery.spec(media, attributes={"Label": value}) for value in values))
    gallery.run()
    assert [gallery.sample(element).ground_truth.label for element in boxes] == ["5", '["a", 1]', "true", "0.5", None]
    assert gallery.run().unchanged == 6


def test_values_that_a_field_cannot_keep_are_noted_and_the_sample_comes(gallery: Any) -> None:
    media = gallery.media("b.png")
    bad = {"count": 10**300, "seen_at": "no date", "embedding": [1.0, None], "geo": [500.0, 0.0], "verified": "maybe"}
    element = gallery.box(media, attributes=bad)
    result = gallery.run()
    assert result.created == 2
    notes = " ".join(group["reason"] for group in result.as_json()["notes"])
    assert all(f"'{name}'" in notes for name in bad)
    assert all(gallery.sample(element)[name] is None for name in bad)
    assert gallery.run().unchanged == 2


def test_attribute_names_that_fiftyone_reserves_become_fields_of_another_name(gallery: Any) -> None:
    names = [
        "id", "tags", "filepath", "metadata", "frame", "_private", "a.b", "$set", "ground_truth", "version", "save",
        "Ünïcode name", "media_id", "a__b", "created_at", "validate", "",
    ]  # fmt: skip
    attributes = [{"name": "Label", "dtype": "string"}, *({"name": name, "dtype": "string"} for name in names)]
    kind = gallery.type("Odd", "box", attributes)
    media = gallery.media("b.png", attributes={})
    values = {name: f"value of {name}" for name in names}
    element = gallery.boxes({**gallery.spec(media, type=kind), "attributes": {"Label": "x", **values}})[0]
    gallery.run(types=["Odd"])
    fields = {f["attribute"]: f["name"] for f in gallery.info()["fields"] if f["source"] == "localization"}
    sample = gallery.sample(element)
    assert {name: sample[fields[name]] for name in names} == values
    assert sample.version == "Baseline" and sample.tags == []
    sample[fields["save"]] = "edited"
    sample.save()
    assert gallery.run(types=["Odd"]).unchanged == 1
    assert gallery.sample(element)[fields["save"]] == "edited"


def test_localizations_on_a_video_are_listed_and_the_rest_comes(gallery: Any) -> None:
    video = gallery.media("clip.mp4", b"video", dtype="video", size=(64, 48))
    gallery.boxes(*(gallery.spec(video, frame=n) for n in range(3)))
    result = gallery.run()
    assert result.created == 1
    assert list(left_out(result).values()) == [3] and "clip.mp4" in examples(result)


def test_a_member_who_left_is_named_by_number(gallery: Any) -> None:
    element = gallery.box(gallery.media("b.png"), created_by=4321)
    gallery.run()
    assert gallery.sample(element).tator_created_by == "user 4321"


def test_no_message_holds_the_token(village: Any) -> None:
    token = village.tator.tokens["editor"]
    village.tator.faults.arm("GET /rest/Localizations", "fail", times=0)
    with pytest.raises(TatorError) as failure:
        village.run(village.client(retries=0))
    assert token not in str(failure.value) and token not in repr(failure.value)
