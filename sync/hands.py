"""What people do by hand to many samples at once: relabel, verify, look at conflicts, find the way back to Tator.

Edits are a few commands to MongoDB, however many samples there are. Each moves ``last_modified_at``, by which edits are
found later, and leaves alone what already is as wanted. No server is asked.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, TypeAlias

import fiftyone as fo
from bson import ObjectId
from bson.errors import InvalidId
from fiftyone.core.odm import get_db_conn
from pymongo import UpdateOne
from pymongo.collection import Collection

from fiftyone_tator.sync.dataset import CONFLICT_TAG, INFO
from fiftyone_tator.sync.documents import classification
from fiftyone_tator.sync.errors import InvalidOption, NotFromTator
from fiftyone_tator.sync.fields import LABEL_FIELD
from fiftyone_tator.sync.held import refresh_held

Samples: TypeAlias = fo.Dataset | fo.DatasetView
Filter = dict[str, Any]

VERIFIED_NAMES = ("verified", "isverified", "verify")
"""What the verified attribute may be called, in small letters and without anything between the words."""

_LABEL, _CONFIDENCE, _TYPE = f"{LABEL_FIELD}.label", f"{LABEL_FIELD}.confidence", "localization_type"
_BLOCK = 50_000
_MOST_CHOICES = 1_000
_MISSING = "not in the dataset any more"


@dataclass(frozen=True, slots=True)
class Labels:
    """What a sample's label may be.

    Args:
        choices: what to offer
        free: whether it may also be any other text
    """

    choices: tuple[str, ...]
    free: bool


@dataclass(slots=True)
class Edited:
    """What an edit did.

    Args:
        changed: how many samples it changed
        same: how many were as wanted before
        left_out: how many were left as they are, by reason
    """

    changed: int = 0
    same: int = 0
    left_out: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        """The result as plain data."""
        return {"changed": self.changed, "same": self.same, "left_out": dict(self.left_out)}

    def sentence(self, what: str) -> str:
        """The result in words.

        Args:
            what: the samples became, for example ``labelled eel``
        """
        one = self.changed == 1
        said = [f"{self.changed:,} {'sample is' if one else 'samples are'} now {what}."]
        if self.same:
            said.append(f"{self.same:,} {'was' if self.same == 1 else 'were'} before.")
        said += [f"{count:,} left out: {why}." for why, count in self.left_out.items()]
        return " ".join(said)


def is_from_tator(dataset: fo.Dataset | None) -> bool:
    """Whether a dataset was made by an import from Tator.

    Args:
        dataset: the dataset, or None
    """
    info = None if dataset is None else dataset.info.get(INFO)
    return isinstance(info, Mapping) and "project" in info


def check_from_tator(dataset: fo.Dataset | None) -> Mapping[str, Any]:
    """Refuses datasets that an import from Tator did not make.

    Args:
        dataset: the dataset, or None

    Returns:
        what ``dataset.info["tator"]`` says

    Raises:
        NotFromTator: if it is another one, or none is open
    """
    if dataset is None:
        raise NotFromTator("No dataset is open. Open one that was imported from Tator.")
    if not is_from_tator(dataset):
        raise NotFromTator(
            f"Dataset {dataset.name!r} does not come from Tator. Open one that does, or make one with "
            "the operator Import from Tator."
        )
    info: Mapping[str, Any] = dataset.info[INFO]
    return info


def labels(dataset: fo.Dataset) -> Labels:
    """What the samples of a dataset may be labelled.

    Args:
        dataset: the dataset

    Returns:
        the choices of the label attribute if it is an enum; else those of the dataset's label schema, or the labels in
        use, and any other text

    Raises:
        NotFromTator: if the dataset does not come from Tator
    """
    info = check_from_tator(dataset)
    enums = _enums(info)
    closed = [choice for choices in enums.values() for choice in choices]
    kinds = [kind for kind, attribute in info.get("label_attributes", {}).items() if attribute is not None]
    if kinds and all(kind in enums for kind in kinds):
        return Labels(tuple(dict.fromkeys(closed)), free=False)
    schema = dataset.label_schemas.get(LABEL_FIELD) or {}
    offered = schema.get("classes") or sorted(filter(None, _table(dataset).distinct(_LABEL)))
    return Labels(tuple(dict.fromkeys([*closed, *map(str, offered)]))[:_MOST_CHOICES], free=True)


def relabel(samples: Samples, label: str, ids: Sequence[str] | None = None) -> Edited:
    """Gives samples a label; what else their labels say stays.

    Args:
        samples: a dataset, or a view of one
        label: the label
        ids: of the samples; all of ``samples`` if None

    Returns:
        what was done; samples whose type in Tator does not take this label are left out

    Raises:
        NotFromTator: if the dataset does not come from Tator
        InvalidOption: if the label is empty, no type takes it, or none of the samples is there
    """
    info = check_from_tator(samples._root_dataset)
    if not isinstance(label, str) or not label.strip():
        raise InvalidOption("The label is empty, and localizations in Tator need one. Say which label to give.")
    if not any(label in choices for choices in _enums(info).values()):
        label = label.strip()
    return _edit(samples, ids, _LABEL, label, _without_label(info, label))


def verified_attribute(dataset: fo.Dataset, attribute: str | None = None) -> tuple[str, str]:
    """The attribute that says whether somebody has verified a localization.

    Args:
        dataset: the dataset
        attribute: its name, or that of its field; if None it is found by its name

    Returns:
        the attribute's name, and that of its field

    Raises:
        NotFromTator: if the dataset does not come from Tator
        InvalidOption: if there is none, or the one that was named is no bool attribute of localizations
    """
    known = bool_attributes(dataset)
    if attribute is not None:
        for name, path in known.items():
            if attribute in (name, path):
                return name, path
        raise InvalidOption(f"{attribute!r} is no bool attribute of the localizations. {_advice(known)}")
    plain = {"".join(c for c in name.lower() if c.isalnum()): name for name in reversed(known)}
    for candidate in VERIFIED_NAMES:
        if candidate in plain:
            return plain[candidate], known[plain[candidate]]
    raise InvalidOption(f"No bool attribute of the localizations is called verified. {_advice(known)}")


def bool_attributes(dataset: fo.Dataset) -> dict[str, str]:
    """The bool attributes of a dataset's localizations and their fields.

    Args:
        dataset: the dataset

    Raises:
        NotFromTator: if the dataset does not come from Tator
    """
    fields = check_from_tator(dataset).get("fields", ())
    return {f["attribute"]: f["name"] for f in fields if (f["dtype"], f["source"]) == ("bool", "localization")}


def verify(
    samples: Samples, ids: Sequence[str] | None = None, *, attribute: str | None = None, value: bool = True
) -> Edited:
    """Says of samples that somebody has verified them, or that nobody has.

    Args:
        samples: a dataset, or a view of one
        ids: of the samples; all of ``samples`` if None
        attribute: the bool attribute that says so; if None it is found by its name
        value: whether they are verified

    Returns:
        what was done; samples whose type in Tator lacks the attribute are left out

    Raises:
        NotFromTator: if the dataset does not come from Tator
        InvalidOption: if there is no such attribute, no type has it, or none of the samples is there
    """
    dataset = samples._root_dataset
    info = check_from_tator(dataset)
    name, path = verified_attribute(dataset, attribute)
    having = info.get("type_fields", {})
    refused = {
        kind["name"]: f"type {kind['name']} has no attribute {name}"
        for number, kind in info["types"].items()
        if number in having and path not in having[number]
    }
    return _edit(samples, ids, path, bool(value), refused)


def conflicts(dataset: fo.Dataset) -> tuple[fo.DatasetView, int]:
    """The samples of which both sides changed the same value.

    Args:
        dataset: the dataset

    Returns:
        a view of them, and how many they are

    Raises:
        NotFromTator: if the dataset does not come from Tator
    """
    check_from_tator(dataset)
    return dataset.match_tags(CONFLICT_TAG), _table(dataset).count_documents({"tags": CONFLICT_TAG})


def addresses(samples: Samples, ids: Sequence[str], most: int = 100) -> list[tuple[str, str]]:
    """Where samples are to be seen in Tator.

    Args:
        samples: a dataset, or a view of one
        ids: of the samples
        most: no more than so many

    Returns:
        what to call each one, and its address, in the order of the ids; without those that have none

    Raises:
        NotFromTator: if the dataset does not come from Tator
        InvalidOption: if none of them has an address
    """
    dataset = samples._root_dataset
    check_from_tator(dataset)
    wanted = ("tator_url", "media_name", _LABEL)
    query = {"_id": {"$in": _object_ids(ids[:most])}, "tator_url": {"$regex": "^https?://"}}
    found = {str(each["_id"]): each for each in _table(dataset).find(query, dict.fromkeys(wanted, True))}
    if not found:
        raise InvalidOption(
            f"None of these {len(ids):,} is a sample with an address in Tator. Choose samples that were imported."
        )
    return [(_title(found[each]), found[each]["tator_url"]) for each in dict.fromkeys(ids[:most]) if each in found]


def _title(document: Mapping[str, Any]) -> str:
    label = (document.get(LABEL_FIELD) or {}).get("label")
    return " in ".join(str(part) for part in (label, document.get("media_name")) if part) or str(document["_id"])


def _edit(
    samples: Samples, ids: Sequence[str] | None, path: str, value: Any, refused: Mapping[str | None, str]
) -> Edited:
    """Sets one value of many samples.

    Args:
        samples: a dataset, or a view of one
        ids: of the samples; all if None
        path: of the field
        value: what it shall hold
        refused: the localization types whose samples stay as they are, and why
    """
    dataset, edited = samples._root_dataset, Edited()
    table = _table(dataset)
    blocks = list(_blocks(samples, ids))
    counts: Counter[str | None] = Counter()
    for block in blocks:
        grouped = [{"$match": block}, {"$group": {"_id": f"${_TYPE}", "count": {"$sum": 1}}}]
        counts.update({row["_id"]: row["count"] for row in table.aggregate(grouped)})
    _check(dataset, ids, counts, refused)
    now = datetime.now(timezone.utc).replace(tzinfo=None)
    # MongoDB keeps milliseconds.
    now = now.replace(microsecond=now.microsecond // 1000 * 1000)
    others = {_TYPE: {"$nin": list(refused)}} if refused else {}
    for block in blocks:
        edited.changed += _write(table, {**block, **others}, path, value, now)
    edited.left_out.update({why: counts[kind] for kind, why in refused.items() if counts[kind]})
    edited.same = counts.total() - edited.left_out.total() - edited.changed
    if ids is not None and (gone := len(set(ids)) - counts.total()):
        edited.left_out[_MISSING] += gone
    refresh_held(dataset)
    return edited


def _check(
    dataset: fo.Dataset, ids: Sequence[str] | None, counts: Counter[str | None], refused: Mapping[str | None, str]
) -> None:
    if ids is not None and not counts:
        raise InvalidOption(
            f"None of the {len(ids):,} chosen is a sample of dataset {dataset.name!r}. "
            "Choose some in its grid of samples, and reload the App if they were deleted."
        )
    if counts and set(counts) <= set(refused):
        reasons = "; ".join(refused[kind] for kind in counts)
        raise InvalidOption(f"None of the {counts.total():,} samples can have this: {reasons}.")


def _write(table: Collection[dict[str, Any]], query: Filter, path: str, value: Any, now: datetime) -> int:
    """Sets one value where it is another one.

    Returns:
        how many samples that changed
    """
    made = 0
    if path == _LABEL:
        fresh = [
            UpdateOne(
                {"_id": each["_id"], LABEL_FIELD: None},
                {"$set": {LABEL_FIELD: classification({_LABEL: value, _CONFIDENCE: None}), "last_modified_at": now}},
            )
            for each in table.find({**query, LABEL_FIELD: None}, {"_id": True})
        ]
        made = table.bulk_write(fresh, ordered=False).modified_count if fresh else 0
        query = {**query, LABEL_FIELD: {"$ne": None}}
    change = {"$set": {path: value, "last_modified_at": now}}
    # Without the hint, MongoDB may walk the index of the very values that are being changed.
    hint = "_id_" if "_id" in query else None
    return made + table.update_many({**query, path: {"$ne": value}}, change, hint=hint).modified_count


def _blocks(samples: Samples, ids: Sequence[str] | None) -> Iterator[Filter]:
    """Filters for samples, each small enough for one command."""
    if ids is None and isinstance(samples, fo.Dataset):
        yield {}
        return
    chosen = _object_ids(samples.values("id") if ids is None else list(dict.fromkeys(ids)))
    for start in range(0, len(chosen), _BLOCK):
        yield {"_id": {"$in": chosen[start : start + _BLOCK]}}


def _object_ids(ids: Sequence[str]) -> list[ObjectId]:
    try:
        return [ObjectId(each) for each in ids]
    except (InvalidId, TypeError) as error:
        raise InvalidOption(f"A sample's id cannot be used: {error}. Give ids as dataset.values('id') does.") from None


def _enums(info: Mapping[str, Any]) -> dict[str, list[str]]:
    """The choices of the label attribute by localization type id, for types whose label is an enum."""
    known = info.get("label_choices") or {}
    return {kind: choices for kind, choices in known.items() if choices}


def _without_label(info: Mapping[str, Any], label: str) -> dict[str | None, str]:
    """The localization types that do not take a label, by name, and why."""
    enums, attributes = _enums(info), info.get("label_attributes", {})
    refused: dict[str | None, str] = {}
    for number, kind in info["types"].items():
        if number in attributes and attributes[number] is None:
            refused[kind["name"]] = f"type {kind['name']} has no label in Tator"
        elif number in enums and label not in enums[number]:
            choices = ", ".join(enums[number][:12]) + (", ..." if len(enums[number]) > 12 else "")
            refused[kind["name"]] = f"{label!r} is no choice of {attributes[number]} of type {kind['name']} ({choices})"
    return refused


def _advice(known: Mapping[str, str]) -> str:
    if not known:
        return "They have no bool attribute at all; add one to their type in Tator, and import again."
    return f"Name one of: {', '.join(known)} (attribute)."


def _table(dataset: fo.Dataset) -> Collection[dict[str, Any]]:
    table: Collection[dict[str, Any]] = get_db_conn()[dataset._sample_collection_name]
    return table
