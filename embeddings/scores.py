"""How doubtful a label is, and how far out a vector lies, by the neighbours. Knows no dataset."""

import numpy as np

from fiftyone_tator.embeddings.neighbours import Floats, Near, Neighbours, Numbers
from fiftyone_tator.embeddings.votes import count, share_of, weigh

_RARE = 0.05
_DISTRUST = 0.02
_TIES = 0.1


class LabelDoubts:
    """Judges labels by what near samples are called.

    A label counts as doubtful where it has fewer votes than is usual for that label: a class that overlaps with others
    is not suspicious as a whole. And who seems wrong itself has little to say about others.

    Args:
        labels: of the samples that vote, as numbers
        near: the neighbours of those samples, none of which is the sample itself
        known: how many labels there are, including those that nobody votes for
    """

    def __init__(self, labels: Numbers, near: Near, known: int) -> None:
        self._labels = labels
        self._others = np.maximum(np.bincount(labels, minlength=known) - 1, 0)
        voters, weights = labels[near.indices], weigh(near.distances)
        first = share_of(voters, weights, labels)
        trust = np.minimum(1, first / self._usual(first)[labels]) + _DISTRUST
        self._trust = trust.astype(np.float32)
        self._typical = self._usual(share_of(voters, weights * self._trust[near.indices], labels))

    def _usual(self, shares: Floats) -> Floats:
        sums = np.bincount(self._labels, weights=shares, minlength=len(self._others))
        usual: Floats = np.maximum(sums / (self._others + 1), _RARE).astype(np.float32)
        return usual

    def judge(self, labels: Numbers, near: Near) -> tuple[Floats, Numbers]:
        """Judges labels.

        Args:
            labels: that some samples have, as numbers
            near: neighbours of these samples, none of which is the sample itself

        Returns:
            doubts between 0 and 1, 0 where the neighbours agree with the label; and what the neighbours would say.
            A label that hardly any other sample has cannot be confirmed, and is doubted the less
        """
        voters = self._labels[near.indices]
        weights = weigh(near.distances) * self._trust[near.indices]
        votes = count(voters, weights)
        missing = 1 - np.minimum(1, share_of(voters, weights, labels) / self._typical[labels])
        known = self._others[labels] / (self._others[labels] + 1)
        doubts = missing * known * (1 - _TIES + _TIES * votes.first_share)
        agreed = (votes.first == labels) | (votes.first < 0)
        return np.where(agreed, 0, doubts).astype(np.float32), votes.first


class Outlying:
    """Judges how far out vectors lie: how much farther their neighbours are than the neighbours' neighbours.

    Args:
        neighbours: among which to look
        k: the neighbour whose distance counts
        apart: distance of copies, which are no neighbours
    """

    def __init__(self, neighbours: Neighbours, k: int, apart: float) -> None:
        self._k = k
        self._reach = _reach(neighbours.nearest(None, k, apart=apart), k)

    def judge(self, near: Near) -> Floats:
        """Judges vectors.

        Args:
            near: their neighbours, at least ``k`` of them

        Returns:
            about 1 for those that lie as close as their neighbours do, 2 for those twice as far out
        """
        around = np.where(near.indices[:, : self._k] >= 0, self._reach[near.indices[:, : self._k]], np.nan)
        there = np.isfinite(around)
        total = np.where(there, around, 0).sum(axis=1)
        mean = np.divide(total, there.sum(axis=1, dtype=np.float32), out=np.zeros_like(total), where=there.any(axis=1))
        ours = _reach(near, self._k)
        outlying: Floats = np.divide(ours, mean, out=np.ones_like(ours), where=(mean > 0) & np.isfinite(ours))
        return outlying


def _reach(near: Near, k: int) -> Floats:
    """The distance of the k-th neighbour, or of the last there is; infinite without any."""
    distances = near.distances[:, :k]
    there = np.isfinite(distances)
    last = np.where(there, distances, -1).max(axis=1, initial=-1)
    return np.where(there.any(axis=1), last, np.inf).astype(np.float32)
