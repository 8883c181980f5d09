"""How many wrong labels are among the worst 5 %: precision and recall, on easy and hard data and two kinds of mistakes.

Labels are made wrong on purpose: any other one (uniform), or that of the most similar class (confusable).
Where 2 % are wrong, no more than 40 % of a full view can be, and where 10 % are, it can hold no more than half of them;
doubts below one half are not shown, so it may hold fewer. Nothing here depends on time.

    python benchmarks/suspicion_benchmark.py [--samples 2000] [--seeds 3]
"""

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

from fiftyone_tator.cli.mongo import URI, start

SHARES = (0.02, 0.05, 0.1)


def data(samples: int, folder: Path) -> dict[str, tuple[Any, Any]]:
    """Vectors and right labels of each kind."""
    import numpy as np

    from fiftyone_tator.tests.embeddings.judged import demo_crops, described
    from fiftyone_tator.tests.embeddings.labelled import blobs, names

    found = {}
    for name, spread in (("blobs, easy", 1.0), ("blobs, heavy overlap", 2.2)):
        vectors, truth = blobs(samples, spread=spread)
        found[name] = vectors, np.array(names(truth))
    crops = demo_crops(folder)
    found["demo crops, descriptor"] = described([path for path, _ in crops]), np.array([label for _, label in crops])
    return found


def measure(vectors: Any, truth: Any, mistakes: str, share: float, seed: int) -> tuple[float, float, float]:
    """Precision, recall, and how large the view is."""
    from fiftyone_tator.embeddings.suspicious import WRONG, find
    from fiftyone_tator.tests.embeddings.judged import confused, precision_and_recall, view
    from fiftyone_tator.tests.embeddings.labelled import FIELD, flipped, labelled

    uniform = mistakes == "uniform"
    labels, wrong = flipped(truth, share, seed=seed) if uniform else confused(vectors, truth, share, seed=seed)
    with labelled(vectors, labels.tolist()) as (dataset, ids):
        find(dataset, FIELD, fraction=0.05)
        found = view(dataset, WRONG)
        precision, recall = precision_and_recall(found, ids, wrong)
        return precision, recall, len(found) / len(ids)


def main() -> None:
    """Prints a table."""
    import numpy as np

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=2_000, help="of the blobs")
    parser.add_argument("--seeds", type=int, default=3, help="so many choices of wrong labels; their mean is shown")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(f"{'data':24}{'mistakes':12}{'wrong':>7}{'shown':>8}{'precision':>11}{'recall':>8}")
        for name, (vectors, truth) in data(args.samples, Path(folder)).items():
            for mistakes in ("uniform", "confusable"):
                for share in SHARES:
                    runs = [measure(vectors, truth, mistakes, share, seed) for seed in range(args.seeds)]
                    precision, recall, shown = np.mean(runs, axis=0)
                    print(f"{name:24}{mistakes:12}{share:7.0%}{shown:8.1%}{precision:11.2f}{recall:8.2f}", flush=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        mongod, address = start(Path(scratch) / "mongo")
        os.environ |= {URI: address, "FIFTYONE_DO_NOT_TRACK": "true", "FIFTYONE_SHOW_PROGRESS_BARS": "false"}
        os.environ["FIFTYONE_DATABASE_VALIDATION"] = "false"
        try:
            main()
        finally:
            mongod.terminate()
            mongod.wait()
