"""The import's form. Nothing here asks a server: loaders do that beside the form, one question each.

The App writes the default of each field into the parameters, as if somebody had typed it. So a field's default is what
presets and the config file say, and it follows them for as long as nobody touches the field.
"""

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import fiftyone as fo
import fiftyone.operators.types as types

from fiftyone_tator.operators import load_import_options as loader
from fiftyone_tator.operators.presets import CONFIG_FILE, LOADED, presets
from fiftyone_tator.operators.servers import choose, servers
from fiftyone_tator.sync.dataset import INFO
from fiftyone_tator.sync.options import ImportOptions
from fiftyone_tator.tator_client import TatorError

_COUNTED = (
    "server",
    "project",
    "versions",
    "types",
    "label_attribute",
    "include_classes",
    "image_extensions",
    "max_samples",
    CONFIG_FILE,
)
"""What changes the preview."""


def form(ctx: Any) -> types.Property:
    """The form for what the params hold so far.

    Args:
        ctx: the execution context

    Returns:
        the form; with a reason and without fields where the secrets or presets cannot be used
    """
    inputs = types.Object()
    try:
        known = [server.url for server in servers(ctx.secrets)]
        given = _Given.of(ctx, known)
        url = choose(ctx.secrets, given.get("server")).url
    except TatorError as problem:
        _closed(inputs, "The import is not set up yet", str(problem))
    else:
        if len(known) > 1:
            inputs.enum("server", known, default=given.weaker.get("server", known[0]), label="Tator server")
        _ask(inputs, loader.PROJECTS, {"server": url}, f"Asking {url} for its projects ...")
        _body(inputs, given, url)
    return types.Property(inputs, view=types.PromptView(label="Import from Tator", submit_button_label="Import"))


@dataclass(frozen=True)
class _Given:
    """What the form holds so far.

    Args:
        params: the parameters
        weaker: what parameters outdo: presets, the config file, and what the open dataset was imported from
    """

    params: Mapping[str, Any]
    weaker: Mapping[str, Any]

    @classmethod
    def of(cls, ctx: Any, urls: Sequence[str]) -> "_Given":
        found: dict[str, Any] = {}
        for _, layer in presets(ctx.dataset):
            found.update({key: value for key, value in layer.items() if _said(value)})
        file = ctx.params.get(CONFIG_FILE) or found.get(CONFIG_FILE)
        answer = cls(ctx.params, found).answer(loader.FILE, {CONFIG_FILE: file})
        found.update({key: value for key, value in answer.get("options", {}).items() if _said(value)})
        return cls(ctx.params, {**_origin(ctx.dataset, cls(ctx.params, found), urls), **found})

    def get(self, name: str) -> Any:
        value = self.params.get(name)
        return value if _said(value) else self.weaker.get(name)

    def answer(self, question: str, about: Mapping[str, Any]) -> dict[str, Any]:
        """The loader's answer to this very question; empty until it is there."""
        return dict((self.params.get(_name(question, about)) or {}).get("data") or {})


def _origin(dataset: Any, given: _Given, urls: Sequence[str]) -> dict[str, Any]:
    """What the open dataset was imported from: the form comes up filled in, unless another project is chosen."""
    info = dataset.info.get(INFO) if dataset is not None else None
    if not isinstance(info, Mapping) or info.get("server") not in urls:
        return {}
    number, name = info["project"]["id"], info["project"]["name"]
    if (given.get("server") or info["server"]) != info["server"]:
        return {}
    if (given.get("project") or number) not in (number, str(number), name):
        return {}
    style = info.get("crop_style") or {}
    names = {"size": "crop_size", "padding": "padding", "format": "crop_format"}
    labels = set((info.get("label_attributes") or {}).values()) - {None}
    return {
        **{names[key]: value for key, value in style.items()},
        **({"label_attribute": labels.pop()} if len(labels) == 1 else {}),
        "server": info["server"],
        "project": number,
        "versions": list(info["versions"].values()),
        "types": [kind["name"] for kind in info["types"].values()],
        "dataset_name": dataset.name,
    }


def _said(value: Any) -> bool:
    return value is not None and value != "" and value != []


