"""What forms are made of: loaders that ask elsewhere, choices with their meaning, reasons why a form is closed."""

import json
import zlib
from collections.abc import Mapping
from typing import Any

import fiftyone.operators.types as types
from fiftyone.operators.constants import ViewTarget

from fiftyone_tator.embeddings.vectors import fields_of
from fiftyone_tator.operators.presets import LOADED
from fiftyone_tator.operators.push_result import many
from fiftyone_tator.operators.push_target import SHOWN, is_whole


def closed(inputs: types.Object, title: str, reason: str) -> None:
    """Says why nothing can be done, and keeps the button from trying.

    Args:
        inputs: the form
        title: what cannot be done
        reason: why, and the way out
    """
    inputs.view("closed", types.Error(label=title, description=reason))
    inputs.bool("blocked", invalid=True, error_message=f"{title}. {reason}", view=types.HiddenView())


def answer(
    inputs: types.Object, ctx: Any, operator: str, question: str, about: Mapping[str, Any], label: str, **which: Any
) -> dict[str, Any]:
    """A loader's answer to this very question; until it is there, nothing, and the loader is put into the form.

    Args:
        inputs: the form
        ctx: the execution context
        operator: the loader's URI
        question: what is asked for
        about: about what
        label: what the form says meanwhile
        **which: more of the question
    """
    # A parameter for each question: an answer to an earlier question is none to this one.
    key = zlib.crc32(json.dumps({**about, **which}, sort_keys=True, default=str).encode())
    name = f"{LOADED}{question}_{key:08x}"
    found = (ctx.params.get(name) or {}).get("data")
    if not found:
        params = {"ask": question, "about": dict(about), **which}
        inputs.loader(name, type=types.Object(), operator=operator, params=params, label=label)
    return dict(found or {})


def choice(
    inputs: types.Object,
    name: str,
    choices: Mapping[str, tuple[str, str | None]],
    default: str | None,
    label: str,
    description: str | None = None,
    *,
    view: types.Choices | None = None,
) -> None:
    """A field for one of a few things.

    Args:
        inputs: the form
        name: the parameter
        choices: of each value what is shown, and what it means
        default: one of the values
        label: of the field
        description: of the field
        view: radio buttons if None
    """
    view = view or types.RadioGroup()
    for value, (said, meaning) in choices.items():
        view.add_choice(value, label=said, description=meaning)
    inputs.enum(name, view.values(), default=default, required=True, label=label, description=description, view=view)


def note(inputs: types.Object, text: str) -> None:
    """Some Markdown that may change while the form is open.

    Args:
        inputs: the form
        text: the Markdown; nothing is shown if it is empty
    """
    if text:
        # A name for each text: a default that changes under one name would not be shown.
        inputs.md(text, name=f"{SHOWN}{zlib.crc32(text.encode()):08x}")


def samples_key(ctx: Any, whole: bool) -> str:
    """Tells one view or selection from another, without reading it.

    Args:
        ctx: the execution context
        whole: whether the whole dataset is meant
    """
    if whole:
        return ""
    asked = [ctx.request_params.get(name) for name in ("selected", "view", "view_name", "filters", "extended")]
    return f"{zlib.crc32(json.dumps(asked, sort_keys=True, default=str).encode()):08x}"


def vector_field(inputs: types.Object, ctx: Any) -> str | None:
    """The field for the vectors to work with.

    Args:
        inputs: the form
        ctx: the execution context

    Returns:
        the field of vectors that it holds; None if there are none, and the form is closed
    """
    if ctx.dataset is None:
        closed(inputs, "No dataset is open", "Open the dataset whose embeddings are meant.")
        return None
    known = fields_of(ctx.dataset)
    if not known:
        reason = "Compute them first: the operator Compute embeddings does that."
        closed(inputs, f"Dataset {ctx.dataset.name!r} has no embeddings", reason)
        return None
    view = types.DropdownView()
    for name, record in known.items():
        view.add_choice(name, label=name, description=f"{record.dimensions:,} numbers by {record.source.label}")
    first = next(iter(known))
    inputs.enum("field", view.values(), default=first, required=True, label="Embeddings", view=view)
    chosen = ctx.params.get("field")
    return str(chosen if chosen in known else first)


def which_samples(inputs: types.Object, ctx: Any, what: str, *, narrow: bool = True) -> tuple[str, bool]:
    """The field for the samples that are meant, hidden where there is no choice.

    Args:
        inputs: the form
        ctx: the execution context
        what: what the samples are to the operator, if all are meant
        narrow: whether a selection, or else a view, is meant until somebody chooses; the whole dataset otherwise

    Returns:
        the target that it holds, and whether that is the whole dataset
    """
    target = inputs.view_target(
        ctx,
        default_target=None if narrow else ViewTarget.DATASET,
        dataset_description=what,
        current_view_description="The samples that are shown",
        selected_samples_label="Selection",
        selected_samples_description=many(len(ctx.selected or ()), "selected sample"),
    )
    target.view.label = "Which samples"
    chosen = str(ctx.request_params.get("view_target") or target.default)
    return chosen, is_whole(ctx, chosen)
