"""How long a push takes, beside the bare minimum, in one run.

The bare minimum of a push makes the same calls at least: it reads the rows, changes as many in the same requests, reads
them again, and compares, maps and remembers nothing. It is done to rows that the push leaves alone, in turn with the
push; what counts are the medians. The rate of single requests is measured in the same run as well, on 50 rows.

The cases, for 5,000 rows that are edited (``--rows``); the others have 4, 20 and 200 times as many:

    in-place   relabel them to 10 labels, changing marks in place
    history    relabel them to 10 labels, with new marks
    geometry   give each another geometry
    nothing    a push of 100,000 samples when nothing was edited; for information also one edited sample, and what
               comes after an embedding was written to all of them
    pull       an import of 20,000 when nothing changed
    dry-run    a push of 20,000 edited samples that only says what it would do; no bound
    plan       the comparison of 1,000,000 rows, in a process of its own

All run against the sandbox, in a process of its own. ``--host`` names any other server, for the cases in-place,
history, geometry and pull: it makes rows of its own on an image of a project, and removes them at the end without
trace. The token is in the environment variable FIFTYONE_TATOR_TOKEN. Better take a version that is empty otherwise: an
import reads a version whole.

    python benchmarks/push_benchmark.py [--only CASE] [--rows 5000] [--runs 3] [--folder FOLDER]
    python benchmarks/push_benchmark.py --host URL --project ID --version NAME [--yes]
"""

import argparse
import ipaddress
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

TOKEN = "FIFTYONE_TATOR_TOKEN"
FASTEST = {"in-place": 1_500, "history": 300, "geometry": 250}
"""Rows a second that are still good."""
LONGEST = {"nothing": 1.0, "pull": 2.0, "plan": 60.0}
"""Seconds that are still good."""
PLAN_MB = 300
ON_HOSTS = ("in-place", "history", "geometry", "pull")
CASES = (*ON_HOSTS, "dry-run", "nothing", "plan")
LABELS = 10
SINGLES = 50
POST, PATCH_IN_PLACE, READ, PRUNE = 500, 5_000, 5_000, 1_000


@dataclass
class Place:
    """Where the benchmark's rows are.

    Args:
        url: of the server
        token: of a user who may edit
        project: the project's id
        version: the version's id
        type: the id of a localization type of boxes
        label: its label attribute
        media: an image
        elements: the elemental ids of the benchmark's own rows
        labels: all labels that they ever have: the first one, that of single requests, and three sets of ten
    """

    url: str
    token: str = field(repr=False)
    project: int
    version: int
    type: int
    label: str
    media: int
    elements: list[str]
    labels: list[str]

    def spec(self, element: str, label: str, box: Sequence[float]) -> dict[str, Any]:
        """A row as a creation needs it."""
        place = dict(zip(("x", "y", "width", "height"), box, strict=True))
        own = {"type": self.type, "version": self.version, "media_id": self.media, "elemental_id": element}
        return {**own, **place, "frame": 0, "attributes": {self.label: label}}


