"""Rows as JSON text. Rows are many, so their text is put together directly and attributes are passed on as stored."""

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from fiftyone_tator.sandbox.database import dumps
from fiftyone_tator.sandbox.kinds import LOCALIZATION, Kind

Row = Mapping[str, Any]


class UnknownField(Exception):
    """``fields`` names a key that rows do not have."""


def shown_time(stored: str | None) -> str | None:
    """A datetime as answers show it: cut to milliseconds, with Z.

    Args:
        stored: the datetime as stored

    Returns:
        such as ``2026-01-02T03:04:05.678Z``
    """
    return None if stored is None else stored[:23] + "Z"


def _number(value: float | None) -> str:
    return "null" if value is None else repr(value)


def _localization(row: Sequence[Any]) -> str:
    (
        id_, project, type_, media, version, frame, x, y, width, height, u, v, points, attributes, elemental_id, mark,
        parent, deleted, created_by, created, modified_by, modified, _,
    ) = row  # fmt: skip
    author = _number(created_by)
    return (
        f'{{"id":{id_},"project":{project},"type":{type_},"media":{media},"thumbnail_image":null,"version":{version},'
        f'"attributes":{attributes},"created_by":{author},"modified_by":{_number(modified_by)},"user":{author},'
        f'"variant_deleted":{"true" if deleted else "false"},"x":{_number(x)},"y":{_number(y)},'
        f'"width":{_number(width)},"height":{_number(height)},"u":{_number(u)},"v":{_number(v)},'
        f'"points":{points or "null"},"frame":{_number(frame)},"parent":{_number(parent)},"mark":{mark},'
        f'"effective_permission":0,"created_datetime":"{created[:23]}Z","modified_datetime":"{modified[:23]}Z",'
        f'"elemental_id":"{elemental_id}"}}'
    )


def _segments(frames: Iterable[int]) -> list[list[int]]:
    runs: list[list[int]] = []
    for frame in sorted(set(frames)):
        if runs and runs[-1][1] == frame - 1:
            runs[-1][1] = frame
        else:
            runs.append([frame, frame])
    return runs


def _states(db: sqlite3.Connection, rows: Sequence[Row]) -> list[str]:
    ids = dumps([row["id"] for row in rows])
    members: dict[int, list[tuple[int, int | None]]] = {row["id"]: [] for row in rows}
    media: dict[int, list[int]] = {row["id"]: [] for row in rows}
    sql = """select s.state, s.localization, l.frame from state_localization s
             left join localization l on l.id = s.localization
             where s.state in (select value from json_each(?)) order by s.localization"""
    for state, localization, frame in db.execute(sql, (ids,)):
        members[state].append((localization, frame))
    sql = "select state, media from state_media where state in (select value from json_each(?)) order by media"
    for state, medium in db.execute(sql, (ids,)):
        media[state].append(medium)
    return [_state(row, members[row["id"]], media[row["id"]]) for row in rows]


def _state(row: Row, members: Sequence[tuple[int, int | None]], media: Sequence[int]) -> str:
    segments = _segments(frame for _, frame in members if frame is not None)
    head = dumps(
        {
            "id": row["id"],
            "type": row["type"],
            "segments": segments or None,
            "modified_by": row["modified_by"],
            "created_by": row["created_by"],
            "variant_deleted": bool(row["variant_deleted"]),
            "version": row["version"],
            "frame": row["frame"],
            "parent": row["parent"],
            "mark": row["mark"],
            "effective_permission": 0,
            "created_datetime": shown_time(row["created_datetime"]),
            "modified_datetime": shown_time(row["modified_datetime"]),
            "elemental_id": row["elemental_id"],
            "localizations": [localization for localization, _ in members],
            "media": list(media),
        }
    )
    return f'{head[:-1]},"attributes":{row["attributes"]}}}'


def render(db: sqlite3.Connection, kind: Kind, rows: Sequence[sqlite3.Row]) -> list[str]:
    """Rows as JSON objects.

    Args:
        db: a connection, for the links of states
        kind: localization or state
        rows: complete rows

    Returns:
        one text a row
    """
    if kind is LOCALIZATION:
        return [_localization(tuple(row)) for row in rows]
    return _states(db, rows)  # type: ignore[arg-type]


def as_object(db: sqlite3.Connection, kind: Kind, row: sqlite3.Row) -> dict[str, Any]:
    """One row as a dictionary.

    Args:
        db: a connection
        kind: localization or state
        row: a complete row

    Returns:
        what answers show
    """
    found: dict[str, Any] = json.loads(render(db, kind, [row])[0])
    return found


def selector(fields: str | None, known: Iterable[str]) -> Callable[[str], str] | None:
    """What ``fields`` does with a row's JSON text.

    Args:
        fields: comma list of keys; ``attributes.Label`` picks one attribute
        known: the keys that rows have

    Returns:
        a function from text to text; None when everything is wanted

    Raises:
        UnknownField: if a key is unknown
    """
    if not fields:
        return None
    wanted = [field.strip() for field in fields.split(",")]
    keys = set(known)
    if any(field.partition(".")[0] not in keys for field in wanted):
        raise UnknownField(fields)
    whole = [field for field in wanted if "." not in field]
    parts = [field.split(".", 1) for field in wanted if "." in field]

    def select(text: str) -> str:
        row = json.loads(text)
        chosen = {key: row[key] for key in whole}
        for key, name in parts:
            chosen.setdefault(key, {})[name] = row[key].get(name)
        return dumps(chosen)

    return select


_COMMON = (
    "id", "type", "version", "attributes", "created_by", "modified_by", "variant_deleted", "frame", "parent", "mark",
    "effective_permission", "created_datetime", "modified_datetime", "elemental_id",
)  # fmt: skip
FIELDS = {
    "localization": (
        *_COMMON, "project", "media", "thumbnail_image", "user", "x", "y", "width", "height", "u", "v", "points",
    ),
    "state": (*_COMMON, "segments", "localizations", "media"),
    "media": (
        "id", "name", "media_files", "attributes", "primary_section", "project", "type", "created_by", "modified_by",
        "md5", "num_frames", "fps", "codec", "width", "height", "summary_level", "gid", "uid", "archive_state",
        "effective_permission", "last_edit_start", "last_edit_end", "elemental_id", "created_datetime",
        "modified_datetime", "archive_status_date",
    ),
}  # fmt: skip
