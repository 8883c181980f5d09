"""``@tator/sync/compute_similarity``: an index of vectors, by which the App sorts samples by similarity."""

import importlib.util
from collections.abc import Iterator, Mapping
from typing import Any

import fiftyone as fo
import fiftyone.brain as fob
import fiftyone.operators as foo
import fiftyone.operators.types as types

from fiftyone_tator.embeddings.options import IndexOptions
from fiftyone_tator.embeddings.similarity import index
from fiftyone_tator.operators.embed_result import SORTING, line_page, similarity_line
from fiftyone_tator.operators.embed_run import call, execute, field_of, said
from fiftyone_tator.operators.form_parts import choice, vector_field
from fiftyone_tator.operators.running import from_app
from fiftyone_tator.sync.options import checked
from fiftyone_tator.sync.progress import Report

TITLE = "Compute similarity"
_AUTOMATIC = "automatic"
_BACKENDS = {
    _AUTOMATIC: ("Automatic", "In memory, or LanceDB where the vectors outgrow it"),
    "sklearn": ("In memory", "FiftyOne's own; reads all vectors when it is first used"),
    "lancedb": ("LanceDB", "A vector database in a folder, on disk"),
    "qdrant": ("Qdrant", "The server that FiftyOne's brain config names"),
    "pgvector": ("PostgreSQL with pgvector", "The server that FiftyOne's brain config names"),
    "mongodb": ("MongoDB Atlas", "The deployment that holds this dataset"),
}


class ComputeSimilarity(foo.Operator):  # type: ignore[misc]
    """Makes a similarity index of vectors that are there."""

    @property
    def config(self) -> foo.OperatorConfig:
        """The operator's configuration."""
        return foo.OperatorConfig(
            name="compute_similarity",
            label="Compute similarity",
            description="Index embeddings, so that the App can sort samples by similarity",
            icon="join_inner",
            dynamic=True,
            execute_as_generator=True,
            allow_immediate_execution=True,
            allow_delegated_execution=True,
            disable_schema_validation=True,
            view_target=False,
        )

    def resolve_input(self, ctx: Any) -> Any:
        """The form."""
        inputs = types.Object()
        field = vector_field(inputs, ctx) if from_app(ctx) else None
        if field is not None:
            choice(inputs, "backend", _there(), _AUTOMATIC, "Where the index is")
            inputs.str(
                "brain_key",
                required=False,
                label="Name of the index",
                description="One of that name is made anew",
                view=types.View(placeholder=field),
            )
        return types.Property(inputs, view=types.PromptView(label=TITLE, submit_button_label="Compute"))

    def resolve_output(self, ctx: Any) -> Any:
        """The page that says what was made; none for the App, which was shown it already."""
        return _page(ctx.results) if ctx.results else None

    def resolve_run_name(self, ctx: Any) -> str:
        """How the run is called in lists of runs."""
        return f"Compute similarity of {ctx.dataset_name or ''}".strip()

    def execute(self, ctx: Any) -> Any:
        """Makes the index.

        Args:
            ctx: the execution context; see :meth:`__call__` for its params

        Returns:
            :meth:`fiftyone_tator.embeddings.similarity.SimilarityResult.as_json`, or a generator of messages for the
            App
        """

        def work(report: Report) -> dict[str, Any]:
            params = said(ctx.params)
            if params.get("backend") == _AUTOMATIC:
                del params["backend"]
            options = checked(IndexOptions, (TITLE, params)).model_dump(exclude={"field"})
            return index(ctx.dataset, field_of(ctx), report=report, **options).as_json()

        def shown(result: dict[str, Any]) -> Iterator[Any]:
            yield ctx.trigger("reload_dataset")

        return execute(ctx, TITLE, work, _page, shown)

    def __call__(
        self,
        dataset: fo.Dataset,
        *,
        field: str | None = None,
        backend: str | None = None,
        brain_key: str | None = None,
        metric: str | None = None,
        delegate: bool = False,
    ) -> Any:
        """Makes an index from Python.

        Example::

            import fiftyone.operators as foo

            key = foo.get_operator("@tator/sync/compute_similarity")(dataset).result["key"]
            nearest = dataset.sort_by_similarity(dataset.first().id, k=20, brain_key=key)

        Args:
            dataset: a dataset with embeddings
            field (None): the field of the vectors; the only one if None
            backend (None): ``sklearn``, ``lancedb``, or one that FiftyOne's brain config names, such as ``qdrant``,
                ``pgvector`` or ``mongodb``; what suits the size if None
            brain_key (None): the index's key; made of the field's name if None
            metric (None): ``cosine`` if None, or what the backend knows
            delegate (False): whether to leave the work to a ``fiftyone delegated launch`` worker

        Returns:
            an :class:`fiftyone.operators.executor.ExecutionResult`; its ``result`` names the index's ``key``

        Raises:
            OperatorFailed: if it fails in a way that is explained
        """
        return call(self, dataset, delegate=delegate, field=field, backend=backend, brain_key=brain_key, metric=metric)


def _there() -> dict[str, tuple[str, str | None]]:
    """The backends that can be used here: FiftyOne's own, LanceDB if it is installed, servers that are configured."""
    configured = {
        name for name, settings in fob.brain_config.similarity_backends.items() if set(settings) - {"config_cls"}
    }
    found = {_AUTOMATIC, "sklearn", *configured}
    if importlib.util.find_spec("lancedb") is not None:
        found.add("lancedb")
    return {name: shown for name, shown in _BACKENDS.items() if name in found}


def _page(result: Mapping[str, Any]) -> types.Property:
    lines = [similarity_line(result), SORTING]
    return line_page("Similarity computed", f"The index {result['key']} is ready", lines)
