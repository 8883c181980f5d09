"""A project and a dataset that were edited on both sides in every way, for tests that push and go back to it."""

import json
from typing import Any

import fiftyone as fo
import fiftyone.core.odm as foo

from fiftyone_tator.sandbox.schema import VISIBLE
from fiftyone_tator.sync.origin import Origin

GROUP, MOVED, SINGLE = range(20), range(20, 48), range(48, 51)
"""Boxes that are relabelled in bulk, that move, each to another place, and that get quotes one by one."""
LEFT, OURS, ALIKE, TAKEN, GONE, DECIDED, DELETED, DISPUTED, QUIET, NEW = range(51, 61)
"""One box each: in conflict, in conflict and ours, changed alike, changed on both sides, deleted there, and there for
good, deleted here, deleted here and changed there, untouched; and one that is new here."""
OPTIONS = {"deletions": True}
QUOTES = 'it\'s 100 %\n"wrecked"'


class Scene:
    """A project and a dataset that were edited on both sides, as they were before the push.

    Args:
        house: the project
    """

    def __init__(self, house: Any) -> None:
        self.house = house
        self.model = house.version("Model")
        self.media = [house.media(f"img_{number}.png") for number in range(3)]
        specs = [self._spec(number) for number in range(60)]
        self.elements = house.boxes(*specs)
        self.track = self._track([GROUP[0], MOVED[0], MOVED[1], SINGLE[0], QUIET])
        house.run()
        self._edit_there()
        self._edit_here()
        self._keep()

    def _spec(self, number: int) -> dict[str, Any]:
        version = self.model if number in SINGLE else self.house.versions["Baseline"]
        spec: dict[str, Any] = self.house.spec(self.media[number % 3], x=0.01 * number, version=version)
        if number == MOVED[2]:
            spec["attributes"]["notes"] = None
        return spec

    def _track(self, members: list[int]) -> int:
        house, store = self.house, self.house.tator.store
        kind = store.add_state_type(house.project, "Track", "Localization", list(house.media_types.values()))
        ids = [self._newest(number) for number in members]
        state = {"project": house.project, "type": kind, "version": house.versions["Baseline"], "attributes": {}}
        (track,) = store.add_states([{**state, "localizations": ids, "media": self.media}])
        self.members = {self.elements[number] for number in members}
        return int(track)

    def _newest(self, number: int) -> int:
        sql = "select id from localization where elemental_id = ? order by mark desc limit 1"
        return int(self.house.tator.store.row(sql, (self.elements[number],))[0])

    def _edit_there(self) -> None:
        house, elements = self.house, self.elements
        for number in (LEFT, OURS):
            house.edit(elements[number], Label="cod")
        house.edit(elements[ALIKE], Label="eel")
        for number in (TAKEN, GROUP[1], DISPUTED):
            house.edit(elements[number], notes="theirs")
        house.delete(elements[GONE], elements[DECIDED])

    def _edit_here(self) -> None:
        dataset = self.house.dataset()
        self.samples = [dict(zip(*dataset.values(["elemental_id", "id"]), strict=True))[e] for e in self.elements]
        self.edit("ground_truth.label", dict.fromkeys((*GROUP, LEFT, OURS, ALIKE, TAKEN, GONE, DECIDED), "eel"))
        self.edit("box", {number: [0.5, 0.01 * number, 0.25, 0.125] for number in MOVED})
        self.edit("notes", {MOVED[3]: None, **dict.fromkeys(SINGLE, QUOTES)})
        self.edit("tags", {OURS: ["tator:ours"], DECIDED: ["tator:theirs"]})
        dataset.delete_samples([self.samples[number] for number in (DELETED, DISPUTED)])
        sample = fo.Sample(filepath=dataset[self.samples[QUIET]].filepath)
        sample["ground_truth"] = fo.Classification(label="new")
        sample["media_id"], sample["version"], sample["box"] = self.media[0], "Model", [0.1, 0.2, 0.3, 0.4]
        dataset.add_sample(sample)
        self.samples.append(sample.id)

    def edit(self, field: str, values: dict[int, Any]) -> None:
        """Sets a value of some samples, as people and their tools do."""
        by_id = {self.samples[number]: value for number, value in values.items()}
        self.house.dataset().set_values(field, by_id, key_field="id")

    # back to the beginning

    def _keep(self) -> None:
        store, project = self.house.tator.store, self.house.project
        self.rows = {
            table: [tuple(row) for row in store.rows(f"select * from {table} where {where}", (project,))]
            for table, where in _TABLES.items()
        }
        self.documents = {name: list(table.find(query)) for name, (table, query) in self._collections().items()}
        self.files = {path: path.read_bytes() for path in self.house.folder.rglob("*.*") if path.is_file()}

    def _collections(self) -> dict[str, Any]:
        database, dataset = foo.get_db_conn(), self.house.dataset()
        names = ("base", "media_base", "stamps", "journal", "proposals")
        found = {name: (database[f"tator_sync.{name}"], {"dataset": dataset._doc.id}) for name in names}
        return {
            **found,
            "samples": (database[dataset._sample_collection_name], {}),
            "datasets": (database["datasets"], {"_id": dataset._doc.id}),
            "leases": (database["tator_sync.leases"], {"_id": dataset.name}),
        }

    def restore(self) -> None:
        """Brings Tator, MongoDB and the files back to what they were before the push."""
        with self.house.tator.store.write() as db:
            for table, where in reversed(_TABLES.items()):
                db.execute(f"delete from {table} where {where}", (self.house.project,))
            for table, rows in self.rows.items():
                for row in rows:
                    db.execute(f"insert into {table} values ({', '.join('?' * len(row))})", row)
        for name, (table, query) in self._collections().items():
            table.delete_many(query)
            if self.documents[name]:
                table.insert_many(self.documents[name])
        for path, data in self.files.items():
            if not path.exists():
                path.write_bytes(data)
        self.house.dataset().clear_cache()

    # what is compared

    def name(self, element: str) -> int:
        return self.elements.index(element) if element in self.elements else NEW

    def theirs(self) -> dict[Any, Any]:
        """What Tator shows."""
        sql = "select * from localization where project = ? and live = ?"
        rows = self.house.tator.store.rows(sql, (self.house.project, VISIBLE))
        found = {
            self.name(row["elemental_id"]): {
                **json.loads(row["attributes"]),
                **{key: row[key] for key in ("version", "x", "y", "width", "height", "frame", "created_by")},
            }
            for row in rows
        }
        assert len(found) == len(rows), "a localization is there twice"
        return found

    def marks(self) -> dict[Any, int]:
        sql = "select elemental_id, count(*) from localization where project = ? group by elemental_id"
        return {self.name(row[0]): row[1] for row in self.house.tator.store.rows(sql, (self.house.project,))}

    def ours(self) -> dict[Any, Any]:
        """What the samples say, but for times."""
        rest = ("tator_created_at", "tator_modified_at", "tator_modified_by", "tator_url")
        return {
            self.name(element): {k: v for k, v in document.items() if k not in ("elemental_id", *rest)}
            for (_, element), document in self.house.documents().items()
        }

    def base(self) -> dict[Any, Any]:
        """What was agreed on."""
        origin = Origin.of(self.house.dataset())
        rows = [row for block in origin.store.blocks(1_000) for row in block]
        return {self.name(row.elemental_id): origin.values.comparable(origin.values.agreed(row.row)) for row in rows}

    def check_track(self) -> None:
        """The track holds the newest marks of its members, and no others."""
        sql = """select l.elemental_id, l.live from state_localization s join localization l on l.id = s.localization
            where s.state = ?"""
        rows = self.house.tator.store.rows(sql, (self.track,))
        assert sorted(tuple(row) for row in rows) == sorted((element, VISIBLE) for element in self.members)

    def check_journal(self) -> None:
        table, query = self._collections()["journal"]
        assert table.count_documents({**query, "state": {"$ne": "done"}}) == 0

    def everything(self) -> dict[str, Any]:
        self.check_track()
        self.check_journal()
        return {"theirs": self.theirs(), "ours": self.ours(), "base": self.base()}


_MARKS = "select id from localization where project = ?"
_TABLES = {
    "localization": "project = ?",
    "state": "project = ?",
    "state_localization": "state in (select id from state where project = ?)",
}


def check(scene: Scene, clean: Any) -> None:
    """All is as a push leaves it that nothing happened to."""
    found = scene.everything()
    for side in ("theirs", "base", "ours"):
        different = {
            number for number in {*found[side], *clean[side]} if found[side].get(number) != clean[side].get(number)
        }
        assert {n: found[side].get(n) for n in different} == {n: clean[side].get(n) for n in different}, side
    assert scene.marks() == clean["marks"]
