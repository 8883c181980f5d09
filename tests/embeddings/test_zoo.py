"""Which embedder this machine has, and embedding with a model; torch is not needed for any of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.core.models as fom
import fiftyone.zoo as foz
import numpy as np
import pytest
from PIL import Image

from fiftyone_tator.embeddings.embedder import Embedder, Picture, probe_picture
from fiftyone_tator.embeddings.errors import BadVectors, NotInstalled, WorkerFailed
from fiftyone_tator.embeddings.local import DescriptorEmbedder
from fiftyone_tator.embeddings.zoo import PREFERRED, ZooEmbedder, choose_model, downloaded_models, local_embedder
from fiftyone_tator.sync.errors import InvalidOption

RESNET, VGG, SEGMENTER = "resnet50-imagenet-torch", "vgg11-imagenet-torch", "deeplabv3-resnet50-coco-torch"


class Means(fom.Model, fom.EmbeddingsMixin):  # type: ignore[misc]
    """A real model that needs no torch: the mean of each colour."""

    ragged_batches = False
    media_type = "image"
    has_embeddings = True

    def __init__(self) -> None:
        self.entered = 0
        self.batches: list[int] = []

    def __enter__(self) -> "Means":
        self.entered += 1
        return self

    def __exit__(self, *error: object) -> None:
        self.entered -= 1

    def embed(self, arg: Any) -> Any:
        return arg.reshape(-1, 3).mean(axis=0)

    def embed_all(self, args: Any) -> Any:
        self.batches.append(len(args))
        return super().embed_all(args)


@pytest.fixture
def weights(tmp_path: Path) -> Iterator[Path]:
    """An empty folder for the zoo's weights."""
    was, fo.config.model_zoo_dir = fo.config.model_zoo_dir, str(tmp_path / "zoo")
    (tmp_path / "zoo").mkdir()
    yield tmp_path / "zoo"
    fo.config.model_zoo_dir = was


