"""Web pages: plain ones, so that links into Tator lead somewhere, and applets run as in Tator."""

import html
import json
import secrets
import sqlite3
from collections.abc import Callable
from urllib.parse import parse_qs, quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from fiftyone_tator.sandbox import applets, catalogue
from fiftyone_tator.sandbox.access import CSRF_COOKIE, SESSION_COOKIE, VIEW, User, require
from fiftyone_tator.sandbox.errors import ApiError, BadRequest, NotFound
from fiftyone_tator.sandbox.web import Server, error_page, not_found_page

_LINK_SECONDS = 3600
_HEADERS = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "credentialless"}
_STYLE = """body{font:15px/1.5 system-ui,sans-serif;margin:0;color:#1d2733;background:#f6f8fa}
header{background:#151b2c;color:#fff;padding:.6rem 1.2rem}header a{color:#fff}main{padding:1rem 1.2rem}
.stage{position:relative;display:inline-block}.stage img,.stage video{display:block;max-width:min(100%,960px)}
.stage svg{position:absolute;inset:0;width:100%;height:100%;pointer-events:none}
iframe{border:0;width:100%;height:calc(100vh - 3rem);display:block}dt{font-weight:600}dd{margin:0 0 .4rem}
.chosen{stroke:#f9c74f;stroke-width:3}.other{stroke:#8ecae6;stroke-width:1}"""

View = Callable[[Server, User, Request], str]


def page(title: str, content: str) -> str:
    """A whole page.

    Args:
        title: plain text
        content: HTML

    Returns:
        HTML
    """
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f'<header><a href="/">Tator sandbox</a> &middot; {html.escape(title)}</header>{content}</body></html>'
    )


def _shape(row: sqlite3.Row, chosen: bool) -> str:
    """A localization as SVG in coordinates of 0 to 1."""
    style = f'class="{"chosen" if chosen else "other"}" fill="none" vector-effect="non-scaling-stroke"'
    x, y = row["x"] or 0, row["y"] or 0
    if row["points"]:
        points = " ".join(f"{px},{py}" for px, py in json.loads(row["points"]))
        return f'<polygon points="{points}" {style}/>'
    if row["width"] is not None:
        return f'<rect x="{x}" y="{y}" width="{row["width"]}" height="{row["height"] or 0}" {style}/>'
    if row["u"] is not None:
        return f'<line x1="{x}" y1="{y}" x2="{x + row["u"]}" y2="{y + (row["v"] or 0)}" {style}/>'
    return f'<circle cx="{x}" cy="{y}" r="0.008" {style}/>'


def _number(request: Request, name: str) -> int | None:
    text = request.query_params.get(name, "")
    return int(text) if text.isdigit() else None


def _shown(server: Server, request: Request, media: sqlite3.Row) -> tuple[sqlite3.Row | None, list[sqlite3.Row]]:
    """The selected localization and those of the same frame."""
    wanted = request.query_params.get("selected_entity", "")
    version = _number(request, "version")
    where, values = "media = ? and live = 2", [media["id"]]
    if version is not None:
        where, values = where + " and version = ?", [*values, version]
    chosen = server.store.row(f"select * from localization where {where} and elemental_id = ?", (*values, wanted))
    frame = chosen["frame"] if chosen else _number(request, "frame") or 0
    rows = server.store.rows(f"select * from localization where {where} and frame = ? limit 500", (*values, frame))
    return chosen, rows


def _annotation(server: Server, user: User, request: Request) -> str:
    project = request.path_params["project"]
    media = catalogue.find(server.store, "media", request.path_params["media"], "Media")
    if media["deleted"] or media["project"] != project:
        raise NotFound("Media")
    require(server.store, user, project, VIEW)
    chosen, rows = _shown(server, request, media)
    shapes = [_shape(row, False) for row in rows if chosen is None or row["id"] != chosen["id"]]
    shapes += [_shape(chosen, True)] if chosen else []
    shown = server.signer.sign(catalogue.media(media), "", _LINK_SECONDS, user=user.id)
    frame = chosen["frame"] if chosen else _number(request, "frame") or 0
    return page(
        media["name"],
        f'<main><h1>{html.escape(media["name"])}</h1><div class="stage">{_picture(shown, frame)}'
        f'<svg viewBox="0 0 1 1" preserveAspectRatio="none">{"".join(shapes)}</svg></div>'
        f"{_description(chosen, frame)}</main>",
    )


def _picture(media: dict[str, object], frame: int) -> str:
    files = media["media_files"]
    assert isinstance(files, dict)
    if files.get("image"):
        return f'<img src="{html.escape(files["image"][0]["path"])}" alt="">'
    if files.get("streaming"):
        # The middle of the frame: its very start may still show the one before.
        seconds = (frame + 0.5) / float(str(media["fps"] or 1))
        return f'<video controls src="{html.escape(files["streaming"][-1]["path"])}#t={seconds:.3f}"></video>'
    return "<p>This media has no files.</p>"


