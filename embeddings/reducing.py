"""From many numbers to two: UMAP, t-SNE and PCA, for few vectors and for more than can be fitted. Knows no dataset."""

import importlib.util
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from fiftyone_tator.embeddings.embedder import Vectors
from fiftyone_tator.embeddings.errors import BadVectors, NotInstalled
from fiftyone_tator.embeddings.options import Method

NAMES: Mapping[Method, str] = {"umap": "UMAP", "tsne": "t-SNE", "pca": "PCA"}
FEWEST: Mapping[Method, int] = {"umap": 4, "tsne": 3, "pca": 2}
"""With fewer vectors the method fails, or its map says nothing."""
_LARGEST = 1e15
_SMALL_START = 1e-4
_GATHERED = 20_000


class _Parameters(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class UMAPParameters(_Parameters):
    """What UMAP takes.

    Args:
        num_neighbors: more show the large shape, fewer the small one; no more than there are other vectors
        metric: how the distance of two vectors is measured
        min_dist: how close together points may lie
    """

    num_neighbors: Annotated[int, Field(ge=2, le=1_000)] = 15
    metric: Literal["cosine", "euclidean", "manhattan"] = "cosine"
    min_dist: Annotated[float, Field(ge=0, le=1)] = 0.1


class TSNEParameters(_Parameters):
    """What t-SNE takes.

    Args:
        perplexity: how many neighbours count, about; at most a third of the other vectors
        learning_rate: by the number of vectors if left out
        max_iters: steps
        pca_dims: to so many numbers vectors are reduced first, which takes away noise and time
    """

    perplexity: Annotated[float, Field(gt=0, le=1_000)] = 30.0
    learning_rate: Annotated[float, Field(gt=0)] | None = None
    max_iters: Annotated[int, Field(ge=250, le=100_000)] = 1_000
    pca_dims: Annotated[int, Field(ge=2)] = 50


class PCAParameters(_Parameters):
    """What PCA takes.

    Args:
        svd_solver: how scikit-learn computes it
    """

    svd_solver: Literal["auto", "full", "covariance_eigh", "randomized"] = "auto"


PARAMETERS: Mapping[Method, type[_Parameters]] = {"umap": UMAPParameters, "tsne": TSNEParameters, "pca": PCAParameters}
Parameters: TypeAlias = _Parameters


@dataclass(frozen=True, slots=True)
class Reduced:
    """Points of a map.

    Args:
        points: ``N x 2``, finite: of the vectors that were fitted, then of the others, in their order
        reducer: gives the points of more vectors; None if the method cannot
        parameters: those that were used, adapted to the number of vectors
    """

    points: Vectors
    reducer: Any
    parameters: Mapping[str, Any]


def check_installed(method: Method) -> None:
    """Looks whether a method's package is there; a look takes no time, the import of UMAP ten seconds.

    Args:
        method: the method

    Raises:
        NotInstalled: if it is not, with the way out
    """
    if method == "umap" and importlib.util.find_spec("umap") is None:
        raise NotInstalled(
            "UMAP needs the package umap-learn, which is not installed: pip install 'fiftyone-tator[umap]', "
            "or pip install umap-learn. Or make the map with tsne or pca."
        )


def usable(vectors: Vectors) -> Any:
    """Which vectors a map can be made of: those without infinite, absurdly large or undefined numbers.

    Args:
        vectors: ``N x D``

    Returns:
        ``N`` truth values
    """
    return (np.abs(vectors) < _LARGEST).all(axis=1)


def reduce(fitted: Vectors, others: Iterable[Vectors], *, method: Method, seed: int, parameters: Parameters) -> Reduced:
    """Makes a map of vectors.

    Args:
        fitted: ``N x D``, usable, of which the map is computed; memory is bounded by them
        others: blocks of further vectors, which are put into that map; not for t-SNE, which cannot
        method: which
        seed: of what is random; the same one gives the same map
        parameters: of the method

    Returns:
        the points

    Raises:
        BadVectors: if the vectors have one number only
        NotInstalled: if the method's package cannot be imported
    """
    if fitted.shape[1] < 2:
        raise BadVectors("The vectors have one number each, which is too few for a map. Embed with another model.")
    points, reducer, used = _METHODS[method](fitted, seed, parameters)
    blocks = [points, *(reducer.transform(block) for block in _gathered(others))]
    return Reduced(_finite(np.concatenate(blocks).astype(np.float32)), reducer, used)


def _gathered(blocks: Iterable[Vectors]) -> Iterator[Vectors]:
    """Blocks put together; of more than 10,000 vectors UMAP takes fewer rounds, which is twice as fast."""
    waiting: list[Vectors] = []
    for block in blocks:
        waiting.append(block)
        if sum(map(len, waiting)) >= _GATHERED:
            yield np.concatenate(waiting)
            waiting = []
    if waiting:
        yield np.concatenate(waiting)


_Fit: TypeAlias = tuple[Vectors, Any, dict[str, Any]]


def _umap(vectors: Vectors, seed: int, parameters: Parameters) -> _Fit:
    try:
        from umap import UMAP
    except ImportError as error:
        raise NotInstalled(f"UMAP cannot be imported: {error}. Make the map with tsne or pca.") from error
    used = parameters.model_dump()
    used["num_neighbors"] = min(used["num_neighbors"], len(vectors) - 1)
    # With a seed UMAP works on one processor; it says so in a warning unless it is told to.
    reducer = UMAP(
        n_neighbors=used["num_neighbors"], metric=used["metric"], min_dist=used["min_dist"], random_state=seed, n_jobs=1
    )
    return reducer.fit_transform(vectors), reducer, used


def _tsne(vectors: Vectors, seed: int, parameters: Parameters) -> _Fit:
    used = parameters.model_dump()
    count = len(vectors)
    used["perplexity"] = min(used["perplexity"], (count - 1) / 3)
    used["learning_rate"] = used["learning_rate"] or max(count / 48, 50.0)
    used["pca_dims"] = min(used["pca_dims"], *vectors.shape)
    fewer = PCA(used["pca_dims"], random_state=seed).fit_transform(vectors).astype(np.float32)
    # scikit-learn divides its own start by the spread, and crashes the process where all vectors are alike.
    start = fewer[:, :2] if fewer[:, 0].std() else np.random.default_rng(seed).normal(size=(count, 2))
    tsne = TSNE(
        perplexity=used["perplexity"], learning_rate=used["learning_rate"], max_iter=used["max_iters"],
        init=(start / start[:, 0].std() * _SMALL_START).astype(np.float32), random_state=seed,
    )  # fmt: skip
    return tsne.fit_transform(fewer), None, used


def _pca(vectors: Vectors, seed: int, parameters: Parameters) -> _Fit:
    used = parameters.model_dump()
    reducer = PCA(2, svd_solver=used["svd_solver"], random_state=seed)
    return reducer.fit_transform(vectors), reducer, used


_METHODS: Mapping[Method, Callable[[Vectors, int, Parameters], _Fit]] = {"umap": _umap, "tsne": _tsne, "pca": _pca}


def _finite(points: Vectors) -> Vectors:
    """UMAP has no place for a vector that is as far as can be from all others; the middle of the map is as good."""
    lost = ~np.isfinite(points).all(axis=1)
    if lost.any():
        points[lost] = 0 if lost.all() else points[~lost].mean(axis=0)
    return points
