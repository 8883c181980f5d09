"""``@tator/sync/push_to_tator``: what was edited in a dataset goes to Tator."""

from collections.abc import Iterator, Sequence
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
from fiftyone.operators.constants import ViewTarget
from fiftyone.operators.executor import ExecutionError

from fiftyone_tator.operators.hands import GRID, placement
from fiftyone_tator.operators.push_form import form
from fiftyone_tator.operators.push_result import failure_page, result_page
from fiftyone_tator.operators.push_target import push_params, server_of, target_samples
from fiftyone_tator.operators.running import OperatorFailed, from_app, run, stream, told
from fiftyone_tator.operators.servers import connect
from fiftyone_tator.sync.progress import Report
from fiftyone_tator.sync.push_options import parse_push_options
from fiftyone_tator.sync.pushing import push_to_tator


class PushToTator(foo.Operator):  # type: ignore[misc]
    """Writes to Tator what was edited in a dataset, a view or a selection, and nothing else."""

    @property
    def config(self) -> foo.OperatorConfig:
        """The operator's configuration."""
        return foo.OperatorConfig(
            name="push_to_tator",
            label="Push to Tator",
            description="Write the edits of this dataset to Tator, after a look at what would change",
            icon="cloud_upload",
            dynamic=True,
            execute_as_generator=True,
            allow_immediate_execution=True,
            allow_delegated_execution=True,
            disable_schema_validation=True,
        )

    def resolve_placement(self, ctx: Any) -> Any:
        """A button above the grid."""
        return placement(ctx, GRID, "Push to Tator", "cloud_upload")

    def resolve_input(self, ctx: Any) -> Any:
        """The form; see :mod:`fiftyone_tator.operators.push_form`."""
        return form(ctx)

    def resolve_output(self, ctx: Any) -> Any:
        """The page that says what was done; none for the App, which was shown it already."""
        return result_page(ctx.results) if ctx.results else None

    def resolve_run_name(self, ctx: Any) -> str:
        """How the run is called in lists of runs."""
        return f"Push {ctx.dataset_name or ''} to Tator".replace("  ", " ")

    def execute(self, ctx: Any) -> Any:
        """Pushes.

        Args:
            ctx: the execution context; its params are the options of
                :class:`fiftyone_tator.sync.push_options.PushOptions`, its view target says which samples are meant

        Returns:
            :meth:`fiftyone_tator.sync.push_results.PushResult.as_json`, or a generator of messages for the App
        """

        def work(report: Report) -> dict[str, Any]:
            server = server_of(ctx, ctx.params.get("server"))
            samples = target_samples(ctx)
            options = parse_push_options(push_params(ctx.params, whole=samples is None))
            with connect(server) as client:
                return push_to_tator(client, ctx.dataset, options, samples=samples, report=report).as_json()

        def done(result: dict[str, Any]) -> Iterator[Any]:
            if not result["dry_run"]:
                yield ctx.trigger("reload_samples")
            yield ctx.trigger("show_output", {"outputs": result_page(result).to_json(), "results": {}})

        def failed(reason: str) -> Iterator[Any]:
            yield ctx.trigger("show_output", {"outputs": failure_page(reason).to_json(), "results": {}})

        return stream(ctx, work, done, failed) if from_app(ctx) else run(ctx, work)

    def __call__(
        self,
        dataset: fo.Dataset,
        *,
        view: "fo.DatasetView | None" = None,
        selected: Sequence[str] | None = None,
        conflicts: str | None = None,
        deletions: bool | None = None,
        version: int | str | None = None,
        history: str | None = None,
        fields: Sequence[str] | None = None,
        dry_run: bool | None = None,
        everything: bool | None = None,
        server: str | None = None,
        delegate: bool = False,
    ) -> Any:
        """Pushes from Python.

        Example::

            import fiftyone.operators as foo

            push_to_tator = foo.get_operator("@tator/sync/push_to_tator")
            print(push_to_tator(dataset, dry_run=True).result)

        Args:
            dataset: a dataset that was imported from Tator
            view (None): a view of it, to push only its samples
            selected (None): ids of samples, to push only those
            conflicts (None): what to do where both sides changed a value: ``leave`` it to a person (if None), or take
                ``ours`` or ``theirs``; a sample's tag ``tator:ours`` or ``tator:theirs`` decides for itself
            deletions (None): whether to delete in Tator what was deleted here; only with the whole dataset
            version (None): another version to write to, by name or id, as a proposal; each localization's own if None
            history (None): ``keep`` (if None) makes each change a new mark, ``in_place`` changes marks where that is
                faster, and loses who had set the earlier values and when
            fields (None): what travels: ``label``, ``confidence``, ``geometry``, and names of fields or attributes; all
                if None
            dry_run (None): whether only to say what would be done
            everything (None): whether to look at every sample, not only at those that somebody touched
            server (None): the address of the server, one of those in the secrets; the dataset's own if None
            delegate (False): whether to leave the work to a ``fiftyone delegated launch`` worker

        Returns:
            an :class:`fiftyone.operators.executor.ExecutionResult`; its ``result`` has counts, and a list of
            ``failures`` with the reason of each

        Raises:
            OperatorFailed: if the push fails in a way that is explained; the message says why and what to do
        """
        if deletions and (view is not None or selected is not None):
            raise OperatorFailed(
                "Deletions travel with the whole dataset only, because a sample that is gone is in no view and no "
                "selection. Leave view and selected out, or deletions."
            )
        options = {
            "conflicts": conflicts,
            "deletions": deletions,
            "version": version,
            "history": history,
            "fields": None if fields is None else list(fields),
            "dry_run": dry_run,
            "everything": everything,
            "server": server,
        }
        ctx = {
            "dataset": dataset,
            "view": view,
            "selected": list(selected or ()),
            "view_target": _target(view, selected),
            "request_delegation": delegate,
            "params": {name: value for name, value in options.items() if value is not None},
        }
        try:
            return foo.execute_operator(self.uri, ctx=ctx)
        except ExecutionError as error:
            reason = told(error)
            if reason is None:
                raise
        raise OperatorFailed(reason)


def _target(view: Any, selected: Sequence[str] | None) -> str:
    if selected is not None:
        return str(ViewTarget.SELECTED_SAMPLES)
    return str(ViewTarget.DATASET if view is None else ViewTarget.CURRENT_VIEW)
