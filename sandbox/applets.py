"""Hosted templates and applets: pages that live on another host and are rendered here at every read.

There is no cache, no timeout, no look at the status, no escaping and no Jinja sandbox: the template's host is trusted
with the server, as it is by the real one.
"""

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

import httpx
import jinja2

from fiftyone_tator.sandbox.database import Database, dumps
from fiftyone_tator.sandbox.errors import BadRequest, invalid_body


def template(row: sqlite3.Row) -> dict[str, Any]:
    """A hosted template, without its headers.

    Args:
        row: of the table ``hosted_template``

    Returns:
        what answers show
    """
    head = {name: row[name] for name in ("id", "name", "organization", "url")}
    return {**head, "tparams": json.loads(row["tparams"]), "effective_permission": 0}


def template_columns(body: Any) -> dict[str, str]:
    """The columns that a body sets; what it leaves out is reset.

    Args:
        body: ``name``, ``url``, ``headers``, ``tparams``

    Returns:
        all columns

    Raises:
        BadRequest: without ``name`` or ``url``
    """
    if not isinstance(body, Mapping) or not isinstance(body.get("name"), str) or not isinstance(body.get("url"), str):
        raise invalid_body(body)
    pairs = {name: dumps(_parameters(body.get(name) or [], body)) for name in ("headers", "tparams")}
    return {"name": body["name"], "url": body["url"], **pairs}


def _parameters(values: Any, body: object) -> list[Any]:
    for value in values:
        if not isinstance(value, Mapping) or not all(isinstance(value.get(key), str) for key in ("name", "value")):
            raise invalid_body(body)
    return list(values)


def applet_columns(body: Any) -> dict[str, Any]:
    """The columns that a body sets.

    Args:
        body: any of ``name``, ``description``, ``categories``, ``template``, ``tparams``, ``headers``, ``html_file``

    Returns:
        the columns that it has

    Raises:
        BadRequest: if a value has the wrong shape
    """
    if not isinstance(body, Mapping):
        raise invalid_body(body)
    columns: dict[str, Any] = {
        name: body[name] for name in ("name", "description", "html_file", "template") if name in body
    }
    for name in ("tparams", "headers"):
        if name in body:
            columns[name] = dumps(_parameters(body[name] or [], body))
    if "categories" in body:
        columns["categories"] = dumps(list(body["categories"] or []))
    return columns


def render(store: Database, applet: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> str:
    """Fetches the template of an applet and renders it.

    Args:
        store: where the template's address is
        applet: with ``template`` and ``tparams``
        headers (None): more headers for the fetch

    Returns:
        the page; empty for an applet without a template

    Raises:
        BadRequest: if the host is down or the template is broken
    """
    if applet.get("template") is None:
        return ""
    row = store.row("select * from hosted_template where id = ?", (applet["template"],))
    if row is None:
        raise BadRequest("HostedTemplate matching query does not exist.")
    values = {pair["name"]: pair["value"] for pair in json.loads(row["tparams"])}
    values.update({pair["name"]: pair["value"] for pair in json.loads(applet.get("tparams") or "[]")})
    sent = {pair["name"]: pair["value"] for pair in json.loads(row["headers"])} | dict(headers or {})
    try:
        answer = httpx.get(row["url"], headers=sent, follow_redirects=True, timeout=None, trust_env=False)
        return jinja2.Environment(autoescape=False).from_string(answer.text).render(values)
    except (httpx.HTTPError, httpx.InvalidURL, jinja2.TemplateError) as error:
        raise BadRequest(str(error)) from None


def applet(store: Database, row: sqlite3.Row) -> dict[str, Any]:
    """An applet with its rendered page.

    Args:
        store: where
        row: of the table ``applet``

    Returns:
        what answers show

    Raises:
        BadRequest: if it cannot be rendered
    """
    plain = {name: row[name] for name in ("id", "project", "name", "description", "template", "html_file")}
    lists = {name: json.loads(row[name]) for name in ("categories", "tparams")}
    return {**plain, **lists, "rendered": render(store, dict(row))}
