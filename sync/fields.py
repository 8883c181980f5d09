"""From a project's types to the fields of a dataset.

The fields follow the project: every attribute of a chosen localization type becomes a field of its own type, and every
attribute of the media too. The label attribute and the score attribute are the two exceptions: they live in
``ground_truth``, as its label and its confidence, where the App looks for them.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fiftyone_tator.sync.errors import InvalidOption
from fiftyone_tator.tator_client import AttributeType, LocalizationType, MediaType

LABEL_FIELD = "ground_truth"

OWN_FIELDS = (
    LABEL_FIELD,
    "elemental_id",
    "version",
    "localization_type",
    "media_id",
    "media_name",
    "frame",
    "box",
    "points",
    "tator_url",
    "tator_created_at",
    "tator_created_by",
    "tator_modified_at",
    "tator_modified_by",
    "tator_conflict",
)
"""What every dataset has besides the attributes."""

RESERVED = frozenset(
    # What a FiftyOne sample has already: stored fields, then properties and methods of the sample itself,
    # then those of the MongoEngine document behind it, which cannot be read or saved when a field covers them.
    "id filepath tags metadata created_at last_modified_at media_type dataset_id sample_id frames frame_number group "
    "support rand alpha add_labels clear_field compute_metadata copy dataset dataset_name element_str field_names "
    "filename from_dict from_doc from_json from_frame get_field get_field_schema has_field in_dataset is_view "
    "iter_fields local_path merge open_filepath prefetch_media reload reset_backing_doc save set_field to_dict to_json "
    "to_mongo_dict update_fields get_media_key media_reference values "
    "DoesNotExist MultipleObjectsReturned STRICT add_field add_implied_field cascade_save clean collection_name "
    "compare_indexes copy_with_new_id create_index delete drop_collection ensure_indexes fancy_repr field_to_mongo "
    "field_to_python get_text_score in_db list_indexes merge_field_schema modify my_metaclass objects pk "
    "register_delete_rule select_related self switch_collection switch_db to_dbref to_mongo update validate".split()
)
"""Names that an attribute's field must not take."""

LABEL_NAMES = ("Label", "label")
SCORE_NAMES = ("score", "confidence")


@dataclass(frozen=True, slots=True)
class Field:
    """One attribute's field.

    Args:
        name: the field's name in the dataset
        attribute: the attribute's name in Tator
        dtype: the attribute's type in Tator, for example ``float`` or ``enum``
        source: ``localization`` or ``media``
    """

    name: str
    attribute: str
    dtype: str
    source: str = "localization"


@dataclass(frozen=True, slots=True)
class FieldMap:
    """Which attribute of which type goes where.

    Args:
        label: per localization type id, the attribute that becomes ``ground_truth.label``, or None
        score: per localization type id, the attribute that becomes ``ground_truth.confidence``, or None
        fields: the fields of all other attributes of localizations
        media_fields: the fields of the media's attributes
        by_type: per localization type id, the fields that its attributes go to
    """

    label: Mapping[int, str | None]
    score: Mapping[int, str | None]
    fields: tuple[Field, ...]
    media_fields: tuple[Field, ...]
    by_type: Mapping[int, tuple[Field, ...]]

    def describe(self) -> list[dict[str, Any]]:
        """The fields as plain documents, for the dataset's own record.

        Returns:
            one document a field with ``name``, ``attribute``, ``dtype`` and ``source``
        """
        return [asdict(field) for field in (*self.fields, *self.media_fields)]


def find_label(kind: LocalizationType) -> str | None:
    """The attribute of a type that holds the label, where there is no doubt.

    ``Label`` or ``label``, else the type's only enum, else its only string.

    Args:
        kind: the localization type

    Returns:
        the attribute's name, or None where somebody has to be asked
    """
    names = {attribute.name: attribute for attribute in kind.attribute_types}
    for name in LABEL_NAMES:
        if name in names:
            return name
    for dtype in ("enum", "string"):
        candidates = [attribute.name for attribute in kind.attribute_types if attribute.dtype == dtype]
        if len(candidates) == 1:
            return candidates[0]
    return None


def label_candidates(kinds: Iterable[LocalizationType]) -> list[str]:
    """The attributes that could hold a label: the enums and strings of the types.

    Args:
        kinds: the localization types

    Returns:
        their names, each once, in the order of the types
    """
    texts = (a.name for kind in kinds for a in kind.attribute_types if a.dtype in ("enum", "string"))
    return list(dict.fromkeys(texts))


def label_defaults(kinds: Iterable[LocalizationType], labels: Mapping[int, str | None]) -> dict[str, str | None]:
    """What Tator calls what nobody labelled.

    Args:
        kinds: the localization types
        labels: their label attributes, by id

    Returns:
        the label attribute's default by the type's id as text; None where it has none
    """
    attributes = {str(kind.id): [a for a in kind.attribute_types if a.name == labels.get(kind.id)] for kind in kinds}
    return {
        number: str(found[0].default) if found and found[0].default else None for number, found in attributes.items()
    }


