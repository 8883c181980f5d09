"""Embedding the pictures of a dataset."""

import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import fiftyone as fo
import numpy as np
import pytest
from bson import ObjectId
from fiftyone.core.odm import get_db_conn

from fiftyone_tator.embeddings.computing import compute
from fiftyone_tator.embeddings.embedder import Embedded, Picture, Source
from fiftyone_tator.embeddings.errors import BadVectors, NothingToEmbed, OtherModel, ServiceAway
from fiftyone_tator.embeddings.options import EmbedOptions
from fiftyone_tator.embeddings.vectors import VectorField
from fiftyone_tator.sync.errors import Busy, InvalidOption
from fiftyone_tator.sync.lease import Lease
from fiftyone_tator.sync.progress import Cancelled, Progress


class Colours:
    """An embedder that is what it says: the mean colour of a picture, and a constant.

    Args:
        model: its name
        dimensions: of its vectors
        away_after: pictures after which it is away
        batch: pictures a batch
        entered: called with each batch before it is embedded
    """

    def __init__(
        self,
        model: str = "colours",
        *,
        dimensions: int = 4,
        away_after: int | None = None,
        batch: int = 3,
        before: Callable[[int], None] = lambda done: None,
        drifts_after: int | None = None,
    ) -> None:
        self.source = Source("descriptor", model, None, "1")
        self.dimensions, self.away_after, self.batch = dimensions, away_after, batch
        self.before, self.drifts_after = before, drifts_after
        self.asked: list[str] = []

    def __enter__(self) -> "Colours":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def probe(self) -> Any:
        return np.arange(1, self.dimensions + 1, dtype=np.float32)

    def embed(self, pictures: Iterable[Picture]) -> Iterator[Embedded]:
        batch: list[Picture] = []
        for picture in pictures:
            if self.away_after is not None and len(self.asked) >= self.away_after:
                raise ServiceAway("The colours are away. Ask later.")
            self.asked.append(picture.path)
            batch.append(picture)
            if len(batch) == self.batch:
                yield self.done(batch)
                batch = []
        if batch:
            yield self.done(batch)

    def done(self, batch: list[Picture]) -> Embedded:
        self.before(len(self.asked))
        found = {picture.key: cv2.imread(picture.path) for picture in batch}
        there = {key: pixels for key, pixels in found.items() if pixels is not None}
        drifted = self.drifts_after is not None and len(self.asked) > self.drifts_after
        size = self.dimensions + drifted
        vectors = np.ones((len(there), size), np.float32)
        for row, pixels in enumerate(there.values()):
            vectors[row, :3] = pixels.reshape(-1, 3).mean(axis=0)[: min(3, size)]
        return Embedded(list(there), vectors, {key: "it cannot be read" for key in found if key not in there})


@pytest.fixture
def dataset(tmp_path: Path) -> Iterator[fo.Dataset]:
    found = fo.Dataset()
    samples = []
    for number in range(10):
        path = tmp_path / f"{number}.png"
        cv2.imwrite(str(path), np.full((8, 8, 3), 20 * number, np.uint8))
        samples.append(fo.Sample(filepath=str(path)))
    found.add_samples(samples)
    yield found
    found.delete()


def stored(dataset: fo.Dataset, field: str = "descriptor") -> dict[str, list[float]]:
    """First numbers by file name."""
    dataset.reload()
    rows = zip(dataset.values("filepath"), dataset.values(field), strict=True)
    return {Path(path).stem: vector[:2].tolist() for path, vector in rows if vector is not None}


WHOLE = {str(number): [20.0 * number, 20.0 * number] for number in range(10)}


def test_every_picture_gets_its_own_vector_and_the_result_says_so(dataset: fo.Dataset) -> None:
    result = compute(Colours(), dataset, EmbedOptions())
    assert stored(dataset) == WHOLE
    said = result.as_json()
    assert (said["embedded"], said["already"], said["failed"], said["dimensions"]) == (10, 0, 0, 4)
    assert (said["field"], said["model"]) == ("descriptor", "colours 1")


