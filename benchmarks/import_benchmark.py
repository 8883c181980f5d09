"""How long an import takes, beside the bare minimum, in one run.

The bare minimum fetches the pages, downloads and decodes each picture once, writes the crops and inserts the samples
with one ``insert_many``; it checks nothing, maps nothing and remembers nothing. It has as many threads and the same
settings as the import. Both run in fresh processes against the same sandbox, one after the other, several times; what
counts is the ratio of the medians. The peak memory of the import is that of its two processes together.

On some file systems a small file takes more time than the crop that is in it, and not the same each time: a folder in
memory (``--folder /dev/shm``) gives steadier figures.

    python benchmarks/import_benchmark.py [--boxes 20000] [--pictures 300] [--runs 3] [--most 1.3] [--folder FOLDER]
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fiftyone_tator.cli.mongo import start

SIZE = (1920, 1080)

# The peak memory of a process that was started by a larger one: getrusage would tell that one's.
PEAK = "int(__import__('re').search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) / 1024"


class Stages:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._clock = time.perf_counter()

    def end(self, name: str) -> None:
        """Ends a stage: what passed since the last one ended was its time."""
        now = time.perf_counter()
        self.seconds[name] = self.seconds.get(name, 0) + now - self._clock
        self._clock = now


def bare(facts: dict[str, Any], root: Path) -> dict[str, float]:
    """The least that any import has to do."""
    stages = Stages()
    by_media, medias = bare_reading(facts)
    stages.end("reading")
    made = bare_crops(by_media, medias, root)
    stages.end("crops")
    bare_insert(made)
    stages.end("insert")
    return stages.seconds


def bare_reading(facts: dict[str, Any]) -> tuple[dict[int, list[dict[str, Any]]], list[dict[str, Any]]]:
    """Pages of rows by media, and the media with links."""
    import httpx

    by_media: dict[int, list[dict[str, Any]]] = defaultdict(list)
    project, page, after = facts["project"], [{}] * 5000, 0
    with httpx.Client(base_url=facts["url"], headers={"Authorization": f"Token {facts['token']}"}, timeout=60) as http:
        while len(page) == 5000:
            query = {"type": facts["type"], "version": facts["version"], "after": after, "stop": 5000}
            page = http.get(f"/rest/Localizations/{project}", params=query).json()
            for row in page:
                by_media[row["media"]].append(row)
            after = page[-1]["id"] if page else after
        ids = list(by_media)
        medias = http.put(f"/rest/Medias/{project}", params={"presigned": 3600}, json={"ids": ids}).json()
    return by_media, medias


def bare_crops(by_media: dict[int, Any], medias: list[dict[str, Any]], root: Path) -> list[tuple[dict[str, Any], str]]:
    """Downloads, decodes once, cuts and writes, in as many threads as the import has."""
    import cv2
    import httpx
    import numpy as np

    from fiftyone_tator.media.crops import CropStyle, cut

    http, style = httpx.Client(timeout=60), CropStyle()
    (root / "download").mkdir(parents=True)

    def download(media: dict[str, Any]) -> Path:
        path = root / "download" / f"{media['id']}_{media['name']}"
        path.write_bytes(http.get(media["media_files"]["image"][0]["path"]).content)
        return path

    def crops(media: dict[str, Any], path: Path) -> list[tuple[dict[str, Any], str]]:
        picture = cv2.imdecode(np.fromfile(path, dtype=np.uint8), cv2.IMREAD_COLOR)
        folder = root / "crops" / Path(media["name"]).stem
        folder.mkdir(parents=True, exist_ok=True)
        made = []
        for row in by_media[media["id"]]:
            data = cut(picture, (row["x"], row["y"], row["width"], row["height"]), style)
            target = folder / f"{row['elemental_id']}.jpg"
            target.write_bytes(data[0])
            made.append((row, str(target)))
        return made

    with ThreadPoolExecutor(4) as fetchers, ThreadPoolExecutor(os.cpu_count()) as cutters:
        downloads = [(media, fetchers.submit(download, media)) for media in medias]
        cutting = [cutters.submit(crops, media, path.result()) for media, path in downloads]
        return [pair for future in cutting for pair in future.result()]


def bare_insert(made: list[tuple[dict[str, Any], str]]) -> None:
    """One insert_many of documents that the App can show."""
    import fiftyone as fo
    import fiftyone.core.odm as foo
    from bson import ObjectId

    dataset = fo.Dataset("bare", persistent=True)
    documents = [
        {
            "_id": ObjectId(),
            "filepath": path,
            "tags": [],
            "_media_type": "image",
            "_rand": 0.5,
            "_dataset_id": ObjectId(str(dataset._doc.id)),
            "elemental_id": row["elemental_id"],
            "ground_truth": {"_id": ObjectId(), "_cls": "Classification", "label": row["attributes"]["Label"]},
        }
        for row, path in made
    ]
    foo.get_db_conn()[dataset._sample_collection_name].insert_many(documents)


def ours(facts: dict[str, Any], root: Path) -> dict[str, float]:
    """The import."""
    from fiftyone_tator.media.worker import WorkerProcess
    from fiftyone_tator.sync.importing import import_project
    from fiftyone_tator.sync.options import ImportOptions
    from fiftyone_tator.tator_client import Tator

    stages, current = Stages(), "connecting"

    def report(progress: Any) -> None:
        nonlocal current
        if progress.stage != current:
            stages.end(current)
            current = progress.stage

    with Tator(facts["url"], facts["token"]) as client, WorkerProcess() as worker:
        worker.start()
        options = ImportOptions(project=facts["project"])
        result = import_project(client, options, root=root, executor=worker, report=report)
        facts["worker_mb"] = worker.submit(eval, PEAK).result()
    stages.end(current)
    if result.created != facts["boxes"]:
        raise SystemExit(f"The import made {result.created} samples of {facts['boxes']}: {result.as_json()}")
    return stages.seconds


def child(way: str, facts: dict[str, Any]) -> None:
    """One measured run in a process of its own; prints its figures."""
    import fiftyone as fo

    fo.list_datasets()
    with tempfile.TemporaryDirectory(prefix="import-benchmark-") as folder:
        started, busy = time.perf_counter(), time.process_time()
        stages = {"bare": bare, "ours": ours}[way](facts, Path(folder))
        seconds, busy = time.perf_counter() - started, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for name in fo.list_datasets():
        fo.delete_dataset(name)
    peak += facts.get("worker_mb", 0)
    print(json.dumps({"seconds": seconds, "stages": stages, "peak_mb": peak, "cpu": busy}))


def run(way: str, facts: dict[str, Any]) -> dict[str, Any]:
    """A child process's figures."""
    command = [sys.executable, __file__, "--child", way, json.dumps(facts)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def sandbox_facts(options: argparse.Namespace, folder: Path) -> Any:
    """Makes the sandbox's data; the server itself runs in a process of its own."""
    from fiftyone_tator.sandbox.scale import add_scale
    from fiftyone_tator.sandbox.seed import seed
    from fiftyone_tator.sandbox.store import Store

    store = Store(folder / "sandbox.db", folder / "media")
    seeded = seed(store)
    made = add_scale(store, seeded, options.boxes, pictures=options.pictures, distinct_pictures=True, picture_size=SIZE)
    store.close()
    return {
        "project": made.project,
        "version": next(iter(made.versions.values())),
        "type": made.localization_types["box"],
        "token": seeded.tokens["editor"],
        "boxes": options.boxes,
    }


def main() -> int:
    """Measures and prints; returns 1 if the ratio or the memory is above the bound."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--boxes", type=int, default=20_000)
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--most", type=float, default=1.3, help="the ratio that is still good")
    parser.add_argument("--most-mb", type=float, default=500, help="the peak memory that is still good")
    parser.add_argument("--folder", help="for all files; the one for temporary files if left out")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child[0], json.loads(options.child[1]))
        return 0
    if options.folder:
        tempfile.tempdir = os.environ["TMPDIR"] = options.folder
    with tempfile.TemporaryDirectory(prefix="import-benchmark-") as name:
        folder = Path(name)
        mongod, address = start(folder / "mongo")
        os.environ.update(
            FIFTYONE_DATABASE_URI=address,
            FIFTYONE_DATABASE_NAME="benchmark",
            FIFTYONE_DO_NOT_TRACK="true",
            FIFTYONE_DATABASE_VALIDATION="false",
        )
        try:
            return measure(options, folder)
        finally:
            mongod.terminate()
            mongod.wait()


def measure(options: argparse.Namespace, folder: Path) -> int:
    """Runs both ways in turn against one sandbox."""
    from fiftyone_tator.sandbox.testing import running_process

    facts = sandbox_facts(options, folder)
    arguments = ("--no-demo", "--media-dir", str(folder / "media"), "--requests-per-second", "0")
    with running_process(folder / "sandbox.db", *arguments) as sandbox:
        facts["url"] = sandbox.url
        figures: dict[str, list[dict[str, Any]]] = {"bare": [], "ours": []}
        for _ in range(options.runs):
            for way, found in figures.items():
                found.append(run(way, facts))
    return report(options, figures)


def report(options: argparse.Namespace, figures: dict[str, list[dict[str, Any]]]) -> int:
    """Prints medians, stages, ratio and memory."""
    print(f"{options.boxes:,} boxes on {options.pictures} pictures of {SIZE[0]} x {SIZE[1]}, {options.runs} runs")
    medians = {}
    for way, found in figures.items():
        seconds = [figure["seconds"] for figure in found]
        medians[way] = statistics.median(seconds)
        peak = max(figure["peak_mb"] for figure in found)
        print(f"{way}: median {medians[way]:.2f} s ({min(seconds):.2f} to {max(seconds):.2f}), peak {peak:.0f} MB")
        print(f"    of processor: {statistics.median(figure['cpu'] for figure in found):.2f} s")
        for stage in found[0]["stages"]:
            print(f"    {stage}: {statistics.median(figure['stages'][stage] for figure in found):.2f} s")
    ratios = [b["seconds"] / a["seconds"] for a, b in zip(figures["bare"], figures["ours"], strict=True)]
    ratio, peak = medians["ours"] / medians["bare"], max(figure["peak_mb"] for figure in figures["ours"])
    print(f"ratio {ratio:.2f} (run by run {', '.join(f'{r:.2f}' for r in ratios)}), bound {options.most}")
    print(f"peak memory of the import {peak:.0f} MB, bound {options.most_mb:.0f} MB")
    return 0 if ratio <= options.most and peak < options.most_mb else 1


if __name__ == "__main__":
    sys.exit(main())
