"""``@tator/sync/compute_fastvss_embeddings``: vectors for the pictures of a dataset, and what can be made of them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo

from fiftyone_tator.embeddings.computing import compute
from fiftyone_tator.embeddings.making import make, note_stale
from fiftyone_tator.embeddings.options import OF_SERVICES, EmbedOptions, on_this_machine, parse_embed_options
from fiftyone_tator.operators.embed_form import NO_MAP, TITLE, form
from fiftyone_tator.operators.embed_result import embedded_page
from fiftyone_tator.operators.embed_run import call, execute, said, samples_of, show_map
from fiftyone_tator.operators.embed_services import embedder_of
from fiftyone_tator.operators.presets import LOADED, embedding_layers
from fiftyone_tator.operators.running import OperatorFailed, explain, from_app
from fiftyone_tator.sync.errors import InvalidOption
from fiftyone_tator.sync.progress import Progress, Report


class ComputeFastVSSEmbeddings(foo.Operator):  # type: ignore[misc]
    """Embeds the pictures of a dataset, a view or a selection, by a Fast-VSS or by what this machine has."""

    @property
    def config(self) -> foo.OperatorConfig:
        """The operator's configuration."""
        return foo.OperatorConfig(
            name="compute_fastvss_embeddings",
            label="Compute embeddings (Fast-VSS)",
            description="Embed the pictures of this dataset; make a map, a similarity index, suggestions of labels",
            icon="scatter_plot",
            dynamic=True,
            execute_as_generator=True,
            allow_immediate_execution=True,
            allow_delegated_execution=True,
            disable_schema_validation=True,
        )

    def resolve_input(self, ctx: Any) -> Any:
        """The form; see :mod:`fiftyone_tator.operators.embed_form`."""
        return form(ctx)

    def resolve_output(self, ctx: Any) -> Any:
        """The page that says what was done; none for the App, which was shown it already."""
        return embedded_page(ctx.results) if ctx.results else None

    def resolve_run_name(self, ctx: Any) -> str:
        """How the run is called in lists of runs."""
        return f"Compute embeddings of {ctx.dataset_name or ''}".strip()

    def execute(self, ctx: Any) -> Any:
        """Embeds.

        Args:
            ctx: the execution context; its params are the options of
                :class:`fiftyone_tator.embeddings.options.EmbedOptions`, its view target says which samples are meant

        Returns:
            :meth:`fiftyone_tator.embeddings.computing.EmbedResult.as_json` what was made of it as
            ``made``, and which maps and indexes are older as ``notes``; or a generator of messages for the App
        """

        def work(report: Report) -> dict[str, Any]:
            samples = samples_of(ctx)
            options = _options(ctx)
            share = 0.7 if options.map or options.similarity or options.suggestions else 1.0
            embedder = embedder_of(options, ctx.secrets)
            begun = datetime.now(timezone.utc)
            done = compute(embedder, ctx.dataset, options, samples=samples, report=_part(report, 0.0, share))
            made = make(ctx.dataset, done.field, options, samples=samples, report=_part(report, share, 1.0))
            notes = note_stale(ctx.dataset, done.field, since=begun, in_app=from_app(ctx)) if done.embedded else []
            return {**done.as_json(), "made": made, "notes": notes}

        def shown(result: dict[str, Any]) -> Iterator[Any]:
            yield ctx.trigger("reload_dataset")
            key = result["made"].get("map", {}).get("key")
            if key:
                yield show_map(ctx, key)

        return execute(ctx, TITLE, work, embedded_page, shown)

    def __call__(
        self,
        dataset: fo.Dataset,
        *,
        view: "fo.DatasetView | None" = None,
        selected: Sequence[str] | None = None,
        service: str | None = None,
        project: str | None = None,
        field: str | None = None,
        everything: bool | None = None,
        batch_size: int | None = None,
        in_flight: int | None = None,
        path: str | None = None,
        map: str | None = None,
        similarity: bool | None = None,
        suggestions: bool | None = None,
        brain_key: str | None = None,
        seed: int | None = None,
        delegate: bool = False,
    ) -> Any:
        """Embeds from Python.

        Example::

            import fiftyone.operators as foo

            compute = foo.get_operator("@tator/sync/compute_fastvss_embeddings")
            compute(dataset, project="reef", map="umap", similarity=True)

        Args:
            dataset: any dataset of pictures
            view (None): a view of it, to embed only its samples
            selected (None): ids of samples, to embed only those
            service (None): the address of a Fast-VSS, one of those in the secret FASTVSS_API_URL; or ``local``,
                ``descriptor``, ``zoo`` or ``zoo:{model}`` for this machine; the first one in the secret if None, and
                ``local`` if the secret is not set
            project (None): the service's project, which chooses the model; its only one if None
            field (None): where the vectors go; ``fastvss``, ``zoo`` or ``descriptor`` if None, by what makes them
            everything (None): whether to embed samples again that have a vector
            batch_size (None): pictures a call; 32 if None
            in_flight (None): calls at a time; 3 if None
            path (None): of the call that embeds; ``/embed/{project}`` if None
            map (None): the method of the 2-D map to make: ``umap``, ``tsne`` or ``pca``; no map if None
            similarity (None): whether to make a similarity index
            suggestions (None): whether to suggest labels
            brain_key (None): how the keys of map and index begin; the field's name if None
            seed (None): of what is random in a map; 51 if None
            delegate (False): whether to leave the work to a ``fiftyone delegated launch`` worker

        Returns:
            an :class:`fiftyone.operators.executor.ExecutionResult`; its ``result`` has counts, ``failures`` with the
            reason of each, what was ``made``, and ``notes`` on maps and indexes that are older than the vectors

        Raises:
            OperatorFailed: if it fails in a way that is explained; the message says why and what to do
        """
        options = {name: value for name, value in locals().items() if name in EmbedOptions.model_fields}
        try:
            # Before they are kept with a delegated run.
            parse_embed_options(("The operator's parameters", {"service": service}))
        except InvalidOption as error:
            raise OperatorFailed(explain(error)) from None
        return call(self, dataset, view=view, selected=selected, delegate=delegate, **options)


def _options(ctx: Any) -> EmbedOptions:
    # "No map" is a choice of the form that outdoes a preset, which an empty value would not.
    layers = embedding_layers(ctx.dataset, said(ctx.params))
    if layers[-1][1].get("map") == NO_MAP:
        layers = [(origin, {key: value for key, value in layer.items() if key != "map"}) for origin, layer in layers]
    origin, params = layers[-1]
    by_form = any(name.startswith(LOADED) for name in ctx.params)
    if by_form and on_this_machine(str(params.get("service"))):
        # Fields that the form shows no more may still hold what somebody chose there.
        layers[-1] = (origin, {name: value for name, value in params.items() if name not in OF_SERVICES})
    return parse_embed_options(*layers)


def _part(report: Report, start: float, end: float) -> Report:
    """Reports a part of the work as that part of the whole."""

    def told(progress: Progress) -> None:
        report(replace(progress, fraction=start + (end - start) * progress.fraction))

    return told
