"""What is made of very many vectors: seconds and peak memory of each step, in processes of their own.

The vectors lie around a few hundred centres, each with a label; they are written to MongoDB without any picture.

    python benchmarks/embedding_scale_benchmark.py [--vectors 1000000] [--dimensions 384] [--only STEP ...] [--folder D]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fiftyone_tator.cli.mongo import start

DATASET, FIELD = "scale", "fastvss"
CENTRES, BLOCK = 300, 5_000
PEAK = "int(__import__('re').search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) / 1024"


def fill(count: int, dimensions: int) -> None:
    """Writes samples with vectors and labels."""
    import fiftyone as fo
    import numpy as np
    from bson import ObjectId

    from fiftyone_tator.embeddings.embedder import Source
    from fiftyone_tator.embeddings.vectors import Record, VectorField, pack

    dataset = fo.Dataset(DATASET, persistent=True)
    dataset.add_sample(fo.Sample(filepath="/nowhere/0.jpg", ground_truth=fo.Classification(label="kind 0")))
    VectorField(dataset, FIELD).declare(Record.of(Source("fastvss", "scale"), np.ones(dimensions, np.float32)))
    model = next(dataset._sample_collection.find())
    dataset.clear()
    some = np.random.default_rng(1)
    centres = some.normal(size=(CENTRES, dimensions)).astype(np.float32)
    for first in range(0, count, BLOCK):
        kinds = some.integers(0, CENTRES, min(BLOCK, count - first))
        vectors = centres[kinds] + some.normal(0, 0.7, (len(kinds), dimensions)).astype(np.float32)
        dataset._sample_collection.insert_many(
            {
                **model,
                "_id": ObjectId(),
                "filepath": f"/nowhere/{first + row}.jpg",
                "ground_truth": {**model["ground_truth"], "label": f"kind {kind}"},
                FIELD: pack(vector),
            }
            for row, (kind, vector) in enumerate(zip(kinds, vectors, strict=True))
        )


def steps() -> dict[str, Callable[[Any], Any]]:
    """What is measured, by name; takes the dataset."""
    from fiftyone_tator.embeddings.maps import visualize
    from fiftyone_tator.embeddings.similarity import index
    from fiftyone_tator.embeddings.suggesting import suggest
    from fiftyone_tator.embeddings.suspicious import find

    return {
        "map-pca": lambda dataset: visualize(dataset, FIELD, method="pca"),
        "index-lancedb": lambda dataset: index(dataset, FIELD, backend="lancedb"),
        "suggest": lambda dataset: suggest(dataset, FIELD),
        "find": lambda dataset: find(dataset, FIELD),
        "map-umap": lambda dataset: visualize(dataset, FIELD, method="umap"),
    }


STEPS = ("map-pca", "index-lancedb", "suggest", "find", "map-umap")


def step(name: str) -> None:
    """Does one step and prints what it took."""
    import fiftyone as fo

    call, dataset = steps()[name], fo.load_dataset(DATASET)
    before, started = eval(PEAK), time.perf_counter()
    call(dataset)
    print(json.dumps({"seconds": time.perf_counter() - started, "peak": eval(PEAK), "before": before}))


def main() -> int:
    """Runs the benchmark.

    Returns:
        0
    """
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--vectors", type=int, default=1_000_000)
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--only", nargs="+", choices=STEPS, default=STEPS)
    parser.add_argument("--folder", type=Path, help="where files go")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step == "fill":
        fill(options.vectors, options.dimensions)
        return 0
    if options.step:
        step(options.step)
        return 0
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        mongod, address = start(Path(scratch) / "mongo")
        os.environ |= {
            "FIFTYONE_DATABASE_URI": address,
            "FIFTYONE_DATABASE_NAME": "embedding_scale",
            "FIFTYONE_DO_NOT_TRACK": "true",
            "FIFTYONE_DATABASE_VALIDATION": "false",
            "FIFTYONE_CONFIG_PATH": str(Path(scratch) / "config.json"),
            "FIFTYONE_TATOR_DIR": str(Path(scratch) / "files"),
        }
        size = ["--vectors", str(options.vectors), "--dimensions", str(options.dimensions)]
        try:
            subprocess.run([sys.executable, __file__, "--step", "fill", *size], check=True)
            for name in options.only:
                told = subprocess.run(
                    [sys.executable, __file__, "--step", name], check=True, stdout=subprocess.PIPE, text=True
                )
                found = json.loads(told.stdout.splitlines()[-1])
                print(
                    f"{name}: {found['seconds']:.0f} s, peak {found['peak']:.0f} MB, "
                    f"{found['peak'] - found['before']:.0f} MB above FiftyOne itself",
                    flush=True,
                )
        finally:
            mongod.terminate()
            mongod.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
