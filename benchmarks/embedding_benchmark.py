"""How long embedding takes beside the bare HTTP calls, in one run, against a service that answers at once.

The bare calls are what anybody would write with httpx and three threads: they send the same pictures in the same
number to a call, as many at a time, ask for each job until it is done, and take the answer's ``json()``; the files are
read, and nothing else is done with them. Embedding does that, sends the probe with each call, checks what comes back,
and stores the vectors in MongoDB. All run in fresh processes, one after the other, several times; what counts is the
ratio of the medians. The service is the tests' stand-in in a process of its own.

A part of what embedding does beyond that is paid for by a faster parser of JSON. For information, the bare calls are
also made with that parser.

    python benchmarks/embedding_benchmark.py [--crops 100000] [--dimensions 384] [--runs 3] [--most 1.2] [--folder DIR]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fiftyone_tator.cli.mongo import start

ROOT = Path(__file__).resolve().parents[1]
BATCH, IN_FLIGHT = 32, 3
DATASET = "embedding_benchmark"
PEAK = "int(__import__('re').search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) / 1024"


def crops(folder: Path, count: int) -> list[str]:
    """Makes files as an import makes them; of a few hundred different ones, since nobody looks at them."""
    import cv2
    import numpy as np

    some = np.random.default_rng(1)
    contents = []
    for size in some.integers(40, 256, 300):
        soft = cv2.resize(some.integers(0, 255, (12, 12, 3), dtype=np.uint8), (int(size), int(size * 0.8)))
        contents.append(cv2.imencode(".jpg", soft, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes())
    paths = []
    for number in range(count):
        part = folder / f"{number // 1_000:04d}"
        part.mkdir(exist_ok=True)
        path = part / f"{number:07d}.jpg"
        path.write_bytes(contents[number % len(contents)])
        paths.append(str(path))
    return paths


def fill(folder: Path, count: int) -> None:
    """Makes the crops and a dataset of them."""
    import fiftyone as fo

    dataset = fo.Dataset(DATASET, persistent=True)
    dataset.add_samples([fo.Sample(filepath=path) for path in crops(folder, count)])


def bare(url: str, parse: str = "json") -> dict[str, Any]:
    """The least that has to be said to the service; threads, since they cost less than an event loop here."""
    import fiftyone as fo
    import httpx
    from pydantic_core import from_json

    read = {"json": httpx.Response.json, "fast": lambda response: from_json(response.content)}[parse]

    paths = fo.load_dataset(DATASET).values("filepath")
    batches = [paths[start : start + BATCH] for start in range(0, len(paths), BATCH)]

    def talk(part: list[list[str]]) -> None:
        with httpx.Client(base_url=url, timeout=60) as client:
            for batch in part:
                files = [("files", (f"{n}.jpg", Path(path).read_bytes(), "image/jpeg")) for n, path in enumerate(batch)]
                job = client.post("/embed/reef", files=files).json()["job_id"]
                while (answer := read(client.get(f"/predict/job/{job}/reef")))["status"] == "pending":
                    time.sleep(0.005)
                assert len(answer["result"]["embeddings"]) == len(batch)

    started = time.perf_counter()
    with ThreadPoolExecutor(IN_FLIGHT) as threads:
        list(threads.map(talk, (batches[first::IN_FLIGHT] for first in range(IN_FLIGHT))))
    return {"seconds": time.perf_counter() - started}


def ours(url: str) -> dict[str, Any]:
    """The embedding itself."""
    import fiftyone as fo

    from fiftyone_tator.embeddings.computing import compute
    from fiftyone_tator.embeddings.options import EmbedOptions
    from fiftyone_tator.embeddings.remote import FastVSSEmbedder

    dataset = fo.load_dataset(DATASET)
    embedder = FastVSSEmbedder(url, "reef", batch_size=BATCH, in_flight=IN_FLIGHT)
    before = eval(PEAK)
    started = time.perf_counter()
    result = compute(embedder, dataset, EmbedOptions(everything=True))
    seconds = time.perf_counter() - started
    assert result.embedded == len(dataset), result
    return {"seconds": seconds, "peak": eval(PEAK), "grown": eval(PEAK) - before}


def step(name: str, *arguments: str) -> dict[str, Any]:
    """Does one step in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--step", name, *arguments], check=True, stdout=subprocess.PIPE, text=True
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


@contextmanager
def service(dimensions: int) -> Iterator[str]:
    """The stand-in in a process of its own, on a free port."""
    command = [sys.executable, str(ROOT / "tests/embeddings/fastvss_server.py"), "--instant"]
    with subprocess.Popen([*command, "--project", f"reef:{dimensions}"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()


def main() -> int:
    """Runs the benchmark.

    Returns:
        1 if the ratio is above the bound, else 0
    """
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--crops", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--most", type=float, default=1.2, help="the bound for the ratio")
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--folder", type=Path, help="where files go")
    parser.add_argument("--step", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        name, *arguments = options.step
        steps = {"fill": lambda: fill(Path(arguments[0]), int(arguments[1])), "bare": bare, "ours": ours}
        print(json.dumps(steps[name](*(arguments if name != "fill" else ())) or {}))
        return 0
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        return measure(options, Path(scratch))


def measure(options: argparse.Namespace, folder: Path) -> int:
    """Measures, and tells."""
    mongod, address = start(folder / "mongo")
    os.environ |= {
        "FIFTYONE_DATABASE_URI": address,
        "FIFTYONE_DATABASE_NAME": "embedding_benchmark",
        "FIFTYONE_DO_NOT_TRACK": "true",
        "FIFTYONE_DATABASE_VALIDATION": "false",
        "FIFTYONE_CONFIG_PATH": str(folder / "config.json"),
    }
    try:
        (folder / "crops").mkdir()
        step("fill", str(folder / "crops"), str(options.crops))
        with service(options.dimensions) as url:
            runs = []
            for run in range(options.runs):
                found = step("bare", url), step("ours", url), step("bare", url, "fast")
                runs.append(found)
                print(
                    f"run {run + 1}: bare {found[0]['seconds']:.1f} s, embedding {found[1]['seconds']:.1f} s, bare "
                    f"with the fast parser {found[2]['seconds']:.1f} s; peak {found[1]['peak']:.0f} MB, "
                    f"{found[1]['grown']:.0f} MB above FiftyOne itself",
                    flush=True,
                )
    finally:
        mongod.terminate()
        mongod.wait()
    plain, embedding, fast = (statistics.median(found[side]["seconds"] for found in runs) for side in (0, 1, 2))
    ratio = embedding / plain
    print(
        f"{options.crops:,} crops: {options.crops / embedding:,.0f} a second, ratio {ratio:.2f} "
        f"(at most {options.most}); to bare calls with the fast parser {embedding / fast:.2f}"
    )
    return int(ratio > options.most)


if __name__ == "__main__":
    sys.exit(main())
