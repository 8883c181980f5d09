"""PATCH and DELETE of one annotation."""

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from fiftyone_tator.sandbox import attributes, catalogue, marks
from fiftyone_tator.sandbox.access import User, require_author
from fiftyone_tator.sandbox.creating import check_frame, check_geometry, is_integer
from fiftyone_tator.sandbox.database import Database, dumps, now
from fiftyone_tator.sandbox.errors import BadRequest, invalid_body
from fiftyone_tator.sandbox.kinds import Kind
from fiftyone_tator.sandbox.reading import note_nulls
from fiftyone_tator.sandbox.rendering import as_object

# What places a row in its chain of marks; an edit in place leaves it alone.
_CHAIN = ("id", "project", "type", "version", "elemental_id", "mark", "variant_deleted", "live")


def entity_type(store: Database, kind: Kind, type_id: int) -> dict[str, Any]:
    """The type of a row.

    Args:
        store: where
        kind: localization or state
        type_id: its id

    Returns:
        the type as answers show it
    """
    return catalogue.entity_type(catalogue.find(store, catalogue.TYPE_TABLES[kind.name], type_id, f"{kind.title}Type"))


def changed_attributes(found: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes that an update sets, checked.

    Args:
        found: the type of the rows
        body: the update

    Returns:
        values by name

    Raises:
        BadRequest: if a name or a value is refused
    """
    types = found["attribute_types"]
    nulls, resets = body.get("null_attributes") or (), body.get("reset_attributes") or ()
    values = attributes.cleared(types, nulls, resets, now())
    given = attributes.convert(types, body.get("attributes") or {}, entity=found["name"], body=body)
    return {**values, **given}


def _changes(kind: Kind, body: Mapping[str, Any]) -> dict[str, Any]:
    """The columns besides attributes that an update sets."""
    check_geometry(body, body)
    if body.get("frame") is not None and not is_integer(body["frame"]):
        raise invalid_body(body)
    check_frame(body.get("frame"), kind.name)
    changes = {}
    for name in (*kind.geometry, "frame", "parent"):
        value = body.get(name)
        if value is not None and not (name in kind.sticky and not value):
            changes[name] = value
    if "points" in kind.columns and body.get("points"):
        changes["points"] = dumps(body["points"])
    return changes


def _require_newest(
    db: sqlite3.Connection, row: sqlite3.Row, newest: sqlite3.Row, body: Mapping[str, Any], verb: str
) -> None:
    if body.get("pedantic") and row["id"] != newest["id"]:
        (name,) = db.execute("select name from version where id = ?", (row["version"],)).fetchone()
        raise BadRequest(
            f"Pedantic mode is enabled. Can not {verb} prior object {row['id']}, must only {verb} latest mark on "
            f"version.Object is mark {row['mark']} of {newest['mark']} for {name}/{row['elemental_id']}"
        )


def _newest(db: sqlite3.Connection, kind: Kind, row: sqlite3.Row) -> sqlite3.Row:
    return marks.by_element(db, kind, row["version"], row["elemental_id"]) or row


def _relink(db: sqlite3.Connection, id_: int, body: Mapping[str, Any]) -> None:
    for member in body.get("localization_ids_remove") or ():
        db.execute("delete from state_localization where state = ? and localization = ?", (id_, member))
    for member in body.get("localization_ids_add") or ():
        db.execute("insert or ignore into state_localization values (?, ?)", (id_, member))


def _target_version(db: sqlite3.Connection, newest: sqlite3.Row, body: Mapping[str, Any]) -> int:
    wanted = body.get("version")
    if wanted is None:
        return int(newest["version"])
    sql = "select 1 from version where id = ? and project = ?"
    if db.execute(sql, (wanted, newest["project"])).fetchone() is None:
        raise BadRequest(str(wanted))
    return int(wanted)


def _write(
    db: sqlite3.Connection, kind: Kind, newest: sqlite3.Row, changed: Mapping[str, Any], body: Mapping[str, Any]
) -> int:
    """Writes a changed row as a new mark, or over the newest one; returns its id."""
    version = _target_version(db, newest, body)
    # A change of the author is always made in place.
    in_place = body.get("in_place") or body.get("user_elemental_id")
    if in_place and version == newest["version"]:
        assignments = ", ".join(f"{name} = :{name}" for name in kind.columns if name not in _CHAIN)
        db.execute(f"update {kind.name} set {assignments} where id = :id", changed)
        return int(newest["id"])
    id_ = marks.append(db, kind, {**changed, "version": version})
    marks.copy_links(db, kind, newest["id"], id_)
    return id_


def update(store: Database, kind: Kind, row: sqlite3.Row, body: Any, user: User) -> dict[str, Any]:
    """Edits the element of a row: on top of its newest mark, as a new mark or in place.

    Args:
        store: where
        kind: localization or state
        row: a row of any mark
        body: the update
        user: who asks

    Returns:
        the answer

    Raises:
        BadRequest: if anything is refused
        Denied: if it names another author and the user may not
    """
    if not isinstance(body, Mapping):
        raise invalid_body(body)
    # Read before the transaction, as the real server does: parallel edits lose updates, also pedantic ones.
    with store.read() as db:
        newest = _newest(db, kind, row)
        _require_newest(db, row, newest, body, "edit")
    with store.write() as db:
        values = changed_attributes(entity_type(store, kind, newest["type"]), body)
        note_nulls(db, kind.name, newest["project"], values)
        changed = {
            **dict(newest),
            **_changes(kind, body),
            "attributes": dumps({**json.loads(newest["attributes"]), **values}),
            "modified_by": user.id,
            "modified_datetime": now(),
        }
        if body.get("user_elemental_id"):
            changed["created_by"] = require_author(store, user, newest["project"], body["user_elemental_id"])
        id_ = _write(db, kind, newest, changed, body)
        if kind.links:
            _relink(db, id_, body)
        shown = as_object(db, kind, marks.by_id(db, kind, id_)) | {"effective_permission": 255}
    for _, column in kind.links:
        shown.pop("localizations" if column == "localization" else column)
    name = f"{newest['elemental_id']}@{newest['version']}/{newest['mark']}"
    return {"message": f"{kind.title} {name} successfully updated!", "object": shown}


def bury(db: sqlite3.Connection, kind: Kind, newest: sqlite3.Row, user: User) -> int:
    """Adds a tombstone.

    Args:
        db: a connection inside a transaction
        kind: localization or state
        newest: the element's newest mark
        user: who asks

    Returns:
        the tombstone's id
    """
    time = now()
    stamps = {"created_datetime": time, "modified_datetime": time, "modified_by": user.id}
    id_ = marks.append(db, kind, {**dict(newest), "variant_deleted": 1, **stamps})
    marks.copy_links(db, kind, newest["id"], id_)
    return id_


def delete(store: Database, kind: Kind, row: sqlite3.Row, body: Any, user: User) -> dict[str, Any]:
    """Deletes the element of a row, or with ``prune`` this one row for good.

    Args:
        store: where
        kind: localization or state
        row: a row of any mark
        body: ``prune``, ``pedantic``
        user: who asks

    Returns:
        the answer

    Raises:
        BadRequest: if the row is an old mark and ``pedantic`` is set
    """
    options = body if isinstance(body, Mapping) else {}
    with store.write() as db:
        newest = _newest(db, kind, row)
        _require_newest(db, row, newest, options, "delete")
        if options.get("prune"):
            newest, id_ = row, row["id"]
            marks.prune(db, kind, [row])
        else:
            id_ = bury(db, kind, newest, user)
    name = f"{newest['version']}/{newest['elemental_id']}@@{newest['mark']}"
    return {"message": f"{kind.title} {name} successfully deleted!", "id": id_}
