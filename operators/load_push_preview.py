"""``@tator/sync/load_push_preview``: what a push would do, asked of Tator while its form is open."""

from collections.abc import Mapping
from typing import Any

import fiftyone.operators as foo

from fiftyone_tator.operators.push_target import push_params, server_of, target_samples
from fiftyone_tator.operators.servers import connect
from fiftyone_tator.sync.origin import Origin
from fiftyone_tator.sync.push_options import PushOptions, parse_push_options
from fiftyone_tator.sync.pushing import push_to_tator
from fiftyone_tator.sync.target import Target
from fiftyone_tator.tator_client import TatorError

URI = "@tator/sync/load_push_preview"
ACCESS, PREVIEW = "access", "preview"
"""What can be asked for; see :meth:`LoadPushPreview.execute`."""


class LoadPushPreview(foo.Operator):  # type: ignore[misc]
    """Loads what the push's form shows; not listed, since the form calls it by itself."""

    @property
    def config(self) -> foo.OperatorConfig:
        """The operator's configuration."""
        return foo.OperatorConfig(
            name="load_push_preview",
            label="Load what a push to Tator would do",
            unlisted=True,
            disable_schema_validation=True,
        )

    def execute(self, ctx: Any) -> dict[str, Any]:
        """Answers one question of the form about the open dataset.

        Args:
            ctx: the execution context; its param ``ask`` says what is asked for: ``access``, which is who may push and
                to which versions, or the ``preview`` of a push with the options in ``about``

        Returns:
            the answer; where something is wrong the reason as ``problem``
        """
        try:
            return _ANSWERS[ctx.params["ask"]](ctx, ctx.params["about"])
        except TatorError as error:
            return {"problem": str(error)}


def _access(ctx: Any, about: Mapping[str, Any]) -> dict[str, Any]:
    with connect(server_of(ctx)) as client:
        target = Target.of(client, Origin.of(ctx.dataset), PushOptions())
        return {
            "project": target.project.name,
            "user": target.me.username,
            "versions": [[version.id, version.name] for version in target.versions.values()],
        }


def _preview(ctx: Any, about: Mapping[str, Any]) -> dict[str, Any]:
    samples = target_samples(ctx)
    options = parse_push_options({**push_params(about, whole=samples is None), "dry_run": True})
    with connect(server_of(ctx, options.server)) as client:
        found = push_to_tator(client, ctx.dataset, options, samples=samples).as_json()
    # The form sends all that it holds with every change of a field.
    return {key: value for key, value in found.items() if key != "failures"}


_ANSWERS = {ACCESS: _access, PREVIEW: _preview}
