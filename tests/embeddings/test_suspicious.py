"""What is worth a second look: how much of what is wrong is found, and how much of what is found is wrong."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import fiftyone as fo
import numpy as np
import pytest
from bson import ObjectId

from fiftyone_tator.embeddings.duplicates import Sketches, join, measure
from fiftyone_tator.embeddings.errors import EmbeddingError, NoEmbeddings, NothingToEmbed
from fiftyone_tator.embeddings.judging import FIELDS
from fiftyone_tator.embeddings.neighbours import Neighbours
from fiftyone_tator.embeddings.suspicious import VIEWS, find
from fiftyone_tator.embeddings.vectors import VectorField
from fiftyone_tator.sync.errors import Busy, InvalidOption
from fiftyone_tator.sync.progress import Progress
from fiftyone_tator.tests.embeddings.judged import precision_and_recall, view
from fiftyone_tator.tests.embeddings.labelled import FIELD, blobs, flipped, labelled, names

WRONG, DUPLICATES, OUTLIERS = VIEWS


@pytest.mark.parametrize(("spread", "at_least"), [(1.0, 0.85), (1.5, 0.65)])
def test_wrong_labels_are_in_the_top_five_percent(spread: float, at_least: float) -> None:
    vectors, truth = blobs(2_000, spread=spread)
    labels, wrong = flipped(truth)
    with labelled(vectors, names(labels)) as (dataset, ids):
        result = find(dataset, FIELD)
        found = view(dataset, WRONG)
        precision, recall = precision_and_recall(found, ids, wrong)
        print(f"precision {precision:.3f}, recall {recall:.3f} among the worst 5 %")
        assert len(found) <= 100 and result.findings[0].count == len(found)
        assert precision > at_least and recall > at_least  # by chance: 0.05
        instead = dict(zip(*dataset.values(["id", "suspicion_label"]), strict=True))
        right = [instead[str(id)] == name for id, name, bad in zip(ids, names(truth), wrong, strict=True) if bad]
        assert np.mean(right) > at_least - 0.1


def test_rare_classes_are_not_suspicious_because_they_are_rare() -> None:
    vectors, truth = blobs(2_000, spread=1.0)
    labels, wrong = flipped(truth)
    with labelled(vectors, names(labels)) as (dataset, ids):
        find(dataset, FIELD)
        found = set(view(dataset, WRONG))
        rare = [id for id, label, bad in zip(ids, labels, wrong, strict=True) if label == 5 and not bad]
        assert len(rare) > 40 and len(found & set(rare)) < 0.1 * len(rare)


def test_near_duplicates_stand_beside_each_other_and_those_with_different_labels_come_first() -> None:
    vectors, truth = blobs(200)
    near = np.random.default_rng(1).normal(0, 0.02, vectors.shape).astype(np.float32)
    for one, two in ((10, 20), (11, 21), (12, 22), (12, 23)):
        vectors[two] = vectors[one] + near[two]
        truth[two] = truth[one]
    vectors[21] = vectors[11]
    labels = names(truth)
    labels[20] = "another"
    with labelled(vectors, labels) as (dataset, ids):
        result = find(dataset, FIELD)
        place = {id: number for number, id in enumerate(ids)}
        found = [place[id] for id in view(dataset, DUPLICATES)]
        assert set(found[:2]) == {10, 20} and set(found[2:4]) == {11, 21} and set(found[4:]) == {12, 22, 23}
        group, distance = dataset[str(ids[23])].duplicate_group, dataset[str(ids[23])].duplicate_distance
        assert group == 3 and 0 < distance < 0.02 and result.findings[1].count == 7


def test_the_same_thing_in_another_version_is_no_duplicate() -> None:
    vectors, truth = blobs(100)
    vectors[1], vectors[3] = vectors[0], vectors[2]
    with labelled(vectors, names(truth)) as (dataset, ids):
        dataset.add_sample_field("version", fo.StringField)
        dataset.set_values("version", ["Baseline", "Model", "Model", "Model", *["Baseline"] * 96])
        find(dataset, FIELD)
        assert set(view(dataset, DUPLICATES)) == {ids[2], ids[3]}
        find(dataset, FIELD, within=None)
        assert set(view(dataset, DUPLICATES)) == set(ids[:4])


def test_a_view_keeps_its_order_while_it_is_reviewed_and_the_next_run_lets_go_of_what_was_corrected() -> None:
    vectors, truth = blobs(600, spread=0.5)
    labels, wrong = flipped(truth)
    with labelled(vectors, names(labels)) as (dataset, ids):
        find(dataset, FIELD)
        before = view(dataset, WRONG)
        scores = dataset.load_saved_view(WRONG).values("suspicion")
        assert scores == sorted(scores, reverse=True) and min(scores) >= 0.5
        bad = [id for id, is_wrong in zip(ids, wrong, strict=True) if is_wrong]
        assert set(bad) <= {*before}
        right = {str(id): fo.Classification(label=f"class {truth[ids.index(id)]}") for id in bad}
        dataset.set_values("ground_truth", right, key_field="id")
        dataset.delete_samples([str(bad[0])])
        assert view(dataset, WRONG) == [id for id in before if id != bad[0]]
        find(dataset, FIELD)
        assert not {*view(dataset, WRONG)} & {*bad}
        assert dataset.match({"suspicion": {"$gt": 0}}).count() == len(view(dataset, WRONG))


def test_what_is_found_is_no_edit_and_says_in_words_what_it_is() -> None:
    vectors, truth = blobs(300, spread=0.5)
    labels, _ = flipped(truth)
    vectors[5] = vectors[4]
    with labelled(vectors, names(labels)) as (dataset, ids):
        held = dataset[str(ids[5])]
        before = dataset.values("last_modified_at")
        result = find(dataset, FIELD).as_json()
        assert dataset.values("last_modified_at") == before
        assert held.duplicate_group == 1
        assert [finding["view"] for finding in result["findings"]] == list(VIEWS)
        worst = result["findings"][0]["first"][0]
        assert worst["sample"] == str(view(dataset, WRONG)[0])
        assert worst["suspicion_label"] == dataset[worst["sample"]].suspicion_label
        assert all(dataset.get_saved_view_info(name)["description"].startswith("Made by") for name in VIEWS)


def test_only_chosen_samples_are_judged_by_all_that_there_are() -> None:
    vectors, truth = blobs(600, spread=0.5)
    labels, wrong = flipped(truth)
    with labelled(vectors, names(labels)) as (dataset, ids):
        chosen = [id for id, is_wrong in zip(ids, wrong, strict=True) if is_wrong][:3] + ids[:40]
        result = find(dataset, FIELD, samples=[*chosen, ObjectId()], fraction=1)
        assert result.judged == len({*chosen}) and {*chosen[:3]} <= {*view(dataset, WRONG)} <= {*chosen}
        assert result.as_json()["left_out"][0]["count"] == 1


def test_what_was_found_of_other_samples_stays_and_no_two_groups_share_a_number() -> None:
    vectors, truth = blobs(400, spread=0.5)
    labels, _ = flipped(truth)
    vectors[390] = -20
    for one, two in ((10, 20), (11, 21), (12, 22)):
        vectors[two] = vectors[one]
    with labelled(vectors, names(labels)) as (dataset, ids):
        find(dataset, FIELD)
        doubtful, outliers = view(dataset, WRONG), view(dataset, OUTLIERS)
        field = VectorField(dataset, FIELD)
        field.write([ids[30], ids[31], ids[32]], np.stack([vectors[40], vectors[41], vectors[11]]))
        with pytest.raises(NothingToEmbed, match=r"No sample was chosen.*Nothing was changed"):
            find(dataset, FIELD, samples=[])
        # 12 and 22 are looked at together, 10 and 11 without the other, and 32 is a copy of 11 now.
        find(dataset, FIELD, samples=[ids[n] for n in (10, 11, 12, 22, 30, 31, 32, 40, 41)])
        assert {*doubtful} - {*view(dataset, WRONG)} <= {ids[n] for n in (10, 11, 12, 22, 30, 31, 32, 40, 41)}
        assert ids[390] in outliers and ids[390] in view(dataset, OUTLIERS)
        group = dict(zip(ids, dataset.values("duplicate_group"), strict=True))
        groups: dict[int, set[int]] = {}
        for number, id in enumerate(ids):
            if group[id] is not None:
                groups.setdefault(group[id], set()).add(number)
        assert sorted(map(sorted, groups.values())) == [[10, 20], [11, 21, 32], [12, 22], [30, 40], [31, 41]]


def test_two_groups_with_something_between_them_become_one() -> None:
    vectors, truth = blobs(100)
    for one, two in ((10, 20), (11, 21)):
        vectors[two] = vectors[one]
    with labelled(vectors, names(truth)) as (dataset, ids):
        find(dataset, FIELD)
        VectorField(dataset, FIELD).write([ids[10], ids[11]], np.stack([vectors[50], vectors[50]]))
        result = find(dataset, FIELD, samples=[ids[10], ids[11]])
        group = dataset.values("duplicate_group")
        assert len({group[n] for n in (10, 11, 20, 21)}) == 1 and result.findings[1].count == 2


def test_without_labels_duplicates_and_outliers_are_found_all_the_same() -> None:
    vectors, _ = blobs(300, spread=0.5)
    vectors[7] = vectors[3]
    vectors[9] = -20
    with labelled(vectors, [None] * 300) as (dataset, ids):
        result = find(dataset, FIELD)
        assert [finding.count for finding in result.findings[:2]] == [0, 2]
        assert "Wrong labels were not looked for. None of them has a label" in result.notes[0]
        assert view(dataset, WRONG) == [] and view(dataset, OUTLIERS)[0] == ids[9]


def test_the_label_of_what_nobody_labelled_is_not_suspicious() -> None:
    vectors, truth = blobs(400, spread=0.5)
    labels = ["unknown" if number % 20 == 0 else name for number, name in enumerate(names(truth))]
    with labelled(vectors, labels) as (dataset, ids):
        result = find(dataset, FIELD)
        assert result.labelled == 380 and "Taken for no label: 'unknown' (20 samples)" in result.notes[0]
        assert not {*view(dataset, WRONG)} & {*ids[::20]}
        find(dataset, FIELD, unlabelled=[])
        assert {*view(dataset, WRONG)} & {*ids[::20]}


def test_unlabelled_samples_are_never_suspicious_of_a_wrong_label() -> None:
    vectors, truth = blobs(400, spread=0.5)
    labels, _ = flipped(truth)
    half = [name if number % 2 else None for number, name in enumerate(names(labels))]
    with labelled(vectors, half) as (dataset, ids):
        result = find(dataset, FIELD)
        assert result.labelled == 200 and result.findings[0].count > 3
        assert not {*view(dataset, WRONG)} & {*ids[::2]}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda vectors: vectors.fill(0),
        lambda vectors: vectors.fill(2),
        lambda vectors: vectors.__setitem__(slice(0, 5), np.nan),
        lambda vectors: vectors.__imul__(1e20),
    ],
    ids=["zero", "equal", "not a number", "huge"],
)
def test_strange_vectors_do_no_harm(spoil: Callable[[Any], None]) -> None:
    vectors, truth = blobs(60)
    spoil(vectors)
    with labelled(vectors, names(truth)) as (dataset, _):
        find(dataset, FIELD)
        written = [dataset.values(name) for name in ("suspicion", "outlier", "duplicate_distance")]
        assert all(value is None or np.isfinite(value) for values in written for value in values)


@pytest.mark.parametrize("many", [3, 4, 7])
def test_a_handful_of_samples_is_enough(many: int) -> None:
    vectors, _ = blobs(many)
    with labelled(vectors, ["eel", "cod", *["eel"] * (many - 2)]) as (dataset, _):
        assert find(dataset, FIELD).judged == many


def test_what_cannot_be_done_is_refused_before_anything_is_written() -> None:
    vectors, truth = blobs(60)
    with labelled(vectors, names(truth)) as (dataset, ids):
        with pytest.raises(NoEmbeddings, match="no embeddings in 'nothing'"):
            find(dataset, "nothing")
        dataset.save_view(OUTLIERS, dataset.limit(3), description="mine")
        with pytest.raises(InvalidOption, match=r"'Outliers' that somebody else made.*prefix"):
            find(dataset, FIELD)
        assert not {*FIELDS} & {*dataset.get_field_schema()}
        assert len(dataset.load_saved_view(OUTLIERS)) == 3
        find(dataset, FIELD, prefix="reef")
        assert {"reef_outlier", "reef_suspicion"} < {*dataset.get_field_schema()}
        assert not {*FIELDS} & {*dataset.get_field_schema()} and "reef: Outliers" in dataset.list_saved_views()
        VectorField(dataset, FIELD)._samples.update_many({"_id": {"$nin": ids[:2]}}, {"$unset": {FIELD: ""}})
        with pytest.raises(NoEmbeddings, match=r"2 samples have a vector.*at least 3"):
            find(dataset, FIELD, prefix="reef")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"fraction": 0}, "the option fraction cannot be 0: .*a number"),
        ({"fraction": "x"}, "the option fraction cannot be 'x'"),
        ({"percent": 101}, "the option percent cannot be 101"),
        ({"percent": 5, "fraction": 0.1}, "percent and fraction say the same thing twice. Leave one"),
        ({"distance": "y"}, "the option distance cannot be 'y'"),
        ({"distance": float("nan")}, "the option distance cannot be nan"),
        ({"prefix": "a.b"}, "the option prefix cannot be 'a.b'"),
        ({"unlabelled": "ab"}, "the option unlabelled cannot be 'ab': .*a list of texts"),
        ({"fractoin": 0.1}, "no option 'fractoin'. Did you mean fraction"),
    ],
)
def test_an_option_that_cannot_be_used_is_told_in_words(options: dict[str, Any], said: str) -> None:
    vectors, truth = blobs(20)
    with labelled(vectors, names(truth)) as (dataset, _), pytest.raises(InvalidOption, match=said):
        find(dataset, FIELD, **options)


def test_values_that_somebody_put_into_a_field_of_that_name_are_kept() -> None:
    vectors, truth = blobs(60)
    vectors[7] = vectors[3]
    with labelled(vectors, names(truth)) as (dataset, ids):
        dataset.add_sample_field("outlier", fo.FloatField)
        dataset.set_values("outlier", [7.0] * 60)
        with pytest.raises(InvalidOption, match=r"'outlier' is there and is somebody else's.*\(prefix\)"):
            find(dataset, FIELD)
        assert not dataset.has_field("suspicion")
        find(dataset, FIELD, prefix="reef")
        assert find(dataset, FIELD, prefix="reef").findings[1].view == "reef: Near-duplicates"
        assert set(view(dataset, "reef: Near-duplicates")) == {ids[3], ids[7]}
        assert dataset.values("outlier") == [7.0] * 60
        dataset.info["tator"] = {"fields": [{"name": "x_outlier", "attribute": "a", "dtype": "float", "source": "x"}]}
        with pytest.raises(InvalidOption, match=r"'x_outlier' is Tator's.*\(prefix\)"):
            find(dataset, FIELD, prefix="x")


def test_a_field_that_is_deleted_meanwhile_leaves_a_dataset_that_can_be_read() -> None:
    vectors, truth = blobs(60)
    vectors[7] = vectors[3]
    with labelled(vectors, names(truth)) as (dataset, ids):

        def meddle(progress: Progress) -> None:
            if progress.stage == "Saving the views" and dataset.has_field("duplicate_group"):
                dataset.delete_sample_field("duplicate_group")

        with pytest.raises(EmbeddingError, match="deleted or renamed 'duplicate_group'"):
            find(dataset, FIELD, report=meddle)
        assert dataset[str(ids[3])].ground_truth is not None
        assert find(dataset, FIELD).findings[1].count == 2


def test_of_two_who_look_at_once_one_is_told_to_wait() -> None:
    vectors, truth = blobs(60)
    with labelled(vectors, names(truth)) as (dataset, _):
        told: list[str] = []

        def again(progress: Progress) -> None:
            if progress.stage == "Looking at samples":
                with pytest.raises(Busy) as busy:
                    find(dataset, FIELD)
                told.append(str(busy.value))

        find(dataset, FIELD, report=again)
        assert "Somebody is finding suspicious labels on dataset" in told[0]


def test_more_samples_than_may_be_compared_with_are_judged_nearly_as_well() -> None:
    vectors, truth = blobs(2_000, spread=1.0)
    labels, wrong = flipped(truth)
    with labelled(vectors, names(labels)) as (dataset, ids):
        find(dataset, FIELD, references=500)
        precision, recall = precision_and_recall(view(dataset, WRONG), ids, wrong)
        assert precision > 0.75 and recall > 0.75


def many_with_copies(many: int, copies: int, distance: float) -> np.ndarray:
    """Vectors in forty narrow classes; the first ones are copies of the last ones, at about this distance."""
    chance = np.random.default_rng(3)
    vectors = chance.normal(size=(40, 128))[chance.integers(0, 40, many)] + chance.normal(0, 0.5, (many, 128))
    size = np.linalg.norm(vectors - vectors.mean(axis=0), axis=1).mean() / np.sqrt(128)
    vectors[:copies] = vectors[-copies:] + chance.normal(0, size * np.sqrt(2 * distance), (copies, 128))
    return vectors.astype(np.float32)


@pytest.mark.parametrize(("distance", "at_least"), [(0.0, 1.0), (0.005, 0.99), (0.012, 0.95)])
def test_near_pairs_among_many_vectors_are_found_without_comparing_each_with_each(
    distance: float, at_least: float
) -> None:
    vectors = many_with_copies(30_000, 500, distance)
    directions = Neighbours(vectors[:2_000].copy()).directions(vectors)
    sketches = Sketches(128)
    for start in range(0, 30_000, 5_000):
        sketches.add(directions[start : start + 5_000])
    pairs = sketches.candidates(0.02)
    distances = measure(pairs, lambda numbers: directions[numbers])
    groups = join(pairs[distances <= 0.02], distances[distances <= 0.02])
    of = dict(zip(groups.members.tolist(), groups.group.tolist(), strict=True))
    found = np.mean([of.get(copy, -1) == of.get(29_500 + copy, -2) for copy in range(500)])
    assert found >= at_least
    assert len(pairs) < 0.001 * 30_000**2 and len(groups.members) < 1_100


def test_a_thousand_equal_vectors_are_one_group() -> None:
    sketches = Sketches(8)
    sketches.add(np.ones((1_000, 8), np.float32))
    pairs = sketches.candidates()
    groups = join(pairs, np.zeros(len(pairs), np.float32))
    assert len(groups.members) == 1_000 and set(groups.group) == {0}


def test_sketches_of_vectors_take_64_bytes_each() -> None:
    sketches, block = Sketches(256), np.random.default_rng(0).normal(size=(1_000, 256)).astype(np.float32)
    tracemalloc.start()
    for _ in range(20):
        sketches.add(block)
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert 20_000 * 64 <= kept < 20_000 * 68
