"""A project of any number of localizations, for measuring."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

from fiftyone_tator.sandbox.annotators import BASELINE, CONFUSED, MODEL, place, taken_at
from fiftyone_tator.sandbox.database import dumps
from fiftyone_tator.sandbox.demo import Demo, picture_files, project_ids, start_project
from fiftyone_tator.sandbox.pictures import Source, Thing, encode, inside, load_sources, resize
from fiftyone_tator.sandbox.schema import VISIBLE
from fiftyone_tator.sandbox.seed import Seeded
from fiftyone_tator.sandbox.store import Store

PROJECT = "Scale"
VERSIONS = {BASELINE: "Drawn by people", MODEL: "Proposed by a detector"}
SECTION = "Survey"
SHARED_SCENES = 12
_SOURCES = ("hubble", "hubble", "tissue")  # twice as many of the first
_WIDTHS = {"hubble": (420, 820), "tissue": (260, 480)}  # of a scene, in pixels of its source
_TIME = "2026-05-04T08:00:00.000000"
_VARYING = ("media", "x", "y", "width", "height", "attributes", "elemental_id")


@dataclass(frozen=True)
class Scene:
    """A picture of a scale project.

    Args:
        source: which picture it is cut from
        data: JPEG bytes
        things: what is on it, with coordinates in 0..1, the largest first
    """

    source: str
    data: bytes
    things: tuple[Thing, ...]


@dataclass(frozen=True)
class _Form:
    """What the rows made of one thing have in common."""

    box: tuple[float, float, float, float]  # x, y, width, height
    label: str
    other: str  # what it is mistaken for
    rest: str  # JSON text of the attributes that do not vary, to be closed


def make_scene(sources: dict[str, Source], number: int, size: tuple[int, int]) -> Scene:
    """Cuts a picture at random and enlarges it.

    Args:
        sources: what :func:`~fiftyone_tator.sandbox.pictures.load_sources` gave
        number: decides where it is cut; the same number gives the same scene
        size: ``(width, height)`` in pixels

    Returns:
        the scene
    """
    chance = random.Random(f"scene/{number}")
    source = sources[_SOURCES[number % len(_SOURCES)]]
    high, wide = source.pixels.shape[:2]
    width = min(chance.randint(*_WIDTHS[source.name]), int(high * size[0] / size[1]), wide)
    height = min(high, max(1, round(width * size[1] / size[0])))
    left, top = chance.randint(0, wide - width), chance.randint(0, high - height)
    window = (left, top, left + width, top + height)
    pixels = resize(source.pixels[top : top + height, left : left + width], size)
    things = [found for found in (inside(thing, window) for thing in source.things) if found]
    things.sort(key=lambda thing: (-thing.shape[0], thing.key))
    return Scene(source.name, encode(pixels), tuple(things))


def _add_pictures(
    store: Store, demo: Demo, scenes: Sequence[Scene], count: int, size: tuple[int, int], seeded: Seeded
) -> list[int]:
    """Adds so many media that take turns with the scenes; each scene's files are stored once."""
    media: list[int] = []
    files = [picture_files(scene.data, "image/jpeg") for scene in scenes]
    for number in range(count):
        turn = number % len(scenes)
        if number == turn + len(scenes):
            prefix = f"{seeded.organization}/{demo.project}/{media[turn]}/"
            files[turn] = [replace(file, data=None, key=prefix + file.name) for file in files[turn]]
        attributes = {
            "Station": f"S{number % 40:02d}", "depth": round(5 + number % 97 * 1.5, 1), "reviewed": number % 4 == 0,
            "instrument": "camera", "taken_at": _seen(number), "position": place(scenes[turn].source, number, 0),
        }  # fmt: skip
        id_ = store.add_media(
            demo.project, demo.media_types["image"], f"survey_{number:06d}.jpg", files[turn], width=size[0],
            height=size[1], section=demo.sections[SECTION], attributes=attributes, created_by=seeded.users["admin"],
        )  # fmt: skip
        media.append(id_)
    return media


def _seen(number: int) -> str:
    return taken_at(number % 5000).isoformat(timespec="microseconds")


def _forms(scene: Scene) -> list[_Form]:
    forms = []
    for thing in scene.things:
        left, top, right, bottom = thing.box
        rest = {
            "count": thing.knots,
            "quality": "bad" if thing.cut else "good",
            "embedding": thing.shape,
            "notes": "",
            "geo": place(scene.source, *thing.centre),
        }
        box = (left, top, round(right - left, 6), round(bottom - top, 6))
        forms.append(_Form(box, thing.label, CONFUSED[thing.label][0], dumps(rest)[1:]))
    return forms


