"""Nearest neighbours, who stands for many, and what votes are worth."""

import numpy as np
import pytest

from fiftyone_tator.embeddings import neighbours
from fiftyone_tator.embeddings.neighbours import Neighbours, count_within, representatives
from fiftyone_tator.embeddings.votes import LEAST, Calibration, Votes, count, share_of, weigh


def cloud(many: int, dimensions: int = 16, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(3, 1, (many, dimensions)).astype(np.float32)


def by_hand(references: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Cosine distances in double precision, the slow way."""
    centre = references.astype(np.float64).mean(axis=0)
    ours, theirs = queries - centre, references - centre
    ours /= np.linalg.norm(ours, axis=1, keepdims=True)
    theirs /= np.linalg.norm(theirs, axis=1, keepdims=True)
    return 1 - ours @ theirs.T


@pytest.mark.parametrize("many", [7, 300, 5_000])
def test_the_nearest_are_those_that_a_slow_search_in_double_precision_finds(many: int) -> None:
    references, queries = cloud(many), cloud(40, seed=1)
    expected = by_hand(references, queries)
    near = Neighbours(references.copy()).nearest(queries, 5)
    order = np.argsort(expected, axis=1)[:, :5]
    assert (near.indices == order).mean() > 0.99  # float32 may swap two that are as far
    assert np.allclose(near.distances, np.take_along_axis(expected, order, axis=1), atol=2e-6)


def test_blocks_of_queries_change_nothing() -> None:
    index, queries = Neighbours(cloud(400)), cloud(90, seed=1)
    whole = index.nearest(queries, 6)
    parts = [index.nearest(queries[start : start + 7], 6) for start in range(0, 90, 7)]
    assert np.array_equal(whole.indices, np.concatenate([part.indices for part in parts]))


def test_a_sample_is_not_its_own_neighbour_and_copies_can_be_left_out() -> None:
    vectors = cloud(50)
    vectors[9] = vectors[4]
    index = Neighbours(vectors.copy())
    every = np.arange(50)
    itself = index.nearest(None, 3)
    assert not (itself.indices == every[:, None]).any() and itself.indices[4, 0] == 9
    assert np.array_equal(itself.indices, index.nearest(vectors, 3, own=every).indices)
    without = index.nearest(None, 3, apart=1e-3)
    assert 9 not in without.indices[4] and 4 not in without.indices[9]
    assert 9 in index.nearest(vectors[4:5], 3, own=np.array([4]), apart=np.array([-1.0], np.float32)).indices


def test_those_within_reach_are_counted_without_the_query_itself() -> None:
    index = Neighbours(cloud(60))
    others, queries = index.directions(cloud(500, seed=1)), index.directions(cloud(500, seed=1))
    reach = np.full(500, 0.8, np.float32)
    expected = (1 - queries @ others.T <= 0.8).sum(axis=1)
    assert np.abs(count_within(queries, others, reach, np.full(500, -1)) - expected).max() <= 1
    assert np.array_equal(
        count_within(queries, others, reach, np.arange(500)) + 1, count_within(queries, others, reach, np.full(500, -1))
    )


def test_where_there_are_too_few_neighbours_the_rest_is_empty() -> None:
    near = Neighbours(cloud(3)).nearest(None, 10)
    assert near.indices.shape == (3, 3) and (near.indices[:, 2] == -1).all() and np.isinf(near.distances[:, 2]).all()
    assert weigh(near.distances)[:, 2].max() == 0


def test_vectors_without_a_direction_are_at_distance_1_and_make_no_nan() -> None:
    near = Neighbours(np.zeros((20, 4), np.float32)).nearest(np.zeros((2, 4), np.float32), 3)
    assert np.array_equal(near.distances, np.ones((2, 3)))
    huge = Neighbours(cloud(20) * np.float32(1e25)).nearest(None, 3)
    assert np.isfinite(huge.distances).all()


def test_those_who_stand_for_many_include_rare_labels_and_are_always_the_same() -> None:
    labels = ["common"] * 90_000 + ["rare"] * 3 + [None] * 10_000
    chosen = representatives(labels, 1_000)
    counts = {label: sum(labels[place] == label for place in chosen) for label in ("common", "rare", None)}
    assert counts["rare"] == 3 and 780 <= counts["common"] <= 830 and 85 <= counts[None] <= 115
    assert np.array_equal(chosen, representatives(labels, 1_000)) and (np.diff(chosen) > 0).all()
    assert len(representatives(labels[:50], 1_000)) == 50


def test_votes_weigh_less_with_distance_and_the_scale_does_not_matter() -> None:
    distances = np.array([[0.1, 0.2, 0.4, np.inf]], np.float32)
    weights = weigh(distances)
    assert (np.diff(weights) < 0).all() and weights[0, 3] == 0
    assert np.allclose(weights, weigh(distances * 0.001), atol=1e-6)
    assert np.isfinite(weigh(np.zeros((1, 3), np.float32))).all()


def test_the_two_labels_with_the_most_votes_win() -> None:
    labels = np.array([[2, 1, 1, 0], [3, 3, 3, 3], [5, 5, 5, 5]])
    weights = np.array([[3, 2, 2, 1], [1, 1, 1, 1], [0, 0, 0, 0]], np.float32)
    votes = count(labels, weights)
    assert votes.first.tolist() == [1, 3, -1] and votes.second.tolist() == [2, -1, -1]
    assert np.allclose(votes.first_share, [0.5, 1, 0]) and np.allclose(votes.second_share, [0.375, 0, 0])
    assert np.allclose(share_of(labels, weights, np.array([0, 3, 5])), [0.125, 1, 0])


def test_confidence_is_how_often_it_was_right_and_never_certainty() -> None:
    chance = np.random.default_rng(5)
    shares = chance.uniform(0.3, 1, 20_000).astype(np.float32)
    right = chance.random(20_000) < shares**3  # neighbours that agree too easily
    votes = count(np.zeros((20_000, 1), np.int64), np.ones((20_000, 1), np.float32))
    votes = type(votes)(votes.first, votes.second, shares, votes.second_share)
    half = type(votes)(votes.first[:9_000], votes.second[:9_000], shares[:9_000], votes.second_share[:9_000])
    calibration = Calibration.learn(half, np.where(right, 0, 1)[:9_000])
    confidence, _ = calibration.confidences(votes)
    assert np.abs(confidence - shares**3)[shares > 0.35].mean() < 0.03
    assert (np.diff(confidence[np.argsort(shares)]) >= 0).all()
    always = Calibration.learn(half, np.zeros(9_000, np.int64)).confidences(votes)[0]
    assert 0.99 < always.max() < 1


def crowded(around: np.ndarray) -> Votes:
    """Votes for one label, all of one mind."""
    zeros, shares = np.zeros(len(around), np.int64), np.ones(len(around), np.float32)
    return Votes(zeros, zeros - 1, shares, 0 * shares, around=around.astype(np.float32))


def test_confidence_is_left_alone_where_labels_are_as_frequent_as_around_labelled_samples() -> None:
    chance = np.random.default_rng(0)
    labelled, others = crowded(chance.normal(0.5, 0.1, 900)), crowded(chance.normal(0.5, 0.1, 900))
    calibration = Calibration.learn(labelled, np.zeros(900, np.int64), others)
    assert (calibration.likeness(others, others.first) == 1).all()


def test_confidence_is_lowered_by_how_many_more_lie_where_labels_are_rare() -> None:
    chance = np.random.default_rng(0)
    # Of the others, 300 lie like labelled samples do, and 600 where hardly anybody has a label.
    places = np.concatenate([chance.normal(0.5, 0.05, 300), chance.normal(0.05, 0.01, 600)])
    others = crowded(places)
    calibration = Calibration.learn(crowded(chance.normal(0.5, 0.05, 900)), np.zeros(900, np.int64), others)
    like = calibration.likeness(others, others.first)
    assert like[:300].mean() > 0.9 and like[300:].max() < 0.05


def test_too_few_samples_leave_the_share_as_it_is() -> None:
    votes = count(np.zeros((LEAST - 1, 3), np.int64), np.ones((LEAST - 1, 3), np.float32))
    calibration = Calibration.learn(votes, np.ones(LEAST - 1, np.int64))
    assert calibration.samples == 0 and calibration.tried == LEAST - 1 and calibration.accuracy == 0
    assert np.array_equal(calibration.confidences(votes)[0], votes.first_share)


def test_memory_of_a_search_does_not_grow_with_the_queries() -> None:
    import tracemalloc

    index = Neighbours(cloud(20_000, 8))
    peaks = []
    for many in (2_000, 8_000):
        queries = cloud(many, 8, seed=many)
        tracemalloc.start()
        index.nearest(queries, 5)
        peaks.append(tracemalloc.get_traced_memory()[1] - many * (8 * 4 + 5 * 12))
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0] and peaks[1] < 4 * neighbours._BYTES
