"""Small projects in a sandbox on a real socket, imported into FiftyOne's real MongoDB."""

import hashlib
import io
import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fiftyone_tator.sandbox.database import dumps
from fiftyone_tator.sandbox.seed import add_members
from fiftyone_tator.sandbox.store import MediaFile
from fiftyone_tator.sandbox.testing import Running, running

ATTRIBUTES = (
    {"name": "Label", "dtype": "string", "default": "unknown"},
    {"name": "score", "dtype": "float", "default": 0.0},
    {"name": "verified", "dtype": "bool", "default": False},
    {"name": "count", "dtype": "int", "default": 0},
    {"name": "quality", "dtype": "enum", "choices": ["good", "fair", "bad"], "default": "good"},
    {"name": "seen_at", "dtype": "datetime"},
    {"name": "embedding", "dtype": "float_array", "size": 3},
    {"name": "notes", "dtype": "string", "default": ""},
    {"name": "geo", "dtype": "geopos"},
)
MEDIA_ATTRIBUTES = (
    {"name": "Station", "dtype": "string", "default": "S0"},
    {"name": "count", "dtype": "int", "default": 0},
    {"name": "reviewed", "dtype": "bool", "default": False},
)
VOLATILE = {"_id", "_rand", "_dataset_id", "created_at", "last_modified_at"}

_names = (f"{number:04d}" for number in itertools.count())