def _name(question: str, about: Mapping[str, Any]) -> str:
    """The loader's parameter, one for each question.

    A loader with one name for all would load anew when parameters change, but then still with the question from before
    the change: the App sends the new form a moment later.
    """
    return f"{LOADED}{question}_{zlib.crc32(json.dumps(about, sort_keys=True).encode()):08x}"


def _ask(inputs: types.Object, question: str, about: Mapping[str, Any], label: str) -> None:
    params = {"ask": question, "about": about}
    inputs.loader(_name(question, about), type=types.Object(), operator=loader.URI, params=params, label=label)


def _closed(inputs: types.Object, title: str, reason: str) -> None:
    """Says why nothing can be imported, and keeps the button from trying."""
    inputs.view("closed", types.Error(label=title, description=reason))
    inputs.bool("blocked", invalid=True, error_message=f"{title}. {reason}", view=types.HiddenView())


def _body(inputs: types.Object, given: _Given, url: str) -> None:
    found = given.answer(loader.PROJECTS, {"server": url})
    if "problem" in found:
        _closed(inputs, f"{url} cannot be used now", found["problem"])
    if "projects" not in found:
        return
    project = _project(inputs, given, found["projects"])
    if project is not None:
        about = {"server": url, "project": project}
        _ask(inputs, loader.CHOICES, about, f"Asking for the versions and types of {project} ...")
        choices = given.answer(loader.CHOICES, about)
        if "problem" in choices:
            inputs.view("problem", types.Error(label="This project cannot be read", description=choices["problem"]))
        if "versions" in choices:
            _of_project(inputs, given, choices)
            _counts(inputs, given)
    inputs.bool("more", default=False, label="More options", view=types.SwitchView())
    if given.get("more"):
        _more(inputs, given)
    _file(inputs, given)


def _project(inputs: types.Object, given: _Given, projects: Iterable[Sequence[Any]]) -> Any:
    """The field for the project; the project that it holds, or None."""
    view = types.AutocompleteView(allow_user_input=False)
    names = [name for _, name in projects]
    default = given.weaker.get("project")
    for number, name in projects:
        value = str(number) if names.count(name) > 1 or name.isdecimal() else name
        view.add_choice(value, label=f"{name} ({number})")
        default = value if default in (number, str(number), name) else default
    inputs.str("project", view=view, default=default, required=True, label="Project")
    return given.params.get("project") or default


def _of_project(inputs: types.Object, given: _Given, choices: Mapping[str, Any]) -> None:
    versions = [(number, name, name) for number, name in choices["versions"]]
    _several(inputs, given, "versions", versions, "Versions", "All, if you choose none")
    kinds = [(kind["id"], kind["name"], f"{kind['name']} ({kind['dtype']})") for kind in choices["types"]]
    _several(inputs, given, "types", kinds, "Localization types", "All box types, if you choose none")
    chosen = _chosen_types(choices["types"], given.get("types"))
    found = _label(inputs, given, chosen)
    classes = [name for kind in chosen for name in kind["classes"].get(given.get("label_attribute") or found, ())]
    _several(
        inputs,
        given,
        "include_classes",
        [(name, name, name) for name in dict.fromkeys(classes)],
        "Classes",
        "All, if you name none; press enter after each",
        free=True,
    )
    _dataset(inputs, given, choices["dataset_name"])
    inputs.int(
        "max_samples",
        default=given.weaker.get("max_samples"),
        min=1,
        label="Sample limit",
        description="The first so many; all, if left empty",
        view=types.View(space=6, placeholder="No limit"),
    )


def _chosen_types(kinds: Sequence[dict[str, Any]], wanted: Sequence[Any] | None) -> list[dict[str, Any]]:
    if not wanted:
        return [kind for kind in kinds if kind["dtype"] == "box"] or list(kinds)
    return [kind for kind in kinds if kind["name"] in wanted or kind["id"] in wanted]