def test_samples_that_are_held_show_their_vectors(dataset: fo.Dataset) -> None:
    held = dataset.first()
    compute(Colours(), dataset, EmbedOptions())
    assert held["descriptor"] is not None


def test_a_second_run_asks_only_for_what_is_missing(dataset: fo.Dataset) -> None:
    first, second = Colours(), Colours()
    some = [ObjectId(id) for id in dataset.values("id")[:4]]
    compute(first, dataset, EmbedOptions(), samples=some)
    result = compute(second, dataset, EmbedOptions())
    assert (len(first.asked), len(second.asked)) == (4, 6)
    assert (result.embedded, result.already) == (6, 4)
    assert stored(dataset) == WHOLE


def test_everything_is_embedded_again_where_that_is_asked_for(dataset: fo.Dataset) -> None:
    compute(Colours(), dataset, EmbedOptions())
    cv2.imwrite(dataset.first().filepath, np.full((8, 8, 3), 255, np.uint8))
    again = Colours()
    result = compute(again, dataset, EmbedOptions(everything=True))
    assert (len(again.asked), result.embedded, result.already) == (10, 10, 0)
    assert stored(dataset) == {**WHOLE, "0": [255, 255]}


def test_a_run_that_ends_early_keeps_what_came_and_the_next_goes_on_from_there(dataset: fo.Dataset) -> None:
    with pytest.raises(ServiceAway, match="6 of 10 were embedded and are kept; do the same again"):
        compute(Colours(away_after=7), dataset, EmbedOptions())
    assert stored(dataset) == {key: WHOLE[key] for key in list(WHOLE)[:6]}
    again = Colours()
    compute(again, dataset, EmbedOptions())
    assert len(again.asked) == 4
    assert stored(dataset) == WHOLE


def test_a_run_that_is_cancelled_keeps_what_came(dataset: fo.Dataset) -> None:
    def report(progress: Progress) -> None:
        if progress.stage == "Embedding":
            raise Cancelled

    told: list[int] = []

    def after_two_batches(progress: Progress) -> None:
        told.append(progress.done)

    with pytest.raises(Cancelled):
        compute(Colours(), dataset, EmbedOptions(), report=report)
    assert stored(dataset) == {}
    compute(Colours(), dataset, EmbedOptions(), report=after_two_batches)
    assert stored(dataset) == WHOLE and told


def test_pictures_without_a_vector_are_named_with_the_reason_and_asked_for_again(dataset: fo.Dataset) -> None:
    gone = Path(dataset.first().filepath)
    pixels = gone.read_bytes()
    gone.unlink()
    result = compute(Colours(), dataset, EmbedOptions())
    assert (result.embedded, result.failed, dict(result.reasons)) == (9, 1, {"it cannot be read": 1})
    assert [(each.sample, each.picture) for each in result.failures] == [(dataset.first().id, str(gone))]
    gone.write_bytes(pixels)
    assert compute(Colours(), dataset, EmbedOptions()).embedded == 1
    assert stored(dataset) == WHOLE


def test_a_sample_that_is_deleted_meanwhile_is_counted_as_gone(dataset: fo.Dataset) -> None:
    first = dataset.first().id

    def delete(done: int) -> None:
        if done == 3:
            get_db_conn()[dataset._sample_collection_name].delete_one({"_id": ObjectId(first)})

    result = compute(Colours(before=delete), dataset, EmbedOptions())
    assert (result.embedded, result.gone) == (9, 1)
    assert stored(dataset) == {key: WHOLE[key] for key in list(WHOLE)[1:]}


