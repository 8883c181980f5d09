"""``@tator/sync/show_changes``: the samples that somebody edited and that were not pushed to Tator yet."""

from typing import Any

import fiftyone as fo
import fiftyone.operators as foo

from fiftyone_tator.operators.hands import GRID, answer, call, placement
from fiftyone_tator.sync.reverting import Changes, changes


class ShowChanges(foo.Operator):  # type: ignore[misc]
    """Shows what a push would look at: samples that were edited or added here; and says how many were deleted."""

    @property
    def config(self) -> foo.OperatorConfig:
        """The operator's configuration."""
        return foo.OperatorConfig(
            name="show_changes",
            label="Show changes not in Tator yet",
            description="Show the samples that were edited or added here since Tator had the same",
            icon="edit_note",
            disable_schema_validation=True,
            view_target=False,
        )

    def resolve_placement(self, ctx: Any) -> Any:
        """A button above the grid."""
        return placement(ctx, GRID, "Show changes not in Tator yet", "edit_note", prompt=False)

    def execute(self, ctx: Any) -> dict[str, Any] | None:
        """Sets the App's view to the edits, if there are any.

        Args:
            ctx: the execution context

        Returns:
            the number of samples ``edited``, ``created`` and ``strange`` (of which nobody can tell what they are in
            Tator), and of localizations that were ``deleted``
        """

        def work() -> dict[str, Any]:
            found = changes(ctx.dataset)
            if found.samples:
                ctx.ops.set_view(ctx.dataset.select([str(sample) for sample in found.samples]))
            ctx.ops.notify(_sentence(found), variant="info" if found.samples or found.deleted else "success")
            return {
                "edited": len(found.edited),
                "created": len(found.created),
                "strange": len(found.strange),
                "deleted": found.deleted,
            }

        return answer(ctx, work)

    def __call__(self, dataset: fo.Dataset) -> Any:
        """Counts the edits from Python.

        Example::

            import fiftyone.operators as foo

            edits = foo.get_operator("@tator/sync/show_changes")(dataset).result

        Args:
            dataset: the dataset

        Returns:
            an :class:`fiftyone.operators.executor.ExecutionResult`; its ``result`` has the numbers

        Raises:
            OperatorFailed: if it fails in a way that is explained
        """
        return call(self, dataset)


def _sentence(found: Changes) -> str:
    parts = {
        "edited": len(found.edited),
        "added": len(found.created),
        "deleted": found.deleted,
        "not to be told from another": len(found.strange),
    }
    said = [f"{count:,} {what}" for what, count in parts.items() if count]
    return f"Here and not in Tator yet: {', '.join(said)}." if said else "Tator has everything that was edited here."
