"""``@tator/sync/relabel_selected``: another label for the samples that are selected, or for the one that is open."""

from collections.abc import Sequence
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
import fiftyone.operators.types as types

from fiftyone_tator.operators.hands import GRID, SAMPLE, answer, call, chosen, count, form, placement, refresh
from fiftyone_tator.sync.hands import labels, relabel


class RelabelSelected(foo.Operator):  # type: ignore[misc]
    """Gives samples another label, however many they are."""

    @property
    def config(self) -> foo.OperatorConfig:
        """The operator's configuration."""
        return foo.OperatorConfig(
            name="relabel_selected",
            label="Relabel selected samples",
            description="Give the selected samples, or the open one, another label",
            icon="new_label",
            disable_schema_validation=True,
            view_target=False,
        )

    def resolve_placement(self, ctx: Any) -> Any:
        """A button above the grid."""
        return placement(ctx, GRID, "Relabel", "new_label")

    def resolve_input(self, ctx: Any) -> Any:
        """Asks for the label: one of the project's choices, or any text where the project allows it."""

        def fill(inputs: types.Object, ids: Sequence[str]) -> None:
            offered = labels(ctx.dataset)
            view = types.AutocompleteView(allow_user_input=offered.free)
            for label in offered.choices:
                view.add_choice(label, label=label)
            hint = "One of the project's, or a new one" if offered.free else "One of the project's"
            inputs.str("label", view=view, required=True, label=f"Label for {count(ids)}", description=hint)

        return form(ctx, "Relabel", "Relabel", fill)

    def execute(self, ctx: Any) -> dict[str, Any] | None:
        """Relabels.

        Args:
            ctx: the execution context; its param ``label`` is the label

        Returns:
            how many samples ``changed``, had the ``same`` label before, and were ``left_out`` for which reason
        """

        def work() -> dict[str, Any]:
            label = ctx.params.get("label")
            edited = relabel(ctx.dataset, label, chosen(ctx))
            ctx.ops.notify(edited.sentence(f"labelled {label}"), variant="success")
            refresh(ctx)
            return edited.as_json()

        return answer(ctx, work)

    def __call__(
        self, samples: "fo.Dataset | fo.DatasetView", label: str, *, selected: Sequence[str] | None = None
    ) -> Any:
        """Relabels from Python.

        Example::

            import fiftyone.operators as foo

            relabel_selected = foo.get_operator("@tator/sync/relabel_selected")
            relabel_selected(dataset.match(F("ground_truth.label") == "ell"), label="eel")

        Args:
            samples: a dataset, or a view of one
            label: the label
            selected (None): ids of samples; all of ``samples`` if None

        Returns:
            an :class:`fiftyone.operators.executor.ExecutionResult`; its ``result`` says how many samples ``changed``

        Raises:
            OperatorFailed: if it fails in a way that is explained
        """
        return call(self, samples, selected, label=label)


class RelabelSample(RelabelSelected):
    """The same, placed where one sample is open; an operator can be in one place only."""

    @property
    def config(self) -> foo.OperatorConfig:
        """The operator's configuration."""
        return foo.OperatorConfig(
            name="relabel_sample",
            label="Relabel this sample",
            icon="new_label",
            unlisted=True,
            disable_schema_validation=True,
            view_target=False,
        )

    def resolve_placement(self, ctx: Any) -> Any:
        """A button at the open sample."""
        return placement(ctx, SAMPLE, "Relabel", "new_label")
