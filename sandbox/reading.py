"""Reading annotations: pages, counts and single rows, as text ready to send."""

import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any

from fiftyone_tator.sandbox import catalogue, filters, marks
from fiftyone_tator.sandbox.database import Database
from fiftyone_tator.sandbox.errors import BadFilter, NotFound
from fiftyone_tator.sandbox.filters import Selection
from fiftyone_tator.sandbox.kinds import Kind
from fiftyone_tator.sandbox.rendering import FIELDS, as_object, render, selector

_ROWS_AT_ONCE = 1000


def select(
    store: Database, kind: Kind, project: int, query: Mapping[str, Any], body: Mapping[str, Any] | None = None,
    *, all_marks: bool = False,
) -> Selection:  # fmt: skip
    """What a list request selects.

    Args:
        store: where
        kind: localization or state
        project: project id
        query: the parsed parameters
        body (None): the body
        all_marks (False): whether old marks match too, whatever the parameters say

    Returns:
        the selection

    Raises:
        BadFilter: if a filter is not understood, or a null in the project breaks it
    """
    selection = filters.annotations(
        kind.name,
        project,
        query,
        body,
        dtypes=catalogue.dtypes(store, kind.name, project, query.get("type")),
        media_dtypes=catalogue.dtypes(store, "media", project),
        all_marks=all_marks,
    )
    check_casts(store, selection, project)
    return selection


def check_casts(store: Database, selection: Selection, project: int) -> None:
    """Refuses filters on attributes that some row of the project holds a null of.

    Args:
        store: where
        selection: with the attributes in question
        project: project id

    Raises:
        BadFilter: if there is such a row
    """
    for name, cast in selection.casts.items():
        # A note that nulls were written spares looking at every row.
        if store.row("select 1 from meta where key = ?", (f"null {selection.table} {project} {name}",)):
            sql = f"""select 1 from {selection.table} where project = ? and json_type(attributes, ?) = 'null' limit 1"""
            if store.row(sql, (project, f'$."{name}"')):
                raise BadFilter(f"cannot cast jsonb null to type {cast}")


def note_nulls(db: sqlite3.Connection, table: str, project: int, values: Mapping[str, Any]) -> None:
    """Remembers which attributes got a null.

    Args:
        db: a connection inside a transaction
        table: ``localization`` or ``state``
        project: project id
        values: the attributes that are written
    """
    for name, value in values.items():
        if value is None:
            db.execute("insert or ignore into meta values (?, '')", (f"null {table} {project} {name}",))


def count(store: Database, selection: Selection) -> int:
    """How many rows a selection has.

    Args:
        store: where
        selection: the selection

    Returns:
        the number
    """
    with store.read() as db:
        return int(db.execute(*selection.total()).fetchone()[0])


def pages(store: Database, kind: Kind, selection: Selection, fields: str | None) -> Iterator[str]:
    """A list as JSON text, in pieces.

    Args:
        store: where
        kind: localization or state
        selection: the rows
        fields: the keys that are wanted, comma separated; None for all

    Yields:
        pieces of a JSON list

    Raises:
        UnknownField: if a key is unknown
    """
    select_fields = selector(fields, FIELDS[kind.name])
    separator = "["
    with store.read() as db:
        cursor = db.execute(*selection.rows())
        try:
            while rows := cursor.fetchmany(_ROWS_AT_ONCE):
                texts = render(db, kind, rows)
                yield separator + ",".join(map(select_fields, texts) if select_fields else texts)
                separator = ","
        finally:
            cursor.close()
    yield "[]" if separator == "[" else "]"


def single(store: Database, kind: Kind, id_: int) -> dict[str, Any]:
    """One row of any mark.

    Args:
        store: where
        kind: localization or state
        id_: its id

    Returns:
        the row as answers show it

    Raises:
        NotFound: if there is none
    """
    with store.read() as db:
        return as_object(db, kind, marks.by_id(db, kind, id_))


def element(store: Database, kind: Kind, version: int, elemental_id: str, mark: int | None) -> sqlite3.Row:
    """A mark of an element.

    Args:
        store: where
        kind: localization or state
        version: version id
        elemental_id: the element
        mark: which mark; None for the newest

    Returns:
        the row

    Raises:
        NotFound: if there is none
    """
    with store.read() as db:
        row = marks.by_element(db, kind, version, filters.as_uuid(elemental_id), mark)
    if row is None:
        raise NotFound
    return row
