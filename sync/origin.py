"""Where a dataset comes from, and what is kept beside it: what all work on an imported dataset begins with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import fiftyone as fo
import fiftyone.core.odm as foo
from bson import ObjectId
from pymongo.collection import Collection
from pymongo.database import Database

from fiftyone_tator.sync.base import BaseStore, Identity
from fiftyone_tator.sync.dataset import INFO, LAYOUT, dataset_id, version_names
from fiftyone_tator.sync.errors import NotFromTator
from fiftyone_tator.sync.mapping import ValueMap
from fiftyone_tator.sync.plan import Side
from fiftyone_tator.sync.stamps import Stamps

SIDE_TAGS: dict[str, Side] = {"tator:ours": "ours", "tator:theirs": "theirs"}
"""Tags that decide a conflict, and whose side each takes."""


def side_of(document: Mapping[str, Any], otherwise: Side) -> Side:
    """Which side a sample's tags take.

    Args:
        document: of the sample
        otherwise: for samples without such a tag, and for those with both, which is no choice
    """
    chosen = {SIDE_TAGS[tag] for tag in document.get("tags") or () if tag in SIDE_TAGS}
    return chosen.pop() if len(chosen) == 1 else otherwise


@dataclass(frozen=True)
class Origin:
    """A dataset that was imported from Tator.

    Args:
        dataset: the dataset
        id: its id in MongoDB
        info: ``dataset.info["tator"]``
        values: what people edit in it
        samples: its samples
        store: its base
        stamps: the times that our own writing gave to samples
    """

    dataset: fo.Dataset
    id: ObjectId
    info: Mapping[str, Any]
    values: ValueMap
    samples: Collection[dict[str, Any]]
    store: BaseStore
    stamps: Stamps

    @classmethod
    def of(cls, dataset: fo.Dataset) -> "Origin":
        """Reads what a dataset remembers.

        Args:
            dataset: the dataset

        Raises:
            NotFromTator: if it was not imported by this plugin, or what was agreed on is missing
        """
        dataset.reload()
        info, id = dataset.info.get(INFO), dataset_id(dataset)
        if not isinstance(info, Mapping) or "project" not in info or info.get("layout") != LAYOUT:
            raise NotFromTator(
                f"Dataset {dataset.name!r} was not imported from Tator. Import a project (import_from_tator), and edit "
                "the dataset that it makes."
            )
        database = foo.get_db_conn()
        samples = database[dataset._sample_collection_name]
        values = ValueMap.of_info(info)
        values.absent = values.missing_in(dataset.get_field_schema())
        origin = cls(dataset, id, info, values, samples, BaseStore(database, id), Stamps(database, id, samples))
        if info.get("dataset") != str(id) or (len(dataset) and not origin.store.count()):
            raise NotFromTator(
                f"What was agreed on with Tator is missing for dataset {dataset.name!r}: it is a copy, or was exported "
                "and loaded again. Import once more with the option rebuild: it compares every sample with Tator, tags "
                "what differs as a conflict, and from then on edits travel."
            )
        return origin

    @property
    def database(self) -> Database[dict[str, Any]]:
        """FiftyOne's database."""
        database: Database[dict[str, Any]] = foo.get_db_conn()
        return database

    @property
    def server(self) -> str:
        """The address of its Tator server."""
        return str(self.info["server"])

    @property
    def project(self) -> int:
        """The project's id."""
        return int(self.info["project"]["id"])

    @property
    def versions(self) -> dict[int, str]:
        """The names of its versions by id, those among them that a push has brought."""
        return version_names(self.dataset)

    def know_version(self, version: int, name: str) -> None:
        """Makes a version one of the dataset's, so that its samples can say that they are of it.

        Args:
            version: the version's id
            name: its name in Tator
        """
        known = self.versions
        if version in known:
            return
        called = f"{name} ({version})" if name in known.values() else name
        change = {"$set": {f"info.{INFO}.versions.{version}": called}}
        self.database["datasets"].update_one({"_id": self.id}, change)
        self.dataset.reload()

    def identity(self, document: Mapping[str, Any]) -> Identity | None:
        """Which localization a sample says it is; None if it says none.

        Args:
            document: of the sample
        """
        element, name = document.get("elemental_id"), document.get("version")
        version = next((version for version, known in self.versions.items() if known == name), None)
        return (version, str(element).lower()) if element and version is not None else None

    def projection(self) -> dict[str, bool]:
        """The fields of samples that a push reads: no embeddings, no predictions."""
        names = {field.partition(".")[0] for field in self.values.fields}
        return dict.fromkeys(
            (*sorted(names | set(self.values.media_fields) - {"geometry"}), *_READ),
            True,
        )


_READ = (
    "tags",
    "filepath",
    "last_modified_at",
    "box",
    "points",
    "elemental_id",
    "version",
    "localization_type",
    "media_id",
    "media_name",
    "frame",
    "tator_modified_at",
    "tator_modified_by",
    "tator_conflict",
)
