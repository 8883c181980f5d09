"""Everything but annotations, as answers show it: users, projects, members, versions, types, sections, media."""

import json
import sqlite3
from typing import Any

from fiftyone_tator.sandbox.database import Database
from fiftyone_tator.sandbox.errors import NotFound
from fiftyone_tator.sandbox.rendering import shown_time

TYPE_TABLES = {"localization": "localization_type", "state": "state_type", "media": "media_type"}


def find(store: Database, table: str, id_: int, kind: str) -> sqlite3.Row:
    """One row by its id.

    Args:
        store: where
        table: the table
        id_: the id
        kind: how the message calls it

    Returns:
        the row

    Raises:
        NotFound: if there is none
    """
    row = store.row(f"select * from {table} where id = ?", (id_,))
    if row is None:
        raise NotFound(kind)
    return row


def user(row: sqlite3.Row) -> dict[str, Any]:
    """A user.

    Args:
        row: of the table ``user``

    Returns:
        what answers show
    """
    keys = ("id", "username", "first_name", "last_name", "email")
    return {
        **{key: row[key] for key in keys},
        "is_staff": bool(row["is_staff"]),
        "elemental_id": row["elemental_id"],
        "profile": json.loads(row["profile"]),
    }


def projects(store: Database, user_id: int) -> list[dict[str, Any]]:
    """The projects that a user is a member of.

    Args:
        store: where
        user_id: the user

    Returns:
        what answers show, with the user's level
    """
    sql = """select p.*, m.permission from project p join membership m on m.project = p.id and m.user = ?
             order by p.id"""
    return [_project(row, user_id) for row in store.rows(sql, (user_id,))]


def _project(row: sqlite3.Row, user_id: int) -> dict[str, Any]:
    return {
        "id": row["id"],
        "name": row["name"],
        "summary": row["summary"],
        "organization": row["organization"],
        "enable_downloads": True,
        **dict.fromkeys(("bucket", "upload_bucket", "backup_bucket", "thumb")),
        "elemental_id": row["elemental_id"],
        "created": shown_time(row["created"]),
        **dict.fromkeys(("num_files", "size", "duration"), 0),
        "usernames": [],
        "attribute_types": [],
        "extended_info": {},
        "effective_permission": 0,
        "permission": "Creator" if row["created_by"] == user_id else row["permission"],
    }


def memberships(store: Database, project: int) -> list[dict[str, Any]]:
    """The members of a project.

    Args:
        store: where
        project: project id

    Returns:
        what answers show
    """
    sql = """select m.id, m.project, m.user, m.default_version, u.username, u.first_name, u.last_name, u.email,
             m.permission from membership m join user u on u.id = m.user where m.project = ? order by m.id"""
    return [dict(row) for row in store.rows(sql, (project,))]


def version(row: sqlite3.Row) -> dict[str, Any]:
    """A version.

    Args:
        row: of the table ``version``

    Returns:
        what answers show
    """
    return {
        **dict(row),
        "show_empty": bool(row["show_empty"]),
        "bases": json.loads(row["bases"]),
        "effective_permission": 0,
    }


def entity_type(row: sqlite3.Row) -> dict[str, Any]:
    """A media, localization or state type.

    Args:
        row: of one of the three tables

    Returns:
        what answers show
    """
    head = {key: row[key] for key in ("id", "project", "name", "dtype")}
    return {**head, **json.loads(row["data"]), "effective_permission": 0}


def types(store: Database, kind: str, project: int) -> list[dict[str, Any]]:
    """The types of a project.

    Args:
        store: where
        kind: ``media``, ``localization`` or ``state``
        project: project id

    Returns:
        what answers show; state types in the order of their names
    """
    order = "name, id" if kind == "state" else "id"
    rows = store.rows(f"select * from {TYPE_TABLES[kind]} where project = ? order by {order}", (project,))
    return [entity_type(row) for row in rows]


def dtypes(store: Database, kind: str, project: int, type_id: int | None = None) -> dict[str, str]:
    """The dtypes of all attributes of a kind.

    Args:
        store: where
        kind: ``media``, ``localization`` or ``state``
        project: project id
        type_id (None): only those of this type

    Returns:
        dtypes by attribute name
    """
    return {
        attribute["name"]: attribute["dtype"]
        for found in types(store, kind, project)
        if type_id is None or found["id"] == type_id
        for attribute in found["attribute_types"]
    }


def section(row: sqlite3.Row) -> dict[str, Any]:
    """A section.

    Args:
        row: of the table ``section``

    Returns:
        what answers show
    """
    return {
        **dict(row),
        "dtype": "folder",
        "object_search": None,
        "visible": True,
        "attributes": {},
        "explicit_listing": False,
        "created_datetime": shown_time(row["created_datetime"]),
        "related_search": None,
        "media": [],
    }


def media(row: sqlite3.Row) -> dict[str, Any]:
    """A media, with storage keys as paths.

    Args:
        row: of the table ``media``

    Returns:
        what answers show
    """
    plain = ("id", "project", "type", "name", "width", "height", "num_frames", "fps", "codec", "md5", "elemental_id")
    return {
        **{key: row[key] for key in (*plain, "created_by", "modified_by")},
        "media_files": json.loads(row["media_files"]),
        "attributes": json.loads(row["attributes"]),
        "primary_section": row["section"],
        **dict.fromkeys(("summary_level", "gid", "uid", "last_edit_start", "last_edit_end")),
        "archive_state": "live",
        "effective_permission": 0,
        "created_datetime": shown_time(row["created_datetime"]),
        "modified_datetime": shown_time(row["modified_datetime"]),
        "archive_status_date": shown_time(row["created_datetime"]),
    }
