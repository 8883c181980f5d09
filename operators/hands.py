"""What the operators for work by hand share: whose samples they mean, where they are placed, how they answer."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
import fiftyone.operators.types as types
from bson import ObjectId
from fiftyone.core.json import stringify
from fiftyone.core.odm import get_db_conn
from fiftyone.operators.executor import ExecutionError
from pymongo.errors import PyMongoError

from fiftyone_tator.operators.running import OperatorFailed, explain, from_app, told
from fiftyone_tator.sync.errors import InvalidOption
from fiftyone_tator.sync.hands import check_from_tator, is_from_tator
from fiftyone_tator.tator_client import TatorError

UPDATE_SAMPLE = "@tator/sync/update_sample"
"""Shows the open sample as it is now; in ``app/operators.js``."""

GRID, SAMPLE = types.Places.SAMPLES_GRID_SECONDARY_ACTIONS, types.Places.SAMPLES_VIEWER_ACTIONS


def placement(ctx: Any, place: types.Places, label: str, icon: str, *, prompt: bool = True) -> Any:
    """A button in the App, in datasets from Tator only.

    Args:
        ctx: the execution context
        place: :data:`GRID` or :data:`SAMPLE`
        label: what the button says when the mouse is over it
        icon: the name of a Material icon
        prompt: whether to show the form before the operator runs

    Returns:
        a :class:`fiftyone.operators.types.Placement`, or None
    """
    if not is_from_tator(ctx.dataset):
        return None
    return types.Placement(place, types.Button(label=label, icon=icon, prompt=prompt))


def chosen(ctx: Any) -> list[str] | None:
    """The samples that somebody means: the one that is open, else those that are selected.

    Args:
        ctx: the execution context

    Returns:
        their ids; None if a Python caller named none, and means all

    Raises:
        InvalidOption: if somebody in the App has selected none
    """
    if ctx.current_sample:
        return [ctx.current_sample]
    if ctx.selected:
        return list(ctx.selected)
    if from_app(ctx):
        raise InvalidOption("No sample is selected. Select some in the grid, or open one.")
    return None


def form(ctx: Any, title: str, button: str, fill: Callable[[types.Object, list[str]], None]) -> types.Property:
    """A form about the samples that somebody means.

    Args:
        ctx: the execution context
        title: what the form is called
        button: what its button says
        fill: adds the fields, given how the form begins and the ids of the samples

    Returns:
        the form; with a reason and without fields where nothing can be done. Who runs the operator without it is told
        by :func:`answer` what is wrong.
    """
    inputs = types.Object()
    # Before it runs an operator, FiftyOne resolves its form again, and would refuse a closed one without saying why.
    if ctx.request_params.get("target") != "inputs":
        return types.Property(inputs)
    try:
        check_from_tator(ctx.dataset)
        fill(inputs, chosen(ctx) or [])
    except TatorError as problem:
        inputs = types.Object()
        inputs.view("closed", types.Error(label=str(problem)))
        inputs.bool("blocked", invalid=True, error_message=str(problem), view=types.HiddenView())
    return types.Property(inputs, view=types.PromptView(label=title, submit_button_label=button))


def count(ids: Sequence[str]) -> str:
    """How many samples, in words.

    Args:
        ids: of the samples
    """
    return "1 sample" if len(ids) == 1 else f"{len(ids):,} samples"


def answer(ctx: Any, work: Callable[[], Mapping[str, Any]]) -> dict[str, Any] | None:
    """Does what was asked for; in the App, a failure is a notification.

    Args:
        ctx: the execution context
        work: does it, and gives the result

    Returns:
        the result; None if it failed and the App was told

    Raises:
        OperatorFailed: if it fails, and a Python caller is to be told
    """
    try:
        check_from_tator(ctx.dataset)
        return dict(work())
    except (TatorError, PyMongoError) as error:
        if not from_app(ctx):
            raise OperatorFailed(explain(error)) from None
        ctx.ops.notify(explain(error), variant="error")
        return None


def refresh(ctx: Any) -> None:
    """Makes the App show edited samples as they are now: the open one, else all of the grid.

    Args:
        ctx: the execution context
    """
    if not ctx.current_sample:
        # Reloading the samples alone leaves the labels in the grid as they were.
        ctx.ops.reload_dataset()
        return
    sample = get_db_conn()[ctx.dataset._sample_collection_name].find_one({"_id": ObjectId(ctx.current_sample)})
    ctx.trigger(UPDATE_SAMPLE, {"sample": stringify(sample)})


def call(
    operator: Any, samples: "fo.Dataset | fo.DatasetView", selected: Sequence[str] | None = None, **params: Any
) -> Any:
    """Runs an operator for a Python caller.

    Args:
        operator: the operator
        samples: a dataset, or a view of one
        selected: ids of samples; all of ``samples`` if None
        **params: the operator's parameters; those that are None are left out

    Returns:
        an :class:`fiftyone.operators.executor.ExecutionResult`

    Raises:
        OperatorFailed: if it fails in a way that is explained
    """
    ids = samples.values("id") if selected is None and not isinstance(samples, fo.Dataset) else selected
    if ids is not None and not len(ids):
        raise OperatorFailed("There is no sample to do this to: the view, or the list of ids, is empty.")
    ctx = {
        "dataset": samples._root_dataset,
        "selected": list(ids or ()),
        "params": {key: value for key, value in params.items() if value is not None},
    }
    try:
        return foo.execute_operator(operator.uri, ctx=ctx)
    except ExecutionError as error:
        reason = told(error)
        if reason is None:
            raise
    raise OperatorFailed(reason)
