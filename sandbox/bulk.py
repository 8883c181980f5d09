"""Bulk PATCH and DELETE of annotations, with what makes them dangerous.

Rows chosen by ``ids`` are edited on whatever mark they are; edits in place do not move ``modified_datetime``, are
committed attribute by attribute, and cannot carry quotes, percent signs and control characters.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from fiftyone_tator.sandbox import attributes, marks
from fiftyone_tator.sandbox.access import User, require_author
from fiftyone_tator.sandbox.database import Database, dumps, now
from fiftyone_tator.sandbox.editing import bury, changed_attributes, entity_type
from fiftyone_tator.sandbox.errors import BadRequest
from fiftyone_tator.sandbox.filters import Selection
from fiftyone_tator.sandbox.kinds import Kind
from fiftyone_tator.sandbox.reading import note_nulls, select

Rows = Sequence[sqlite3.Row]


def _selected(db: sqlite3.Connection, selection: Selection, count: int | None, verb: str) -> list[sqlite3.Row]:
    rows = db.execute(*selection.rows()).fetchall()
    if count is not None and count != len(rows):
        raise BadRequest(f"Safety check failed - expected {count} but would {verb} {len(rows)}")
    return rows


def update(
    store: Database, kind: Kind, project: int, query: Mapping[str, Any], body: Mapping[str, Any], user: User
) -> dict[str, Any]:
    """One set of changes for all rows that a request selects.

    Args:
        store: where
        kind: localization or state
        project: project id
        query: the parsed parameters
        body: the changes, and ids or elemental ids
        user: who asks

    Returns:
        the answer

    Raises:
        BadRequest: if anything is refused; an edit in place may have been made in part
        Denied: if it names another author and the user may not
    """
    # Ids and authors reach all marks, which are edited as they are.
    all_marks = bool(body.get("ids") or body.get("user_elemental_id"))
    in_place = all_marks or bool(body.get("in_place"))
    with store.write() as db:
        selection = select(store, kind, project, query, body, all_marks=all_marks)
        rows = _selected(db, selection, query.get("count"), "update")
        if len({row["type"] for row in rows}) > 1:
            raise BadRequest("When doing a bulk patch the type id of all objects must be the same.")
        values = changed_attributes(entity_type(store, kind, rows[0]["type"]), body) if rows else {}
        author = None
        if body.get("user_elemental_id"):
            author = require_author(store, user, project, body["user_elemental_id"])
        if (rows and not in_place) or body.get("new_version"):
            _new_marks(db, kind, rows, values, body, author, user)
            note_nulls(db, kind.name, project, values)
            rows_left: Rows = ()
        else:
            rows_left = rows
    if rows_left:
        _in_place(store, kind, project, rows_left, values, author, user)
    return {"message": f"Successfully updated {len(rows)} {kind.name}s!"}


def _new_marks(
    db: sqlite3.Connection, kind: Kind, rows: Rows, values: Mapping[str, Any], body: Mapping[str, Any],
    author: int | None, user: User,
) -> None:  # fmt: skip
    version = body.get("new_version")
    sql = "select 1 from version where id = ? and project = ?"
    if version is not None and db.execute(sql, (version, rows[0]["project"])).fetchone() is None:
        raise BadRequest(str(version))
    time = now()
    for row in rows:
        changed = {
            **dict(row),
            "version": version or row["version"],
            "attributes": dumps({**json.loads(row["attributes"]), **values}),
            "created_by": author or row["created_by"],
            "modified_by": user.id,
            "modified_datetime": time,
        }
        if version is not None and body.get("in_place"):
            # Moves the row: no new id, no new time.
            marks.prune(db, kind, [row])
            changed["modified_datetime"] = row["modified_datetime"]
        id_ = marks.append(db, kind, changed)
        marks.copy_links(db, kind, row["id"], id_)


def _in_place(
    store: Database, kind: Kind, project: int, rows: Rows, values: Mapping[str, Any], author: int | None, user: User
) -> None:
    ids = dumps([row["id"] for row in rows])
    changes = {"modified_by": user.id} | ({} if author is None else {"created_by": author})
    assignments = ", ".join(f"{name} = ?" for name in changes)
    where = "where id in (select value from json_each(?))"
    with store.write() as db:
        db.execute(f"update {kind.name} set {assignments} {where}", (*changes.values(), ids))
    for name, value in values.items():
        # One attribute after the other, each committed: a refusal leaves what was done before.
        arrived = attributes.pasted(name, value)
        with store.write() as db:
            note_nulls(db, kind.name, project, {name: arrived})
            stored = db.execute(f"select id, attributes from {kind.name} {where}", (ids,)).fetchall()
            texts = [(dumps({**json.loads(row["attributes"]), name: arrived}), row["id"]) for row in stored]
            db.executemany(f"update {kind.name} set attributes = ? where id = ?", texts)


def delete(
    store: Database, kind: Kind, project: int, query: Mapping[str, Any], body: Mapping[str, Any], user: User
) -> dict[str, Any]:
    """Deletes all rows that a request selects; ids that are not current are skipped.

    Args:
        store: where
        kind: localization or state
        project: project id
        query: the parsed parameters
        body: ids or elemental ids, ``prune``
        user: who asks

    Returns:
        the answer

    Raises:
        BadRequest: if anything is refused
    """
    with store.write() as db:
        selection = select(store, kind, project, query, body)
        rows = _selected(db, selection, query.get("count"), "delete")
        if body.get("prune"):
            marks.prune(db, kind, rows)
        else:
            for row in rows:
                if row["live"] > 0:
                    bury(db, kind, row, user)
    return {"message": f"Successfully deleted {len(rows)} {kind.name}s!"}
