"""What is worth a second look among crops of real pictures."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from bson import ObjectId
from PIL import Image

from fiftyone_tator.embeddings.suspicious import VIEWS, find
from fiftyone_tator.tests.embeddings.judged import demo_crops, described, precision_and_recall, view
from fiftyone_tator.tests.embeddings.labelled import FIELD, flipped, labelled

WRONG, _, OUTLIERS = VIEWS


@pytest.fixture(scope="module")
def real_crops(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, str]]:
    return demo_crops(tmp_path_factory.mktemp("crops"))


def test_wrong_labels_of_real_crops_are_in_the_top_five_percent(real_crops: list[tuple[Path, str]]) -> None:
    vectors = described([path for path, _ in real_crops])
    labels, wrong = flipped(np.array([label for _, label in real_crops]))
    with labelled(vectors, labels.tolist()) as (dataset, ids):
        find(dataset, FIELD)
        precision, recall = precision_and_recall(view(dataset, WRONG), ids, wrong)
        print(f"precision {precision:.3f}, recall {recall:.3f} among the worst 5 %")
        assert precision > 0.7 and recall > 0.7  # by chance: 0.05


def test_copies_and_noise_among_real_crops_are_found(real_crops: list[tuple[Path, str]], tmp_path: Path) -> None:
    large = [(path, label) for path, label in real_crops if min(Image.open(path).size) >= 48]
    copied = large[:: max(1, len(large) // 40)][:40]
    extra = []
    for number, (path, _) in enumerate(copied):
        copy = tmp_path / f"copy_{number}.jpg"
        Image.open(path).save(copy, quality=95)
        extra.append(copy)
    for number in range(4):
        noise = np.random.default_rng(number).integers(0, 255, (48 + 8 * number, 64, 3), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / f"noise_{number}.png"), noise)
        extra.append(tmp_path / f"noise_{number}.png")
    paths = [path for path, _ in real_crops] + extra
    labels = [label for _, label in real_crops] + [label for _, label in copied] + [real_crops[0][1]] * 4
    with labelled(described(paths), labels) as (dataset, ids):
        find(dataset, FIELD)
        place = dict(zip(paths, ids, strict=True))
        group = dict(zip(map(ObjectId, dataset.values("id")), dataset.values("duplicate_group"), strict=True))
        pairs = [(place[path], place[copy]) for (path, _), copy in zip(copied, extra, strict=False)]
        found = np.mean([group[one] is not None and group[one] == group[two] for one, two in pairs])
        print(f"{found:.0%} of the copies are found")
        assert found > 0.8
        outliers = view(dataset, OUTLIERS)
        # The only floating cell of all these pictures is one as well.
        assert {place[path] for path in extra[40:]} <= set(outliers[:8])
        assert len(outliers) < 0.05 * len(ids)
