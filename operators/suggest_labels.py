"""``@tator/sync/suggest_labels``: labels for samples without one, from those nearest to them that have one."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
import fiftyone.operators.types as types

from fiftyone_tator.embeddings.choosing import SECRET
from fiftyone_tator.embeddings.label_options import FIELDS, VOTERS, SuggestOptions, parse_suggest_options
from fiftyone_tator.embeddings.options import parse_embed_options
from fiftyone_tator.embeddings.remote import FastVSSEmbedder
from fiftyone_tator.embeddings.suggesting import Ask, suggest, suggest_by_service
from fiftyone_tator.operators.embed_result import line_page, suggestions_line
from fiftyone_tator.operators.embed_run import call, execute, field_of, samples_of
from fiftyone_tator.operators.embed_services import embedder_of
from fiftyone_tator.operators.form_parts import choice, vector_field, which_samples
from fiftyone_tator.operators.label_form import known_services, label_params, more_field, none_field, service_fields
from fiftyone_tator.operators.markdown import plain, reasons
from fiftyone_tator.operators.presets import embedding_layers
from fiftyone_tator.operators.running import from_app
from fiftyone_tator.sync.errors import InvalidOption
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
        if from_app(ctx) and _by(inputs, ctx):
            which_samples(inputs, ctx, "All that have no label")
            none_field(inputs, ctx)
            if more_field(inputs, ctx):
                _more(inputs)
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
            options = parse_suggest_options(label_params(ctx))
            said = options.model_dump(exclude={"field", "by", "service", "project"}, exclude_unset=True)
            if options.by == "field":
                return suggest(ctx.dataset, field_of(ctx), samples=samples_of(ctx), report=report, **said).as_json()
            ask = _asked(ctx, options)
            return suggest_by_service(ctx.dataset, ask, samples=samples_of(ctx), report=report, **said).as_json()

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
        by: str | None = None,
        service: str | None = None,
        project: str | None = None,
        k: int | None = None,
        label_field: str | None = None,
        unlabelled: Sequence[str] | None = None,
        fields: Sequence[str] | None = None,
        delegate: bool = False,
    ) -> Any:
        """Suggests labels from Python.

        Example::

            import fiftyone.operators as foo

            print(foo.get_operator("@tator/sync/suggest_labels")(dataset, k=15).result)

        Args:
            dataset: a dataset with some labels, and with embeddings unless a service is asked
            view (None): a view of it, to suggest labels for its samples only, also for those that have one
            selected (None): ids of samples, to suggest labels for those only
            field (None): the field of the vectors; the only one if None
            by (None): ``service`` to ask the labelled pictures that a Fast-VSS holds; the dataset's own ones if None
            service (None): the address of that Fast-VSS, one of those in the secret FASTVSS_API_URL; the first if None
            project (None): the service's project; its only one if None
            k (None): how many labelled neighbours vote on each sample; 15 if None
            label_field (None): the field of the labels; ``ground_truth`` if None
            unlabelled (None): labels that stand for none; Tator's default, or words such as ``unknown``, if None; each
                label counts if empty
            fields (None): where the best and the second best suggestion go; ``top1_prediction`` and
                ``top2_prediction`` if None
            delegate (False): whether to leave the work to a ``fiftyone delegated launch`` worker

        Returns:
            an :class:`fiftyone.operators.executor.ExecutionResult`; its ``result`` has counts, and how often such
            suggestions are right for samples whose label is known

        Raises:
            OperatorFailed: if it fails in a way that is explained
        """
        options = {name: value for name, value in locals().items() if name in SuggestOptions.model_fields}
        return call(self, dataset, view=view, selected=selected, delegate=delegate, **options)


def _by(inputs: types.Object, ctx: Any) -> bool:
    """The fields for who votes; False if nobody can."""
    if ctx.dataset is not None and known_services(ctx):
        choices: dict[str, tuple[str, str | None]] = {
            "field": ("The labelled samples of this dataset", "By their embeddings"),
            "service": ("The labelled pictures of a Fast-VSS", "It is sent the pictures"),
        }
        choice(inputs, "by", choices, "field", "Who is asked")
        if ctx.params.get("by") == "service":
            service_fields(inputs, ctx)
            return True
    return vector_field(inputs, ctx) is not None


def _more(inputs: types.Object) -> None:
    inputs.int("k", default=VOTERS, min=1, max=1000, label="Neighbours", description="So many vote on each sample")
    inputs.list(
        "fields",
        types.String(),
        view=types.AutocompleteView(multiple=True, allow_duplicates=False),
        default=list(FIELDS),
        label="Fields for the suggestions",
        description="Two: for the best, and for the second best; press enter after each",
    )


def _asked(ctx: Any, options: SuggestOptions) -> Ask:
    """What asks the service; pictures go to those in the secret, and no others."""
    layers = embedding_layers(ctx.dataset, options.model_dump(include={"service", "project"}, exclude_none=True))
    found = embedder_of(parse_embed_options(*layers), ctx.secrets)
    if not isinstance(found, FastVSSEmbedder):
        raise InvalidOption(
            "Only a Fast-VSS holds labelled pictures to ask for neighbours. Set its address in the secret "
            f"{SECRET} and name it (service), or suggest by the dataset's own labelled samples (by='field')."
        )
    return found.neighbours


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
