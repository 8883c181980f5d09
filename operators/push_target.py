"""What a push from the App or from Python is about: which samples, which options, which server."""

from collections.abc import Mapping
from typing import Any

from bson import ObjectId
from bson.errors import InvalidId
from fiftyone.operators.constants import ViewTarget

from fiftyone_tator.operators.presets import LOADED
from fiftyone_tator.operators.servers import Server, choose
from fiftyone_tator.sync.errors import InvalidOption
from fiftyone_tator.sync.hands import check_from_tator

ELSEWHERE = "elsewhere"
"""The form's switch for a version to propose to; without it, a version that was chosen before does not count."""
SHOWN = "shown_"
"""How the parameters begin that the form shows and nobody sets."""
FORM_ONLY = frozenset({ELSEWHERE, "more", "view_target", "closed", "blocked"})
"""Parameters that are no options of a push: the form's own."""


def push_params(params: Mapping[str, Any], *, whole: bool) -> dict[str, Any]:
    """The options among an operator's parameters.

    Args:
        params: the parameters
        whole: whether the push is about the whole dataset; deletions travel with nothing less. In the form they are
            not proposed either

    Returns:
        what :func:`fiftyone_tator.sync.push_options.parse_push_options` takes
    """
    found = {
        name: value for name, value in params.items() if name not in FORM_ONLY and not name.startswith((LOADED, SHOWN))
    }
    if params.get(ELSEWHERE) is False:
        found.pop("version", None)
    if params.get(ELSEWHERE) or not whole:
        found.pop("deletions", None)
    return found


def target_of(ctx: Any) -> str:
    """The samples that are meant, as FiftyOne names such targets.

    Args:
        ctx: the execution context

    Returns:
        one of :class:`fiftyone.operators.constants.ViewTarget`; where nobody chose, the narrowest that there is
    """
    chosen = ctx.request_params.get("view_target")
    if chosen is not None:
        return str(chosen)
    if ctx.selected:
        return str(ViewTarget.SELECTED_SAMPLES)
    return str(ViewTarget.CURRENT_VIEW if ctx.has_custom_view else ViewTarget.DATASET)


def is_whole(ctx: Any, target: str) -> bool:
    """Whether a target is the whole dataset.

    Args:
        ctx: the execution context
        target: from :func:`target_of`
    """
    if target == ViewTarget.BASE_VIEW:
        return not ctx.view._base_view._stages
    return target in (ViewTarget.DATASET, ViewTarget.DATASET_VIEW)


def target_samples(ctx: Any) -> list[ObjectId] | None:
    """The samples that a push is about.

    Args:
        ctx: the execution context

    Returns:
        their ids; None for the whole dataset

    Raises:
        InvalidOption: if something was selected that is no id
    """
    target = target_of(ctx)
    if is_whole(ctx, target):
        return None
    if target == ViewTarget.SELECTED_SAMPLES and not ctx.view._is_generated:
        return [_id(sample) for sample in ctx.selected]
    ctx.request_params["view_target"] = target
    view = ctx.target_view()
    return [ObjectId(sample) for sample in view.values("sample_id" if view._is_generated else "id")]


def _id(sample: Any) -> ObjectId:
    try:
        return ObjectId(sample)
    except (InvalidId, TypeError):
        raise InvalidOption(f"{sample!r} is no id of a sample. Take ids from dataset.values('id').") from None


def server_of(ctx: Any, url: str | None = None) -> Server:
    """The server that a dataset comes from.

    Args:
        ctx: the execution context
        url: another address that somebody asked for

    Raises:
        NotFromTator: if the dataset does not come from Tator
        InvalidOption: if the secrets name no such server
    """
    return choose(ctx.secrets, url or str(check_from_tator(ctx.dataset)["server"]))
