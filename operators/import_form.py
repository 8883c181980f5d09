"""The import's form and its result page. Nothing here asks a server: a loader does that beside the form."""

from typing import Any

import fiftyone.operators.types as types

from fiftyone_tator.operators.presets import CONFIG_FILE, layers
from fiftyone_tator.operators.servers import servers
from fiftyone_tator.sync.options import OPTION_NAMES, ImportOptions
from fiftyone_tator.sync.results import summary
from fiftyone_tator.tator_client import TatorError

LOADER = "@tator/sync/load_import_options"
_MOST_REASONS = 12


def form(ctx: Any) -> types.Property:
    """The form for what the params hold so far.

    Args:
        ctx: the execution context

    Returns:
        the form; with a reason and without fields where the secrets or presets cannot be used
    """
    inputs = types.Object()
    try:
        known = servers(ctx.secrets)
        merged = _merged(ctx)
    except TatorError as problem:
        inputs.view("problem", types.Error(label="Tator cannot be reached yet", description=str(problem)))
        inputs.bool("problem_stays", invalid=True, error_message=str(problem), view=types.HiddenView())
        return types.Property(inputs, view=_page())
    if len(known) > 1:
        urls = [server.url for server in known]
        inputs.enum("server", urls, default=merged.get("server", urls[0]), label="Tator server")
    given = {key: value for key, value in ctx.params.items() if key in (*OPTION_NAMES, CONFIG_FILE)}
    inputs.loader(
        "loaded",
        type=types.Object(),
        operator=LOADER,
        params=given,
        label="Asking Tator ...",
        dependencies=[*OPTION_NAMES, CONFIG_FILE],
    )
    _choices(inputs, (ctx.params.get("loaded") or {}).get("data") or {}, merged)
    return types.Property(inputs, view=_page())


def _page() -> types.PromptView:
    return types.PromptView(label="Import from Tator", submit_button_label="Import")


def _merged(ctx: Any) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for _, layer in layers(ctx.dataset, ctx.params):
        merged.update({key: value for key, value in layer.items() if value not in (None, "", [])})
    return merged


def _choices(inputs: types.Object, loaded: dict[str, Any], merged: dict[str, Any]) -> None:
    project = types.AutocompleteView(allow_user_input=False)
    names = [name for _, name in loaded.get("projects", ())]
    for number, name in loaded.get("projects", ()):
        project.add_choice(str(number) if names.count(name) > 1 else name, label=f"{name} ({number})")
    inputs.str(
        "project",
        view=project,
        default=str(merged["project"]) if "project" in merged else None,
        required=True,
        label="Project",
        description="The Tator project to import from",
    )
    if "versions" in loaded:
        _of_project(inputs, loaded, merged)
    if loaded.get("preview"):
        inputs.view("preview", types.Notice(label=loaded["preview"]))
    if loaded.get("problem"):
        inputs.view("problem", types.Error(label="This cannot be imported", description=loaded["problem"]))


def _of_project(inputs: types.Object, loaded: dict[str, Any], merged: dict[str, Any]) -> None:
    _several(inputs, "versions", loaded["versions"], merged, "Versions", "All of them if you choose none")
    kinds = {name: f"{name} ({dtype})" for name, dtype in loaded["types"]}
    _several(inputs, "types", kinds, merged, "Localization types", "The box types if you choose none")
    labels = types.DropdownView()
    for name in loaded["labels"]:
        labels.add_choice(name, label=name)
    inputs.str(
        "label_attribute",
        view=labels,
        default=merged.get("label_attribute", loaded["label"]),
        required=loaded["label"] is None,
        label="Label attribute",
        description="The attribute that becomes the label of ground_truth",
    )
    _several(inputs, "include_classes", loaded["classes"], merged, "Classes", "All if you name none", free=True)
    inputs.int("max_samples", default=merged.get("max_samples"), min=1, label="At most so many samples")
    inputs.str("dataset_name", default=merged.get("dataset_name", loaded["dataset_name"]), label="Dataset")
    inputs.bool("more", default=False, label="More options", view=types.SwitchView())
    _more(inputs, merged)


def _more(inputs: types.Object, merged: dict[str, Any]) -> None:
    def default(name: str) -> Any:
        return merged.get(name, ImportOptions.model_fields[name].default)

    if not merged.get("more"):
        return
    inputs.int("crop_size", default=default("crop_size"), min=16, max=4096, label="Longest side of a crop in pixels")
    inputs.float("padding", default=default("padding"), min=0, max=4, label="Padding, as a fraction of the size")
    inputs.enum("crop_format", ["jpg", "png"], default=default("crop_format"), label="Format of the crops")
    _several(inputs, "image_extensions", [".jpg", ".png"], merged, "Extensions of media names", "All", free=True)
    inputs.str(
        CONFIG_FILE,
        label="Config file",
        description="A YAML or JSON file with any of these options, on the machine that runs the import",
    )


def _several(
    inputs: types.Object,
    name: str,
    choices: Any,
    merged: dict[str, Any],
    label: str,
    description: str,
    *,
    free: bool = False,
) -> None:
    view = types.AutocompleteView(multiple=True, allow_user_input=free, allow_duplicates=False)
    for choice in choices:
        view.add_choice(choice, label=choices[choice] if isinstance(choices, dict) else choice)
    inputs.list(
        name, types.String(), view=view, default=merged.get(name), required=False, label=label, description=description
    )


def result_page(results: dict[str, Any]) -> types.Property:
    """What came, what was left out and why.

    Args:
        results: from :meth:`fiftyone_tator.sync.results.ImportResult.as_json`
    """
    outputs = types.Object()
    outputs.md(_markdown(results))
    return types.Property(outputs, view=types.View(label="Imported from Tator"))


def _markdown(results: dict[str, Any]) -> str:
    lines = [f"**{results.get('dataset', '')}**: {summary(results)} ({results.get('seconds', 0):,.1f} s)."]
    for title, key in (("Left out", "left_out"), ("Imported, but not in full", "notes")):
        groups = results.get(key) or []
        if groups:
            lines += ["", f"**{title}**", ""]
        for group in groups[:_MOST_REASONS]:
            examples = "; ".join(group["examples"][:3])
            lines.append(
                f"- {group['count']:,} x {group['reason']} ({examples}{', ...' if group['count'] > 3 else ''})"
            )
    return "\n".join(lines)
