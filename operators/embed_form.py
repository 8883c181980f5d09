"""The form for embeddings: who makes them, of what, and what to make of them. Nothing here asks a service."""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import fiftyone.operators.types as types

from fiftyone_tator.embeddings.choosing import shown
from fiftyone_tator.embeddings.options import LOCAL, EmbedOptions, Method
from fiftyone_tator.embeddings.reducing import NAMES
from fiftyone_tator.embeddings.vectors import Record, VectorField, fields_of
from fiftyone_tator.operators import load_embedding_options as loader
from fiftyone_tator.operators.embed_run import said
from fiftyone_tator.operators.embed_services import services
from fiftyone_tator.operators.form_parts import answer, choice, closed, note, samples_key, which_samples
from fiftyone_tator.operators.markdown import plain
from fiftyone_tator.operators.presets import embedding_layers
from fiftyone_tator.operators.push_result import many
from fiftyone_tator.operators.running import from_app
from fiftyone_tator.tator_client import TatorError

TITLE = "Compute embeddings"
NO_MAP = "none"
"""Instead of a method: no map. A value that is empty would be one that nobody chose."""
MAPS: dict[Method, str] = {
    "umap": "Keeps neighbours together and clusters apart",
    "tsne": "Like UMAP; slow beyond some ten thousand samples",
    "pca": "The two directions in which the vectors differ most; the fastest",
}
DESCRIPTOR = "descriptor"
UMAP = "umap-learn is not installed; `pip install umap-learn`, where this runs, adds it"


def form(ctx: Any) -> types.Property:
    """The form for what the params hold so far.

    Args:
        ctx: the execution context

    Returns:
        the form; with a reason and without fields where nothing can be embedded. Python callers have none
    """
    inputs = types.Object()
    if not from_app(ctx):
        return types.Property(inputs)
    try:
        known = list(services(ctx.secrets))
        weaker = {name: value for _, layer in embedding_layers(ctx.dataset, {}) for name, value in layer.items()}
    except TatorError as problem:
        closed(inputs, "Embeddings are not set up yet", str(problem))
    else:
        if ctx.dataset is None:
            closed(inputs, "No dataset is open", "Open the dataset whose pictures are to be embedded.")
        else:
            _body(inputs, _Given(ctx, weaker), known)
    return types.Property(inputs, view=types.PromptView(label=TITLE, submit_button_label="Compute"))


@dataclass(frozen=True)
class _Given:
    """What the form holds so far.

    Args:
        ctx: the execution context
        weaker: what presets say
    """

    ctx: Any
    weaker: Mapping[str, Any]

    def default(self, name: str, otherwise: Any = None) -> Any:
        """What a field holds before somebody touches it."""
        if otherwise is None:
            otherwise = EmbedOptions.model_fields[name].default
        return self.weaker.get(name, otherwise)

    def get(self, name: str, otherwise: Any = None) -> Any:
        """What a field holds."""
        return said(self.ctx.params).get(name, self.default(name, otherwise))


def _body(inputs: types.Object, given: _Given, known: list[str]) -> None:
    inputs.view("who", types.Header(label="What makes the embeddings", divider=True))
    service = _service(inputs, given, known)
    about: dict[str, Any] = {"service": service}
    remote = service in known
    if remote:
        about |= {name: value for name in ("path",) if (value := given.get(name))}
        project = _project(inputs, given, service)
        if project is None:
            return
        about["project"] = project
    record = _ready(inputs, given, about)
    if record is None:
        return
    inputs.view("what", types.Header(label="What is embedded", divider=True))
    _of_what(inputs, given, record)
    inputs.view("then", types.Header(label="What is made of it", divider=True))
    _then(inputs, given)
    inputs.bool("more", default=False, label="More options", view=types.SwitchView())
    if given.ctx.params.get("more"):
        _more(inputs, given, remote=remote)


def _service(inputs: types.Object, given: _Given, known: list[str]) -> str:
    view = types.DropdownView()
    for address in known:
        view.add_choice(address, label=f"Fast-VSS at {address}")
    view.add_choice(LOCAL, label="This machine")
    if importlib.util.find_spec("torch") is not None:
        view.add_choice(DESCRIPTOR, label="This machine, by a descriptor instead of a model")
    default = shown(str(given.default("service", known[0] if known else LOCAL)))
    default = default if default in view.values() else view.values()[0]
    hint = None if known else "The secret FASTVSS_API_URL may name Fast-VSS services; it is not set"
    inputs.enum("service", view.values(), default=default, required=True, label="Service", description=hint, view=view)
    chosen = given.ctx.params.get("service")
    return str(chosen if chosen in view.values() else default)


def _project(inputs: types.Object, given: _Given, service: str) -> str | None:
    found = answer(
        inputs, given.ctx, loader.URI, loader.PROJECTS, {"service": service}, f"Asking {service} for its projects ..."
    )
    if "problem" in found:
        closed(inputs, "This service cannot be used now", found["problem"])
    names = found.get("projects")
    if names is None:
        return None
    if not names:
        closed(inputs, "This service has no projects", "Add one where it runs; a project chooses the model.")
        return None
    view = types.AutocompleteView(allow_user_input=False)
    for name in names:
        view.add_choice(name, label=name)
    wanted = given.default("project")
    default = wanted if wanted in names else names[0] if len(names) == 1 else None
    inputs.str(
        "project", view=view, default=default, required=True, label="Project", description="It chooses the model"
    )
    if wanted and wanted not in names:
        reason = f"{service} does not have the project {wanted!r}, which the presets name."
        inputs.view("unknown", types.Warning(label=reason, description="Choose one of those that it has."))
    chosen = given.ctx.params.get("project")
    return chosen if chosen in names else default


