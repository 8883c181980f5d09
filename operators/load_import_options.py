"""``@tator/sync/load_import_options``: what the import's form offers, asked of Tator while the form is open."""

from collections.abc import Mapping
from typing import Any

import fiftyone.operators as foo

from fiftyone_tator.operators.presets import CONFIG_FILE, layers
from fiftyone_tator.operators.servers import choose, connect
from fiftyone_tator.sync.fields import find_label, label_candidates
from fiftyone_tator.sync.importing import default_dataset_name
from fiftyone_tator.sync.options import load_config, parse_options
from fiftyone_tator.sync.preview import preview
from fiftyone_tator.sync.scope import find_project, resolve
from fiftyone_tator.tator_client import LocalizationType, TatorError

URI = "@tator/sync/load_import_options"
PROJECTS, CHOICES, COUNTS, FILE = "projects", "choices", "counts", "file"
"""What can be asked for; see :meth:`LoadImportOptions.execute`."""


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
        """Answers one question of the form.

        Args:
            ctx: the execution context; its param ``ask`` says what is asked for, ``about`` about what:
                ``projects`` of a ``server``, the ``choices`` that a ``project`` of a ``server`` has, the ``counts`` of
                what an import with certain options would bring, the options in a config ``file``

        Returns:
            the answer; where something is wrong the reason as ``problem``
        """
        try:
            return _ANSWERS[ctx.params["ask"]](ctx, ctx.params["about"])
        except TatorError as error:
            return {"problem": str(error)}


def _projects(ctx: Any, about: Mapping[str, Any]) -> dict[str, Any]:
    with connect(choose(ctx.secrets, about["server"])) as client:
        return {"projects": [[project.id, project.name] for project in client.projects()]}


def _choices(ctx: Any, about: Mapping[str, Any]) -> dict[str, Any]:
    with connect(choose(ctx.secrets, about["server"])) as client:
        project = find_project(client, about["project"])
        return {
            "versions": [[version.id, version.name] for version in client.versions(project.id)],
            "types": [_type(kind) for kind in client.localization_types(project.id)],
            "dataset_name": default_dataset_name(project.id),
        }


def _type(kind: LocalizationType) -> dict[str, Any]:
    return {
        "id": kind.id,
        "name": kind.name,
        "dtype": kind.dtype,
        "label": find_label(kind),
        "labels": label_candidates([kind]),
        "classes": {attribute.name: list(attribute.choices) for attribute in kind.attribute_types},
    }


def _counts(ctx: Any, about: Mapping[str, Any]) -> dict[str, Any]:
    options = parse_options(*layers(ctx.dataset, about))
    with connect(choose(ctx.secrets, options.server)) as client:
        return {"text": preview(client, resolve(client, options), options).text}


def _file(ctx: Any, about: Mapping[str, Any]) -> dict[str, Any]:
    options = load_config(about[CONFIG_FILE])
    layers(ctx.dataset, about)
    return {"options": options}


_ANSWERS = {PROJECTS: _projects, CHOICES: _choices, COUNTS: _counts, FILE: _file}
