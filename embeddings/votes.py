"""What neighbours say of a label, and how often they are right. Knows no dataset."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.isotonic import IsotonicRegression

from fiftyone_tator.embeddings.neighbours import Floats, Numbers

LEAST = 50
"""With fewer labelled samples, shares of votes are left as they are: too few to say how often those are right."""
_LAST = 0.05


def weigh(distances: Floats) -> Floats:
    """What each neighbour's vote weighs: the nearest the most, the farthest next to nothing.

    The scale is that of the query's own neighbourhood, so that it does not matter how far apart a model puts things.

    Args:
        distances: ``Q x k``, ascending; infinite where there is no neighbour

    Returns:
        weights, ``Q x k``; 0 where there is no neighbour
    """
    there = np.isfinite(distances)
    farthest = np.where(there, distances, 0).max(axis=1, keepdims=True, initial=0)
    share = np.divide(distances, farthest, out=np.zeros_like(distances), where=there & (farthest > 0))
    return np.where(there, 1 + _LAST - share, 0).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Votes:
    """What the neighbours of some queries are called.

    Args:
        first: the label with the most votes; -1 if there are none
        second: the label with the next most; -1 if all agree
        first_share: its share of the votes, between 0 and 1
        second_share: that of the second label
    """

    first: Numbers
    second: Numbers
    first_share: Floats
    second_share: Floats


def count(labels: Numbers, weights: Floats) -> Votes:
    """Counts votes.

    Args:
        labels: of each query's neighbours, ``Q x k``; where the weight is 0 they do not matter
        weights: of each vote, ``Q x k``

    Returns:
        the two labels with the most votes; of labels with as many, that of the nearest neighbour
    """
    if labels.shape[1] == 0:
        none, nothing = np.full(len(labels), -1), np.zeros(len(labels), np.float32)
        return Votes(none, none.copy(), nothing, nothing.copy())
    shares = shares_of_each(labels, weights)
    rows = np.arange(len(labels))
    best = shares.argmax(axis=1)
    first, first_share = labels[rows, best], shares[rows, best]
    rest = np.where(labels == first[:, None], 0, shares)
    best = rest.argmax(axis=1)
    second, second_share = labels[rows, best], rest[rows, best]
    return Votes(
        np.where(first_share > 0, first, -1), np.where(second_share > 0, second, -1), first_share, second_share
    )


def shares_of_each(labels: Numbers, weights: Floats) -> Floats:
    """The share of the votes that each neighbour's label has.

    Args:
        labels: ``Q x k``
        weights: ``Q x k``
    """
    total = weights.sum(axis=1, keepdims=True)
    weights = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    shares = np.empty_like(weights)
    for column in range(labels.shape[1]):
        shares[:, column] = np.where(labels == labels[:, column, None], weights, 0).sum(axis=1)
    return np.where(weights > 0, shares, np.float32(0))


def share_of(labels: Numbers, weights: Floats, own: Numbers) -> Floats:
    """The share of the votes that a given label has.

    Args:
        labels: ``Q x k``
        weights: ``Q x k``
        own: the label to look for, of each query

    Returns:
        between 0 and 1; 0 where nobody votes
    """
    total = weights.sum(axis=1)
    votes = np.where(labels == own[:, None], weights, 0).sum(axis=1)
    shares: Floats = np.divide(votes, total, out=np.zeros_like(total), where=total > 0)
    return shares


_Curve = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Calibration:
    """How often votes are right, learnt from samples whose label is known and did not vote.

    Args:
        samples: so many it was learnt from; 0 if they were too few, and shares are left as they are
        tried: samples whose label is known
        accuracy: how often the first label was right for them; None if there were none
        first: from the first label's share to how often it is right
        second: the same of the second label
    """

    samples: int
    tried: int
    accuracy: float | None
    first: _Curve | None = None
    second: _Curve | None = None

    @classmethod
    def learn(cls, votes: Votes, truth: Numbers) -> "Calibration":
        """Learns how often votes are right.

        Args:
            votes: of samples, none of which voted for itself
            truth: what they are called
        """
        voted = votes.first >= 0
        tried = int(voted.sum())
        right = votes.first == truth
        accuracy = float(right[voted].mean()) if tried else None
        if tried < LEAST:
            return cls(0, tried, accuracy)
        with_second = votes.second >= 0
        second = _curve(votes.second_share[with_second], (votes.second == truth)[with_second])
        return cls(tried, tried, accuracy, _curve(votes.first_share[voted], right[voted]), second)

    def confidences(self, votes: Votes) -> tuple[Floats, Floats]:
        """How likely the two labels are right.

        Args:
            votes: for any samples

        Returns:
            of the first and the second label, between 0 and 1; the second never above the first, nor both above 1
        """
        first, second = _through(self.first, votes.first_share), _through(self.second, votes.second_share)
        return first, np.minimum(second, np.minimum(first, 1 - first))


def _curve(shares: Floats, right: npt.NDArray[np.bool_]) -> _Curve | None:
    if len(shares) < LEAST:
        return None
    # One miss more at the top and one hit more at the bottom: nothing is certain because it never failed yet.
    shares = np.concatenate([shares, [shares.max(), shares.min()]])
    hits = np.concatenate([right, [False, True]])
    fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(shares, hits)
    return np.asarray(fitted.X_thresholds_, np.float64), np.asarray(fitted.y_thresholds_, np.float64)


def _through(curve: _Curve | None, shares: Floats) -> Floats:
    return shares if curve is None else np.interp(shares, *curve).astype(np.float32)