def encoded(pixels: Any, kind: str = "PNG", **options: Any) -> bytes:
    """The bytes of a picture."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(seed: int, width: int = 64, height: int = 48) -> Any:
    """A picture like no other."""
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)


@dataclass
class House:
    """A project of its own in the sandbox, and the folder that its imports fill.

    Args:
        tator: the sandbox
        root: the data folder
    """

    tator: Running
    root: Path
    name: str = field(init=False)
    project: int = field(init=False)
    versions: dict[str, int] = field(default_factory=dict)
    media_types: dict[str, int] = field(default_factory=dict)
    types: dict[str, int] = field(default_factory=dict)
    sessions: list[Any] = field(default_factory=list)
    made: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        store, seeded = self.tator.store, self.tator.seeded
        self.name = f"House {next(_names)}"
        self.project = store.add_project(self.name, seeded.organization, created_by=seeded.users["admin"])
        add_members(store, self.project, seeded.users)
        for dtype in ("image", "video"):
            kind = store.add_media_type(self.project, dtype.title(), dtype, attribute_types=MEDIA_ATTRIBUTES)
            self.media_types[dtype] = kind
        self.version("Baseline")
        self.type("Box", "box")

    # what is in Tator

    def version(self, name: str) -> int:
        self.versions[name] = self.tator.store.add_version(self.project, name)
        return self.versions[name]

    def type(self, name: str, dtype: str, attributes: Any = ATTRIBUTES) -> int:
        kinds = list(self.media_types.values())
        kind = self.tator.store.add_localization_type(self.project, name, dtype, kinds, attribute_types=attributes)
        self.types[name] = kind
        return kind

    def media(self, name: str, data: bytes | None = None, *, dtype: str = "image", **options: Any) -> int:
        """Adds a media; a picture of its own where no bytes are given."""
        if data is None:
            data = encoded(noise(int(hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()[:8], 16)))
        size = options.pop("size", None)
        if size is None:
            with Image.open(io.BytesIO(data)) as image:
                size = image.size
        file = MediaFile("image" if dtype == "image" else "archival", "image.png", data, (size[1], size[0]))
        attributes = {"Station": "S0", "count": 0, "reviewed": False, **options.pop("attributes", {})}
        files = options.pop("files", [file])
        return self.tator.store.add_media(
            self.project, self.media_types[dtype], name, files, width=size[0], height=size[1], attributes=attributes,
            **options,
        )  # fmt: skip

    def spec(self, media: int, **changes: Any) -> dict[str, Any]:
        attributes = {"Label": "crab", "score": 0.5, "verified": False, "count": 1, "quality": "good", "notes": ""}
        editor = self.tator.seeded.users["editor"]
        row = {
            "project": self.project, "type": self.types["Box"], "media": media, "version": self.versions["Baseline"],
            "x": 0.25, "y": 0.25, "width": 0.5, "height": 0.25, "elemental_id": str(uuid.uuid4()),
            "created_by": editor, **changes,
        }  # fmt: skip
        return {**row, "attributes": {**attributes, **changes.get("attributes", {})}}

    def boxes(self, *specs: dict[str, Any]) -> list[str]:
        """Adds localizations; gives their elemental ids."""
        self.tator.store.add_localizations(specs)
        return [spec["elemental_id"] for spec in specs]

    def box(self, media: int, **changes: Any) -> str:
        return self.boxes(self.spec(media, **changes))[0]

    def edit(self, element: str, version: str = "Baseline", *, geometry: Any = None, **attributes: Any) -> None:
        self.client().update_localization(
            self.versions[version], element, attributes=attributes or None, geometry=geometry
        )

    def delete(self, *elements: str, version: str = "Baseline") -> None:
        assert self.client().delete_localizations(self.project, self.versions[version], elements) == len(elements)

    def alter_media(self, media: int, **columns: Any) -> None:
        """Changes a media behind the API's back, as Tator's own pages do."""
        store = self.tator.store
        if "attributes" in columns:
            was = json.loads(store.row("select attributes from media where id = ?", (media,))[0])
            columns["attributes"] = dumps({**was, **columns["attributes"]})
        names = ", ".join(f"{name} = ?" for name in columns)
        with store.write() as db:
            db.execute(f"update media set {names} where id = ?", (*columns.values(), media))

    def replace_picture(self, media: int, data: bytes) -> None:
        files = json.loads(self.tator.store.row("select media_files from media where id = ?", (media,))[0])
        files["image"][0]["size"] = self.tator.store.put_object(files["image"][0]["path"], data)
        digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
        self.alter_media(media, media_files=dumps(files), md5=digest)

    def picture_file(self, media: int) -> Path:
        """Where the sandbox keeps a picture."""
        files = json.loads(self.tator.store.row("select media_files from media where id = ?", (media,))[0])
        return Path(self.tator.store.media_dir) / str(files["image"][0]["path"])

    # importing

    def client(self, user: str = "editor", **options: Any) -> Any:
        from fiftyone_tator.tator_client import Tator

        if options or user != "editor" or not self.sessions:
            session = Tator(self.tator.url, self.tator.tokens[user], **options)
            self.sessions.append(session)
            if options or user != "editor":
                return session
        return self.sessions[0]

    def options(self, **options: Any) -> Any:
        from fiftyone_tator.sync.options import ImportOptions

        name = options.setdefault("dataset_name", f"{self.name} crops".replace(" ", "-").lower())
        # What only a full comparison finds is most of what the tests do; those of the feed ask for it.
        options.setdefault("compare", "full")
        if name not in self.made:
            self.made.append(name)
        return ImportOptions(**{"project": self.project, **options})

    def run(self, client: Any = None, *, root: Path | None = None, report: Any = None, **options: Any) -> Any:
        from fiftyone_tator.sync.importing import import_project

        return import_project(client or self.client(), self.options(**options), root=root or self.root, report=report)

    def push(
        self, client: Any = None, *, name: str | None = None, samples: Any = None, report: Any = None, **options: Any
    ) -> Any:
        from fiftyone_tator.sync.push_options import PushOptions
        from fiftyone_tator.sync.pushing import push_to_tator

        return push_to_tator(
            client or self.client(), self.dataset(name), PushOptions(**options), samples=samples, report=report
        )

    def row(self, element: str, version: str = "Baseline") -> Any:
        """A localization as Tator has it now; None if it is not there."""
        found = self.client().read_localizations(self.project, elemental_ids=[element], version=self.versions[version])
        return found[0] if found else None

    def marks(self, element: str, version: str = "Baseline") -> int:
        """How many marks a localization has."""
        sql = "select count(*) from localization where elemental_id = ? and version = ?"
        return int(self.tator.store.row(sql, (element, self.versions[version]))[0])

    def dataset(self, name: str | None = None) -> Any:
        import fiftyone as fo

        dataset = fo.load_dataset(name or self.made[0])
        dataset.reload()
        return dataset

    def sample(self, element: str, name: str | None = None) -> Any:
        return self.dataset(name).one({"$expr": {"$eq": ["$elemental_id", element]}})

    @property
    def folder(self) -> Path:
        return self.root / f"project_{self.project}"

    # what an import made, in a form to compare

    def documents(self, name: str | None = None) -> dict[tuple[str, str], dict[str, Any]]:
        """The samples as MongoDB has them, without what differs from run to run."""
        import fiftyone.core.odm as foo

        dataset = self.dataset(name)
        found = list(foo.get_db_conn()[dataset._sample_collection_name].find())
        documents = {(d["version"], d["elemental_id"]): self._plain(d, dataset) for d in found}
        assert len(documents) == len(found), "a localization has two samples"
        return documents

    def _plain(self, document: dict[str, Any], dataset: Any) -> dict[str, Any]:
        plain: dict[str, Any] = json.loads(json.dumps(document, default=str))
        for label in plain.values():
            if isinstance(label, dict):
                label.pop("_id", None)
        plain["filepath"] = os.path.relpath(document["filepath"], self._crops(dataset))
        return {key: value for key, value in plain.items() if key not in VOLATILE and value is not None}

    def _crops(self, dataset: Any) -> str:
        return os.path.join(self._folder_of(dataset), dataset.info["tator"]["crops"])

    def _folder_of(self, dataset: Any) -> str:
        first = dataset.first() if len(dataset) else None
        return (
            os.path.join(first.filepath.partition(f"/project_{self.project}/")[0], f"project_{self.project}")
            if first
            else str(self.folder)
        )

    def base(self, name: str | None = None) -> dict[tuple[int, str], dict[str, Any]]:
        """The base rows without what differs from run to run; each names a sample or one that was deleted."""
        import fiftyone.core.odm as foo

        from fiftyone_tator.sync.base import COLLECTION

        dataset = self.dataset(name)
        there = {str(id_) for id_ in dataset.values("id")}
        rows = list(foo.get_db_conn()[COLLECTION].find({"dataset": dataset._doc.id}))
        return {
            (r["version"], r["elemental_id"]): {
                **{k: v for k, v in r.items() if k not in ("_id", "dataset", "run", "sample")},
                "sample": str(r["sample"]) in there,
            }
            for r in rows
        }

    def crops(self, name: str | None = None) -> dict[str, bytes]:
        """The files in a dataset's folder for crops."""
        folder = Path(self._crops(self.dataset(name)))
        return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}

    def info(self, name: str | None = None) -> dict[str, Any]:
        info = dict(self.dataset(name).info["tator"])
        for key in ("last_import", "crops", "dataset", "feed"):
            info.pop(key, None)
        return info

    def everything(self, name: str | None = None) -> dict[str, Any]:
        """All that an import made."""
        dataset = self.dataset(name)
        return {
            "documents": self.documents(name),
            "base": self.base(name),
            "crops": self.crops(name),
            "info": self.info(name),
            "schema": {path: str(kind) for path, kind in dataset.get_field_schema(flat=True).items()},
            "indexes": sorted(dataset.list_indexes()),
            "sidebar": [(g.name, list(g.paths), g.expanded) for g in dataset.app_config.sidebar_groups],
        }

    def stored(self, name: str | None = None) -> list[dict[str, Any]]:
        """The samples exactly as MongoDB has them."""
        import fiftyone.core.odm as foo

        collection = foo.get_db_conn()[self.dataset(name)._sample_collection_name]
        return list(collection.find().sort("_id", 1))

    def close(self) -> None:
        import fiftyone as fo

        for session in self.sessions:
            session.close()
        for name in self.made:
            if fo.dataset_exists(name):
                fo.delete_dataset(name)


