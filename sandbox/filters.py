"""From a query string and a body to the rows that they select. Pure functions."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fiftyone_tator.sandbox.database import dumps
from fiftyone_tator.sandbox.errors import BadFilter, BadRequest
from fiftyone_tator.sandbox.schema import OLD, TOMBSTONE, VISIBLE
from fiftyone_tator.sandbox.search import Condition, Scope, compare, decoded, joined_by, pairs, search

_INTEGERS = (
    "type", "after", "start", "stop", "frame", "merge", "show_deleted", "show_all_marks", "section", "count", "mark",
    "presigned",
)  # fmt: skip
_LISTS = ("version", "media_id", "related_id", "multi_section")
_OPERATIONS = {
    "attribute": "eq", "attribute_lt": "lt", "attribute_lte": "lte", "attribute_gt": "gt", "attribute_gte": "gte",
    "attribute_contains": "icontains", "attribute_null": "isnull",
}  # fmt: skip


@dataclass
class Selection:
    """Rows of one table.

    Args:
        table: the table
        conditions: all of them hold
        order: an SQL ``order by``
        start: how many rows to skip
        stop: where to end, None for no end
        casts: attributes that no row of the project may hold a null of, with the SQL type it cannot become
    """

    table: str
    conditions: list[Condition] = field(default_factory=list)
    order: str = "id"
    start: int = 0
    stop: int | None = None
    casts: dict[str, str] = field(default_factory=dict)

    def add(self, sql: str, *values: Any) -> None:
        """Narrows the selection.

        Args:
            sql: a condition
            *values: its values
        """
        self.conditions.append((sql, list(values)))

    def ids(self) -> Condition:
        """A query for the ids of the page, in order."""
        where, values = joined_by(" and ", self.conditions)
        stop = -1 if self.stop is None else max(self.stop - self.start, 0)
        return (
            f"select id from {self.table} where {where} order by {self.order} limit {stop} offset {self.start}",
            values,
        )

    def rows(self) -> Condition:
        """A query for the rows of the page, in order."""
        ids, values = self.ids()
        return f"select * from {self.table} where id in ({ids}) order by {self.order}", values

    def total(self) -> Condition:
        """A query for the number of rows, without paging unless there is some."""
        if self.start or self.stop is not None:
            ids, values = self.ids()
            return f"select count(*) from ({ids})", values
        where, values = joined_by(" and ", self.conditions)
        return f"select count(*) from {self.table} where {where}", values


def parse(query: Mapping[str, str]) -> dict[str, Any]:
    """Casts the integers of a query string.

    Args:
        query: the parameters; of a repeated one the last

    Returns:
        the parameters with integers and lists of integers

    Raises:
        BadRequest: if text stands where an integer must
    """
    parsed: dict[str, Any] = dict(query)
    for name in (*_INTEGERS, *_LISTS):
        if name in query:
            try:
                numbers = [int(text) for text in query[name].split(",")]
            except ValueError:
                details = f"Failed to cast value to integer type: {query[name]}"
                raise BadRequest(f"Query parameter error: {name}", details) from None
            parsed[name] = numbers if name in _LISTS else numbers[0]
    if "elemental_id" in query:
        parsed["elemental_id"] = as_uuid(query["elemental_id"])
    return parsed


def as_uuid(text: str) -> str:
    """A UUID in its usual form.

    Args:
        text: any form of it

    Returns:
        lower case, with dashes

    Raises:
        BadRequest: if it is none
    """
    try:
        return str(uuid.UUID(str(text)))
    except ValueError as error:
        raise BadRequest(str(error)) from None


def in_list(column: str, values: Any) -> Condition:
    """``column in (…)`` for a list of any length.

    Args:
        column: SQL
        values: numbers or texts

    Returns:
        the condition
    """
    return f"{column} in (select value from json_each(?))", [dumps(list(values))]


def annotations(
    table: str,
    project: int,
    query: Mapping[str, Any],
    body: Mapping[str, Any] | None = None,
    *,
    dtypes: Mapping[str, str],
    media_dtypes: Mapping[str, str],
    all_marks: bool = False,
) -> Selection:
    """Localizations or states.

    Args:
        table: ``localization`` or ``state``
        project: project id
        query: the parsed parameters
        body (None): the body of a PUT, PATCH or DELETE
        dtypes: dtypes of the attributes by name
        media_dtypes: the same of media
        all_marks (False): whether old marks match too, whatever the parameters say

    Returns:
        the selection

    Raises:
        BadFilter: if a filter is not understood
    """
    selection = Selection(table)
    scope = Scope(table, dtypes, casts=selection.casts)
    _add_place(selection, project, query, body or {})
    _add_live(selection, query, all_marks)
    _add_related(selection, query)
    _add_body(selection, body or {})
    _add_searches(selection, scope, query, body or {})
    _add_media_search(selection, query, media_dtypes)
    if len(query.get("version", ())) > 1 and query.get("merge", 1):
        _hide_parents(selection)
    _add_paging(selection, scope, query)
    return selection


def _add_place(selection: Selection, project: int, query: Mapping[str, Any], body: Mapping[str, Any]) -> None:
    # A plus sign keeps SQLite from looking through a whole version where a few rows are named.
    plain = "+" if _names_rows(query, body) else ""
    selection.add(f"{plain}project = ?", project)
    for name in ("type", "frame"):
        if name in query:
            selection.add(f"{plain}{name} = ?", query[name])
    if "version" in query:
        selection.add(f"{plain}version in ({', '.join('?' * len(query['version']))})", *query["version"])
    if "elemental_id" in query:
        selection.add("elemental_id = ?", query["elemental_id"])


def _names_rows(query: Mapping[str, Any], body: Mapping[str, Any]) -> bool:
    in_query = any(name in query for name in ("elemental_id", "media_id", "related_id"))
    return in_query or any(body.get(name) for name in ("ids", "elemental_ids", "media_ids", "state_ids"))


def _add_live(selection: Selection, query: Mapping[str, Any], all_marks: bool) -> None:
    live = [VISIBLE]
    if query.get("show_deleted"):
        live.append(TOMBSTONE)
    if all_marks or query.get("show_all_marks"):
        live = [VISIBLE, TOMBSTONE, OLD]
        if not query.get("show_deleted"):
            selection.add("variant_deleted = 0")
    selection.add(f"live in ({', '.join(map(str, live))})" if len(live) > 1 else f"live = {live[0]}")


def _media_in(table: str, sql: str) -> str:
    if table == "localization":
        return f"media in ({sql})"
    return f"id in (select state from state_media where media in ({sql}))"


def _add_related(selection: Selection, query: Mapping[str, Any]) -> None:
    each = "select value from json_each(?)"
    if "media_id" in query:
        selection.add(_media_in(selection.table, each), dumps(query["media_id"]))
    sections = [*query.get("multi_section", ()), *([query["section"]] if "section" in query else ())]
    if sections:
        inside = f"select id from media where section in ({each})"
        selection.add(_media_in(selection.table, inside), dumps(sections))
    if "related_id" in query:
        _add_members(selection, query["related_id"])


def _add_members(selection: Selection, ids: Any) -> None:
    own, other = ("localization", "state") if selection.table == "localization" else ("state", "localization")
    each = "select value from json_each(?)"
    selection.add(f"id in (select {own} from state_localization where {other} in ({each}))", dumps(list(ids)))


def _add_body(selection: Selection, body: Mapping[str, Any]) -> None:
    # An empty list is no filter: that is what the real server does.
    if body.get("ids"):
        selection.conditions.append(in_list("id", body["ids"]))
    if body.get("elemental_ids"):
        selection.conditions.append(in_list("elemental_id", map(as_uuid, body["elemental_ids"])))
    if body.get("media_ids"):
        selection.add(_media_in(selection.table, "select value from json_each(?)"), dumps(body["media_ids"]))
    members = body.get("state_ids" if selection.table == "localization" else "localization_ids")
    if members:
        _add_members(selection, members)


def _add_searches(selection: Selection, scope: Scope, query: Mapping[str, Any], body: Mapping[str, Any]) -> None:
    for name, operation in _OPERATIONS.items():
        for attribute, value in pairs(query[name]) if name in query else ():
            _add(selection, compare(scope, attribute, operation, value))
    if "attribute_distance" in query:
        raise BadFilter("attribute_distance is not served by this sandbox")
    if query.get("encoded_search"):
        _add(selection, search(scope, decoded(query["encoded_search"])))
    if body.get("object_search"):
        _add(selection, search(scope, body["object_search"]))


def _add(selection: Selection, condition: Condition | None) -> None:
    if condition:
        selection.conditions.append(condition)


def _related_searches(query: Mapping[str, Any], scope: Scope) -> list[Condition]:
    found = []
    for name, operation in _OPERATIONS.items():
        for attribute, value in pairs(query["related_" + name]) if "related_" + name in query else ():
            found.append(compare(scope, attribute, operation, value))
    return [condition for condition in found if condition]


def _add_media_search(selection: Selection, query: Mapping[str, Any], dtypes: Mapping[str, str]) -> None:
    scope = Scope("media", dtypes)
    conditions = _related_searches(query, scope)
    if query.get("encoded_related_search"):
        found = search(scope, decoded(query["encoded_related_search"]))
        conditions += [found] if found else []
    if conditions:
        sql, values = joined_by(" and ", conditions)
        selection.add(_media_in(selection.table, f"select id from media where {sql}"), *values)


def _hide_parents(selection: Selection) -> None:
    where, values = joined_by(" and ", selection.conditions)
    table = f"{selection.table} indexed by {selection.table}_by_parent"
    selection.add(f"id not in (select parent from {table} where parent is not null and {where})", *values)


def _add_paging(selection: Selection, scope: Scope, query: Mapping[str, Any]) -> None:
    if "after" in query:
        selection.add("id > ?", query["after"])
    start, stop = query.get("start", 0), query.get("stop")
    if start < 0 or (stop or 0) < 0:
        raise BadFilter("Negative indexing is not supported.")
    selection.start, selection.stop = start, stop
    orders = []
    for name in query.get("sort_by", "").split(","):
        column = scope.column(name.removeprefix("-"))
        if column:
            orders.append(f"{column[0]} {'desc' if name.startswith('-') else 'asc'}")
    if orders:
        selection.order = ", ".join(orders)


def media(
    project: int,
    query: Mapping[str, Any],
    body: Mapping[str, Any] | None = None,
    *,
    dtypes: Mapping[str, str],
    localization_dtypes: Mapping[str, str],
) -> Selection:
    """Media.

    Args:
        project: project id
        query: the parsed parameters
        body (None): the body of a PUT
        dtypes: dtypes of the attributes by name
        localization_dtypes: the same of localizations

    Returns:
        the selection

    Raises:
        BadFilter: if a filter is not understood
    """
    selection = Selection("media", order="name, id")
    scope = Scope("media", dtypes, casts=selection.casts)
    body = body or {}
    _add_media_place(selection, project, query, body)
    _add_searches(selection, scope, query, body)
    _add_localization_search(selection, query, localization_dtypes)
    _add_paging(selection, scope, query)
    return selection


def _add_media_place(selection: Selection, project: int, query: Mapping[str, Any], body: Mapping[str, Any]) -> None:
    selection.add("project = ?", project)
    selection.add("deleted = 0")
    for name in ("type", "elemental_id", "md5"):
        if name in query:
            selection.add(f"{name} = ?", query[name])
    if "name" in query:
        selection.add("lower(name) = lower(?)", query["name"])
    if "after_name" in query:
        selection.add("name > ?", query["after_name"])
    if "dtype" in query:
        selection.add("type in (select id from media_type where dtype = ?)", query["dtype"])
    sections = [*query.get("multi_section", ()), *([query["section"]] if "section" in query else ())]
    for column, values in (("section", sections), ("id", query.get("media_id")), ("id", body.get("ids"))):
        if values:
            selection.conditions.append(in_list(column, values))
    if body.get("localization_ids"):
        each = "select value from json_each(?)"
        selection.add(f"id in (select media from localization where id in ({each}))", dumps(body["localization_ids"]))


def _add_localization_search(selection: Selection, query: Mapping[str, Any], dtypes: Mapping[str, str]) -> None:
    scope = Scope("localization", dtypes, alias="r")
    # ``related_attribute`` also counts old marks and tombstones, ``encoded_related_search`` does not.
    conditions = _related_searches(query, scope)
    if conditions:
        sql, values = joined_by(" and ", conditions)
        selection.add(_localized(f"r.live in (0, 1, 2) and {sql}"), *values)
    if query.get("encoded_related_search"):
        found = search(scope, decoded(query["encoded_related_search"]))
        if found:
            selection.add(_localized(f"r.live = {VISIBLE} and {found[0]}"), *found[1])


def _localized(where: str) -> str:
    return f"exists (select 1 from localization r where r.media = media.id and {where})"
