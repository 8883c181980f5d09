"""What two annotators make of the things on the demo's pictures: a person ("Baseline") and a detector ("Model A").

Everything here is plain data that depends on the pictures and a seed alone. :mod:`~fiftyone_tator.sandbox.demo` stores
it.
"""

import random
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from fiftyone_tator.sandbox.pictures import LABELS, Picture, Thing
from fiftyone_tator.sandbox.video import Clip, Track

BASELINE, MODEL = "Baseline", "Model A"
CLIP_NAME = "survey_pan.mp4"
NAMESPACE = uuid.UUID("6d1f6d0e-6a5f-4d57-9a3e-6a2b8f0f7c11")

RELABELLED, MISSED, INVENTED = 0.12, 0.06, 0.04  # shares by which the detector goes wrong
JITTER = 0.06  # of a box's size, one standard deviation
DETECT_EVERY = 3  # frames of the video

CONFUSED = {
    "Spiral galaxy": ("Elliptical galaxy", "Edge-on galaxy"),
    "Elliptical galaxy": ("Spiral galaxy", "Red galaxy"),
    "Edge-on galaxy": ("Spiral galaxy", "Faint galaxy"),
    "Red galaxy": ("Faint galaxy", "Elliptical galaxy"),
    "Faint galaxy": ("Red galaxy", "Star"),
    "Star": ("Elliptical galaxy",),
    "DAB positive": ("Negative nucleus",),
    "Negative nucleus": ("DAB positive",),
    "Small coin": ("Large coin",),
    "Large coin": ("Small coin",),
    "Floating cell": ("Debris",),
}
NOTES = (
    "Blended with its neighbour",
    "Colour unsure, second opinion wanted",
    'Could also be a "blue dwarf"',
    "Outline follows the halo, not the core",
    "Größe geschätzt, Rand unscharf",
    "100% sure; seen in two pictures",
)
# Longitude and latitude of a source's first pixel, and degrees per pixel. For the sky: right ascension and declination.
_PLACES = {
    "hubble": (53.18, -27.77, -3.83e-5),
    "tissue": (4.4607, 50.4703, 1e-9),
    "coins": (14.4897, 40.7462, 1e-6),
    "cell": (2.0706, 41.5015, 1e-9),
}
_TAKEN = datetime(2025, 6, 1, 8, 30, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Localization:
    """A localization to be stored.

    Args:
        dtype: ``box``, ``dot``, ``line`` or ``poly``
        media: the media's name
        version: :data:`BASELINE` or :data:`MODEL`
        geometry: ``x``, ``y``, ``width``, ``height``, ``u``, ``v``, ``points`` as far as the dtype has them
        attributes: all of the type's
        elemental_id: a UUID
        thing: key of the thing that it shows, None if the detector made it up
        frame (0): of a video
    """

    dtype: str
    media: str
    version: str
    geometry: Mapping[str, Any]
    attributes: Mapping[str, Any]
    elemental_id: str
    thing: str | None
    frame: int = 0


@dataclass(frozen=True)
class State:
    """A state of the video to be stored.

    Args:
        kind: ``Track`` or ``Frame note``
        version: :data:`BASELINE` or :data:`MODEL`
        attributes: all of the type's
        elemental_id: a UUID
        frame (None): of a frame note
        members (()): elemental ids of a track's localizations
    """

    kind: str
    version: str
    attributes: Mapping[str, Any]
    elemental_id: str
    frame: int | None = None
    members: tuple[str, ...] = ()


def elemental_id(*parts: object) -> str:
    """A UUID that is always the same for the same parts.

    Args:
        *parts: what it is for

    Returns:
        its text
    """
    return str(uuid.uuid5(NAMESPACE, "/".join(map(str, parts))))


def taken_at(number: int) -> datetime:
    """When a picture was taken.

    Args:
        number: its place in the project

    Returns:
        the time, in UTC
    """
    return _TAKEN + timedelta(hours=7 * number, minutes=13 * number % 60)


def place(source: str, x: float, y: float) -> list[float]:
    """Where on Earth (or in the sky) a pixel lies.

    Args:
        source: key of :data:`~fiftyone_tator.sandbox.pictures.LABELS`
        x: pixels of the source from the left
        y: pixels of the source from the top

    Returns:
        ``[longitude, latitude]`` in degrees
    """
    longitude, latitude, step = _PLACES[source]
    return [round(longitude + step * x, 6), round(latitude - abs(step) * y, 6)]


def _clip(value: float) -> float:
    return round(min(max(value, 0.0), 1.0), 6)


def _shaken(box: Sequence[float], chance: random.Random) -> dict[str, float]:
    """A box (left, top, right, bottom) with its corners moved a little, as geometry."""
    wide, high = (box[2] - box[0]) * JITTER, (box[3] - box[1]) * JITTER
    left, right = (_clip(edge + chance.gauss(0, 1) * wide) for edge in (box[0], box[2]))
    top, bottom = (_clip(edge + chance.gauss(0, 1) * high) for edge in (box[1], box[3]))
    return _geometry((left, top, right, bottom))


def _geometry(box: Sequence[float]) -> dict[str, float]:
    return {"x": box[0], "y": box[1], "width": round(box[2] - box[0], 6), "height": round(box[3] - box[1], 6)}


def _attributes(thing: Thing, geo: list[float], seen: datetime, chance: random.Random) -> dict[str, Any]:
    """What the person says about a thing."""
    quality = "bad" if thing.cut else "fair" if thing.shape[0] < 1.5 else "good"
    notes = "Cut by the edge of the picture" if thing.cut else chance.choice(NOTES) if chance.random() < 0.08 else ""
    return {
        "Label": thing.label,
        "score": round(chance.uniform(0.75, 1.0), 2),
        "verified": chance.random() < (0.45 if quality == "bad" else 0.85),
        "count": thing.knots,
        "quality": quality,
        "seen_at": seen.isoformat(timespec="microseconds"),
        "embedding": list(thing.shape),
        "notes": notes,
        "geo": geo,
    }


def _detected(attributes: Mapping[str, Any], chance: random.Random) -> dict[str, Any]:
    """What the detector says about a thing, from what the person says."""
    wrong = chance.random() < RELABELLED
    label = str(attributes["Label"])
    score = chance.betavariate(4, 3) if wrong else chance.betavariate(9, 2)
    return {
        **attributes,
        "Label": chance.choice(CONFUSED[label]) if wrong else label,
        "score": round(score, 4),
        "verified": False,
        "embedding": [round(value + chance.gauss(0, 0.01), 4) for value in attributes["embedding"]],
        "notes": "",
    }


def _shapes(thing: Thing, number: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """What else than a box the person draws around a thing: (dtype, geometry)."""
    if thing.label in ("Star", "Small coin", "Large coin", "Floating cell") or number % 8 == 0:
        yield "dot", {"x": thing.centre[0], "y": thing.centre[1]}
    if thing.cut:
        return
    if thing.shape[1] > 0.8 and thing.shape[0] > 1.8:
        yield "line", dict(zip("xyuv", thing.axis, strict=True))
    if thing.outline and number % 2 == 0:
        yield "poly", {"points": [list(point) for point in thing.outline]}


def annotate_picture(picture: Picture, number: int, seed: int) -> Iterator[Localization]:
    """Both annotators' localizations on one picture.

    Args:
        picture: the picture
        number: its place in the project
        seed: another seed gives other mistakes

    Yields:
        the localizations, those of the person before those of the detector
    """
    left, top, right, bottom = picture.window
    detected = []
    for index, thing in enumerate(picture.things):
        chance = random.Random(f"{seed}/{picture.name}/{thing.key}")
        x, y = left + thing.centre[0] * (right - left), top + thing.centre[1] * (bottom - top)
        seen = taken_at(number) + timedelta(seconds=11.25 * index)
        attributes = _attributes(thing, place(picture.source, x, y), seen, chance)
        shapes = [("box", _geometry(thing.box)), *_shapes(thing, index)]
        for dtype, geometry in shapes:
            identity = elemental_id(seed, BASELINE, picture.name, thing.key, dtype)
            yield Localization(dtype, picture.name, BASELINE, geometry, attributes, identity, thing.key)
        if chance.random() >= MISSED:
            identity = elemental_id(seed, MODEL, picture.name, thing.key)
            box = _shaken(thing.box, chance)
            found = _detected(attributes, chance)
            detected.append(Localization("box", picture.name, MODEL, box, found, identity, thing.key))
    yield from detected
    yield from _invented(picture, number, seed)


def _invented(picture: Picture, number: int, seed: int) -> Iterator[Localization]:
    """Boxes around nothing, of the sizes that things on the picture have."""
    chance = random.Random(f"{seed}/{picture.name}")
    for index, thing in enumerate(picture.things):
        if chance.random() >= INVENTED:
            continue
        width, height = thing.box[2] - thing.box[0], thing.box[3] - thing.box[1]
        x, y = _clip(chance.uniform(0, 1 - width)), _clip(chance.uniform(0, 1 - height))
        geo = place(picture.source, picture.window[0] + x, picture.window[1] + y)
        attributes = _detected(_attributes(thing, geo, taken_at(number), chance), chance)
        attributes |= {
            "Label": chance.choice(LABELS[picture.source]),
            "score": round(chance.betavariate(2, 5), 4),
            "count": 1,
            "quality": "bad",
        }
        yield Localization(
            "box", picture.name, MODEL, _geometry((x, y, _clip(x + width), _clip(y + height))), attributes,
            elemental_id(seed, MODEL, picture.name, "invented", index), None,
        )  # fmt: skip


def annotate_clip(clip: Clip, number: int, seed: int) -> tuple[list[Localization], list[State]]:
    """Both annotators' work on the video: the person follows things, the detector looks at some frames.

    Args:
        clip: the video
        number: its place in the project
        seed: another seed gives other mistakes

    Returns:
        the localizations, and the states: tracks and frame notes, all of them the person's
    """
    localizations, states = [], []
    for track in clip.tracks:
        mine = list(_follow(track, clip, number, seed))
        localizations += mine
        members = tuple(found.elemental_id for found in mine if found.version == BASELINE)
        attributes = _state_attributes(track.thing.label, len(members), taken_at(number), "")
        states.append(State("Track", BASELINE, attributes, elemental_id(seed, "track", track.thing.key), None, members))
    for frame, label, text in (
        (0, "Galaxies", "The pan starts at the edge of the deep field"),
        (28, "Transition", "First coins, the galaxies leave"),
        (44, "Coins", ""),
        (70, "Transition", "The tissue comes into view"),
        (clip.num_frames - 4, "Tissue", "The camera comes to rest"),
    ):
        attributes = _state_attributes(label, 0, taken_at(number) + timedelta(seconds=frame / clip.fps), text)
        states.append(State("Frame note", BASELINE, attributes, elemental_id(seed, "note", frame), frame))
    return localizations, states


def _follow(track: Track, clip: Clip, number: int, seed: int) -> Iterator[Localization]:
    thing = track.thing
    chance = random.Random(f"{seed}/{CLIP_NAME}/{thing.key}")
    geo = place(thing.key.split("/")[0], *thing.centre)
    person = _attributes(thing, geo, taken_at(number), chance) | {"notes": ""}
    for frame, x, y, width, height in track.boxes:
        seen = (taken_at(number) + timedelta(seconds=frame / clip.fps)).isoformat(timespec="microseconds")
        box = (x, y, _clip(x + width), _clip(y + height))
        identity = elemental_id(seed, BASELINE, CLIP_NAME, thing.key, frame)
        said = person | {"seen_at": seen}
        yield Localization("box", CLIP_NAME, BASELINE, _geometry(box), said, identity, thing.key, frame)
        if frame % DETECT_EVERY == 0 and chance.random() >= MISSED:
            identity = elemental_id(seed, MODEL, CLIP_NAME, thing.key, frame)
            found, moved = _detected(said, chance), _shaken(box, chance)
            yield Localization("box", CLIP_NAME, MODEL, moved, found, identity, thing.key, frame)


def _state_attributes(label: str, count: int, seen: datetime, notes: str) -> dict[str, Any]:
    return {
        "Label": label,
        "verified": bool(count),
        "count": count,
        "quality": "good",
        "seen_at": seen.isoformat(timespec="microseconds"),
        "notes": notes,
    }
