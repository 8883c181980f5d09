"""The demo project: real pictures and a video, annotated by a person and by a detector that disagree in places."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from PIL import Image

from fiftyone_tator.sandbox import annotators
from fiftyone_tator.sandbox.annotators import BASELINE, CLIP_NAME, MODEL, Localization, State
from fiftyone_tator.sandbox.pictures import Picture, load_pictures, load_sources
from fiftyone_tator.sandbox.seed import Seeded, add_members
from fiftyone_tator.sandbox.store import MediaFile, Store
from fiftyone_tator.sandbox.video import Clip, make_clip

PROJECT = "Demo: galaxies, coins and cells"

ATTRIBUTE_TYPES: tuple[dict[str, Any], ...] = (
    {"name": "Label", "dtype": "string", "default": "unknown", "description": "What it is"},
    {"name": "score", "dtype": "float", "default": 0.0, "minimum": 0.0, "maximum": 1.0, "description": "Confidence"},
    {"name": "verified", "dtype": "bool", "default": False, "description": "Checked by a second person"},
    {"name": "count", "dtype": "int", "default": 0, "description": "Bright knots or grains inside"},
    {"name": "quality", "dtype": "enum", "choices": ["good", "fair", "bad"], "default": "good"},
    {"name": "seen_at", "dtype": "datetime", "use_current": True, "description": "When it was looked at"},
    {
        "name": "embedding",
        "dtype": "float_array",
        "size": 8,
        "default": [0.0] * 8,
        "description": "log10 area, eccentricity, solidity, extent, orientation, red, green, blue",
    },
    {"name": "notes", "dtype": "string", "style": "long_string", "default": ""},
    {"name": "geo", "dtype": "geopos", "default": [0.0, 0.0], "description": "Longitude and latitude"},
)
STATE_ATTRIBUTE_TYPES = tuple(
    attribute
    for attribute in ATTRIBUTE_TYPES
    if attribute["name"] in ("Label", "verified", "count", "quality", "seen_at", "notes")
)
MEDIA_ATTRIBUTE_TYPES: tuple[dict[str, Any], ...] = (
    {"name": "Station", "dtype": "string", "default": "S0", "description": "Where it was taken"},
    {"name": "depth", "dtype": "float", "default": 0.0, "description": "Focus depth in millimetres"},
    {"name": "reviewed", "dtype": "bool", "default": False},
    {"name": "instrument", "dtype": "enum", "choices": ["telescope", "microscope", "camera"], "default": "camera"},
    {"name": "taken_at", "dtype": "datetime", "use_current": True},
    {"name": "position", "dtype": "geopos", "default": [0.0, 0.0]},
)
LOCALIZATION_TYPES = {"box": "Object", "dot": "Centre", "line": "Major axis", "poly": "Outline"}
STATE_TYPES = {"Track": "Localization", "Frame note": "Frame"}
# Of each source: its section, and what its media say of where they come from.
SECTIONS = {
    "hubble": ("Deep field", "HST WFC3", "telescope", 0.0),
    "tissue": ("Tissue sections", "Bench 2", "microscope", 0.012),
    "coins": ("Coins", "Cabinet 7", "camera", 380.0),
    "cell": ("Floating cells", "Holo 1", "microscope", 0.25),
}
CLIP_SECTION = "Videos"
_STARTED = {BASELINE: datetime(2026, 3, 2, 9, 0), MODEL: datetime(2026, 4, 10, 17, 30)}
_STEP = {BASELINE: timedelta(seconds=7.3), MODEL: timedelta(milliseconds=41)}
_IMPORTED = "2026-03-01T12:00:00.000000"


@dataclass(frozen=True)
class Content:
    """All that the demo project holds, before it is stored.

    Args:
        pictures: the images
        clip: the video
        localizations: of both versions
        states: tracks and frame notes
    """

    pictures: tuple[Picture, ...]
    clip: Clip
    localizations: tuple[Localization, ...]
    states: tuple[State, ...]


@dataclass(frozen=True)
class Demo:
    """The demo project, all as ids.

    Args:
        project: the project
        versions: by name: Baseline, Model A
        media_types: by dtype: image, video
        localization_types: by dtype: box, dot, line, poly
        state_types: by name: Track, Frame note
        sections: by name
        media: by name
    """

    project: int
    versions: dict[str, int]
    media_types: dict[str, int]
    localization_types: dict[str, int]
    state_types: dict[str, int]
    sections: dict[str, int]
    media: dict[str, int]


def build_demo(seed: int = 0) -> Content:
    """Makes the demo's pictures, video and annotations; the same for the same seed.

    Args:
        seed (0): another seed gives other mistakes of the detector

    Returns:
        the content
    """
    sources = load_sources()
    pictures = load_pictures(sources)
    clip = make_clip(sources)
    localizations = [
        localization
        for number, picture in enumerate(pictures)
        for localization in annotators.annotate_picture(picture, number, seed)
    ]
    on_clip, states = annotators.annotate_clip(clip, len(pictures), seed)
    # A person's whole work was there before the detector ran.
    ordered = sorted([*localizations, *on_clip], key=lambda found: found.version != BASELINE)
    return Content(pictures, clip, tuple(ordered), tuple(states))


def picture_files(data: bytes, mime: str) -> list[MediaFile]:
    """The files of an imported image: itself and a thumbnail.

    Args:
        data: the bytes of the JPEG or PNG file
        mime: its media type

    Returns:
        the files for :meth:`~fiftyone_tator.sandbox.store.Store.add_media`
    """
    image = Image.open(io.BytesIO(data))
    resolution = (image.height, image.width)
    image.thumbnail((256, 256))
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=80)
    return [
        MediaFile("image", "image." + mime.removeprefix("image/"), data, resolution, mime),
        MediaFile("thumbnail", "thumb.jpg", buffer.getvalue(), (image.height, image.width), "image/None"),
    ]


def clip_files(clip: Clip) -> list[MediaFile]:
    """The files of an imported video: for streaming, for download, and a thumbnail.

    Args:
        clip: the video

    Returns:
        the files for :meth:`~fiftyone_tator.sandbox.store.Store.add_media`
    """

    def video(role: str, name: str, data: bytes, segments: bytes | None) -> MediaFile:
        rate = round(8 * len(data) * clip.fps / clip.num_frames)
        extra = {"bit_rate": rate, "codec_description": "H.264 / AVC / MPEG-4 AVC / MPEG-4 part 10"}
        size = (clip.height, clip.width)
        return MediaFile(role, name, data, size, codec="h264", segment_info=segments, extra=extra)

    return [
        video("streaming", f"{clip.height}.mp4", clip.streaming, clip.segment_info),
        video("archival", "archival.mp4", clip.archival, None),
        MediaFile("thumbnail", "thumb.jpg", clip.thumbnail, (192, 256), "image/jpeg"),
    ]


def project_ids(store: Store, project: int) -> Demo:
    """The ids of what is in a project that has the demo's types.

    Args:
        store: where
        project: project id

    Returns:
        the ids
    """

    def ids(table: str, key: str = "name") -> dict[str, int]:
        found = store.rows(f"select {key}, id from {table} where project = ? order by id", (project,))
        return {row[0]: row[1] for row in found}

    return Demo(
        project=project,
        versions=ids("version"),
        media_types=ids("media_type", "dtype"),
        localization_types=ids("localization_type", "dtype"),
        state_types=ids("state_type"),
        sections=ids("section"),
        media=ids("media"),
    )


def start_project(
    store: Store, seeded: Seeded, name: str, summary: str, *, versions: Mapping[str, str], sections: Sequence[str]
) -> Demo:
    """Adds a project with the demo's types and the sandbox's members, but without media.

    Args:
        store: where
        seeded: what :func:`~fiftyone_tator.sandbox.seed.seed` gave
        name: the project's name
        summary: a line about it
        versions: descriptions by name
        sections: names

    Returns:
        the ids
    """
    admin = seeded.users["admin"]
    project = store.add_project(name, seeded.organization, created_by=admin, summary=summary)
    add_members(store, project, seeded.users)
    for version, description in versions.items():
        store.add_version(project, version, description=description, created_by=admin)
    for section in sections:
        store.add_section(project, section, created_by=admin)
    kinds = [
        store.add_media_type(project, kind, kind.lower(), attribute_types=MEDIA_ATTRIBUTE_TYPES)
        for kind in ("Image", "Video")
    ]
    for dtype, kind in LOCALIZATION_TYPES.items():
        store.add_localization_type(project, kind, dtype, kinds, attribute_types=ATTRIBUTE_TYPES)
    for kind, association in STATE_TYPES.items():
        store.add_state_type(project, kind, association, kinds, attribute_types=STATE_ATTRIBUTE_TYPES)
    return project_ids(store, project)


def _media_attributes(source: str, number: int, window: Sequence[int]) -> dict[str, Any]:
    _, station, instrument, depth = SECTIONS[source]
    return {
        "Station": station,
        "depth": round(depth * (1 + 0.05 * (number % 5)), 4),
        "reviewed": number % 3 != 2,
        "instrument": instrument,
        "taken_at": annotators.taken_at(number).isoformat(timespec="microseconds"),
        "position": annotators.place(source, (window[0] + window[2]) / 2, (window[1] + window[3]) / 2),
    }


def _add_media(store: Store, demo: Demo, content: Content, creator: int) -> dict[str, int]:
    media = {}
    for number, picture in enumerate(content.pictures):
        media[picture.name] = store.add_media(
            demo.project, demo.media_types["image"], picture.name, picture_files(picture.data, picture.mime),
            width=picture.width, height=picture.height, section=demo.sections[SECTIONS[picture.source][0]],
            attributes=_media_attributes(picture.source, number, picture.window), created_by=creator,
        )  # fmt: skip
    clip = content.clip
    attributes = _media_attributes("coins", len(content.pictures), (0, 0, 0, 0)) | {"Station": "Survey"}
    media[CLIP_NAME] = store.add_media(
        demo.project, demo.media_types["video"], CLIP_NAME, clip_files(clip), width=clip.width, height=clip.height,
        section=demo.sections[CLIP_SECTION], attributes=attributes, created_by=creator, fps=clip.fps,
        num_frames=clip.num_frames, codec="h264",
    )  # fmt: skip
    sql = "update media set created_datetime = ?, modified_datetime = ? where project = ?"
    with store.write() as db:
        db.execute(sql, (_IMPORTED, _IMPORTED, demo.project))
    return media


def _add_annotations(store: Store, demo: Demo, content: Content, creators: Mapping[str, int]) -> None:
    done = dict.fromkeys(_STARTED, 0)

    def row(version: str, elemental_id: str, attributes: Mapping[str, Any]) -> dict[str, Any]:
        time = _STARTED[version] + done[version] * _STEP[version]
        done[version] += 1
        return {
            "project": demo.project,
            "version": demo.versions[version],
            "elemental_id": elemental_id,
            "attributes": attributes,
            "created_by": creators[version],
            "created_datetime": time.isoformat(timespec="microseconds"),
        }

    localizations = content.localizations
    ids = store.add_localizations(
        row(found.version, found.elemental_id, found.attributes)
        | {"type": demo.localization_types[found.dtype], "media": demo.media[found.media], "frame": found.frame}
        | found.geometry
        for found in localizations
    )
    by_element = {found.elemental_id: id_ for found, id_ in zip(localizations, ids, strict=True)}
    store.add_states(
        row(state.version, state.elemental_id, state.attributes)
        | {"type": demo.state_types[state.kind], "frame": state.frame, "media": [demo.media[CLIP_NAME]]}
        | {"localizations": [by_element[member] for member in state.members]}
        for state in content.states
    )


def add_demo(store: Store, seeded: Seeded, *, seed: int = 0) -> Demo:
    """Adds the demo project, unless the store has it already.

    Args:
        store: where
        seeded: what :func:`~fiftyone_tator.sandbox.seed.seed` gave
        seed (0): see :func:`build_demo`

    Returns:
        the project's ids
    """
    made = store.row("select id from project where name = ?", (PROJECT,))
    if made is not None:
        return project_ids(store, made[0])
    content = build_demo(seed)
    summary = "Real pictures, annotated by a person and by a detector"
    versions = {BASELINE: "Drawn and checked by people", MODEL: "Proposed by a detector"}
    sections = [*(section for section, *_ in SECTIONS.values()), CLIP_SECTION]
    with store.write():
        demo = start_project(store, seeded, PROJECT, summary, versions=versions, sections=sections)
        demo.media.update(_add_media(store, demo, content, seeded.users["admin"]))
        _add_annotations(store, demo, content, {BASELINE: seeded.users["editor"], MODEL: seeded.users["admin"]})
    return demo
