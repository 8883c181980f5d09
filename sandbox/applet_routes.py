"""The routes of hosted templates and applets."""

import json
from typing import Any

from starlette.routing import Route

from fiftyone_tator.sandbox import applets, catalogue
from fiftyone_tator.sandbox.access import EXECUTE, VIEW, require_organization_admin
from fiftyone_tator.sandbox.errors import invalid_body
from fiftyone_tator.sandbox.web import Call, Server, api


def _admin(call: Call, organization: int) -> int:
    require_organization_admin(call.store, call.user, organization)
    return organization


def _templates(call: Call) -> list[dict[str, Any]]:
    organization = _admin(call, call.path["organization"])
    rows = call.store.rows("select * from hosted_template where organization = ? order by id", (organization,))
    return [applets.template(row) for row in rows]


def _add_template(call: Call) -> dict[str, Any]:
    organization = _admin(call, call.path["organization"])
    columns = applets.template_columns(call.body)
    id_ = call.store.insert("hosted_template", organization=organization, **columns)
    return {"message": "Successfully registered hosted template.", "id": id_}


def _template(call: Call) -> dict[str, Any]:
    row = catalogue.find(call.store, "hosted_template", call.path["id"], "HostedTemplate")
    _admin(call, row["organization"])
    if call.method == "GET":
        return applets.template(row)
    with call.store.write() as db:
        if call.method == "DELETE":
            db.execute("delete from hosted_template where id = ?", (row["id"],))
            return {"message": "Hosted template deleted successfully!"}
        columns = applets.template_columns(call.body)
        assignments = ", ".join(f"{name} = ?" for name in columns)
        db.execute(f"update hosted_template set {assignments} where id = ?", (*columns.values(), row["id"]))
    return {"message": f"Hosted template {row['id']} successfully updated!"}


def _require_editor(call: Call, project: int) -> None:
    call.require(EXECUTE, project)
    row = catalogue.find(call.store, "project", project, "Project")
    require_organization_admin(call.store, call.user, row["organization"])


def _applets(call: Call) -> list[dict[str, Any]]:
    rows = call.store.rows("select * from applet where project = ? order by id", (call.require(VIEW),))
    return [applets.applet(call.store, row) for row in rows]


def _add_applet(call: Call) -> dict[str, Any]:
    project = call.path["project"]
    _require_editor(call, project)
    columns = applets.applet_columns(call.body)
    if "name" not in columns:
        raise invalid_body(call.body)
    headers = {pair["name"]: pair["value"] for pair in json.loads(columns.get("headers") or "[]")}
    applets.render(call.store, columns, headers)
    id_ = call.store.insert("applet", project=project, **columns)
    return {"message": f"Successfully created applet {id_}!", "id": id_}


def _applet(call: Call) -> dict[str, Any]:
    row = catalogue.find(call.store, "applet", call.path["id"], "Applet")
    if call.method == "GET":
        call.require(VIEW, row["project"])
        return applets.applet(call.store, row)
    _require_editor(call, row["project"])
    with call.store.write() as db:
        if call.method == "DELETE":
            db.execute("delete from applet where id = ?", (row["id"],))
            return {"message": "Registered applet deleted successfully!"}
        columns = applets.applet_columns(call.body)
        assignments = ", ".join(f"{name} = ?" for name in columns) or "id = id"
        db.execute(f"update applet set {assignments} where id = ?", (*columns.values(), row["id"]))
    return {"message": f"Applet {row['id']} successfully updated!"}


def routes(server: Server) -> list[Route]:
    """The routes.

    Args:
        server: the sandbox

    Returns:
        hosted templates and applets
    """
    return [
        api(server, "/rest/HostedTemplates/{organization:int}", get=_templates, post=_add_template),
        api(server, "/rest/HostedTemplate/{id:int}", get=_template, patch=_template, delete=_template),
        api(server, "/rest/Applets/{project:int}", get=_applets, post=_add_applet),
        api(server, "/rest/Applet/{id:int}", get=_applet, patch=_applet, delete=_applet),
    ]
