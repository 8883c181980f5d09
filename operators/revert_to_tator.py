"""``@tator/sync/revert_to_tator``: takes edits back that were made here and not pushed."""

from collections.abc import Sequence
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
import fiftyone.operators.types as types
from bson import ObjectId

from fiftyone_tator.operators.hands import GRID, SAMPLE, answer, call, chosen, count, form, placement, refresh
from fiftyone_tator.sync.reverting import Reverted, changes, revert


class RevertToTator(foo.Operator):  # type: ignore[misc]
    """Makes samples what Tator held when both sides last agreed. What changed there since comes with an import."""

    @property
    def config(self) -> foo.OperatorConfig:
        """The operator's configuration."""
        return foo.OperatorConfig(
            name="revert_to_tator",
            label="Revert selected samples to Tator",
            description="Drop the edits of the selected samples, or the open one, that were not pushed yet",
            icon="settings_backup_restore",
            disable_schema_validation=True,
            view_target=False,
        )

    def resolve_placement(self, ctx: Any) -> Any:
        """A button above the grid."""
        return placement(ctx, GRID, "Revert to Tator", "settings_backup_restore")

    def resolve_input(self, ctx: Any) -> Any:
        """Says how many edits would be dropped, and asks once."""

        def fill(inputs: types.Object, ids: Sequence[str]) -> None:
            found = changes(ctx.dataset, [ObjectId(each) for each in ids])
            edited = len(found.edited)
            inputs.view(
                "question",
                types.Warning(label=f"{edited:,} of {count(ids)} edited: these edits will be lost")
                if edited
                else types.Notice(label=f"Nothing was edited in {count(ids)}"),
            )

        return form(ctx, "Revert to Tator", "Revert", fill)

    def execute(self, ctx: Any) -> dict[str, Any] | None:
        """Takes the edits back.

        Args:
            ctx: the execution context; its param ``deletions`` is True to take deletions back as well, where a Python
                caller named no samples

        Returns:
            how many ``samples`` were edited and are not any more, how many deletions were ``restored``, and what was
            ``left_out`` for which reason
        """

        def work() -> dict[str, Any]:
            ids = chosen(ctx)
            among = None if ids is None else [ObjectId(each) for each in ids]
            done = revert(ctx.dataset, among, deletions=bool(ctx.params.get("deletions")))
            ctx.ops.notify(_sentence(done), variant="success")
            refresh(ctx)
            return done.as_json()

        return answer(ctx, work)

    def __call__(
        self,
        samples: "fo.Dataset | fo.DatasetView",
        *,
        selected: Sequence[str] | None = None,
        deletions: bool = False,
    ) -> Any:
        """Takes edits back from Python.

        Example::

            import fiftyone.operators as foo

            revert_to_tator = foo.get_operator("@tator/sync/revert_to_tator")
            revert_to_tator(dataset.match_tags("wrong"))

        Args:
            samples: a dataset, or a view of one
            selected (None): ids of samples; all of ``samples`` if None
            deletions (False): whether to take deletions back as well, with a whole dataset only; the next import
                brings those samples

        Returns:
            an :class:`fiftyone.operators.executor.ExecutionResult`; its ``result`` says what was done

        Raises:
            OperatorFailed: if it fails in a way that is explained
        """
        return call(self, samples, selected, deletions=deletions or None)


class RevertSample(RevertToTator):
    """The same, placed where one sample is open; an operator can be in one place only."""

    @property
    def config(self) -> foo.OperatorConfig:
        """The operator's configuration."""
        return foo.OperatorConfig(
            name="revert_sample",
            label="Revert this sample to Tator",
            icon="settings_backup_restore",
            unlisted=True,
            disable_schema_validation=True,
            view_target=False,
        )

    def resolve_placement(self, ctx: Any) -> Any:
        """A button at the open sample."""
        return placement(ctx, SAMPLE, "Revert to Tator", "settings_backup_restore")


def _sentence(done: Reverted) -> str:
    said = [f"{done.samples:,} {'sample is' if done.samples == 1 else 'samples are'} as Tator had them again."]
    if done.restored:
        said.append(f"The next import brings back {done.restored:,} that were deleted here.")
    said += [f"{group.count:,} left as they are: {why}." for why, group in done.left_out.groups.items()]
    return " ".join(said)