@pytest.fixture
def torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A torch that can be found and not be used."""
    (tmp_path / "site" / "torch").mkdir(parents=True)
    (tmp_path / "site" / "torch" / "__init__.py").write_text("raise ImportError('torch is broken')")
    monkeypatch.syspath_prepend(tmp_path / "site")


def download(weights: Path, *names: str) -> None:
    """Puts files where downloads go, as far as FiftyOne looks."""
    for name in names:
        (weights / foz.get_zoo_model(name).filename).write_bytes(b"weights")


def colours(folder: Path, *names: str) -> list[Picture]:
    for name in names:
        Image.new("RGB", (20, 10), name).save(folder / f"{name}.png")
    return [Picture(name, str(folder / f"{name}.png")) for name in names]


@pytest.mark.usefixtures("no_torch")
def test_without_torch_the_local_embedder_is_the_descriptor(weights: Path) -> None:
    download(weights, RESNET)
    assert isinstance(local_embedder(), DescriptorEmbedder)


@pytest.fixture
def no_torch() -> None:
    """Skips where torch is installed: it cannot be hidden from others that use it."""
    import importlib.util

    if importlib.util.find_spec("torch") is not None:
        pytest.skip("torch is installed here")


@pytest.mark.usefixtures("no_torch", "weights")
def test_a_zoo_model_without_torch_is_refused_with_what_to_install() -> None:
    with pytest.raises(NotInstalled, match=r"pip install torch torchvision.*service=descriptor"):
        local_embedder("zoo")


@pytest.mark.usefixtures("torch", "weights")
def test_without_weights_the_local_embedder_is_the_descriptor_and_nothing_is_downloaded() -> None:
    assert isinstance(local_embedder("local"), DescriptorEmbedder)
    assert foz.list_downloaded_zoo_models() == {}


@pytest.mark.usefixtures("torch", "weights")
def test_no_weights_at_all_are_refused_with_how_to_download_some() -> None:
    with pytest.raises(NotInstalled, match=f"fiftyone zoo models download {PREFERRED[0]}"):
        local_embedder("zoo")


@pytest.mark.usefixtures("torch")
def test_a_model_without_weights_is_refused_with_how_to_download_them(weights: Path) -> None:
    download(weights, VGG)
    with pytest.raises(NotInstalled, match=f"fiftyone zoo models download {RESNET}"):
        local_embedder(f"zoo:{RESNET}")


@pytest.mark.usefixtures("torch")
def test_a_model_that_makes_no_embeddings_is_refused(weights: Path) -> None:
    download(weights, SEGMENTER)
    assert list(foz.list_downloaded_zoo_models()) == [SEGMENTER]
    with pytest.raises(NotInstalled, match="makes no embeddings"):
        choose_model(SEGMENTER)
    with pytest.raises(NotInstalled, match="No zoo model"):
        choose_model()


@pytest.mark.usefixtures("weights")
def test_a_misspelt_model_is_refused_with_the_right_name() -> None:
    with pytest.raises(InvalidOption, match=f"Did you mean {RESNET}"):
        local_embedder("zoo:resnet50-imagenet-tourch")


@pytest.mark.usefixtures("torch")
def test_with_torch_and_weights_the_local_embedder_is_that_model(weights: Path) -> None:
    download(weights, VGG)
    embedder = local_embedder()
    assert isinstance(embedder, ZooEmbedder)
    assert embedder.source.label == f"the zoo model {VGG}"


@pytest.mark.usefixtures("torch")
def test_of_several_models_the_best_known_is_taken_unless_another_is_named(weights: Path) -> None:
    download(weights, VGG, RESNET, "alexnet-imagenet-torch", SEGMENTER)
    assert downloaded_models() == [RESNET, "alexnet-imagenet-torch", VGG]
    assert local_embedder("local").source.model == local_embedder("zoo").source.model == RESNET
    assert local_embedder(f"zoo:{VGG}").source.model == VGG


@pytest.mark.usefixtures("torch")
def test_a_model_that_cannot_be_loaded_is_named_with_the_reason(weights: Path) -> None:
    download(weights, RESNET)
    with pytest.raises(NotInstalled, match=f"{RESNET}.*service=descriptor"), ZooEmbedder(RESNET):
        pytest.fail("it was loaded")


def test_descriptor_is_the_descriptor_and_any_other_name_is_refused() -> None:
    assert isinstance(local_embedder("descriptor"), DescriptorEmbedder)
    with pytest.raises(InvalidOption, match=r"'clip'.*local, descriptor, zoo or zoo:"):
        local_embedder("clip")


def test_a_model_sees_pictures_in_rgb_a_batch_at_a_time(tmp_path: Path) -> None:
    model = Means()
    with ZooEmbedder("means", model=model, batch_size=2) as embedder:
        assert model.entered == 1
        blocks = list(embedder.embed(colours(tmp_path, "red", "lime", "blue")))
    assert model.entered == 0
    assert model.batches == [2, 1]
    assert [key for block in blocks for key in block.keys] == ["red", "lime", "blue"]
    vectors = np.concatenate([block.vectors for block in blocks])
    assert vectors.dtype == np.float32
    assert vectors.tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 255]]


def test_a_model_that_cannot_take_a_batch_gets_one_picture_at_a_time(tmp_path: Path) -> None:
    model = Means()
    model.ragged_batches = True
    (block,) = ZooEmbedder(model=model).embed(colours(tmp_path, "red", "blue"))
    assert model.batches == []
    assert block.vectors.tolist() == [[255, 0, 0], [0, 0, 255]]


def test_unreadable_pictures_do_not_reach_the_model(tmp_path: Path) -> None:
    model = Means()
    gone = [Picture(number, str(tmp_path / f"{number}.png")) for number in range(2)]
    first, second = ZooEmbedder(model=model, batch_size=2).embed([*gone, *colours(tmp_path, "red")])
    assert (first.keys, len(first.vectors)) == ([], 0)
    assert "missing" in first.failed[0]
    assert second.keys == ["red"]
    assert model.batches == [1]


def test_the_probe_is_the_vector_of_the_probe_picture() -> None:
    embedder: Embedder = ZooEmbedder(model=Means())
    assert embedder.probe() == pytest.approx(probe_picture().reshape(-1, 3).mean(axis=0), rel=1e-5)
    assert embedder.source.model == "Means"


def test_a_model_that_fails_is_named_with_its_reason(tmp_path: Path) -> None:
    class Failing(Means):
        def embed_all(self, args: Any) -> Any:
            raise RuntimeError("out of memory")

    with pytest.raises(WorkerFailed, match="reef failed: out of memory"):
        next(ZooEmbedder("reef", model=Failing()).embed(colours(tmp_path, "red")))


@pytest.mark.parametrize("answer", [np.zeros((1, 3)), np.full((2, 3), np.nan)], ids=["too few", "not finite"])
def test_what_is_no_vectors_is_refused(answer: Any, tmp_path: Path) -> None:
    class Wrong(Means):
        def embed_all(self, args: Any) -> Any:
            return answer

    with pytest.raises(BadVectors, match="for 2 pictures"):
        next(ZooEmbedder(model=Wrong()).embed(colours(tmp_path, "red", "blue")))
