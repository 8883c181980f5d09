"""The people and the "Contract" project that every sandbox has."""

import io
from dataclasses import dataclass, field
from typing import Any

from PIL import Image, ImageDraw

from fiftyone_tator.sandbox.store import MediaFile, Store

USERS: dict[str, dict[str, Any]] = {
    "admin": {"is_staff": 1},
    "editor": {"first_name": "Editor", "last_name": "Test"},
    "viewer": {"first_name": "Viewer", "last_name": "Test"},
    "outsider": {"first_name": "Outsider", "last_name": "Test"},
}
LEVELS = {"admin": "Full Control", "editor": "Can Edit", "viewer": "View Only"}

ATTRIBUTE_TYPES: tuple[dict[str, Any], ...] = (
    {"name": "Label", "dtype": "string", "default": "unknown"},
    {"name": "score", "dtype": "float", "default": 0.0},
    {"name": "verified", "dtype": "bool", "default": False},
    {"name": "count", "dtype": "int", "default": 0},
    {"name": "quality", "dtype": "enum", "choices": ["good", "fair", "bad"], "default": "good"},
    {"name": "seen_at", "dtype": "datetime", "use_current": True},
    {"name": "embedding", "dtype": "float_array", "size": 4, "default": [0.0, 0.0, 0.0, 0.0]},
    {"name": "notes", "dtype": "string", "style": "long_string", "default": ""},
    {"name": "geo", "dtype": "geopos", "default": [0.0, 0.0]},
)
MEDIA_ATTRIBUTE_TYPES: tuple[dict[str, Any], ...] = (
    {"name": "Station", "dtype": "string", "default": "S0"},
    {"name": "depth", "dtype": "float", "default": 0.0},
    {"name": "reviewed", "dtype": "bool", "default": False},
)


@dataclass(frozen=True)
class Seeded:
    """What :func:`seed` made, all as ids.

    Args:
        organization: the organization
        users: user ids by name
        tokens: API tokens by user name
        project: the "Contract" project
        versions: its versions by name: Baseline, Scratch (both empty)
        media_types: its media types by name: Image, Video
        localization_types: its localization types by dtype: box, dot, line, poly
        state_types: its state types by name: Track, FrameState
        section: its section
        media: its imported image
    """

    organization: int
    users: dict[str, int]
    tokens: dict[str, str] = field(repr=False)
    project: int
    versions: dict[str, int]
    media_types: dict[str, int]
    localization_types: dict[str, int]
    state_types: dict[str, int]
    section: int
    media: int


def picture(width: int = 512, height: int = 384) -> bytes:
    """A plain test picture.

    Args:
        width (512): in pixels
        height (384): in pixels

    Returns:
        JPEG bytes
    """
    image = Image.new("RGB", (width, height), (18, 60, 92))
    draw = ImageDraw.Draw(image)
    for step in range(0, width, 32):
        draw.line((step, 0, width - step, height), fill=(40, 110, 140), width=2)
    draw.ellipse((width * 0.1, height * 0.2, width * 0.4, height * 0.6), outline=(240, 200, 90), width=4)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def image_files(data: bytes, width: int, height: int) -> list[MediaFile]:
    """The files of an imported JPEG: itself and a thumbnail.

    Args:
        data: the JPEG's bytes
        width: its width in pixels
        height: its height in pixels

    Returns:
        the files for :meth:`~fiftyone_tator.sandbox.store.Store.add_media`
    """
    thumb = Image.open(io.BytesIO(data))
    thumb.thumbnail((256, 256))
    buffer = io.BytesIO()
    thumb.convert("RGB").save(buffer, "JPEG", quality=80)
    return [
        MediaFile("image", "image.jpeg", data, (height, width), "image/jpeg"),
        MediaFile("thumbnail", "thumb.jpg", buffer.getvalue(), (thumb.height, thumb.width), "image/None"),
    ]


def add_people(store: Store) -> tuple[int, dict[str, int]]:
    """Adds the organization and the users; admin is the organization's Admin.

    Args:
        store: where

    Returns:
        the organization's id, and the user ids by name
    """
    organization = store.insert("organization", name="Sandbox")
    users = {name: store.add_user(name, **columns) for name, columns in USERS.items()}
    for name, user in users.items():
        if name != "outsider":
            permission = "Admin" if name == "admin" else "Member"
            store.insert("affiliation", organization=organization, user=user, permission=permission)
    return organization, users


def add_members(store: Store, project: int, users: dict[str, int]) -> None:
    """Gives the users their levels in a project: admin Full Control, editor Can Edit, viewer View Only.

    Args:
        store: where
        project: project id
        users: user ids by name; others than these three stay outside
    """
    for name, level in LEVELS.items():
        store.add_member(project, users[name], level)


def _add_contract(store: Store, organization: int, users: dict[str, int]) -> None:
    admin = users["admin"]
    project = store.add_project("Contract", organization, created_by=admin, summary="For checks: write here freely")
    add_members(store, project, users)
    for name, description in (("Baseline", "Initial version"), ("Scratch", "Empty, to write in")):
        store.add_version(project, name, description=description, created_by=admin)
    section = store.add_section(project, "Dive 1", created_by=admin)
    kinds = [
        store.add_media_type(project, name, name.lower(), attribute_types=MEDIA_ATTRIBUTE_TYPES)
        for name in ("Image", "Video")
    ]
    for dtype in ("box", "dot", "line", "poly"):
        store.add_localization_type(project, dtype.title(), dtype, kinds, attribute_types=ATTRIBUTE_TYPES)
    for name, association in (("Track", "Localization"), ("FrameState", "Frame")):
        store.add_state_type(project, name, association, kinds, attribute_types=ATTRIBUTE_TYPES[:-1])
    data = picture()
    attributes = {"Station": "S0", "depth": 0.0, "reviewed": False}
    files = image_files(data, 512, 384)
    store.add_media(
        project, kinds[0], "contract.jpg", files, width=512, height=384, section=section, attributes=attributes,
        created_by=admin,
    )  # fmt: skip


def seed(store: Store) -> Seeded:
    """Adds the users, the organization and the "Contract" project, unless the store has them already.

    Args:
        store: where

    Returns:
        the ids and tokens
    """
    with store.write():
        if store.row("select 1 from user") is None:
            _add_contract(store, *add_people(store))

    def ids(sql: str) -> dict[str, int]:
        return {row[0]: row[1] for row in store.rows(sql)}

    return Seeded(
        organization=ids("select name, id from organization where id = 1")["Sandbox"],
        users=ids("select username, id from user"),
        tokens={row[0]: row[1] for row in store.rows("select username, token from user")},
        project=1,
        versions=ids("select name, id from version where project = 1"),
        media_types=ids("select name, id from media_type where project = 1"),
        localization_types=ids("select dtype, id from localization_type where project = 1 order by id desc"),
        state_types=ids("select name, id from state_type where project = 1"),
        section=ids("select 's', id from section where project = 1 order by id desc")["s"],
        media=ids("select 'm', id from media where project = 1 order by id desc")["m"],
    )