def _rows(
    media: Sequence[int], forms: Sequence[list[_Form]], n: int, version: int, seed: str
) -> Iterator[tuple[Any, ...]]:
    """The values of :data:`_VARYING` for n boxes that are spread evenly over the media.

    JSON and UUIDs are put together as text: it is what the time goes into for a million rows.
    """
    chance = random.Random(f"{seed}/{version}")
    uniform, bits = chance.random, chance.getrandbits
    share, more = divmod(n, len(media))
    for number, id_ in enumerate(media):
        mine = forms[number % len(forms)]
        seen = _seen(number)
        for index in range(share + (number < more)):
            form = mine[index % len(mine)]
            x, y, width, height = form.box
            # a second round over the same things is moved further, so that boxes do not lie on each other
            far = 0.04 if index < len(mine) else 1.5
            x = min(max(x + (uniform() - 0.5) * far * width, 0.0), 1 - width)
            y = min(max(y + (uniform() - 0.5) * far * height, 0.0), 1 - height)
            label = form.other if version and uniform() < 0.1 else form.label
            verified = "false" if version or index % 5 == 0 else "true"
            attributes = (
                f'{{"Label":"{label}","score":{0.5 + uniform() / 2:.4f},"verified":{verified},"seen_at":"{seen}",'
                f"{form.rest}"
            )
            digits = f"{bits(128):032x}"
            element = f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
            yield id_, round(x, 6), round(y, 6), width, height, attributes, element


def _add_boxes(store: Store, demo: Demo, rows: Iterator[tuple[Any, ...]], version: int, creator: int) -> None:
    fixed = {
        "project": demo.project, "type": demo.localization_types["box"], "version": version, "frame": 0, "mark": 0,
        "variant_deleted": 0, "created_by": creator, "modified_by": creator, "live": VISIBLE,
        "created_datetime": f"'{_TIME}'", "modified_datetime": f"'{_TIME}'",
    }  # fmt: skip
    columns = ", ".join((*fixed, *_VARYING))
    values = ", ".join((*map(str, fixed.values()), *("?" * len(_VARYING))))
    with store.write() as db:
        db.executemany(f"insert into localization ({columns}) values ({values})", rows)


def add_scale(
    store: Store,
    seeded: Seeded,
    n: int,
    *,
    name: str = PROJECT,
    versions: int = 1,
    pictures: int | None = None,
    boxes_per_picture: int = 67,
    distinct_pictures: bool = False,
    picture_size: tuple[int, int] = (512, 384),
) -> Demo:
    """Adds a project of n boxes. A million take well under a minute.

    The boxes lie on things of the pictures and have all attributes of the demo's boxes. With two versions the second
    one calls every tenth thing something else.

    Args:
        store: where
        seeded: what :func:`~fiftyone_tator.sandbox.seed.seed` gave
        n: number of boxes, in all versions together
        name ("Scale"): the project's name
        versions (1): number of versions, 1 or 2
        pictures (None): number of images; by default as many as ``boxes_per_picture`` asks for
        boxes_per_picture (67): boxes of one version on an image, if ``pictures`` is not given
        distinct_pictures (False): whether every image is another picture with a file of its own; else a few pictures
            are shared by all
        picture_size ((512, 384)): ``(width, height)`` of the images in pixels

    Returns:
        the project's ids
    """
    per_version = [n // versions + (number < n % versions) for number in range(versions)]
    count = pictures or max(1, ceil(per_version[0] / boxes_per_picture))
    sources = load_sources()
    scenes = [
        make_scene(sources, number, picture_size)
        for number in range(count if distinct_pictures else min(count, SHARED_SCENES))
    ]
    described = dict(list(VERSIONS.items())[:versions])
    with store.without_indexes():
        demo = start_project(
            store, seeded, name, f"{n} boxes on {count} images", versions=described, sections=[SECTION]
        )
        media = _add_pictures(store, demo, scenes, count, picture_size, seeded)
        forms = [_forms(scene) for scene in scenes]
        for number, (version, rows) in enumerate(zip(demo.versions.values(), per_version, strict=True)):
            _add_boxes(store, demo, _rows(media, forms, rows, number, name), version, seeded.users["editor"])
    return project_ids(store, demo.project)