@pytest.mark.parametrize(
    "other", [Colours("shades"), Colours(dimensions=5)], ids=["another model", "another number of dimensions"]
)
def test_two_models_are_never_mixed_and_the_way_out_is_told(dataset: fo.Dataset, other: Colours) -> None:
    some = [ObjectId(id) for id in dataset.values("id")[:4]]
    compute(Colours(), dataset, EmbedOptions(), samples=some)
    before = stored(dataset)
    for options, samples in ((EmbedOptions(), None), (EmbedOptions(everything=True), some)):
        with pytest.raises(OtherModel, match=r"holds 4 vectors.*Name another field, or embed everything"):
            compute(other, dataset, options, samples=samples)
    assert stored(dataset) == before and other.asked == []
    compute(other, dataset, EmbedOptions(field="other"))
    assert set(stored(dataset, "other")) == set(WHOLE) and stored(dataset) == before


def test_everything_of_the_whole_dataset_may_change_its_model_also_when_it_is_interrupted(dataset: fo.Dataset) -> None:
    compute(Colours(), dataset, EmbedOptions())
    with pytest.raises(ServiceAway):
        compute(Colours("shades", dimensions=5, away_after=4), dataset, EmbedOptions(everything=True))
    record = VectorField(dataset, "descriptor").record
    assert record is not None and (record.source.model, record.dimensions) == ("shades", 5)
    assert {len(vector) for vector in dataset.values("descriptor") if vector is not None} == {5}
    again = Colours("shades", dimensions=5)
    compute(again, dataset, EmbedOptions())
    assert len(again.asked) == 7


def test_a_model_that_changes_meanwhile_ends_the_run_before_its_vectors_are_stored(dataset: fo.Dataset) -> None:
    with pytest.raises(BadVectors, match=r"A vector of 5 numbers came where all have 4.*6 of 10 were embedded"):
        compute(Colours(drifts_after=6), dataset, EmbedOptions())
    assert {len(vector) for vector in dataset.values("descriptor") if vector is not None} == {4}


def test_of_two_runs_on_one_field_the_second_is_told_who_is_there(dataset: fo.Dataset) -> None:
    with (
        Lease(get_db_conn(), dataset.name, purpose="embedding", key=f"{dataset._doc.id} descriptor"),
        pytest.raises(Busy, match="Somebody is embedding on dataset"),
    ):
        compute(Colours(), dataset, EmbedOptions())
    assert dataset.get_field("descriptor") is None


def test_vectors_are_stored_while_others_are_being_made(dataset: fo.Dataset, tmp_path: Path) -> None:
    table, path = dataset._sample_collection, dataset.first().filepath
    table.insert_many(
        [{**each, "_id": ObjectId()} for each in table.find() for _ in range(250)]
    )  # fmt: skip
    seen = threading.Event()

    def look(done: int) -> None:
        if done > 2_000 and not seen.is_set() and table.count_documents({"descriptor": {"$ne": None}}):
            seen.set()

    result = compute(Colours(batch=100, before=look), dataset, EmbedOptions())
    assert (result.embedded, seen.is_set(), Path(path).exists()) == (2_510, True, True)


def test_without_pictures_there_is_a_reason() -> None:
    empty, videos = fo.Dataset(), fo.Dataset()
    videos.add_samples([fo.Sample(filepath="/nowhere/one.mp4")])
    with pytest.raises(NothingToEmbed, match="There is no sample to embed"):
        compute(Colours(), empty, EmbedOptions())
    with pytest.raises(NothingToEmbed, match=r"holds no pictures \(video\)"):
        compute(Colours(), videos, EmbedOptions())
    empty.delete()
    videos.delete()


def test_an_empty_view_has_nothing_to_embed(dataset: fo.Dataset) -> None:
    with pytest.raises(NothingToEmbed, match="There is no sample to embed"):
        compute(Colours(), dataset, EmbedOptions(), samples=[])


def test_a_picture_that_changes_while_it_is_embedded_gets_no_vector_of_what_it_was(dataset: fo.Dataset) -> None:
    path = dataset.first().filepath

    def cut_anew(done: int) -> None:
        if done == 6:
            cv2.imwrite(path, np.full((9, 9, 3), 7, np.uint8))

    result = compute(Colours(before=cut_anew), dataset, EmbedOptions())
    assert (result.embedded, result.failed, list(result.reasons)) == (9, 1, [result.failures[0].reason])
    assert "its picture changed meanwhile" in result.failures[0].reason
    assert stored(dataset).keys() == WHOLE.keys() - {"0"}
    compute(Colours(), dataset, EmbedOptions())
    assert stored(dataset)["0"] == [7, 7]


