"""A short video for the demo project: the camera pans over its pictures, so that every object's path is known."""

import io
import json
import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import av
import numpy as np

from fiftyone_tator.sandbox.pictures import Source, Thing, encode, resize

WIDTH, HEIGHT, FPS, FRAMES = 480, 360, 15, 96
HEADER = struct.Struct(">I4s")  # of an MP4 box: size, name

# Strips of the canvas from left to right, all 440 pixels high: source, its (left, top, right, bottom), enlargement.
_STRIPS = (
    ("hubble", (235, 40, 515, 260), 2.0),
    ("coins", (0, 83, 384, 303), 2.0),
    ("tissue", (190, 292, 410, 512), 2.0),
)
_CANVAS_HEIGHT = 440


@dataclass(frozen=True)
class Track:
    """The path of one object through the video.

    Args:
        thing: the object, with lengths in pixels of the canvas
        boxes: ``(frame, x, y, width, height)`` for consecutive frames, shares of the frame
    """

    thing: Thing
    boxes: tuple[tuple[int, float, float, float, float], ...]


@dataclass(frozen=True)
class Clip:
    """A video with its files as Tator keeps them.

    Args:
        streaming: fragmented MP4 (H.264)
        segment_info: JSON about the fragments
        archival: the same frames as a plain MP4
        thumbnail: JPEG
        width: in pixels
        height: in pixels
        fps: frames per second
        num_frames: number of frames
        tracks: the objects that are followed
    """

    streaming: bytes
    segment_info: bytes
    archival: bytes
    thumbnail: bytes
    width: int
    height: int
    fps: float
    num_frames: int
    tracks: tuple[Track, ...]


def segment_info(mp4: bytes) -> bytes:
    """Describes the top boxes of a fragmented MP4 the way Tator's player reads it.

    Args:
        mp4: the file

    Returns:
        JSON: ``{"file": {"start": s, "version": 2}, "segments": [{"name", "offset", "size"}, …]}``, where every
        ``moof`` also has ``frame_start`` and ``frame_samples``
    """
    segments, frame = [], 0
    for name, offset, size in _boxes(mp4, 0, len(mp4)):
        segment: dict[str, Any] = {"name": name, "offset": offset, "size": size}
        if name == "moof":
            segment["frame_start"] = frame
            segment["frame_samples"] = _samples(mp4, offset, size)
            frame += segment["frame_samples"]
        segments.append(segment)
    return json.dumps({"file": {"start": 0.0, "version": 2}, "segments": segments}).encode()


def _boxes(mp4: bytes, start: int, end: int) -> Iterator[tuple[str, int, int]]:
    while start < end:
        size, name = HEADER.unpack_from(mp4, start)
        yield name.decode("ascii"), start, size
        start += size


def _samples(mp4: bytes, offset: int, size: int) -> int:
    total = 0
    for name, start, length in _boxes(mp4, offset + HEADER.size, offset + size):
        if name == "traf":
            for child, at, _ in _boxes(mp4, start + HEADER.size, start + length):
                if child == "trun":  # header, version and flags, sample count
                    total += int(struct.unpack_from(">I", mp4, at + HEADER.size + 4)[0])
    return total


def _canvas(sources: Mapping[str, Source]) -> tuple[np.ndarray[Any, Any], tuple[Thing, ...]]:
    """The strips side by side, and the things on them in pixels of the canvas."""
    strips, things, offset = [], [], 0
    for name, (left, top, right, bottom), factor in _STRIPS:
        size = round((right - left) * factor), round((bottom - top) * factor)
        strip = resize(sources[name].pixels[top:bottom, left:right], size)
        for thing in sources[name].things:
            x0, y0, x1, y1 = thing.box
            if left <= x0 and x1 <= right and top <= y0 and y1 <= bottom:
                box = (
                    (x0 - left) * factor + offset,
                    (y0 - top) * factor,
                    (x1 - left) * factor + offset,
                    (y1 - top) * factor,
                )
                things.append(replace(thing, box=box))
        strips.append(strip)
        offset += strip.shape[1]
    return np.concatenate(strips, axis=1), tuple(things)


