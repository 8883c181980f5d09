"""The routes of users, projects, members, versions, types, sections and media."""

from functools import partial
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from fiftyone_tator.sandbox import catalogue, filters, marks, reading
from fiftyone_tator.sandbox.access import EDIT, TRANSFER, VIEW, require_acquaintance
from fiftyone_tator.sandbox.errors import ApiError, NotFound, invalid_body
from fiftyone_tator.sandbox.filters import Selection
from fiftyone_tator.sandbox.rendering import FIELDS, UnknownField
from fiftyone_tator.sandbox.schema import HIDDEN
from fiftyone_tator.sandbox.signing import PREFIX
from fiftyone_tator.sandbox.streaming import ListAnswer
from fiftyone_tator.sandbox.web import Call, Server, answer, api, error_page, json_body

_S3_ERROR = '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{}</Code><Message>{}</Message><Key>{}</Key></Error>'


def _whoami(call: Call) -> dict[str, Any]:
    return catalogue.user(catalogue.find(call.store, "user", call.user.id, "User"))


def _user(call: Call) -> dict[str, Any]:
    require_acquaintance(call.store, call.user, call.path["id"])
    return catalogue.user(catalogue.find(call.store, "user", call.path["id"], "User"))


def _projects(call: Call) -> list[dict[str, Any]]:
    return catalogue.projects(call.store, call.user.id)


def _project(call: Call) -> dict[str, Any]:
    project = call.require(VIEW)
    return next(found for found in _projects(call) if found["id"] == project)


def _members(call: Call) -> list[dict[str, Any]]:
    return catalogue.memberships(call.store, call.require(VIEW))


def _types(kind: str, call: Call) -> list[dict[str, Any]]:
    return catalogue.types(call.store, kind, call.require(VIEW))


def _type(kind: str, call: Call) -> dict[str, Any]:
    row = catalogue.find(call.store, catalogue.TYPE_TABLES[kind], call.path["id"], f"{kind.title()}Type")
    call.require(VIEW, row["project"])
    return catalogue.entity_type(row)


def _sections(call: Call) -> list[dict[str, Any]]:
    rows = call.store.rows("select * from section where project = ? order by id", (call.require(VIEW),))
    return [catalogue.section(row) for row in rows]


def _named(call: Call) -> str:
    if not isinstance(call.body, dict) or not isinstance(call.body.get("name"), str):
        raise invalid_body(call.body)
    return str(call.body["name"])


def _add_section(call: Call) -> dict[str, Any]:
    project, name = call.require(EDIT), _named(call)
    id_ = call.store.add_section(project, name, created_by=call.user.id)
    shown = catalogue.section(catalogue.find(call.store, "section", id_, "Section"))
    return {"message": f"Section {name} created!", "id": id_, "object": shown}


def _versions(call: Call) -> list[dict[str, Any]]:
    rows = call.store.rows("select * from version where project = ? order by number, id", (call.require(VIEW),))
    return [catalogue.version(row) for row in rows]


def _add_version(call: Call) -> dict[str, Any]:
    project, name = call.require(EDIT), _named(call)
    given = {key: call.body[key] for key in ("description", "bases", "number") if call.body.get(key) is not None}
    given["show_empty"] = int(call.body.get("show_empty", True))
    id_ = call.store.add_version(project, name, created_by=call.user.id, **given)
    shown = catalogue.version(catalogue.find(call.store, "version", id_, "Version"))
    return {"message": f"Successfully created version {name}.", "id": id_, "object": shown}


def _version(call: Call) -> dict[str, Any]:
    row = catalogue.find(call.store, "version", call.path["id"], "Version")
    call.require(VIEW if call.method == "GET" else EDIT, row["project"])
    if call.method == "GET":
        return catalogue.version(row)
    with call.store.write() as db:
        for table in ("localization", "state"):
            db.execute(f"update {table} set live = {HIDDEN} where version = ?", (row["id"],))
        db.execute("delete from version where id = ?", (row["id"],))
    return {"message": f"Version {row['id']} deleted successfully!"}


def _media_selection(call: Call) -> Selection:
    project, query = call.require(VIEW), call.query
    put = call.method == "PUT"
    if put:
        # A PUT reads all media of its body, whatever page is asked for.
        query = {name: value for name, value in query.items() if name not in ("start", "stop")}
    selection = filters.media(
        project,
        query,
        call.selectors if put else None,
        dtypes=catalogue.dtypes(call.store, "media", project, query.get("type")),
        localization_dtypes=catalogue.dtypes(call.store, "localization", project),
    )
    reading.check_casts(call.store, selection, project)
    return selection


