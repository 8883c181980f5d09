"""``@tator/sync/verify_selected``: says of samples that somebody has verified them, or that nobody has."""

from collections.abc import Sequence
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
import fiftyone.operators.types as types

from fiftyone_tator.operators.hands import GRID, SAMPLE, answer, call, chosen, count, form, placement, refresh
from fiftyone_tator.sync.errors import InvalidOption
from fiftyone_tator.sync.hands import bool_attributes, is_from_tator, verified_attribute, verify


class VerifySelected(foo.Operator):  # type: ignore[misc]
    """Sets the verified attribute of samples, however many they are; asks nothing where it is clear which that is."""

    @property
    def config(self) -> foo.OperatorConfig:
        """The operator's configuration."""
        return foo.OperatorConfig(
            name="verify_selected",
            label="Verify selected samples",
            description="Mark the selected samples, or the open one, as verified, or as not verified",
            icon="verified",
            disable_schema_validation=True,
            view_target=False,
        )

    def resolve_placement(self, ctx: Any) -> Any:
        """A button above the grid."""
        return _placement(ctx, GRID)

    def resolve_input(self, ctx: Any) -> Any:
        """Asks for the attribute, the one that is called verified by default, and for its value."""

        def fill(inputs: types.Object, ids: Sequence[str]) -> None:
            known = list(bool_attributes(ctx.dataset))
            found = _found(ctx)
            if found is None and not known:
                verified_attribute(ctx.dataset)
            view = types.DropdownView()
            for name in known:
                view.add_choice(name, label=name)
            inputs.enum("attribute", known, view=view, default=found, required=True, label=f"Set for {count(ids)}")
            inputs.bool("value", default=True, label="Verified", view=types.SwitchView())

        return form(ctx, "Verify", "Set", fill)

    def execute(self, ctx: Any) -> dict[str, Any] | None:
        """Sets the attribute.

        Args:
            ctx: the execution context; its param ``attribute`` names the attribute where it is not called verified,
                ``value`` is False to take the verification back

        Returns:
            how many samples ``changed``, were the ``same`` before, and were ``left_out`` for which reason
        """

        def work() -> dict[str, Any]:
            attribute, value = ctx.params.get("attribute"), ctx.params.get("value", True)
            edited = verify(ctx.dataset, chosen(ctx), attribute=attribute, value=value)
            name, _ = verified_attribute(ctx.dataset, attribute)
            ctx.ops.notify(edited.sentence(name if value else f"not {name}"), variant="success")
            refresh(ctx)
            return edited.as_json()

        return answer(ctx, work)

    def __call__(
        self,
        samples: "fo.Dataset | fo.DatasetView",
        *,
        attribute: str | None = None,
        value: bool = True,
        selected: Sequence[str] | None = None,
    ) -> Any:
        """Verifies from Python.

        Example::

            import fiftyone.operators as foo

            verify_selected = foo.get_operator("@tator/sync/verify_selected")
            verify_selected(dataset.match_tags("checked"))

        Args:
            samples: a dataset, or a view of one
            attribute (None): the bool attribute to set; the one that is called verified if None
            value (True): whether the samples are verified
            selected (None): ids of samples; all of ``samples`` if None

        Returns:
            an :class:`fiftyone.operators.executor.ExecutionResult`; its ``result`` says how many samples ``changed``

        Raises:
            OperatorFailed: if it fails in a way that is explained
        """
        return call(self, samples, selected, attribute=attribute, value=value)


class VerifySample(VerifySelected):
    """The same, placed where one sample is open; an operator can be in one place only."""

    @property
    def config(self) -> foo.OperatorConfig:
        """The operator's configuration."""
        return foo.OperatorConfig(
            name="verify_sample",
            label="Verify this sample",
            icon="verified",
            unlisted=True,
            disable_schema_validation=True,
            view_target=False,
        )

    def resolve_placement(self, ctx: Any) -> Any:
        """A button at the open sample."""
        return _placement(ctx, SAMPLE)


def _found(ctx: Any) -> str | None:
    """The attribute that is called verified, None if there is none."""
    try:
        return verified_attribute(ctx.dataset)[0]
    except InvalidOption:
        return None


def _placement(ctx: Any, place: types.Places) -> Any:
    return placement(ctx, place, "Verify", "verified", prompt=is_from_tator(ctx.dataset) and _found(ctx) is None)