def _label(inputs: types.Object, given: _Given, chosen: Sequence[Mapping[str, Any]]) -> str | None:
    """The field for the label attribute; the attribute that is found by itself, or None."""
    view = types.DropdownView(space=6)
    for name in dict.fromkeys(name for kind in chosen for name in kind["labels"]):
        view.add_choice(name, label=name)
    own = {kind["label"] for kind in chosen}
    found: str | None = given.weaker.get("label_attribute", own.pop() if len(own) == 1 else None)
    inputs.str(
        "label_attribute",
        view=view,
        default=found,
        required=any(kind["label"] is None for kind in chosen),
        label="Label attribute",
        description="It becomes the label of ground_truth",
    )
    return found


def _dataset(inputs: types.Object, given: _Given, default: str) -> None:
    name = given.get("dataset_name") or default
    inputs.str(
        "dataset_name",
        default=given.weaker.get("dataset_name", default),
        label="Dataset",
        description="It exists, and is brought up to date" if fo.dataset_exists(name) else "It will be made",
        view=types.View(space=6),
    )


def _counts(inputs: types.Object, given: _Given) -> None:
    about = {name: given.params[name] for name in _COUNTED if _said(given.params.get(name))}
    _ask(inputs, loader.COUNTS, about, "Counting what would come ...")
    found = given.answer(loader.COUNTS, about)
    if "text" in found:
        inputs.view("preview", types.Notice(label=found["text"]))
    if "problem" in found:
        inputs.view("problem", types.Error(label="This cannot be imported", description=found["problem"]))


def _more(inputs: types.Object, given: _Given) -> None:
    def default(name: str) -> Any:
        return given.weaker.get(name, ImportOptions.model_fields[name].default)

    third = types.View(space=4)
    inputs.int("crop_size", default=default("crop_size"), min=16, max=4096, label="Longest side, pixels", view=third)
    inputs.float("padding", default=default("padding"), min=0, max=4, label="Padding, part of the size", view=third)
    formats = types.DropdownView(space=4)
    for name in ("jpg", "png"):
        formats.add_choice(name, label=name)
    inputs.enum("crop_format", formats.values(), default=default("crop_format"), label="Format", view=formats)
    extensions = [(name, name, name) for name in (".jpg", ".png", ".tif")]
    _several(
        inputs, given, "image_extensions", extensions, "Extensions of media names", "All, if you name none", free=True
    )
    ways = types.DropdownView(space=6)
    ways.add_choice("auto", label="Read what changed; compare everything where that is not enough, and once a day")
    ways.add_choice("changes", label="Read what changed only")
    ways.add_choice("full", label="Compare everything")
    inputs.enum("compare", ways.values(), default=default("compare"), label="How to look for changes", view=ways)
    inputs.bool(
        "rebuild",
        default=default("rebuild"),
        label="Rebuild what was agreed on with Tator",
        description="For a dataset that was cloned, or exported and loaded again: what differs becomes a conflict",
        view=types.View(space=6),
    )
    inputs.str(
        CONFIG_FILE,
        default=given.weaker.get(CONFIG_FILE),
        label="Config file",
        description="YAML or JSON, where the import runs",
        view=types.View(space=6, placeholder="/path/to/options.yml"),
    )


def _file(inputs: types.Object, given: _Given) -> None:
    file = given.get(CONFIG_FILE)
    if not file:
        return
    about = {CONFIG_FILE: file}
    _ask(inputs, loader.FILE, about, f"Reading {file} ...")
    found = given.answer(loader.FILE, about)
    if "problem" in found:
        inputs.view("file_problem", types.Error(label="The config file cannot be used", description=found["problem"]))


def _several(
    inputs: types.Object,
    given: _Given,
    name: str,
    choices: Iterable[tuple[Any, str, str]],
    label: str,
    description: str,
    *,
    free: bool = False,
) -> None:
    """A field for several names; each choice is an id, a name and what is shown."""
    view = types.AutocompleteView(multiple=True, allow_user_input=free, allow_duplicates=False, space=6)
    names = {}
    for number, value, shown in choices:
        view.add_choice(value, label=shown)
        names[number] = value
    default = given.weaker.get(name)
    if default is not None:
        default = [names.get(item, item) for item in default]
    inputs.list(name, types.String(), view=view, default=default, required=False, label=label, description=description)