def _description(chosen: sqlite3.Row | None, frame: int) -> str:
    if chosen is None:
        return f'<p id="selected">Nothing is selected. Frame {frame}.</p>'
    values = {
        "version": chosen["version"],
        "frame": frame,
        "mark": chosen["mark"],
        **json.loads(chosen["attributes"]),
    }
    items = "".join(
        f"<dt>{html.escape(name)}</dt><dd>{html.escape(value if isinstance(value, str) else json.dumps(value))}</dd>"
        for name, value in values.items()
    )
    return f'<h2 id="selected">{chosen["elemental_id"]}</h2><dl>{items}</dl>'


def _project_detail(server: Server, user: User, request: Request) -> str:
    project = request.path_params["project"]
    require(server.store, user, project, VIEW)
    row = catalogue.find(server.store, "project", project, "Project")
    section = _number(request, "section")
    where, values = ("", []) if section is None else (" and section = ?", [section])
    sql = f"select id, name from media where project = ? and deleted = 0{where} order by name, id limit 500"
    media = [
        f'<li><a href="/{project}/annotation/{found["id"]}">{html.escape(found["name"])}</a></li>'
        for found in server.store.rows(sql, (project, *values))
    ]
    dashboards = [
        f'<li><a href="/{project}/dashboards/{found["id"]}">{html.escape(found["name"])}</a></li>'
        for found in server.store.rows("select id, name from applet where project = ? order by id", (project,))
    ]
    lists = (
        f"<h2>Dashboards</h2><ul>{''.join(dashboards) or '<li>none</li>'}</ul><h2>Media</h2><ul>{''.join(media)}</ul>"
    )
    return page(row["name"], f"<main><h1>{html.escape(row['name'])}</h1>{lists}</main>")


def _dashboard(server: Server, user: User, request: Request) -> str:
    row = catalogue.find(server.store, "applet", request.path_params["applet"], "Applet")
    require(server.store, user, row["project"], VIEW)
    rendered = applets.render(server.store, dict(row))
    return page(row["name"], f'<iframe title="{html.escape(row["name"])}" srcdoc="{html.escape(rendered)}"></iframe>')


def _home(server: Server, user: User, request: Request) -> str:
    rows = "".join(
        f'<li><a href="/{found["id"]}/project-detail">{html.escape(found["name"])}</a> ({found["permission"]})</li>'
        for found in catalogue.projects(server.store, user.id)
    )
    return page("Projects", f"<main><h1>Projects of {html.escape(user.username)}</h1><ul>{rows}</ul></main>")


def _view(server: Server, path: str, view: View) -> Route:
    def run(request: Request) -> Response:
        user = server.gate.session(request.cookies)
        if user is None:
            # What stands in the query is lost, as it is in Tator.
            return RedirectResponse(f"/accounts/login/?next={quote(request.url.path)}", 302)
        try:
            answer: Response = HTMLResponse(view(server, user, request), headers=_HEADERS)
        except NotFound:
            return not_found_page()
        except ApiError as error:
            return error_page(error.message, status=error.status)
        if CSRF_COOKIE not in request.cookies:
            answer.set_cookie(CSRF_COOKIE, secrets.token_hex(16), samesite="lax")
        return answer

    async def endpoint(request: Request) -> Response:
        return await run_in_threadpool(run, request)

    return Route(path, endpoint)


def _login(server: Server) -> Route:
    form = (
        '<main><h1>Log in</h1><p>{}</p><form method="post"><p><label>Name <input name="username" autofocus></label></p>'
        '<p><label>Password <input name="password" type="password"></label></p><button>Log in</button></form>'
        "<p>The users are admin, editor, viewer and outsider; the password of each is the name.</p></main>"
    )

    async def endpoint(request: Request) -> Response:
        if request.method == "GET":
            return HTMLResponse(page("Log in", form.format("")))
        values = parse_qs((await request.body()).decode())
        name, password = (values.get(key, [""])[0] for key in ("username", "password"))
        try:
            user = await run_in_threadpool(server.gate.login, name, password)
        except BadRequest as error:
            return HTMLResponse(page("Log in", form.format(html.escape(error.message))))
        target = request.query_params.get("next", "/")
        # Only to a page of this server.
        local = target.startswith("/") and not target.startswith(("//", "/\\"))
        answer = RedirectResponse(target if local else "/", 302)
        answer.set_cookie(SESSION_COOKIE, server.gate.session_cookie(user), httponly=True, samesite="lax")
        answer.set_cookie(CSRF_COOKIE, secrets.token_hex(16), samesite="lax")
        return answer

    return Route("/accounts/login/", endpoint, methods=["GET", "POST"])


def _logout(request: Request) -> Response:
    answer = RedirectResponse("/accounts/login/", 302)
    answer.delete_cookie(SESSION_COOKIE)
    return answer


def routes(server: Server) -> list[Route]:
    """The routes.

    Args:
        server: the sandbox

    Returns:
        the pages
    """
    return [
        _login(server),
        Route("/accounts/logout/", _logout),
        _view(server, "/", _home),
        _view(server, "/{project:int}/annotation/{media:int}", _annotation),
        _view(server, "/{project:int}/project-detail", _project_detail),
        _view(server, "/{project:int}/dashboards/{applet:int}", _dashboard),
    ]