def _ready(inputs: types.Object, given: _Given, about: Mapping[str, Any]) -> Record | None:
    found = answer(
        inputs, given.ctx, loader.URI, loader.READY, about, "Embedding one picture, to see whether it works ..."
    )
    if "problem" in found:
        closed(inputs, "This is not ready", found["problem"])
    record = Record.from_info(found.get("info"))
    if record is not None:
        # Always the same text for one answer, since loaders keep it.
        descriptor = record.source.kind == "descriptor"
        label = f"Ready: {'a descriptor of ' if descriptor else ''}{record.source.label}"
        took = f"One picture came back as {record.dimensions:,} numbers in {found['seconds']:.1f} s."
        if descriptor:
            took += " It sees texture, colour and shape, and knows nothing of things; a Fast-VSS or a zoo model does."
        inputs.view("ready", types.Success(label=label, description=took))
    return record


def _of_what(inputs: types.Object, given: _Given, record: Record) -> None:
    ctx = given.ctx
    chosen, whole = which_samples(inputs, ctx, "All samples")
    inputs.bool(
        "everything",
        default=given.default("everything"),
        label="Embed anew what has a vector already",
        view=types.SwitchView(),
    )
    field = given.get("field", record.source.kind)
    inputs.str(
        "field", default=given.default("field", record.source.kind), required=True, label="Field for the vectors"
    )
    about = {"field": field, "dataset": ctx.dataset.name}
    which = {"view_target": chosen, "samples": samples_key(ctx, whole)}
    count = answer(inputs, ctx, loader.URI, loader.COUNT, about, "Counting samples ...", **which)
    if "problem" in count:
        closed(inputs, "This cannot be embedded", count["problem"])
        return
    if not count:
        return
    everything = bool(given.get("everything"))
    reason = _mixture(ctx, field, record, count["held"], everything=everything, whole=whole)
    if reason:
        closed(inputs, "These vectors would be mixed with others", reason)
    else:
        note(inputs, _counted(ctx, field, count, everything=everything))


def _counted(ctx: Any, field: str, count: Mapping[str, int], *, everything: bool) -> str:
    known = fields_of(ctx.dataset).get(field)
    there = count["samples"] - count["missing"]
    coming = count["samples"] if everything else count["missing"]
    lines = [f"**{many(coming, 'picture')}** will be embedded into the field {plain(field)}."]
    if known is not None:
        made = f"{known.source.label}, {known.dimensions:,} numbers, since {known.made_at[:16].replace('T', ' ')} UTC"
        kept = "have" if there != 1 else "has"
        lines.append(f"{many(there, 'sample')} of these {kept} a vector by {plain(made)}.")
    return " ".join(lines)


def _mixture(ctx: Any, field: str, record: Record, held: int, *, everything: bool, whole: bool) -> str | None:
    """Why vectors cannot go into a field; None if they can."""
    vectors = VectorField(ctx.dataset, field)
    try:
        vectors.check_free()
    except TatorError as problem:
        return str(problem)
    known = vectors.record
    if known is None or not held or known.matches(record) or (everything and whole):
        return None
    return (
        f"The field {field!r} holds vectors of {known.dimensions:,} numbers by {known.source.label}; these would be "
        f"{record.dimensions:,} numbers by {record.source.label}, and two models cannot be compared. Name another "
        "field, or embed the whole dataset anew."
    )


def best_map() -> str:
    """The method to propose: UMAP where it is installed."""
    return "pca" if importlib.util.find_spec("umap") is None else "umap"


def map_field(inputs: types.Object, name: str, chosen: Any, *, optional: bool = False) -> str:
    """The field for the method of a map.

    Args:
        inputs: the form
        name: the parameter
        chosen: what it holds
        optional: whether there may be no map

    Returns:
        the method that it holds
    """
    best = best_map()
    choices: dict[str, tuple[str, str | None]] = {NO_MAP: ("None", None)} if optional else {}
    choices |= {each: (NAMES[each], said) for each, said in MAPS.items() if best == "umap" or each != "umap"}
    default = str(chosen) if chosen in choices else best
    choice(inputs, name, choices, default, "Map", "Shown in the Embeddings panel", view=types.DropdownView())
    if best != "umap":
        note(inputs, f"UMAP is not to be had here: {UMAP}.")
    return default


def _then(inputs: types.Object, given: _Given) -> None:
    map_field(inputs, "map", given.get("map"), optional=True)
    inputs.bool(
        "similarity",
        default=given.default("similarity", True),
        label="Similarity index",
        description="Sorts the grid by similarity to a sample",
        view=types.SwitchView(space=6),
    )
    inputs.bool(
        "suggestions",
        default=given.default("suggestions"),
        label="Suggestions of labels",
        description="For samples without one, from those that have one",
        view=types.SwitchView(space=6),
    )


def _more(inputs: types.Object, given: _Given, *, remote: bool) -> None:
    third = types.View(space=4)
    if remote:
        sizes = {"batch_size": ("Pictures a call", 2, 4096), "in_flight": ("Calls at a time", 1, 16)}
        for name, (label, least, most) in sizes.items():
            inputs.int(name, default=given.default(name), min=least, max=most, label=label, view=third)
        inputs.str("path", default=given.default("path"), label="Path of the call", view=third)
    inputs.str(
        "brain_key",
        default=given.default("brain_key"),
        required=False,
        label="Name of map and index",
        description="The field's name, if left empty",
        view=types.View(space=6),
    )
    inputs.int("seed", default=given.default("seed"), min=0, label="Seed of the map", view=types.View(space=6))
