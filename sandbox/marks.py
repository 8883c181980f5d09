"""The chain of marks of an element: which row is the newest, adding one, hiding, pruning."""

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

from fiftyone_tator.sandbox.errors import NotFound
from fiftyone_tator.sandbox.kinds import Kind
from fiftyone_tator.sandbox.schema import HIDDEN, OLD, TOMBSTONE, VISIBLE


def by_id(db: sqlite3.Connection, kind: Kind, id_: int) -> sqlite3.Row:
    """A row of any mark.

    Args:
        db: a connection
        kind: localization or state
        id_: its id

    Returns:
        the row

    Raises:
        NotFound: if there is none, or its media is gone
    """
    row: sqlite3.Row | None = db.execute(
        f"select * from {kind.name} where id = ? and live != {HIDDEN}", (id_,)
    ).fetchone()
    if row is None:
        raise NotFound(kind.title)
    return row


def by_element(
    db: sqlite3.Connection, kind: Kind, version: int, elemental_id: str, mark: int | None = None
) -> sqlite3.Row | None:
    """A mark of an element.

    Args:
        db: a connection
        kind: localization or state
        version: version id
        elemental_id: the element
        mark (None): which mark; by default the newest

    Returns:
        the row, or None
    """
    sql = f"select * from {kind.name} where version = ? and elemental_id = ? and live != {HIDDEN}"
    if mark is None:
        row: sqlite3.Row | None = db.execute(sql + " order by mark desc limit 1", (version, elemental_id)).fetchone()
    else:
        row = db.execute(sql + " and mark = ?", (version, elemental_id, mark)).fetchone()
    return row


def append(db: sqlite3.Connection, kind: Kind, values: Mapping[str, Any], *, new_element: bool = False) -> int:
    """Adds the next mark of an element.

    Args:
        db: a connection inside a transaction
        kind: localization or state
        values: the row; ``id``, ``mark`` and ``live`` are found here
        new_element (False): promises that the element has no marks, which saves looking

    Returns:
        the new id
    """
    mark = 0
    if not new_element:
        chain = (values["version"], values["elemental_id"])
        sql = f"select max(mark) from {kind.name} where version = ? and elemental_id = ?"
        (last,) = db.execute(sql, chain).fetchone()
        mark = 0 if last is None else last + 1
        db.execute(f"update {kind.name} set live = {OLD} where version = ? and elemental_id = ? and live > 0", chain)
    columns = [name for name in kind.columns if name != "id"]
    row = {**values, "mark": mark, "live": TOMBSTONE if values["variant_deleted"] else VISIBLE}
    cursor = db.execute(
        f"insert into {kind.name} ({', '.join(columns)}) values ({', '.join('?' * len(columns))})",
        [row.get(name) for name in columns],
    )
    return int(cursor.lastrowid or 0)


def copy_links(db: sqlite3.Connection, kind: Kind, source: int, target: int) -> None:
    """Gives a new mark the links of another.

    Args:
        db: a connection inside a transaction
        kind: localization or state
        source: id of the row that has them
        target: id of the row that gets them
    """
    for table, column in kind.links:
        sql = f"insert or ignore into {table} (state, {column}) select ?, {column} from {table} where state = ?"
        db.execute(sql, (target, source))


def prune(db: sqlite3.Connection, kind: Kind, rows: Iterable[sqlite3.Row]) -> None:
    """Removes rows for good; of each element the highest mark that is left becomes the newest.

    Args:
        db: a connection inside a transaction
        kind: localization or state
        rows: the rows
    """
    chains = set()
    for row in rows:
        db.execute(f"delete from {kind.name} where id = ?", (row["id"],))
        chains.add((row["version"], row["elemental_id"]))
        if kind.links:
            for table, _ in kind.links:
                db.execute(f"delete from {table} where state = ?", (row["id"],))
        else:
            db.execute("delete from state_localization where localization = ?", (row["id"],))
    for chain in chains:
        newest = by_element(db, kind, *chain)
        if newest is not None:
            live = TOMBSTONE if newest["variant_deleted"] else VISIBLE
            db.execute(f"update {kind.name} set live = ? where id = ?", (live, newest["id"]))


def hide_media(db: sqlite3.Connection, media: int) -> None:
    """Hides all marks of a media's localizations, and of states that have no other media.

    Args:
        db: a connection inside a transaction
        media: media id
    """
    db.execute(f"update localization set live = {HIDDEN} where media = ?", (media,))
    db.execute(
        f"""update state set live = {HIDDEN} where id in (select state from state_media where media = ?)
            and id not in (select s.state from state_media s join media m on m.id = s.media and m.deleted = 0)""",
        (media,),
    )
