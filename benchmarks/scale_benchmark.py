"""How long the sandbox takes to make a project of a million boxes.

python benchmarks/scale_benchmark.py [--boxes 1000000] [--most 60] [--folder FOLDER]
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from fiftyone_tator.sandbox.scale import add_scale
from fiftyone_tator.sandbox.seed import seed
from fiftyone_tator.sandbox.store import Store


def measure(folder: Path, boxes: int) -> float:
    """The seconds that it takes; fails if the boxes are not all there afterwards."""
    store = Store(folder / "sandbox.db", folder / "media")
    try:
        seeded = seed(store)
        started = time.perf_counter()
        project = add_scale(store, seeded, boxes).project
        seconds = time.perf_counter() - started
        (row,) = store.rows("select count(*) from localization where project = ?", (project,))
        if row[0] != boxes:
            raise SystemExit(f"There are {row[0]:,} boxes instead of {boxes:,}")
    finally:
        store.close()
    return seconds


def main() -> int:
    """Measures and prints; returns 1 if it took longer than the bound."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--boxes", type=int, default=1_000_000)
    parser.add_argument("--most", type=float, default=60, help="the seconds that are still good")
    parser.add_argument("--folder", help="for all files; the one for temporary files if left out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="scale-benchmark-", dir=options.folder) as folder:
        seconds = measure(Path(folder), options.boxes)
    print(f"{options.boxes:,} boxes in {seconds:.1f} s, bound {options.most:g} s")
    return 0 if seconds <= options.most else 1


if __name__ == "__main__":
    sys.exit(main())
