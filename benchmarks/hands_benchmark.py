"""How long it takes to relabel and to verify many samples at once, beside the bare minimum.

The bare minimum is one ``update_many`` of the same samples, which sets the same two values and checks nothing. Each is
measured several times on the same dataset with the same indexes; what counts are the medians. The operator is what the
App runs when somebody presses the button: form, execution, and the selection as text both ways.

    python benchmarks/hands_benchmark.py [--samples 20000] [--selected 10000] [--runs 5] [--most 1.0]
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from fiftyone_tator.cli.mongo import start

INFO = {
    "format": 1,
    "layout": "crops",
    "server": "http://127.0.0.1",
    "project": {"id": 1, "name": "Benchmark"},
    "types": {"1": {"name": "Box", "dtype": "box"}},
    "label_attributes": {"1": "Label"},
    "fields": [{"name": "verified", "attribute": "verified", "dtype": "bool", "source": "localization"}],
}


def make(samples: int) -> Any:
    """A dataset with what an import gives it, as far as it matters here: values, fields and indexes."""
    import fiftyone as fo
    from bson import ObjectId

    from fiftyone_tator.sync.documents import classification

    dataset = fo.Dataset("hands", persistent=True)
    dataset.add_sample_field("ground_truth", fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification)
    dataset.add_sample_field("verified", fo.BooleanField)
    dataset.add_sample_field("localization_type", fo.StringField)
    dataset.info["tator"] = INFO
    dataset.media_type = "image"
    dataset.save()
    for path in ("ground_truth.label", "ground_truth.confidence", "verified", "localization_type"):
        dataset.create_index(path)
    now = datetime.now(timezone.utc)
    dataset._sample_collection.insert_many(
        {
            "_id": ObjectId(),
            "_media_type": "image",
            "_rand": number / samples,
            "_dataset_id": dataset._doc.id,
            "filepath": f"/crops/{number}.jpg",
            "tags": [],
            "created_at": now,
            "last_modified_at": now,
            "metadata": None,
            "localization_type": "Box",
            "verified": False,
            "ground_truth": classification({"ground_truth.label": "crab", "ground_truth.confidence": 0.5}),
        }
        for number in range(samples)
    )
    return dataset


def clock(act: Callable[[int], Any], runs: int) -> float:
    """The median of the seconds; ``act`` is told the number of the run, so that each one has something to change."""
    seconds = []
    for run in range(runs + 1):
        started = time.perf_counter()
        act(run)
        seconds.append(time.perf_counter() - started)
    # The first one finds nothing in any cache.
    return statistics.median(seconds[1:])


def measure(samples: int, selected: int, runs: int) -> dict[str, tuple[float, float]]:
    """Seconds, and those of the bare minimum, by what was done."""
    import fiftyone.operators as foo
    from bson import ObjectId

    from fiftyone_tator.sync.hands import relabel, verify

    dataset = make(samples)
    ids = dataset.values("id")[:: max(1, samples // selected)][:selected]
    query = {"_id": {"$in": [ObjectId(each) for each in ids]}}
    operator = foo.get_operator("@tator/sync/relabel_selected")

    def bare(path: str, value: Any) -> None:
        change = {path: value, "last_modified_at": datetime.now(timezone.utc)}
        assert dataset._sample_collection.update_many(query, {"$set": change}).modified_count == selected

    def same(edited: dict[str, Any]) -> None:
        assert edited["changed"] == selected

    label = clock(lambda run: bare("ground_truth.label", f"bare {run}"), runs)
    verified = clock(lambda run: bare("verified", run % 2 == 0), runs)
    if dataset.count_values("verified").get(True):
        bare("verified", False)
    return {
        "relabel": (clock(lambda run: same(relabel(dataset, f"core {run}", ids).as_json()), runs), label),
        "verify": (clock(lambda run: same(verify(dataset, ids, value=run % 2 == 0).as_json()), runs), verified),
        "relabel as an operator": (
            clock(lambda run: same(operator(dataset, label=f"operator {run}", selected=ids).result), runs),
            label,
        ),
    }


def main() -> int:
    """Measures and prints; returns 1 if something took longer than the bound."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=20_000)
    parser.add_argument("--selected", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--most", type=float, default=1.0, help="the seconds that are still good")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hands-benchmark-") as folder:
        (Path(folder) / "plugins").mkdir()
        (Path(folder) / "plugins" / "tator-sync").symlink_to(Path(__file__).resolve().parents[1])
        mongod, address = start(Path(folder) / "mongo")
        os.environ.update(
            FIFTYONE_DATABASE_URI=address,
            FIFTYONE_DATABASE_NAME="hands_benchmark",
            FIFTYONE_DATABASE_VALIDATION="false",
            FIFTYONE_DO_NOT_TRACK="true",
            FIFTYONE_PLUGINS_DIR=str(Path(folder) / "plugins"),
        )
        try:
            found = measure(options.samples, options.selected, options.runs)
        finally:
            mongod.terminate()
            mongod.wait()
    print(f"{options.selected:,} of {options.samples:,} samples, medians of {options.runs} runs")
    for what, (seconds, least) in found.items():
        print(f"{what:24}{seconds:6.3f} s, bare update_many {least:.3f} s, ratio {seconds / least:.2f}")
    return 0 if all(seconds <= options.most for seconds, _ in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