def _camera(frame: int, width: int) -> tuple[int, int]:
    """Left and top of the camera's window on a canvas of that width."""
    progress = frame / (FRAMES - 1)
    sway = 0.5 + 0.5 * math.sin(progress * 2 * math.pi)
    return round(progress * (width - WIDTH)), round(sway * (_CANVAS_HEIGHT - HEIGHT))


def _follow(thing: Thing, width: int) -> Track:
    """The part of an object's way on which all of it is seen."""
    boxes = []
    x0, y0, x1, y1 = thing.box
    for frame in range(FRAMES):
        left, top = _camera(frame, width)
        if left <= x0 and x1 <= left + WIDTH and top <= y0 and y1 <= top + HEIGHT:
            place = ((x0 - left) / WIDTH, (y0 - top) / HEIGHT, (x1 - x0) / WIDTH, (y1 - y0) / HEIGHT)
            boxes.append((frame, *(round(value, 6) for value in place)))
        elif boxes:
            break
    return Track(thing, tuple(boxes))


def _choose(things: tuple[Thing, ...], width: int) -> tuple[Track, ...]:
    """Of each source the largest things that are seen long enough."""
    chosen: list[Track] = []
    for source, wanted in (("hubble", 3), ("coins", 3), ("tissue", 3)):
        mine = [thing for thing in things if thing.key.startswith(source + "/")]
        mine.sort(key=lambda thing: (-(thing.box[2] - thing.box[0]) * (thing.box[3] - thing.box[1]), thing.key))
        tracks = (_follow(thing, width) for thing in mine)
        chosen += [track for track in tracks if len(track.boxes) >= 12][:wanted]
    return tuple(replace(track, boxes=track.boxes[:24]) for track in chosen)


def _mux(frames: Iterator[np.ndarray[Any, Any]]) -> bytes:
    """H.264 in a fragmented MP4, one fragment per second."""
    buffer = io.BytesIO()
    flags = "frag_keyframe+empty_moov+default_base_moof"
    with av.open(buffer, "w", format="mp4", options={"movflags": flags}) as container:
        options = {"preset": "veryfast", "crf": "24", "threads": "1", "bf": "0", "sc_threshold": "0"}
        stream = container.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = WIDTH, HEIGHT, "yuv420p", FPS
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()


def _plain(mp4: bytes) -> bytes:
    """The same packets in a plain MP4."""
    buffer = io.BytesIO()
    with av.open(io.BytesIO(mp4)) as source, av.open(buffer, "w", format="mp4") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:  # the last one is empty
                packet.stream = stream
                target.mux(packet)
    return buffer.getvalue()


def make_clip(sources: Mapping[str, Source]) -> Clip:
    """Pans over the pictures, from the galaxies over the coins to the tissue.

    Args:
        sources: what :func:`~fiftyone_tator.sandbox.pictures.load_sources` gave

    Returns:
        the clip: 6.4 s of 480x360 pixels at 15 frames per second
    """
    canvas, things = _canvas(sources)

    def frames() -> Iterator[np.ndarray[Any, Any]]:
        for frame in range(FRAMES):
            left, top = _camera(frame, canvas.shape[1])
            yield np.ascontiguousarray(canvas[top : top + HEIGHT, left : left + WIDTH])

    streaming = _mux(frames())
    return Clip(
        streaming=streaming,
        segment_info=segment_info(streaming),
        archival=_plain(streaming),
        thumbnail=encode(resize(next(frames()), (256, 192))),
        width=WIDTH,
        height=HEIGHT,
        fps=float(FPS),
        num_frames=FRAMES,
        tracks=_choose(things, canvas.shape[1]),
    )
