"""What the operators for embeddings share: how they run for each caller, and what their parameters are."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
import fiftyone.operators.types as types
from bson import ObjectId
from fiftyone.operators.constants import ViewTarget
from fiftyone.operators.executor import ExecutionError

from fiftyone_tator.embeddings.errors import NoEmbeddings, NothingToEmbed
from fiftyone_tator.embeddings.vectors import fields_of
from fiftyone_tator.operators.presets import LOADED
from fiftyone_tator.operators.push_target import SHOWN, target_samples
from fiftyone_tator.operators.running import OperatorFailed, Work, from_app, run, stream, told

SHOW_MAP = "@tator/sync/show_map"
"""Opens the Embeddings panel on a map; in ``app/operators.js``."""
LABELS = "ground_truth"
"""Where an import keeps the labels."""
_FORM_ONLY = frozenset({"more", "view_target", "closed", "blocked"})


def said(params: Mapping[str, Any]) -> dict[str, Any]:
    """What somebody said, without the form's own parameters and without what is empty.

    Args:
        params: the operator's parameters
    """
    return {
        name: value
        for name, value in params.items()
        if name not in _FORM_ONLY and not name.startswith((LOADED, SHOWN)) and value not in (None, "", [])
    }


def samples_of(ctx: Any, *, narrow: bool = True) -> list[ObjectId] | None:
    """The samples that are meant, each once.

    Args:
        ctx: the execution context
        narrow: whether a selection or a view in the App is meant if nobody chose

    Returns:
        their ids; None for the whole dataset

    Raises:
        InvalidOption: if something was selected that is no id
        NothingToEmbed: if no dataset is open
    """
    if ctx.dataset is None:
        raise NothingToEmbed("No dataset is open. Open one, or name it.")
    if not narrow and from_app(ctx) and ctx.request_params.get("view_target") is None:
        return None
    found = target_samples(ctx)
    return None if found is None else list(dict.fromkeys(found))


def field_of(ctx: Any) -> str:
    """The field of vectors that is meant.

    Args:
        ctx: the execution context

    Raises:
        NothingToEmbed: if no dataset is open
        NoEmbeddings: if none was named, and there is none or several
    """
    if ctx.dataset is None:
        raise NothingToEmbed("No dataset is open. Open one, or name it.")
    ctx.dataset.reload()
    if ctx.params.get("field"):
        return str(ctx.params["field"])
    known = list(fields_of(ctx.dataset))
    if len(known) != 1:
        there = f"has embeddings in several fields: {', '.join(known)}. Name one" if known else "has no embeddings"
        way = "" if known else ". Compute them first (compute_fastvss_embeddings)"
        raise NoEmbeddings(f"Dataset {ctx.dataset.name!r} {there}{way}.")
    return known[0]


def page(title: str, fill: Callable[[types.Object], None]) -> types.Property:
    """A page that ends an operator.

    Args:
        title: above it
        fill: puts something on it
    """
    outputs = types.Object()
    fill(outputs)
    return types.Property(outputs, view=types.View(label=title))


def execute(
    ctx: Any,
    title: str,
    work: Work,
    result_page: Callable[[dict[str, Any]], types.Property],
    shown: Callable[[dict[str, Any]], Iterator[Any]],
) -> Any:
    """Runs an operator for whoever called it.

    Args:
        ctx: the execution context
        title: above the page that says why it stopped
        work: the work
        result_page: the page that says what was done
        shown: the messages that make the App show what was made, besides the page

    Returns:
        the work's result, or a generator of messages for the App
    """

    def show(found: types.Property) -> Any:
        return ctx.trigger("show_output", {"outputs": found.to_json(), "results": {}})

    def done(result: dict[str, Any]) -> Iterator[Any]:
        yield from shown(result)
        yield show(result_page(result))

    def failed(reason: str) -> Iterator[Any]:
        error = types.Error(label=f"{title} stopped", description=reason)
        yield show(page(title, lambda outputs: outputs.view("reason", error)))

    return stream(ctx, work, done, failed) if from_app(ctx) else run(ctx, work)


def call(
    operator: Any,
    dataset: fo.Dataset,
    *,
    view: "fo.DatasetView | None" = None,
    selected: Sequence[str] | None = None,
    delegate: bool = False,
    **params: Any,
) -> Any:
    """Runs an operator for a Python caller.

    Args:
        operator: the operator
        dataset: the dataset
        view: a view of it, to work on its samples only
        selected: ids of samples, to work on those only
        delegate: whether to leave the work to a worker
        **params: the operator's parameters; those that are None are left out

    Returns:
        an :class:`fiftyone.operators.executor.ExecutionResult`

    Raises:
        OperatorFailed: if it fails in a way that is explained
    """
    if not isinstance(dataset, fo.Dataset):
        raise OperatorFailed(f"{operator.config.label} takes a dataset; give a view of it as view=.")
    if view is not None and view._root_dataset.name != dataset.name:
        raise OperatorFailed(f"The view is of dataset {view._root_dataset.name!r}, not of {dataset.name!r}.")
    target = ViewTarget.DATASET if view is None else ViewTarget.CURRENT_VIEW
    ctx = {
        "dataset": dataset,
        "view": view,
        "selected": list(selected or ()),
        "view_target": str(ViewTarget.SELECTED_SAMPLES if selected is not None else target),
        "request_delegation": delegate,
        "params": {name: value for name, value in params.items() if value is not None},
    }
    try:
        return foo.execute_operator(operator.uri, ctx=ctx)
    except ExecutionError as error:
        reason = told(error)
        if reason is None:
            raise
    raise OperatorFailed(reason)


def show_map(ctx: Any, key: str) -> Any:
    """The message that opens the Embeddings panel on a map, coloured by label where there are labels.

    Args:
        ctx: the execution context
        key: the map's brain key
    """
    field = ctx.dataset.get_field(LABELS)
    color = f"{LABELS}.label" if isinstance(field, fo.EmbeddedDocumentField) else None
    return ctx.trigger(SHOW_MAP, {"key": key, "color": color})
