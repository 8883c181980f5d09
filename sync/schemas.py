"""Label schemas: what the App's Annotate tab offers for each field, in the types of the project.

Each import publishes them anew. What it published is remembered in ``dataset.info["tator"]["label_schemas"]``, so that
a schema as it was published follows the project, and what a person made of one stays:

* A schema that a person changed keeps its component and settings. Only its choices follow the project: new ones are
  added, those that are gone go, and those that a person added or took out stay added or out.
* A schema that a person deactivated stays so, and one that was deleted stays deleted.
* The order of the tab stays as it is; new fields find their place beside their neighbours.

What Tator owns is read-only whatever somebody made of its schema, because an edit of it would reach nobody.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import fiftyone as fo
import fiftyone.core.odm as foo

from fiftyone_tator.sync.dataset import OWNED
from fiftyone_tator.sync.fields import LABEL_FIELD, Field, FieldMap
from fiftyone_tator.sync.scope import Scope
from fiftyone_tator.tator_client import AttributeType

Schema = dict[str, Any]

CHOICES_AT_MOST = 1_000
"""FiftyOne takes no longer list of choices."""

# Null and the empty text, which are no choices, may be among them.
_LOOKED_AT = CHOICES_AT_MOST + 3
_RADIO_AT_MOST = 5
_CHOICES = {"classes", "values"}

_BASICS: dict[str, Schema] = {
    "string": {"type": "str", "component": "text"},
    "enum": {"type": "str", "component": "text"},
    "int": {"type": "int", "component": "text"},
    "float": {"type": "float", "component": "text"},
    "bool": {"type": "bool", "component": "toggle"},
    "datetime": {"type": "datetime", "component": "datepicker"},
}
_UNEDITABLE = frozenset({"geopos", "float_array"})

_OWNED_TYPES = {fo.StringField: "string", fo.IntField: "int", fo.FloatField: "float", fo.DateTimeField: "datetime"}


def label_schema(label: Sequence[AttributeType], score: Sequence[AttributeType], used: Sequence[str]) -> Schema:
    """The schema of ``ground_truth``.

    Args:
        label: the label attributes of the chosen types
        score: their score attributes
        used: the labels that the dataset has

    Returns:
        the schema: the choices of enums, and after them the labels in use where a label may be any text; read-only
        where no type has a label. Its one attribute is the confidence, where a type has a score.
    """
    schema: Schema = {"type": "classification", "component": "text", "attributes": []}
    if score:
        schema["attributes"].append({"name": "confidence", **_number("float", score)})
    if not label:
        return {**schema, "read_only": True}
    free = any(attribute.dtype != "enum" for attribute in label)
    return {**schema, **_choice("classes", [*_choices(label), *(used if free else ())])}


def attribute_schema(field: Field, attributes: Sequence[AttributeType], used: Sequence[str] = ()) -> Schema | None:
    """The schema of an attribute's field.

    Args:
        field: the field
        attributes: the attributes that go to it, one of each type that has it
        used: the values that the dataset has, if it is an enum. Tator keeps values that are no choice any more, and
            the tab takes a value away as soon as somebody opens it and it is no choice.

    Returns:
        the schema, or None where the tab cannot show such a field. A field of media is read-only, and so is one of an
        attribute type that is not known.
    """
    if field.dtype in _UNEDITABLE:
        return None
    schema = dict(_BASICS.get(field.dtype, _BASICS["string"]))
    if field.source == "media" or field.dtype not in _BASICS:
        return {**schema, "read_only": True}
    if field.dtype == "enum":
        choices = dict.fromkeys([*_choices(attributes), *used])
        return {**schema, **_choice("values", choices)} if len(choices) <= CHOICES_AT_MOST else schema
    return _number(field.dtype, attributes) if field.dtype in ("int", "float") else schema


def owned_schema(kind: fo.Field) -> Schema | None:
    """The schema of a field that Tator owns.

    Args:
        kind: the dataset's field

    Returns:
        the schema, or None where the tab cannot show such a field
    """
    dtype = _OWNED_TYPES.get(type(kind))
    return None if dtype is None else {**_BASICS[dtype], "read_only": True}


def _choices(attributes: Iterable[AttributeType]) -> list[str]:
    return [choice for attribute in attributes for choice in attribute.choices]


def _choice(key: str, values: Iterable[str]) -> Schema:
    """A component to choose by; text where there is nothing to choose from."""
    choices = list(islice(dict.fromkeys(value for value in values if value), CHOICES_AT_MOST))
    if not choices:
        return {"component": "text"}
    return {"component": "radio" if len(choices) <= _RADIO_AT_MOST else "dropdown", key: choices}


def _number(dtype: str, attributes: Sequence[AttributeType]) -> Schema:
    """A number; a slider where all types bound it from both sides."""
    bounds = [(attribute.minimum, attribute.maximum) for attribute in attributes]
    low = [minimum for minimum, _ in bounds if minimum is not None]
    high = [maximum for _, maximum in bounds if maximum is not None]
    if not bounds or len(low) < len(bounds) or len(high) < len(bounds) or min(low) >= max(high):
        return dict(_BASICS[dtype])
    make = int if dtype == "int" else float
    return {"type": dtype, "component": "slider", "range": [make(min(low)), make(max(high))]}


def merged(published: Schema | None, stored: Schema | None, fresh: Schema) -> Schema | None:
    """One schema after what was published, what a person made of it, and what would be published now.

    Args:
        published: by the import before, or None
        stored: as the dataset has it, or None
        fresh: as this import would have it

    Returns:
        the schema to store, or None where a person deleted it
    """
    if stored is None:
        return fresh if published is None else None
    if stored == published:
        return fresh
    schema = dict(stored)
    for key in _CHOICES & stored.keys() & fresh.keys():
        schema[key] = _merged_choices((published or {}).get(key, ()), stored[key], fresh[key])
        if schema.get("default") not in schema[key]:
            schema.pop("default", None)
    if fresh.get("read_only"):
        schema["read_only"] = True
    return schema


def _merged_choices(published: Collection[str], stored: Sequence[str], fresh: Sequence[str]) -> list[str]:
    kept = [choice for choice in stored if choice in fresh or choice not in published]
    new = [choice for choice in fresh if choice not in stored and choice not in published]
    return [*kept, *new][:CHOICES_AT_MOST]


def activated(active: Sequence[str], new: Collection[str], order: Sequence[str]) -> list[str]:
    """The active fields with new ones among them.

    Args:
        active: those that are active, in the order of the tab
        new: those to activate
        order: how all of them would be ordered

    Returns:
        the active fields; a new one comes after the field that is before it in ``order``
    """
    result = list(active)
    for position, name in enumerate(order):
        if name in new and name not in result:
            before = next((other for other in reversed(order[:position]) if other in result), None)
            result.insert(0 if before is None else result.index(before) + 1, name)
    return result


def wanted(
    scope: Scope, fields: FieldMap, have: Mapping[str, fo.Field], used: Mapping[str, Sequence[str]]
) -> dict[str, Schema]:
    """The schemas of all fields that come from Tator.

    Args:
        scope: what is imported
        fields: the attributes' fields
        have: the dataset's fields, in the order of the sidebar
        used: by field the values to choose from that the dataset has; the labels under ``ground_truth``

    Returns:
        schemas by field, without those that the Annotate tab cannot show: the label first, then what can be edited,
        then what is read-only
    """
    types = {kind.id: {attribute.name: attribute for attribute in kind.attribute_types} for kind in scope.types}
    label, score = (
        [types[kind][name] for kind, name in chosen.items() if name is not None]
        for chosen in (fields.label, fields.score)
    )
    found: dict[str, Schema | None] = {LABEL_FIELD: label_schema(label, score, used.get(LABEL_FIELD, ()))}
    for field in (*fields.fields, *fields.media_fields):
        goes_here = [types[kind][field.attribute] for kind, all_ in fields.by_type.items() if field in all_]
        found[field.name] = attribute_schema(field, goes_here, used.get(field.name, ()))
    for name in OWNED & have.keys():
        found[name] = owned_schema(have[name])
    schemas = [(name, schema) for name in have if (schema := found.get(name)) is not None]
    return dict(sorted(schemas, key=lambda item: (item[0] != LABEL_FIELD, item[1].get("read_only", False))))


def in_use(dataset: fo.Dataset, path: str) -> list[str]:
    """The values of a text field that has an index, sorted; of more than a thousand the most used ones.

    Args:
        dataset: the dataset
        path: the field
    """
    samples = foo.get_db_conn()[dataset._sample_collection_name]
    # Sorted and grouped by the same indexed value, MongoDB jumps from one to the next.
    each = [{"$sort": {path: 1}}, {"$group": {"_id": f"${path}"}}, {"$limit": _LOOKED_AT}]
    found = [row["_id"] for row in samples.aggregate(each) if row["_id"]]
    if len(found) > CHOICES_AT_MOST:
        counted = samples.aggregate([{"$sortByCount": f"${path}"}, {"$limit": _LOOKED_AT}])
        found = [row["_id"] for row in counted if row["_id"]]
    return sorted(found[:CHOICES_AT_MOST])


def publish(
    dataset: fo.Dataset, scope: Scope, fields: FieldMap, published: Mapping[str, Schema] | None
) -> dict[str, Schema]:
    """Gives a dataset the label schemas of an import and activates those that are new; what people did to them stays.

    Args:
        dataset: the dataset, with all its fields and samples
        scope: what is imported
        fields: the attributes' fields
        published: what the import before returned, or None

    Returns:
        what is published now, to be remembered until the next import
    """
    # Somebody may have changed them in the App while the import was running.
    dataset.reload()
    before = published or {}
    stored = dataset.label_schemas
    have = dataset.get_field_schema()
    order = [path for group in dataset.app_config.sidebar_groups for path in group.paths if path in have]
    used = {field.name: in_use(dataset, field.name) for field in fields.fields if field.dtype == "enum"}
    used[LABEL_FIELD] = in_use(dataset, f"{LABEL_FIELD}.label")
    fresh = wanted(scope, fields, {path: have[path] for path in order}, used)
    results = {name: merged(before.get(name), stored.get(name), schema) for name, schema in fresh.items()}
    schemas = {**stored, **{name: schema for name, schema in results.items() if schema is not None}}
    active = activated(dataset.active_label_schemas, fresh.keys() - before.keys(), list(fresh))
    if (schemas, active) != (stored, dataset.active_label_schemas):
        # All at once: FiftyOne's own methods validate and save once a field, and refuse what the App itself stored.
        dataset._doc.label_schemas = schemas
        dataset._doc.active_label_schemas = active
        dataset.save()
    return {**before, **fresh}
