"""Vectors with the samples they belong to."""

from collections.abc import Iterator
from typing import Any

import fiftyone as fo
import fiftyone.core.utils as fou
import numpy as np
import pytest
from bson import Binary, ObjectId
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fiftyone_tator.embeddings.embedder import Source, alike, probe_picture
from fiftyone_tator.embeddings.errors import BadVectors, NoEmbeddings, OtherModel
from fiftyone_tator.embeddings.vectors import BLOCK, Record, VectorField, fields_of, pack, unpack

SOURCE = Source("fastvss", "reef", "http://localhost:8000", "0.15.0")

vectors = hnp.arrays(np.float32, st.integers(1, 1_536), elements=st.floats(width=32, allow_nan=True))


@pytest.fixture
def dataset() -> Iterator[fo.Dataset]:
    found = fo.Dataset(persistent=False)
    found.add_samples([fo.Sample(filepath=f"/nowhere/{number}.jpg") for number in range(6)])
    yield found
    found.delete()


@pytest.fixture
def field(dataset: fo.Dataset) -> VectorField:
    found = VectorField(dataset, "fastvss")
    found.declare(Record.of(SOURCE, np.arange(4, dtype=np.float32)))
    return found


def ids(dataset: fo.Dataset) -> list[ObjectId]:
    return [ObjectId(each) for each in dataset.values("id")]


def documents(dataset: fo.Dataset) -> list[dict[str, Any]]:
    return list(dataset._sample_collection.find().sort("_id", 1))


@given(vectors)
def test_fiftyone_reads_what_is_packed_and_we_read_what_fiftyone_packs(vector: Any) -> None:
    assert np.array_equal(fou.deserialize_numpy_array(pack(vector)), vector, equal_nan=True)
    assert np.array_equal(unpack(pack(vector)), vector, equal_nan=True)
    assert np.array_equal(unpack(fou.serialize_numpy_array(vector)), vector, equal_nan=True)


@given(hnp.arrays(np.float64, st.integers(1, 9), elements=st.floats(-1e6, 1e6)))
def test_vectors_of_other_number_types_are_read_as_float32(vector: Any) -> None:
    assert np.array_equal(unpack(fou.serialize_numpy_array(vector)), vector.astype(np.float32))


@given(st.binary(max_size=40))
def test_bytes_that_are_no_vector_are_refused_in_words(data: bytes) -> None:
    with pytest.raises(BadVectors, match="cannot be read"):
        unpack(Binary(data))


def test_a_sample_shows_the_vector_that_was_written(dataset: fo.Dataset, field: VectorField) -> None:
    first = ids(dataset)[0]
    assert field.write([first], np.array([[1, 2, 3, 4]], np.float32)) == 1
    dataset.reload()
    fo.Sample._reload_docs(dataset._sample_collection_name)
    assert dataset[str(first)]["fastvss"].tolist() == [1, 2, 3, 4]
    assert dataset[str(first)]["fastvss"].dtype == np.float32


def test_writing_a_vector_does_not_touch_the_time_by_which_edits_are_found(
    dataset: fo.Dataset, field: VectorField
) -> None:
    before = [each["last_modified_at"] for each in documents(dataset)]
    field.write(ids(dataset), np.ones((6, 4), np.float32))
    field.clear()
    assert [each["last_modified_at"] for each in documents(dataset)] == before


def test_a_vector_for_a_sample_that_is_gone_makes_no_sample(dataset: fo.Dataset, field: VectorField) -> None:
    assert field.write([ObjectId()], np.ones((1, 4), np.float32)) == 0
    assert len(documents(dataset)) == 6


def test_only_samples_without_a_vector_are_wanted_unless_everything_is(dataset: fo.Dataset, field: VectorField) -> None:
    every = ids(dataset)
    field.write(every[:2], np.ones((2, 4), np.float32))
    assert field.wanted() == every[2:]
    assert field.wanted(every[1:4]) == every[2:4]
    assert field.wanted(everything=True) == every
    assert field.wanted(every[1:4], everything=True) == every[1:4]
    assert field.count() == 2


def test_the_files_of_samples_come_with_their_ids(dataset: fo.Dataset, field: VectorField) -> None:
    every = ids(dataset)
    assert dict(field.pictures([every[3], ObjectId(), every[1]])) == {
        every[1]: "/nowhere/1.jpg",
        every[3]: "/nowhere/3.jpg",
    }


def test_blocks_and_matrix_give_each_vector_with_its_sample(dataset: fo.Dataset, field: VectorField) -> None:
    every = ids(dataset)
    field.write(every[1:], np.arange(20, dtype=np.float32).reshape(5, 4))
    found, matrix = field.matrix()
    assert dict(zip(found, matrix[:, 0].tolist(), strict=True)) == dict(zip(every[1:], [0, 4, 8, 12, 16], strict=True))
    some, part = field.matrix([every[0], every[4], every[2]])
    assert dict(zip(some, part[:, 0].tolist(), strict=True)) == {every[4]: 12, every[2]: 4}


