"""POST of annotations: checks every spec first, then writes all of them."""

import sqlite3
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from fiftyone_tator.sandbox import attributes, catalogue, marks
from fiftyone_tator.sandbox.access import User, require_author
from fiftyone_tator.sandbox.database import Database, dumps, now
from fiftyone_tator.sandbox.errors import BadRequest, invalid_body
from fiftyone_tator.sandbox.filters import as_uuid
from fiftyone_tator.sandbox.kinds import LOCALIZATION, Kind
from fiftyone_tator.sandbox.reading import note_nulls

MAX_SPECS = 500
_GEOMETRY = {
    "box": ("x", "y", "width", "height"),
    "dot": ("x", "y"),
    "line": ("x", "y", "u", "v"),
    "poly": (),
    "state": (),
}


def is_integer(value: Any) -> bool:
    """Whether a JSON value is an integer.

    Args:
        value: a parsed JSON value

    Returns:
        false for booleans
    """
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def check_geometry(spec: Mapping[str, Any], body: object) -> None:
    """Refuses coordinates outside the image, whatever the type.

    Args:
        spec: a spec or an update
        body: the whole body, for the message

    Raises:
        BadRequest: if the schema would refuse it
    """
    for name in LOCALIZATION.geometry:
        value, low = spec.get(name), -1 if name in ("u", "v") else 0
        if value is not None and not (_is_number(value) and low <= value <= 1):
            raise invalid_body(body)
    if not (spec.get("parent") is None or _is_number(spec["parent"])):
        raise invalid_body(body)
    for point in spec.get("points") or ():
        if (
            not isinstance(point, list)
            or len(point) != 2
            or not all(_is_number(number) and 0 <= number <= 1 for number in point)
        ):
            raise invalid_body(body)


def check_frame(frame: Any, table: str) -> None:
    """Refuses a negative frame, as the database does.

    Args:
        frame: the frame, or None
        table: ``localization`` or ``state``

    Raises:
        BadRequest: if it is negative
    """
    if frame is not None and frame < 0:
        message = (
            f'new row for relation "main_{table}" violates check constraint "main_{table}_frame_check"\n'
            f"DETAIL:  Failing row contains ({frame}).\n"
        )
        raise BadRequest(message, message)


def create(store: Database, kind: Kind, project: int, body: Any, user: User) -> list[int]:
    """Creates annotations; all of them or none.

    Args:
        store: where
        kind: localization or state
        project: project id
        body: the list of specs, or one
        user: who asks

    Returns:
        the new ids, in the order of the specs

    Raises:
        BadRequest: if anything is refused
        Denied: if a spec names another author and the user may not
    """
    specs = [body] if isinstance(body, Mapping) else body
    if specs == []:
        raise BadRequest(f"{kind.title} creation requires list of {kind.name}s!", "'body'")
    required = ("media_id", "type", "frame") if kind is LOCALIZATION else ("media_ids", "type")
    for spec in specs if isinstance(specs, list) else [None]:
        if not isinstance(spec, Mapping) or any(name not in spec for name in required):
            raise invalid_body(body)
        if not is_integer(spec["type"]) or not (is_integer(spec.get("frame")) or "frame" not in spec):
            raise invalid_body(body)
        given = spec.get("attributes") or {}
        if not isinstance(given, Mapping) or any(value is None for value in given.values()):
            raise invalid_body(body)
        for name in ("media_ids", "localization_ids"):
            if not isinstance(spec.get(name, []), list) or not all(map(is_integer, spec.get(name, []))):
                raise invalid_body(body)
        check_geometry(spec, body)
    if len(specs) > MAX_SPECS:
        raise invalid_body(body)
    with store.write() as db:
        rows = _Rows(store, kind, project, user)
        made = [(rows.make(spec, body), spec) for spec in specs]
        note_nulls(db, kind.name, project, dict.fromkeys(rows.nulls))
        return [_insert(db, kind, row, spec) for row, spec in made]


