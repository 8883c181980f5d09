"""The routes of localizations and states."""

from functools import partial
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from fiftyone_tator.sandbox import bulk, creating, editing, marks, reading
from fiftyone_tator.sandbox.access import EDIT, VIEW
from fiftyone_tator.sandbox.filters import as_uuid
from fiftyone_tator.sandbox.kinds import LOCALIZATION, STATE, Kind
from fiftyone_tator.sandbox.rendering import FIELDS, UnknownField, as_object, selector
from fiftyone_tator.sandbox.streaming import ListAnswer
from fiftyone_tator.sandbox.web import Call, Server, api, error_page


def _read_list(kind: Kind, call: Call) -> Response:
    project, query = call.require(VIEW), call.query
    body = call.selectors if call.method == "PUT" else None
    selection = reading.select(call.store, kind, project, query, body)
    fields = query.get("fields")
    try:
        selector(fields, FIELDS[kind.name])
    except UnknownField:
        # Found while the real server streams already: a good status and nothing in it.
        return error_page("Internal Server Error") if call.method == "PUT" else Response(media_type="application/json")
    pieces = reading.pages(call.store, kind, selection, fields)
    if call.method == "PUT":
        return Response("".join(pieces), media_type="application/json")
    return ListAnswer(pieces, call.server.stop)


def _create(kind: Kind, call: Call) -> dict[str, Any]:
    ids = creating.create(call.store, kind, call.require(EDIT), call.body, call.user)
    return {"message": f"Successfully created {len(ids)} {kind.name}s!", "id": ids}


def _update_list(kind: Kind, call: Call) -> dict[str, Any]:
    return bulk.update(call.store, kind, call.require(EDIT), call.query, call.selectors, call.user)


def _delete_list(kind: Kind, call: Call) -> dict[str, Any]:
    return bulk.delete(call.store, kind, call.require(EDIT), call.query, call.selectors, call.user)


def _count(kind: Kind, call: Call) -> int:
    body = call.selectors if call.method == "PUT" else None
    return reading.count(call.store, reading.select(call.store, kind, call.require(VIEW), call.query, body))


def _one(kind: Kind, call: Call) -> dict[str, Any]:
    level = VIEW if call.method == "GET" else EDIT
    with call.store.read() as db:
        if "id" in call.path:
            row = marks.by_id(db, kind, call.path["id"])
        else:
            elemental_id = as_uuid(call.path["elemental_id"])
            mark = call.query.get("mark") if call.method == "GET" else None
            row = reading.element(call.store, kind, call.path["version"], elemental_id, mark)
        call.require(level, row["project"])
        if call.method == "GET":
            return as_object(db, kind, row)
    change = editing.update if call.method == "PATCH" else editing.delete
    return change(call.store, kind, row, call.body, call.user)


def routes(server: Server) -> list[Route]:
    """The routes.

    Args:
        server: the sandbox

    Returns:
        lists, counts and single rows of both kinds
    """
    found = []
    for kind in (LOCALIZATION, STATE):
        read, count, one = partial(_read_list, kind), partial(_count, kind), partial(_one, kind)
        writes = {
            "post": partial(_create, kind),
            "patch": partial(_update_list, kind),
            "delete": partial(_delete_list, kind),
        }
        found += [
            api(server, f"/rest/{kind.title}s/{{project:int}}", get=read, put=read, **writes),
            api(server, f"/rest/{kind.title}Count/{{project:int}}", get=count, put=count),
            api(server, f"/rest/{kind.title}/{{id:int}}", get=one, patch=one, delete=one),
            api(server, f"/rest/{kind.title}/{{version:int}}/{{elemental_id}}", get=one, patch=one, delete=one),
        ]
    return found
