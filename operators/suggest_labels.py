"""``@tator/sync/suggest_labels``: labels for samples without one, from those nearest to them that have one."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
import fiftyone.operators.types as types

from fiftyone_tator.embeddings.suggesting import VOTERS, suggest
from fiftyone_tator.operators.embed_result import line_page, suggestions_line
from fiftyone_tator.operators.embed_run import call, execute, field_of, said, samples_of
from fiftyone_tator.operators.form_parts import vector_field, which_samples
from fiftyone_tator.operators.markdown import plain, reasons
from fiftyone_tator.operators.running import from_app
from fiftyone_tator.sync.progress import Report

TITLE = "Suggest labels"


class SuggestLabels(foo.Operator):  # type: ignore[misc]
    """Writes the two likeliest labels of samples into fields of their own, with how sure they are."""

    @property
    def config(self) -> foo.OperatorConfig:
        """The operator's configuration."""
        return foo.OperatorConfig(
            name="suggest_labels",
            label="Suggest labels",
            description="Suggest labels by the nearest labelled samples, into top1_prediction and top2_prediction",
            icon="lightbulb",
            dynamic=True,
            execute_as_generator=True,
            allow_immediate_execution=True,
            allow_delegated_execution=True,
            disable_schema_validation=True,
        )

    def resolve_input(self, ctx: Any) -> Any:
        """The form."""
        inputs = types.Object()
        if from_app(ctx) and vector_field(inputs, ctx) is not None:
            which_samples(inputs, ctx, "All that have a vector and no label")
            inputs.int(
                "k", default=VOTERS, min=1, max=1000, label="Neighbours", description="So many vote on each sample"
            )
            view = types.AutocompleteView(multiple=True, allow_duplicates=False)
            inputs.list(
                "unlabelled",
                types.String(),
                view=view,
                required=False,
                label="Labels that stand for none",
                description="For example unknown; press enter after each",
            )
        return types.Property(inputs, view=types.PromptView(label=TITLE, submit_button_label="Suggest"))

    def resolve_output(self, ctx: Any) -> Any:
        """The page that says what was suggested; none for the App, which was shown it already."""
        return _page(ctx.results) if ctx.results else None

    def resolve_run_name(self, ctx: Any) -> str:
        """How the run is called in lists of runs."""
        return f"Suggest labels for {ctx.dataset_name or ''}".strip()

    def execute(self, ctx: Any) -> Any:
        """Suggests labels.

        Args:
            ctx: the execution context; see :meth:`__call__` for its params

        Returns:
            :meth:`fiftyone_tator.embeddings.suggesting.SuggestionResult.as_json`, or a generator of messages for the
            App
        """

        def work(report: Report) -> dict[str, Any]:
            params = said(ctx.params)
            options = {name: params[name] for name in ("k", "label_field", "unlabelled") if name in params}
            return suggest(ctx.dataset, field_of(ctx), samples=samples_of(ctx), report=report, **options).as_json()

        def shown(result: dict[str, Any]) -> Iterator[Any]:
            yield ctx.trigger("reload_dataset")

        return execute(ctx, TITLE, work, _page, shown)

    def __call__(
        self,
        dataset: fo.Dataset,
        *,
        view: "fo.DatasetView | None" = None,
        selected: Sequence[str] | None = None,
        field: str | None = None,
        k: int | None = None,
        label_field: str | None = None,
        unlabelled: Sequence[str] | None = None,
        delegate: bool = False,
    ) -> Any:
        """Suggests labels from Python.

        Example::

            import fiftyone.operators as foo

            print(foo.get_operator("@tator/sync/suggest_labels")(dataset, k=15).result)

        Args:
            dataset: a dataset with embeddings and some labels
            view (None): a view of it, to suggest labels for its samples only, also for those that have one
            selected (None): ids of samples, to suggest labels for those only
            field (None): the field of the vectors; the only one if None
            k (None): how many labelled neighbours vote on each sample; 15 if None
            label_field (None): the field of the labels; ``ground_truth`` if None
            unlabelled (None): labels that stand for none, for example ``["unknown"]``
            delegate (False): whether to leave the work to a ``fiftyone delegated launch`` worker

        Returns:
            an :class:`fiftyone.operators.executor.ExecutionResult`; its ``result`` has counts, and how often such
            suggestions are right for samples whose label is known

        Raises:
            OperatorFailed: if it fails in a way that is explained
        """
        none = None if unlabelled is None else list(unlabelled)
        options = {"field": field, "k": k, "label_field": label_field, "unlabelled": none}
        return call(self, dataset, view=view, selected=selected, delegate=delegate, **options)


def _page(result: Mapping[str, Any]) -> types.Property:
    lines = [
        suggestions_line(result),
        "Sort by the confidence of the first, select those that are right, and relabel them",
    ]
    lines += [plain(each) for each in result["notes"]]
    return line_page(
        "Labels suggested",
        f"The suggestions are in {' and '.join(result['fields'])}",
        lines,
        reasons("Without a suggestion", result["left_out"]),
    )