class Bare:
    """The calls themselves, as rows of the benchmark need them at least.

    Args:
        place: where they are
    """

    def __init__(self, place: Place) -> None:
        import httpx

        self.place = place
        headers = {"Authorization": f"Token {place.token}"}
        self._http = httpx.Client(base_url=place.url, headers=headers, timeout=300)
        self._path = f"/rest/Localizations/{place.project}"

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Sends a request; its answer."""
        answer = self._http.request(method, path, params=query, json=body)
        if answer.is_error:
            raise SystemExit(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        return answer.json()

    def read(self, elements: Sequence[str], **query: Any) -> list[dict[str, Any]]:
        """The rows of some elements, as many a request as a push reads."""
        found: list[dict[str, Any]] = []
        for start in range(0, len(elements), READ):
            some = {"elemental_ids": elements[start : start + READ]}
            found += self.call("PUT", self._path, some, version=self.place.version, merge=0, **query)
        return found

    def pages(self) -> int:
        """Reads all rows of version and type page by page; their number."""
        query = {"type": self.place.type, "version": self.place.version, "merge": 0, "stop": READ}
        count, page, after = 0, [{}] * READ, 0
        while len(page) == READ:
            page = self.call("GET", self._path, after=after, **query)
            count, after = count + len(page), page[-1]["id"] if page else after
        return count

    def create(self, specs: Sequence[dict[str, Any]]) -> None:
        """Makes rows or new marks."""
        for start in range(0, len(specs), POST):
            self.call("POST", self._path, specs[start : start + POST])

    def relabel(self, elements: Sequence[str], labels: Sequence[str], *, in_place: bool) -> None:
        """Reads, sets a label on each tenth or so in bulk, and reads again."""
        self.read(elements)
        size = PATCH_IN_PLACE if in_place else POST
        for number, label in enumerate(labels):
            mine = elements[number :: len(labels)]
            for start in range(0, len(mine), size):
                some = mine[start : start + size]
                body = {"elemental_ids": some, "attributes": {self.place.label: label}}
                body |= {"in_place": 1} if in_place else {}
                self.call("PATCH", self._path, body, version=self.place.version, count=len(some))
        self.read(elements)

    def move(self, elements: Sequence[str], boxes: Sequence[Sequence[float]]) -> None:
        """Reads, makes a new mark with another geometry of each, and reads again."""
        rows = {row["elemental_id"]: row for row in self.read(elements)}
        specs = []
        for element, box in zip(elements, boxes, strict=True):
            attributes = {name: value for name, value in rows[element]["attributes"].items() if value is not None}
            specs.append({**self.place.spec(element, "", box), "attributes": attributes})
        self.create(specs)
        self.read(elements)

    def single(self, elements: Sequence[str], label: str) -> float:
        """Rows a second when each is changed by a request."""
        started = time.perf_counter()
        for element in elements:
            body = {"attributes": {self.place.label: label}}
            self.call("PATCH", f"/rest/Localization/{self.place.version}/{element}", body)
        return len(elements) / (time.perf_counter() - started)

    def remove(self) -> tuple[int, int]:
        """Removes the benchmark's rows with all their marks; the marks removed, and those left."""
        removed, everything = 0, {"show_all_marks": 1, "show_deleted": 1}
        for start in range(0, len(self.place.elements), PRUNE):
            some = self.place.elements[start : start + PRUNE]
            marks = len(self.read(some, fields="id,elemental_id", **everything))
            # An empty list would mean all rows of the version.
            if marks and some:
                body = {"elemental_ids": some, "prune": 1}
                self.call("DELETE", self._path, body, version=self.place.version, count=marks, **everything)
            removed += marks
        return removed, len(self.read(self.place.elements, fields="id,elemental_id", **everything))


class Took(NamedTuple):
    """The seconds that something took, and those of this process's processor time."""

    seconds: float
    busy: float


def clock(act: Callable[[], Any]) -> Took:
    """How long it takes."""
    started, busy = time.perf_counter(), time.process_time()
    act()
    return Took(time.perf_counter() - started, time.process_time() - busy)