@pytest.mark.parametrize("away", ["delete", "rename"])
def test_a_field_that_goes_away_meanwhile_ends_the_run_and_samples_can_still_be_read(
    dataset: fo.Dataset, away: str
) -> None:
    compute(Colours(), dataset, EmbedOptions(), samples=[ObjectId(dataset.first().id)])

    def go(done: int) -> None:
        if done == 6 and away == "delete":
            fo.load_dataset(dataset.name).delete_sample_field("descriptor")
        elif done == 6:
            fo.load_dataset(dataset.name).rename_sample_field("descriptor", "mine")

    with pytest.raises(OtherModel, match="was deleted or renamed meanwhile"):
        compute(Colours(before=go), dataset, EmbedOptions())
    dataset.reload()
    fo.Sample._clear(dataset._sample_collection_name)
    assert len([sample.filepath for sample in dataset]) == 10
    assert dataset._sample_collection.count_documents({"descriptor": {"$exists": True}}) == 0


def test_two_models_do_not_mix_when_the_dataset_is_renamed_meanwhile(dataset: fo.Dataset) -> None:
    other = Colours("shades", dimensions=5)

    def rename(done: int) -> None:
        if done == 6:
            dataset.name = f"{dataset.name}-renamed"
            with pytest.raises(Busy):
                compute(other, dataset, EmbedOptions(everything=True))

    compute(Colours(before=rename), dataset, EmbedOptions())
    assert stored(dataset) == WHOLE and other.asked == []


def test_embedding_everything_goes_on_where_it_was_interrupted(dataset: fo.Dataset) -> None:
    compute(Colours(), dataset, EmbedOptions())
    for number in range(10):
        cv2.imwrite(dataset.skip(number).first().filepath, np.full((8, 8, 3), 20 * number + 5, np.uint8))
    with pytest.raises(ServiceAway, match="6 of 10"):
        compute(Colours(away_after=7), dataset, EmbedOptions(everything=True))
    again, afterwards = Colours(), Colours()
    result = compute(again, dataset, EmbedOptions(everything=True))
    assert (len(again.asked), result.embedded, result.already) == (4, 4, 6)
    assert stored(dataset) == {key: [value + 5, value + 5] for key, (value, _) in WHOLE.items()}
    compute(afterwards, dataset, EmbedOptions(everything=True))
    assert len(afterwards.asked) == 10


def test_what_is_remembered_of_the_service_is_renewed_when_everything_is_embedded_anew(dataset: fo.Dataset) -> None:
    moved = Colours()
    moved.source = Source("descriptor", "colours", "http://moved", "2")
    compute(Colours(), dataset, EmbedOptions())
    compute(moved, dataset, EmbedOptions(everything=True))
    record = VectorField(dataset, "descriptor").record
    assert record is not None and record.source == moved.source


def test_samples_that_are_not_there_do_not_count_as_embedded_already(dataset: fo.Dataset) -> None:
    result = compute(Colours(), dataset, EmbedOptions(), samples=[ObjectId(dataset.first().id), ObjectId()])
    assert (result.embedded, result.already) == (1, 0)


@pytest.mark.parametrize("name", ["a.b", "_id", "$x", "x y", "1st", "save", "filepath", "group"])
def test_a_field_that_fiftyone_could_not_read_is_refused_before_anything_is_embedded(
    dataset: fo.Dataset, name: str
) -> None:
    embedder = Colours()
    with pytest.raises(InvalidOption, match="cannot be called"):
        compute(embedder, dataset, EmbedOptions(field=name))
    assert embedder.asked == [] and len(list(dataset)) == 10
