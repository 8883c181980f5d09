"""Vectors by a model of FiftyOne's zoo, where torch and the model's weights are there already. Downloads nothing."""

import difflib
import importlib.util
import itertools
from collections.abc import Hashable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import fiftyone.zoo as foz
import numpy as np
from fiftyone.core.models import Model

from fiftyone_tator.embeddings.embedder import Embedded, Embedder, Picture, Source, Vectors, probe_picture
from fiftyone_tator.embeddings.errors import BadVectors, NotInstalled, WorkerFailed
from fiftyone_tator.embeddings.local import DESCRIPTOR, DescriptorEmbedder, read_small
from fiftyone_tator.embeddings.options import LOCAL
from fiftyone_tator.media.pictures import UnreadablePicture
from fiftyone_tator.sync.errors import InvalidOption

ZOO: Final = "zoo"
_BATCH = 32
PREFERRED = ("clip-vit-base32-torch", "resnet50-imagenet-torch", "mobilenet-v2-imagenet-torch")
"""Of several models, the first of these that is there."""
_SIDE = 336
_INSTEAD = "Or use the descriptor, which needs neither: service=descriptor."


def downloaded_models() -> list[str]:
    """The zoo models on this machine that make embeddings, the best known first."""
    found = foz.list_downloaded_zoo_models()
    names = sorted(name for name, (_, model) in found.items() if model.has_tag("embeddings"))
    return [*(name for name in PREFERRED if name in names), *(name for name in names if name not in PREFERRED)]


def choose_model(name: str | None = None) -> str:
    """Chooses among the zoo models that are on this machine.

    Args:
        name: of the model; the best known one if None

    Returns:
        the model's name

    Raises:
        InvalidOption: if the zoo has no model of that name
        NotInstalled: if torch or the model's weights are not there, with the way out
    """
    if name is not None and name not in (known := foz.list_zoo_models()):
        near = difflib.get_close_matches(name, known, n=1)
        guess = f"Did you mean {near[0]}?" if near else "`fiftyone zoo models list` lists them."
        raise InvalidOption(f"FiftyOne's zoo has no model {name!r}. {guess}")
    if importlib.util.find_spec("torch") is None:
        raise NotInstalled(
            f"A zoo model needs torch, which is not installed: pip install torch torchvision. {_INSTEAD}"
        )
    there = downloaded_models()
    if name is None and there:
        return there[0]
    if name is None or name not in there:
        what = "No zoo model that makes embeddings" if name is None else f"The zoo model {name}"
        wanted = name or PREFERRED[0]
        none = "is on this machine" if name is None else "is not on this machine, or makes no embeddings"
        raise NotInstalled(f"{what} {none}: fiftyone zoo models download {wanted}. {_INSTEAD}")
    return name


class ZooEmbedder:
    """Embeds pictures with a zoo model.

    Args:
        model_name: of a model that is on this machine; the best known one of those if None
        model: the model itself, if the caller has loaded it
        batch_size: pictures a call of the model

    Raises:
        InvalidOption: if the zoo has no model of that name
        NotInstalled: if torch or the model's weights are not there
    """

    def __init__(self, model_name: str | None = None, *, model: Model | None = None, batch_size: int = _BATCH) -> None:
        self._name = model_name or type(model).__name__ if model is not None else choose_model(model_name)
        self._model: Any = model
        self._batch_size = batch_size

    @property
    def source(self) -> Source:
        """The model, by its name."""
        return Source(kind=ZOO, model=self._name)

    def probe(self) -> Vectors:
        """The vector of :func:`fiftyone_tator.embeddings.embedder.probe_picture`.

        Raises:
            EmbeddingError: if the model cannot be loaded, or does not embed
        """
        vector: Vectors = self._vectors([probe_picture()])[0]
        return vector

    def embed(self, pictures: Iterable[Picture]) -> Iterator[Embedded]:
        """Embeds pictures, a batch at a time, in their order.

        Args:
            pictures: as many as there are; taken one by one

        Yields:
            vectors; pictures that are gone or unreadable are among the failed, with the reason

        Raises:
            EmbeddingError: if the model cannot be loaded, fails, or gives what is no vectors
        """
        waiting = iter(pictures)
        while batch := list(itertools.islice(waiting, self._batch_size)):
            keys: list[Hashable] = []
            images: list[Any] = []
            failed: dict[Hashable, str] = {}
            for picture in batch:
                try:
                    images.append(np.ascontiguousarray(read_small(Path(picture.path), _SIDE)[:, :, ::-1]))
                    keys.append(picture.key)
                except UnreadablePicture as error:
                    failed[picture.key] = str(error)
            vectors = self._vectors(images) if images else np.empty((0, 0), np.float32)
            yield Embedded(keys, vectors, failed)

    def __enter__(self) -> "ZooEmbedder":
        """Loads the model."""
        self._loaded().__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Lets the model go."""
        self._loaded().__exit__(kind, error, trace)
        self._model = None

    def _loaded(self) -> Any:
        if self._model is None:
            try:
                self._model = foz.load_zoo_model(self._name, download_if_necessary=False)
            except ImportError as error:
                raise NotInstalled(f"The zoo model {self._name} needs more: {_first(error)}. {_INSTEAD}") from error
            except (OSError, ValueError, RuntimeError) as error:
                raise NotInstalled(
                    f"The zoo model {self._name} cannot be loaded: {_first(error)}. {_INSTEAD}"
                ) from error
        return self._model

    def _vectors(self, images: Sequence[Any]) -> Vectors:
        model = self._loaded()
        try:
            # What a model does not bring to one size it cannot take at once.
            found = (
                np.stack([model.embed(image) for image in images]) if model.ragged_batches else model.embed_all(images)
            )
            vectors = np.asarray(found, np.float32).reshape(len(found), -1)
        except (RuntimeError, ValueError, TypeError) as error:
            raise WorkerFailed(f"The zoo model {self._name} failed: {_first(error)}. {_INSTEAD}") from error
        if len(vectors) != len(images) or not np.isfinite(vectors).all():
            raise BadVectors(
                f"The zoo model {self._name} gave {len(vectors)} vectors for {len(images)} pictures, or numbers that "
                f"are not finite. Choose another model. {_INSTEAD}"
            )
        return vectors


def _first(error: Exception) -> str:
    """The first line of an error; FiftyOne's and torch's go on for pages."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def local_embedder(name: str = LOCAL) -> Embedder:
    """Makes vectors on this machine.

    Args:
        name: ``local`` takes a zoo model where torch and its weights are there, else the descriptor; or
            ``descriptor``, ``zoo`` or ``zoo:{model}``

    Returns:
        the embedder

    Raises:
        InvalidOption: if there is no such embedder
        NotInstalled: if a zoo model is asked for, and torch or the model's weights are not there
    """
    kind, _, model = name.partition(":")
    if kind == ZOO:
        return ZooEmbedder(model or None)
    if name == DESCRIPTOR:
        return DescriptorEmbedder()
    if name == LOCAL:
        try:
            return ZooEmbedder()
        except NotInstalled:
            return DescriptorEmbedder()
    raise InvalidOption(f"There is no embedder {name!r}. It should be local, descriptor, zoo or zoo:{{model}}.")
