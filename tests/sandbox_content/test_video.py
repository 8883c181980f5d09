import io
import json
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from fiftyone_tator.sandbox.demo import Content
from fiftyone_tator.sandbox.pictures import Source
from fiftyone_tator.sandbox.video import make_clip


def frames(path: Path) -> list[np.ndarray]:
    capture = cv2.VideoCapture(str(path))
    found = []
    while True:
        read, frame = capture.read()
        if not read:
            return found
        found.append(frame)


@pytest.mark.parametrize("kind", ["streaming", "archival"])
def test_the_video_decodes(content: Content, tmp_path: Path, kind: str) -> None:
    """OpenCV reads exactly num_frames frames of the stated size from both files."""
    path = tmp_path / "clip.mp4"
    path.write_bytes(getattr(content.clip, kind))
    found = frames(path)
    assert len(found) == content.clip.num_frames
    assert {frame.shape for frame in found} == {(content.clip.height, content.clip.width, 3)}


def test_the_video_is_h264_at_its_rate(content: Content) -> None:
    """The stream's codec and frame rate are the stated ones."""
    with av.open(io.BytesIO(content.clip.archival)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, float(stream.average_rate or 0)) == ("h264", content.clip.fps)


def test_segments_cover_the_file(content: Content) -> None:
    """The segments follow each other to the end of the file, and their samples add up to all frames."""
    info = json.loads(content.clip.segment_info)
    end = frame = 0
    for segment in info["segments"]:
        assert segment["offset"] == end
        assert content.clip.streaming[end + 4 : end + 8] == segment["name"].encode()
        end += segment["size"]
        if segment["name"] == "moof":
            assert segment["frame_start"] == frame
            frame += segment["frame_samples"]
    assert end == len(content.clip.streaming)
    assert frame == content.clip.num_frames
    assert [segment["name"] for segment in info["segments"][:3]] == ["ftyp", "moov", "moof"]


def test_a_fragment_can_be_played_alone(content: Content) -> None:
    """The header and one fragment in the middle decode to that fragment's frames."""
    segments = json.loads(content.clip.segment_info)["segments"]
    middle = [number for number, segment in enumerate(segments) if segment["name"] == "moof"][2]
    chosen = [*segments[:2], *segments[middle : middle + 2]]
    data = b"".join(content.clip.streaming[part["offset"] : part["offset"] + part["size"]] for part in chosen)
    with av.open(io.BytesIO(data)) as container:
        assert sum(1 for _ in container.decode(video=0)) == segments[middle]["frame_samples"]


def test_tracks_follow_their_things(content: Content, tmp_path: Path) -> None:
    """What a track's box shows hardly changes from its first frame to its last."""
    path = tmp_path / "clip.mp4"
    path.write_bytes(content.clip.archival)
    found = frames(path)
    height, width = found[0].shape[:2]

    def crop(box: tuple[int, float, float, float, float]) -> np.ndarray:
        frame, x, y, w, h = box
        left, top = round(x * width), round(y * height)
        return found[frame][top : top + round(h * height), left : left + round(w * width)].astype(float)

    assert 6 <= len(content.clip.tracks) <= 10
    for track in content.clip.tracks:
        assert [box[0] for box in track.boxes] == list(range(track.boxes[0][0], track.boxes[-1][0] + 1))
        first, last = crop(track.boxes[0]), crop(track.boxes[-1])
        assert first.shape == last.shape
        assert np.corrcoef(first.ravel(), last.ravel())[0, 1] > 0.9


def test_the_video_is_the_same_every_time(content: Content, sources: dict[str, Source]) -> None:
    """Encoding twice gives the same bytes and the same tracks."""
    assert make_clip(sources) == content.clip
