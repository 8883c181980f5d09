"""Where an option's value comes from: the caller, a config file, the dataset's presets, the App's presets."""

from collections.abc import Mapping
from typing import Any

import fiftyone as fo

from fiftyone_tator.sync.errors import InvalidOption
from fiftyone_tator.sync.options import load_config

PLUGIN = "@tator/sync"
CONFIG_FILE = "config_file"
FORM_ONLY = frozenset({CONFIG_FILE, "more", "view_target"})
"""Parameters that are no options of an import: the form's own."""
LOADED = "loaded_"
"""How the parameters begin that hold what the form's loaders brought."""
EMBEDDINGS = "embeddings"
"""In a preset, what maps the options of embedding to values; they are not the import's."""

Layer = tuple[str, Mapping[str, Any]]


def presets(dataset: Any) -> list[Layer]:
    """The presets under ``plugins["@tator/sync"]`` of the App config and of a dataset's own app config.

    Args:
        dataset: the dataset that is open, or None

    Returns:
        the layers of the import, the weaker first

    Raises:
        InvalidOption: if a preset is no mapping
    """
    return [
        (origin, {key: value for key, value in layer.items() if key != EMBEDDINGS}) for origin, layer in _all(dataset)
    ]


def embedding_layers(dataset: Any, params: Mapping[str, Any]) -> list[Layer]:
    """All layers of the options of embedding, the weakest first.

    Args:
        dataset: the dataset that is open, or None
        params: what the caller said

    Returns:
        what the presets say under ``embeddings``, and what the caller said

    Raises:
        InvalidOption: if a preset is no mapping
    """
    found = []
    for origin, layer in _all(dataset):
        options = layer.get(EMBEDDINGS) or {}
        if not isinstance(options, Mapping):
            raise InvalidOption(f"{origin} for {PLUGIN} should map options to values under {EMBEDDINGS!r}.")
        found.append((f"{origin}, {EMBEDDINGS}", options))
    return [*found, ("The operator's parameters", params)]


def _all(dataset: Any) -> list[Layer]:
    layers: list[Layer] = [("The App config's presets", _plugin(fo.app_config.plugins))]
    if dataset is not None:
        layers.append((f"The presets of dataset {dataset.name!r}", _plugin(dataset.app_config.plugins)))
    for origin, layer in layers:
        if not isinstance(layer, Mapping):
            raise InvalidOption(f"{origin} for {PLUGIN} should map options to values.")
    return layers


def _plugin(plugins: Any) -> Any:
    return (plugins or {}).get(PLUGIN) or {}


def layers(dataset: Any, params: Mapping[str, Any]) -> list[Layer]:
    """All layers of an import's options, the weakest first.

    Args:
        dataset: the dataset that is open, or None
        params: the operator's parameters; what is no option is the form's own and left out

    Returns:
        presets, the config file, and what the caller said

    Raises:
        InvalidOption: if a preset or the config file cannot be used
    """
    found = [_without_file(layer) for layer in presets(dataset)]
    file = params.get(CONFIG_FILE) or next(
        (layer[CONFIG_FILE] for _, layer in reversed(presets(dataset)) if CONFIG_FILE in layer), None
    )
    if file:
        found.append((f"Config file {file}", load_config(file)))
    said = {key: value for key, value in params.items() if key not in FORM_ONLY and not key.startswith(LOADED)}
    found.append(("The operator's parameters", said))
    return found


def _without_file(layer: Layer) -> Layer:
    origin, options = layer
    return origin, {key: value for key, value in options.items() if key != CONFIG_FILE}