def test_no_block_is_larger_than_it_says(dataset: fo.Dataset) -> None:
    more = fo.Dataset(persistent=False)
    table = more._sample_collection
    field = VectorField(more, "v")
    value = pack(np.ones(2, np.float32))
    table.insert_many([{"filepath": f"/{n}", "v": value} for n in range(2 * BLOCK + 7)])
    sizes = [len(found) for found, _ in field.blocks()]
    assert sum(sizes) == 2 * BLOCK + 7 and max(sizes) == BLOCK
    more.delete()


def test_vectors_of_several_lengths_are_refused(dataset: fo.Dataset, field: VectorField) -> None:
    first, second = ids(dataset)[:2]
    field.write([first], np.ones((1, 4), np.float32))
    field.write([second], np.ones((1, 5), np.float32))
    with pytest.raises(BadVectors, match="several lengths"):
        field.matrix()


def test_too_few_vectors_and_too_many_bytes_are_refused_with_the_way_out(
    dataset: fo.Dataset, field: VectorField
) -> None:
    with pytest.raises(NoEmbeddings, match=r"0 of the samples have a vector in 'fastvss'.*compute_fastvss_embeddings"):
        field.matrix()
    field.write(ids(dataset), np.ones((6, 4), np.float32))
    with pytest.raises(NoEmbeddings, match="this needs at least 7"):
        field.matrix(at_least=7)
    with pytest.raises(NoEmbeddings, match="Choose a view with fewer samples"):
        field.matrix(most_bytes=6 * 4 * 4 - 1)
    assert len(field.matrix(most_bytes=6 * 4 * 4)[0]) == 6


def test_what_made_the_vectors_stays_with_the_field_in_a_clone(dataset: fo.Dataset, field: VectorField) -> None:
    clone = dataset.clone()
    record = VectorField(clone, "fastvss").record
    assert record is not None and record.source == SOURCE and record.dimensions == 4
    assert fields_of(clone) == {"fastvss": record}
    assert "Fast-VSS 0.15.0, project reef" in clone.get_field("fastvss").description
    clone.delete()


@given(st.integers(2, 1_536), st.integers(0, 2**32 - 1))
def test_a_record_survives_the_fields_info_and_knows_its_own_model(dimensions: int, seed: int) -> None:
    probe = np.random.default_rng(seed).normal(size=dimensions).astype(np.float32)
    record = Record.of(SOURCE, probe)
    again = Record.from_info(record.as_info())
    assert again == record
    assert again.matches(Record.of(Source("fastvss", "reef", "http://moved:80", "0.16.0"), probe * 3))


@pytest.mark.parametrize(
    "other",
    [
        Record.of(Source("fastvss", "kelp", "http://localhost:8000"), np.arange(1, 65, dtype=np.float32)),
        Record.of(Source("descriptor", "reef"), np.arange(1, 65, dtype=np.float32)),
        Record.of(SOURCE, np.arange(1, 66, dtype=np.float32)),
        Record.of(SOURCE, np.arange(1, 65, dtype=np.float32)[::-1]),
    ],
    ids=["another project", "another kind", "more numbers", "another answer to the probe"],
)
def test_another_model_is_told_from_the_one_that_is_remembered(other: Record) -> None:
    assert not Record.of(SOURCE, np.arange(1, 65, dtype=np.float32)).matches(other)


def test_a_field_of_something_else_is_not_taken(dataset: fo.Dataset) -> None:
    dataset.add_sample_field("count", fo.IntField)
    dataset.add_sample_field("foreign", fo.VectorField)
    with pytest.raises(OtherModel, match="'count' holds no vectors"):
        VectorField(dataset, "count").check_free()
    with pytest.raises(OtherModel, match="'foreign' holds vectors that somebody else made"):
        VectorField(dataset, "foreign").check_free()
    VectorField(dataset, "new").check_free()


@given(st.integers(128, 1_024), st.integers(0, 2**32 - 1), st.sampled_from(["plain", "sparse", "outlier"]))
def test_a_sibling_model_is_told_apart_and_the_noise_of_half_floats_is_not(
    dimensions: int, seed: int, shape: str
) -> None:
    some = np.random.default_rng(seed)
    model, other = some.normal(size=(2, dimensions)).astype(np.float32)
    if shape == "sparse":
        model, other = np.maximum(model, 0), np.maximum(other, 0)
    if shape == "outlier":
        model[3] = other[3] = 80
    noisy = (model.astype(np.float16) * np.float16(1.001)).astype(np.float32)
    sibling = model + 0.3 * other
    assert alike(model, noisy) and Record.of(SOURCE, model).matches(Record.of(SOURCE, noisy))
    assert not alike(model, sibling) and not Record.of(SOURCE, model).matches(Record.of(SOURCE, sibling))


def test_vectors_of_other_lengths_and_zeros_are_not_alike() -> None:
    one = np.array([1, 2, 3], np.float32)
    assert alike(one, one * 2)
    assert not alike(one, np.ones(2, np.float32))
    assert not alike(one, np.zeros(3, np.float32))


def test_the_probe_picture_is_always_the_same_and_shows_something() -> None:
    picture = probe_picture()
    assert picture.shape == (64, 64, 3) and np.array_equal(picture, probe_picture())
    assert all(picture[..., channel].std() > 30 for channel in range(3))
