"""``@tator/sync/import_from_tator``: localizations of a Tator project as samples of a dataset."""

from collections.abc import Iterator, Sequence
from typing import Any

import fiftyone.operators as foo
from fiftyone.operators.executor import ExecutionError

from fiftyone_tator.operators import show_import_result
from fiftyone_tator.operators.import_form import form
from fiftyone_tator.operators.import_result import failure_page, result_page
from fiftyone_tator.operators.presets import layers
from fiftyone_tator.operators.running import OperatorFailed, from_app, run, stream, told
from fiftyone_tator.operators.servers import choose, connect
from fiftyone_tator.sync.importing import import_project
from fiftyone_tator.sync.options import parse_options
from fiftyone_tator.sync.progress import Report


class ImportFromTator(foo.Operator):  # type: ignore[misc]
    """Imports a project's localizations as crops, or brings a dataset up to date with Tator."""

    @property
    def config(self) -> foo.OperatorConfig:
        """The operator's configuration."""
        return foo.OperatorConfig(
            name="import_from_tator",
            label="Import from Tator",
            description="Import a Tator project's localizations as crops, or bring a dataset up to date",
            icon="cloud_download",
            dynamic=True,
            execute_as_generator=True,
            allow_immediate_execution=True,
            allow_delegated_execution=True,
            disable_schema_validation=True,
            view_target=False,
        )

    def resolve_input(self, ctx: Any) -> Any:
        """The form; see :mod:`fiftyone_tator.operators.import_form`."""
        return form(ctx)

    def resolve_output(self, ctx: Any) -> Any:
        """The page that says what came and what was left out; none for the App, which was shown it already."""
        return result_page(ctx.results) if ctx.results else None

    def resolve_run_name(self, ctx: Any) -> str:
        """How the run is called in lists of runs."""
        return f"Import {ctx.params.get('project', '')} from Tator".replace("  ", " ")

    def execute(self, ctx: Any) -> Any:
        """Imports.

        Args:
            ctx: the execution context; its params are the options of
                :class:`fiftyone_tator.sync.options.ImportOptions`, and ``config_file``

        Returns:
            :meth:`fiftyone_tator.sync.results.ImportResult.as_json`, or a generator of messages for the App
        """

        def work(report: Report) -> dict[str, Any]:
            options = parse_options(*layers(ctx.dataset, ctx.params))
            with connect(choose(ctx.secrets, options.server)) as client:
                return import_project(client, options, report=report).as_json()

        def done(result: dict[str, Any]) -> Iterator[Any]:
            yield ctx.trigger(show_import_result.URI, {"results": result})

        def failed(reason: str) -> Iterator[Any]:
            yield ctx.trigger("show_output", {"outputs": failure_page(reason).to_json(), "results": {}})

        return stream(ctx, work, done, failed) if from_app(ctx) else run(ctx, work)

    def __call__(
        self,
        project: int | str | None = None,
        *,
        server: str | None = None,
        versions: Sequence[int | str] | None = None,
        types: Sequence[int | str] | None = None,
        label_attribute: str | None = None,
        include_classes: Sequence[str] | None = None,
        image_extensions: Sequence[str] | None = None,
        max_samples: int | None = None,
        crop_size: int | None = None,
        padding: float | None = None,
        crop_format: str | None = None,
        dataset_name: str | None = None,
        compare: str | None = None,
        rebuild: bool | None = None,
        config_file: str | None = None,
        delegate: bool = False,
    ) -> Any:
        """Imports from Python.

        Example::

            import fiftyone.operators as foo

            import_from_tator = foo.get_operator("@tator/sync/import_from_tator")
            import_from_tator(project=4, versions=["Baseline"])

        Args:
            project (None): the project, by id or name
            server (None): the address of the server, one of those in the secrets
            versions (None): versions by name or id; all if None
            types (None): localization types by name or id; the box types if None
            label_attribute (None): the attribute that becomes the label
            include_classes (None): labels to import; all if None
            image_extensions (None): extensions of media names to import; all if None
            max_samples (None): import at most so many
            crop_size (None): longest side of a crop in pixels; 256 if None
            padding (None): what to show around, as a fraction of the size on each side; 0 if None
            crop_format (None): ``jpg`` (if None) or ``png``
            dataset_name (None): the dataset's name; ``tator_project_{id}`` if None
            compare (None): how to look for changes: ``auto`` (if None), ``changes`` or ``full``
            rebuild (None): whether to find out anew what was agreed on with Tator, for a copy of a dataset
            config_file (None): a YAML or JSON file with any of these options
            delegate (False): whether to leave the work to a ``fiftyone delegated launch`` worker

        Returns:
            an :class:`fiftyone.operators.executor.ExecutionResult`; its ``result`` says what was done

        Raises:
            OperatorFailed: if the import fails in a way that is explained; the message says why and what to do
        """
        given = {key: value for key, value in locals().items() if key not in ("self", "delegate")}
        params = {key: _plain(value) for key, value in given.items() if value is not None}
        try:
            return foo.execute_operator(self.uri, ctx={"request_delegation": delegate, "params": params})
        except ExecutionError as error:
            reason = told(error)
            if reason is None:
                raise
        raise OperatorFailed(reason)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (tuple, set, frozenset)) else value
