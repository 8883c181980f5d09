"""The dataset: made, recognised, given its fields, indexes and sidebar, and told where it comes from."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

import fiftyone as fo
from bson import ObjectId
from fiftyone.core.dataset import _validate_dataset_name
from fiftyone.core.odm import create_field, get_db_conn

from fiftyone_tator.media.folders import safe_name
from fiftyone_tator.sync.base import BaseStore
from fiftyone_tator.sync.errors import InvalidOption, NotFromTator
from fiftyone_tator.sync.fields import LABEL_FIELD, Field, FieldMap, label_defaults
from fiftyone_tator.sync.scope import Scope

INFO = "tator"
FORMAT = 1
LAYOUT = "crops"
CONFLICT_TAG = "tator:conflict"
CONFLICT_FIELD = "tator_conflict"
REBUILDING = "rebuilding"
CLAIMS = "tator_sync.crop_folders"

_KINDS: dict[str, Any] = {
    "string": (fo.StringField, {}),
    "enum": (fo.StringField, {}),
    "int": (fo.IntField, {}),
    "float": (fo.FloatField, {}),
    "bool": (fo.BooleanField, {}),
    "datetime": (fo.DateTimeField, {}),
    "geopos": (fo.EmbeddedDocumentField, {"embedded_doc_type": fo.GeoLocation}),
    "float_array": (fo.VectorField, {}),
}

_OWN: dict[str, Any] = {
    LABEL_FIELD: (fo.EmbeddedDocumentField, {"embedded_doc_type": fo.Classification}),
    "elemental_id": (fo.StringField, {}),
    "version": (fo.StringField, {}),
    "localization_type": (fo.StringField, {}),
    "media_id": (fo.IntField, {}),
    "media_name": (fo.StringField, {}),
    "frame": (fo.IntField, {}),
    "box": (fo.ListField, {"subfield": fo.FloatField}),
    "tator_url": (fo.StringField, {}),
    "tator_created_at": (fo.DateTimeField, {}),
    "tator_created_by": (fo.StringField, {}),
    "tator_modified_at": (fo.DateTimeField, {}),
    "tator_modified_by": (fo.StringField, {}),
    CONFLICT_FIELD: (fo.StringField, {}),
}

_INDEXED = (
    # FiftyOne's own, which a dataset lacks whose making was interrupted.
    "filepath",
    "created_at",
    "last_modified_at",
    "elemental_id",
    "media_id",
    "media_name",
    "version",
    "localization_type",
    "tator_modified_at",
    f"{LABEL_FIELD}.label",
    f"{LABEL_FIELD}.confidence",
)

_PLACE = ("version", "localization_type", "media_name", "frame")
_HISTORY = ("tator_created_at", "tator_created_by", "tator_modified_at", "tator_modified_by", "tator_url")
_PLUMBING = ("id", "filepath", "created_at", "last_modified_at", "elemental_id", "media_id", "box", "points")


OWNED = frozenset({*_OWN} - {LABEL_FIELD, "box"})
"""Fields that say what Tator says; FiftyOne keeps people from editing them."""


def open_dataset(name: str, scope: Scope, *, rebuild: bool = False) -> fo.Dataset | None:
    """Loads a dataset to import into, if there is one.

    Args:
        name: the dataset's name
        scope: what shall be imported
        rebuild: whether it may lack what was agreed on with Tator

    Returns:
        the dataset, or None

    Raises:
        InvalidOption: if a new dataset cannot have this name
        NotFromTator: if it holds something else than crops of this project of this server, or lacks what was agreed on
    """
    if not fo.dataset_exists(name):
        _check_name(name)
        return None
    dataset = fo.load_dataset(name)
    dataset.reload()
    info = dataset.info.get(INFO)
    advice = "Choose another dataset name, or delete that dataset first."
    if not isinstance(info, Mapping) or "project" not in info:
        if len(dataset) == 0 and not dataset.info:
            return dataset
        raise NotFromTator(f"Dataset {name!r} exists and does not come from Tator. {advice}")
    if info.get("layout") != LAYOUT or info.get("format") != FORMAT:
        raise NotFromTator(f"Dataset {name!r} was made in another way (layout {info.get('layout')!r}). {advice}")
    if info["server"] != scope.url or info["project"]["id"] != scope.project.id:
        raise NotFromTator(
            f"Dataset {name!r} comes from project {info['project']['name']!r} on {info['server']}, "
            f"not from {scope.project.name!r} on {scope.url}. {advice}"
        )
    if not rebuild and (reason := lacks_base(dataset)):
        raise NotFromTator(
            f"Dataset {name!r} {reason}. Import with the option rebuild: it compares every sample with Tator, tags "
            "what differs as a conflict, and from then on imports are as usual. Or choose another dataset name."
        )
    return dataset


def lacks_base(dataset: fo.Dataset) -> str | None:
    """Why nobody knows what was agreed on with Tator for a dataset's samples, as the end of a sentence; None if it is
    known.

    Args:
        dataset: the dataset
    """
    info, database = dataset.info.get(INFO, {}), get_db_conn()
    if info.get("dataset") not in (None, str(dataset_id(dataset))):
        return "is a copy of an imported one, and what was agreed on with Tator belongs to the original"
    if info.get(REBUILDING):
        return "is being rebuilt, and that did not come to its end"
    samples = database[dataset._sample_collection_name]
    if BaseStore(database, dataset_id(dataset)).count() or not samples.find_one({"elemental_id": {"$type": "string"}}):
        return None
    return "comes from Tator, but what was agreed on with Tator is missing"


def _check_name(name: str) -> None:
    try:
        _validate_dataset_name(name)
    except ValueError as error:
        raise InvalidOption(f"{error}. Choose another name (dataset_name).") from None


def existing_fields(dataset: fo.Dataset | None) -> tuple[Field, ...]:
    """The fields that earlier imports made for attributes.

    Args:
        dataset: the dataset, or None
    """
    info = {} if dataset is None else dataset.info.get(INFO, {})
    return tuple(Field(**field) for field in info.get("fields", ()))


def remembered_labels(dataset: fo.Dataset | None) -> dict[int, str | None]:
    """The label attributes of earlier imports, per localization type id.

    Args:
        dataset: the dataset, or None
    """
    info = {} if dataset is None else dataset.info.get(INFO, {})
    return {int(kind): attribute for kind, attribute in info.get("label_attributes", {}).items()}


def known_versions(dataset: fo.Dataset) -> frozenset[int]:
    """The ids of the versions that earlier imports brought.

    Args:
        dataset: the dataset
    """
    return frozenset(int(version) for version in dataset.info.get(INFO, {}).get("versions", {}))


def version_names(dataset: fo.Dataset) -> dict[int, str]:
    """How a dataset calls the versions that earlier imports brought, by id.

    Args:
        dataset: the dataset
    """
    return {int(version): name for version, name in dataset.info.get(INFO, {}).get("versions", {}).items()}


def crops_folder(dataset: fo.Dataset, scope: Scope) -> str:
    """The name of a dataset's folder for crops.

    Two datasets of one project may want crops of different sizes, and must not take each other's away: the first one
    has ``crops``, another one a folder with its own name.

    Args:
        dataset: the dataset
        scope: what is imported
    """
    info = dataset.info.get(INFO, {})
    if "crops" in info:
        return str(info["crops"])
    database, mine = get_db_conn(), dataset_id(dataset)
    claims, key = database[CLAIMS], f"{scope.url} {scope.project.id}"
    claims.update_one({"_id": key}, {"$setOnInsert": {"dataset": mine}}, upsert=True)
    holder = claims.find_one({"_id": key})["dataset"]
    if database["datasets"].find_one({"_id": holder}, {"_id": True}) is None:
        # The dataset that had it was deleted; of several that see this only one gets it.
        claims.update_one({"_id": key, "dataset": holder}, {"$set": {"dataset": mine}})
        holder = claims.find_one({"_id": key})["dataset"]
    return "crops" if holder == mine else safe_name(f"crops_{dataset.name}")


def check_labels(dataset: fo.Dataset | None, fields: FieldMap) -> None:
    """Refuses to change what an existing dataset's labels are.

    Args:
        dataset: the dataset, or None
        fields: as the import would have them

    Raises:
        NotFromTator: if a type's label attribute would become another one
    """
    if dataset is None:
        return
    info = dataset.info.get(INFO, {})
    for kind, attribute in info.get("label_attributes", {}).items():
        if int(kind) in fields.label and fields.label[int(kind)] != attribute:
            raise NotFromTator(
                f"The labels of dataset {dataset.name!r} are the attribute {attribute!r}; they cannot become "
                f"{fields.label[int(kind)]!r}. Choose another dataset name for that."
            )


def declare(dataset: fo.Dataset, scope: Scope, fields: FieldMap) -> None:
    """Gives a dataset all fields of an import; those that it has stay.

    Args:
        dataset: the dataset
        scope: what is imported
        fields: the attributes' fields
    """
    wanted = dict(_OWN)
    if any(kind.dtype != "box" for kind in scope.types):
        wanted["points"] = (fo.ListField, {})
    for field in (*fields.fields, *fields.media_fields):
        wanted[field.name] = _KINDS.get(field.dtype, _KINDS["string"])
    wanted["metadata"] = (fo.EmbeddedDocumentField, {"embedded_doc_type": fo.ImageMetadata})
    have = dataset.get_field_schema()
    new = {
        name: create_field(name, kind, read_only=name in OWNED, **options)
        for name, (kind, options) in wanted.items()
        if name not in have or name == "metadata"
    }
    # All at once: add_sample_field loads and saves the whole dataset for each field, which takes seconds for thirty.
    dataset._merge_sample_field_schema(new)
    if dataset.media_type is None:
        dataset.media_type = "image"


def arrange(dataset: fo.Dataset, fields: FieldMap) -> None:
    """Indexes what people filter by, and arranges the sidebar: labels first, plumbing last.

    Args:
        dataset: the dataset
        fields: the attributes' fields
    """
    indexes = set(dataset.list_indexes())
    filtered = [f.name for f in (*fields.fields, *fields.media_fields) if f.dtype in ("enum", "bool", "datetime")]
    for path in (*_INDEXED, *filtered):
        if path not in indexes:
            dataset.create_index(path)
    dataset.app_config.sidebar_groups = sidebar(dataset.get_field_schema(), fields, dataset.app_config.sidebar_groups)
    dataset.save()


def sidebar(schema: Iterable[str], fields: FieldMap, old: Sequence[Any] | None) -> list[Any]:
    """The groups of the App's sidebar.

    Args:
        schema: the names of the dataset's fields
        fields: the attributes' fields
        old: the groups as they are, where somebody arranged them already

    Returns:
        the groups; those of ``old`` come first, with what is new put into the groups of ours
    """
    names = list(schema)
    groups = {
        "tags": (["tags"], True),
        "labels": ([LABEL_FIELD, CONFLICT_FIELD], True),
        "attributes": ([f.name for f in fields.fields], True),
        "where": ([n for n in _PLACE if n in names], True),
        "media": ([f.name for f in fields.media_fields], False),
        "history": ([n for n in _HISTORY if n in names], False),
        "metadata": ([n for n in names if n == "metadata"], False),
    }
    placed = {path for paths, _ in groups.values() for path in paths}
    groups["other"] = [n for n in names if n not in placed and n not in _PLUMBING], False
    groups["plumbing"] = [n for n in _PLUMBING if n in names], False
    documents = {
        name: fo.SidebarGroupDocument(name=name, paths=paths, expanded=expanded)
        for name, (paths, expanded) in groups.items()
        if paths
    }
    if not old:
        return list(documents.values())
    known = {path for group in old for path in group.paths}
    for group in old:
        extra = documents.pop(group.name, None)
        group.paths += [path for path in (extra.paths if extra else ()) if path not in known]
    for group in documents.values():
        group.paths = [path for path in group.paths if path not in known]
    return [*old, *(group for group in documents.values() if group.paths)]


def describe(scope: Scope, fields: FieldMap, old: Mapping[str, Any] | None) -> dict[str, Any]:
    """What ``dataset.info["tator"]`` says of a dataset's origin; what earlier imports brought stays named.

    Args:
        scope: what is imported
        fields: the attributes' fields
        old: what it said before, or None
    """
    earlier = old or {}
    labels = {str(kind): attribute for kind, attribute in fields.label.items()}
    fresh = fields.describe()
    names = {field["name"] for field in fresh}
    return {
        **earlier,
        "format": FORMAT,
        "layout": LAYOUT,
        "server": scope.url,
        "project": {"id": scope.project.id, "name": scope.project.name},
        "versions": {**earlier.get("versions", {}), **{str(v.id): v.name for v in scope.versions}},
        "types": {**earlier.get("types", {}), **{str(k.id): {"name": k.name, "dtype": k.dtype} for k in scope.types}},
        "label_attributes": {**earlier.get("label_attributes", {}), **labels},
        "label_choices": {**earlier.get("label_choices", {}), **label_choices(scope, fields)},
        "label_defaults": {**earlier.get("label_defaults", {}), **label_defaults(scope.types, fields.label)},
        "score_attributes": {
            **earlier.get("score_attributes", {}),
            **{str(kind): attribute for kind, attribute in fields.score.items()},
        },
        "type_fields": {
            **earlier.get("type_fields", {}),
            **{str(kind): [field.name for field in of_type] for kind, of_type in fields.by_type.items()},
        },
        "fields": [*fresh, *(field for field in earlier.get("fields", ()) if field["name"] not in names)],
    }


def label_choices(scope: Scope, fields: FieldMap) -> dict[str, list[str] | None]:
    """What labels may be, by localization type id: the choices of an enum, or None where any text may be one.

    Args:
        scope: what is imported
        fields: names the label attributes
    """
    attributes = {str(kind.id): (kind, fields.label.get(kind.id)) for kind in scope.types}
    return {
        number: next((list(a.choices) for a in kind.attribute_types if a.name == label and a.dtype == "enum"), None)
        for number, (kind, label) in attributes.items()
    }


def save_info(dataset: fo.Dataset, info: Mapping[str, Any]) -> None:
    """Writes ``dataset.info["tator"]``.

    Args:
        dataset: the dataset
        info: what it shall say
    """
    dataset.info[INFO] = dict(info)
    dataset.save()


def mark_unfinished(dataset: fo.Dataset, run: ObjectId) -> None:
    """Notes which base rows may lack their samples if the import dies now.

    Args:
        dataset: the dataset, whose object in memory does not learn of it
        run: what those rows name as their run
    """
    change = {"$set": {f"info.{INFO}.unfinished_run": str(run)}}
    get_db_conn()["datasets"].update_one({"_id": dataset_id(dataset)}, change)


def dataset_id(dataset: fo.Dataset) -> ObjectId:
    """The id that MongoDB knows a dataset by.

    Args:
        dataset: the dataset
    """
    return ObjectId(str(dataset._doc.id))


def now_text() -> str:
    """The time now, in UTC, as ISO text."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
