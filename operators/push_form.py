"""The push's form: what would go to Tator, before anything does. A loader asks for that; nothing here asks a server."""

from collections.abc import Iterable, Mapping
from typing import Any

import fiftyone.operators.types as types

from fiftyone_tator.operators import load_push_preview as loader
from fiftyone_tator.operators.form_parts import answer, closed, note, samples_key
from fiftyone_tator.operators.markdown import reasons
from fiftyone_tator.operators.push_result import conflicts, counts, flows, many
from fiftyone_tator.operators.push_target import ELSEWHERE, is_whole, push_params, server_of
from fiftyone_tator.operators.running import from_app
from fiftyone_tator.sync.dataset import INFO
from fiftyone_tator.sync.mapping import GEOMETRY, ValueMap
from fiftyone_tator.sync.push_options import parse_push_options
from fiftyone_tator.tator_client import TatorError

_SIDES = {
    "leave": ("Leave it to me", "Both values stay where they are, and the sample gets the tag tator:conflict"),
    "ours": ("FiftyOne's value wins", "What somebody changed in Tator meanwhile is overwritten"),
    "theirs": ("Tator's value wins", "The sample here takes over what Tator has"),
}
_TAGGED = "A sample with the tag tator:ours or tator:theirs decides for itself"
_HISTORIES = {
    "keep": ("Keep it", "Each change is a new mark, which says who made it and when"),
    "in_place": ("Change marks in place", "Faster for many changes that are alike"),
}

_MOST_ROWS = 6


def form(ctx: Any) -> types.Property:
    """The form for what the params hold so far.

    Args:
        ctx: the execution context

    Returns:
        the form; with a reason and without fields where the dataset cannot be pushed. Python callers have none
    """
    inputs = types.Object()
    if not from_app(ctx):
        return types.Property(inputs)
    button = "Push"
    try:
        url = server_of(ctx).url
    except TatorError as problem:
        closed(inputs, "This dataset cannot be pushed", str(problem))
    else:
        _body(inputs, ctx, url)
        button = "Try" if ctx.params.get("dry_run") else "Push"
    return types.Property(inputs, view=types.PromptView(label="Push to Tator", submit_button_label=button))


def _body(inputs: types.Object, ctx: Any, url: str) -> None:
    about = {"server": url, "dataset": ctx.dataset.name}
    access = answer(inputs, ctx, loader.URI, loader.ACCESS, about, f"Asking {url} what you may write ...")
    if "problem" in access:
        closed(inputs, "This dataset cannot be pushed", access["problem"])
    if "versions" not in access:
        return
    project = f"Project {access['project']} on {url}, as {access['user']}"
    inputs.view("where", types.Header(label="What goes to Tator", description=project, divider=True))
    chosen = _target(inputs, ctx)
    whole = is_whole(ctx, chosen)
    _preview(inputs, ctx, chosen, whole)
    inputs.view("how", types.Header(label="How", divider=True))
    _radio(inputs, "conflicts", _SIDES, "leave", "Where both sides changed a value", _TAGGED)
    if whole and not ctx.params.get(ELSEWHERE):
        inputs.bool(
            "deletions",
            default=False,
            label="Delete in Tator what was deleted here",
            view=types.SwitchView(),
        )
    _version(inputs, ctx, access["versions"])
    inputs.bool("more", default=False, label="More options", view=types.SwitchView())
    if ctx.params.get("more"):
        _more(inputs, ctx)


def _target(inputs: types.Object, ctx: Any) -> str:
    """The field for the samples that are meant, hidden where there is no choice; the target that it holds."""
    count = len(ctx.selected or ())
    target = inputs.view_target(
        ctx,
        dataset_description="All that was edited",
        current_view_description="What was edited of the samples that are shown",
        selected_samples_label="Selection",
        selected_samples_description=f"What was edited of {many(count, 'selected sample')}",
    )
    target.view.label = "Which samples"
    return str(ctx.request_params.get("view_target") or target.default)