class Bench:
    """Measures, prints, and remembers which bounds were missed.

    Args:
        options: of the command
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.missed: list[str] = []

    def says(self, case: str, rows: int, ours: list[Took], bare: list[Took], what: str) -> float:
        """Prints a case; the median of its seconds."""
        seconds, least = (statistics.median(took.seconds for took in each) for each in (ours, bare))
        rate, wanted, longest = rows / seconds, FASTEST.get(case), LONGEST.get(case)
        good = rate >= wanted if wanted else seconds < longest if longest else True
        bound = f"bound {wanted:,}/s" if wanted else f"bound {longest:g} s" if longest else "no bound"
        span = f" ({min(ours).seconds:.2f} to {max(ours).seconds:.2f})" if len(ours) > 1 else ""
        print(f"{case}: {rows:,} rows in {seconds:.2f} s{span}, {rate:,.0f}/s, {bound}{'' if good else ': MISSED'}")
        busy = statistics.median(took.busy for took in ours)
        print(f"    of processor {busy:.2f} s; {what} {least:.2f} s, ratio {seconds / least:.2f}", flush=True)
        if not good:
            self.missed.append(case)
        return seconds


class Pushes:
    """The cases on rows of the benchmark's own.

    Args:
        bench: told the figures
        place: where the rows are
        client: the session with the server
        root: for crops
    """

    def __init__(self, bench: Bench, place: Place, client: Any, root: Path) -> None:
        self.bench, self.place, self.client, self.root = bench, place, client, root
        self.bare, rows = Bare(place), bench.options.rows
        self.rows, self.mine, self.theirs = rows, place.elements[:rows], place.elements[rows : 2 * rows]
        self.lone = place.elements[2 * rows : 2 * rows + SINGLES]
        self.turn = 0
        self.foreign = client.count_localizations(place.project, version=place.version, type=place.type)
        boxes = self.boxes(len(place.elements))
        specs = [place.spec(e, place.labels[0], box) for e, box in zip(place.elements, boxes, strict=True)]
        seconds = clock(lambda: self.bare.create(specs)).seconds
        print(
            f"made {len(specs):,} rows, labelled {place.labels[0]!r}, beside {self.foreign:,} others: {seconds:.1f} s"
        )
        print(f"imported them in {clock(self.pull).seconds:.1f} s")
        import fiftyone as fo

        self.dataset = fo.load_dataset("push")
        ids = dict(zip(*self.dataset.values(["elemental_id", "id"]), strict=True))
        self.samples = [ids[element] for element in place.elements]
        self.rate = self.bare.single(self.lone, place.labels[1]) if self.lone else 1.0
        print(f"single requests: {self.rate:.0f}/s")

    def run(self, case: str) -> None:
        """Measures one case."""
        getattr(self, case.replace("-", "_"))()

    def pull(self) -> Any:
        """Imports the rows, no others."""
        from fiftyone_tator.sync.importing import import_project
        from fiftyone_tator.sync.options import ImportOptions

        place = self.place
        options = ImportOptions(
            project=place.project, versions=[place.version], types=[place.type], label_attribute=place.label,
            include_classes=place.labels if self.foreign else None, crop_size=16, dataset_name="push",
        )  # fmt: skip
        result = import_project(self.client, options, root=self.root)
        return result.created + result.updated + result.removed

    def push(self, changed: int, **options: Any) -> Any:
        """Pushes, and holds that so many rows were changed."""
        from fiftyone_tator.sync.push_options import PushOptions
        from fiftyone_tator.sync.pushing import push_to_tator

        result = push_to_tator(self.client, self.dataset, PushOptions(**options))
        if (result.changed, result.failed, result.conflicts) != (changed, 0, 0):
            raise SystemExit(f"The push was to change {changed} rows: {result.as_json()}")
        return result

    def boxes(self, count: int) -> list[list[float]]:
        """So many geometries, all different, and others at each turn."""
        self.turn += 1
        return [[0.8 * n / count, 0.01 * (self.turn % 90), 0.1, 0.1] for n in range(count)]

    def labels(self) -> list[str]:
        """Ten labels, others at each turn."""
        self.turn += 1
        first = 2 + LABELS * (self.turn % 2)
        return self.place.labels[first : first + LABELS]

    def _relabel(self, case: str, history: str) -> None:
        ours, bare, in_place = [], [], history == "in_place"
        for _ in range(self.bench.options.runs):
            labels = self.labels()
            edits = {sample: labels[n % LABELS] for n, sample in enumerate(self.samples[: self.rows])}
            self.dataset.set_values("ground_truth.label", edits, key_field="id")
            ours.append(clock(lambda: self.push(self.rows, history=history)))
            bare.append(clock(lambda labels=labels: self.bare.relabel(self.theirs, labels, in_place=in_place)))
        self._says(case, ours, bare)

    def _says(self, case: str, ours: list[Took], bare: list[Took]) -> None:
        seconds = self.bench.says(case, self.rows, ours, bare, "the bare calls")
        print(f"    {self.rows / seconds / self.rate:.1f} times the rate of single requests", flush=True)

    def in_place(self) -> None:
        """Ten labels, marks changed in place."""
        self._relabel("in-place", "in_place")

    def history(self) -> None:
        """Ten labels, new marks."""
        self._relabel("history", "keep")

    def geometry(self) -> None:
        """Another geometry for each."""
        ours, bare = [], []
        for _ in range(self.bench.options.runs):
            boxes = self.boxes(self.rows)
            self.dataset.set_values("box", dict(zip(self.samples, boxes, strict=False)), key_field="id")
            ours.append(clock(lambda: self.push(self.rows)))
            bare.append(clock(lambda boxes=boxes: self.bare.move(self.theirs, boxes)))
        self._says("geometry", ours, bare)

    def again(self) -> None:
        """An import when nothing changed."""
        self.pull()
        ours, bare = [], []
        for _ in range(self.bench.options.runs):
            ours.append(clock(self._unchanged))
            bare.append(clock(self.bare.pages))
        self.bench.says("pull", len(self.samples), ours, bare, "reading all pages")

    def _unchanged(self) -> None:
        if self.pull():
            raise SystemExit("The import found changes though nobody made any.")

    def dry_run(self) -> None:
        """What a push of all would do."""
        self.pull()
        labels, ours, bare = self.place.labels[-LABELS:], [], []
        edits = {sample: labels[n % LABELS] for n, sample in enumerate(self.samples)}
        self.dataset.set_values("ground_truth.label", edits, key_field="id")
        for _ in range(self.bench.options.runs):
            ours.append(clock(lambda: self.push(len(edits), dry_run=True)))
            bare.append(
                clock(lambda: (self.bare.read(self.place.elements), list(self.dataset._sample_collection.find())))
            )
        self.bench.says("dry-run", len(edits), ours, bare, "reading rows and samples")


def nothing(bench: Bench, client: Any, project: int, root: Path) -> None:
    """A push of many samples when nothing, or nearly nothing, was edited."""
    import fiftyone as fo
    import numpy as np

    from fiftyone_tator.sync import stamps
    from fiftyone_tator.sync.importing import import_project
    from fiftyone_tator.sync.options import ImportOptions
    from fiftyone_tator.sync.push_options import PushOptions
    from fiftyone_tator.sync.pushing import push_to_tator

    options = ImportOptions(project=project, crop_size=16, dataset_name="many")
    print(f"imported many in {clock(lambda: import_project(client, options, root=root)).seconds:.1f} s")
    dataset = fo.load_dataset("many")
    rows, ours, bare = len(dataset), [], []

    def push(changed: int, looked_at: int) -> None:
        result = push_to_tator(client, dataset, PushOptions())
        if (result.changed, result.looked_at) != (changed, looked_at):
            raise SystemExit(f"Of {looked_at} samples {changed} were to be pushed: {result.as_json()}")

    def seconds(changed: int, looked_at: int) -> float:
        return clock(lambda: push(changed, looked_at)).seconds

    times = {"last_modified_at": True, "elemental_id": True}
    for _ in range(bench.options.runs):
        ours.append(clock(lambda: push(0, 0)))
        bare.append(clock(lambda: list(dataset._sample_collection.find({}, times))))
    bench.says("nothing", rows, ours, bare, "reading the times of all samples")
    ids = dataset.values("id")
    edited = []
    for number in range(bench.options.runs):
        dataset.set_values("ground_truth.label", {ids[number]: f"edited {number}"}, key_field="id")
        edited.append(seconds(1, 1))
    print(f"    one edited sample: {statistics.median(edited):.2f} s")
    vectors = np.random.default_rng(0).random((rows, 64), dtype=np.float32)
    written = clock(lambda: dataset.set_values("embeddings", list(vectors))).seconds
    print(f"    an embedding written to all in {written:.1f} s; the next push looks at all: {seconds(0, rows):.2f} s")
    # As if five minutes had passed.
    stamps.SETTLED_SECONDS = 0.0
    print(
        f"    after five minutes it looks at all once more: {seconds(0, rows):.2f} s; then: {seconds(0, 0):.2f} s",
        flush=True,
    )


# ---------------------------------------------------------------------- the plan


def synthetic(count: int) -> Iterator[tuple[int, dict[str, Any], dict[str, Any], dict[str, Any]]]:
    """Base, ours and theirs, as they are compared; each side has changed the label of one in a hundred."""
    for number in range(count):
        base = {
            "ground_truth.label": f"label {number % 50}",
            "ground_truth.confidence": number % 1000 / 1000,
            "geometry": (number % 97 / 97, number % 89 / 89, 0.1, 0.1),
            "verified": number % 2 == 0,
            "count": number % 7,
            "quality": "good",
            "seen_at": f"2026-05-04T08:{number % 60:02d}:00",
            "embedding": (0.0, 0.25, 0.5, float(number % 10)),
            "notes": None,
            "position": (12.5, 3.75),
        }
        ours, theirs = dict(base), dict(base)
        if number % 100 == 0:
            ours["ground_truth.label"] = f"ours {number % 50}"
        if number % 99 == 0:
            theirs["ground_truth.label"] = f"theirs {number % 50}"
        yield number, base, ours, theirs


def peak_mb() -> float:
    """The peak memory of this process so far: getrusage would tell that of a larger one that started it."""
    status = Path("/proc/self/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+)", status)
    return int(found[1]) / 1024 if found else 0.0


def plan_child(count: int) -> None:
    """Compares and sums up; prints the figures."""
    from fiftyone_tator.sync.plan import Summary, plan

    before, summary = peak_mb(), Summary()

    def least() -> None:
        assert sum(not (base == ours == theirs) for _, base, ours, theirs in synthetic(count))

    def compare_all() -> None:
        for number, difference in plan(synthetic(count)):
            summary.add(number, difference)
            if "ground_truth.label" in difference.ours:
                summary.flow(f"label {number % 50}", f"ours {number % 50}")

    bare, took = clock(least), clock(compare_all)
    found = {"conflicts": summary.conflicts, "ours": summary.fields["ground_truth.label"]}
    figures = {"plan": took, "bare": bare, "before_mb": before, "peak_mb": peak_mb(), **found}
    print(json.dumps({**figures, "fiftyone": "fiftyone" in sys.modules}))


def plan_case(bench: Bench) -> None:
    """The comparison in a fresh process."""
    count = 200 * bench.options.rows
    command = [sys.executable, __file__, "--child", str(count)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    both = len(range(0, count, 9_900))
    if (found["conflicts"], found["ours"], found["fiftyone"]) != (both, len(range(0, count, 100)) - both, False):
        raise SystemExit(f"The plan is wrong: {found}")
    bench.says("plan", count, [Took(*found["plan"])], [Took(*found["bare"])], "making and comparing the values with ==")
    print(f"    peak memory {found['peak_mb']:.0f} MB ({found['before_mb']:.0f} MB before), bound {PLAN_MB} MB")
    if found["peak_mb"] >= PLAN_MB:
        bench.missed.append("plan's memory")


# ---------------------------------------------------------------------- places


def find_place(client: Any, token: str, project: int, version: str, rows: int) -> Place:
    """A version of a project, a type of boxes with a label, and an image for rows of one's own."""
    versions = {each.name: each.id for each in client.versions(project)}
    if version not in versions:
        raise SystemExit(f"Project {project} has no version {version!r}. It has: {', '.join(versions)}.")
    images = {kind.id for kind in client.media_types(project) if kind.dtype == "image"}
    page: list[Any] = next((some for some in client.iter_medias(project, page_size=100)), [])
    media = next((each for each in page if each.type in images), None)
    if media is None:
        raise SystemExit(f"There is no image among the first 100 media of project {project}.")
    found = [
        (attribute.name.lower() != "label", kind.id, attribute.name)
        for kind in client.localization_types(project)
        if kind.dtype == "box" and media.type in kind.media
        for attribute in kind.attribute_types
        if attribute.dtype == "string"
    ]
    if not found:
        raise SystemExit(f"Project {project} has no box type with an attribute of text for media type {media.type}.")
    _, kind, label = min(found)
    mark = f"push benchmark {uuid.uuid4().hex[:8]}"
    labels = [mark, f"{mark} single", *(f"{mark} {number}" for number in range(3 * LABELS))]
    elements = [str(uuid.uuid4()) for _ in range(rows)]
    return Place(client.url, token, project, versions[version], kind, label, media.id, elements, labels)


