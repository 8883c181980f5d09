"""``@tator/sync/visualize_embeddings``: a 2-D map of vectors that are there, by any method."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
import fiftyone.operators.types as types

from fiftyone_tator.embeddings.maps import visualize
from fiftyone_tator.embeddings.options import MapOptions
from fiftyone_tator.embeddings.reducing import PARAMETERS
from fiftyone_tator.operators.embed_form import best_map, map_field
from fiftyone_tator.operators.embed_result import line_page, map_line
from fiftyone_tator.operators.embed_run import call, execute, field_of, said, samples_of, show_map
from fiftyone_tator.operators.form_parts import vector_field, which_samples
from fiftyone_tator.operators.running import from_app
from fiftyone_tator.sync.options import checked
from fiftyone_tator.sync.progress import Report

TITLE = "Visualize embeddings"
_PARAMETERS = frozenset(name for parameters in PARAMETERS.values() for name in parameters.model_fields)


class VisualizeEmbeddings(foo.Operator):  # type: ignore[misc]
    """Makes a map of vectors anew."""

    @property
    def config(self) -> foo.OperatorConfig:
        """The operator's configuration."""
        return foo.OperatorConfig(
            name="visualize_embeddings",
            label="Visualize embeddings",
            description="Make a 2-D map of embeddings by UMAP, t-SNE or PCA, and open it",
            icon="bubble_chart",
            dynamic=True,
            execute_as_generator=True,
            allow_immediate_execution=True,
            allow_delegated_execution=True,
            disable_schema_validation=True,
        )

    def resolve_input(self, ctx: Any) -> Any:
        """The form."""
        inputs = types.Object()
        field = vector_field(inputs, ctx) if from_app(ctx) else None
        if field is not None:
            _fields(inputs, ctx, field)
        return types.Property(inputs, view=types.PromptView(label=TITLE, submit_button_label="Visualize"))

    def resolve_output(self, ctx: Any) -> Any:
        """The page that says what was made; none for the App, which was shown it already."""
        return _page(ctx.results) if ctx.results else None

    def resolve_run_name(self, ctx: Any) -> str:
        """How the run is called in lists of runs."""
        return f"Visualize embeddings of {ctx.dataset_name or ''}".strip()

    def execute(self, ctx: Any) -> Any:
        """Makes the map.

        Args:
            ctx: the execution context; see :meth:`__call__` for its params

        Returns:
            :meth:`fiftyone_tator.embeddings.maps.MapResult.as_json`, or a generator of messages for the App
        """

        def work(report: Report) -> dict[str, Any]:
            params = said(ctx.params)
            # The form has one place for each parameter, and keeps those of a method that was chosen before.
            filled = {name: params.pop(name) for name in _PARAMETERS if name in params}
            options = checked(MapOptions, (TITLE, {"method": best_map(), **params}))
            mine = {name: value for name, value in filled.items() if name in PARAMETERS[options.method].model_fields}
            made = visualize(
                ctx.dataset,
                field_of(ctx),
                method=options.method,
                brain_key=options.brain_key,
                seed=options.seed,
                parameters={**mine, **options.parameters},
                samples=samples_of(ctx, narrow=False),
                report=report,
            )
            return made.as_json()

        def shown(result: dict[str, Any]) -> Iterator[Any]:
            yield ctx.trigger("reload_dataset")
            yield show_map(ctx, result["key"])

        return execute(ctx, TITLE, work, _page, shown)

    def __call__(
        self,
        dataset: fo.Dataset,
        *,
        view: "fo.DatasetView | None" = None,
        selected: Sequence[str] | None = None,
        field: str | None = None,
        method: str | None = None,
        brain_key: str | None = None,
        seed: int | None = None,
        parameters: Mapping[str, Any] | None = None,
        delegate: bool = False,
    ) -> Any:
        """Makes a map from Python.

        Example::

            import fiftyone.operators as foo

            foo.get_operator("@tator/sync/visualize_embeddings")(dataset, method="tsne", parameters={"perplexity": 40})

        Args:
            dataset: a dataset with embeddings
            view (None): a view of it, to show only its samples
            selected (None): ids of samples, to show only those
            field (None): the field of the vectors; the only one if None
            method (None): ``umap``, ``tsne`` or ``pca``; UMAP if None and it is installed, else PCA
            brain_key (None): how the map's key begins, before ``_umap`` and so on; the field's name if None
            seed (None): of what is random; 51 if None
            parameters (None): of the method: ``num_neighbors``, ``min_dist`` and ``metric`` of UMAP; ``perplexity``,
                ``learning_rate``, ``max_iters`` and ``pca_dims`` of t-SNE; ``svd_solver`` of PCA
            delegate (False): whether to leave the work to a ``fiftyone delegated launch`` worker

        Returns:
            an :class:`fiftyone.operators.executor.ExecutionResult`; its ``result`` names the map's ``key``

        Raises:
            OperatorFailed: if it fails in a way that is explained
        """
        options = {"field": field, "method": method, "brain_key": brain_key, "seed": seed}
        # What is no mapping is told by the operator, in words.
        further = dict(parameters) if isinstance(parameters, Mapping) else parameters
        return call(self, dataset, view=view, selected=selected, delegate=delegate, parameters=further, **options)


def _fields(inputs: types.Object, ctx: Any, field: str) -> None:
    method = map_field(inputs, "method", ctx.params.get("method"))
    which_samples(inputs, ctx, "All samples that have a vector", narrow=False)
    third = types.View(space=4)
    if method == "umap":
        inputs.int("num_neighbors", default=15, min=2, max=1000, label="Neighbours", view=third)
        inputs.float("min_dist", default=0.1, min=0, max=1, label="Least distance", view=third)
    if method == "tsne":
        inputs.float("perplexity", default=30.0, min=1, max=1000, label="Perplexity", view=third)
    if method != "pca":
        inputs.int("seed", default=51, min=0, max=2**32 - 1, label="Seed", view=third)
    key = ctx.params.get("brain_key") or field
    inputs.str(
        "brain_key",
        required=False,
        label="Name of the map",
        description=f"Its key is {key}_{method}; one that is there is made anew",
        view=types.View(placeholder=field),
    )


def _page(result: Mapping[str, Any]) -> types.Property:
    return line_page("Embeddings visualized", f"The map {result['key']} is ready", [map_line(result)])