def _presigned(call: Call, media: dict[str, Any]) -> dict[str, Any]:
    seconds = call.query.get("presigned")
    if seconds is None:
        return media
    fresh = call.raw_query.get("no_cache", "false").lower() in ("true", "1")
    return call.server.signer.sign(media, call.base, seconds, user=call.user.id, fresh=fresh)


def _medias(call: Call) -> Response:
    selection = _media_selection(call)
    rows = [_presigned(call, catalogue.media(row)) for row in call.store.rows(*selection.rows())]
    fields = call.raw_query.get("fields")
    try:
        chosen = _with_fields(rows, fields)
    except UnknownField:
        return error_page("Internal Server Error") if call.method == "PUT" else Response(media_type="application/json")
    text = answer(chosen)
    return text if call.method == "PUT" else ListAnswer(iter((bytes(text.body).decode(),)), call.server.stop)


def _with_fields(rows: list[dict[str, Any]], fields: str | None) -> list[dict[str, Any]]:
    if not fields:
        return rows
    wanted = fields.split(",")
    if set(wanted) - set(FIELDS["media"]):
        raise UnknownField(fields)
    return [{name: row[name] for name in wanted} for row in rows]


def _media_count(call: Call) -> int:
    return reading.count(call.store, _media_selection(call))


def _media(call: Call) -> dict[str, Any]:
    row = catalogue.find(call.store, "media", call.path["id"], "Media")
    if row["deleted"]:
        raise NotFound("Media")
    call.require(VIEW if call.method == "GET" else TRANSFER, row["project"])
    if call.method == "GET":
        return _presigned(call, catalogue.media(row))
    with call.store.write() as db:
        db.execute("update media set deleted = 1 where id = ?", (row["id"],))
        marks.hide_media(db, row["id"])
    return {"message": f"Media {row['id']} deleted successfully!"}


def _objects(server: Server) -> Route:
    async def endpoint(request: Request) -> Response:
        key = request.path_params["key"]
        refusal = server.signer.refusal(key, request.query_params)
        path = server.store.media_dir / key
        if refusal is None and not path.is_file():
            refusal = ("NoSuchKey", "The specified key does not exist.")
        if refusal:
            status = 404 if refusal[0] == "NoSuchKey" else 403
            return Response(_S3_ERROR.format(*refusal, key), status, media_type="application/xml")
        return FileResponse(path)

    return Route(PREFIX + "{key:path}", endpoint, methods=["GET", "HEAD"])


def _token(server: Server) -> Route:
    async def endpoint(request: Request) -> Response:
        try:
            body = await json_body(request)
            if not isinstance(body, dict) or not {"username", "password"} <= set(body):
                raise invalid_body(body)
            user = await run_in_threadpool(server.gate.login, str(body["username"]), str(body["password"]))
        except ApiError as error:
            return answer(error.body(), error.status)
        return answer({"token": server.gate.token(user, refresh=bool(body.get("refresh")))}, 201)

    return Route("/rest/Token", endpoint, methods=["POST"])


def routes(server: Server) -> list[Route]:
    """The routes.

    Args:
        server: the sandbox

    Returns:
        everything about projects, and the media files
    """
    found = [
        _token(server),
        _objects(server),
        api(server, "/rest/User/GetCurrent", get=_whoami),
        api(server, "/rest/User/{id:int}", get=_user),
        api(server, "/rest/Projects", get=_projects),
        api(server, "/rest/Project/{project:int}", get=_project),
        api(server, "/rest/Memberships/{project:int}", get=_members),
        api(server, "/rest/Versions/{project:int}", get=_versions, post=_add_version),
        api(server, "/rest/Version/{id:int}", get=_version, delete=_version),
        api(server, "/rest/Sections/{project:int}", get=_sections, post=_add_section),
        api(server, "/rest/Medias/{project:int}", get=_medias, put=_medias),
        api(server, "/rest/MediaCount/{project:int}", get=_media_count, put=_media_count),
        api(server, "/rest/Media/{id:int}", get=_media, delete=_media),
    ]
    for kind in catalogue.TYPE_TABLES:
        found.append(api(server, f"/rest/{kind.title()}Types/{{project:int}}", get=partial(_types, kind)))
        found.append(api(server, f"/rest/{kind.title()}Type/{{id:int}}", get=partial(_type, kind)))
    return found