def is_loopback(url: str) -> bool:
    """Whether a server is on this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def confirmed(options: argparse.Namespace, url: str) -> bool:
    """Whether somebody said twice that a server on another machine may be written to."""
    if options.yes or is_loopback(url):
        return True
    if not sys.stdin.isatty():
        print("Nothing was written. Say --yes to write to a server on another machine.", file=sys.stderr)
        return False
    print(f"This makes {4 * options.rows:,} rows in project {options.project} of {url}, and removes them at the end.")
    return input("Write there? (yes) ") == "yes" and input("The version's name once more: ") == options.version


def on_place(bench: Bench, cases: Sequence[str], client: Any, place: Place, root: Path) -> None:
    """Makes the rows, measures, and removes the rows whatever happened."""
    try:
        pushes = Pushes(bench, place, client, root)
        for case in cases:
            pushes.run("again" if case == "pull" else case)
    finally:
        removed, left = Bare(place).remove()
        print(f"removed {removed:,} marks of {len(place.elements):,} rows, {left} are left")


def on_host(bench: Bench, folder: Path) -> None:
    """Measures against somebody's server."""
    from fiftyone_tator.tator_client import Tator

    options, token = bench.options, os.environ.get(TOKEN, "")
    with Tator(options.host, token) as client:
        if not confirmed(options, client.url):
            raise SystemExit(2)
        place = find_place(client, token, options.project, options.version, 4 * options.rows)
        on_place(bench, [case for case in bench.options.cases if case in ON_HOSTS], client, place, folder / "files")


