"""``@tator/sync/find_suspicious``: labels that are probably wrong, samples that are there twice, and outliers."""

from collections.abc import Sequence
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
import fiftyone.operators.types as types

from fiftyone_tator.embeddings.label_options import FindOptions, parse_find_options
from fiftyone_tator.embeddings.suspicious import find
from fiftyone_tator.embeddings.vectors import fields_of
from fiftyone_tator.operators.embed_run import call, execute, field_of, samples_of
from fiftyone_tator.operators.form_parts import vector_field, which_samples
from fiftyone_tator.operators.hands import GRID
from fiftyone_tator.operators.label_form import label_params, more_field, none_field
from fiftyone_tator.operators.running import from_app
from fiftyone_tator.operators.suspicious_result import named, show_first, suspicious_page
from fiftyone_tator.sync.progress import Report

TITLE = "Find suspicious labels"


class FindSuspicious(foo.Operator):  # type: ignore[misc]
    """Ranks samples by how suspicious they are, saves a view of each kind, and opens the first."""

    @property
    def config(self) -> foo.OperatorConfig:
        """The operator's configuration."""
        return foo.OperatorConfig(
            name="find_suspicious",
            label="Find suspicious labels",
            description="Find labels that are probably wrong, near-duplicates and outliers, each as a saved view",
            icon="troubleshoot",
            dynamic=True,
            execute_as_generator=True,
            allow_immediate_execution=True,
            allow_delegated_execution=True,
            disable_schema_validation=True,
        )

    def resolve_placement(self, ctx: Any) -> Any:
        """A button above the grid, in datasets that have embeddings."""
        if ctx.dataset is None or not fields_of(ctx.dataset):
            return None
        return types.Placement(GRID, types.Button(label=TITLE, icon="troubleshoot", prompt=True))

    def resolve_input(self, ctx: Any) -> Any:
        """The form."""
        inputs = types.Object()
        if from_app(ctx) and vector_field(inputs, ctx) is not None:
            which_samples(inputs, ctx, "All that have a vector", narrow=False)
            inputs.float(
                "percent",
                default=5.0,
                min=0.1,
                max=100,
                label="Look at the worst, percent",
                description="Of the labels and of the outliers; of near-duplicates all are shown",
            )
            none_field(inputs, ctx)
            if more_field(inputs, ctx):
                inputs.str(
                    "prefix",
                    required=False,
                    label="Prefix of fields and views",
                    description="reef makes reef_outlier and reef: Outliers",
                )
        return types.Property(inputs, view=types.PromptView(label=TITLE, submit_button_label="Find"))

    def resolve_output(self, ctx: Any) -> Any:
        """The page that says what was found; none for the App, which was shown it already."""
        return suspicious_page(ctx.results) if ctx.results else None

    def resolve_run_name(self, ctx: Any) -> str:
        """How the run is called in lists of runs."""
        return f"Find suspicious labels of {ctx.dataset_name or ''}".strip()

    def execute(self, ctx: Any) -> Any:
        """Finds them.

        Args:
            ctx: the execution context; see :meth:`__call__` for its params

        Returns:
            :meth:`fiftyone_tator.embeddings.suspicious.SuspicionResult.as_json`, or a generator of messages for the App
        """

        def work(report: Report) -> dict[str, Any]:
            options = parse_find_options(label_params(ctx))
            said = options.model_dump(exclude={"field"}, exclude_unset=True)
            found = find(ctx.dataset, field_of(ctx), samples=samples_of(ctx, narrow=False), report=report, **said)
            return named(ctx.dataset, found.as_json(), options.label_field)

        return execute(ctx, TITLE, work, suspicious_page, lambda result: show_first(ctx, result))

    def __call__(
        self,
        dataset: fo.Dataset,
        *,
        view: "fo.DatasetView | None" = None,
        selected: Sequence[str] | None = None,
        field: str | None = None,
        label_field: str | None = None,
        unlabelled: Sequence[str] | None = None,
        fraction: float | None = None,
        percent: float | None = None,
        distance: float | None = None,
        prefix: str | None = None,
        delegate: bool = False,
    ) -> Any:
        """Finds them from Python.

        Example::

            import fiftyone.operators as foo

            found = foo.get_operator("@tator/sync/find_suspicious")(dataset, fraction=0.02).result

        Args:
            dataset: a dataset with embeddings
            view (None): a view of it, to look at its samples only
            selected (None): ids of samples, to look at those only
            field (None): the field of the vectors; the only one if None
            label_field (None): the field of the labels; ``ground_truth`` if None
            unlabelled (None): labels that stand for none; Tator's default, or words such as ``unknown``, if None; each
                label counts if empty
            fraction (None): what part of the samples to show as the worst; 0.05 if None
            percent (None): the same in percent, instead
            distance (None): by cosine, up to which two samples are near-duplicates
            prefix (None): how the names of fields and views begin: ``reef`` makes ``reef_outlier`` and
                ``reef: Outliers``
            delegate (False): whether to leave the work to a ``fiftyone delegated launch`` worker

        Returns:
            an :class:`fiftyone.operators.executor.ExecutionResult`; its ``result`` has counts and the names of the
            saved views

        Raises:
            OperatorFailed: if it fails in a way that is explained
        """
        options = {name: value for name, value in locals().items() if name in FindOptions.model_fields}
        return call(self, dataset, view=view, selected=selected, delegate=delegate, **options)
