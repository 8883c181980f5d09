from __future__ import annotations

import dataclasses
import subprocess
import sys
from typing import Any

import pytest

from fiftyone_tator.tator_client import AttributeType, Localization, Media, Section, State, Version

ROW: dict[str, Any] = {
    **{"id": 52664, "project": 1, "type": 1, "media": 166, "thumbnail_image": None, "version": 2},
    **{"attributes": {"Label": "crab"}, "created_by": 1, "modified_by": 2, "user": 3, "variant_deleted": False},
    **{"x": 0.03, "y": 0.71, "width": 0.28, "height": 0.12, "u": None, "v": None, "points": None, "frame": 5},
    **{"parent": None, "mark": 4, "effective_permission": 0, "elemental_id": "ffc7e50b"},
    **{"created_datetime": "2026-11-21T09:55:51.198Z", "modified_datetime": "2026-11-21T09:55:52.198Z"},
}
STREAMING = [{"path": "a.mp4", "size": 9, "codec": "h264", "resolution": [360, 640], "segment_info": "a.json"}]
MEDIA: dict[str, Any] = {"id": 1, "name": "a", "type": 2, "project": 1, "media_files": {}}


def test_each_key_of_a_localization_finds_its_field() -> None:
    """A localization has the values of its row; a key that is new or unknown does not matter."""
    made = Localization.from_json({**ROW, "something": "new"})
    renamed = {"variant_deleted": "deleted"}
    for key, value in ROW.items():
        if key not in ("project", "thumbnail_image", "effective_permission"):
            assert getattr(made, renamed.get(key, key)) == value


def test_rows_cannot_be_changed() -> None:
    """What came over the wire stays as it came."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Localization.from_json(ROW).mark = 5  # type: ignore[misc]


@pytest.mark.parametrize(
    ("files", "more", "video"),
    [
        ({"image": [{"path": "a.jpg", "resolution": [3, 4]}]}, {}, False),
        ({"streaming": STREAMING}, {}, True),
        ({"archival": STREAMING}, {}, True),
        ({}, {"num_frames": 90, "fps": 15.0}, True),
        (None, {"num_frames": None}, False),
    ],
)
def test_videos_are_told_from_images(files: Any, more: dict[str, Any], video: bool) -> None:
    """A video has video files or frames; right after creation there is neither."""
    assert Media.from_json({**MEDIA, "media_files": files, **more}).is_video is video


def test_the_best_file_has_the_most_pixels() -> None:
    """Of several sizes the largest is the best; resolution comes height first."""
    sizes = [{"path": str(high), "resolution": [high, 2 * high]} for high in (360, 1080, 720)]
    media = Media.from_json({**MEDIA, "media_files": {"image": sizes, "streaming": sizes, "archival": sizes[:1]}})
    assert media.best_image is not None and (media.best_image.width, media.best_image.height) == (2160, 1080)
    assert media.best_video is not None and media.best_video.path == "1080"
    empty = Media.from_json(MEDIA)
    assert empty.best_image is None and empty.best_video is None


def test_a_state_is_complete_without_its_members() -> None:
    """The object of a PATCH lacks localizations and media, and is a state all the same."""
    data = {"id": 2, "type": 2, "version": 1, "segments": [[0, 59]], "mark": 1, "variant_deleted": False}
    made = State.from_json(data)
    assert (made.segments, made.localizations, made.media, made.frame) == (((0, 59),), (), (), None)
    assert State.from_json({**data, "localizations": [4, 5], "media": [3]}).localizations == (4, 5)


def test_what_a_server_leaves_out_has_a_plain_default() -> None:
    """Optional keys of types, versions and sections may be missing."""
    bare = AttributeType.from_json({"name": "Label", "dtype": "enum", "choices": ["a"]})
    assert (bare.choices, bare.has_default, bare.required, bare.minimum, bare.visible) == (
        ("a",),
        False,
        False,
        None,
        True,
    )
    assert AttributeType.from_json({"name": "x", "dtype": "int", "default": None}).has_default
    assert Version.from_json({"id": 1, "name": "v", "project": 1}).bases == ()
    assert Section.from_json({"id": 1, "name": "s", "project": 1}).dtype == "folder"


def test_importing_the_client_is_light() -> None:
    """Neither FiftyOne nor tator-py is imported with the client."""
    code = "import sys, fiftyone_tator.tator_client; print({'tator', 'fiftyone', 'requests'} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "set()"