@contextmanager
def sandbox(bench: Bench, folder: Path) -> Iterator[tuple[Any, str, int]]:
    """A sandbox in a process of its own, with many boxes on few pictures: a session, its token, and their project."""
    from fiftyone_tator.sandbox.scale import add_scale
    from fiftyone_tator.sandbox.seed import seed
    from fiftyone_tator.sandbox.store import Store
    from fiftyone_tator.sandbox.testing import running_process
    from fiftyone_tator.tator_client import Tator

    store = Store(folder / "sandbox.db", folder / "media")
    seeded = seed(store)
    many = 20 * bench.options.rows if "nothing" in bench.options.cases else 1
    project = add_scale(store, seeded, many, pictures=12 if many > 12 else 1).project
    store.close()
    arguments = ("--no-demo", "--media-dir", str(folder / "media"), "--requests-per-second", "0")
    token = seeded.tokens["editor"]
    with running_process(folder / "sandbox.db", *arguments) as server, Tator(server.url, token) as client:
        yield client, token, project


def on_sandbox(bench: Bench, folder: Path) -> None:
    """Measures all cases."""
    cases = bench.options.cases
    if cases != ["plan"]:
        with sandbox(bench, folder) as (client, token, project):
            on_own = [case for case in cases if case not in ("nothing", "plan")]
            if on_own:
                place = find_place(client, token, 1, "Scratch", 4 * bench.options.rows)
                on_place(bench, on_own, client, place, folder / "files")
            if "nothing" in cases:
                nothing(bench, client, project, folder / "files")
    if "plan" in cases:
        plan_case(bench)