def find_score(kind: LocalizationType) -> str | None:
    """The float attribute of a type that holds a confidence: ``score`` or ``confidence`` in any case.

    Args:
        kind: the localization type

    Returns:
        the attribute's name, or None
    """
    floats = sorted(a.name for a in kind.attribute_types if a.dtype == "float")
    exact = [name for name in SCORE_NAMES if name in floats]
    loose = [each for name in SCORE_NAMES for each in floats if each.lower() == name]
    return next(iter((*exact, *loose)), None)


def field_name(attribute: str, taken: Iterable[str], *, prefix: str = "") -> str:
    """A name that FiftyOne accepts for an attribute's field, as near to the attribute's own as can be.

    Args:
        attribute: the attribute's name, any text
        taken: names that are in use already
        prefix: what to put before, for example ``media_``

    Returns:
        the name: not reserved, not taken, without ``.``, ``$``, a ``_`` at its ends and a double one within
    """
    used = set(taken) | RESERVED
    clean = "".join("_" if c in ".$\x00" or not c.isprintable() else c for c in attribute).strip(" _")
    # MongoEngine, through which FiftyOne writes, reads a double one as the dot of a path.
    clean = re.sub("__+", "_", clean)
    name = f"{prefix}{clean or 'attribute'}"
    if name in used:
        name = f"tator_{name}"
    candidate, number = name, 2
    while candidate in used:
        candidate, number = f"{name}_{number}", number + 1
    return candidate


def map_fields(
    kinds: Sequence[LocalizationType],
    media_types: Sequence[MediaType],
    *,
    label_attribute: str | None = None,
    existing: Sequence[Field] = (),
    taken: Iterable[str] = (),
    remembered: Mapping[int, str | None] | None = None,
) -> FieldMap:
    """Gives every attribute its field.

    Types that share an attribute's name and type share its field. The result depends on nothing but the types and the
    fields that the dataset has already, which keep their names.

    Args:
        kinds: the chosen localization types
        media_types: the project's media types
        label_attribute: the label attribute where somebody chose it, for all types that have it
        existing: the fields that earlier imports made
        taken: names of other fields that the dataset has
        remembered: the label attributes of earlier imports, per localization type id

    Returns:
        the map

    Raises:
        InvalidOption: if no chosen type has the label attribute, or a type has none and nobody chose
    """
    label = {kind.id: _label_of(kind, label_attribute, remembered or {}) for kind in kinds}
    if label_attribute is not None and label_attribute not in label.values():
        raise InvalidOption(
            f"No chosen localization type has an attribute {label_attribute!r}. "
            f"Choose one of: {', '.join(label_candidates(kinds)) or '(there is none of text)'}."
        )
    unclear = [kind for kind in kinds if label[kind.id] is None and label_candidates([kind])]
    if label_attribute is None and unclear:
        raise InvalidOption(
            f"The label of localization type {unclear[0].name!r} could be any of: "
            f"{', '.join(label_candidates(unclear))}. Choose one as the label attribute (label_attribute)."
        )
    score = {kind.id: find_score(kind) for kind in kinds}
    known = {(f.source, f.attribute, f.dtype): f for f in existing}
    used = {*OWN_FIELDS, *taken, *(f.name for f in existing)}
    by_type = {
        kind.id: tuple(
            _field(a, "localization", "", known, used)
            for a in _in_order(kind.attribute_types)
            if a.name not in (label[kind.id], score[kind.id])
        )
        for kind in sorted(kinds, key=lambda kind: kind.id)
    }
    media = [_field(a, "media", "media_", known, used) for m in media_types for a in _in_order(m.attribute_types)]
    fields = dict.fromkeys(field for kind in kinds for field in by_type[kind.id])
    return FieldMap(label, score, tuple(fields), tuple(dict.fromkeys(media)), by_type)


def _label_of(kind: LocalizationType, chosen: str | None, remembered: Mapping[int, str | None]) -> str | None:
    names = {attribute.name for attribute in kind.attribute_types}
    for name in (chosen, remembered.get(kind.id)):
        if name in names:
            return name
    return find_label(kind)


def _in_order(attributes: Iterable[AttributeType]) -> list[AttributeType]:
    return sorted(attributes, key=lambda a: (a.order or 0, a.name))


def _field(
    attribute: AttributeType, source: str, prefix: str, known: dict[tuple[str, str, str], Field], taken: set[str]
) -> Field:
    key = source, attribute.name, attribute.dtype
    if key not in known:
        name = field_name(attribute.name, taken, prefix=prefix)
        known[key] = Field(name, attribute.name, attribute.dtype, source)
        taken.add(name)
    return known[key]
