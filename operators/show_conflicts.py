"""``@tator/sync/show_conflicts``: the samples of which both FiftyOne and Tator changed the same value."""

from typing import Any

import fiftyone as fo
import fiftyone.operators as foo

from fiftyone_tator.operators.hands import GRID, answer, call, placement
from fiftyone_tator.sync.hands import conflicts


class ShowConflicts(foo.Operator):  # type: ignore[misc]
    """Shows the samples that are in conflict, and says how many they are."""

    @property
    def config(self) -> foo.OperatorConfig:
        """The operator's configuration."""
        return foo.OperatorConfig(
            name="show_conflicts",
            label="Show conflicts with Tator",
            description="Show the samples of which FiftyOne and Tator both changed the same value",
            icon="call_split",
            disable_schema_validation=True,
            view_target=False,
        )

    def resolve_placement(self, ctx: Any) -> Any:
        """A button above the grid."""
        return placement(ctx, GRID, "Show conflicts", "call_split", prompt=False)

    def execute(self, ctx: Any) -> dict[str, Any] | None:
        """Sets the App's view to the conflicts, if there are any.

        Args:
            ctx: the execution context

        Returns:
            the number of samples in conflict as ``conflicts``
        """

        def work() -> dict[str, Any]:
            view, found = conflicts(ctx.dataset)
            if found:
                ctx.ops.set_view(view)
                verb = "sample is" if found == 1 else "samples are"
                ctx.ops.notify(f"{found:,} {verb} in conflict with Tator.", variant="warning")
            else:
                ctx.ops.notify("No sample is in conflict with Tator.", variant="success")
            return {"conflicts": found}

        return answer(ctx, work)

    def __call__(self, dataset: fo.Dataset) -> Any:
        """Counts the conflicts from Python.

        Example::

            import fiftyone.operators as foo

            found = foo.get_operator("@tator/sync/show_conflicts")(dataset).result["conflicts"]

        Args:
            dataset: the dataset

        Returns:
            an :class:`fiftyone.operators.executor.ExecutionResult`; its ``result`` has the number as ``conflicts``

        Raises:
            OperatorFailed: if it fails in a way that is explained
        """
        return call(self, dataset)
