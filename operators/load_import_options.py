"""``@tator/sync/load_import_options``: what the import's form offers, asked of Tator while the form is open."""

import threading
from collections.abc import Mapping
from typing import Any

import fiftyone.operators as foo
from cachetools import TTLCache

from fiftyone_tator.operators.presets import layers
from fiftyone_tator.operators.servers import Server, choose, connect
from fiftyone_tator.sync.errors import InvalidOption
from fiftyone_tator.sync.fields import find_label, label_candidates
from fiftyone_tator.sync.importing import default_dataset_name
from fiftyone_tator.sync.options import ImportOptions, parse_options
from fiftyone_tator.sync.preview import preview
from fiftyone_tator.sync.scope import choose_types, find_project, resolve
from fiftyone_tator.tator_client import LocalizationType, Tator, TatorError

_CACHED_SECONDS = 30
_cache: TTLCache[tuple[str, ...], Any] = TTLCache(maxsize=64, ttl=_CACHED_SECONDS)
_cache_lock = threading.Lock()


class LoadImportOptions(foo.Operator):  # type: ignore[misc]
    """Loads the choices of the import's form; not listed, since the form calls it by itself."""

    @property
    def config(self) -> foo.OperatorConfig:
        """The operator's configuration."""
        return foo.OperatorConfig(
            name="load_import_options",
            label="Load the choices of the Tator import",
            unlisted=True,
            disable_schema_validation=True,
        )

    def execute(self, ctx: Any) -> dict[str, Any]:
        """Asks Tator.

        Args:
            ctx: the execution context; its params are those of the form

        Returns:
            the choices, the preview, and where something is wrong the reason as ``problem``
        """
        try:
            return load(choose(ctx.secrets, ctx.params.get("server") or None), layers(ctx.dataset, ctx.params))
        except TatorError as error:
            return {"problem": str(error)}


def load(server: Server, option_layers: list[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """What the form offers.

    Args:
        server: the server to ask
        option_layers: presets, config file and what the form holds so far

    Returns:
        ``projects``; with a project ``versions``, ``types``, ``labels``, ``label``, ``classes``, ``dataset_name`` and
        ``preview``; and ``problem`` where the options cannot be used
    """
    with connect(server) as client:
        found: dict[str, Any] = {"projects": [[p.id, p.name] for p in _projects(client, server)]}
        try:
            options = parse_options(*option_layers)
        except InvalidOption as problem:
            named = any(layer.get("project") for _, layer in option_layers)
            return {**found, "problem": str(problem)} if named else found
        try:
            return {**found, **_of_project(client, options)}
        except InvalidOption as problem:
            return {**found, **_choices(client, options), "problem": str(problem)}


def _projects(client: Tator, server: Server) -> list[Any]:
    """The projects, remembered for half a minute: the form asks on every change."""
    key = server.url, server.token
    with _cache_lock:
        if key not in _cache:
            _cache[key] = client.projects()
        return list(_cache[key])


def _of_project(client: Tator, options: ImportOptions) -> dict[str, Any]:
    scope = resolve(client, options)
    choices = _choices(client, options)
    return {**choices, "preview": preview(client, scope, options).text}


def _choices(client: Tator, options: ImportOptions) -> dict[str, Any]:
    """Versions, types and label attributes of the project; empty where the project cannot be found."""
    try:
        project = find_project(client, options.project)
    except InvalidOption:
        return {}
    kinds = client.localization_types(project.id)
    try:
        chosen = choose_types(project, kinds, options.types)
    except InvalidOption:
        chosen = tuple(kinds)
    labels = [options.label_attribute or find_label(kind) for kind in chosen]
    return {
        "project": [project.id, project.name],
        "versions": [version.name for version in client.versions(project.id)],
        "types": [[kind.name, kind.dtype] for kind in kinds],
        "labels": label_candidates(chosen),
        "label": labels[0] if labels else None,
        "classes": _classes(chosen, labels),
        "dataset_name": default_dataset_name(project.id),
    }


def _classes(kinds: tuple[LocalizationType, ...], labels: list[str | None]) -> list[str]:
    """The labels that the types themselves name: the choices of an enum."""
    pairs = zip(kinds, labels, strict=True)
    choices = (c for kind, label in pairs for a in kind.attribute_types if a.name == label for c in a.choices)
    return list(dict.fromkeys(choices))