def _preview(inputs: types.Object, ctx: Any, target: str, whole: bool) -> None:
    try:
        options = parse_push_options(push_params(ctx.params, whole=whole))
    except TatorError as problem:
        inputs.view("problem", types.Error(label="This cannot be pushed", description=str(problem)))
        return
    # Complete, because the App writes the defaults into the parameters; without what a preview does not depend on.
    about = options.model_dump(exclude={"dry_run", "history"})
    which = {"view_target": target, "samples": samples_key(ctx, whole)}
    found = answer(inputs, ctx, loader.URI, loader.PREVIEW, about, "Comparing with Tator ...", **which)
    if "problem" in found:
        inputs.view("problem", types.Error(label="This cannot be pushed", description=found["problem"]))
    if "changed" not in found:
        return
    if found["deleted"]:
        label = f"{many(found['deleted'], 'localization')} will be deleted in Tator"
        inputs.view("deleted", types.Warning(label=label, description="Tator's pages show them no more."))
    for text in (
        counts(found),
        flows("Labels that change", found["flows"], _MOST_ROWS),
        conflicts(found, _MOST_ROWS),
        reasons("Cannot be sent", found["problems"]),
        reasons("Worth knowing", found["notes"]),
    ):
        note(inputs, text)


def _version(inputs: types.Object, ctx: Any, versions: Iterable[tuple[int, str]]) -> None:
    inputs.bool(
        ELSEWHERE,
        default=False,
        label="Propose the changes in another version",
        description="The versions that the localizations are in stay as they are",
        view=types.SwitchView(),
    )
    if not ctx.params.get(ELSEWHERE):
        return
    view = types.AutocompleteView(allow_user_input=False)
    names = [name for _, name in versions]
    for number, name in versions:
        value = str(number) if names.count(name) > 1 or name.isdecimal() else name
        view.add_choice(value, label=f"{name} ({number})")
    inputs.str("version", view=view, required=True, label="Version")


def _more(inputs: types.Object, ctx: Any) -> None:
    _radio(inputs, "history", _HISTORIES, "keep", "History in Tator")
    if ctx.params.get("history") == "in_place":
        description = (
            "Tator remembers no earlier values of marks that are changed in place: who had set them, and when, is lost."
        )
        inputs.view("lost", types.Warning(label="This loses history", description=description))
    view = types.AutocompleteView(multiple=True, allow_user_input=False, allow_duplicates=False)
    for value, label in _fields(ctx.dataset.info[INFO]).items():
        view.add_choice(value, label=label)
    inputs.list(
        "fields",
        types.String(),
        view=view,
        required=False,
        label="Fields that travel",
        description="All, if you choose none; edits of the others stay here",
    )
    inputs.bool(
        "everything",
        default=False,
        label="Look at every sample",
        description="Not only at those that somebody touched; takes longer",
        view=types.SwitchView(),
    )
    inputs.bool(
        "dry_run",
        default=False,
        label="Dry run",
        description="Says what would be done, and writes nothing",
        view=types.SwitchView(),
    )


def _fields(info: Mapping[str, Any]) -> dict[str, str]:
    """What travels, and how it is called in the form."""
    values = ValueMap.of_info(info)
    found = {}
    for field in values.fields:
        attributes = {values.attribute(kind, field) for kind in values.types} - {None}
        if attributes or field == GEOMETRY:
            short = field.rpartition(".")[2]
            named = ", ".join(sorted(name for name in attributes if name is not None and name != short))
            found[field] = f"{short} ({named})" if named else short
    return found


def _radio(
    inputs: types.Object,
    name: str,
    choices: Mapping[str, tuple[str, str]],
    default: str,
    label: str,
    description: str | None = None,
) -> None:
    view = types.RadioGroup()
    for value, (said, meaning) in choices.items():
        view.add_choice(value, label=said, description=meaning)
    inputs.enum(name, view.values(), default=default, label=label, description=description, view=view)
