"""What neighbours say of a label, and how often they are right. Knows no dataset.

How often votes are right is learnt from labelled samples, and is true of others only where those are like them. Often
they are not: people label one kind after the other. So the confidence is lowered where that shows: where neighbours are
farther than they were for labelled samples, and where fewer of the samples around have a label than is usual for the
label that they vote for.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import roc_auc_score

from fiftyone_tator.embeddings.neighbours import Floats, Numbers

LEAST = 50
"""With fewer labelled samples, shares of votes are left as they are: too few to say how often those are right."""
_LAST = 0.05
_EFFECT, _SIGMAS = 0.05, 3
"""Labelled samples and others differ if so much more than half of the time one of the former has more labels around it
than one of the latter, and by so many times what chance makes of it."""


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
        reach: how far those who voted are on average; None if nobody knows
        around: which part of the samples around has a label, on any scale; None if nobody knows
    """

    first: Numbers
    second: Numbers
    first_share: Floats
    second_share: Floats
    reach: Floats | None = None
    around: Floats | None = None


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
        farthest: how far those who voted were on average, for all but one in a hundred
        usual: which part of the samples around has a label, by the label that was voted for
        rarer: from that part, as a multiple of what is usual, to how often such samples are like labelled ones
    """

    samples: int
    tried: int
    accuracy: float | None
    first: _Curve | None = None
    second: _Curve | None = None
    farthest: float = np.inf
    usual: Floats | None = None
    rarer: _Curve | None = None

    @classmethod
    def learn(cls, votes: Votes, truth: Numbers, others: Votes | None = None) -> "Calibration":
        """Learns how often votes are right.

        Args:
            votes: of samples, none of which voted for itself
            truth: what they are called
            others: of samples without a label, with how many have one around them; to see whether they are like those
                with a label
        """
        voted = votes.first >= 0
        tried = int(voted.sum())
        right = votes.first == truth
        accuracy = float(right[voted].mean()) if tried else None
        if tried < LEAST:
            return cls(0, tried, accuracy)
        with_second = votes.second >= 0
        second = _curve(votes.second_share[with_second], (votes.second == truth)[with_second])
        first = _curve(votes.first_share[voted], right[voted])
        farthest = np.inf if votes.reach is None else float(np.percentile(votes.reach[voted], 99))
        usual = rarer = None
        if others is not None and votes.around is not None and others.around is not None:
            usual = _usual(votes.first[voted], votes.around[voted])
            there = others.first >= 0
            theirs = others.around[there] / usual[others.first[there]]
            rarer = _rarer(votes.around[voted] / usual[votes.first[voted]], theirs)
        return cls(tried, tried, accuracy, first, second, farthest, usual, rarer)

    def confidences(self, votes: Votes) -> tuple[Floats, Floats]:
        """How likely the two labels are right.

        Args:
            votes: for any samples

        Returns:
            of the first and the second label, between 0 and 1; the second never above the first, nor both above 1
        """
        first = _through(self.first, votes.first_share) * self.likeness(votes, votes.first)
        second = _through(self.second, votes.second_share) * self.likeness(votes, votes.second)
        return first, np.minimum(second, np.minimum(first, 1 - first))

    def likeness(self, votes: Votes, labels: Numbers) -> Floats:
        """How likely samples are like those that this was learnt from, if they have these labels.

        Args:
            votes: for any samples
            labels: one of each

        Returns:
            between 0 and 1
        """
        like = np.ones(len(labels), np.float32)
        if votes.reach is not None and np.isfinite(self.farthest):
            like *= np.minimum(1, self.farthest / np.maximum(votes.reach, max(self.farthest, 1e-9)))
        if self.rarer is not None and self.usual is not None and votes.around is not None:
            # Labels that nobody voted for are as usual as the rarest.
            like *= _through(self.rarer, votes.around / self.usual[np.minimum(labels, len(self.usual) - 1)])
        return like


def _usual(labels: Numbers, around: Floats) -> Floats:
    known = np.full(int(labels.max()) + 1, np.median(around), np.float32)
    for label in np.unique(labels):
        known[label] = max(float(np.median(around[labels == label])), 1e-6)
    return known


def _rarer(ours: Floats, theirs: Floats) -> _Curve | None:
    """Labelled samples are like some of the others; how many, show those around which labels are as frequent as usual.

    Whoever is not like them lies where labels are rarer. None if the two do not differ beyond chance.
    """
    if min(len(ours), len(theirs)) < LEAST:
        return None
    is_ours = np.repeat([True, False], [len(ours), len(theirs)])
    every = np.concatenate([ours, theirs])
    chance = np.sqrt((len(every) + 1) / (12 * len(ours) * len(theirs)))
    if roc_auc_score(is_ours, every) - 0.5 < max(_EFFECT, _SIGMAS * chance):
        return None
    # One more of each kind at each end: nothing is certain because it never was otherwise yet.
    ends = np.repeat([every.min(), every.max()], 2)
    fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(
        np.concatenate([every, ends]), np.concatenate([is_ours, [True, False] * 2])
    )
    share = np.clip(np.asarray(fitted.y_thresholds_, np.float64), 1e-3, 1 - 1e-3)
    odds = share / (1 - share)
    usual = np.interp(1.0, fitted.X_thresholds_, odds)
    return np.asarray(fitted.X_thresholds_, np.float64), np.minimum(1, odds / usual)


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
