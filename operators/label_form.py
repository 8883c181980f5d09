"""What the forms of suggestions and of suspicious labels share: which labels are none, who is asked, the rest."""

from typing import Any

import fiftyone.operators.types as types

from fiftyone_tator.embeddings.findings import none_labels
from fiftyone_tator.operators import load_embedding_options as loader
from fiftyone_tator.operators.embed_run import said
from fiftyone_tator.operators.embed_services import services
from fiftyone_tator.operators.form_parts import answer, closed
from fiftyone_tator.tator_client import TatorError


def label_params(ctx: Any) -> dict[str, Any]:
    """What somebody said; also that no label stands for none.

    Args:
        ctx: the execution context
    """
    found = said(ctx.params)
    if ctx.params.get("unlabelled") in ([], ()):
        found["unlabelled"] = []
    return found


def none_field(inputs: types.Object, ctx: Any) -> None:
    """The field for labels that stand for none.

    Args:
        inputs: the form
        ctx: the execution context
    """
    inputs.list(
        "unlabelled",
        types.String(),
        view=types.AutocompleteView(multiple=True, allow_duplicates=False),
        default=none_labels(ctx.dataset),
        required=False,
        label="Labels that stand for none",
        description="For example unknown; press enter after each",
    )


def more_field(inputs: types.Object, ctx: Any) -> bool:
    """The switch for what is seldom chosen.

    Args:
        inputs: the form
        ctx: the execution context

    Returns:
        whether it is on
    """
    inputs.bool("more", default=False, label="More options", view=types.SwitchView())
    return bool(ctx.params.get("more"))


def service_fields(inputs: types.Object, ctx: Any) -> None:
    """The fields for the service that is asked, and for its project.

    Args:
        inputs: the form
        ctx: the execution context
    """
    view = types.DropdownView()
    for address in known_services(ctx):
        view.add_choice(address, label=f"Fast-VSS at {address}")
    first = view.values()[0]
    inputs.enum("service", view.values(), default=first, required=True, label="Service", view=view)
    chosen = ctx.params.get("service")
    service = chosen if chosen in view.values() else first
    found = answer(inputs, ctx, loader.URI, loader.PROJECTS, {"service": service}, f"Asking {service} ...")
    if "problem" in found:
        closed(inputs, "This service cannot be used now", found["problem"])
    names = found.get("projects")
    if names:
        projects = types.AutocompleteView(allow_user_input=False)
        for name in names:
            projects.add_choice(name, label=name)
        inputs.str(
            "project",
            view=projects,
            default=names[0] if len(names) == 1 else None,
            required=True,
            label="Project",
            description="Whose labelled pictures are asked",
        )


def known_services(ctx: Any) -> list[str]:
    """The services that can be asked; none where the secret cannot be read.

    Args:
        ctx: the execution context
    """
    try:
        return list(services(ctx.secrets))
    except TatorError:
        return []
