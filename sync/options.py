"""The options of an import: one list, used by the form, by config files, by presets and from Python."""

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from fiftyone_tator.media.crops import CropStyle
from fiftyone_tator.sync.errors import InvalidOption

Name = Annotated[str, Field(min_length=1)]


def _extension(value: Any) -> Any:
    """``.jpg`` of what people write for it: ``JPG``, ``.jpg``, ``*.jpg``."""
    if not isinstance(value, str):
        return value
    bare = value.strip().lower().lstrip("*.")
    return f".{bare}" if bare else ""


class ImportOptions(BaseModel):
    """What to import, and how; every option may be left out but the project.

    Args:
        project: the Tator project, by id or by name
        server: the address of the Tator server, one of those in the secrets; the first one if left out
        versions: the versions to import, by name or id; all of them if left out
        types: the localization types to import, by name or id; the box types if left out
        label_attribute: the attribute that becomes the label; found by itself where there is no doubt
        include_classes: labels to import; all of them if left out
        image_extensions: extensions of media names to import, for example ``[".jpg", ".png"]``; all if left out
        max_samples: import at most so many samples
        crop_size: the longest side of a crop in pixels
        padding: what to show around a localization, as a fraction of its size on each side
        crop_format: ``jpg`` or ``png``
        dataset_name: the dataset's name; ``tator_project_{id}`` if left out
        compare: how to look for changes: ``changes`` reads what Tator lists as changed since the last import, ``full``
            reads and compares everything, ``auto`` reads the changes where that is enough
        rebuild: find out anew what was agreed on with Tator, for a dataset that was cloned, or exported and loaded
            again: every sample is compared with Tator, and what differs becomes a conflict
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    project: Annotated[int, Field(ge=1)] | Name
    server: Name | None = None
    versions: Annotated[list[int | Name], Field(min_length=1)] | None = None
    types: Annotated[list[int | Name], Field(min_length=1)] | None = None
    label_attribute: Name | None = None
    include_classes: Annotated[list[str], Field(min_length=1)] | None = None
    image_extensions: Annotated[list[Annotated[Name, BeforeValidator(_extension)]], Field(min_length=1)] | None = None
    max_samples: Annotated[int, Field(ge=1)] | None = None
    crop_size: Annotated[int, Field(ge=16, le=4096)] = 256
    padding: Annotated[float, Field(ge=0, le=4)] = 0.0
    crop_format: Literal["jpg", "png"] = "jpg"
    dataset_name: Name | None = None
    compare: Literal["auto", "changes", "full"] = "auto"
    rebuild: bool = False

    def style(self, remembered: Mapping[str, Any] | None = None) -> CropStyle:
        """How crops look with these options.

        Args:
            remembered: size, padding and format of earlier imports, for what the options leave out
        """
        earlier = {f"crop_{key}" if key != "padding" else key: value for key, value in (remembered or {}).items()}
        chosen = {key: getattr(self, key) for key in ("crop_size", "padding", "crop_format")}
        chosen |= {key: value for key, value in earlier.items() if key not in self.model_fields_set}
        return CropStyle(size=chosen["crop_size"], padding=chosen["padding"], format=chosen["crop_format"])


OPTION_NAMES = tuple(ImportOptions.model_fields)


M = TypeVar("M", bound=BaseModel)


def parse_options(*layers: tuple[str, Mapping[str, Any]]) -> ImportOptions:
    """Makes options of several layers; a later layer wins, and an empty value (None, "", []) leaves the earlier one.

    Args:
        layers: where each layer comes from, in words for a message, and what it says

    Returns:
        the options

    Raises:
        InvalidOption: naming the layer, the option and what it should be
    """
    for name, layer in layers:
        _check_names(name, layer, OPTION_NAMES)
    if not any(_said(layer.get("project")) for _, layer in layers):
        raise InvalidOption("No project was named. Give its id or its name as the option project.")
    return checked(ImportOptions, *layers)


def checked(model: type[M], *layers: tuple[str, Mapping[str, Any]]) -> M:
    """Makes options of several layers; a later layer wins, and an empty value (None, "", []) leaves the earlier one.

    Args:
        model: what the options are
        layers: where each layer comes from, in words for a message, and what it says

    Returns:
        the options

    Raises:
        InvalidOption: naming the layer, the option and what it should be
    """
    merged: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for name, layer in layers:
        _check_names(name, layer, tuple(model.model_fields))
        for key, value in layer.items():
            if _said(value):
                merged[key], origin[key] = value, name
    try:
        return model(**merged)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = str(first["loc"][0])
        hint = model.model_fields[key]
        raise InvalidOption(
            f"{origin[key]}: the option {key} cannot be {_short(first['input'])}: {first['msg']}. "
            f"It should be {_wanted(hint.annotation)}."
        ) from None


def _said(value: Any) -> bool:
    return value is not None and value != "" and value != []


def _check_names(origin: str, layer: Mapping[str, Any], names: Sequence[str]) -> None:
    for key in layer:
        if key not in names:
            near = difflib.get_close_matches(str(key), names, n=1)
            guess = f"Did you mean {near[0]}?" if near else f"The options are: {', '.join(names)}."
            raise InvalidOption(f"{origin}: there is no option {key!r}. {guess}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _wanted(annotation: Any) -> str:
    """An annotation in words."""
    text = str(annotation)
    if get_origin(annotation) is Literal:
        return " or ".join(map(str, get_args(annotation)))
    if "list[" in text:
        return "a list of names or ids" if "int" in text else "a list of texts"
    if "Mapping[" in text:
        return "names with their values"
    words = [("bool", "true or false"), ("int", "a whole number"), ("float", "a number"), ("str", "a text")]
    found = [word for mark, word in words if mark in text]
    if "Ge(ge=1)" in text and "MinLen" in text:
        return "an id or a name"
    return found[0] if found else "left out"


def load_config(path: str | Path) -> dict[str, Any]:
    """Reads a config file in YAML or JSON.

    Args:
        path: the file

    Returns:
        its options, unchecked

    Raises:
        InvalidOption: if the file cannot be read, is neither YAML nor JSON, or holds no mapping
    """
    file = Path(path).expanduser()
    try:
        text = file.read_text(encoding="utf-8-sig")
        is_json = file.suffix.lower() == ".json" and text.strip()
        content = json.loads(text) if is_json else yaml.safe_load(text)
    except OSError as error:
        raise InvalidOption(f"The config file {file} cannot be read: {error.strerror}. Check its path.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        where = " ".join(str(error).split())
        raise InvalidOption(f"The config file {file} is neither YAML nor JSON: {where}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise InvalidOption(f"The config file {file} should hold options such as 'max_samples: 1000', one a line.")
    return content


def wanted_extension(name: str, extensions: Iterable[str] | None) -> bool:
    """Whether a media's name has one of the wanted extensions.

    Args:
        name: the media's name
        extensions: with their dot, in lower case; None wants all

    Returns:
        True or False
    """
    return extensions is None or name.lower().endswith(tuple(extensions))