def parse() -> argparse.Namespace:
    """The command's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=CASES, help="measure one case")
    parser.add_argument("--rows", type=int, default=5_000, help="rows that are edited")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", help="for all files; the one for temporary files if left out")
    parser.add_argument("--host", help="the address of another server than the sandbox")
    parser.add_argument("--project", type=int, help="with --host: the project's id")
    parser.add_argument("--version", help="with --host: the name of the version to write to")
    parser.add_argument("--yes", action="store_true", help="write to a server on another machine without asking")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.host and (options.project is None or options.version is None or not os.environ.get(TOKEN)):
        parser.error(f"--host needs --project, --version and a token in the environment variable {TOKEN}")
    options.cases = [options.only] if options.only else list(CASES)
    return options


def main() -> int:
    """Measures and prints; returns 1 if a bound was missed."""
    options = parse()
    if options.child:
        plan_child(options.child)
        return 0
    if options.folder:
        tempfile.tempdir = os.environ["TMPDIR"] = options.folder
    # Whoever ends it finds the rows removed all the same.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    from fiftyone_tator.cli.mongo import start

    bench = Bench(options)
    with tempfile.TemporaryDirectory(prefix="push-benchmark-") as name:
        folder = Path(name)
        mongod, address = start(folder / "mongo")
        os.environ.update(
            FIFTYONE_DATABASE_URI=address,
            FIFTYONE_DATABASE_NAME="benchmark",
            FIFTYONE_DO_NOT_TRACK="true",
            FIFTYONE_DATABASE_VALIDATION="false",
            FIFTYONE_TATOR_DIR=str(folder / "files"),
        )
        try:
            (on_host if options.host else on_sandbox)(bench, folder)
        finally:
            mongod.terminate()
            mongod.wait()
    if bench.missed:
        print(f"Missed: {', '.join(bench.missed)}")
    return 1 if bench.missed else 0


if __name__ == "__main__":
    sys.exit(main())