class _Rows:
    """Makes rows of specs, with what they refer to looked up once."""

    def __init__(self, store: Database, kind: Kind, project: int, user: User) -> None:
        self.store, self.kind, self.project, self.user = store, kind, project, user
        self.now = now()
        self.types = {found["id"]: found for found in catalogue.types(store, kind.name, project)}
        versions = store.rows("select id from version where project = ? order by number, id", (project,))
        self.versions = [row["id"] for row in versions]
        self.media: set[int] = set()
        self.authors: dict[str, int] = {}
        self.nulls: set[str] = set()

    def _version(self, spec: Mapping[str, Any]) -> int:
        if spec.get("version") is not None:
            if spec["version"] not in self.versions:
                raise BadRequest(str(spec["version"]))
            return int(spec["version"])
        member = self.store.row(
            "select default_version from membership where project = ? and user = ?", (self.project, self.user.id)
        )
        return int((member and member["default_version"]) or self.versions[0])

    def _check_media(self, medium: Any) -> None:
        if medium not in self.media:
            sql = "select 1 from media where id = ? and project = ? and deleted = 0"
            if not is_integer(medium) or self.store.row(sql, (medium, self.project)) is None:
                raise BadRequest(str(medium))
            self.media.add(medium)

    def _author(self, spec: Mapping[str, Any]) -> int:
        wanted = spec.get("user_elemental_id")
        if wanted is None:
            return self.user.id
        if wanted not in self.authors:
            self.authors[wanted] = require_author(self.store, self.user, self.project, wanted)
        return self.authors[wanted]

    def _complete(self, types: attributes.AttributeTypes, given: dict[str, Any]) -> dict[str, Any]:
        attributes.check_required(types, given)
        values = {**attributes.defaults(types, self.now), **given}
        self.nulls.update(name for name, value in values.items() if value is None)
        return values

    def make(self, spec: Mapping[str, Any], body: object) -> dict[str, Any]:
        """Checks a spec and makes a row of it.

        Args:
            spec: the spec
            body: the whole body, for messages

        Returns:
            the row, without id, mark and live
        """
        found = self.types.get(spec["type"])
        if found is None:
            raise BadRequest(str(spec["type"]))
        media = spec["media_ids"] if "media_ids" in spec else [spec["media_id"]]
        for medium in media:
            self._check_media(medium)
        check_frame(spec.get("frame"), self.kind.name)
        types = found["attribute_types"]
        given = attributes.convert(types, spec.get("attributes") or {}, entity=None, body=body)
        author = self._author(spec)
        row: dict[str, Any] = {
            "project": self.project,
            "type": found["id"],
            "version": self._version(spec),
            "frame": spec.get("frame"),
            "attributes": dumps(self._complete(types, given)),
            "elemental_id": as_uuid(spec["elemental_id"]) if spec.get("elemental_id") else None,
            "parent": None if spec.get("parent") is None else int(spec["parent"]),
            "variant_deleted": 0,
            "created_by": author,
            "modified_by": author,
            "created_datetime": self.now,
            "modified_datetime": self.now,
        }
        if self.kind is LOCALIZATION:
            row["media"] = media[0]
            row.update({name: spec.get(name) for name in _GEOMETRY[found["dtype"]]})
            row["points"] = dumps(spec["points"]) if found["dtype"] == "poly" and spec.get("points") else None
        return row


def _insert(db: sqlite3.Connection, kind: Kind, row: dict[str, Any], spec: Mapping[str, Any]) -> int:
    new = row["elemental_id"] is None
    row["elemental_id"] = row["elemental_id"] or str(uuid.uuid4())
    id_ = marks.append(db, kind, row, new_element=new)
    links: Sequence[tuple[str, str]] = (("localization_ids", "state_localization"), ("media_ids", "state_media"))
    for key, table in links if kind.links else ():
        members = [(id_, member) for member in spec.get(key) or ()]
        db.executemany(f"insert or ignore into {table} values (?, ?)", members)
    return id_