@pytest.fixture(scope="session")
def tator() -> Iterator[Running]:
    with running() as sandbox:
        yield sandbox


@pytest.fixture
def house(tator: Running, tmp_path: Path) -> Iterator[House]:
    """An empty project: version Baseline, type Box."""
    house = House(tator, tmp_path)
    yield house
    tator.faults.clear()
    house.close()


@pytest.fixture(scope="module")
def shared_house(tator: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A project for all tests of a module."""
    house = House(tator, tmp_path_factory.mktemp("shared"))
    yield house
    tator.faults.clear()
    house.close()


@pytest.fixture
def village(house: House) -> House:
    """Three pictures with two boxes each."""
    for number in range(3):
        media = house.media(f"img_{number}.png")
        house.boxes(
            house.spec(media, attributes={"Label": "crab", "score": 0.25, "embedding": [0.5, -1.0, number]}),
            house.spec(media, x=0.0, y=0.0, width=0.1, height=0.1, attributes={"Label": "kelp", "count": number}),
        )
    return house


@pytest.fixture
def edited_meanwhile(village: House) -> Callable[..., Any]:
    """Imports, and edits a sample while a picture is downloaded; gives the result of the import."""

    def run(element: str, edit: Callable[[Any], None], **options: Any) -> Any:
        shutil.rmtree(village.folder / "download")
        faults, results = village.tator.faults, []
        faults.forget()
        faults.arm("GET /objects", "slow", seconds=1.5, times=0)
        thread = threading.Thread(target=lambda: results.append(village.run(**options)))
        thread.start()
        try:
            while not faults.requests("GET /objects"):
                assert thread.is_alive(), "the import ended before"
            edit(village.sample(element))
        finally:
            thread.join()
            faults.clear()
        return results[0].as_json()

    return run


@pytest.fixture(scope="session")
def picture() -> Callable[..., bytes]:
    """Makes the bytes of a picture: of pixels, or of noise."""

    def make(pixels: Any = 0, kind: str = "PNG", *, width: int = 64, height: int = 48, **options: Any) -> bytes:
        return encoded(noise(pixels, width, height) if isinstance(pixels, int) else pixels, kind, **options)

    return make


@pytest.fixture(scope="session")
def elements() -> Callable[[House], list[str]]:
    """The elemental ids of a project's localizations in the order of their making."""

    def find(house: House) -> list[str]:
        sql = "select elemental_id from localization where project = ? and mark = 0 order by id"
        return [row[0] for row in house.tator.store.rows(sql, (house.project,))]

    return find


class Mortal:
    """Runs imports and pushes in processes that end themselves, all of a sudden, at a step that was named.

    A step is a request to Tator, a command that changes MongoDB, or a change of a file below the data folder. One
    process imports FiftyOne once and forks for each run.
    """

    def __init__(self) -> None:
        script = Path(__file__).with_name("mortal_import.py")
        self._process = subprocess.Popen(
            [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(
        self, house: House, *, die_at: int = 0, die_on: str = "", root: Path | None = None, **options: Any
    ) -> dict[str, Any]:
        """Imports; gives the number of steps, how the process ended, and the step at which it died.

        Args:
            house: the project
            die_at: the number of the step to die at, 0 for none
            die_on: text that a step's name must hold to be counted
            root: the data folder
            **options: of the import
        """
        chosen = house.options(**options).model_dump(exclude_none=True)
        return self._do(house, "import", die_at, die_on, root=str(root or house.root), options=chosen)

    def push(
        self, house: House, *, die_at: int = 0, die_on: str = "", name: str | None = None, **options: Any
    ) -> dict[str, Any]:
        """Pushes; gives what :meth:`run` gives.

        Args:
            house: the project
            die_at: the number of the step to die at, 0 for none
            die_on: text that a step's name must hold to be counted
            name: the dataset's name
            **options: of the push
        """
        return self._do(house, "push", die_at, die_on, dataset=name or house.made[0], options=options)

    def _do(self, house: House, work: str, die_at: int, die_on: str, **task: Any) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        server = {"url": house.tator.url, "token": house.tator.tokens["editor"], "root": str(house.root)}
        task = {**server, "work": work, "die_at": die_at, "die_on": die_on, **task}
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


@pytest.fixture(scope="session")
def mortal() -> Iterator[Mortal]:
    found = Mortal()
    yield found
    found.close()


@pytest.fixture
def unique_names(house: House) -> Callable[[int], Sequence[str]]:
    def make(count: int) -> Sequence[str]:
        return [f"{house.name} {number}".replace(" ", "-").lower() for number in range(count)]

    return make


@pytest.fixture(scope="module")
def house_of(tator: Running) -> Iterator[Callable[[Path], House]]:
    """Makes more projects for all tests of a module."""
    houses: list[House] = []

    def make(root: Path) -> House:
        houses.append(House(tator, root))
        return houses[-1]

    yield make
    for house in houses:
        house.close()
